//! Errors as a client sees them: a code from one documented list, always.

use async_graphql::ServerError;
use serde_json::{Value as Json, json};

use crate::query::QueryError;

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
pub const TOO_COMPLEX: &str = "QUERY_TOO_COMPLEX";
pub const TOO_DEEP: &str = "QUERY_TOO_DEEP";
pub const INTERNAL: &str = "INTERNAL_SERVER_ERROR";
/// Codes that resolvers set.
const FROM_RESOLVERS: [&str; 3] = [crate::query::BAD_USER_INPUT, crate::query::FORBIDDEN, crate::query::QUERY_TIMEOUT];

/// A resolver's error, its code under `extensions`.
pub fn of_query(error: QueryError) -> async_graphql::Error {
    use async_graphql::ErrorExtensions;
    async_graphql::Error::new(error.message).extend_with(|_, extensions| extensions.set("code", error.code))
}

/// An error of the executor's. What no resolver of ours said stays inside, since it may quote anything.
pub fn of_server(error: &ServerError) -> ApiError {
    let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
    let code = code.and_then(|code| match code {
        async_graphql::Value::String(code) => FROM_RESOLVERS.into_iter().find(|known| known == code),
        _ => None,
    });
    let mut shown = match code {
        Some(code) => ApiError::new(code, error.message.clone()),
        None => {
            tracing::error!(error = %error.message, "a query failed inside");
            ApiError::new(INTERNAL, "the query failed inside the service; its log says why")
        }
    };
    shown.locations = error.locations.iter().map(|place| (place.line, place.column)).collect();
    shown.path = (!error.path.is_empty()).then(|| serde_json::to_value(&error.path).unwrap_or_default());
    shown
}
