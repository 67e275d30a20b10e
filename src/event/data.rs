//! An event's data: a merge patch (RFC 7386, one level deep) of the entity's attributes, read strictly by the model.

use super::buffer::{Kept, Slot, StoredAction};
use super::envelope::Members;
use super::routes::{Happening, Route};
use super::tape::{Node, Span, Token};
use super::values::{self, ValueReader};
use super::{Code, Rejection};
use crate::ids::{FieldId, Id};
use crate::model::cell::Cell;
use crate::model::value::Instant;
use crate::model::{Effect, Entity, Model, Operands};

/// An event as far as its envelope says.
#[derive(Clone, Copy, Debug)]
pub struct Head<'e> {
    pub route: Route<'e>,
    pub key: &'e str,
    pub time: Instant,
}

/// Reads the event's patch and attributes, judges its checks, and says what it does.
pub fn read(
    members: &Members<'_>,
    root: Node<'_>,
    model: &Model,
    head: Head<'_>,
    kept: &mut Kept,
) -> Result<StoredAction, Rejection> {
    let entity = &model.entities[head.route.entity];
    if members.data_base64.is_some_and(|value| !value.is_null()) {
        return Err(Rejection::new(Code::BadField, "data_base64", "binary data is not taken: write JSON under `data`"));
    }
    if head.route.happening == Happening::Deleted {
        // Its data is ignored, whatever it is.
        return Ok(StoredAction::Delete);
    }
    let data = members.data.filter(|value| !value.is_null());
    if let Some(data) = data {
        let Token::Object { length, .. } = data.token() else {
            let message = format!("`data` must be an object, not {}", data.noun());
            return Err(Rejection::new(Code::BadField, "data", message));
        };
        if let Some(media_type) = members.datacontenttype.and_then(Node::text)
            && length > 0
            && !is_json(media_type)
        {
            let message = "`datacontenttype` must be JSON's: `application/json`, or one that ends in `+json`";
            return Err(Rejection::new(Code::BadField, "datacontenttype", message));
        }
    }
    let merges = head.route.happening == Happening::Merged;
    let start = kept.patch.len();
    // Producers tend to write the fields in the model's order: each is looked for from the one before on.
    let mut expected = FieldId(0);
    for (span, value) in data.iter().flat_map(|data| data.members()) {
        let name = root.spanned(span);
        if merges && name == "into" {
            continue;
        }
        match field_of(entity, name, expected) {
            Some(id) => {
                expected = FieldId(id.0 + 1);
                let field = &entity.fields[id];
                if field.derived.is_some() {
                    return Err(bad_field(name, "is derived from other fields, and no event may set it"));
                }
                let mut reader = ValueReader { model, personal: field.personal, kept: &mut *kept };
                let slot = reader.read(value, &field.kind).map_err(|why| bad_field(name, &why))?;
                kept.patch.push((id, slot));
            }
            None => {
                let value = value.write(&mut kept.made);
                kept.attributes.push((span, value));
            }
        }
    }
    let action = match head.route.happening {
        Happening::Merged => StoredAction::Merge(survivor(data, head.key)?),
        Happening::Erased => StoredAction::Erase,
        Happening::Changed | Happening::Deleted => StoredAction::Change,
    };
    judge(&Data { entity, start, kept, root })?;
    for effect in head.route.effects {
        let (field, slot) = match effect {
            Effect::Set { field, value } => (*field, Slot::Enum(*value)),
            Effect::OccurredAt { field } => (*field, Slot::DateTime(head.time)),
        };
        // Where the data name the field, they count, null included.
        if !kept.patch[start..].iter().any(|(known, _)| *known == field) {
            kept.patch.push((field, slot));
        }
    }
    Ok(action)
}

fn field_of(entity: &Entity, name: &str, expected: FieldId) -> Option<FieldId> {
    let (before, after) = entity.fields.split_at_checked(expected.index())?;
    let found = after.iter().position(|field| field.wire_name == name).map(|index| expected.index() + index);
    found.or_else(|| before.iter().position(|field| field.wire_name == name)).map(FieldId::of)
}

fn survivor(data: Option<Node<'_>>, key: &str) -> Result<Span, Rejection> {
    let refuse = |what: &str| Err(bad_field("into", what));
    let into = data.and_then(|data| data.get("into")).filter(|value| !value.is_null());
    let Some(into) = into else { return refuse("is missing: the key of the entity that survives") };
    if into.text() == Some(key) {
        return refuse("names the entity itself");
    }
    values::key(into).or_else(|why| refuse(&why))
}

fn bad_field(name: &str, what: &str) -> Rejection {
    let name = super::shorten(name);
    Rejection::at(Code::BadField, Some(format!("data.{name}")), format!("`data.{name}` {what}"))
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.split_once('/').is_some_and(|(_, subtype)| {
        let suffix = subtype.len().checked_sub("+json".len()).and_then(|at| subtype.get(at..));
        subtype.eq_ignore_ascii_case("json") || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
    })
}

/// The event's own data, as a rule's operands; a derived operand is derived from them.
struct Data<'a> {
    entity: &'a Entity,
    /// Where its patch begins.
    start: usize,
    kept: &'a Kept,
    root: Node<'a>,
}

impl Operands for Data<'_> {
    fn value(&self, field: FieldId) -> Cell<'_> {
        match &self.entity.fields[field].derived {
            Some(rule) => rule.evaluate(self).unwrap_or(Cell::Null),
            None => self.kept.cell(self.start, field, self.root.kept_text()),
        }
    }
}

fn judge(data: &Data<'_>) -> Result<(), Rejection> {
    let entity = data.entity;
    for check in &entity.checks {
        if check.rule.holds(data) == Some(false) {
            let named = |field: &&FieldId| data.kept.patch[data.start..].iter().any(|(known, _)| known == *field);
            let field = check.rule.fields.iter().find(named).or(check.rule.fields.first());
            let field = field.map(|field| format!("data.{}", entity.fields[*field].wire_name));
            return Err(Rejection::at(Code::CheckFailed, field, format!("the data break the check `{}`", check.text)));
        }
    }
    Ok(())
}
