//! Errors as a client sees them: a code from one documented list, always.

use std::ops::Range;

use apollo_compiler::parser::LineColumn;
use serde_json::{Value as Json, json};

/// One error of a response.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    pub code: &'static str,
    pub message: String,
    /// Line and column, both from 1.
    pub locations: Vec<(usize, usize)>,
    pub path: Option<Json>,
    /// Members beside the code.
    pub extensions: Vec<(&'static str, Json)>,
}

impl ApiError {
    pub fn new(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { code, message: message.into(), locations: Vec::new(), path: None, extensions: Vec::new() }
    }

    /// Says where in the document it is, by the start of a range.
    pub fn at(mut self, range: Option<Range<LineColumn>>) -> ApiError {
        self.locations = range.map(|range| (range.start.line, range.start.column)).into_iter().collect();
        self
    }

    pub fn to_json(&self) -> Json {
        let mut error = json!({ "message": self.message });
        if !self.locations.is_empty() {
            let places = self.locations.iter().map(|(line, column)| json!({ "line": line, "column": column }));
            error["locations"] = places.collect();
        }
        if let Some(path) = &self.path {
            error["path"] = path.clone();
        }
        error["extensions"] = json!({ "code": self.code });
        for (name, value) in &self.extensions {
            error["extensions"][*name] = value.clone();
        }
        error
    }
}

pub const PARSE_FAILED: &str = "GRAPHQL_PARSE_FAILED";
pub const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
pub const NOT_FRESH_ENOUGH: &str = "NOT_FRESH_ENOUGH";
pub use crate::query::QUERY_TOO_COMPLEX as TOO_COMPLEX;
pub const TOO_DEEP: &str = "QUERY_TOO_DEEP";
pub const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
pub use crate::query::FORBIDDEN;
pub const OVERLOADED: &str = "OVERLOADED";
pub const INTERNAL: &str = "INTERNAL_SERVER_ERROR";
