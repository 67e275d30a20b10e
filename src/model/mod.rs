//! The domain as data: what `model.graphql` says, read, checked and laid out for the rooms above.
//!
//! This room reads the model and nothing else: no events, no nodes, no GraphQL schema. The engine has no line about
//! reservations; all that it knows of them is here, as numbers: an entity is its place in [`Model::entities`], a field its
//! place in [`Entity::fields`].

pub mod cell;
mod directives;
mod kinds;
mod names;
mod reader;
mod rule;
mod source;
pub mod value;

use std::collections::HashMap;

use crate::ids::{By, DomainId, EntityId, FieldId};

pub use reader::{Fault, nearest};
pub use rule::{Operands, Rule};

/// The model that ships with staygraph.
pub const SHIPPED: &str = include_str!("../../model.graphql");

/// A checked model.
#[derive(Debug, Default)]
pub struct Model {
    pub entities: By<EntityId, Entity>,
    pub enums: Vec<Enumeration>,
    pub domains: By<DomainId, Domain>,
    /// Sixteen hex digits that change whenever the model does.
    pub fingerprint: String,
    /// The model's text as the parser prints it: who keeps a graph keeps with it what its records mean.
    pub sdl: String,
}

/// A domain: one topic's worth of entities.
#[derive(Debug)]
pub struct Domain {
    pub name: String,
    pub entities: Vec<EntityId>,
}

/// A node type.
#[derive(Debug)]
pub struct Entity {
    pub name: String,
    pub description: Option<String>,
    pub domain: DomainId,
    /// The part of its event types before the first dot.
    pub event: String,
    /// The root field that takes one by its key, e.g. `person`.
    pub singular: String,
    /// The root field that lists them, e.g. `people`.
    pub plural: String,
    pub fields: By<FieldId, Field>,
    pub checks: Vec<Check>,
    /// The other sides of links that point here.
    pub reverses: Vec<Reverse>,
    /// Whether any field is personal; unknown attributes then count as personal too.
    pub has_personal: bool,
    /// The event types' second parts that `@entity(events:)` names; `effects` has the others.
    pub known_events: Vec<String>,
    /// What an event does by happening, by its type's second part.
    pub effects: HashMap<String, Vec<Effect>>,
    /// Field by its name in an event's data.
    pub by_wire_name: HashMap<String, FieldId>,
}

/// An attribute or a link.
#[derive(Debug)]
pub struct Field {
    pub name: String,
    /// Its name in an event's data: a link's is `<name>Id`.
    pub wire_name: String,
    pub description: Option<String>,
    pub kind: Kind,
    pub indexed: bool,
    pub searchable: bool,
    pub personal: bool,
    pub derived: Option<Rule>,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    String,
    Id,
    Int,
    Long,
    Float,
    Boolean,
    Date,
    DateTime,
    Json,
    Money,
    GeoPoint,
    /// An index of [`Model::enums`].
    Enum(usize),
    /// To a node of an entity.
    Link(EntityId),
    /// A list of scalars.
    List(Box<Kind>),
}

/// A name as an enum's value has it: `checkIn` is `CHECK_IN`.
pub fn constant_name(name: &str) -> String {
    let mut constant = String::new();
    let mut before_is_small = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && before_is_small {
            constant.push('_');
        }
        before_is_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        constant.push(letter.to_ascii_uppercase());
    }
    constant
}

impl Kind {
    pub fn link(&self) -> Option<EntityId> {
        match self {
            Kind::Link(entity) => Some(*entity),
            _ => None,
        }
    }

    /// Whether a list can be sorted by it.
    pub fn orders(&self) -> bool {
        !matches!(self, Kind::Json | Kind::GeoPoint | Kind::Link(_) | Kind::List(_))
    }
}

/// The connection on the other side of a link.
#[derive(Debug)]
pub struct Reverse {
    pub name: String,
    /// The entity that holds the link.
    pub entity: EntityId,
    /// The link's field in that entity.
    pub field: FieldId,
}

/// A condition of an entity's state.
#[derive(Debug)]
pub struct Check {
    pub text: String,
    pub rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The field takes this enum value.
    Set { field: FieldId, value: u16 },
    /// The field takes the event's time.
    OccurredAt { field: FieldId },
}

#[derive(Debug)]
pub struct Enumeration {
    pub name: String,
    pub description: Option<String>,
    pub values: Vec<EnumValue>,
}

#[derive(Debug)]
pub struct EnumValue {
    pub name: String,
    pub description: Option<String>,
}

impl Enumeration {
    pub fn position(&self, name: &str) -> Option<u16> {
        self.values.iter().position(|value| value.name == name).map(|index| index as u16)
    }
}

impl Model {
    /// Reads and checks a model. `path` only names it in the faults.
    pub fn parse(text: &str, path: &str) -> Result<Model, Vec<Fault>> {
        source::read(text, path)
    }

    pub fn entity_named(&self, name: &str) -> Option<EntityId> {
        self.entities.find(|entity| entity.name == name)
    }

    pub fn entity_of_event(&self, event: &str) -> Option<EntityId> {
        self.entities.find(|entity| entity.event == event)
    }

    pub fn domain_named(&self, name: &str) -> Option<DomainId> {
        self.domains.find(|domain| domain.name == name)
    }

    pub fn domain_of(&self, entity: EntityId) -> &Domain {
        &self.domains[self.entities[entity].domain]
    }

    /// The field's type as GraphQL writes it.
    pub fn type_name(&self, kind: &Kind) -> String {
        match kind {
            Kind::String => "String".into(),
            Kind::Id => "ID".into(),
            Kind::Int => "Int".into(),
            Kind::Long => "Long".into(),
            Kind::Float => "Float".into(),
            Kind::Boolean => "Boolean".into(),
            Kind::Date => "Date".into(),
            Kind::DateTime => "DateTime".into(),
            Kind::Json => "JSON".into(),
            Kind::Money => "Money".into(),
            Kind::GeoPoint => "GeoPoint".into(),
            Kind::Enum(index) => self.enums[*index].name.clone(),
            Kind::Link(entity) => self.entities[*entity].name.clone(),
            Kind::List(item) => format!("[{}!]", self.type_name(item)),
        }
    }
}

impl Entity {
    pub fn field_named(&self, name: &str) -> Option<FieldId> {
        self.fields.find(|field| field.name == name)
    }

    /// Whether the model names this event: by `events`, `@on`, `@occurredAt`, or as every entity's.
    pub fn knows_event(&self, past_participle: &str) -> bool {
        matches!(past_participle, "deleted" | "erased" | "merged")
            || self.effects.contains_key(past_participle)
            || self.known_events.iter().any(|known| known == past_participle)
    }
}
