//! Which rows may be seen: `[[access]]`, as far as it can be judged without the schema.

use serde_json::Value as Json;

use super::file::{ClaimValue, ClaimValues, FileAccess, Places, Sections};
use crate::model::{Model, nearest};
use crate::rights::RowRule;

/// Reads `[[access]]`.
pub fn read(
    file: &Sections,
    model: &Model,
    places: &Places,
    faults: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Vec<RowRule> {
    let rules: Vec<RowRule> = file
        .access
        .iter()
        .enumerate()
        .map(|(number, given)| rule(number, given, file, model, places, faults))
        .collect();
    for entity in model.entities.iter().filter(|_| !rules.is_empty()) {
        let own: Vec<&RowRule> = rules.iter().filter(|rule| rule.entity == entity.name).collect();
        let why = match own.iter().all(|rule| rule.require) {
            true if own.is_empty() => "no rule is about it",
            true => "its rules only `require`",
            false => continue,
        };
        let name = &entity.name;
        warnings.push(format!(
            "{}: [[access]]: nobody sees a `{name}`, as {why}: give it a `filter`, or `open = true`",
            places.of(&["access"])
        ));
    }
    rules
}

fn rule(
    number: usize,
    given: &FileAccess,
    file: &Sections,
    model: &Model,
    places: &Places,
    faults: &mut Vec<String>,
) -> RowRule {
    let number = number.to_string();
    let mut fault = |key: &str, what: &str| {
        faults.push(format!("{}: [[access]]: {what}", places.of(&["access", number.as_str(), key])));
    };
    if model.entity_named(&given.entity).is_none() {
        let near = nearest(&given.entity, model.entities.iter().map(|entity| entity.name.as_str()));
        fault("entity", &format!("the model has no entity `{}`{near}", given.entity));
    }
    match (&given.filter, given.open) {
        (Some(_), true) => fault("open", "a rule that is open needs no `filter`: leave one of them out"),
        (None, false) => fault("entity", "a rule has a `filter`, or `open = true`"),
        _ => {}
    }
    if given.open && given.require {
        fault("require", "a rule that is open requires nothing: it is a grant beside those that require");
    }
    if given.open && !given.unless.is_empty() {
        fault("unless", "a rule that is open is open to all: there is nothing to lift");
    }
    let has_claims = file.auth.as_ref().is_some_and(|auth| !auth.issuers.is_empty());
    if !given.unless.is_empty() && !has_claims {
        fault("unless", "claims come with tokens of `[[auth.issuers]]`, and there are none");
    }
    for (claim, values) in &given.unless {
        if matches!(values, ClaimValues::More(values) if values.is_empty()) {
            fault("unless", &format!("`{claim}` has no value that would lift the rule"));
        }
    }
    let value = |value: &ClaimValue| match value {
        ClaimValue::Text(text) => Json::from(text.as_str()),
        ClaimValue::Number(number) => Json::from(*number),
        ClaimValue::Truth(truth) => Json::from(*truth),
    };
    let values = |values: &ClaimValues| match values {
        ClaimValues::One(one) => vec![value(one)],
        ClaimValues::More(more) => more.iter().map(value).collect(),
    };
    RowRule {
        place: places.of(&["access", number.as_str(), "filter"]),
        entity: given.entity.clone(),
        filter: given.filter.clone(),
        unless: given.unless.iter().map(|(name, given)| (name.clone(), values(given))).collect(),
        require: given.require,
    }
}
