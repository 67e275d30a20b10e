//! A document before it is executed: parsed with limits, validated, its variables coerced, its cost and depth weighed, and
//! the domains that it can touch known. Each part is memoised by fragment, so that fan-out costs nothing here.

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::{Type, Value as AstValue};
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::introspection::check_max_depth;
use apollo_compiler::parser::Parser;
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::JsonMap;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Node, Schema};
use serde_json::{Map, Value as Json};

use super::error::{ApiError, PARSE_FAILED, TOO_COMPLEX, TOO_DEEP, VALIDATION_FAILED};
use super::mending::{Path, Segment};
use crate::limits::{Limits, NESTING_MAX};
use crate::model::Model;
use crate::query::{BAD_USER_INPUT, PAGE_DEFAULT};

/// How long the lists of introspection are, on average.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    types: u64,
    members: u64,
}

impl Shape {
    pub fn of(schema: &Schema) -> Shape {
        let members = |of_type: &ExtendedType| match of_type {
            ExtendedType::Object(object) => object.fields.len(),
            ExtendedType::Interface(interface) => interface.fields.len(),
            ExtendedType::InputObject(input) => input.fields.len(),
            ExtendedType::Enum(values) => values.values.len(),
            ExtendedType::Scalar(_) | ExtendedType::Union(_) => 0,
        };
        let (types, all) = (schema.types.len() as u64, schema.types.values().map(members).sum::<usize>() as u64);
        Shape { types, members: all.div_ceil(types.max(1)) }
    }
}

/// A document that may be executed.
#[derive(Debug)]
pub struct Prepared {
    document: Valid<ExecutableDocument>,
    operation: Node<Operation>,
    pub variables: Json,
    /// The fields that it can give.
    pub cost: u64,
    /// The domains that the operation can touch.
    pub domains: Vec<usize>,
    /// Whether `freshness`, `projection` or `catalog` are asked for.
    pub operational: bool,
}

/// Reads a document by the schema and weighs it.
pub fn prepare(
    schema: &Valid<Schema>,
    model: &Model,
    shape: Shape,
    limits: &Limits,
    query: &str,
    operation_name: Option<&str>,
    variables: &Map<String, Json>,
) -> Result<Prepared, Vec<ApiError>> {
    let mut parser = Parser::new().recursion_limit(NESTING_MAX).token_limit(limits.tokens_max);
    let ast = parser.parse_ast(query, "query.graphql").map_err(|faults| listed(&faults.errors, PARSE_FAILED))?;
    let document = ast.to_executable(schema).map_err(|faults| listed(&faults.errors, VALIDATION_FAILED))?;
    let one = |error: ApiError| vec![error];
    let operation = document.operations.get(operation_name).map_err(|_| {
        let message = match operation_name {
            Some(name) => format!("the document has no operation `{}`", name.chars().take(60).collect::<String>()),
            None => "the document has several operations: name one by `operationName`".to_owned(),
        };
        one(ApiError::new(BAD_USER_INPUT, message))
    })?;
    count(&document, operation, limits).map_err(one)?;
    // Weighed before it is validated: validating may cost as much as executing.
    let mut weigher =
        Weigher { document: &document, operation, variables, shape, costs: HashMap::new(), depths: HashMap::new() };
    let depth = weigher.depth(&operation.selection_set, &mut Vec::new());
    if depth > limits.depth_max {
        let message = format!("the query nests fields {depth} deep, and at most {} are taken", limits.depth_max);
        return Err(one(ApiError::new(TOO_DEEP, message)));
    }
    let cost = weigher.cost(&operation.selection_set, &mut Vec::new());
    if cost > limits.complexity_max {
        let message = format!(
            "the query can give {cost} fields, and at most {} are taken: ask for shorter pages",
            limits.complexity_max
        );
        return Err(one(ApiError::new(TOO_COMPLEX, message)));
    }
    let operation = operation.clone();
    let document = document.validate(schema).map_err(|faults| listed(&faults.errors, VALIDATION_FAILED))?;
    // Types lead to types: each list that leads on multiplies what is given.
    check_max_depth(&document, &operation).map_err(|_| {
        one(ApiError::new(TOO_DEEP, "introspection goes through more than three lists, one within the other"))
    })?;
    let given: JsonMap = variables.iter().map(|(name, value)| (name.as_str().into(), to_bytes(value))).collect();
    let coerced = coerce_variable_values(schema, &operation, &given).map_err(|error| {
        let mut shown = ApiError::new(BAD_USER_INPUT, error.message().to_string());
        let place = error.location().and_then(|span| span.line_column(&document.sources));
        shown.locations = place.map(|place| (place.line, place.column)).into_iter().collect();
        one(shown)
    })?;
    let variables = serde_json::to_value(&*coerced).unwrap_or_default();
    let mut reach = Reach {
        model,
        document: &document,
        variables: &variables,
        domains: HashSet::new(),
        operational: false,
        seen: HashSet::new(),
    };
    reach.operation(&operation);
    let (mut domains, operational): (Vec<usize>, _) = (reach.domains.into_iter().collect(), reach.operational);
    domains.sort_unstable();
    Ok(Prepared { cost, domains, operational, variables, document, operation })
}

impl Prepared {
    /// How much of a response's path stays when its end comes to null: up to the nearest field or item that may be null;
    /// `None` where that is all of the data.
    pub fn null_at(&self, path: &Path) -> Option<usize> {
        let mut sets = vec![&self.operation.selection_set];
        let mut nullable = None;
        let mut item: Option<&Type> = None;
        for (length, segment) in path.iter().enumerate() {
            let of_type = match (segment, item) {
                (Segment::Index(_), Some(list)) => list.item_type(),
                (Segment::Index(_), None) => return nullable,
                (Segment::Name(name), _) => {
                    let fields = self.fields(&sets, name);
                    let Some(first) = fields.first() else { return nullable };
                    let of_type = &first.definition.ty;
                    sets = fields.iter().map(|field| &field.selection_set).collect();
                    of_type
                }
            };
            if !of_type.is_non_null() {
                nullable = Some(length + 1);
            }
            item = of_type.is_list().then_some(of_type);
        }
        nullable
    }

    /// The fields of a response key, in selections and their fragments.
    fn fields<'a>(&'a self, sets: &[&'a SelectionSet], key: &str) -> Vec<&'a Field> {
        let mut found = Vec::new();
        for selection in sets.iter().flat_map(|set| &set.selections) {
            match selection {
                Selection::Field(field) if field.response_key() == key => found.push(field.as_ref()),
                Selection::Field(_) => {}
                Selection::InlineFragment(fragment) => found.extend(self.fields(&[&fragment.selection_set], key)),
                Selection::FragmentSpread(spread) => {
                    let fragment = self.document.fragments.get(&spread.fragment_name);
                    found
                        .extend(fragment.into_iter().flat_map(|fragment| self.fields(&[&fragment.selection_set], key)));
                }
            }
        }
        found
    }
}

fn listed(faults: &DiagnosticList, code: &'static str) -> Vec<ApiError> {
    let shown = faults.iter().map(|fault| {
        let mut error = ApiError::new(code, fault.error.to_string());
        error.locations =
            fault.line_column_range().map(|range| (range.start.line, range.start.column)).into_iter().collect();
        error
    });
    shown.take(20).collect()
}

fn to_bytes(value: &Json) -> apollo_compiler::response::JsonValue {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

/// Refuses what is too many of its kind. Fragments count once: how often they are spread is the weigher's to count.
fn count(document: &ExecutableDocument, operation: &Operation, limits: &Limits) -> Result<(), ApiError> {
    let (mut aliases, mut directives) = (0, 0);
    let mut sets = vec![&operation.selection_set];
    sets.extend(document.fragments.values().map(|fragment| &fragment.selection_set));
    while let Some(set) = sets.pop() {
        for selection in &set.selections {
            directives += selection.directives().len();
            match selection {
                Selection::Field(field) => {
                    aliases += usize::from(field.alias.is_some());
                    sets.push(&field.selection_set);
                }
                Selection::InlineFragment(fragment) => sets.push(&fragment.selection_set),
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    let roots = operation.root_fields(document).count();
    let of_each = [
        (aliases, limits.aliases_max, "aliases"),
        (directives, limits.directives_max, "directives"),
        (roots, limits.root_fields_max, "fields at its root"),
    ];
    match of_each.into_iter().find(|(count, most, _)| count > most) {
        Some((count, most, what)) => {
            Err(ApiError::new(TOO_COMPLEX, format!("the query has {count} {what}, and at most {most} are taken")))
        }
        None => Ok(()),
    }
}

struct Weigher<'a> {
    document: &'a ExecutableDocument,
    operation: &'a Operation,
    variables: &'a Map<String, Json>,
    shape: Shape,
    costs: HashMap<String, u64>,
    depths: HashMap<String, usize>,
}

impl<'a> Weigher<'a> {
    /// What the selections can give: Σ 1 + children × page size.
    fn cost(&mut self, set: &'a SelectionSet, open: &mut Vec<&'a str>) -> u64 {
        let mut cost = 0u64;
        for selection in &set.selections {
            cost = cost.saturating_add(match selection {
                Selection::Field(field) => {
                    let children = self.cost(&field.selection_set, open);
                    let size = if set.ty.starts_with("__") { self.shape_of(field) } else { self.size(field) };
                    children.saturating_mul(size).saturating_add(1)
                }
                Selection::InlineFragment(fragment) => self.cost(&fragment.selection_set, open),
                Selection::FragmentSpread(spread) => self.fragment_cost(spread.fragment_name.as_str(), open),
            });
        }
        cost
    }

    fn fragment_cost(&mut self, name: &'a str, open: &mut Vec<&'a str>) -> u64 {
        if let Some(cost) = self.costs.get(name) {
            return *cost;
        }
        // A cycle is validation's to refuse.
        let Some(fragment) = self.document.fragments.get(name).filter(|_| !open.contains(&name)) else { return 0 };
        open.push(name);
        let cost = self.cost(&fragment.selection_set, open);
        open.pop();
        self.costs.insert(name.to_owned(), cost);
        cost
    }

    /// How many times a field's children can come.
    fn size(&self, field: &Field) -> u64 {
        let argument = |name: &str| {
            let value = field.arguments.iter().find(|argument| argument.name == name)?;
            self.number(&value.value)
        };
        if field.name == "nodes" && field.definition.argument_by_name("ids").is_some() {
            return argument("ids").unwrap_or(PAGE_DEFAULT as u64);
        }
        if field.definition.argument_by_name("first").is_none() {
            return 1;
        }
        argument("first").into_iter().chain(argument("last")).max().unwrap_or(PAGE_DEFAULT as u64)
    }

    /// How many times a field of introspection comes.
    fn shape_of(&self, field: &Field) -> u64 {
        match field.name.as_str() {
            "types" => self.shape.types,
            _ if field.definition.ty.is_list() => self.shape.members,
            _ => 1,
        }
    }

    fn number(&self, value: &AstValue) -> Option<u64> {
        match value {
            AstValue::Int(number) => number.try_to_i32().ok().map(|number| number.max(0) as u64),
            AstValue::List(items) => Some(items.len() as u64),
            AstValue::Variable(name) => match self.variables.get(name.as_str()) {
                Some(Json::Array(items)) => Some(items.len() as u64),
                Some(value) => value.as_u64(),
                None => {
                    let variable = self.operation.variables.iter().find(|variable| variable.name == *name)?;
                    // A default is a constant: it names no variable in turn.
                    self.number(variable.default_value.as_ref()?)
                }
            },
            _ => None,
        }
    }

    fn depth(&mut self, set: &'a SelectionSet, open: &mut Vec<&'a str>) -> usize {
        let mut deepest = 0;
        for selection in &set.selections {
            deepest = deepest.max(match selection {
                Selection::Field(field) if field.name.starts_with("__") => 1,
                Selection::Field(field) => 1 + self.depth(&field.selection_set, open),
                Selection::InlineFragment(fragment) => self.depth(&fragment.selection_set, open),
                Selection::FragmentSpread(spread) => self.fragment_depth(spread.fragment_name.as_str(), open),
            });
        }
        deepest
    }

    fn fragment_depth(&mut self, name: &'a str, open: &mut Vec<&'a str>) -> usize {
        if let Some(depth) = self.depths.get(name) {
            return *depth;
        }
        let Some(fragment) = self.document.fragments.get(name).filter(|_| !open.contains(&name)) else { return 0 };
        open.push(name);
        let depth = self.depth(&fragment.selection_set, open);
        open.pop();
        self.depths.insert(name.to_owned(), depth);
        depth
    }
}

/// Finds the domains that an operation can touch.
struct Reach<'a> {
    model: &'a Model,
    document: &'a Valid<ExecutableDocument>,
    variables: &'a Json,
    domains: HashSet<usize>,
    operational: bool,
    seen: HashSet<String>,
}

impl Reach<'_> {
    fn operation(&mut self, operation: &Operation) {
        for field in operation.root_fields(self.document) {
            // Whom these find is not known before: every domain may be among them.
            if matches!(field.name.as_str(), "search" | "paths") {
                (0..self.model.entities.len()).for_each(|entity| self.touch(entity));
            }
            if matches!(field.name.as_str(), "freshness" | "projection" | "catalog") {
                self.operational = true;
            }
            for id in field.arguments.iter().filter(|argument| matches!(argument.name.as_str(), "id" | "ids")) {
                let ids = json_of(&id.value, self.variables);
                let texts =
                    ids.as_str().into_iter().chain(ids.as_array().into_iter().flatten().filter_map(Json::as_str));
                let kinds: Vec<usize> = texts.filter_map(|id| self.model.entity_named(id.split_once(':')?.0)).collect();
                kinds.into_iter().for_each(|entity| self.touch(entity));
            }
        }
        self.set(&operation.selection_set);
    }

    fn touch(&mut self, entity: usize) {
        self.domains.insert(self.model.entities[entity].domain);
    }

    fn set(&mut self, set: &SelectionSet) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    let name = field.definition.ty.inner_named_type().as_str();
                    let entity = self.model.entity_named(name.strip_suffix("Connection").unwrap_or(name));
                    if let Some(entity) = entity {
                        self.touch(entity);
                        for argument in field.arguments.iter().filter(|argument| argument.name == "filter") {
                            self.filter(entity, &json_of(&argument.value, self.variables));
                        }
                    }
                    self.set(&field.selection_set);
                }
                Selection::InlineFragment(fragment) => self.set(&fragment.selection_set),
                Selection::FragmentSpread(spread) => {
                    if self.seen.insert(spread.fragment_name.to_string())
                        && let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                    {
                        self.set(&fragment.selection_set);
                    }
                }
            }
        }
    }

    fn filter(&mut self, entity: usize, filter: &Json) {
        for (name, value) in filter.as_object().into_iter().flatten() {
            match value {
                _ if matches!(name.as_str(), "and" | "or") => {
                    value.as_array().into_iter().flatten().for_each(|part| self.filter(entity, part));
                    self.filter(entity, value);
                }
                _ if name == "not" => self.filter(entity, value),
                _ => {
                    let description = &self.model.entities[entity];
                    let link = description.field_named(name).and_then(|field| description.fields[field].kind.link());
                    let reverse =
                        description.reverses.iter().find(|reverse| reverse.name == *name).map(|reverse| reverse.entity);
                    if let Some(target) = link {
                        self.touch(target);
                        self.filter(target, value);
                    } else if let Some(source) = reverse {
                        self.touch(source);
                        value.as_object().into_iter().flatten().for_each(|(_, part)| self.filter(source, part));
                    }
                }
            }
        }
    }
}

/// A literal with its variables put in.
fn json_of(value: &AstValue, variables: &Json) -> Json {
    match value {
        AstValue::Null => Json::Null,
        AstValue::Enum(name) => name.as_str().into(),
        AstValue::Variable(name) => variables.get(name.as_str()).cloned().unwrap_or_default(),
        AstValue::String(text) => text.as_str().into(),
        AstValue::Float(number) => number.try_to_f64().map(Json::from).unwrap_or_default(),
        AstValue::Int(number) => number.try_to_f64().map(Json::from).unwrap_or_default(),
        AstValue::Boolean(truth) => (*truth).into(),
        AstValue::List(items) => items.iter().map(|item| json_of(item, variables)).collect(),
        AstValue::Object(members) => {
            Json::Object(members.iter().map(|(name, value)| (name.to_string(), json_of(value, variables))).collect())
        }
    }
}
