//! Keys of which single ones can be destroyed, out of one seed: a puncturable pseudo-random function.
//!
//! A tree whose every node is 16 bytes: a node's children come from it by a pseudo-random function, and nothing leads back
//! up (Goldreich, Goldwasser, Micali, "How to construct random functions", 1986). A leaf is a key. To destroy one, the nodes
//! on its way are replaced by their other children, so that every other leaf stays what it was and that one cannot be
//! derived any more (Boneh, Waters, 2013; Boyle, Goldwasser, Ivan, 2014).
//!
//! 20 levels of 16 children: a leaf takes 17 hashes, about 1.5 µs, and a destroyed one adds at most 4,880 bytes. Of 2 children
//! it is 5.1 µs and 1,280 bytes, of 8 it is 1.7 µs and 3,024, of 256 it is 0.64 µs and 40,800.

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// Children of a node: an address has half a byte for each level.
const CHILDREN: usize = 16;
/// Bytes of an address: 80 bits, so that two of a billion entities share a leaf with a chance of 4 in 10 million.
pub const ADDRESS: usize = 10;
const LEVELS: usize = 2 * ADDRESS;
/// The levels from the root on whose nodes are at hand: 4,096 of them, 80 KiB, spare each derivation three hashes.
const TOP_LEVELS: usize = 3;
/// Bytes of a node.
pub const SEED: usize = 16;

pub type Seed = [u8; SEED];
pub type Address = [u8; ADDRESS];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Child {
    /// Everything below can be derived.
    Seed(Seed),
    /// Something below is destroyed: a place in the tree's nodes.
    Opened(u32),
    /// A leaf that is destroyed.
    Gone,
}

/// What is left to derive keys from.
pub struct Tree {
    root: Child,
    nodes: Vec<[Child; CHILDREN]>,
    /// What the nodes below the top levels are, by the part of the address that leads to them.
    top: Vec<Child>,
}

impl Tree {
    pub fn new(seed: Seed) -> Tree {
        Tree { root: Child::Seed(seed), nodes: Vec::new(), top: Vec::new() }.with_top()
    }

    fn with_top(mut self) -> Tree {
        self.top = vec![self.root];
        for _ in 0..TOP_LEVELS {
            let children = |child: &Child| match *child {
                Child::Seed(seed) => std::array::from_fn(|step| Child::Seed(below(&seed, step))),
                Child::Opened(node) => self.nodes[node as usize],
                Child::Gone => [Child::Gone; CHILDREN],
            };
            let next = self.top.iter().flat_map(children).collect();
            wipe(&mut std::mem::replace(&mut self.top, next));
        }
        self
    }

    /// A leaf; none once it is destroyed.
    pub fn derive(&self, address: &Address) -> Option<Seed> {
        let place = (0..TOP_LEVELS).fold(0, |place, level| place * CHILDREN + step(address, level));
        let (mut child, mut level) = (self.top[place], TOP_LEVELS);
        loop {
            match child {
                Child::Gone => return None,
                Child::Opened(node) => {
                    child = self.nodes[node as usize][step(address, level)];
                    level += 1;
                }
                Child::Seed(seed) => {
                    return Some((level..LEVELS).fold(seed, |seed, level| below(&seed, step(address, level))));
                }
            }
        }
    }

    /// The tree without some leaves, and how many of them were there.
    pub fn without(&self, leaves: &[Address]) -> (Tree, usize) {
        let mut tree = Tree { root: self.root, nodes: self.nodes.clone(), top: Vec::new() };
        let count = leaves.iter().filter(|address| tree.destroy(address)).count();
        (tree.with_top(), count)
    }

    fn destroy(&mut self, address: &Address) -> bool {
        let (mut at, mut level) = (None, 0);
        loop {
            match *self.child(at) {
                Child::Gone => return false,
                Child::Opened(node) => {
                    at = Some((node as usize, step(address, level)));
                    level += 1;
                }
                Child::Seed(_) if level == LEVELS => {
                    *self.child(at) = Child::Gone;
                    return true;
                }
                Child::Seed(seed) => {
                    let node = self.nodes.len() as u32;
                    self.nodes.push(std::array::from_fn(|step| Child::Seed(below(&seed, step))));
                    *self.child(at) = Child::Opened(node);
                }
            }
        }
    }

    fn child(&mut self, at: Option<(usize, usize)>) -> &mut Child {
        match at {
            None => &mut self.root,
            Some((node, step)) => &mut self.nodes[node][step],
        }
    }

    /// Writes it: of each node two bits a child (a seed, or opened), then its seeds, then its opened children.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_child(self.root, out);
    }

    fn write_child(&self, child: Child, out: &mut Vec<u8>) {
        match child {
            Child::Gone => out.push(0),
            Child::Seed(seed) => {
                out.push(1);
                out.extend_from_slice(&seed);
            }
            Child::Opened(node) => {
                out.push(2);
                self.write_node(node, out);
            }
        }
    }

    fn write_node(&self, node: u32, out: &mut Vec<u8>) {
        let children = &self.nodes[node as usize];
        let bits = |is: fn(&Child) -> bool| {
            let of = |(step, child): (usize, &Child)| u16::from(is(child)) << step;
            children.iter().enumerate().map(of).sum::<u16>()
        };
        out.extend_from_slice(&bits(|child| matches!(child, Child::Seed(_))).to_be_bytes());
        out.extend_from_slice(&bits(|child| matches!(child, Child::Opened(_))).to_be_bytes());
        for child in children {
            if let Child::Seed(seed) = child {
                out.extend_from_slice(seed);
            }
        }
        for child in children {
            if let Child::Opened(node) = child {
                self.write_node(*node, out);
            }
        }
    }

    /// Reads what [`Tree::write`] wrote; none where it is something else.
    pub fn read(bytes: &[u8]) -> Option<Tree> {
        let mut tree = Tree { root: Child::Gone, nodes: Vec::new(), top: Vec::new() };
        let (tag, mut rest) = bytes.split_first()?;
        let root = match tag {
            1 => Child::Seed(take(&mut rest)?),
            2 => Child::Opened(tree.read_node(0, &mut rest)?),
            _ => return None,
        };
        tree.root = root;
        rest.is_empty().then(|| tree.with_top())
    }

    fn read_node(&mut self, level: usize, rest: &mut &[u8]) -> Option<u32> {
        let [seeds, opened] = [u16::from_be_bytes(take(rest)?), u16::from_be_bytes(take(rest)?)];
        // A leaf is never opened, and a node above the leaves never gone.
        let is_last = level + 1 == LEVELS;
        if seeds & opened != 0 || is_last && opened != 0 || !is_last && seeds | opened != u16::MAX {
            return None;
        }
        let node = self.nodes.len();
        self.nodes.push([Child::Gone; CHILDREN]);
        for step in (0..CHILDREN).filter(|step| seeds & 1 << step != 0) {
            self.nodes[node][step] = Child::Seed(take(rest)?);
        }
        for step in (0..CHILDREN).filter(|step| opened & 1 << step != 0) {
            self.nodes[node][step] = Child::Opened(self.read_node(level + 1, rest)?);
        }
        Some(node as u32)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        wipe(self.nodes.iter_mut().flatten().chain(&mut self.top).chain([&mut self.root]));
    }
}

fn wipe<'a>(children: impl IntoIterator<Item = &'a mut Child>) {
    for child in children {
        if let Child::Seed(seed) = child {
            seed.zeroize();
        }
    }
}

/// The half byte of an address that leads on from a level.
fn step(address: &Address, level: usize) -> usize {
    usize::from(address[level / 2] >> (4 * (1 - level % 2)) & 15)
}

/// A node's child. All inputs have one length, and fit into one block of the hash.
fn below(seed: &Seed, step: usize) -> Seed {
    let hash = Sha256::new().chain_update(seed).chain_update([step as u8]).finalize();
    std::array::from_fn(|index| hash[index])
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    /// Addresses that share more with each other than chance would have it.
    fn addresses() -> impl proptest::strategy::Strategy<Value = Vec<Address>> {
        proptest::collection::vec(proptest::collection::vec(0u8..3, ADDRESS), 1..40)
            .prop_map(|all| all.into_iter().map(|bytes| std::array::from_fn(|at| bytes[at] * 0x11)).collect())
    }
    use proptest::strategy::Strategy;

    proptest! {
        #[test]
        fn what_is_destroyed_is_gone_and_all_else_stays(seed in any::<Seed>(), all in addresses(), ends in any::<u64>()) {
            let whole = Tree::new(seed);
            let mut tree = whole.without(&[]).0;
            let is_destroyed = |address: &Address| {
                all.iter().position(|known| known == address).is_some_and(|place| ends >> (place % 64) & 1 == 1)
            };
            for address in all.iter().filter(|address| is_destroyed(address)) {
                let (without, count) = tree.without(&[*address, *address]);
                assert_eq!(count, usize::from(tree.derive(address).is_some()));
                tree = without;
            }
            let mut bytes = Vec::new();
            tree.write(&mut bytes);
            let read = Tree::read(&bytes).expect("what was written");
            for tree in [&tree, &read] {
                for address in &all {
                    let expected = if is_destroyed(address) { None } else { whole.derive(address) };
                    assert_eq!(tree.derive(address), expected);
                    // What lies beside it lives on, destroyed or not.
                    let beside: Address = std::array::from_fn(|at| address[at] ^ u8::from(at + 1 == ADDRESS));
                    assert_eq!(tree.derive(&beside), whole.derive(&beside));
                }
            }
        }
    }

    #[test]
    fn a_destroyed_leaf_takes_what_it_says() {
        let (tree, count) = Tree::new([7; SEED]).without(&[[0x5a; ADDRESS]]);
        assert_eq!(count, 1);
        let mut bytes = Vec::new();
        tree.write(&mut bytes);
        assert_eq!(bytes.len(), 1 + LEVELS * (4 + 15 * SEED));
        for length in 0..bytes.len() {
            assert!(Tree::read(&bytes[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn leaves_are_the_same_for_ever() {
        // What is sealed by one version is opened by the next. The number is another program's.
        let leaf = Tree::new(*b"sixteen bytes it").derive(b"ten bytes!");
        assert_eq!(leaf.map(u128::from_be_bytes), Some(0xe1c6aba7_094530d5_771aaa7d_c562493a));
    }
}
