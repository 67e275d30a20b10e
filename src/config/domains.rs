//! Sources, topics and domains of the configuration, checked against the model.

use std::sync::Arc;

use super::file::{FileDomain, FileEncoding, FileKind, FileOrderBy, Gaps, Places, Sections};
use super::written::Millis;
use super::{DomainConfig, SourceConfig, SourceKind, TopicConfig};
use crate::encoding::{Encoding, Registry};
use crate::event::OrderBy;
use crate::freshness::Thresholds;
use crate::ids::{By, DomainId, TopicId};
use crate::model::{Model, nearest};
use crate::projection::{Boundaries, DomainRules};
use crate::source::kafka::{Fault, KafkaConfig};

/// How often sources are asked for their logs' ends: below that nothing can be known to be fresh.
const POLL_MS: i64 = crate::source::HEARTBEAT.as_millis() as i64;

/// Completes "is …".
const TOPIC_FORM: &str = "no topic's name: at most 249 letters, digits, `.`, `_` and `-`, and not `.` or `..`";

fn is_topic(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !["", ".", ".."].contains(&name) && name.len() <= 249 && name.bytes().all(is_part)
}

/// A property's place: under its name in quotes, or spread over tables by its points.
fn property_place(places: &Places, source: &str, property: &str) -> String {
    let whole = places.of(&["sources", source, "properties", property]);
    let spread: Vec<&str> = ["sources", source, "properties"].into_iter().chain(property.split('.')).collect();
    let table = places.of(&["sources", source, "properties"]);
    if whole != table { whole } else { places.of(&spread) }
}

/// The sources, topics and domains of a file.
pub struct Sourced {
    pub domains: By<DomainId, DomainConfig>,
    pub sources: Vec<SourceConfig>,
    pub topics: By<TopicId, TopicConfig>,
    pub boundaries: Vec<Boundaries>,
    pub dead_letters: Option<(usize, String)>,
}

/// Reads what the file says of sources and domains. Faults are lines that say what, where and what to write.
pub fn read(
    model: &Model,
    file: &Sections,
    places: &Places,
    faults: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Sourced {
    let sources = sources(file, places, faults);
    for name in file.domains.keys().filter(|name| model.domain_named(name).is_none()) {
        let near = nearest(name, model.domains.iter().map(|domain| domain.name.as_str()));
        let place = places.of(&["domains", name]);
        faults.push(format!("{place}: [domains.{name}] is no domain of the model{near}"));
    }
    let mut all_topics: By<TopicId, TopicConfig> = By::default();
    let left_out = FileDomain::default();
    let mut domains = By::default();
    for (id, domain) in model.domains.entries() {
        let given = file.domains.get(&domain.name).unwrap_or(&left_out);
        let at = |key: &str| places.of(&["domains", &domain.name, key]);
        let duration = |given: Option<Millis<0>>, default: i64| given.map_or(default, |given| given.0);
        let thresholds = Thresholds {
            fresh_within_ms: duration(given.fresh_within, 5_000),
            stale_after_ms: duration(given.stale_after, 300_000),
            quiet_after_ms: duration(given.quiet_after, 3_600_000),
        };
        if thresholds.fresh_within_ms < POLL_MS {
            let place = at("fresh_within");
            warnings.push(format!(
                "{place}: `fresh_within` of [domains.{}] is below the {POLL_MS}ms between two questions to its source: it \
                 will often be LATENT for nothing",
                domain.name
            ));
        }
        if thresholds.fresh_within_ms > thresholds.stale_after_ms {
            faults.push(format!(
                "{}: [domains.{}] is stale before it is latent: `stale_after` must not be below `fresh_within`",
                at("stale_after"),
                domain.name
            ));
        }
        let encoding = match given.encoding {
            None | Some(FileEncoding::Json) => Encoding::Json,
            Some(FileEncoding::Avro) => Encoding::Avro,
            Some(FileEncoding::Protobuf) => Encoding::Protobuf,
        };
        let source = match (&given.source, &sources[..]) {
            (Some(name), _) => sources.iter().position(|source| source.name == *name),
            (None, [_]) => Some(0),
            (None, _) => None,
        };
        if source.is_none() {
            faults.push(match &given.source {
                Some(name) => {
                    let near = nearest(name, sources.iter().map(|source| source.name.as_str()));
                    let name = &name;
                    format!(
                        "{}: [domains.{}] reads from `{name}`, and there is no [sources.{name}]{near}",
                        at("source"),
                        domain.name
                    )
                }
                None => {
                    format!("{}: [domains.{}] says no `source`, and there are several", at("source"), domain.name)
                }
            });
        }
        if encoding != Encoding::Json && source.is_some_and(|source| sources[source].registry.is_none()) {
            faults.push(format!(
                "{}: [domains.{}] is in {}, and its source names no `schema_registry`",
                at("encoding"),
                domain.name,
                encoding.name()
            ));
        }
        let topics = given.topics.clone().unwrap_or_else(|| vec![domain.name.clone()]);
        if topics.is_empty() {
            faults.push(format!(
                "{}: [domains.{}] has no topics: leave `topics` out to read `{}`",
                at("topics"),
                domain.name,
                domain.name
            ));
        }
        for (number, topic) in topics.iter().enumerate() {
            let at = places.of(&["domains", &domain.name, "topics", &number.to_string()]);
            if !is_topic(topic) {
                faults.push(format!("{at}: `{topic}` of [domains.{}] is {TOPIC_FORM}", domain.name));
            }
            if topics[..number].contains(topic) {
                faults.push(format!("{at}: topic `{topic}` of [domains.{}] stands there twice", domain.name));
                continue;
            }
            let source = source.unwrap_or(0);
            match all_topics.iter_mut().find(|known| known.name == *topic) {
                Some(known) if known.source != source => faults.push(format!(
                    "{at}: topic `{topic}` of [domains.{}] is read from two sources: names are unique over all of them",
                    domain.name
                )),
                Some(known) if known.encoding != encoding => faults.push(format!(
                    "{at}: topic `{topic}` of [domains.{}] has two encodings, {} and {}",
                    domain.name,
                    known.encoding.name(),
                    encoding.name()
                )),
                Some(known) => known.domains.push(id),
                None => {
                    all_topics.push(TopicConfig {
                        source,
                        name: topic.clone(),
                        domains: vec![id],
                        encoding,
                        mapping: None,
                        tells_boundaries: false,
                    });
                }
            }
        }
        domains.push(DomainConfig {
            rules: DomainRules {
                order_by: match given.order_by {
                    None | Some(FileOrderBy::Sequence) => OrderBy::Sequence,
                    Some(FileOrderBy::Position) => OrderBy::Position,
                    Some(FileOrderBy::Time) => OrderBy::Time,
                },
                report_gaps: given.gaps != Some(Gaps::Ignore),
            },
            thresholds,
        });
    }
    super::mappings::read(file, places, &sources, &mut all_topics, faults);
    let boundaries = super::transactions::read(file, places, &mut all_topics, faults);
    // What no topic is read from need not be there.
    let used = |index: usize| all_topics.iter().any(|topic| topic.source == index);
    let kept: Vec<usize> = (0..sources.len()).filter(|index| used(*index)).collect();
    for topic in &mut all_topics {
        topic.source = kept.iter().position(|index| *index == topic.source).unwrap_or(0);
    }
    let sources: Vec<SourceConfig> =
        sources.into_iter().enumerate().filter(|(index, _)| kept.contains(index)).map(|(_, source)| source).collect();
    let dead_letters = dead_letters(file, places, &sources, &all_topics, faults);
    Sourced { domains, sources, topics: all_topics, boundaries, dead_letters }
}

/// Where dead letters are written beside, which must be a cluster that is read, and a topic that is not.
fn dead_letters(
    file: &Sections,
    places: &Places,
    sources: &[SourceConfig],
    topics: &[TopicConfig],
    faults: &mut Vec<String>,
) -> Option<(usize, String)> {
    let given = file.dead_letters.as_ref()?;
    let is_kafka = |source: &SourceConfig| source.name == given.source && matches!(source.kind, SourceKind::Kafka(_));
    let Some(source) = sources.iter().position(is_kafka) else {
        let near = nearest(&given.source, sources.iter().map(|source| source.name.as_str()));
        let place = places.of(&["dead_letters", "source"]);
        faults
            .push(format!("{place}: [dead_letters] goes to `{}`, which is no Kafka that is read{near}", given.source));
        return None;
    };
    let place = places.of(&["dead_letters", "topic"]);
    if !is_topic(&given.topic) {
        faults.push(format!("{place}: `{}` of [dead_letters] is {TOPIC_FORM}", given.topic));
    }
    if let SourceKind::Kafka(kafka) = &sources[source].kind
        && let Err(why) = kafka.check_outlet()
    {
        faults.push(format!(
            "{place}: [dead_letters]: the properties of [sources.{}] do not fit a producer: {why}",
            given.source
        ));
    }
    if topics.iter().any(|topic| topic.name == given.topic) {
        faults.push(format!(
            "{place}: [dead_letters] goes to topic `{}`, which is read: it would be read again",
            given.topic
        ));
    }
    Some((source, given.topic.clone()))
}

fn sources(file: &Sections, places: &Places, faults: &mut Vec<String>) -> Vec<SourceConfig> {
    let mut sources = Vec::new();
    for (name, given) in &file.sources {
        let at = |key: &str| places.of(&["sources", name, key]);
        let kind = match given.kind {
            FileKind::Log => {
                if given.brokers.is_some() || !given.properties.is_empty() {
                    faults.push(format!(
                        "{}: [sources.{name}] is the embedded log, which has no brokers or properties",
                        at("kind")
                    ));
                }
                SourceKind::Log
            }
            FileKind::Kafka => {
                let brokers = given.brokers.clone().unwrap_or_default();
                if brokers.trim().is_empty() {
                    faults.push(format!(
                        "{}: [sources.{name}] names no brokers: write `brokers = \"host:9092\"`, several with commas",
                        at("brokers")
                    ));
                }
                let config = KafkaConfig { brokers, properties: given.flat.clone() };
                for Fault { property, message } in config.faults() {
                    let place = match property {
                        Some(property) => property_place(places, name, &property),
                        None => at("brokers"),
                    };
                    faults.push(format!("{place}: [sources.{name}] {message}"));
                }
                SourceKind::Kafka(config)
            }
        };
        if kind == SourceKind::Log && sources.iter().any(|known: &SourceConfig| known.kind == SourceKind::Log) {
            faults.push(format!("{}: [sources.{name}] is a second embedded log: there is one", at("kind")));
        }
        let registry = given.schema_registry.as_deref().and_then(|url| match Registry::new(url) {
            Ok(registry) => Some(Arc::new(registry)),
            Err(why) => {
                faults.push(format!("{}: `schema_registry` of [sources.{name}] {why}", at("schema_registry")));
                None
            }
        });
        sources.push(SourceConfig { name: name.clone(), kind, registry });
    }
    if sources.is_empty() {
        sources.push(SourceConfig { name: "log".into(), kind: SourceKind::Log, registry: None });
    }
    sources
}
