//! What is sealed under whose key: of events on their way into the embedded log and out of it, and of checkpoints.
//!
//! Not here: what is somebody's own (`event::personal`), keys (`keys`), where records lie (`source::log`).

use std::sync::Arc;

use crate::event::personal::{self, Cut};
use crate::keys::{Key, Keys};
use crate::model::Model;
use crate::projection::{Owner, Vault};
use crate::source::log::{LogRecord, Opened, Seals};

/// Seals what is somebody's own in events of entities with personal fields.
#[derive(Clone)]
pub struct Sealing {
    keys: Arc<Keys>,
    model: Arc<Model>,
}

/// An event as it is stored.
pub struct Sealed {
    pub body: Vec<u8>,
    /// Whose it is, and what was taken out of the body; none where the key is destroyed.
    pub sealed: Option<Vec<u8>>,
}

impl Sealing {
    pub fn new(keys: Arc<Keys>, model: Arc<Model>) -> Sealing {
        Sealing { keys, model }
    }

    /// What is sealed: changes with the model.
    pub fn mark(&self) -> u64 {
        personal::fingerprint(&self.model)
    }

    /// An event with what is somebody's own sealed; none where it has nothing of that. `key` is its record's.
    pub fn seal(&self, key: &[u8], event: &[u8]) -> Option<Sealed> {
        let Cut { entity, subject, body, personal } = personal::cut(&self.model, event)?;
        // Without a subject it is nobody's event, and lies beside those of its record's key.
        let named = subject.as_deref().filter(|subject| subject.as_bytes() != key);
        let whose = named.map_or_else(|| String::from_utf8_lossy(key), Into::into);
        let sealed = self.keys.key(&entity.event, &whose).map(|with| {
            let mut beside = Vec::with_capacity(entity.event.len() + personal.len() + 32);
            put(&mut beside, entity.event.as_bytes());
            put(&mut beside, named.unwrap_or_default().as_bytes());
            beside.extend_from_slice(&with.seal(&body, &personal));
            beside
        });
        Some(Sealed { body, sealed })
    }
}

/// What parts of a checkpoint are bound to: none is taken for a record's.
const CHECKPOINT: &[u8] = b"checkpoint";

impl Sealing {
    fn key_of(&self, owner: Owner<'_>) -> Option<Key> {
        match owner {
            Owner::Entity(entity, key) => self.keys.key(&self.model.entities[entity].event, key),
            // No kind's name is empty.
            Owner::Nobody(text) => self.keys.key("", text),
        }
    }
}

impl Vault for Sealing {
    fn seal(&self, owner: Owner<'_>, plain: &[u8]) -> Option<Vec<u8>> {
        Some(self.key_of(owner)?.seal(CHECKPOINT, plain))
    }

    fn open(&self, owner: Owner<'_>, sealed: &[u8]) -> Option<Vec<u8>> {
        Some(self.key_of(owner)?.open(CHECKPOINT, sealed)?.to_vec())
    }
}

impl Seals for Sealing {
    fn open(&self, key: &[u8], body: &[u8], sealed: &[u8]) -> Opened {
        let mut rest = sealed;
        let (Some(entity), Some(named)) = (take(&mut rest), take(&mut rest)) else { return Opened::Damaged };
        let whose = if named.is_empty() { String::from_utf8_lossy(key) } else { named.into() };
        let Some(with) = self.keys.key(entity, &whose) else { return Opened::Gone };
        let personal = with.open(body, rest);
        match personal.and_then(|personal| personal::restore(body, &personal)) {
            Some(event) => Opened::Whole(event),
            None => Opened::Damaged,
        }
    }

    fn seal_anew(&self, record: &LogRecord<'_>) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let opened = match record.sealed.map(|sealed| Seals::open(self, record.key, record.bytes, sealed)) {
            Some(Opened::Whole(event)) => Some(event),
            Some(Opened::Damaged) => return None,
            // What is missing stays so; and of what is left some may be somebody's own by now.
            Some(Opened::Gone) | None => None,
        };
        let Sealed { body, sealed } = self.seal(record.key, opened.as_deref().unwrap_or(record.bytes))?;
        (body != record.bytes || sealed.as_deref() != record.sealed).then_some((body, sealed))
    }
}

fn put(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u32).to_be_bytes());
    out.extend_from_slice(text);
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (text, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}
