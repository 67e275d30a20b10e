//! Both, and how their answers are compared.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use crate::support::rights;
use apollo_compiler::ExecutableDocument;
use apollo_compiler::ast::Type;
use apollo_compiler::executable::{Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use async_graphql::dynamic::Schema;
use async_graphql::{Request, ValidationMode, Variables};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use staygraph::api::OnError;
use staygraph::ids::Slot;
use staygraph::limits::Limits;
use staygraph::query::{Arguments, Page, Reading};

use super::faults::{self, Fault};
use super::generate::{Question, question};
use super::schema::{self, Mark, Shared};
use super::world::{World, seal};

/// Both, over one version.
pub struct Pair {
    world: World,
    /// The same with the limits that hold for everybody.
    strangers: World,
    strict: Schema,
    /// The same, which takes a document as valid: see [`Fault::DirectivesOfTypename`].
    fast: Schema,
    told: Arc<Json>,
    cursors: Vec<String>,
    reached: BTreeSet<String>,
}

/// What an answer of ours has.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// As text; none where the request was refused.
    pub data: Option<String>,
    pub errors: Vec<Error>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    pub code: String,
    path: Json,
    /// Line and column.
    place: Option<(usize, usize)>,
}

impl Pair {
    pub fn new() -> Pair {
        let (world, strangers) = (World::new(u64::MAX), World::new(Limits::on(2).complexity_max));
        let types = &world.api.schema.types;
        let told = told(&world);
        let reading = Reading::new(world.snapshot.graph.clone(), rights(true), Box::new(|| false));
        let cursors = world.api.model.entities.ids().flat_map(|entity| {
            let arguments =
                Arguments::read(&world.api.model, entity, &seal(), &rights(true), &serde_json::Map::new()).unwrap();
            let cursor = |slot: Slot| Page::cursor(&reading, entity.node(slot), &arguments.order, &seal());
            (0..4).map(Slot).map(cursor).collect::<Vec<_>>()
        });
        let cursors = cursors.collect();
        let [strict, fast] = [ValidationMode::Strict, ValidationMode::Fast].map(|mode| schema::make(types, mode));
        let mut reached = BTreeSet::new();
        reach(types, "Query", &mut reached);
        Pair { reached, strangers, strict, fast, told: Arc::new(told), cursors, world }
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    /// The document that bytes stand for.
    pub fn question(&self, bytes: &[u8]) -> Question {
        question(&self.world.api.schema.types, &self.cursors, &self.reached, bytes)
    }

    /// The types that a request can come to.
    pub fn types(&self) -> impl Iterator<Item = (&str, &ExtendedType)> {
        self.reached.iter().map(|name| (name.as_str(), &self.world.api.schema.types.types[name.as_str()]))
    }

    /// Our answer, and its whole text.
    pub fn ours(&self, asked: &Question, on: OnError) -> (Answer, String) {
        let text = self.world.answer(&asked.text.ours, &asked.variables.ours, asked.operation, asked.personal, on);
        let whole: HashMap<String, Box<RawValue>> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let errors: Vec<Json> =
            whole.get("errors").map(|errors| serde_json::from_str(errors.get()).unwrap()).unwrap_or_default();
        let error = |error: &Json| {
            let place = &error["locations"][0];
            let number = |name: &str| place[name].as_u64().map(|number| number as usize);
            Error {
                code: error["extensions"]["code"].as_str().unwrap_or_default().to_owned(),
                path: error["path"].clone(),
                place: number("line").zip(number("column")),
            }
        };
        let errors = errors.iter().map(error).collect();
        (Answer { data: whole.get("data").map(|data| data.get().to_owned()), errors }, text)
    }

    /// The reference's answer: the places that are null in the end, and its own errors, which refuse the request.
    fn theirs(&self, reference: &Schema, asked: &Question) -> (Json, Vec<Mark>, Vec<async_graphql::ServerError>) {
        let shared = Shared {
            snapshot: self.world.snapshot.clone(),
            personal: asked.personal,
            told: self.told.clone(),
            marks: Mutex::default(),
        };
        let shared = Arc::new(shared);
        let mut request =
            Request::new(asked.text.theirs.as_str()).variables(Variables::from_json(asked.variables.theirs.clone()));
        if let Some(operation) = asked.operation {
            request = request.operation_name(operation);
        }
        let response = self.world.runtime.block_on(reference.execute(request.data(shared.clone())));
        let marks = std::mem::take(&mut *shared.marks.lock().unwrap());
        (response.data.into_json().unwrap(), marks, response.errors)
    }

    /// Asks ours what a stranger might: bytes that are a document, a zero and the variables. The error says what no answer may be.
    pub fn survives(&self, bytes: &[u8]) -> Result<(), String> {
        let mut parts = bytes.splitn(2, |byte| *byte == 0);
        let text = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        let variables = parts.next().and_then(|variables| serde_json::from_slice::<Json>(variables).ok());
        let whole = self.strangers.answer(&text, &variables.unwrap_or_default(), None, true, OnError::Propagate);
        let read: Json = serde_json::from_str(&whole).map_err(|error| format!("no JSON, {error}: {whole}"))?;
        let errors = read["errors"].as_array().into_iter().flatten();
        match errors.map(|error| &error["extensions"]["code"]).find(|code| *code == "INTERNAL_SERVER_ERROR") {
            Some(_) => Err(format!("an error inside: {whole}")),
            None if read["errors"]
                .as_array()
                .is_some_and(|errors| errors.iter().any(|error| !error["extensions"]["code"].is_string())) =>
            {
                Err(format!("an error without a code: {whole}"))
            }
            None => Ok(()),
        }
    }

    /// Whether the reference answers word for word otherwise, whatever is known of it.
    pub fn differ(&self, asked: &Question) -> bool {
        let (ours, _) = self.ours(asked, OnError::Propagate);
        let (data, _, refused) = self.theirs(&self.strict, asked);
        ours.data != refused.is_empty().then(|| data.to_string())
    }

    /// Asks both. The error says how they differ.
    pub fn agree(&self, asked: &Question) -> Result<Verdict, String> {
        let on = if asked.lenient { OnError::Null } else { OnError::Propagate };
        let (ours, whole) = self.ours(asked, on);
        let (again, _) = self.ours(asked, on);
        if again != ours {
            return Err(format!("the same document is answered otherwise when it is known: {again:?}"));
        }
        if ours.errors.iter().any(|error| !CODES.contains(&error.code.as_str())) {
            return Err(format!("an error has no code of the contract: {whole}"));
        }
        let (mut data, mut marks, mut refused) = self.theirs(&self.strict, asked);
        if ours.data.is_some() && faults::is_only_of_typename(&refused, &asked.text.theirs) {
            (data, marks, refused) = self.theirs(&self.fast, asked);
        }
        let Some(our_data) = &ours.data else {
            let is_unseen = Fault::hides(asked);
            return match refused.is_empty() && !is_unseen {
                true => Err(format!("refused here and answered there: {whole}\nand there {data}")),
                false => Ok(Verdict::Refused),
            };
        };
        if !refused.is_empty() {
            return Err(format!("answered here and refused there: {refused:?}\nhere {whole}"));
        }
        let types = &self.world.api.schema.types;
        let document = ExecutableDocument::parse_and_validate(types, &asked.text.theirs, "asked.graphql")
            .map_err(|error| format!("answered, and yet invalid: {error}"))?;
        let (their_data, errors) = settled(&document, asked.operation, data, &marks, asked.lenient);
        let their_data = their_data.to_string();
        if sorted_meta(our_data) != sorted_meta(&their_data) {
            return Err(format!("data differs:\nhere  {our_data}\nthere {their_data}"));
        }
        compare(&ours.errors, &errors)?;
        Ok(if errors.is_empty() { Verdict::Whole } else { Verdict::Partial })
    }
}

/// How both answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Whole,
    Partial,
    Refused,
}

/// What may be wrong with a document that is generated.
const CODES: [&str; 5] =
    ["BAD_USER_INPUT", "FORBIDDEN", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "QUERY_TIMEOUT"];

/// An error of the reference's, with the place that is null for it.
struct Told {
    error: Error,
    null_at: Vec<Json>,
}

/// The reference's data with null where the specification's section 6.4.4 puts it, or at the field alone where `lenient`.
fn settled(
    document: &ExecutableDocument,
    operation: Option<&str>,
    mut data: Json,
    marks: &[Mark],
    lenient: bool,
) -> (Json, Vec<Told>) {
    let root = &document.operations.get(operation).unwrap().selection_set;
    let mut told: Vec<Told> = Vec::new();
    for mark in marks {
        let nullable = nullable(document, root, &mark.path);
        let most = match lenient {
            true => mark.path.len(),
            // The root may always be null.
            false => (0..=mark.path.len()).rev().find(|length| nullable[*length]).unwrap_or_default(),
        };
        let mut place = Some(&mut data);
        for segment in &mark.path[..most] {
            place = match (place, segment) {
                (Some(Json::Object(members)), Json::String(name)) => members.get_mut(name),
                (Some(Json::Array(items)), Json::Number(index)) => items.get_mut(index.as_u64().unwrap() as usize),
                // It is null already.
                _ => None,
            };
        }
        if let Some(place) = place {
            *place = Json::Null;
        }
        if let Some((code, line, column)) = mark.error
            // Fields of one key are one field.
            && !told.iter().any(|told| told.error.path == Json::Array(mark.path.clone()))
        {
            let error = Error { code: code.to_owned(), path: mark.path.clone().into(), place: Some((line, column)) };
            told.push(Told { error, null_at: mark.path[..most].to_vec() });
        }
    }
    (data, told)
}

/// For each length of a path: whether what stands there may be null.
fn nullable(document: &ExecutableDocument, root: &SelectionSet, path: &[Json]) -> Vec<bool> {
    let (mut sets, mut of_type, mut nullable) = (vec![root], None::<Type>, vec![true]);
    for segment in path {
        match segment {
            Json::String(key) => {
                let mut found = Vec::new();
                sets.iter().for_each(|set| fields(document, set, key, &mut found));
                of_type = Some(found[0].0.clone());
                sets = found.into_iter().map(|(_, set)| set).collect();
            }
            _ => of_type = of_type.map(|of_type| of_type.item_type().clone()),
        }
        nullable.push(of_type.as_ref().is_none_or(|of_type| !of_type.is_non_null()));
    }
    nullable
}

/// The fields of a key: all of them have one shape, by the specification's `SameResponseShape`.
fn fields<'d>(
    document: &'d ExecutableDocument,
    set: &'d SelectionSet,
    key: &str,
    found: &mut Vec<(Type, &'d SelectionSet)>,
) {
    for selection in &set.selections {
        match selection {
            Selection::Field(field) if field.response_key() == key => {
                found.push((field.definition.ty.clone(), &field.selection_set));
            }
            Selection::Field(_) => {}
            Selection::InlineFragment(fragment) => fields(document, &fragment.selection_set, key, found),
            Selection::FragmentSpread(spread) => {
                fields(document, &document.fragments[&spread.fragment_name].selection_set, key, found);
            }
        }
    }
}

/// Every error of ours is one of theirs; one of theirs is missing only where another makes null of what it stands in: the
/// specification lets the others be given up.
fn compare(ours: &[Error], theirs: &[Told]) -> Result<(), String> {
    for error in ours {
        if !theirs.iter().any(|told| told.error == *error) {
            let theirs: Vec<_> = theirs.iter().map(|told| &told.error).collect();
            return Err(format!("an error of ours is none of theirs: {error:?}, {theirs:?}"));
        }
        if ours.iter().filter(|other| *other == error).count() > 1 {
            return Err(format!("an error is told twice: {error:?}"));
        }
    }
    for told in theirs {
        let path = told.error.path.as_array().unwrap();
        let is_given_up = |other: &Error| {
            let other = theirs.iter().find(|told| told.error == *other).unwrap();
            other.error != told.error && path.starts_with(&other.null_at)
        };
        if !ours.contains(&told.error) && !ours.iter().any(is_given_up) {
            return Err(format!("an error of theirs is none of ours: {:?}, {ours:?}", told.error));
        }
    }
    Ok(())
}

/// Data with the schema's own parts in one order: the specification names none.
fn sorted_meta(data: &str) -> String {
    fn sort(value: &mut Json) {
        match value {
            Json::Array(items) => {
                items.iter_mut().for_each(sort);
                items.sort_by_cached_key(Json::to_string);
            }
            Json::Object(members) => members.values_mut().for_each(sort),
            _ => {}
        }
    }
    let Ok(mut read) = serde_json::from_str::<Json>(data) else { return data.to_owned() };
    let Some(members) = read.as_object_mut() else { return data.to_owned() };
    let metas: Vec<_> = members.iter_mut().filter(|(key, _)| is_meta(key)).collect();
    if metas.is_empty() {
        return data.to_owned();
    }
    metas.into_iter().for_each(|(_, value)| sort(value));
    read.to_string()
}

/// `m1` and so on stand for `__schema` and `__type`.
fn is_meta(key: &str) -> bool {
    key.strip_prefix('m').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The types that a type's fields and arguments lead to.
fn reach(types: &apollo_compiler::Schema, of_type: &str, reached: &mut BTreeSet<String>) {
    if !reached.insert(of_type.to_owned()) {
        return;
    }
    let definition = &types.types[of_type];
    let mut next: Vec<&str> = Vec::new();
    let fields = match definition {
        ExtendedType::Object(object) => object.fields.values().collect(),
        ExtendedType::Interface(interface) => interface.fields.values().collect(),
        _ => Vec::new(),
    };
    for field in fields {
        next.push(field.ty.inner_named_type());
        next.extend(field.arguments.iter().map(|argument| argument.ty.inner_named_type().as_str()));
    }
    match definition {
        ExtendedType::InputObject(input) => {
            next.extend(input.fields.values().map(|field| field.ty.inner_named_type().as_str()));
        }
        ExtendedType::Union(union) => next.extend(union.members.iter().map(|member| member.as_str())),
        ExtendedType::Interface(_) => {
            let implementers = types.types.iter().filter(|(name, _)| types.is_subtype(of_type, name));
            next.extend(implementers.map(|(name, _)| name.as_str()));
        }
        _ => {}
    }
    next.into_iter().for_each(|name| reach(types, name, reached));
}

/// What the service tells of itself, all that can be selected of it.
fn told(world: &World) -> Json {
    let types = &world.api.schema.types;
    fn all(types: &apollo_compiler::Schema, of_type: &str) -> String {
        let Some(object) = types.get_object(of_type) else { return String::new() };
        let fields = object.fields.values().filter(|field| field.arguments.is_empty());
        let fields = fields.map(|field| format!("{} {}", field.name, all(types, field.ty.inner_named_type())));
        format!("{{ {} }}", fields.collect::<Vec<_>>().join(" "))
    }
    let ask = |text: &str| -> Json {
        let whole = world.answer(text, &json!({}), None, true, OnError::Propagate);
        let answer: Json = serde_json::from_str(&whole).unwrap();
        assert!(answer.get("errors").is_none(), "{whole}");
        answer["data"].clone()
    };
    let mut told = ask(&format!(
        "{{ freshness {} projection {} catalog {} _service {{ sdl }} }}",
        all(types, "DomainFreshness"),
        all(types, "Projection"),
        all(types, "Catalog")
    ));
    let freshness = all(types, "AnswerFreshness");
    told["of"] = ask(&format!(
        "{{ guest(key: \"ada\") {{ freshness {freshness} }} lodge(key: \"inn\") {{ freshness {freshness} }} stay(key: \"s1\") {{ freshness {freshness} }} }}"
    ));
    told
}
