//! A validated operation made a plan: selections of one object merged in the order of the answer (the specification's
//! `CollectFields`), with `@skip` and `@include` decided, since a plan is made for their values.

use std::collections::{BTreeSet, HashMap, HashSet};

use apollo_compiler::ast::{Argument, Directive, InputValueDefinition, Value as Literal};
use apollo_compiler::executable::{Field as Selected, Operation, Selection, SelectionSet};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Node};

use super::check;
use super::error::{ApiError, TOO_COMPLEX, VALIDATION_FAILED};
use super::plan::{
    Call, Field, Fields, List, Many, OfAny, OfConnection, OfEdge, OfHit, OfMeta, OfNode, OfPageInfo, OfParts, OfPath,
    OfProjection, OfQuery, OfStep, OfValue, Plan,
};
use super::schema::Schema;
use crate::ids::{DomainId, EntityId, FieldId};
use crate::limits::PLAN_FIELDS_MAX;
use crate::model::{Kind, Model};

type Made<T> = Result<T, ApiError>;
type Sets<'d> = Vec<&'d SelectionSet>;

/// Compiles an operation. `condition` tells the value of a variable that `@skip` and `@include` name.
pub fn compile(
    schema: &Schema,
    model: &Model,
    document: &Valid<ExecutableDocument>,
    operation: &Operation,
    condition: &dyn Fn(&str) -> bool,
) -> Result<Plan, Vec<ApiError>> {
    let mut compiler = Compiler {
        schema,
        model,
        document,
        condition,
        lists: Vec::new(),
        domains: BTreeSet::new(),
        operational: false,
        fields: 0,
    };
    let root = compiler.query(&vec![&operation.selection_set]).map_err(|error| vec![error])?;
    let Compiler { lists, domains, operational, .. } = compiler;
    Ok(Plan {
        root,
        lists,
        domains: domains.into_iter().collect(),
        operational,
        length: 0.into(),
        is_long: false.into(),
    })
}

struct Compiler<'d> {
    schema: &'d Schema,
    model: &'d Model,
    document: &'d Valid<ExecutableDocument>,
    condition: &'d dyn Fn(&str) -> bool,
    lists: Vec<List>,
    domains: BTreeSet<DomainId>,
    operational: bool,
    /// How many were made.
    fields: usize,
}

/// The selections of one key of an answer.
struct Group<'d> {
    first: &'d Node<Selected>,
    sets: Sets<'d>,
}

impl<'d> Compiler<'d> {
    /// The groups of some selections of one object, in the order of the answer.
    fn groups(&self, sets: &Sets<'d>, of_type: &str) -> Made<Vec<Group<'d>>> {
        let mut groups: Vec<Group<'d>> = Vec::new();
        let (mut places, mut seen) = (HashMap::new(), HashSet::new());
        for set in sets {
            self.collect(set, of_type, &mut groups, &mut places, &mut seen)?;
        }
        Ok(groups)
    }

    fn collect(
        &self,
        set: &'d SelectionSet,
        of_type: &str,
        groups: &mut Vec<Group<'d>>,
        places: &mut HashMap<&'d str, usize>,
        seen: &mut HashSet<&'d str>,
    ) -> Made<()> {
        for selection in &set.selections {
            if !selection.directives().iter().all(|directive| self.includes(directive)) {
                continue;
            }
            match selection {
                Selection::Field(field) => {
                    let place = *places.entry(field.response_key().as_str()).or_insert(groups.len());
                    if place == groups.len() {
                        groups.push(Group { first: field, sets: Vec::new() });
                    }
                    self.merges(groups[place].first, field)?;
                    groups[place].sets.push(&field.selection_set);
                }
                Selection::InlineFragment(fragment) => {
                    if fragment.type_condition.as_ref().is_none_or(|condition| self.is_one(of_type, condition)) {
                        self.collect(&fragment.selection_set, of_type, groups, places, seen)?;
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.fragment_name.as_str();
                    if seen.insert(name)
                        && let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                        && self.is_one(of_type, fragment.type_condition())
                    {
                        self.collect(&fragment.selection_set, of_type, groups, places, seen)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether two fields of one key are one field (5.3.2). apollo-compiler has judged that, but for how long lists are.
    fn merges(&self, first: &Node<Selected>, field: &Node<Selected>) -> Made<()> {
        let given = |argument: &str| field.arguments.iter().find(|given| given.name == argument);
        let is_same = |argument: &Node<Argument>| {
            given(&argument.name).is_none_or(|given| check::is_as_long(&argument.value, &given.value))
        };
        if first.arguments.iter().all(is_same) {
            return Ok(());
        }
        let key = field.response_key();
        let message = format!("`{key}` is asked for twice with different arguments: give one of them an alias");
        let place = field.line_column_range(&self.document.sources);
        Err(ApiError::new(VALIDATION_FAILED, message).at(place))
    }

    /// Whether a directive lets its selection be.
    fn includes(&self, directive: &Directive) -> bool {
        let wanted = match directive.name.as_str() {
            "skip" => false,
            "include" => true,
            _ => return true,
        };
        let value = directive.specified_argument_by_name("if").map(|value| &**value);
        let value = match value {
            Some(Literal::Variable(name)) => (self.condition)(name.as_str()),
            Some(Literal::Boolean(value)) => *value,
            _ => wanted,
        };
        value == wanted
    }

    fn is_one(&self, of_type: &str, condition: &str) -> bool {
        of_type == condition || self.schema.types.is_subtype(condition, of_type)
    }

    /// Compiles the fields of an object of one type.
    fn each<T>(
        &mut self,
        sets: &Sets<'d>,
        of_type: &str,
        mut make: impl FnMut(&mut Compiler<'d>, &'d Selected, &Sets<'d>) -> Made<T>,
    ) -> Made<Fields<T>> {
        let groups = self.groups(sets, of_type)?;
        self.fields += groups.len();
        if self.fields > PLAN_FIELDS_MAX {
            let message = format!("the query selects more than {PLAN_FIELDS_MAX} fields, its fragments spread out");
            return Err(ApiError::new(TOO_COMPLEX, message));
        }
        let field = |group: Group<'d>| {
            Ok(Field {
                key: format!("\"{}\":", group.first.response_key()).into(),
                nullable: !group.first.definition.ty.is_non_null(),
                place: group.first.location(),
                what: make(self, group.first, &group.sets)?,
            })
        };
        groups.into_iter().map(field).collect()
    }

    fn call(&self, field: &Selected) -> Made<Call> {
        let given = |definition: &Node<InputValueDefinition>| {
            let argument = field.arguments.iter().find(|argument| argument.name == definition.name);
            (definition.clone(), argument.map(|argument| argument.value.clone()))
        };
        let given = field.definition.arguments.iter().map(given).collect();
        Call::new(self.schema, given).map_err(|wrong| {
            let argument = field.arguments.first();
            let place = argument.and_then(|argument| argument.line_column_range(&self.document.sources));
            ApiError::new(VALIDATION_FAILED, wrong.of(&format!("{}: argument ", field.name))).at(place)
        })
    }

    fn touch(&mut self, entity: EntityId) {
        self.domains.insert(self.model.entities[entity].domain);
    }

    fn query(&mut self, sets: &Sets<'d>) -> Made<Fields<OfQuery>> {
        self.each(sets, "Query", |this, field, sets| {
            let name = field.name.as_str();
            Ok(match name {
                "__typename" => OfQuery::Typename,
                "__schema" => OfQuery::Schema(this.meta("__Schema", sets)?),
                "__type" => OfQuery::Type { call: this.call(field)?, of: this.meta("__Type", sets)? },
                "node" | "nodes" | "_entities" => {
                    let (call, of) = (this.call(field)?, this.any(sets)?);
                    match name {
                        "node" => OfQuery::Node { call, of },
                        "nodes" => OfQuery::Nodes { call, of },
                        _ => OfQuery::Entities { call, of },
                    }
                }
                // Whom these find is not known before: every domain may be among them.
                "search" => {
                    this.model.entities.ids().for_each(|entity| this.touch(entity));
                    OfQuery::Search { call: this.call(field)?, of: this.hit(sets)? }
                }
                "paths" => {
                    this.model.entities.ids().for_each(|entity| this.touch(entity));
                    OfQuery::Paths { call: this.call(field)?, of: this.path(sets)? }
                }
                "freshness" => {
                    this.operational = true;
                    OfQuery::Freshness { call: this.call(field)?, of: this.value("DomainFreshness", sets)? }
                }
                "projection" => {
                    this.operational = true;
                    OfQuery::Projection(this.projection(sets)?)
                }
                "catalog" => {
                    this.operational = true;
                    OfQuery::Catalog(this.value("Catalog", sets)?)
                }
                "_service" => OfQuery::Service(this.value("_Service", sets)?),
                _ => match this.model.entities.find(|entity| entity.singular == name) {
                    Some(entity) => OfQuery::One { entity, call: this.call(field)?, of: this.node(entity, sets)? },
                    None => {
                        let entity = this.model.entities.find(|entity| entity.plural == name);
                        OfQuery::Many(this.many(entity.unwrap_or_default(), field, sets)?)
                    }
                },
            })
        })
    }

    fn any(&mut self, sets: &Sets<'d>) -> Made<OfAny> {
        // What is there is not known before: only what is selected of its links is touched for sure.
        let before = self.domains.clone();
        let of = self.model.entities.ids().map(|entity| {
            let of = self.node(entity, sets)?;
            let is_linked = |field: &Field<OfNode>| matches!(field.what, OfNode::Link { .. } | OfNode::Reverse { .. });
            if !of.iter().any(is_linked) {
                self.domains.clone_from(&before);
            }
            Ok(of)
        });
        of.collect()
    }

    fn node(&mut self, entity: EntityId, sets: &Sets<'d>) -> Made<Fields<OfNode>> {
        self.touch(entity);
        let described = &self.model.entities[entity];
        self.each(sets, &described.name, |this, field, sets| {
            let name = field.name.as_str();
            Ok(match name {
                "__typename" => OfNode::Typename(entity),
                "id" => OfNode::Id,
                "key" => OfNode::Key,
                "completeness" => OfNode::Completeness,
                "missingVersions" => OfNode::MissingVersions,
                "breaches" => OfNode::Breaches,
                "rejected" => OfNode::Rejected(this.value("DeadLetter", sets)?),
                "lastEvent" => OfNode::LastEvent(this.value("EventRef", sets)?),
                "attributes" => OfNode::Attributes,
                "freshness" => OfNode::Freshness(this.value("AnswerFreshness", sets)?),
                _ => match described.field_named(name) {
                    Some(place) => this.attribute(entity, place, sets)?,
                    None => {
                        let reverse = described.reverses.iter().position(|reverse| reverse.name == name);
                        let reverse = reverse.unwrap_or_default();
                        let many = this.many(described.reverses[reverse].entity, field, sets)?;
                        OfNode::Reverse { reverse, many }
                    }
                },
            })
        })
    }

    fn attribute(&mut self, entity: EntityId, field: FieldId, sets: &Sets<'d>) -> Made<OfNode> {
        let described = &self.model.entities[entity].fields[field];
        let personal = described.personal;
        Ok(match described.kind {
            Kind::Link(entity) => OfNode::Link { field, entity, of: self.node(entity, sets)? },
            Kind::Money => OfNode::Parts { field, personal, of: self.parts("Money", sets)? },
            Kind::GeoPoint => OfNode::Parts { field, personal, of: self.parts("GeoPoint", sets)? },
            _ => OfNode::Value { field, personal },
        })
    }

    fn parts(&mut self, of_type: &'static str, sets: &Sets<'d>) -> Made<Fields<OfParts>> {
        self.each(sets, of_type, |_, field, _| {
            Ok(match field.name.as_str() {
                "minor" => OfParts::Minor,
                "currency" => OfParts::Currency,
                "lat" => OfParts::Lat,
                "lon" => OfParts::Lon,
                _ => OfParts::Typename(of_type),
            })
        })
    }

    fn many(&mut self, entity: EntityId, field: &'d Selected, sets: &Sets<'d>) -> Made<Many> {
        let outer = std::mem::take(&mut self.domains);
        self.touch(entity);
        let of = self.connection(entity, sets)?;
        let inner = std::mem::replace(&mut self.domains, outer);
        let list = List::new(entity, self.call(field)?, inner.iter().copied().collect());
        self.domains.extend(inner);
        self.lists.push(list);
        let counts = of.iter().any(|field| matches!(field.what, OfConnection::TotalCount));
        Ok(Many { list: self.lists.len() - 1, entity, counts, of })
    }

    fn connection(&mut self, entity: EntityId, sets: &Sets<'d>) -> Made<Fields<OfConnection>> {
        let of_type = format!("{}Connection", self.model.entities[entity].name);
        self.each(sets, &of_type, |this, field, sets| {
            Ok(match field.name.as_str() {
                "edges" => OfConnection::Edges(this.edge(entity, sets)?),
                "nodes" => OfConnection::Nodes(this.node(entity, sets)?),
                "pageInfo" => OfConnection::PageInfo(this.page_info(sets)?),
                "totalCount" => OfConnection::TotalCount,
                "freshness" => OfConnection::Freshness(this.value("AnswerFreshness", sets)?),
                _ => OfConnection::Typename(entity),
            })
        })
    }

    fn edge(&mut self, entity: EntityId, sets: &Sets<'d>) -> Made<Fields<OfEdge>> {
        let of_type = format!("{}Edge", self.model.entities[entity].name);
        self.each(sets, &of_type, |this, field, sets| {
            Ok(match field.name.as_str() {
                "cursor" => OfEdge::Cursor,
                "node" => OfEdge::Node(this.node(entity, sets)?),
                _ => OfEdge::Typename(entity),
            })
        })
    }

    fn page_info(&mut self, sets: &Sets<'d>) -> Made<Fields<OfPageInfo>> {
        self.each(sets, "PageInfo", |_, field, _| {
            Ok(match field.name.as_str() {
                "hasNextPage" => OfPageInfo::HasNext,
                "hasPreviousPage" => OfPageInfo::HasPrevious,
                "startCursor" => OfPageInfo::Start,
                "endCursor" => OfPageInfo::End,
                _ => OfPageInfo::Typename,
            })
        })
    }

    fn hit(&mut self, sets: &Sets<'d>) -> Made<Fields<OfHit>> {
        self.each(sets, "SearchHit", |this, field, sets| {
            Ok(match field.name.as_str() {
                "node" => OfHit::Node(this.any(sets)?),
                "score" => OfHit::Score,
                "fields" => OfHit::Fields,
                _ => OfHit::Typename,
            })
        })
    }

    fn path(&mut self, sets: &Sets<'d>) -> Made<Fields<OfPath>> {
        self.each(sets, "Path", |this, field, sets| {
            Ok(match field.name.as_str() {
                "length" => OfPath::Length,
                "nodes" => OfPath::Nodes(this.any(sets)?),
                "links" => OfPath::Links(this.step(sets)?),
                _ => OfPath::Typename,
            })
        })
    }

    fn step(&mut self, sets: &Sets<'d>) -> Made<Fields<OfStep>> {
        self.each(sets, "PathLink", |this, field, sets| {
            Ok(match field.name.as_str() {
                "kind" => OfStep::Kind,
                "from" => OfStep::From(this.any(sets)?),
                "to" => OfStep::To(this.any(sets)?),
                "forward" => OfStep::Forward,
                _ => OfStep::Typename,
            })
        })
    }

    fn projection(&mut self, sets: &Sets<'d>) -> Made<Fields<OfProjection>> {
        self.each(sets, "Projection", |this, field, sets| {
            Ok(match field.name.as_str() {
                "deadLetters" => {
                    let of = this.value("DeadLetterConnection", sets)?;
                    OfProjection::DeadLetters { call: this.call(field)?, of }
                }
                "digest" => {
                    this.domains.extend(this.model.domains.ids());
                    OfProjection::Digest(this.value("Digest", sets)?)
                }
                _ => OfProjection::Value(this.of_value("Projection", field, sets)?),
            })
        })
    }

    fn value(&mut self, of_type: &str, sets: &Sets<'d>) -> Made<Fields<OfValue>> {
        self.each(sets, of_type, |this, field, sets| this.of_value(of_type, field, sets))
    }

    fn of_value(&mut self, of_type: &str, field: &'d Selected, sets: &Sets<'d>) -> Made<OfValue> {
        if field.name == "__typename" {
            return Ok(OfValue::Typename(of_type.into()));
        }
        let of = match field.selection_set.selections.is_empty() {
            true => None,
            false => Some(self.value(field.definition.ty.inner_named_type(), sets)?),
        };
        Ok(OfValue::Member { name: field.name.as_str().into(), of })
    }

    fn meta(&mut self, of_type: &str, sets: &Sets<'d>) -> Made<Fields<OfMeta>> {
        self.each(sets, of_type, |this, field, sets| {
            if field.name == "__typename" {
                return Ok(OfMeta::Typename(of_type.into()));
            }
            let of = this.meta(field.definition.ty.inner_named_type(), sets)?;
            Ok(OfMeta::Member { name: field.name.as_str().into(), of })
        })
    }
}
