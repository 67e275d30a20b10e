//! From which checkpoint a start goes on, and what decides that.

use std::collections::HashMap;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::{EmbeddedStore, retention};
use crate::checkpoint::Rules;
use crate::clock;
use crate::config::{CheckpointPlace, Config};
use crate::event::OrderBy;
use crate::ids::{By, DomainId, TopicId};
use crate::keys::Keys;
use crate::model::Model;
use crate::pipeline::Saving;
use crate::position::Position;
use crate::projection::{Gate, Projector, Topic, Vault};
use crate::sealing::Sealing;
use crate::store::{Checkpoints, Files, Objects, Restore, Started, Store};

/// A projector that knows what the newest checkpoint of use held, or nothing; and how further ones are taken.
pub struct Begun {
    pub projector: Projector,
    pub gate: Gate,
    pub saving: Option<Saving>,
}

/// All that decides, beside the model, which graph the same records give: by what it is about.
pub fn rules(model: &Model, config: &Config) -> Rules {
    let mut rules = Rules::new();
    for (domain, description) in config.domains.iter().zip(&model.domains) {
        let order_by = match domain.rules.order_by {
            OrderBy::Sequence => "sequence",
            OrderBy::Position => "position",
            OrderBy::Time => "time",
        };
        let gaps = if domain.rules.report_gaps { "report" } else { "ignore" };
        let said = format!("order_by = {order_by}, gaps = {gaps}");
        rules.insert(format!("the domain `{}`", description.name), said);
    }
    for topic in &config.topics {
        let domains: Vec<&str> = topic.domains.iter().map(|domain| model.domains[*domain].name.as_str()).collect();
        let mapping = match &topic.mapping {
            Some(mapping) => format!(", mapping {:016x}", xxh3_64(format!("{mapping:?}").as_bytes())),
            None => String::new(),
        };
        let carries = if topic.tells_boundaries { ", boundaries of transactions" } else { "" };
        let source = &config.sources[topic.source].name;
        let said = format!("source {source}, domains {}{mapping}{carries}", domains.join(" "));
        rules.insert(format!("the topic `{}` of source `{source}`", topic.name), said);
    }
    for boundaries in &config.boundaries {
        let mut tables: Vec<String> = boundaries
            .tables
            .iter()
            .map(|(table, topic)| format!("{table} in {}", config.topics[*topic].name))
            .collect();
        tables.sort_unstable();
        let topic = &config.topics[boundaries.topic].name;
        rules.insert(format!("the transactions of `{topic}`"), tables.join(", "));
    }
    rules
}

/// Reads the newest checkpoint that is of use, and says in the log what became of it and of newer ones.
pub fn begin(
    config: &Config,
    model: &Arc<Model>,
    topics: By<TopicId, Topic>,
    embedded: Option<&EmbeddedStore>,
    keys: Arc<Keys>,
) -> Result<Begun, String> {
    let domains: By<DomainId, _> = config.domains.iter().map(|domain| domain.rules).collect();
    let gate = || Gate::new(config.boundaries.clone(), clock::moment());
    let anew = || Projector::new(model.clone(), domains.clone(), topics.clone(), config.ids_remembered);
    let Some(place) = &config.checkpoints.place else {
        return Ok(Begun { projector: anew(), gate: gate(), saving: None });
    };
    let store = store(place, config).map_err(|error| format!("[checkpoints]: {error}"))?;
    let checkpoints = Checkpoints::new(store, config.checkpoints.keep);
    let mut rules = rules(model, config);
    // With other keys nothing opens, as if all were erased.
    rules.insert("the key file of personal values".into(), format!("{:016x}", keys.identity()));
    let vault: Arc<dyn Vault + Send> = Arc::new(Sealing::new(keys, model.clone()));
    let began = clock::tick();
    let restore = Restore {
        model,
        rules: &rules,
        anew: &anew,
        vault: &*vault,
        now: clock::moment(),
        reaches: &|position| reaches(position, config, embedded),
    };
    // A place that does not answer costs time, never the service.
    let (Started { from, refused, is_unread }, away) = match checkpoints.start(&restore, &gate) {
        Ok(started) => (started, None),
        Err(why) => (Started { from: None, refused: Vec::new(), is_unread: true }, Some(why)),
    };
    if let Some(reason) = &away {
        tracing::warn!(reason, "which checkpoints there are is not known");
    }
    for refused in &refused {
        tracing::warn!(id = refused.id, reason = refused.why, "a checkpoint is refused");
    }
    let (projector, gate, from) = match from {
        Some((head, projector, gate)) => {
            let seconds = clock::tick().saturating_sub(began).as_secs_f64();
            let behind = behind(&head.position, embedded);
            tracing::info!(id = head.id, position = head.position, behind, seconds, "started from a checkpoint");
            let unplaced = projector.unplaced();
            (projector, gate, Some((head, unplaced)))
        }
        None => {
            let reason = match () {
                () if away.is_some() => "the checkpoints cannot be read",
                () if refused.is_empty() => "there is no checkpoint",
                () => "no checkpoint is of use",
            };
            tracing::info!(reason, "all records are read again");
            (anew(), gate(), None)
        }
    };
    let kept = retention::keeper(config.log_retention, embedded);
    let (every, write) = (config.checkpoints.every, config.checkpoints.write);
    // What an older checkpoint holds the log still has.
    let is_unread = is_unread && from.is_none();
    Ok(Begun {
        projector,
        gate,
        saving: Some(Saving { checkpoints, rules, vault, every, write, kept, from, is_unread }),
    })
}

/// A place for checkpoints, which is asked nothing yet where it is elsewhere.
fn store(place: &CheckpointPlace, config: &Config) -> Result<Box<dyn Store>, String> {
    Ok(match place {
        CheckpointPlace::Folder(folder) if !config.checkpoints.write => Box::new(Files::open_to_read(folder)),
        CheckpointPlace::Folder(folder) => Box::new(Files::open(folder, config.free_bytes_min)?),
        CheckpointPlace::Objects(url) => Box::new(Objects::open(url)?),
    })
}

/// The ends of the embedded log's partitions, by topic and number, with what the log is called.
type Ends = HashMap<(Arc<str>, u32), (crate::position::LogId, u64)>;

fn ends(embedded: Option<&EmbeddedStore>) -> Ends {
    let topics = embedded.map(|embedded| embedded.log.topics()).unwrap_or_default();
    let partitions = topics.iter().flat_map(|topic| (0..topic.partitions).map(move |number| (topic, number)));
    partitions.map(|(topic, number)| ((topic.name.clone(), number), (topic.id, topic.end(number)))).collect()
}

/// Whether the embedded log still has what a checkpoint says it had. Kafka's are asked once they answer: a service does not wait
/// for them to serve what it has.
fn reaches(position: &str, config: &Config, embedded: Option<&EmbeddedStore>) -> Result<(), String> {
    let ends = ends(embedded);
    let is_embedded = |name: &str| {
        config
            .topics
            .iter()
            .any(|topic| topic.name == name && config.sources[topic.source].kind == crate::config::SourceKind::Log)
    };
    for entry in Position::parse(position).map_err(|error| format!("its position is not readable: {error}"))?.entries()
    {
        if !is_embedded(&entry.topic) {
            continue;
        }
        let (topic, number) = (&entry.topic, entry.partition);
        match ends.get(&(entry.topic.clone(), number)) {
            Some((log, end)) if Some(*log) == entry.log && entry.offset <= *end => {}
            Some((log, end)) if Some(*log) == entry.log => {
                return Err(format!(
                    "it holds {topic}/{number} up to {}, and the log ends at {end}: was an older log put back?",
                    entry.offset
                ));
            }
            _ => return Err(format!("it is of another log of topic `{topic}` than the one that is here")),
        }
    }
    Ok(())
}

/// Records of the embedded log that come after a position; none where there is no such log.
fn behind(position: &str, embedded: Option<&EmbeddedStore>) -> Option<u64> {
    embedded?;
    let position = Position::parse(position).ok()?;
    let held: HashMap<_, _> =
        position.entries().map(|entry| ((entry.topic.clone(), entry.partition), entry.offset)).collect();
    let ends = ends(embedded);
    Some(ends.iter().map(|(place, (_, end))| end.saturating_sub(held.get(place).copied().unwrap_or(0))).sum())
}
