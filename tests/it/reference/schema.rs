//! The reference: async-graphql, its schema made from the SDL that is served, its fields read through the library's public doors.

use std::sync::{Arc, Mutex};

use crate::support::rights;
use apollo_compiler::ast::{FieldDefinition, InputValueDefinition, Type};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use async_graphql::dynamic::{
    Enum, EnumItem, Field, FieldFuture, FieldValue, InputObject, InputValue, Interface, InterfaceField, Object,
    ResolverContext, Scalar, Schema, TypeRef, Union,
};
use async_graphql::{Pos, QueryPathSegment, ValidationMode, Value};
use serde_json::{Map, Value as Json, json};
use staygraph::graph::{Bounds, Node};
use staygraph::ids::{EntityId, FieldId, NodeId, Slot};
use staygraph::limits::ITEMS_MAX;
use staygraph::model::cell::Cell;
use staygraph::model::{Kind, Model, constant_name};
use staygraph::projection::DeadLetter;
use staygraph::projection::Snapshot;
use staygraph::query::{
    Arguments, Hit, PAGE_DEFAULT, PAGE_MAX, Page, QueryError, Reading, Source, page, search, total,
};

use super::world::seal;

/// What a request's fields are resolved with.
pub struct Shared {
    pub snapshot: Arc<Snapshot>,
    pub personal: bool,
    /// What no public door tells: `freshness`, `projection`, `catalog`, `_service` and each entity's freshness, as the service says
    /// them. What is selected of them is compared, not what they are.
    pub told: Arc<Json>,
    pub marks: Mutex<Vec<Mark>>,
}

/// A place of the answer that is null in the end. The executor would give up the whole answer for it (see `faults`), so something
/// stands in for it until all is there.
#[derive(Clone, Debug)]
pub struct Mark {
    pub path: Vec<Json>,
    /// The error's code, line and column; none where null is the value.
    pub error: Option<(&'static str, usize, usize)>,
}

/// What fields are asked of.
enum Parent {
    Node(NodeId),
    List(Arc<Listed>),
    Edge(Arc<Listed>, Slot),
    Hit(Hit),
    Path(staygraph::graph::Path),
    Step(String, NodeId, NodeId, bool),
    /// Something that is null in the end.
    Nothing,
}

struct Listed {
    entity: EntityId,
    source: Source,
    arguments: Arguments,
    page: Page,
}

/// What a field is: one value, or why there is none.
type Resolved = Result<Option<FieldValue<'static>>, QueryError>;

pub fn make(types: &Arc<Valid<apollo_compiler::Schema>>, mode: ValidationMode) -> Schema {
    let mut builder = Schema::build("Query", None, None).validation_mode(mode);
    let custom = types.types.iter().filter(|(name, definition)| !definition.is_built_in() && !name.starts_with("__"));
    for (name, definition) in custom {
        let text = |description: Option<&apollo_compiler::Node<str>>| description.map(|text| text.to_string());
        match definition {
            ExtendedType::Scalar(scalar) => {
                let mut made = Scalar::new(name.as_str());
                made = described(made, text(scalar.description.as_ref()), Scalar::description);
                let url =
                    scalar.directives.get("specifiedBy").and_then(|given| given.specified_argument_by_name("url"));
                if let Some(url) = url.and_then(|url| url.as_str()) {
                    made = made.specified_by_url(url);
                }
                builder = builder.register(made);
            }
            ExtendedType::Object(object) => {
                let mut made =
                    described(Object::new(name.as_str()), text(object.description.as_ref()), Object::description);
                for implemented in &object.implements_interfaces {
                    made = made.implement(implemented.as_str());
                }
                for field in object.fields.values() {
                    made = made.field(field_of(types, name, field));
                }
                builder = builder.register(made);
            }
            ExtendedType::Interface(interface) => {
                let mut made = described(
                    Interface::new(name.as_str()),
                    text(interface.description.as_ref()),
                    Interface::description,
                );
                for implemented in &interface.implements_interfaces {
                    made = made.implement(implemented.as_str());
                }
                for field in interface.fields.values() {
                    let field_made = InterfaceField::new(field.name.as_str(), reference(&field.ty));
                    made = made.field(described(
                        field_made,
                        text(field.description.as_ref()),
                        InterfaceField::description,
                    ));
                }
                builder = builder.register(made);
            }
            ExtendedType::Union(union) => {
                let made = described(Union::new(name.as_str()), text(union.description.as_ref()), Union::description);
                builder = builder
                    .register(union.members.iter().fold(made, |made, member| made.possible_type(member.as_str())));
            }
            ExtendedType::Enum(values) => {
                let mut made =
                    described(Enum::new(name.as_str()), text(values.description.as_ref()), Enum::description);
                for value in values.values.values() {
                    let item = EnumItem::new(value.value.as_str());
                    made = made.item(described(item, text(value.description.as_ref()), EnumItem::description));
                }
                builder = builder.register(made);
            }
            ExtendedType::InputObject(input) => {
                let mut made = described(
                    InputObject::new(name.as_str()),
                    text(input.description.as_ref()),
                    InputObject::description,
                );
                if input.directives.has("oneOf") {
                    made = made.oneof();
                }
                for field in input.fields.values() {
                    made = made.field(input_value(field));
                }
                builder = builder.register(made);
            }
        }
    }
    builder.finish().unwrap()
}

/// Gives a description to what has one.
fn described<T>(made: T, text: Option<String>, with: impl Fn(T, String) -> T) -> T {
    match text {
        Some(text) => with(made, text),
        None => made,
    }
}

fn reference(of_type: &Type) -> TypeRef {
    match of_type {
        Type::Named(name) => TypeRef::named(name.as_str()),
        Type::NonNullNamed(name) => TypeRef::named_nn(name.as_str()),
        Type::List(item) => TypeRef::List(Box::new(reference(item))),
        Type::NonNullList(item) => TypeRef::NonNull(Box::new(TypeRef::List(Box::new(reference(item))))),
    }
}

fn input_value(input: &InputValueDefinition) -> InputValue {
    assert!(input.default_value.is_none(), "the schema has no defaults");
    let made = InputValue::new(input.name.as_str(), reference(&input.ty));
    described(made, input.description.as_ref().map(|text| text.to_string()), InputValue::description)
}

fn field_of(types: &Arc<Valid<apollo_compiler::Schema>>, of_type: &str, field: &FieldDefinition) -> Field {
    let (types, holder, definition) = (types.clone(), of_type.to_owned(), field.clone());
    let made = Field::new(field.name.as_str(), reference(&field.ty), move |context| {
        FieldFuture::Value(answer(&types, &holder, &definition, &context))
    });
    let made = field.arguments.iter().fold(made, |made, argument| made.argument(input_value(argument)));
    described(made, field.description.as_ref().map(|text| text.to_string()), Field::description)
}

/// Answers a field, with something that stands in where there is an error.
fn answer(
    types: &apollo_compiler::Schema,
    holder: &str,
    field: &FieldDefinition,
    context: &ResolverContext<'_>,
) -> Option<FieldValue<'static>> {
    let parent = context.parent_value.downcast_ref::<Parent>();
    if matches!(parent, Some(Parent::Nothing)) {
        return stand_in(types, &field.ty);
    }
    let shared = context.ctx.data_unchecked::<Arc<Shared>>();
    let asked = Asked { context, shared, reading: reading(shared), types };
    match asked.resolve(holder, parent, field) {
        Ok(value) => value,
        Err(error) => {
            let Pos { line, column } = context.ctx.item.pos;
            asked.mark(&[], Some((error.code, line, column)));
            stand_in(types, &field.ty)
        }
    }
}

/// A value of a type that says nothing.
fn stand_in(types: &apollo_compiler::Schema, of_type: &Type) -> Option<FieldValue<'static>> {
    match of_type {
        Type::Named(_) | Type::List(_) => None,
        Type::NonNullList(_) => Some(FieldValue::list(std::iter::empty::<FieldValue<'static>>())),
        Type::NonNullNamed(name) => Some(match &types.types[name] {
            ExtendedType::Enum(values) => FieldValue::value(values.values.values().next().unwrap().value.as_str()),
            ExtendedType::Object(_) => FieldValue::owned_any(Parent::Nothing),
            ExtendedType::Interface(_) | ExtendedType::Union(_) => nothing(types),
            _ => FieldValue::value(""),
        }),
    }
}

/// An entity that is null in the end.
fn nothing(types: &apollo_compiler::Schema) -> FieldValue<'static> {
    let some = types.types.iter().find(|(_, it)| it.as_object().is_some_and(|it| it.implements_interfaces.len() > 1));
    FieldValue::owned_any(Parent::Nothing).with_type(some.unwrap().0.to_string())
}

fn reading(shared: &Shared) -> Reading {
    Reading::new(shared.snapshot.graph.clone(), rights(shared.personal), Box::new(|| false))
}

/// A field that is asked for.
struct Asked<'a, 'c> {
    context: &'a ResolverContext<'c>,
    shared: &'a Shared,
    reading: Reading,
    types: &'a apollo_compiler::Schema,
}

impl Asked<'_, '_> {
    fn model(&self) -> &Model {
        self.reading.model()
    }

    fn mark(&self, more: &[usize], error: Option<(&'static str, usize, usize)>) {
        let (mut path, mut next) = (Vec::new(), self.context.ctx.path_node.as_ref());
        while let Some(node) = next {
            path.push(match node.segment {
                QueryPathSegment::Index(index) => index.into(),
                QueryPathSegment::Name(name) => Json::from(name),
            });
            next = node.parent;
        }
        path.reverse();
        path.extend(more.iter().map(|index| Json::from(*index)));
        self.shared.marks.lock().unwrap().push(Mark { path, error });
    }

    /// The arguments that are given, as JSON.
    fn given(&self) -> Map<String, Json> {
        let json = |value: &Value| value.clone().into_json().unwrap();
        self.context.args.iter().map(|(name, value)| (name.to_string(), json(value.as_value()))).collect()
    }

    fn text(&self, name: &str) -> String {
        self.given().get(name).and_then(Json::as_str).unwrap_or_default().to_owned()
    }

    fn number(&self, name: &str, default: usize, most: usize) -> Result<usize, QueryError> {
        match self.given().get(name) {
            None | Some(Json::Null) => Ok(default),
            Some(given) => match given.as_u64() {
                Some(number) if number <= most as u64 => Ok(number as usize),
                _ => Err(QueryError::bad_input("no number")),
            },
        }
    }

    fn resolve(&self, holder: &str, parent: Option<&Parent>, field: &FieldDefinition) -> Resolved {
        let name = field.name.as_str();
        match parent {
            None if holder == "Query" => self.root(name),
            None if holder == "Projection" && name == "deadLetters" => self.letters(),
            None => Ok(self.member(name)),
            Some(Parent::Node(id)) => self.of_node(*id, name),
            Some(Parent::List(listed)) => self.of_list(listed, name),
            Some(Parent::Edge(listed, slot)) => Ok(Some(match name {
                "cursor" => FieldValue::value(self.cursor(listed, *slot)),
                _ => node(listed.entity.node(*slot)),
            })),
            Some(Parent::Hit(hit)) => Ok(Some(match name {
                "node" => self.any(hit.node),
                "score" => FieldValue::value(hit.score),
                _ => {
                    let fields = &self.model().entities[hit.node.entity].fields;
                    list(hit.fields.iter().map(|field| FieldValue::value(fields[*field].name.as_str())))
                }
            })),
            Some(Parent::Path(path)) => Ok(Some(match name {
                "length" => FieldValue::value(path.hops.len()),
                "nodes" => list(path.nodes.iter().map(|id| self.any(*id))),
                _ => {
                    let ends = path.nodes.iter().zip(&path.nodes[1..]);
                    list(path.hops.iter().zip(ends).map(|(hop, (here, there))| {
                        let kind = link_name(self.model(), (hop.entity, hop.field));
                        let (from, to) = if hop.forward { (here, there) } else { (there, here) };
                        FieldValue::owned_any(Parent::Step(kind, *from, *to, hop.forward))
                    }))
                }
            })),
            Some(Parent::Step(kind, from, to, forward)) => Ok(Some(match name {
                "kind" => FieldValue::value(kind.as_str()),
                "from" => self.any(*from),
                "to" => self.any(*to),
                _ => FieldValue::value(*forward),
            })),
            Some(Parent::Nothing) => unreachable!("something stood in for it"),
        }
    }

    /// A member of a value that is GraphQL's own.
    fn member(&self, name: &str) -> Option<FieldValue<'static>> {
        match self.context.parent_value.as_value() {
            Some(Value::Object(members)) => members.get(name).filter(|value| **value != Value::Null).cloned(),
            _ => None,
        }
        .map(FieldValue::value)
    }

    fn any(&self, id: NodeId) -> FieldValue<'static> {
        node(id).with_type(self.model().entities[id.entity].name.clone())
    }

    fn by_id(&self, id: &str) -> Option<NodeId> {
        let (name, key) = id.split_once(':')?;
        let entity = self.model().entity_named(name)?;
        self.reading.find(entity, key).unwrap()
    }

    fn told(&self, name: &str) -> FieldValue<'static> {
        value(&self.shared.told[name])
    }

    fn root(&self, name: &str) -> Resolved {
        match name {
            "node" => Ok(self.by_id(&self.text("id")).map(|id| self.any(id))),
            "nodes" => {
                let given = self.given();
                let ids = given.get("ids").and_then(Json::as_array).cloned().unwrap_or_default();
                self.all(&ids, |id| Ok(self.by_id(id.as_str().unwrap_or_default())))
            }
            "_entities" => {
                let given = self.given();
                let wanted = given.get("representations").and_then(Json::as_array).cloned().unwrap_or_default();
                self.all(&wanted, |wanted| {
                    let entity = wanted["__typename"].as_str().and_then(|name| self.model().entity_named(name));
                    let (Some(entity), Some(key)) = (entity, wanted["key"].as_str()) else {
                        return Err(QueryError::bad_input("no representation"));
                    };
                    Ok(self.reading.find(entity, key).unwrap())
                })
            }
            "search" => {
                let first = self.number("first", PAGE_DEFAULT, PAGE_MAX)?;
                let given = self.given();
                let wanted = given.get("kinds").and_then(Json::as_array);
                let kinds = self.model().entities.ids().filter(|entity| {
                    let name = constant_name(&self.model().entities[*entity].name);
                    wanted.is_none_or(|wanted| wanted.iter().any(|kind| *kind == name))
                });
                let hits = search(&self.reading, &self.text("text"), &kinds.collect::<Vec<_>>(), first)?;
                Ok(Some(list(hits.into_iter().map(|hit| FieldValue::owned_any(Parent::Hit(hit))))))
            }
            "paths" => self.paths(),
            "freshness" => {
                let given = self.given();
                let all = self.shared.told["freshness"].as_array().unwrap();
                let Some(wanted) = given.get("domains").and_then(Json::as_array) else {
                    return Ok(Some(self.told("freshness")));
                };
                let named = |name: &Json| {
                    let found = all.iter().find(|domain| domain["domain"] == *name);
                    found.cloned().ok_or_else(|| QueryError::bad_input("no domain"))
                };
                Ok(Some(value(&wanted.iter().map(named).collect::<Result<Json, _>>()?)))
            }
            "projection" | "catalog" | "_service" => Ok(Some(self.told(name))),
            _ => match self.model().entities.find(|entity| entity.singular == name) {
                Some(entity) => Ok(self.reading.find(entity, &self.text("key")).unwrap().map(node)),
                None => {
                    let entity = self.model().entities.find(|entity| entity.plural == name).unwrap();
                    self.page(entity, Source::All)
                }
            },
        }
    }

    /// Those that are there. A null in a list of interfaces is a fault of the executor's (see `faults`): it is put there later.
    fn all(&self, wanted: &[Json], find: impl Fn(&Json) -> Result<Option<NodeId>, QueryError>) -> Resolved {
        if wanted.len() > ITEMS_MAX {
            return Err(QueryError::bad_input("too many"));
        }
        let found = wanted.iter().enumerate().map(|(index, wanted)| {
            let error = match find(wanted) {
                Ok(Some(id)) => return self.any(id),
                Ok(None) => None,
                Err(error) => {
                    let Pos { line, column } = self.context.ctx.item.pos;
                    Some((error.code, line, column))
                }
            };
            self.mark(&[index], error);
            nothing(self.types)
        });
        Ok(Some(list(found)))
    }

    fn paths(&self) -> Resolved {
        let hops_max = self.number("maxHops", 6, 12)?;
        let first = self.number("first", 10, PAGE_MAX)?;
        let given = self.given();
        let wanted = given.get("via").and_then(Json::as_array);
        let is_wanted = |link: &(EntityId, FieldId)| {
            wanted.is_none_or(|wanted| wanted.iter().any(|name| *name == link_name(self.model(), *link)))
        };
        let via: Vec<(EntityId, FieldId)> = links(self.model()).into_iter().filter(is_wanted).collect();
        let end = |name: &str| self.by_id(&self.text(name)).ok_or_else(|| QueryError::bad_input("no end"));
        let (from, to) = (end("from")?, end("to")?);
        if first == 0 || via.is_empty() && from != to {
            return Ok(Some(list(std::iter::empty())));
        }
        let found = self.reading.paths(from, to, &Bounds { hops_max, visited_max: 100_000, first, via: &via })?;
        Ok(Some(list(found.into_iter().map(|path| FieldValue::owned_any(Parent::Path(path))))))
    }

    fn letters(&self) -> Resolved {
        let given = self.given();
        let first = self.number("first", PAGE_DEFAULT, PAGE_MAX)?;
        let text = |name: &str| given.get(name).and_then(Json::as_str);
        let wanted =
            |letter: &Json| ["domain", "code"].iter().all(|name| text(name).is_none_or(|text| letter[*name] == text));
        let letters = self.shared.snapshot.dead_letters.iter().map(|(_, letter)| of_letter(letter));
        let letters: Vec<Json> = letters.filter(wanted).collect();
        let start = match text("after") {
            None => 0,
            Some(after) => {
                let place = letters.iter().position(|letter| letter["id"] == after);
                place.ok_or_else(|| QueryError::bad_input("no cursor"))? + 1
            }
        };
        let page: Vec<&Json> = letters.iter().skip(start).take(first).collect();
        let edge = |letter: &&Json| json!({ "cursor": letter["id"], "node": letter });
        Ok(Some(value(&json!({
            "edges": page.iter().map(edge).collect::<Vec<_>>(), "nodes": page, "totalCount": letters.len(),
            "pageInfo": {
                "hasNextPage": start + page.len() < letters.len(), "hasPreviousPage": start > 0,
                "startCursor": page.first().map(|letter| &letter["id"]), "endCursor": page.last().map(|letter| &letter["id"]),
            },
        }))))
    }

    fn page(&self, entity: EntityId, source: Source) -> Resolved {
        let arguments = Arguments::read(self.model(), entity, &seal(), &rights(self.shared.personal), &self.given())?;
        let page = page(&self.reading, entity, source, &arguments)?;
        Ok(Some(FieldValue::owned_any(Parent::List(Arc::new(Listed { entity, source, arguments, page })))))
    }

    fn cursor(&self, listed: &Listed, slot: Slot) -> String {
        Page::cursor(&self.reading, listed.entity.node(slot), &listed.arguments.order, &seal())
    }

    fn of_list(&self, listed: &Arc<Listed>, name: &str) -> Resolved {
        let slots = &listed.page.slots;
        Ok(Some(match name {
            "nodes" => list(slots.iter().map(|slot| node(listed.entity.node(*slot)))),
            "edges" => list(slots.iter().map(|slot| FieldValue::owned_any(Parent::Edge(listed.clone(), *slot)))),
            "totalCount" => FieldValue::value(total(&self.reading, listed.entity, listed.source, &listed.arguments)?),
            "pageInfo" => {
                let cursor = |slot: Option<&Slot>| slot.map(|slot| self.cursor(listed, *slot));
                value(&json!({
                    "hasNextPage": listed.page.has_next, "hasPreviousPage": listed.page.has_previous,
                    "startCursor": cursor(slots.first()), "endCursor": cursor(slots.last()),
                }))
            }
            _ => self.freshness(listed.entity),
        }))
    }

    fn freshness(&self, entity: EntityId) -> FieldValue<'static> {
        value(&self.shared.told["of"][&self.model().entities[entity].singular]["freshness"])
    }

    fn of_node(&self, id: NodeId, name: &str) -> Resolved {
        let described = &self.model().entities[id.entity];
        let node = self.reading.node(id);
        let texts = |texts: Vec<Json>| Some(value(&Json::Array(texts)));
        Ok(match name {
            "id" => Some(FieldValue::value(format!("{}:{}", described.name, node.key()))),
            "key" => Some(FieldValue::value(node.key())),
            "completeness" => Some(FieldValue::value(node.completeness().name())),
            "missingVersions" => texts(node.missing().map(Json::from).collect()),
            "breaches" => {
                texts(node.breaches(described).map(|check| described.checks[check].text.as_str().into()).collect())
            }
            "rejected" => {
                let letters = self.shared.snapshot.dead_letters.iter().map(|(_, letter)| letter);
                texts(letters.filter(|letter| letter.node == Some(id)).map(of_letter).collect())
            }
            "lastEvent" => last_event(&node).map(|event| value(&event)),
            "freshness" => Some(self.freshness(id.entity)),
            "attributes" => {
                if described.has_personal && !self.shared.personal {
                    return Err(QueryError::forbidden(name));
                }
                let members =
                    node.attributes().map(|(name, text)| (name.to_owned(), serde_json::from_str(text).unwrap()));
                let members: Map<String, Json> = members.collect();
                (!members.is_empty()).then(|| value(&Json::Object(members)))
            }
            _ => match described.field_named(name) {
                Some(place) => {
                    let field = &described.fields[place];
                    if field.personal && !self.shared.personal {
                        return Err(QueryError::forbidden(name));
                    }
                    if let Kind::Link(target) = field.kind {
                        return Ok(self.reading.follow(&node, place, target).unwrap().map(self::node));
                    }
                    let cell = of_cell(node.value(place), &field.kind, self.model());
                    (!cell.is_null()).then(|| value(&cell))
                }
                None => {
                    let reverse = described.reverses.iter().position(|reverse| reverse.name == name).unwrap();
                    return self.page(described.reverses[reverse].entity, Source::Reverse { of: id, reverse });
                }
            },
        })
    }
}

/// The links of a model: entity and field.
fn links(model: &Model) -> Vec<(EntityId, FieldId)> {
    let fields = |entity: EntityId| model.entities[entity].fields.ids().map(move |field| (entity, field));
    let all = model.entities.ids().flat_map(fields);
    all.filter(|(entity, field)| model.entities[*entity].fields[*field].kind.link().is_some()).collect()
}

fn link_name(model: &Model, (entity, field): (EntityId, FieldId)) -> String {
    let entity = &model.entities[entity];
    format!("{}_{}", constant_name(&entity.name), constant_name(&entity.fields[field].name))
}

fn node(id: NodeId) -> FieldValue<'static> {
    FieldValue::owned_any(Parent::Node(id))
}

fn list(items: impl Iterator<Item = FieldValue<'static>>) -> FieldValue<'static> {
    FieldValue::list(items)
}

fn value(json: &Json) -> FieldValue<'static> {
    FieldValue::value(Value::from_json(json.clone()).unwrap())
}

fn of_letter(letter: &DeadLetter) -> Json {
    let rejection = &letter.rejection;
    json!({
        "id": letter.id(), "domain": *letter.domain, "code": rejection.code.name(), "field": rejection.field,
        "message": rejection.message, "topic": *letter.topic, "partition": letter.partition, "offset": letter.offset,
        "at": letter.at.to_string(), "type": rejection.kind, "subject": rejection.subject, "size": letter.bytes.len(),
    })
}

fn last_event(node: &Node<'_>) -> Option<Json> {
    let event = node.last_event()?;
    Some(json!({
        "id": event.id, "type": *event.kind, "source": *event.source, "sequence": event.sequence, "time": event.time.to_string(),
        "topic": *event.topic, "partition": event.partition, "offset": event.offset,
        "appendedAt": event.appended_at.to_string(), "appliedAt": event.applied_at.to_string(),
        "dataschema": event.dataschema.as_deref(), "traceparent": event.traceparent,
    }))
}

fn of_cell(cell: Cell<'_>, kind: &Kind, model: &Model) -> Json {
    match (cell, kind) {
        (Cell::Boolean(value), _) => value.into(),
        (Cell::Int(value), _) => value.into(),
        (Cell::Float(value), _) => value.into(),
        (Cell::String(text), _) => text.into(),
        (Cell::Date(value), _) => value.to_string().into(),
        (Cell::DateTime(value), _) => value.to_string().into(),
        (Cell::Money(money), _) => json!({ "minor": money.minor, "currency": money.currency() }),
        (Cell::GeoPoint(point), _) => json!({ "lat": point.lat, "lon": point.lon }),
        (Cell::Enum(place), Kind::Enum(index)) => model.enums[*index].values[usize::from(place)].name.as_str().into(),
        (Cell::List(items), Kind::List(item)) => items.iter().map(|cell| of_cell(cell, item, model)).collect(),
        (Cell::Json(text), _) => serde_json::from_str(text).unwrap(),
        _ => Json::Null,
    }
}
