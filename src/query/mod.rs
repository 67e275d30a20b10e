//! Questions over one version of the graph: filters, orders, pages. `plan` alone chooses among indexes.
//!
//! Input is GraphQL's, already coerced, as JSON; output is slots. What is read is reported to a [`Reading`], which keeps
//! the domains that an answer touched and the work that it may do.

mod candidates;
mod cursor;
mod filter;
mod input;
mod order;
mod page;
mod plan;
mod ranged;
mod reading;
mod rows;
mod search;
mod spans;
mod walk;

use std::fmt;

pub use cursor::Seal;
pub use filter::{Filter, Quantifier};
pub use input::read as read_filter;
pub use order::{Order, Term};
pub use page::{Arguments, PAGE_DEFAULT, PAGE_MAX, Page, Source, page, page_and_total, total};
pub use reading::Reading;
pub use rows::{Rows, Sight};
pub use search::{Hit, search};

/// Why a question is refused, with the code that a client sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    pub code: &'static str,
    pub message: String,
}

pub const BAD_USER_INPUT: &str = "BAD_USER_INPUT";
pub const FORBIDDEN: &str = "FORBIDDEN";
pub const QUERY_TIMEOUT: &str = "QUERY_TIMEOUT";
pub const QUERY_TOO_COMPLEX: &str = "QUERY_TOO_COMPLEX";

impl QueryError {
    pub fn bad_input(message: impl Into<String>) -> QueryError {
        QueryError { code: BAD_USER_INPUT, message: message.into() }
    }

    pub fn forbidden(field: &str) -> QueryError {
        QueryError { code: FORBIDDEN, message: format!("`{field}` is personal data, which this request may not read") }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
