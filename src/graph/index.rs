//! Secondary indexes: ordered sets of (code, slot), one a field. A code is a number whose order is the values' own.
//!
//! Indexes hold what lists hold, and are changed in one go when a version is published. Where a code is not the whole
//! value (long texts, points), a candidate is checked against its record.

use super::tree::Tree;
use crate::ids::Slot;
use crate::model::Kind;
use crate::model::cell::Cell;
use crate::model::value::{GeoPoint, YEAR_0000};

/// The order-preserving part of a value, in words; those that a kind does not use are 0.
pub type Code = [u32; 3];

/// An index over one field of one entity, its entries as narrow as the kind allows.
#[derive(Clone, Debug)]
pub enum Index {
    /// Codes of 32 bits.
    Narrow(Tree<[u32; 2]>),
    /// Codes of 64 bits.
    Wide(Tree<[u32; 3]>),
    /// Codes of 96 bits.
    Text(Tree<[u32; 4]>),
}

/// Changes that wait for the next version.
#[derive(Debug)]
pub enum Pending {
    Narrow(Vec<([u32; 2], bool)>),
    Wide(Vec<([u32; 3], bool)>),
    Text(Vec<([u32; 4], bool)>),
}

/// Whether a field of this kind can have an index.
pub fn can_index(kind: &Kind) -> bool {
    !matches!(kind, Kind::Json | Kind::List(_) | Kind::Link(_))
}

impl Index {
    pub fn of(kind: &Kind) -> Index {
        match kind {
            Kind::Int | Kind::Boolean | Kind::Date | Kind::Enum(_) => Index::Narrow(Tree::default()),
            Kind::String | Kind::Id => Index::text(),
            _ => Index::Wide(Tree::default()),
        }
    }

    /// One whose codes are texts': of keys, of words.
    pub fn text() -> Index {
        Index::Text(Tree::default())
    }

    pub fn pending(&self) -> Pending {
        match self {
            Index::Narrow(_) => Pending::Narrow(Vec::new()),
            Index::Wide(_) => Pending::Wide(Vec::new()),
            Index::Text(_) => Pending::Text(Vec::new()),
        }
    }

    pub fn apply(&mut self, pending: &mut Pending) {
        match (self, pending) {
            (Index::Narrow(tree), Pending::Narrow(changes)) => tree.apply(changes),
            (Index::Wide(tree), Pending::Wide(changes)) => tree.apply(changes),
            (Index::Text(tree), Pending::Text(changes)) => tree.apply(changes),
            _ => {}
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Index::Narrow(tree) => tree.len(),
            Index::Wide(tree) => tree.len(),
            Index::Text(tree) => tree.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of its nodes.
    pub fn size(&self) -> usize {
        match self {
            Index::Narrow(tree) => tree.size(),
            Index::Wide(tree) => tree.size(),
            Index::Text(tree) => tree.size(),
        }
    }

    /// How many entries have a code in the range, both ends included.
    pub fn count(&self, range: (Code, Code)) -> usize {
        fn between<const N: usize>(tree: &Tree<[u32; N]>, range: (Code, Code)) -> usize {
            let (low, high) = bounds(range);
            (tree.rank(&high) + usize::from(tree.contains(&high))).saturating_sub(tree.rank(&low))
        }
        match self {
            Index::Narrow(tree) => between(tree, range),
            Index::Wide(tree) => between(tree, range),
            Index::Text(tree) => between(tree, range),
        }
    }

    /// The entries whose codes are in the range, both ends included, by code, then slot.
    pub fn range(&self, range: (Code, Code)) -> Box<dyn DoubleEndedIterator<Item = (Code, Slot)> + '_> {
        fn entries<const N: usize>(
            tree: &Tree<[u32; N]>,
            range: (Code, Code),
        ) -> Box<dyn DoubleEndedIterator<Item = (Code, Slot)> + '_> {
            let (low, high) = bounds(range);
            Box::new(tree.range(low..=high).map(split))
        }
        match self {
            Index::Narrow(tree) => entries(tree, range),
            Index::Wide(tree) => entries(tree, range),
            Index::Text(tree) => entries(tree, range),
        }
    }

    pub fn iter(&self) -> Box<dyn DoubleEndedIterator<Item = (Code, Slot)> + '_> {
        self.range(ALL)
    }
}

/// Every code.
pub const ALL: (Code, Code) = ([0; 3], [u32::MAX; 3]);

impl Pending {
    pub fn push(&mut self, code: Code, slot: Slot, holds: bool) {
        match self {
            Pending::Narrow(changes) => changes.push((entry(code, slot), holds)),
            Pending::Wide(changes) => changes.push((entry(code, slot), holds)),
            Pending::Text(changes) => changes.push((entry(code, slot), holds)),
        }
    }

    /// How many changes wait.
    pub fn len(&self) -> usize {
        match self {
            Pending::Narrow(changes) => changes.len(),
            Pending::Wide(changes) => changes.len(),
            Pending::Text(changes) => changes.len(),
        }
    }

    /// Bytes that it holds, used or not.
    pub fn size(&self) -> usize {
        match self {
            Pending::Narrow(changes) => changes.capacity() * size_of::<([u32; 2], bool)>(),
            Pending::Wide(changes) => changes.capacity() * size_of::<([u32; 3], bool)>(),
            Pending::Text(changes) => changes.capacity() * size_of::<([u32; 4], bool)>(),
        }
    }

    /// Gives back what it does not use.
    pub fn shrink(&mut self) {
        match self {
            Pending::Narrow(changes) => changes.shrink_to_fit(),
            Pending::Wide(changes) => changes.shrink_to_fit(),
            Pending::Text(changes) => changes.shrink_to_fit(),
        }
    }
}

fn entry<const N: usize>(code: Code, slot: Slot) -> [u32; N] {
    std::array::from_fn(|word| if word + 1 == N { slot.0 } else { code[word] })
}

fn split<const N: usize>(entry: [u32; N]) -> (Code, Slot) {
    (std::array::from_fn(|word| if word + 1 < N { entry[word] } else { 0 }), Slot(entry[N - 1]))
}

fn bounds<const N: usize>((low, high): (Code, Code)) -> ([u32; N], [u32; N]) {
    (entry(low, Slot::MIN), entry(high, Slot::MAX))
}

/// A code of 64 bits.
pub fn wide(number: u64) -> Code {
    [(number >> 32) as u32, number as u32, 0]
}

/// A signed number's order in an unsigned one.
fn signed(number: i64) -> u64 {
    number as u64 ^ (1 << 63)
}

/// The code of a value; none for null and for what has no index.
pub fn code(cell: Cell<'_>) -> Option<Code> {
    Some(match cell {
        Cell::Boolean(value) => [u32::from(value), 0, 0],
        Cell::Date(date) => [date.0 as u32 ^ (1 << 31), 0, 0],
        Cell::Enum(value) => [u32::from(value), 0, 0],
        Cell::Int(number) => wide(signed(number)),
        Cell::Float(number) => {
            // −0 and 0 are equal.
            let bits = (number + 0.0).to_bits();
            wide(if bits >> 63 == 1 { !bits } else { bits | (1 << 63) })
        }
        // The years 0000 to 9999 in 39 bits; of a second's fraction what the rest holds.
        Cell::DateTime(at) => wide((((at.seconds - YEAR_0000) as u64) << 24) | u64::from(at.nanos >> 6)),
        // Three letters in 15 bits, then 2^53 minor units either way.
        Cell::Money(money) => {
            let letters = money.currency.iter().fold(0u64, |code, letter| code * 26 + u64::from(letter - b'A'));
            // 54 bits of minor units are more than fit: the lowest five are left to the record.
            wide(letters << 49 | ((money.minor + (1 << 53)) as u64 >> 5))
        }
        Cell::GeoPoint(point) => wide(curve(point)),
        Cell::String(text) => text_code(text),
        _ => return None,
    })
}

/// An `Int` field's code, where 32 bits hold the values.
pub fn narrow(code: Code) -> Code {
    let number = (u64::from(code[0]) << 32 | u64::from(code[1])) ^ (1 << 63);
    [number as i64 as i32 as u32 ^ (1 << 31), 0, 0]
}

/// The code of a field's value: of an `Int` the narrow one.
pub fn code_of(kind: &Kind, cell: Cell<'_>) -> Option<Code> {
    let code = code(cell)?;
    Some(if *kind == Kind::Int { narrow(code) } else { code })
}

/// Eight bytes of the text, then a hash of it all: equal texts have equal codes, and the first two words are in order.
pub fn text_code(text: &str) -> Code {
    let [high, low] = prefix(text, 0);
    [high, low, hash(text)]
}

/// Twelve bytes of a key.
pub fn key_code(key: &str) -> Code {
    let [high, low] = prefix(key, 0);
    [high, low, prefix(key, 8)[0]]
}

fn prefix(text: &str, from: usize) -> [u32; 2] {
    let mut bytes = [0u8; 8];
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    let length = rest.len().min(8);
    bytes[..length].copy_from_slice(&rest[..length]);
    let number = u64::from_be_bytes(bytes);
    [(number >> 32) as u32, number as u32]
}

/// FNV-1a, 32 bits.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The texts that start with a prefix: their codes' range. A candidate beyond eight bytes is checked.
pub fn prefix_range(start: &str) -> (Code, Code) {
    let [high, low] = prefix(start, 0);
    let mut bytes = [0xffu8; 8];
    let length = start.len().min(8);
    bytes[..length].copy_from_slice(&start.as_bytes()[..length]);
    let last = u64::from_be_bytes(bytes);
    ([high, low, 0], [(last >> 32) as u32, last as u32, u32::MAX])
}

/// A point's place on the Z-order curve: the bits of latitude and longitude in turn.
pub fn curve(point: GeoPoint) -> u64 {
    spread(grid(point.lat, 90.0)) << 1 | spread(grid(point.lon, 180.0))
}

/// Degrees within ±`limit` as 32 bits.
pub fn grid(degrees: f64, limit: f64) -> u32 {
    (((degrees + limit) / (2.0 * limit)) * f64::from(u32::MAX)) as u32
}

/// A zero bit before each bit.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}
