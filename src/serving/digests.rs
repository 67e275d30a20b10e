//! Digests of the newest version that somebody asked for, from which those of a later one are made: by what changed since.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::versions::Versions;
use crate::ids::{By, EntityId};
use crate::projection::{Digest, Snapshot, digest, digest_since};

#[derive(Default)]
pub struct Digests(ArcSwapOption<Made>);

/// A version's, by entity.
struct Made {
    version: u64,
    digests: By<EntityId, Digest>,
}

impl Digests {
    /// A version's. `goes_on` is asked now and then; what it refuses by ends it.
    pub fn of<E>(
        &self,
        versions: &Versions,
        snapshot: &Snapshot,
        mut goes_on: impl FnMut() -> Result<(), E>,
    ) -> Result<By<EntityId, Digest>, E> {
        let known = self.0.load_full();
        if let Some(known) = known.as_ref().filter(|known| known.version == snapshot.version) {
            return Ok(known.digests.clone());
        }
        let since = known.and_then(|known| Some((versions.since(known.version, snapshot.version).ok()?, known)));
        let view = &snapshot.graph;
        let digest = |entity: EntityId| match &since {
            Some((since, known)) => {
                let before = (&since.before().graph, known.digests[entity]);
                digest_since(before, view, entity, &since.written(entity), &mut goes_on)
            }
            None => digest(view, entity, &mut goes_on),
        };
        let digests: By<EntityId, Digest> = view.model().entities.ids().map(digest).collect::<Result<_, E>>()?;
        self.0.store(Some(Arc::new(Made { version: snapshot.version, digests: digests.clone() })));
        Ok(digests)
    }
}
