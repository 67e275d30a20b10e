//! What an operation comes to: its selections merged, its names looked up, its arguments coerced where they are constant.
//!
//! One type a kind of object, so that what cannot be asked of it cannot be said. Made by `compile`, written by `run`.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};

use apollo_compiler::Node;
use apollo_compiler::ast::{InputValueDefinition, Value as Literal};
use apollo_compiler::parser::SourceSpan;
use serde_json::{Map, Value as Json};

use super::coerce::{self, Variables, Wrong};
use super::reach;
use super::schema::Schema;
use crate::ids::{By, DomainId, EntityId, FieldId};
use crate::limits::VALUES_MAX;
use crate::model::Model;
use crate::query::{Arguments, QueryError, Seal};
use crate::rights::{Rights, Scope};

/// A compiled operation.
pub struct Plan {
    pub root: Fields<OfQuery>,
    pub lists: Vec<List>,
    /// The domains that it can touch, whatever its variables are.
    pub domains: Vec<DomainId>,
    /// Whether `freshness`, `projection` or `catalog` are asked for: they change though no event comes.
    pub operational: bool,
    /// Bytes that its last answer had: the next one begins with as much room.
    pub length: AtomicUsize,
    /// Whether it took long once: it is then run where that holds up no one.
    pub is_long: AtomicBool,
}

impl Plan {
    /// Root fields by a global id, which says what they touch.
    pub fn by_id(&self) -> impl Iterator<Item = &Call> {
        self.root.iter().filter_map(|field| match &field.what {
            OfQuery::Node { call, .. } | OfQuery::Nodes { call, .. } | OfQuery::Entities { call, .. } => Some(call),
            _ => None,
        })
    }
}

impl OfQuery {
    /// The scopes of which one is needed to ask for it.
    pub fn needs(&self) -> &'static [Scope] {
        match self {
            OfQuery::Typename | OfQuery::Freshness { .. } => &[Scope::Read, Scope::OpsRead],
            OfQuery::Projection(_) | OfQuery::Catalog(_) => &[Scope::OpsRead],
            OfQuery::Node { .. }
            | OfQuery::Nodes { .. }
            | OfQuery::Entities { .. }
            | OfQuery::One { .. }
            | OfQuery::Many(_)
            | OfQuery::Search { .. }
            | OfQuery::Paths { .. }
            | OfQuery::Service(_)
            | OfQuery::Schema(_)
            | OfQuery::Type { .. } => &[Scope::Read],
        }
    }
}

/// What is selected of an object, in the order of the answer.
pub type Fields<T> = Vec<Field<T>>;

/// One member of an answer's object.
pub struct Field<T> {
    /// Its name in the answer, quoted, with the colon.
    pub key: Box<str>,
    pub nullable: bool,
    /// Where it stands in the document.
    pub place: Option<SourceSpan>,
    pub what: T,
}

impl<T> Field<T> {
    /// Its name in the answer.
    pub fn name(&self) -> &str {
        &self.key[1..self.key.len() - 2]
    }
}

/// By entity: what is selected of it, where any may come.
pub type OfAny = By<EntityId, Fields<OfNode>>;

pub enum OfQuery {
    Typename,
    Node { call: Call, of: OfAny },
    Nodes { call: Call, of: OfAny },
    Entities { call: Call, of: OfAny },
    One { entity: EntityId, call: Call, of: Fields<OfNode> },
    Many(Many),
    Search { call: Call, of: Fields<OfHit> },
    Paths { call: Call, of: Fields<OfPath> },
    Freshness { call: Call, of: Fields<OfValue> },
    Projection(Fields<OfProjection>),
    Catalog(Fields<OfValue>),
    Service(Fields<OfValue>),
    Schema(Fields<OfMeta>),
    Type { call: Call, of: Fields<OfMeta> },
}

pub enum OfNode {
    Typename(EntityId),
    Id,
    Key,
    Completeness,
    MissingVersions,
    Breaches,
    Rejected(Fields<OfValue>),
    LastEvent(Fields<OfValue>),
    Attributes,
    Freshness(Fields<OfValue>),
    Value { field: FieldId, personal: bool },
    Parts { field: FieldId, personal: bool, of: Fields<OfParts> },
    Link { field: FieldId, entity: EntityId, of: Fields<OfNode> },
    Reverse { reverse: usize, many: Many },
}

/// A list's place in the plan, and what is selected of it.
pub struct Many {
    /// Its place in [`Plan::lists`].
    pub list: usize,
    pub entity: EntityId,
    /// Whether the total is wanted.
    pub counts: bool,
    pub of: Fields<OfConnection>,
}

pub enum OfConnection {
    Typename(EntityId),
    Edges(Fields<OfEdge>),
    Nodes(Fields<OfNode>),
    PageInfo(Fields<OfPageInfo>),
    TotalCount,
    Freshness(Fields<OfValue>),
}

pub enum OfEdge {
    Typename(EntityId),
    Cursor,
    Node(Fields<OfNode>),
}

pub enum OfPageInfo {
    Typename,
    HasNext,
    HasPrevious,
    Start,
    End,
}

/// Of `Money` and `GeoPoint`.
pub enum OfParts {
    Typename(&'static str),
    Minor,
    Currency,
    Lat,
    Lon,
}

pub enum OfHit {
    Typename,
    Node(OfAny),
    Score,
    Fields,
}

pub enum OfPath {
    Typename,
    Length,
    Nodes(OfAny),
    Links(Fields<OfStep>),
}

pub enum OfStep {
    Typename,
    Kind,
    From(OfAny),
    To(OfAny),
    Forward,
}

pub enum OfProjection {
    Value(OfValue),
    DeadLetters { call: Call, of: Fields<OfValue> },
    Digest(Fields<OfValue>),
}

/// Of a value that is JSON already.
pub enum OfValue {
    Typename(Box<str>),
    /// `of` is none of a leaf: an object of which nothing is selected, all being skipped, is written as `{}`.
    Member {
        name: Box<str>,
        of: Option<Fields<OfValue>>,
    },
}

/// Of the schema itself.
pub enum OfMeta {
    Typename(Box<str>),
    Member { name: Box<str>, of: Fields<OfMeta> },
}

/// A field's arguments.
pub struct Call {
    /// Coerced, where no variable is among them.
    fixed: Option<Map<String, Json>>,
    /// Their definitions, each with what the document gives for it.
    given: Vec<(Node<InputValueDefinition>, Option<Node<Literal>>)>,
}

impl Call {
    /// Reads the arguments of a field. What is constant is coerced now.
    pub fn new(
        schema: &Schema,
        given: Vec<(Node<InputValueDefinition>, Option<Node<Literal>>)>,
    ) -> Result<Call, Wrong> {
        let mut call = Call { fixed: None, given };
        if !call.given.iter().any(|(_, value)| value.as_ref().is_some_and(|value| has_variable(value))) {
            call.fixed = Some(call.coerced(schema, &Variables::new())?);
            call.given = Vec::new();
        }
        Ok(call)
    }

    fn coerced(&self, schema: &Schema, variables: &Variables) -> Result<Map<String, Json>, Wrong> {
        let value = |name: &str| {
            self.given.iter().find(|(known, _)| known.name == name).and_then(|(_, value)| value.as_deref())
        };
        coerce::arguments(&schema.types, self.given.iter().map(|(definition, _)| &**definition), value, variables)
    }

    /// The arguments of one request, coerced.
    pub fn bind(&self, schema: &Schema, variables: &Variables) -> Result<Map<String, Json>, QueryError> {
        match &self.fixed {
            Some(fixed) => Ok(fixed.clone()),
            None => self.coerced(schema, variables).map_err(|wrong| QueryError::bad_input(wrong.of("argument "))),
        }
    }
}

fn has_variable(value: &Literal) -> bool {
    match value {
        Literal::Variable(_) => true,
        Literal::List(items) => items.iter().any(|item| has_variable(item)),
        Literal::Object(members) => members.iter().any(|(_, value)| has_variable(value)),
        _ => false,
    }
}

/// A list's arguments.
pub struct List {
    pub entity: EntityId,
    pub call: Call,
    /// The domains of what is selected of its nodes.
    pub domains: Vec<DomainId>,
    /// Read, where they are constant: for who may see personal data, and for who may not.
    fixed: [OnceLock<Arc<Bound>>; 2],
}

/// A list's arguments in one request.
pub struct Bound {
    pub arguments: Result<Arguments, QueryError>,
    /// The domains that the list depends on.
    pub domains: Vec<DomainId>,
}

impl List {
    pub fn new(entity: EntityId, call: Call, domains: Vec<DomainId>) -> List {
        List { entity, call, domains, fixed: Default::default() }
    }

    pub fn bind(
        &self,
        schema: &Schema,
        model: &Model,
        seal: &Seal,
        rights: &Rights,
        variables: &Variables,
    ) -> Arc<Bound> {
        let bind = || Arc::new(self.bound(model, seal, rights, self.call.bind(schema, variables)));
        match self.call.fixed {
            Some(_) => self.fixed[usize::from(rights.sees_personal())].get_or_init(bind).clone(),
            None => bind(),
        }
    }

    fn bound(
        &self,
        model: &Model,
        seal: &Seal,
        rights: &Rights,
        given: Result<Map<String, Json>, QueryError>,
    ) -> Bound {
        let mut domains = self.domains.clone();
        let arguments = given.and_then(|given| {
            reach::of_list(model, self.entity, &given, &mut |entity| domains.push(model.entities[entity].domain));
            if given.values().map(super::json::count).sum::<usize>() > VALUES_MAX {
                return Err(QueryError::bad_input(format!("the arguments have more than {VALUES_MAX} values")));
            }
            Arguments::read(model, self.entity, seal, rights, &given)
        });
        domains.sort_unstable();
        domains.dedup();
        Bound { arguments, domains }
    }
}
