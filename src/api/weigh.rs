//! What a document can cost, before it is executed: memoised by fragment, so that fan-out costs nothing here.

use std::cell::Cell;
use std::collections::HashMap;

use apollo_compiler::ast::Value as AstValue;
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::{Map, Value as Json};

use super::error::{ApiError, TOO_COMPLEX, TOO_DEEP};
use crate::limits::Limits;
use crate::query::PAGE_DEFAULT;

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

/// Refuses what is too many of its kind. Fragments count once: how often they are spread is the weigher's to count.
pub fn count(document: &ExecutableDocument, operation: &Operation, limits: &Limits) -> Result<(), ApiError> {
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

pub struct Weigher<'a> {
    document: &'a ExecutableDocument,
    operation: &'a Operation,
    variables: &'a Map<String, Json>,
    shape: Shape,
    costs: HashMap<String, u64>,
    depths: HashMap<String, usize>,
    /// Whether what a request gives as variables counts.
    pub depends: Cell<bool>,
}

impl<'a> Weigher<'a> {
    pub fn new(
        document: &'a ExecutableDocument,
        operation: &'a Operation,
        variables: &'a Map<String, Json>,
        shape: Shape,
    ) -> Weigher<'a> {
        let (costs, depths, depends) = (HashMap::new(), HashMap::new(), Cell::new(false));
        Weigher { document, operation, variables, shape, costs, depths, depends }
    }

    /// How deep fields nest, and how many fields the operation can give; what is more of either than may be is refused.
    pub fn weigh(&mut self, limits: &Limits) -> Result<u64, ApiError> {
        let operation = self.operation;
        let depth = self.depth(&operation.selection_set, &mut Vec::new());
        if depth > limits.depth_max {
            let message = format!("the query nests fields {depth} deep, and at most {} are taken", limits.depth_max);
            return Err(ApiError::new(TOO_DEEP, message));
        }
        let cost = self.cost(&operation.selection_set, &mut Vec::new());
        if cost > limits.complexity_max {
            let message = format!(
                "the query can give {cost} fields, and at most {} are taken: ask for shorter pages",
                limits.complexity_max
            );
            return Err(ApiError::new(TOO_COMPLEX, message));
        }
        Ok(cost)
    }

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
        for name in ["ids", "representations"] {
            if field.definition.argument_by_name(name).is_some() {
                return argument(name).unwrap_or(PAGE_DEFAULT as u64);
            }
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
            AstValue::Variable(name) => match (self.depends.replace(true), self.variables.get(name.as_str())).1 {
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
