//! The operational part of the schema: freshness, projection, dead letters, catalogue.

use serde_json::{Map, Value as Json, json};

use super::{Context, freshness};
use crate::graph::EventRef;
use crate::ids::{DomainId, EntityId};
use crate::model::Model;
use crate::model::value::Value;
use crate::projection::{self, Catalogue, DeadLetter, Digest, Disagreement, Example, Seen};
use crate::query::QueryError;
use crate::rights::Scope;
use crate::serving::Checkpoint;

fn domain_named(model: &Model, name: &str) -> Result<DomainId, QueryError> {
    model.domain_named(name).ok_or_else(|| {
        let near = crate::model::nearest(name, model.domains.iter().map(|domain| domain.name.as_str()));
        QueryError::bad_input(format!("there is no domain `{name}`{near}"))
    })
}

/// The domains that are asked for; all where none is named.
pub fn domains_named(context: &Context, given: &Map<String, Json>) -> Result<Vec<DomainId>, QueryError> {
    let model = context.reading.model();
    match given.get("domains").and_then(Json::as_array) {
        Some(names) => names.iter().map(|name| domain_named(model, name.as_str().unwrap_or_default())).collect(),
        None => Ok(model.domains.ids().collect()),
    }
}

pub fn domains(context: &Context, wanted: &[DomainId]) -> Result<Json, QueryError> {
    // Each partition of each domain is written out.
    context.reading.steps((wanted.len() * context.pinned.freshness.partitions.len()) as u64)?;
    let model = context.reading.model();
    Ok(wanted.iter().map(|domain| freshness::domain(model, &context.pinned, *domain)).collect())
}

/// A checkpoint, as clients have it.
pub fn checkpoint(checkpoint: &Checkpoint) -> Json {
    let Checkpoint { id, at, position, model, bytes, location } = checkpoint;
    json!({ "id": id, "at": at, "position": position, "model": model, "bytes": bytes, "location": location })
}

/// What the version says, as one number. Made once a version, however often it is asked for.
pub fn digest(context: &Context) -> Result<Json, QueryError> {
    let (snapshot, model) = (&context.pinned.snapshot, context.reading.model());
    model.entities.ids().for_each(|entity| context.reading.touch(entity));
    let digests = context.generation.digests(snapshot, || context.reading.steps(projection::DIGEST_STEP))?;
    let names = model.entities.iter().map(|entity| entity.name.as_str());
    let named: Vec<(&str, Digest)> = names.zip(digests.iter().copied()).collect();
    let of_entity =
        |(name, digest): &(&str, Digest)| json!({ "entity": name, "count": digest.count, "value": digest.text() });
    Ok(json!({
        "position": snapshot.position().to_string(),
        "value": Digest::of_all(named.iter().copied()),
        "entities": named.iter().map(of_entity).collect::<Vec<_>>(),
    }))
}

pub fn projection(context: &Context) -> Result<Json, QueryError> {
    let (snapshot, generation) = (&context.pinned.snapshot, &context.generation);
    let all: Vec<DomainId> = context.reading.model().domains.ids().collect();
    let total = |count: fn(&crate::projection::Counters) -> u64| snapshot.counters.iter().map(count).sum::<u64>();
    let domains = domains(context, &all)?;
    Ok(json!({
        "version": snapshot.version,
        "position": context.pinned.position(&all),
        "model": context.reading.model().fingerprint,
        "startedAt": generation.serving.started_at.to_string(),
        "readyAt": generation.ready_at().map(|at| at.to_string()),
        "eventsApplied": total(|counters| counters.applied),
        "duplicates": total(|counters| counters.duplicates),
        "conflicts": total(|counters| counters.conflicts),
        "domains": domains,
        "checkpoints": generation.serving.checkpoints().iter().map(checkpoint).collect::<Vec<_>>(),
    }))
}

/// Oldest first; a letter's cursor is its id.
pub fn dead_letters(context: &Context, given: &Map<String, Json>, first: usize) -> Result<Json, QueryError> {
    let text = |name: &str| given.get(name).and_then(Json::as_str);
    let (domain, code, after) = (text("domain"), text("code"), text("after"));
    let wanted = |letter: &DeadLetter| {
        domain.is_none_or(|domain| *letter.domain == *domain)
            && code.is_none_or(|code| letter.rejection.code.name() == code)
    };
    let mut matching = Vec::new();
    for (_, letter) in context.pinned.snapshot.dead_letters.iter() {
        context.reading.step()?;
        matching.extend(wanted(letter).then_some(letter));
    }
    let start = match after {
        None => 0,
        Some(after) => {
            let place = matching.iter().position(|letter| letter.id() == after);
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

pub fn event_ref(event: &EventRef<'_>) -> Json {
    json!({
        "id": event.id, "type": event.kind.as_ref(), "source": event.source.as_ref(), "sequence": event.sequence,
        "time": event.time.to_string(), "topic": event.topic.as_ref(), "partition": event.partition, "offset": event.offset,
        "appendedAt": event.appended_at.to_string(), "appliedAt": event.applied_at.to_string(),
        "dataschema": event.dataschema.as_deref(), "traceparent": event.traceparent,
    })
}

/// Made once a request, however often it is asked for.
pub fn catalog(context: &Context) -> Result<&Json, QueryError> {
    let (made, values) = context.catalog.get_or_init(|| {
        let model = context.reading.model();
        let entities = model.entities.ids().map(|entity| catalog_entity(context, model, entity));
        let made = json!({ "entities": entities.collect::<Vec<Json>>() });
        let values = super::json::count(&made);
        (made, values)
    });
    context.reading.steps(*values as u64)?;
    Ok(made)
}

fn catalog_entity(context: &Context, model: &Model, id: EntityId) -> Json {
    let entity = &model.entities[id];
    let counts = context.reading.counts(id);
    let catalogue = &context.pinned.snapshot.catalogue[id];
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
        "name": entity.name, "domain": model.domain_of(id).name, "topics": topics,
        "count": counts.listed, "references": counts.references, "incomplete": counts.incomplete,
        "deleted": counts.deleted, "erased": counts.erased,
        "fields": fields.collect::<Vec<_>>(), "breaches": breaches.collect::<Vec<_>>(),
        "eventTypes": catalogue.event_types.iter().map(seen).collect::<Vec<_>>(),
        "producers": catalogue.producers.iter().map(seen).collect::<Vec<_>>(),
        "drift": drift.collect::<Vec<_>>(), "deadLetters": dead.collect::<Vec<_>>(),
        "lastWords": last_words(catalogue), "disagreements": disagreements(context, model, id),
    })
}

/// By producer: of how many entities its event is the last, and which share that is.
fn last_words(catalogue: &Catalogue) -> Vec<Json> {
    let all: u64 = catalogue.last_words.values().sum();
    let word = |(name, count): (&std::sync::Arc<str>, &u64)| json!({ "producer": name.as_ref(), "count": count, "share": *count as f64 / all as f64 });
    catalogue.last_words.iter().map(word).collect()
}

/// Fields of which producers say different things. What is personal is not shown to who may not see it.
fn disagreements(context: &Context, model: &Model, id: EntityId) -> Vec<Json> {
    let disagreement = |found: &Disagreement| {
        let field = &model.entities[id].fields[found.field];
        let hidden = field.personal && !context.reading.rights.sees_personal();
        let claim = |(producer, value): &(std::sync::Arc<str>, Value)| {
            let mut text = Vec::new();
            super::json::cell(&mut text, value.cell(), &field.kind, model);
            let value: Option<Json> = serde_json::from_slice(&text).ok().filter(|_| !hidden);
            json!({ "producer": producer.as_ref(), "value": value })
        };
        // Keys and values are the graph's: for who may read that, and these.
        let may_read = context.reading.rights.may(Scope::Read);
        let sees = |example: &&Example| may_read && context.reading.sees(id.node(example.slot)).unwrap_or(false);
        let example = |example: &Example| {
            let node = context.reading.node(id.node(example.slot));
            json!({ "key": node.key(), "claims": example.claims.iter().map(claim).collect::<Vec<_>>() })
        };
        let examples: Vec<Json> = found.examples.iter().filter(sees).map(example).collect();
        json!({ "field": field.name, "count": found.count, "examples": examples })
    };
    context.pinned.snapshot.catalogue[id].disagreements.iter().map(disagreement).collect()
}
