//! A version into chunks.

use super::CHUNK_PAGES;
use super::chunk::{self, Kind};
use crate::graph::{put, put_long};
use crate::ids::EntityId;
use crate::projection::{Capture, Owner, Vault, strip};

/// Writes a version's data, some at a time. `out` may fail, and then nothing more is written.
pub fn write<E>(capture: &Capture, vault: &dyn Vault, mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let graph = &capture.snapshot.graph;
    let mut count = 0u64;
    let mut packed = Vec::new();
    let mut give = |kind: Kind, entity: EntityId, bytes: &[u8]| {
        packed.clear();
        chunk::put(&mut packed, kind, entity, bytes);
        count += u64::from(kind != Kind::End);
        out(&packed).map(|()| count)
    };
    let mut bytes = Vec::new();
    let names = graph.names();
    put(&mut bytes, names.len() as u64);
    names.iter().for_each(|name| put_long(&mut bytes, name.as_bytes()));
    give(Kind::Names, EntityId::MIN, &bytes)?;
    let seal = |entity: EntityId, key: &str, plain: &[u8]| vault.seal(Owner::Entity(entity, key), plain);
    for entity in graph.model().entities.ids() {
        for first in (0..graph.pages(entity)).step_by(CHUNK_PAGES) {
            let pages = first..graph.pages(entity).min(first + CHUNK_PAGES);
            bytes.clear();
            graph.save(entity, pages, &strip, &seal, &mut bytes);
            give(Kind::Records, entity, &bytes)?;
        }
        graph.save_sets(entity, |name, entries| {
            bytes.clear();
            put_long(&mut bytes, name.as_bytes());
            bytes.extend_from_slice(entries);
            give(Kind::Set, entity, &bytes).map(|_| ())
        })?;
    }
    bytes.clear();
    capture.save(&mut bytes, vault);
    let chunks = give(Kind::Beside, EntityId::MIN, &bytes)?;
    give(Kind::End, EntityId::MIN, &chunks.to_le_bytes())?;
    Ok(())
}
