//! Values that are JSON already, and the schema's own parts.

use serde_json::Value as Json;

use super::{At, Run, Written};
use crate::api::introspect::{Part, Told};
use crate::api::plan::{Fields, OfMeta, OfValue};

impl<'r> Run<'r> {
    /// What is selected of a value: of each item of a list.
    pub(super) fn value(&mut self, fields: &'r Fields<OfValue>, value: &Json, at: &At<'_>) -> Written {
        match value {
            Json::Array(items) if !fields.is_empty() => {
                self.list(items, at, |run, item, at| run.value(fields, item, at))
            }
            Json::Object(_) if !fields.is_empty() => {
                self.object(fields, at, |run, what, at| run.of_value(what, value, at))
            }
            leaf => {
                self.reading.step()?;
                super::super::json::value(&mut self.out, leaf);
                Ok(())
            }
        }
    }

    pub(super) fn of_value(&mut self, what: &'r OfValue, value: &Json, at: &At<'_>) -> Written {
        match what {
            OfValue::Typename(name) => self.name(name),
            OfValue::Member { name, of } => self.value(of, value.get(&**name).unwrap_or(&Json::Null), at),
        }
    }

    pub(super) fn meta(&mut self, fields: &'r Fields<OfMeta>, part: &Part<'_>, at: &At<'_>) -> Written {
        self.object(fields, at, |run, what, at| {
            run.reading.step()?;
            match what {
                OfMeta::Typename(name) => run.name(name),
                OfMeta::Member { name, of } => match part.member(name) {
                    Told::Leaf(leaf) => {
                        super::super::json::value(&mut run.out, &leaf);
                        Ok(())
                    }
                    Told::Part(None) | Told::Parts(None) => run.null(),
                    Told::Part(Some(part)) => run.meta(of, &part, at),
                    Told::Parts(Some(parts)) => run.list(&parts, at, |run, part, at| run.meta(of, part, at)),
                },
            }
        })
    }
}
