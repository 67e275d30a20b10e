//! Documents that were read already, the ones asked for again kept longest.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::coerce::Variables;
use super::document::Document;
use super::error::ApiError;
use super::schema::Schema;
use crate::limits::{DOCUMENTS_BYTES_MAX, Limits};

/// Bytes in memory for each byte of a document: its syntax tree with types, and its plans. Measured with the demo's queries.
const BYTES_A_BYTE: u64 = 40;

/// Documents by operation and text.
pub struct Documents(Cache<Box<str>, Arc<Document>, ByLength>);

#[derive(Clone)]
struct ByLength;

impl Weighter<Box<str>, Arc<Document>> for ByLength {
    fn weight(&self, key: &Box<str>, _: &Arc<Document>) -> u64 {
        BYTES_A_BYTE * (key.len() as u64 + 64)
    }
}

impl Default for Documents {
    fn default() -> Documents {
        Documents(Cache::with_weighter(1_000, DOCUMENTS_BYTES_MAX as u64, ByLength))
    }
}

/// An operation's name is no part of a document, so that no two keys are the same.
fn key(text: &str, operation: Option<&str>) -> Box<str> {
    [operation.unwrap_or_default(), "\0", text].concat().into()
}

impl Documents {
    pub fn get(&self, text: &str, operation: Option<&str>) -> Option<Arc<Document>> {
        self.0.get(&key(text, operation))
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
        self.0.insert(key(text, operation), document.clone());
        Ok(document)
    }
}
