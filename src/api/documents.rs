//! Where a request's document comes from: its own text, a hash that stands for a text that was sent before (automatic persisted
//! queries), or an id of one that is known from the start. What was read is kept, the ones asked for again longest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::coerce::Variables;
use super::document::{Document, operations};
use super::error::ApiError;
use super::schema::Schema;
use crate::limits::{DOCUMENTS_BYTES_MAX, Limits, PERSISTED_BYTES_MAX};
use crate::model::Model;
use crate::query::BAD_USER_INPUT;

const PERSISTED_QUERY_NOT_FOUND: &str = "PERSISTED_QUERY_NOT_FOUND";
const DOCUMENT_NOT_FOUND: &str = "DOCUMENT_NOT_FOUND";
const DOCUMENT_REQUIRED: &str = "DOCUMENT_REQUIRED";

/// Bytes in memory for each byte of a document: its syntax tree with types, and its plans. Measured: 45 to 67, with 3,000 variants of a
/// document of 230 bytes each.
const BYTES_A_BYTE: u64 = 70;

/// What a request names its document by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Text(String),
    /// The SHA-256 of a text, in hex, and the text where the client sends it.
    Hash(String, Option<String>),
    /// `documentId`.
    Id(String),
}

impl Source {
    /// The text, where the request has it.
    pub fn text(&self) -> Option<&str> {
        match self {
            Source::Text(text) => Some(text),
            Source::Hash(_, text) => text.as_deref(),
            Source::Id(_) => None,
        }
    }
}

/// All documents.
pub struct Documents {
    /// Read, by operation and text.
    read: Cache<Box<str>, Arc<Document>, ByLength>,
    /// By hash.
    persisted: Cache<Box<str>, Arc<str>, ByLength>,
    trusted: Trusted,
}

/// The documents that are known from the start.
#[derive(Default)]
pub struct Trusted {
    /// By id, and by the hash of its text.
    by_id: HashMap<Box<str>, Arc<str>>,
    texts: HashSet<Arc<str>>,
    /// Whether nothing else is answered.
    only: bool,
    /// Their operations, read: they are never dropped.
    read: HashMap<Box<str>, Arc<Document>>,
}

impl Trusted {
    /// Reads documents, each with its id and where it stands. The error has a line for each that the schema does not fit.
    pub fn new<'a>(
        schema: &Schema,
        model: &Model,
        limits: &Limits,
        known: impl IntoIterator<Item = (Option<&'a str>, &'a str, &'a str)>,
        only: bool,
    ) -> Result<Trusted, Vec<String>> {
        let (mut trusted, mut faults) = (Trusted { only, ..Trusted::default() }, Vec::new());
        for (id, text, place) in known {
            let mut read = Vec::new();
            let fault = |errors: Vec<ApiError>| {
                let told = errors.iter().map(|error| {
                    let at =
                        error.locations.first().map_or(String::new(), |(line, column)| format!(":{line}:{column}"));
                    format!("{place}{at}: [documents]: {}", error.message.trim_end())
                });
                told.collect::<Vec<String>>()
            };
            match operations(schema, limits, text) {
                Ok(names) => {
                    for name in names {
                        let document = Document::read(schema, limits, text, name.as_deref(), &Variables::new());
                        match document.and_then(|document| document.compile(schema, model).map(|()| document)) {
                            Ok(document) => read.push((key(text, name.as_deref()), Arc::new(document))),
                            Err(errors) => faults.extend(fault(errors)),
                        }
                    }
                }
                Err(errors) => faults.extend(fault(errors)),
            }
            // Of a document with one operation a request need not say which.
            if let [(_, document)] = &read[..] {
                read.push((key(text, None), document.clone()));
            }
            trusted.read.extend(read);
            let text: Arc<str> = text.into();
            let ids = id.map(Box::from).into_iter().chain([hash(&text).into()]);
            for id in ids {
                if let Some(other) = trusted.by_id.insert(id, text.clone()).filter(|other| *other != text) {
                    let begun: String = other.chars().take(40).collect();
                    faults.push(format!("{place}: [documents]: its id is another document's too: {begun:?}…"));
                }
            }
            trusted.texts.insert(text);
        }
        if faults.is_empty() { Ok(trusted) } else { Err(faults) }
    }
}

#[derive(Clone)]
struct ByLength;

impl Weighter<Box<str>, Arc<Document>> for ByLength {
    fn weight(&self, key: &Box<str>, _: &Arc<Document>) -> u64 {
        BYTES_A_BYTE * (key.len() as u64 + 64)
    }
}

impl Weighter<Box<str>, Arc<str>> for ByLength {
    fn weight(&self, key: &Box<str>, text: &Arc<str>) -> u64 {
        (key.len() + text.len()) as u64
    }
}

/// An operation's name is no part of a document, so that no two keys are the same.
fn key(text: &str, operation: Option<&str>) -> Box<str> {
    [operation.unwrap_or_default(), "\0", text].concat().into()
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Documents {
    pub fn new(trusted: Trusted) -> Documents {
        Documents {
            read: Cache::with_weighter(1_000, DOCUMENTS_BYTES_MAX as u64, ByLength),
            persisted: Cache::with_weighter(1_000, PERSISTED_BYTES_MAX as u64, ByLength),
            trusted,
        }
    }

    /// The text of a request's document.
    pub fn text(&self, source: &Source) -> Result<Arc<str>, ApiError> {
        let required =
            || ApiError::new(DOCUMENT_REQUIRED, "only known documents are answered: name one by `documentId`");
        match source {
            Source::Text(text) => match self.trusted.texts.get(text.as_str()) {
                Some(known) => Ok(known.clone()),
                None if self.trusted.only => Err(required()),
                None => Ok(text.as_str().into()),
            },
            Source::Id(id) => {
                let id = id.strip_prefix("sha256:").unwrap_or(id);
                self.trusted
                    .by_id
                    .get(id)
                    .cloned()
                    .ok_or_else(|| ApiError::new(DOCUMENT_NOT_FOUND, "no document is known by this `documentId`"))
            }
            Source::Hash(given, text) => {
                if let Some(known) = self.trusted.by_id.get(given.as_str()) {
                    return Ok(known.clone());
                }
                match text {
                    _ if self.trusted.only => Err(required()),
                    None => self.persisted.get(given.as_str()).ok_or_else(|| {
                        // Some clients compare the message, to the letter.
                        ApiError::new(PERSISTED_QUERY_NOT_FOUND, "PersistedQueryNotFound")
                    }),
                    Some(text) if hash(text).eq_ignore_ascii_case(given) => {
                        let text: Arc<str> = text.as_str().into();
                        self.persisted.insert(given.as_str().into(), text.clone());
                        Ok(text)
                    }
                    Some(_) => {
                        let message = "`sha256Hash` is not the hash of `query`: its SHA-256 in hex is wanted";
                        Err(ApiError::new(BAD_USER_INPUT, message))
                    }
                }
            }
        }
    }

    pub fn get(&self, text: &str, operation: Option<&str>) -> Option<Arc<Document>> {
        let key = key(text, operation);
        self.trusted.read.get(&key).cloned().or_else(|| self.read.get(&key))
    }

    /// Reads a document and keeps it.
    pub fn read(
        &self,
        schema: &Schema,
        limits: &Limits,
        text: &str,
        operation: Option<&str>,
        given: &Variables,
    ) -> Result<Arc<Document>, Vec<ApiError>> {
        let document = Arc::new(Document::read(schema, limits, text, operation, given)?);
        self.read.insert(key(text, operation), document.clone());
        Ok(document)
    }
}
