//! `search` and `paths`.

use serde_json::{Map, Value as Json};

use super::{At, Run, Written};
use crate::api::plan::{Call, Fields, OfHit, OfPath, OfStep};
use crate::api::schema::{link_name, links};
use crate::graph::{Bounds, Hop, Path};
use crate::ids::{EntityId, FieldId, NodeId};
use crate::model::constant_name;
use crate::query::{Hit, PAGE_DEFAULT, PAGE_MAX, QueryError, search};

/// Hops of a path where `maxHops` is not given, and the most that may be asked for.
const HOPS_DEFAULT: usize = 6;
const HOPS_MAX: usize = 12;
/// Paths where `first` is not given.
const PATHS_DEFAULT: usize = 10;

/// One step of a path, as the link lies: from who names to whom is named.
struct Step {
    hop: Hop,
    from: NodeId,
    to: NodeId,
}

impl<'r> Run<'r> {
    pub(super) fn search(&mut self, call: &'r Call, of: &'r Fields<OfHit>, at: &At<'_>) -> Written {
        let given = self.arguments(call)?;
        let model = self.reading.model();
        let first = number(&given, "first", PAGE_DEFAULT, PAGE_MAX)?;
        let wanted = given.get("kinds").and_then(Json::as_array);
        let is_wanted = |entity: &EntityId| {
            let name = constant_name(&model.entities[*entity].name);
            wanted.is_none_or(|wanted| wanted.iter().any(|kind| *kind == name))
        };
        let kinds: Vec<EntityId> = model.entities.ids().filter(is_wanted).collect();
        let text = given.get("text").and_then(Json::as_str).unwrap_or_default();
        let hits = search(self.reading, text, &kinds, first)?;
        self.list(&hits, at, |run, hit, at| run.object(of, at, |run, what, at| run.of_hit(what, hit, at)))
    }

    fn of_hit(&mut self, what: &'r OfHit, hit: &Hit, at: &At<'_>) -> Written {
        match what {
            OfHit::Typename => self.name("SearchHit"),
            OfHit::Node(of) => self.any(of, hit.node, at),
            OfHit::Score => {
                crate::api::json::float(&mut self.out, hit.score);
                Ok(())
            }
            OfHit::Fields => {
                let fields = &self.reading.model().entities[hit.node.entity].fields;
                self.list(&hit.fields, at, |run, field, _| run.name(&fields[*field].name))
            }
        }
    }

    pub(super) fn paths(&mut self, call: &'r Call, of: &'r Fields<OfPath>, at: &At<'_>) -> Written {
        let given = self.arguments(call)?;
        let found = self.between(&given)?;
        self.list(&found, at, |run, path, at| run.object(of, at, |run, what, at| run.of_path(what, path, at)))
    }

    fn between(&self, given: &Map<String, Json>) -> Result<Vec<Path>, QueryError> {
        let model = self.reading.model();
        let hops_max = number(given, "maxHops", HOPS_DEFAULT, HOPS_MAX)?;
        let first = number(given, "first", PATHS_DEFAULT, PAGE_MAX)?;
        let wanted = given.get("via").and_then(Json::as_array);
        let is_wanted = |link: &(EntityId, FieldId)| {
            wanted.is_none_or(|wanted| wanted.iter().any(|name| *name == link_name(model, *link)))
        };
        let via: Vec<(EntityId, FieldId)> = links(model).into_iter().filter(is_wanted).collect();
        let (from, to) = (self.end(given, "from")?, self.end(given, "to")?);
        if first == 0 || via.is_empty() && from != to {
            return Ok(Vec::new());
        }
        let visited_max = self.request.context.visited_max;
        self.reading.paths(from, to, &Bounds { hops_max, visited_max, first, via: &via })
    }

    /// The node at an end of a path. The error repeats no key, which may be personal.
    fn end(&self, given: &Map<String, Json>, name: &str) -> Result<NodeId, QueryError> {
        let id = given.get(name).and_then(Json::as_str);
        let parts = id.and_then(|id| id.split_once(':'));
        let entity = parts.and_then(|(kind, _)| self.reading.model().entity_named(kind));
        let Some((entity, (kind, key))) = entity.zip(parts) else {
            return Err(QueryError::bad_input(format!("`{name}` is no id of the model's: write it as `Person:abc`")));
        };
        let there = self.reading.find(entity, key)?;
        there.ok_or_else(|| QueryError::bad_input(format!("`{name}` names a `{kind}` that is not there")))
    }

    fn of_path(&mut self, what: &'r OfPath, path: &Path, at: &At<'_>) -> Written {
        match what {
            OfPath::Typename => self.name("Path"),
            OfPath::Length => self.number(path.hops.len() as u64),
            OfPath::Nodes(of) => self.list(&path.nodes, at, |run, node, at| run.any(of, *node, at)),
            OfPath::Links(of) => {
                let steps = path.hops.iter().zip(&path.nodes).zip(&path.nodes[1..]).map(|((hop, a), b)| {
                    let (from, to) = if hop.forward { (*a, *b) } else { (*b, *a) };
                    Step { hop: *hop, from, to }
                });
                self.list(steps, at, |run, step, at| run.object(of, at, |run, what, at| run.of_step(what, &step, at)))
            }
        }
    }

    fn of_step(&mut self, what: &'r OfStep, step: &Step, at: &At<'_>) -> Written {
        match what {
            OfStep::Typename => self.name("PathLink"),
            OfStep::Kind => {
                let name = link_name(self.reading.model(), (step.hop.entity, step.hop.field));
                self.name(&name)
            }
            OfStep::From(of) => self.any(of, step.from, at),
            OfStep::To(of) => self.any(of, step.to, at),
            OfStep::Forward => self.truth(step.hop.forward),
        }
    }
}

/// An integer among arguments.
pub(super) fn number(given: &Map<String, Json>, name: &str, default: usize, most: usize) -> Result<usize, QueryError> {
    match given.get(name) {
        None | Some(Json::Null) => Ok(default),
        Some(given) => match given.as_u64() {
            Some(number) if number <= most as u64 => Ok(number as usize),
            _ => Err(QueryError::bad_input(format!("`{name}` is an integer from 0 to {most}"))),
        },
    }
}
