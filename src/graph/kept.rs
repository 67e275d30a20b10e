//! The ordered sets as bytes, so that a start has not to sort anew what was sorted before.
//!
//! A set has a name made of the model's, and its entries follow in their order as little-endian words. What is ordered by a
//! personal value is not among them: it is made of the records again.

use std::collections::HashMap;

use super::index::Index;
use super::layout::Layout;
use super::sets::{Sets, Waiting};
use super::tree::{Builder, Tree};
use super::{Graph, Packed, View};
use crate::ids::{EntityId, FieldId, Id, Slot};
use crate::model::Entity;

/// Entries that are given together.
const TOGETHER: usize = 1 << 16;

/// A set, by how many words an entry of it has.
enum Any<'a> {
    One(&'a mut Tree<[u32; 1]>),
    Two(&'a mut Tree<[u32; 2]>),
    Three(&'a mut Tree<[u32; 3]>),
    Four(&'a mut Tree<[u32; 4]>),
    Five(&'a mut Tree<[u32; 5]>),
}

impl<'a> From<&'a mut Index> for Any<'a> {
    fn from(index: &'a mut Index) -> Any<'a> {
        match index {
            Index::Narrow(tree) => Any::Two(tree),
            Index::Wide(tree) => Any::Three(tree),
            Index::Text(tree) => Any::Four(tree),
        }
    }
}

/// Whether a set is ordered by values of a field; none of a set that is not.
type OrderedBy = Option<FieldId>;

/// All sets of an entity, by name.
fn all<'a>(sets: &'a mut Sets, entity: &Entity, layout: &Layout) -> Vec<(String, OrderedBy, Any<'a>)> {
    let name = |field: &FieldId| entity.fields[*field].name.as_str();
    let mut all = vec![
        ("keys".to_owned(), None, Any::from(&mut sets.keys)),
        ("aliases".to_owned(), None, Any::Two(&mut sets.aliases)),
    ];
    for (field, index) in layout.indexed.iter().zip(&mut sets.fields) {
        all.push((format!("fields/{}", name(field)), Some(*field), index.into()));
    }
    for (field, index) in layout.searchable.iter().zip(&mut sets.words) {
        all.push((format!("words/{}", name(field)), Some(*field), index.into()));
    }
    for (link, tree) in layout.links.iter().zip(&mut sets.links) {
        all.push((format!("links/{}", name(link)), None, Any::Two(tree)));
    }
    for (link, tree) in layout.links.iter().zip(&mut sets.owners) {
        all.push((format!("owners/{}", name(link)), None, Any::One(tree)));
    }
    for (link, trees) in layout.links.iter().zip(&mut sets.owned) {
        let ordered_by = layout.indexed.iter().map(Some).chain([None]);
        for (field, tree) in ordered_by.zip(trees) {
            let by = field.map_or("", name);
            all.push((format!("owned/{}/{by}", name(link)), field.copied(), Any::Five(tree)));
        }
    }
    all
}

impl View {
    /// Gives the entries of an entity's sets, some at a time, each time with the set's name: of one without any, nothing, once.
    /// What is ordered by a personal value is left out.
    pub fn save_sets<E>(&self, entity: EntityId, mut give: impl FnMut(&str, &[u8]) -> Result<(), E>) -> Result<(), E> {
        fn each<const N: usize, E>(
            tree: &Tree<[u32; N]>,
            mut give: impl FnMut(&[u8]) -> Result<(), E>,
        ) -> Result<(), E> {
            let mut bytes = Vec::with_capacity(tree.len().min(TOGETHER) * N * 4);
            let mut entries = tree.iter();
            loop {
                bytes.clear();
                for word in entries.by_ref().take(TOGETHER).flatten() {
                    bytes.extend_from_slice(&word.to_le_bytes());
                }
                give(&bytes)?;
                if entries.len() == 0 {
                    return Ok(());
                }
            }
        }
        let (description, layout) = (&self.model().entities[entity], &self.shared().layouts[entity]);
        // A copy shares all of it.
        let mut sets = self.sets(entity).clone();
        for (name, by, set) in all(&mut sets, description, layout) {
            if by.is_some_and(|field| description.fields[field].personal) {
                continue;
            }
            let give = |bytes: &[u8]| give(&name, bytes);
            match set {
                Any::One(tree) => each(tree, give)?,
                Any::Two(tree) => each(tree, give)?,
                Any::Three(tree) => each(tree, give)?,
                Any::Four(tree) => each(tree, give)?,
                Any::Five(tree) => each(tree, give)?,
            }
        }
        Ok(())
    }
}

/// All sets of an entity in the making, by name. Entries are words.
#[derive(Default)]
pub struct Kept(HashMap<String, Making>);

struct Making {
    builder: AnyBuilder,
    /// Whether anything was said of it, be it that it has no entries.
    is_given: bool,
}

enum AnyBuilder {
    One(Builder<[u32; 1]>),
    Two(Builder<[u32; 2]>),
    Three(Builder<[u32; 3]>),
    Four(Builder<[u32; 4]>),
    Five(Builder<[u32; 5]>),
}

impl Kept {
    /// Takes the next entries of a set; of one that the model does not have, nothing. The error says that they are none.
    pub fn take(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        fn push<const N: usize>(builder: &mut Builder<[u32; N]>, bytes: &[u8]) -> bool {
            let entries = bytes.chunks_exact(N * 4);
            let is_whole = entries.remainder().is_empty();
            let word = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_le_bytes);
            let mut entry = [0; N];
            is_whole
                && entries.into_iter().all(|bytes| {
                    entry.iter_mut().zip(bytes.chunks_exact(4)).for_each(|(place, bytes)| *place = word(bytes));
                    builder.push(entry)
                })
        }
        let Some(making) = self.0.get_mut(name) else { return Ok(()) };
        making.is_given = true;
        let is_sorted = match &mut making.builder {
            AnyBuilder::One(builder) => push(builder, bytes),
            AnyBuilder::Two(builder) => push(builder, bytes),
            AnyBuilder::Three(builder) => push(builder, bytes),
            AnyBuilder::Four(builder) => push(builder, bytes),
            AnyBuilder::Five(builder) => push(builder, bytes),
        };
        is_sorted.then_some(()).ok_or_else(|| format!("the set `{name}` is not in order"))
    }
}

impl Graph {
    /// An entity's sets before anything was said of them.
    pub fn kept(&self, entity: EntityId) -> Kept {
        let (description, layout) = (&self.shared.model.entities[entity], &self.shared.layouts[entity]);
        let mut sets = Sets::new(description, layout);
        let all = all(&mut sets, description, layout).into_iter().map(|(name, _, set)| {
            let builder = match set {
                Any::One(_) => AnyBuilder::One(Builder::default()),
                Any::Two(_) => AnyBuilder::Two(Builder::default()),
                Any::Three(_) => AnyBuilder::Three(Builder::default()),
                Any::Four(_) => AnyBuilder::Four(Builder::default()),
                Any::Five(_) => AnyBuilder::Five(Builder::default()),
            };
            (name, Making { builder, is_given: false })
        });
        Kept(all.collect())
    }

    /// Puts the sets in their places. Those that are missing, as they are ordered by a personal value or by what the model did not
    /// index, are made of the records.
    pub fn restore_sets(&mut self, entity: EntityId, mut kept: Kept) {
        let shared = self.shared.clone();
        let (description, layout) = (&shared.model.entities[entity], &shared.layouts[entity]);
        let mut missing = Vec::new();
        for (name, by, set) in all(&mut self.sets[entity], description, layout) {
            let given = kept.0.remove(&name).filter(|making| making.is_given);
            match (set, given.map(|making| making.builder)) {
                (Any::One(tree), Some(AnyBuilder::One(builder))) => *tree = builder.finish(),
                (Any::Two(tree), Some(AnyBuilder::Two(builder))) => *tree = builder.finish(),
                (Any::Three(tree), Some(AnyBuilder::Three(builder))) => *tree = builder.finish(),
                (Any::Four(tree), Some(AnyBuilder::Four(builder))) => *tree = builder.finish(),
                (Any::Five(tree), Some(AnyBuilder::Five(builder))) => *tree = builder.finish(),
                _ => missing.extend(by),
            }
        }
        missing.sort_unstable();
        missing.dedup();
        let Graph { sets, waiting, newest, .. } = self;
        waiting[entity].own_all(&sets[entity]);
        if missing.is_empty() {
            return;
        }
        for (slot, record) in newest[entity].iter().enumerate() {
            let record = Packed { layout, bytes: record };
            if record.is_listed() {
                waiting[entity].note_fields(description, Slot::of(slot), record, &missing);
            }
        }
    }
}

impl Waiting {
    /// Takes over who owns many.
    fn own_all(&mut self, sets: &Sets) {
        for (owners, kept) in self.owners_mut().iter_mut().zip(&sets.owners) {
            owners.extend(kept.iter().map(|[owner]| Slot(owner)));
        }
    }
}
