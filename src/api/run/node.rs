//! Entities.

use serde_json::Value as Json;

use super::{At, Run, Written};
use crate::api::freshness::AnswerFreshness;
use crate::api::json;
use crate::api::operations::{dead_letter, event_ref};
use crate::api::plan::{Fields, OfAny, OfNode, OfParts};
use crate::graph::Node;
use crate::ids::{EntityId, FieldId, NodeId};
use crate::model::cell::Cell;
use crate::query::{QueryError, Source};

impl<'r> Run<'r> {
    /// A node of an entity that is known now.
    pub(super) fn any(&mut self, of: &'r OfAny, id: NodeId, at: &At<'_>) -> Written {
        self.node(&of[id.entity], id, at)
    }

    pub(super) fn node(&mut self, fields: &'r Fields<OfNode>, id: NodeId, at: &At<'_>) -> Written {
        self.reading.step()?;
        self.reading.bytes(self.out.len())?;
        let node = self.reading.node(id);
        self.object(fields, at, |run, what, at| run.of_node(what, id, &node, at))
    }

    fn of_node(&mut self, what: &'r OfNode, id: NodeId, node: &Node<'r>, at: &At<'_>) -> Written {
        let described = &self.reading.model().entities[id.entity];
        match what {
            OfNode::Typename(entity) => self.typename(*entity),
            OfNode::Id => {
                // A name of the schema's needs no escapes; a key may.
                let start = self.out.len();
                self.text(node.key())?;
                let id = [described.name.as_bytes(), b":"].concat();
                self.out.splice(start + 1..start + 1, id);
                Ok(())
            }
            OfNode::Key => self.text(node.key()),
            OfNode::Completeness => self.name(node.completeness().name()),
            OfNode::MissingVersions => self.list(node.missing(), at, |run, version, _| run.number(version)),
            OfNode::Breaches => {
                self.list(node.breaches(described), at, |run, check, _| run.text(&described.checks[check].text))
            }
            OfNode::Rejected(of) => {
                let letters: Vec<Json> = self.request.context.rejected(id).map(dead_letter).collect();
                self.list(&letters, at, |run, letter, at| run.value(of, letter, at))
            }
            OfNode::LastEvent(of) => match node.last_event() {
                Some(event) => self.value(of, &event_ref(&event), at),
                None => self.null(),
            },
            OfNode::Attributes => {
                if described.has_personal && !self.reading.rights.sees_personal() {
                    return Err(QueryError::forbidden("attributes").into());
                }
                self.attributes(node)
            }
            OfNode::Freshness(of) => {
                let freshness = AnswerFreshness::of_part(self.request.context, &[described.domain]);
                self.value(of, &freshness, at)
            }
            OfNode::Value { field, personal } => {
                self.may_read(*personal, id.entity, *field)?;
                let kind = &described.fields[*field].kind;
                json::cell(&mut self.out, node.value(*field), kind, self.reading.model());
                Ok(())
            }
            OfNode::Parts { field, personal, of } => {
                self.may_read(*personal, id.entity, *field)?;
                match node.value(*field) {
                    Cell::Null => self.null(),
                    cell => self.object(of, at, |run, what, _| run.part(what, cell)),
                }
            }
            OfNode::Link { field, entity, of } => match self.reading.follow(node, *field, *entity)? {
                Some(target) => self.node(of, target, at),
                None => self.null(),
            },
            OfNode::Reverse { reverse, many } => self.many(many, Source::Reverse { of: id, reverse: *reverse }, at),
        }
    }

    pub(super) fn typename(&mut self, entity: EntityId) -> Written {
        let model = self.reading.model();
        self.name(&model.entities[entity].name)
    }

    fn may_read(&self, personal: bool, entity: EntityId, field: FieldId) -> Result<(), QueryError> {
        match personal && !self.reading.rights.sees_personal() {
            true => Err(QueryError::forbidden(&self.reading.model().entities[entity].fields[field].name)),
            false => Ok(()),
        }
    }

    fn attributes(&mut self, node: &Node<'_>) -> Written {
        let start = self.out.len();
        self.out.push(b'{');
        for (name, text) in node.attributes() {
            if self.out.len() > start + 1 {
                self.out.push(b',');
            }
            self.text(name)?;
            self.out.push(b':');
            self.out.extend_from_slice(text.as_bytes());
        }
        if self.out.len() == start + 1 {
            self.out.truncate(start);
            return self.null();
        }
        self.out.push(b'}');
        Ok(())
    }

    fn part(&mut self, what: &OfParts, cell: Cell<'_>) -> Written {
        match (what, cell) {
            (OfParts::Typename(name), _) => return self.name(name),
            (OfParts::Minor, Cell::Money(money)) => json::integer(&mut self.out, money.minor),
            (OfParts::Currency, Cell::Money(money)) => return self.name(money.currency()),
            (OfParts::Lat, Cell::GeoPoint(point)) => json::float(&mut self.out, point.lat),
            (OfParts::Lon, Cell::GeoPoint(point)) => json::float(&mut self.out, point.lon),
            _ => return self.null(),
        }
        Ok(())
    }
}
