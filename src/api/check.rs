//! What apollo-compiler's validation lacks of the September 2025 edition, and the nearest name of one that it does not know.

use std::collections::HashSet;

use apollo_compiler::ast::{Type, Value as Literal, VariableDefinition};
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};

use super::coerce::{self, Variables, is_one_of};
use super::error::{ApiError, VALIDATION_FAILED};
use crate::query::BAD_USER_INPUT;

/// Checks the inputs of every operation: fields of input objects by their uniqueness (5.6.3), `@oneOf` (5.6.5), nulls, and where
/// variables may stand (5.8.5).
pub fn inputs(schema: &Schema, document: &Valid<ExecutableDocument>) -> Result<(), Vec<ApiError>> {
    let mut errors = Vec::new();
    for operation in document.operations.iter() {
        let mut checker = Checker { schema, document, operation, seen: HashSet::new(), errors: &mut errors };
        for variable in &operation.variables {
            if let Some(default) = &variable.default_value {
                checker.value(default, &variable.ty, false);
            }
        }
        checker.set(&operation.selection_set);
    }
    errors.dedup();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

struct Checker<'a> {
    schema: &'a Schema,
    document: &'a Valid<ExecutableDocument>,
    operation: &'a Operation,
    seen: HashSet<&'a str>,
    errors: &'a mut Vec<ApiError>,
}

impl<'a> Checker<'a> {
    fn set(&mut self, set: &'a SelectionSet) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    self.field(field);
                    self.set(&field.selection_set);
                }
                Selection::InlineFragment(fragment) => self.set(&fragment.selection_set),
                Selection::FragmentSpread(spread) => {
                    if self.seen.insert(spread.fragment_name.as_str())
                        && let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                    {
                        self.set(&fragment.selection_set);
                    }
                }
            }
        }
    }

    fn field(&mut self, field: &Field) {
        for argument in &field.arguments {
            if let Some(definition) = field.definition.argument_by_name(&argument.name) {
                self.value(&argument.value, &definition.ty, definition.default_value.is_some());
            }
        }
    }

    fn value(&mut self, value: &Node<Literal>, of_type: &Type, has_default: bool) {
        match (&**value, of_type) {
            (Literal::Variable(name), _) => {
                let variable = self.operation.variables.iter().find(|variable| variable.name == *name);
                if let Some(variable) = variable.filter(|variable| !may_stand(variable, of_type, has_default)) {
                    let message = format!("`${name}` is a `{}`, and a `{of_type}` is wanted here", variable.ty);
                    self.refuse(value, message);
                }
            }
            // In a list's place it is no list of one.
            (Literal::Null, _) => {
                if of_type.is_non_null() {
                    self.refuse(value, format!("null stands where a `{of_type}` is wanted"));
                }
            }
            (Literal::List(items), Type::List(item) | Type::NonNullList(item)) => {
                items.iter().for_each(|value| self.value(value, item, false));
            }
            // A list of one.
            (_, Type::List(item) | Type::NonNullList(item)) => self.value(value, item, false),
            (Literal::Object(members), Type::Named(name) | Type::NonNullNamed(name)) => {
                match self.schema.types.get(name) {
                    Some(ExtendedType::InputObject(input)) => self.object(value, members, input),
                    _ => self.any(value),
                }
            }
            (_, Type::Named(name) | Type::NonNullNamed(name)) => {
                if let Some(ExtendedType::Scalar(_)) = self.schema.types.get(name) {
                    self.scalar(value, of_type);
                }
            }
        }
    }

    /// A literal of a scalar: of a kind that is another's it does not fit the schema, and else it may be no value.
    fn scalar(&mut self, value: &Node<Literal>, of_type: &Type) {
        let wrong = coerce::literal(value, &Variables::new())
            .and_then(|json| coerce::value_of(self.schema, of_type, json).err());
        if let Some(wrong) = wrong {
            let code = if wrong.is_other_kind { VALIDATION_FAILED } else { BAD_USER_INPUT };
            self.note(value, code, format!("the value {}", wrong.what()));
        }
    }

    /// A value of a scalar that takes any.
    fn any(&mut self, value: &Node<Literal>) {
        match &**value {
            Literal::List(items) => items.iter().for_each(|item| self.any(item)),
            Literal::Object(members) => {
                self.once(members, "object");
                members.iter().for_each(|(_, member)| self.any(member));
            }
            _ => {}
        }
    }

    fn object(&mut self, value: &Node<Literal>, members: &[(Name, Node<Literal>)], input: &InputObjectType) {
        self.once(members, &format!("`{}`", input.name));
        for (name, member) in members {
            if let Some(definition) = input.fields.get(name) {
                self.value(member, &definition.ty, definition.default_value.is_some());
            }
        }
        if is_one_of(input) {
            match members {
                [(name, member)] => {
                    let is_nullable = |variable: &Node<VariableDefinition>| !variable.ty.is_non_null();
                    let null = match &**member {
                        Literal::Null => true,
                        Literal::Variable(variable) => {
                            let variables = &self.operation.variables;
                            variables.iter().any(|known| known.name == *variable && is_nullable(known))
                        }
                        _ => false,
                    };
                    if null {
                        let message = format!("`{name}` may be null: the one member of a `{}` is not null", input.name);
                        self.refuse(member, message);
                    }
                }
                _ => {
                    let message = format!("a `{}` has exactly one member, and here are {}", input.name, members.len());
                    self.refuse(value, message);
                }
            }
        }
    }

    /// Refuses members of one name.
    fn once(&mut self, members: &[(Name, Node<Literal>)], of: &str) {
        let mut known = HashSet::new();
        for (name, member) in members.iter().filter(|(name, _)| !known.insert(name)) {
            self.refuse(member, format!("`{name}` is given twice in one {of}"));
        }
    }

    fn refuse(&mut self, value: &Node<Literal>, message: String) {
        self.note(value, VALIDATION_FAILED, message);
    }

    fn note(&mut self, value: &Node<Literal>, code: &'static str, message: String) {
        let place = value.line_column_range(&self.document.sources);
        self.errors.push(ApiError::new(code, message).at(place));
    }
}

/// Whether the lists of two values are as long as each other, wherever they stand in them.
pub fn is_as_long(one: &Literal, other: &Literal) -> bool {
    match (one, other) {
        (Literal::List(one), Literal::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_as_long(one, other))
        }
        (Literal::Object(one), Literal::Object(other)) => one.iter().all(|(name, one)| {
            other.iter().find(|(known, _)| known == name).is_none_or(|(_, other)| is_as_long(one, other))
        }),
        _ => true,
    }
}

/// Whether a variable may stand where a type is wanted: `IsVariableUsageAllowed`.
fn may_stand(variable: &VariableDefinition, wanted: &Type, has_default: bool) -> bool {
    let is_null = |value: &Node<Literal>| matches!(**value, Literal::Null);
    if wanted.is_non_null() && !variable.ty.is_non_null() {
        let has_own = variable.default_value.as_ref().is_some_and(|value| !is_null(value));
        return (has_own || has_default) && fits(&variable.ty, &wanted.clone().nullable());
    }
    fits(&variable.ty, wanted)
}

/// `AreTypesCompatible`.
fn fits(given: &Type, wanted: &Type) -> bool {
    match (given, wanted) {
        (Type::NonNullNamed(given), Type::NonNullNamed(wanted) | Type::Named(wanted))
        | (Type::Named(given), Type::Named(wanted)) => given == wanted,
        (Type::NonNullList(given), Type::NonNullList(wanted) | Type::List(wanted))
        | (Type::List(given), Type::List(wanted)) => fits(given, wanted),
        _ => false,
    }
}

/// ": did you mean …?" for a message that names what it does not know.
pub fn nearest(schema: &Schema, message: &str) -> String {
    // The names in a message, as it quotes them.
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let fields = |of_type: &str| -> Vec<&str> {
        match schema.types.get(of_type) {
            Some(ExtendedType::Object(object)) => object.fields.keys().map(|name| name.as_str()).collect(),
            Some(ExtendedType::Interface(interface)) => interface.fields.keys().map(|name| name.as_str()).collect(),
            Some(ExtendedType::InputObject(input)) => input.fields.keys().map(|name| name.as_str()).collect(),
            Some(ExtendedType::Enum(values)) => values.values.keys().map(|name| name.as_str()).collect(),
            _ => Vec::new(),
        }
    };
    // Of two names that a message has, one is known: whose the other was to be.
    let known = |name: &&&str| schema.types.contains_key(**name);
    let unknown = names.iter().find(|name| !known(name));
    let Some(unknown) = unknown else { return String::new() };
    let holder = names.iter().find(known);
    let field_of = if message.contains("argument") { arguments(schema, &names) } else { Vec::new() };
    let candidates: Vec<&str> = match holder {
        _ if !field_of.is_empty() => field_of,
        Some(holder) => fields(holder),
        None if message.contains("type") => schema.types.keys().map(|name| name.as_str()).collect(),
        None if message.contains("directive") => {
            schema.directive_definitions.keys().map(|name| name.as_str()).collect()
        }
        None => Vec::new(),
    };
    crate::model::nearest(unknown, candidates.into_iter().filter(|name| !name.starts_with("__")))
}

/// The arguments of a field that a message names as `Type.field`.
fn arguments<'a>(schema: &'a Schema, names: &[&str]) -> Vec<&'a str> {
    let field = names.iter().find_map(|name| {
        let (of_type, field) = name.split_once('.')?;
        schema.type_field(of_type, field).ok()
    });
    field.map(|field| field.arguments.iter().map(|argument| argument.name.as_str()).collect()).unwrap_or_default()
}
