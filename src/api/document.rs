//! A document, read once: parsed with limits, validated, weighed, and compiled into plans that are kept.

use std::sync::{Arc, Mutex, PoisonError};

use apollo_compiler::ast::{Document as Syntax, OperationType, Value as Literal};
use apollo_compiler::executable::{Operation, Selection, SelectionSet};
use apollo_compiler::introspection::check_max_depth;
use apollo_compiler::parser::Parser;
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Node};

use super::check;
use super::coerce::{self, Variables};
use super::colons;
use super::compile::compile;
use super::error::{ApiError, PARSE_FAILED, TOO_DEEP, VALIDATION_FAILED};
use super::plan::Plan;
use super::schema::Schema;
use super::weigh::{Weigher, count};
use crate::limits::{Limits, NESTING_MAX, PLANS_MAX};
use crate::model::Model;
use crate::query::BAD_USER_INPUT;

/// One operation of a document that may be executed.
pub struct Document {
    pub document: Valid<ExecutableDocument>,
    pub operation: Node<Operation>,
    /// The fields that it can give; none where that depends on variables.
    cost: Option<u64>,
    /// The variables that decide what is selected, by name.
    conditions: Vec<Box<str>>,
    /// A plan for each of some of their values.
    plans: Mutex<Vec<(Vec<bool>, Arc<Plan>)>>,
}

/// An operation with its variables, ready to be executed.
pub struct Prepared {
    pub plan: Arc<Plan>,
    pub variables: Variables,
    pub cost: u64,
}

impl Document {
    /// Reads a document by the schema. `given` are the request's variables, which what it costs may depend on.
    pub fn read(
        schema: &Schema,
        limits: &Limits,
        text: &str,
        operation_name: Option<&str>,
        given: &Variables,
    ) -> Result<Document, Vec<ApiError>> {
        let one = |error: ApiError| vec![error];
        let mut parser = Parser::new().recursion_limit(NESTING_MAX).token_limit(limits.tokens_max);
        let ast =
            parser.parse_ast(text, "query.graphql").map_err(|faults| listed(&faults.errors, PARSE_FAILED, None))?;
        colons::check(text)?;
        let invalid = |faults: &DiagnosticList| listed(faults, VALIDATION_FAILED, Some(schema));
        let document = ast.to_executable(&schema.types).map_err(|faults| invalid(&faults.errors))?;
        let operation = operation(&document, operation_name).map_err(one)?.clone();
        count(&document, &operation, limits).map_err(one)?;
        // Weighed before it is validated: validating may cost as much as executing.
        let mut weigher = Weigher::new(&document, &operation, given, schema.shape);
        let cost = weigher.weigh(limits).map_err(one)?;
        let cost = (!weigher.depends.get()).then_some(cost);
        let document = document.validate(&schema.types).map_err(|faults| invalid(&faults.errors))?;
        check::inputs(&schema.types, &document)?;
        // Types lead to types: each list that leads on multiplies what is given.
        check_max_depth(&document, &operation).map_err(|_| {
            one(ApiError::new(TOO_DEEP, "introspection goes through more than three lists, one within the other"))
        })?;
        let conditions = conditions(&document, &operation);
        Ok(Document { document, operation, cost, conditions, plans: Mutex::default() })
    }

    /// Coerces a request's variables and gives the plan for them.
    pub fn prepare(
        &self,
        schema: &Schema,
        model: &Model,
        limits: &Limits,
        given: &Variables,
    ) -> Result<Prepared, Vec<ApiError>> {
        let variables = coerce::variables(&schema.types, &self.operation, given).map_err(|(place, message)| {
            let place = self.operation.variables[place].line_column_range(&self.document.sources);
            vec![ApiError::new(BAD_USER_INPUT, message).at(place)]
        })?;
        let cost = match self.cost {
            Some(cost) => cost,
            None => Weigher::new(&self.document, &self.operation, given, schema.shape)
                .weigh(limits)
                .map_err(|error| vec![error])?,
        };
        let mut values = Vec::with_capacity(self.conditions.len());
        for name in &self.conditions {
            match variables.get(&**name).and_then(serde_json::Value::as_bool) {
                Some(value) => values.push(value),
                None => {
                    let message = format!("`${name}` is null, and `@skip` and `@include` take true or false");
                    return Err(vec![ApiError::new(BAD_USER_INPUT, message)]);
                }
            }
        }
        Ok(Prepared { plan: self.plan(schema, model, values)?, variables, cost })
    }

    /// Compiles it for all its conditions' values that are alike: what is only found then is found now.
    pub fn compile(&self, schema: &Schema, model: &Model) -> Result<(), Vec<ApiError>> {
        for value in [false, true] {
            self.plan(schema, model, vec![value; self.conditions.len()])?;
        }
        Ok(())
    }

    fn plan(&self, schema: &Schema, model: &Model, values: Vec<bool>) -> Result<Arc<Plan>, Vec<ApiError>> {
        let known = |plans: &[(Vec<bool>, Arc<Plan>)]| {
            plans.iter().find(|(known, _)| *known == values).map(|(_, plan)| plan.clone())
        };
        if let Some(plan) = known(&self.plans.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(plan);
        }
        let condition =
            |name: &str| self.conditions.iter().position(|known| **known == *name).is_some_and(|place| values[place]);
        let plan = Arc::new(compile(schema, model, &self.document, &self.operation, &condition)?);
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= PLANS_MAX {
            plans.remove(0);
        }
        plans.push((values, plan.clone()));
        Ok(plan)
    }
}

/// A document's syntax, within bounds of its tokens and its nesting.
fn parsed(text: &str, tokens_max: usize) -> Result<Syntax, Vec<ApiError>> {
    let mut parser = Parser::new().recursion_limit(NESTING_MAX).token_limit(tokens_max);
    parser.parse_ast(text, "query.graphql").map_err(|faults| listed(&faults.errors, PARSE_FAILED, None))
}

/// The names of a document's operations.
pub fn operations(schema: &Schema, limits: &Limits, text: &str) -> Result<Vec<Option<String>>, Vec<ApiError>> {
    let ast = parsed(text, limits.tokens_max)?;
    let document =
        ast.to_executable(&schema.types).map_err(|faults| listed(&faults.errors, VALIDATION_FAILED, Some(schema)))?;
    let names = document.operations.iter().map(|operation| operation.name.as_ref().map(ToString::to_string));
    Ok(names.collect())
}

/// Whether what a document names to be executed is a mutation, though no schema of ours has one.
pub fn is_mutation(text: &str, name: Option<&str>) -> bool {
    let Ok(ast) = parsed(text, Limits::default().tokens_max) else { return false };
    let operations = ast.definitions.iter().filter_map(|definition| definition.as_operation_definition());
    let mut wanted = operations
        .filter(|operation| name.is_none_or(|name| operation.name.as_ref().is_some_and(|known| known == name)));
    wanted.any(|operation| operation.operation_type == OperationType::Mutation)
}

fn operation<'a>(document: &'a ExecutableDocument, name: Option<&str>) -> Result<&'a Node<Operation>, ApiError> {
    document.operations.get(name).map_err(|_| {
        let known =
            document.operations.iter().filter_map(|operation| operation.name.as_ref()).map(|name| name.as_str());
        let message = match name {
            _ if document.operations.is_empty() => "the document has no operation, only fragments".to_owned(),
            Some(name) => {
                let near = crate::model::nearest(name, known);
                format!("the document has no operation `{}`{near}", name.chars().take(60).collect::<String>())
            }
            None => "the document has several operations: name one by `operationName`".to_owned(),
        };
        ApiError::new(BAD_USER_INPUT, message)
    })
}

fn listed(faults: &DiagnosticList, code: &'static str, schema: Option<&Schema>) -> Vec<ApiError> {
    let shown = faults.iter().map(|fault| {
        let text = fault.error.to_string();
        let near = schema.map(|schema| check::nearest(&schema.types, &text)).unwrap_or_default();
        ApiError::new(code, text + &near).at(fault.line_column_range())
    });
    shown.take(20).collect()
}

/// The variables that `@skip` and `@include` name, wherever the operation may come to.
fn conditions(document: &ExecutableDocument, operation: &Operation) -> Vec<Box<str>> {
    fn of(set: &SelectionSet, names: &mut Vec<Box<str>>) {
        for selection in &set.selections {
            let directives = selection.directives();
            for directive in directives.iter().filter(|directive| matches!(directive.name.as_str(), "skip" | "include"))
            {
                if let Some(Literal::Variable(name)) = directive.specified_argument_by_name("if").map(|value| &**value)
                {
                    names.push(name.as_str().into());
                }
            }
            match selection {
                Selection::Field(field) => of(&field.selection_set, names),
                Selection::InlineFragment(fragment) => of(&fragment.selection_set, names),
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    let mut names = Vec::new();
    of(&operation.selection_set, &mut names);
    document.fragments.values().for_each(|fragment| of(&fragment.selection_set, &mut names));
    // Another operation's are none of this one.
    names.retain(|name| operation.variables.iter().any(|variable| *variable.name == **name));
    names.sort_unstable();
    names.dedup();
    names
}
