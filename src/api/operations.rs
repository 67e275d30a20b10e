//! The operational part of the schema: freshness, projection, dead letters, catalogue.

use async_graphql::Value as GraphValue;
use async_graphql::dynamic::{Field, FieldValue, Object, ResolverContext, SchemaBuilder};
use serde_json::{Value as Json, json};

use super::entity::to_graphql;
use super::fixed::operations::{DEAD_LETTER_ARGUMENTS, DEAD_LETTERS, PROJECTION};
use super::types::{argument, context, input, plain_object, refusable};
use super::{Context, freshness};
use crate::model::Model;
use crate::model::value::Value;
use crate::projection::{Catalogue, DeadLetter, Disagreement, Example, Seen};
use crate::query::{PAGE_DEFAULT, PAGE_MAX, QueryError};

pub fn register(builder: SchemaBuilder) -> SchemaBuilder {
    builder.register(plain_object(&PROJECTION).field(dead_letters()))
}

pub fn roots(query: Object) -> Object {
    let none = || Some(FieldValue::value(GraphValue::List(Vec::new())));
    let freshness = refusable("freshness", "[DomainFreshness!]!", none, |resolver| {
        let context = context(resolver)?;
        let model = context.reading.view.model();
        let wanted: Result<Vec<usize>, QueryError> = match argument(resolver, "domains") {
            Json::Array(names) => {
                names.iter().map(|name| domain_named(model, name.as_str().unwrap_or_default())).collect()
            }
            _ => Ok((0..model.domains.len()).collect()),
        };
        shown(wanted.and_then(|wanted| domains(context, &wanted)))
    });
    // What stands for those that are refused: nobody sees it, since the refusal takes its place.
    let no_projection = || {
        let nothing = json!({
            "version": 0, "position": "", "model": "", "startedAt": "1970-01-01T00:00:00Z", "eventsApplied": 0,
            "duplicates": 0, "conflicts": 0, "domains": [],
        });
        GraphValue::from_json(nothing).ok().map(FieldValue::value)
    };
    let no_catalog = || GraphValue::from_json(json!({ "entities": [] })).ok().map(FieldValue::value);
    let projection =
        refusable("projection", "Projection!", no_projection, |resolver| shown(projection(context(resolver)?)));
    let catalog = refusable("catalog", "Catalog!", no_catalog, |resolver| shown(catalog(context(resolver)?)));
    query
        .field(
            freshness
                .argument(input(
                    "domains",
                    "[String!]",
                    "Only these; all of them unless given. An unknown one is `BAD_USER_INPUT`.",
                ))
                .description("How fresh each domain is, and why."),
        )
        .field(projection.description("The projection's progress, for operations."))
        .field(catalog.description("What can be discovered: entities, event types, producers, drift."))
}

fn domain_named(model: &Model, name: &str) -> Result<usize, QueryError> {
    model.domain_named(name).ok_or_else(|| {
        let near = crate::model::nearest(name, model.domains.iter().map(|domain| domain.name.as_str()));
        QueryError::bad_input(format!("there is no domain `{name}`{near}"))
    })
}

fn plain<'a>(json: Json) -> async_graphql::Result<Option<FieldValue<'a>>> {
    Ok(Some(FieldValue::value(GraphValue::from_json(json)?)))
}

/// A value to show, or why it is not.
fn shown<'a>(result: Result<Json, QueryError>) -> async_graphql::Result<Result<Option<FieldValue<'a>>, QueryError>> {
    result.map_or_else(|error| Ok(Err(error)), |value| plain(value).map(Ok))
}

fn domains(context: &Context, wanted: &[usize]) -> Result<Json, QueryError> {
    // Each partition of each domain is written out.
    context.reading.steps((wanted.len() * context.pinned.freshness.partitions.len()) as u64)?;
    let model = context.reading.view.model();
    Ok(wanted.iter().map(|domain| freshness::domain(model, &context.pinned, *domain)).collect())
}

fn projection(context: &Context) -> Result<Json, QueryError> {
    let (snapshot, serving) = (&context.pinned.snapshot, &context.serving);
    let all: Vec<usize> = (0..context.reading.view.model().domains.len()).collect();
    let total = |count: fn(&crate::projection::Counters) -> u64| snapshot.counters.iter().map(count).sum::<u64>();
    let domains = domains(context, &all)?;
    Ok(json!({
        "version": snapshot.version,
        "position": context.pinned.position(&all).to_string(),
        "model": context.reading.view.model().fingerprint,
        "startedAt": serving.started_at.to_string(),
        "readyAt": serving.ready_at().map(|at| at.to_string()),
        "eventsApplied": total(|counters| counters.applied),
        "duplicates": total(|counters| counters.duplicates),
        "conflicts": total(|counters| counters.conflicts),
        "domains": domains,
    }))
}

fn dead_letters() -> Field {
    let none = || {
        let empty = json!({ "edges": [], "nodes": [], "pageInfo": { "hasNextPage": false, "hasPreviousPage": false }, "totalCount": 0 });
        GraphValue::from_json(empty).ok().map(FieldValue::value)
    };
    let letters = refusable("deadLetters", "DeadLetterConnection!", none, |resolver| {
        let context = context(resolver)?;
        let text = |name: &str| argument(resolver, name).as_str().map(str::to_owned);
        shown(
            size(resolver)
                .and_then(|first| dead_letter_page(context, text("domain"), text("code"), first, text("after"))),
        )
    });
    let arguments = DEAD_LETTER_ARGUMENTS.map(|(name, of_type, says)| input(name, of_type, says));
    arguments.into_iter().fold(letters.description(DEAD_LETTERS), Field::argument)
}

fn size(resolver: &ResolverContext<'_>) -> Result<usize, QueryError> {
    match argument(resolver, "first") {
        Json::Null => Ok(PAGE_DEFAULT),
        first => match first.as_u64() {
            Some(first) if first <= PAGE_MAX as u64 => Ok(first as usize),
            _ => Err(QueryError::bad_input(format!("`first` is an integer from 0 to {PAGE_MAX}"))),
        },
    }
}

/// Oldest first; a letter's cursor is its id.
fn dead_letter_page(
    context: &Context,
    domain: Option<String>,
    code: Option<String>,
    first: usize,
    after: Option<String>,
) -> Result<Json, QueryError> {
    let wanted = |letter: &DeadLetter| {
        domain.as_deref().is_none_or(|domain| *letter.domain == *domain)
            && code.as_deref().is_none_or(|code| letter.rejection.code.name() == code)
    };
    let mut matching = Vec::new();
    for (_, letter) in context.pinned.snapshot.dead_letters.iter() {
        context.reading.step()?;
        matching.extend(wanted(letter).then_some(letter));
    }
    let start = match &after {
        None => 0,
        Some(after) => {
            let place = matching.iter().position(|letter| letter.id() == *after);
            place.ok_or_else(|| {
                QueryError::bad_input("the cursor is of no dead letter that is kept: take it from an edge")
            })? + 1
        }
    };
    let page: Vec<&DeadLetter> = matching.iter().skip(start).take(first).copied().collect();
    let nodes: Vec<Json> = page.iter().map(|letter| dead_letter(letter)).collect();
    Ok(json!({
        "edges": page.iter().zip(&nodes).map(|(letter, node)| json!({ "cursor": letter.id(), "node": node })).collect::<Vec<_>>(),
        "nodes": nodes,
        "pageInfo": {
            "hasNextPage": start + page.len() < matching.len(), "hasPreviousPage": start > 0,
            "startCursor": page.first().map(|letter| letter.id()), "endCursor": page.last().map(|letter| letter.id()),
        },
        "totalCount": matching.len(),
    }))
}

pub fn dead_letter(letter: &DeadLetter) -> Json {
    let rejection = &letter.rejection;
    json!({
        "id": letter.id(), "domain": letter.domain.as_ref(), "code": rejection.code.name(), "field": rejection.field,
        "message": rejection.message, "topic": letter.topic.as_ref(), "partition": letter.partition, "offset": letter.offset,
        "at": letter.at.to_string(), "type": rejection.kind, "subject": rejection.subject, "size": letter.bytes.len(),
    })
}

/// Made once a request, however often it is asked for.
fn catalog(context: &Context) -> Result<Json, QueryError> {
    let (made, values) = context.catalog.get_or_init(|| {
        let model = context.reading.view.model();
        let entities = (0..model.entities.len()).map(|entity| catalog_entity(context, model, entity));
        let made = json!({ "entities": entities.collect::<Vec<Json>>() });
        let values = super::execute::count(&made);
        (made, values)
    });
    context.reading.steps(*values as u64)?;
    Ok(made.clone())
}

fn catalog_entity(context: &Context, model: &Model, index: usize) -> Json {
    let entity = &model.entities[index];
    let counts = context.reading.view.counts(index);
    let catalogue = &context.pinned.snapshot.catalogue[index];
    let topics = context.pinned.snapshot.topics.iter().filter(|topic| topic.domains.contains(&entity.domain));
    let mut topics: Vec<&str> = topics.map(|topic| topic.name.as_ref()).collect();
    topics.dedup();
    let fields = entity.fields.iter().zip(&counts.filled).map(|(field, filled)| {
        json!({
            "name": field.name, "type": model.type_name(&field.kind), "indexed": field.indexed,
            "searchable": field.searchable, "personal": field.personal, "filled": filled,
        })
    });
    let breaches =
        entity.checks.iter().zip(&counts.breaches).map(|(check, count)| json!({ "name": check.text, "count": count }));
    let seen = |(name, seen): (&std::sync::Arc<str>, &Seen)| {
        json!({
            "name": name.as_ref(), "inModel": seen.in_model, "count": seen.count,
            "firstSeen": seen.first.to_string(), "lastSeen": seen.last.to_string(),
        })
    };
    let drift =
        catalogue.drift.iter().flat_map(|(kind, names)| names.iter().map(move |(name, drift)| (kind, name, drift)));
    let drift = drift.map(|(kind, name, drift)| {
        json!({ "kind": kind.name(), "name": name.as_ref(), "count": drift.count, "lastSeen": drift.last.to_string() })
    });
    let dead = catalogue.dead_letters.iter().map(|(code, count)| json!({ "name": code.name(), "count": count }));
    json!({
        "name": entity.name, "domain": model.domain_of(index).name, "topics": topics,
        "count": counts.listed, "references": counts.references, "incomplete": counts.incomplete,
        "deleted": counts.deleted, "erased": counts.erased,
        "fields": fields.collect::<Vec<_>>(), "breaches": breaches.collect::<Vec<_>>(),
        "eventTypes": catalogue.event_types.iter().map(seen).collect::<Vec<_>>(),
        "producers": catalogue.producers.iter().map(seen).collect::<Vec<_>>(),
        "drift": drift.collect::<Vec<_>>(), "deadLetters": dead.collect::<Vec<_>>(),
        "lastWords": last_words(catalogue), "disagreements": disagreements(context, model, index),
    })
}

/// By producer: of how many entities its event is the last, and which share that is.
fn last_words(catalogue: &Catalogue) -> Vec<Json> {
    let all: u64 = catalogue.last_words.values().sum();
    let word = |(name, count): (&std::sync::Arc<str>, &u64)| json!({ "producer": name.as_ref(), "count": count, "share": *count as f64 / all as f64 });
    catalogue.last_words.iter().map(word).collect()
}

/// Fields of which producers say different things. What is personal is not shown to who may not see it.
fn disagreements(context: &Context, model: &Model, index: usize) -> Vec<Json> {
    let disagreement = |found: &Disagreement| {
        let field = &model.entities[index].fields[found.field];
        let hidden = field.personal && !context.reading.personal;
        let claim = |(producer, value): &(std::sync::Arc<str>, Value)| {
            let value = to_graphql(value.cell(), &field.kind, model).and_then(GraphValue::into_json);
            let value = value.ok().filter(|_| !hidden);
            json!({ "producer": producer.as_ref(), "value": value })
        };
        let example = |example: &Example| {
            let node = context.reading.view.node(index, example.slot);
            json!({ "key": node.key(), "claims": example.claims.iter().map(claim).collect::<Vec<_>>() })
        };
        let examples: Vec<Json> = found.examples.iter().map(example).collect();
        json!({ "field": field.name, "count": found.count, "examples": examples })
    };
    context.pinned.snapshot.catalogue[index].disagreements.iter().map(disagreement).collect()
}
