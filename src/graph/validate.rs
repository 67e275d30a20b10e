//! Every index, link, alias and count against the records: what a test calls after each batch.

use std::collections::{BTreeMap, BTreeSet};

use super::{Counts, View};
use crate::model::Kind;
use crate::model::value::Value;

impl View {
    /// What contradicts what, or nothing. Walks the whole graph.
    pub fn validate(&self) -> Result<(), String> {
        let mut named_by: BTreeMap<(usize, u32), u32> = BTreeMap::new();
        let mut reverses: BTreeMap<(usize, u32, usize), BTreeSet<u32>> = BTreeMap::new();
        let mut aliases: BTreeMap<(usize, u32), BTreeSet<u32>> = BTreeMap::new();
        for (entity, description) in self.model.entities.iter().enumerate() {
            let mut counts = Counts::new(description);
            for (slot, node) in self.nodes[entity].iter().enumerate() {
                let slot = slot as u32;
                if self.index[entity].get(&node.key).map(|found| *found) != Some(slot) {
                    return Err(format!("{} {}: the index does not lead to it", description.name, node.key));
                }
                counts.count(description, node, 1);
                for (field, value) in node.fields.iter().enumerate() {
                    if let (Value::Link(target), Kind::Link { entity: target_entity, reverse }) =
                        (value, &description.fields[field].kind)
                    {
                        *named_by.entry((*target_entity, *target)).or_default() += 1;
                        if let Some(reverse) = reverse {
                            reverses.entry((*target_entity, *target, *reverse)).or_default().insert(slot);
                        }
                    }
                }
                if let Some(merge) = &node.merge {
                    *named_by.entry((entity, merge.into)).or_default() += 1;
                    aliases.entry((entity, merge.into)).or_default().insert(slot);
                }
            }
            if counts != self.counts[entity] {
                return Err(format!("{}: counted {counts:?}, kept {:?}", description.name, self.counts[entity]));
            }
        }
        for (entity, nodes) in self.nodes.iter().enumerate() {
            for (slot, node) in nodes.iter().enumerate() {
                let slot = slot as u32;
                let name = format!("{} {}", self.model.entities[entity].name, node.key);
                if node.named_by != named_by.get(&(entity, slot)).copied().unwrap_or(0) {
                    return Err(format!("{name}: named_by is {}", node.named_by));
                }
                for (reverse, postings) in node.reverses.iter().enumerate() {
                    let expected = reverses.remove(&(entity, slot, reverse)).unwrap_or_default();
                    if !postings.iter().eq(expected) {
                        return Err(format!("{name}: reverse {reverse} does not hold what links say"));
                    }
                }
                if !node.aliases.iter().eq(aliases.remove(&(entity, slot)).unwrap_or_default()) {
                    return Err(format!("{name}: aliases are not who merges into it"));
                }
            }
        }
        Ok(())
    }
}
