//! A client of a schema registry that speaks Confluent's API, and the schemas that it has seen.
//!
//! A schema's id never changes its meaning, so what was fetched is kept for good. That an id is unknown or its schema no
//! schema is kept for a while only, since somebody may mend it; that the registry is away is not kept, unless it took long to
//! say so. Whoever reads a log never waits long for it: an answer that is slow is awaited by another thread.

mod client;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::{EncodingError, avro, protobuf};
use client::Client;

/// How long it is remembered that an id has no schema.
const BAD_FOR: Duration = Duration::from_secs(10);
/// Ids that may be remembered so: records with ids made up must not fill the memory.
const BAD_IDS_MAX: usize = 1_024;
/// How long a fetch is waited for: other topics of the same reader wait too.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long it is remembered that the registry did not answer in that time, and why.
const AWAY_FOR: Duration = Duration::from_secs(5);
/// Fetches under way at once.
const FETCHES_MAX: usize = 4;
/// Schemas that one may name, those included that they name.
const REFERENCES_MAX: usize = 256;
/// How long a chain of references may be.
const CHAIN_MAX: usize = 16;

/// A registry and what is known of it. Shared among the reader threads.
#[derive(Debug)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    known: RwLock<HashMap<u32, Known>>,
}

#[derive(Debug)]
enum Known {
    Schema(Arc<Schema>),
    Bad {
        error: EncodingError,
        until: Instant,
    },
    /// A fetch is under way.
    Asked,
    Away {
        error: EncodingError,
        until: Instant,
    },
}

/// A schema, compiled.
#[derive(Debug)]
pub struct Schema {
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Avro(avro::Schema),
    Protobuf(protobuf::Schema),
    /// Of a type that nothing is decoded by, such as `JSON`.
    Other(String),
}

impl Kind {
    pub(super) fn name(&self) -> &str {
        match self {
            Kind::Avro(_) => "Avro",
            Kind::Protobuf(_) => "Protobuf",
            Kind::Other(name) => name,
        }
    }
}

/// An answer to `/schemas/ids/…` or `/subjects/…/versions/…`. What is not needed is not named.
#[derive(Deserialize)]
struct Answer {
    schema: String,
    /// Absent for Avro.
    #[serde(rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
}

#[derive(Deserialize)]
struct Reference {
    /// For Protobuf the path that the file imports, for Avro a type's full name.
    name: String,
    subject: String,
    version: i64,
}

/// A schema that another names: its text under the name that it is known by there.
pub(super) struct Referenced {
    pub(super) name: String,
    pub(super) text: String,
}

impl Registry {
    /// A registry at a URL such as `https://user:password@registry:8081/apis/ccompat/v7`. Nothing is asked of it yet. The
    /// error says what is wrong with the URL, and does not repeat it.
    pub fn new(url: &str) -> Result<Registry, String> {
        Ok(Registry(Arc::new(Inner { client: Client::new(url)?, known: RwLock::default() })))
    }

    /// Forgets that some ids have no schema, or a wrong one: they are asked for again.
    pub fn forget_bad(&self) {
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, known| matches!(known, Known::Schema(_) | Known::Asked));
    }

    /// The schema of an id, fetched if it is not known yet. It is away while a fetch takes long, and is to be asked for again.
    pub fn schema(&self, id: u32) -> Result<Arc<Schema>, EncodingError> {
        if let Some(known) = self.0.known(&self.0.known.read().unwrap_or_else(PoisonError::into_inner), id) {
            return known;
        }
        {
            let mut all = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = self.0.known(&all, id) {
                return known;
            }
            if all.values().filter(|known| matches!(known, Known::Asked)).count() >= FETCHES_MAX {
                return Err(self.0.client.away("has other questions to answer first"));
            }
            all.insert(id, Known::Asked);
        }
        let (settled, fetched) = mpsc::sync_channel(1);
        let inner = self.0.clone();
        let asks = move || drop(settled.send(inner.fetch_and_keep(id, Instant::now())));
        if let Err(error) = std::thread::Builder::new().name("schemas".into()).spawn(asks) {
            self.0.forget(id);
            return Err(self.0.client.away(&format!("cannot be asked: no thread: {error}")));
        }
        fetched.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(self.0.client.slow()))
    }
}

impl Inner {
    /// What is known of an id; none where it is to be fetched.
    fn known(&self, known: &HashMap<u32, Known>, id: u32) -> Option<Result<Arc<Schema>, EncodingError>> {
        match known.get(&id)? {
            Known::Schema(schema) => Some(Ok(schema.clone())),
            Known::Bad { error, until } | Known::Away { error, until } => {
                (Instant::now() < *until).then(|| Err(error.clone()))
            }
            Known::Asked => Some(Err(self.client.slow())),
        }
    }

    fn forget(&self, id: u32) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Fetches a schema, and keeps what came of it.
    fn fetch_and_keep(&self, id: u32, asked_at: Instant) -> Result<Arc<Schema>, EncodingError> {
        let fetched = self.fetch(id).map(Arc::new);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.remove(&id);
        let now = Instant::now();
        match &fetched {
            Ok(schema) => _ = known.insert(id, Known::Schema(schema.clone())),
            Err(error) if error.is_away() => {
                // Said at once, it costs nobody anything to ask again.
                if now.duration_since(asked_at) >= PATIENCE {
                    known.insert(id, Known::Away { error: error.clone(), until: now + AWAY_FOR });
                }
            }
            Err(error) => {
                if known.len() >= BAD_IDS_MAX {
                    known.retain(|_, known| {
                        !matches!(known, Known::Bad { until, .. } | Known::Away { until, .. } if *until <= now)
                    });
                }
                let bad = known.values().filter(|known| matches!(known, Known::Bad { .. })).count();
                if bad < BAD_IDS_MAX {
                    known.insert(id, Known::Bad { error: error.clone(), until: now + BAD_FOR });
                }
            }
        }
        fetched
    }

    fn fetch(&self, id: u32) -> Result<Schema, EncodingError> {
        let answer: Answer = self.client.get(&["schemas", "ids", &id.to_string()])?;
        let mut references = References { client: &self.client, seen: HashSet::new(), found: Vec::new() };
        references.follow(answer.references.as_deref().unwrap_or_default(), 0)?;
        let found = references.found;
        let kind = match answer.kind.as_deref() {
            None | Some("AVRO") => {
                let texts: Vec<&str> = found.iter().map(|referenced| referenced.text.as_str()).collect();
                avro::Schema::parse(&answer.schema, &texts).map(Kind::Avro)
            }
            Some("PROTOBUF") => protobuf::Schema::parse(&answer.schema, &found).map(Kind::Protobuf),
            Some(other) => Ok(Kind::Other(other.to_owned())),
        };
        let kind = kind.map_err(|error| EncodingError::bad(format!("schema {id} cannot be used: {error}")))?;
        Ok(Schema { kind })
    }
}

/// Follows references, so that each schema stands behind those that it needs.
struct References<'a> {
    client: &'a Client,
    /// By subject, version and the name that it goes by.
    seen: HashSet<(String, i64, String)>,
    found: Vec<Referenced>,
}

impl References<'_> {
    fn follow(&mut self, references: &[Reference], depth: usize) -> Result<(), EncodingError> {
        for reference in references {
            let Reference { name, subject, version } = reference;
            if !self.seen.insert((subject.clone(), *version, name.clone())) {
                continue;
            }
            if depth == CHAIN_MAX || self.seen.len() > REFERENCES_MAX {
                return Err(EncodingError::bad(format!(
                    "the schema names more than {REFERENCES_MAX} others, or more than {CHAIN_MAX} in a chain"
                )));
            }
            let answer: Answer = self.client.get(&["subjects", subject, "versions", &version.to_string()])?;
            self.follow(answer.references.as_deref().unwrap_or_default(), depth + 1)?;
            self.found.push(Referenced { name: name.clone(), text: answer.schema });
        }
        Ok(())
    }
}
