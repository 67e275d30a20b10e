//! Rules of which rows may be seen, compiled once, and what they come to for one who asks.
//!
//! A rule's filter is a GraphQL filter in which `$name` is a claim of the token, typed by where it stands. A claim that is
//! missing, null or of another type makes its rule false as a whole, before any negation in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use apollo_compiler::ast::{self, Type, Value as Literal};
use apollo_compiler::schema::ExtendedType;
use serde_json::{Map, Value as Json, json};

use super::coerce::{self, Variables};
use super::{Schema, reach};
use crate::ids::{By, EntityId};
use crate::model::Model;
use crate::query::{Filter, Rows, Sight, read_filter};
use crate::rights::{Rights, RowRule, Scopes, Who};

/// The rules of all entities.
pub struct Access {
    schema: Schema,
    model: Arc<Model>,
    rules: By<EntityId, Vec<Rule>>,
    /// By entity: those that its rules read.
    reads: By<EntityId, Vec<EntityId>>,
    /// Sees everything: rules are judged whatever the scopes of who asks.
    judge: Rights,
}

struct Rule {
    given: RowRule,
    /// None where it is open.
    filter: Option<Literal>,
}

impl Access {
    /// Compiles rules; none where there are none. Each fault says where it is. `has_issuers`: tokens with claims may come.
    pub fn new(
        schema: &Schema,
        model: &Arc<Model>,
        rules: &[RowRule],
        has_issuers: bool,
    ) -> Result<Option<Access>, Vec<String>> {
        if rules.is_empty() {
            return Ok(None);
        }
        let mut access = Access {
            schema: schema.clone(),
            model: model.clone(),
            rules: model.entities.iter().map(|_| Vec::new()).collect(),
            reads: model.entities.iter().map(|_| Vec::new()).collect(),
            judge: Rights::new(Who::Machine, Scopes::all()),
        };
        let mut faults = Vec::new();
        for given in rules {
            if let Err(why) = access.add(given, has_issuers) {
                faults.push(format!("{}: [[access]]: {why}", given.place));
            }
        }
        if faults.is_empty() { Ok(Some(access)) } else { Err(faults) }
    }

    fn add(&mut self, given: &RowRule, has_issuers: bool) -> Result<(), String> {
        let entity = self.model.entity_named(&given.entity).ok_or("its entity is not in the model")?;
        let filter = given.filter.as_deref().map(parsed).transpose()?;
        if let Some(literal) = &filter {
            let of_type = filter_type(&self.model, entity);
            // A sample stands for each claim: what is wrong with it is wrong with the filter.
            let mut claims = BTreeSet::new();
            let sample = self.sample(literal, &of_type, &mut claims)?;
            if let Some(claim) = claims.first().filter(|_| !has_issuers) {
                return Err(format!("`${claim}` is a claim of tokens of `[[auth.issuers]]`, and there are none"));
            }
            let sample = self.coerced(&of_type, sample)?;
            read_filter(&self.model, entity, &sample, &self.judge).map_err(|error| error.message)?;
            let (model, reads) = (&self.model, &mut self.reads[entity]);
            reach::of_filter(model, entity, &sample, &mut |read| {
                if !reads.contains(&read) {
                    reads.push(read);
                }
            });
        }
        self.rules[entity].push(Rule { given: given.clone(), filter });
        Ok(())
    }

    fn coerced(&self, of_type: &Type, value: Json) -> Result<Json, String> {
        coerce::value_of(&self.schema.types, of_type, value).map_err(|wrong| wrong.of("filter"))
    }

    /// What one who asks may see.
    pub fn rows(&self, rights: &Rights) -> Rows {
        let sights = self.rules.entries().map(|(entity, rules)| self.sight(entity, rules, rights));
        Rows(sights.collect())
    }

    /// The entities that an entity's rules look at, whoever asks: what is answered of it depends on those too.
    pub fn reads(&self, entity: EntityId) -> &[EntityId] {
        &self.reads[entity]
    }

    fn sight(&self, entity: EntityId, rules: &[Rule], rights: &Rights) -> Sight {
        let (mut grants, mut required) = (Vec::new(), Vec::new());
        let mut sees_all = false;
        for rule in rules {
            let lifted = rule.given.is_lifted(&rights.claims);
            let bound = match (&rule.filter, lifted) {
                (Some(filter), false) => self.bound(entity, filter, rights),
                _ => Some(Filter::And(Vec::new())),
            };
            match (rule.given.require, bound) {
                (true, Some(filter)) => required.push(filter),
                // Nobody has what is required of all.
                (true, None) => return Sight::Nothing,
                (false, Some(_)) if lifted || rule.filter.is_none() => sees_all = true,
                (false, Some(filter)) => grants.push(filter),
                (false, None) => {}
            }
        }
        match (sees_all, grants.len()) {
            (true, _) => {}
            (false, 0) => return Sight::Nothing,
            // One alone may be met by an index.
            (false, 1) => required.append(&mut grants),
            (false, _) => required.push(Filter::Or(grants)),
        }
        Sight::those(Filter::And(required))
    }

    /// A rule's filter with the claims of one who asks; none where they do not fit.
    fn bound(&self, entity: EntityId, filter: &Literal, rights: &Rights) -> Option<Filter> {
        let of_type = filter_type(&self.model, entity);
        let value = self.filled(filter, &of_type, &rights.claims)?;
        let value = self.coerced(&of_type, value).ok()?;
        read_filter(&self.model, entity, &value, &self.judge).ok()
    }

    fn input(&self, of_type: &Type) -> Option<&apollo_compiler::schema::InputObjectType> {
        match self.schema.types.types.get(of_type.inner_named_type().as_str())? {
            ExtendedType::InputObject(input) => Some(input),
            _ => None,
        }
    }

    fn member(&self, of_type: &Type, name: &str) -> Option<&Type> {
        Some(&self.input(of_type)?.fields.get(name)?.ty)
    }

    /// A literal in which a sample of its type stands for each claim.
    fn sample(&self, literal: &Literal, of_type: &Type, claims: &mut BTreeSet<String>) -> Result<Json, String> {
        Ok(match literal {
            Literal::Variable(name) => {
                claims.insert(name.to_string());
                let of_value = of_type.inner_named_type().as_str();
                let one = match (of_value, self.schema.types.types.get(of_value)) {
                    (_, Some(ExtendedType::Enum(values))) => {
                        values.values.keys().next().map_or(Json::Null, |name| name.as_str().into())
                    }
                    (_, Some(ExtendedType::InputObject(_))) => {
                        return Err(format!(
                            "`${name}` stands where an object does: a claim is a value, as in `{{ eq: ${name} }}`"
                        ));
                    }
                    ("Boolean", _) => true.into(),
                    ("Int" | "Long" | "Float", _) => 0.into(),
                    ("Date", _) => "2000-01-01".into(),
                    ("DateTime", _) => "2000-01-01T00:00:00Z".into(),
                    _ => "".into(),
                };
                if of_type.is_list() { json!([one]) } else { one }
            }
            Literal::Object(members) => {
                let sampled = members.iter().map(|(name, value)| {
                    // What the type does not have, coercing says.
                    let of_member = self.member(of_type, name).cloned();
                    let value = match of_member {
                        Some(of_member) => self.sample(value, &of_member, claims)?,
                        None => Json::Null,
                    };
                    Ok((name.to_string(), value))
                });
                Json::Object(sampled.collect::<Result<_, String>>()?)
            }
            Literal::List(items) => {
                let of_item = of_type.item_type();
                items.iter().map(|item| self.sample(item, of_item, claims)).collect::<Result<Vec<Json>, _>>()?.into()
            }
            literal => coerce::literal(literal, &Variables::new()).unwrap_or_default(),
        })
    }

    /// A literal with claims in it; none where one of them is missing or does not fit.
    fn filled(&self, literal: &Literal, of_type: &Type, claims: &Map<String, Json>) -> Option<Json> {
        Some(match literal {
            Literal::Variable(name) => {
                let claim = claims.get(name.as_str())?;
                match (of_type.is_list(), claim) {
                    (true, Json::Array(members)) => {
                        let item = of_type.item_type();
                        members.iter().map(|member| self.value(item, member)).collect::<Option<Vec<Json>>>()?.into()
                    }
                    (false, claim) => self.value(of_type, claim)?,
                    (true, _) => return None,
                }
            }
            Literal::Object(members) => {
                let mut filled = Map::new();
                for (name, value) in members {
                    let of_member = self.member(of_type, name)?;
                    match (name.as_str(), &**value) {
                        ("eq", Literal::Variable(claim)) if claims.get(claim.as_str()).is_some_and(Json::is_array) => {
                            self.any_of(of_member, claims.get(claim.as_str())?.as_array()?, &mut filled)?;
                        }
                        (name, value) => {
                            let value = self.filled(value, of_member, claims)?;
                            put(&mut filled, name, value);
                        }
                    }
                }
                Json::Object(filled)
            }
            Literal::List(items) => {
                let of_item = of_type.item_type();
                items.iter().map(|item| self.filled(item, of_item, claims)).collect::<Option<Vec<Json>>>()?.into()
            }
            literal => coerce::literal(literal, &Variables::new())?,
        })
    }

    /// Puts a list claim in `eq`'s place: one of these.
    fn any_of(&self, of_type: &Type, members: &[Json], filled: &mut Map<String, Json>) -> Option<()> {
        let values = members.iter().map(|member| self.value(of_type, member)).collect::<Option<Vec<Json>>>()?;
        if of_type.inner_named_type() != "Boolean" {
            put(filled, "in", values.into());
            return Some(());
        }
        // Truth values have no `in`.
        match (values.contains(&Json::Bool(true)), values.contains(&Json::Bool(false))) {
            (true, true) => put(filled, "isNull", false.into()),
            (false, false) => {
                put(filled, "eq", true.into());
                put(filled, "ne", true.into());
            }
            (is_true, _) => put(filled, "eq", is_true.into()),
        }
        Some(())
    }

    /// A claim's value in a place of a type: text for texts, dates and enums, an integer for integers.
    fn value(&self, of_type: &Type, claim: &Json) -> Option<Json> {
        let fits = match (of_type.inner_named_type().as_str(), claim) {
            ("Int" | "Long", claim) => claim.is_i64(),
            ("Float", claim) => claim.is_number(),
            ("Boolean", claim) => claim.is_boolean(),
            (_, claim) => claim.is_string(),
        };
        if !fits {
            return None;
        }
        coerce::value_of(&self.schema.types, of_type, claim.clone()).ok()
    }
}

/// Adds a member; of two lists of `in`, what both have.
fn put(filled: &mut Map<String, Json>, name: &str, value: Json) {
    let value = match (name, filled.get(name), value) {
        ("in", Some(Json::Array(known)), Json::Array(values)) => {
            values.into_iter().filter(|value| known.contains(value)).collect::<Vec<Json>>().into()
        }
        (_, _, value) => value,
    };
    filled.insert(name.to_owned(), value);
}

fn filter_type(model: &Model, entity: EntityId) -> Type {
    let name = format!("{}Filter", model.entities[entity].name);
    Type::Named(apollo_compiler::Name::new_unchecked(&name))
}

/// A value of GraphQL's, by itself.
fn parsed(text: &str) -> Result<Literal, String> {
    let document = format!("{{f(v:{text}\n)}}");
    let document = ast::Document::parse(document, "filter").map_err(|error| {
        let first = error.errors.iter().next().map(|error| error.to_string()).unwrap_or_default();
        let first = first.lines().next().unwrap_or_default().to_owned();
        format!("its filter is no value of GraphQL's: {first}")
    })?;
    let value = match &document.definitions[..] {
        [ast::Definition::OperationDefinition(operation)] => match &operation.selection_set[..] {
            [ast::Selection::Field(field)] if field.name == "f" && field.selection_set.is_empty() => {
                match &field.arguments[..] {
                    [argument] => Some((*argument.value).clone()),
                    _ => None,
                }
            }
            _ => None,
        },
        _ => None,
    };
    match value {
        Some(Literal::Object(members)) if members.is_empty() => {
            Err("its filter says nothing, and holds for everything: `open = true` says so".into())
        }
        Some(value @ Literal::Object(_)) => once(&value).map(|()| value),
        _ => Err("its filter is an object, as in `{ tenant: { eq: $tenant } }`".into()),
    }
}

/// An error where a member stands twice in an object: of two the first would be lost (GraphQL's specification, section 5.6.3).
fn once(value: &Literal) -> Result<(), String> {
    match value {
        Literal::Object(members) => members.iter().enumerate().try_for_each(|(place, (name, value))| {
            match members[..place].iter().any(|(known, _)| known == name) {
                true => Err(format!("`{name}` stands twice in its filter: put both under `and`")),
                false => once(value),
            }
        }),
        Literal::List(items) => items.iter().try_for_each(|item| once(item)),
        _ => Ok(()),
    }
}
