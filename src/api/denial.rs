//! What is not for who asks, refused before anything is read.

use std::ops::Range;

use apollo_compiler::parser::LineColumn;

use super::document::Document;
use super::error::{ApiError, FORBIDDEN, UNAUTHENTICATED};
use super::execute::{Answer, Api, Outcome};
use super::plan::Plan;
use crate::rights::{Rights, Scope, Who};

impl Api {
    /// A refusal of the first root field that is not for who asks.
    pub(super) fn denial(&self, rights: &Rights, document: &Document, plan: &Plan) -> Option<Answer> {
        let may = |scopes: &[Scope]| scopes.iter().any(|scope| rights.may(*scope));
        let field = plan.root.iter().find(|field| !may(field.what.needs()))?;
        let (needs, place) = (field.what.needs(), field.place);
        let place = place.and_then(|span| span.line_column_range(&document.document.sources));
        Some(self.denied(rights, &rights.lacks(&format!("`{}`", field.name()), needs), needs, place))
    }

    /// A refusal of who lacks a scope: one of these. Nothing of the graph or its freshness is in it.
    pub fn denied(
        &self,
        rights: &Rights,
        message: &str,
        needs: &'static [Scope],
        place: Option<Range<LineColumn>>,
    ) -> Answer {
        let code = if rights.who == Who::Anonymous { UNAUTHENTICATED } else { FORBIDDEN };
        let mut error = ApiError::new(code, message).at(place);
        error.extensions.push(("scopes", needs.iter().map(|scope| scope.name()).collect()));
        Answer { lacks: needs, ..self.kept_out(error) }
    }

    /// A refusal of who has no credential, or one that is none.
    pub fn unauthenticated(&self, message: &str) -> Answer {
        self.kept_out(ApiError::new(UNAUTHENTICATED, message))
    }

    fn kept_out(&self, error: ApiError) -> Answer {
        Answer { outcome: Outcome::Denied, ..self.refusal(&self.generation.pin(), &[error], &[]) }
    }
}
