//! The fields of `Query`.

use serde_json::{Value as Json, json};

use super::{At, ROOT, Run, Written};
use crate::api::introspect::Part;
use crate::api::operations;
use crate::api::plan::{Call, Fields, OfAny, OfProjection, OfQuery};
use crate::ids::NodeId;
use crate::limits::ITEMS_MAX;
use crate::query::{PAGE_DEFAULT, PAGE_MAX, QueryError, Source};

impl<'r> Run<'r> {
    pub(super) fn query(&mut self, fields: &'r Fields<OfQuery>) -> Written {
        self.object(fields, &ROOT, |run, what, at| run.of_query(what, at))
    }

    fn of_query(&mut self, what: &'r OfQuery, at: &At<'_>) -> Written {
        let context = self.request.context;
        match what {
            OfQuery::Typename => self.name("Query"),
            OfQuery::Node { call, of } => {
                let given = self.arguments(call)?;
                let id = given.get("id").and_then(Json::as_str).unwrap_or_default();
                self.found(of, self.by_id(id)?, at)
            }
            OfQuery::Nodes { call, of } => {
                self.all_found(call, "ids", of, at, |run, id| run.by_id(id.as_str().unwrap_or_default()))
            }
            OfQuery::Entities { call, of } => self.all_found(call, "representations", of, at, Run::represented),
            OfQuery::One { entity, call, of } => {
                let given = self.arguments(call)?;
                let key = given.get("key").and_then(Json::as_str).unwrap_or_default();
                match self.reading.find(*entity, key)? {
                    Some(node) => self.node(of, node, at),
                    None => self.null(),
                }
            }
            OfQuery::Many(many) => self.many(many, Source::All, at),
            OfQuery::Search { call, of } => self.search(call, of, at),
            OfQuery::Paths { call, of } => self.paths(call, of, at),
            OfQuery::Freshness { call, of } => {
                let domains = operations::domains_named(context, &self.arguments(call)?)?;
                self.value(of, &operations::domains(context, &domains)?, at)
            }
            OfQuery::Projection(of) => {
                let projection = operations::projection(context)?;
                self.object(of, at, |run, what, at| match what {
                    OfProjection::Value(what) => run.of_value(what, &projection, at),
                    OfProjection::Digest(of) => run.value(of, &operations::digest(context)?, at),
                    OfProjection::DeadLetters { call, of } => {
                        let given = run.arguments(call)?;
                        let first = super::explore::number(&given, "first", PAGE_DEFAULT, PAGE_MAX)?;
                        let letters = operations::dead_letters(context, &given, first)?;
                        run.value(of, &letters, at)
                    }
                })
            }
            OfQuery::Catalog(of) => self.value(of, operations::catalog(context)?, at),
            OfQuery::Service(of) => self.value(of, &json!({ "sdl": &*self.request.schema.subgraph }), at),
            OfQuery::Schema(of) => self.meta(of, &Part::Schema(&self.request.schema.types), at),
            OfQuery::Type { call, of } => {
                let given = self.arguments(call)?;
                let name = given.get("name").and_then(Json::as_str).unwrap_or_default();
                match Part::named(&self.request.schema.types, name) {
                    Some(part) => self.meta(of, &part, at),
                    None => self.null(),
                }
            }
        }
    }

    /// The node of a global id.
    fn by_id(&self, id: &str) -> Result<Option<NodeId>, QueryError> {
        let Some((name, key)) = id.split_once(':') else { return Ok(None) };
        let Some(entity) = self.reading.model().entity_named(name) else { return Ok(None) };
        self.reading.find(entity, key)
    }

    /// The node that a federation's gateway means.
    fn represented(&self, representation: &Json) -> Result<Option<NodeId>, QueryError> {
        let text = |name: &str| representation.get(name).and_then(Json::as_str);
        let entity = text("__typename").and_then(|name| self.reading.model().entity_named(name));
        let (Some(entity), Some(key)) = (entity, text("key")) else {
            let message = "each of `representations` names an entity of the model by `__typename` and `key`";
            return Err(QueryError::bad_input(message));
        };
        self.reading.find(entity, key)
    }

    fn found(&mut self, of: &'r OfAny, found: Option<NodeId>, at: &At<'_>) -> Written {
        match found {
            Some(node) => self.any(of, node, at),
            None => self.null(),
        }
    }

    /// Those that are there, and null for the others.
    fn all_found(
        &mut self,
        call: &'r Call,
        name: &str,
        of: &'r OfAny,
        at: &At<'_>,
        find: impl Fn(&Run<'r>, &Json) -> Result<Option<NodeId>, QueryError>,
    ) -> Written {
        let given = self.arguments(call)?;
        let wanted = given.get(name).and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        if wanted.len() > ITEMS_MAX {
            let message = format!("`{name}` has {} members, and at most {ITEMS_MAX} are taken", wanted.len());
            return Err(QueryError::bad_input(message).into());
        }
        self.out.push(b'[');
        for (index, wanted) in wanted.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            let (at, length) = (at.item(index), self.out.len());
            let found = find(self, wanted).map_err(super::Stop::from);
            if let Err(stop) = found.and_then(|found| self.found(of, found, &at)) {
                self.take_back(stop, true, length, &at)?;
            }
        }
        self.out.push(b']');
        Ok(())
    }
}
