//! Sources, topics and domains of the configuration, checked against the model.

use std::sync::Arc;

use super::file::{File, FileDomain, FileEncoding, FileKind, FileOrderBy, Gaps};
use super::{DomainConfig, SourceConfig, SourceKind, TopicConfig};
use crate::encoding::{Encoding, Registry};
use crate::event::OrderBy;
use crate::freshness::{Thresholds, parse_duration_ms};
use crate::model::{Model, nearest};
use crate::projection::{Boundaries, DomainRules};
use crate::source::kafka::KafkaConfig;

/// The sources, topics and domains of a file.
pub struct Sourced {
    pub domains: Vec<DomainConfig>,
    pub sources: Vec<SourceConfig>,
    pub topics: Vec<TopicConfig>,
    pub boundaries: Vec<Boundaries>,
    pub dead_letters: Option<(usize, String)>,
}

/// Reads what the file says of sources and domains. Faults are lines that say what, where and what to write.
pub fn read(model: &Model, file: &File, path: &str, faults: &mut Vec<String>) -> Sourced {
    let sources = sources(file, path, faults);
    for name in file.domains.keys().filter(|name| model.domain_named(name).is_none()) {
        let near = nearest(name, model.domains.iter().map(|domain| domain.name.as_str()));
        faults.push(format!("{path}: [domains.{name}] is no domain of the model{near}"));
    }
    let mut all_topics: Vec<TopicConfig> = Vec::new();
    let left_out = FileDomain::default();
    let mut domains = Vec::new();
    for domain in &model.domains {
        let given = file.domains.get(&domain.name).unwrap_or(&left_out);
        let mut duration =
            |given: &Option<String>, name: &str, default: i64| match given.as_deref().map(parse_duration_ms) {
                None => default,
                Some(Ok(ms)) => ms,
                Some(Err(why)) => {
                    faults.push(format!("{path}: `{name}` of [domains.{}] {why}", domain.name));
                    default
                }
            };
        let thresholds = Thresholds {
            fresh_within_ms: duration(&given.fresh_within, "fresh_within", 5_000),
            stale_after_ms: duration(&given.stale_after, "stale_after", 300_000),
            quiet_after_ms: duration(&given.quiet_after, "quiet_after", 3_600_000),
        };
        if thresholds.fresh_within_ms > thresholds.stale_after_ms {
            faults.push(format!(
                "{path}: [domains.{}] is stale before it is latent: `stale_after` must not be below `fresh_within`",
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
                        "{path}: [domains.{}] reads from `{name}`, and there is no [sources.{name}]{near}",
                        domain.name
                    )
                }
                None => format!("{path}: [domains.{}] says no `source`, and there are several", domain.name),
            });
        }
        if encoding != Encoding::Json && source.is_some_and(|source| sources[source].registry.is_none()) {
            faults.push(format!(
                "{path}: [domains.{}] is in {}, and its source names no `schema_registry`",
                domain.name,
                encoding.name()
            ));
        }
        let topics = given.topics.clone().unwrap_or_else(|| vec![domain.name.clone()]);
        if topics.is_empty() {
            faults.push(format!(
                "{path}: [domains.{}] has no topics: leave `topics` out to read `{}`",
                domain.name, domain.name
            ));
        }
        for topic in &topics {
            let valid = !topic.is_empty()
                && topic.len() <= 249
                && topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            if !valid {
                faults.push(format!(
                    "{path}: `{topic}` of [domains.{}] is no topic's name: letters, digits, `.`, `_` and `-`",
                    domain.name
                ));
            }
            let source = source.unwrap_or(0);
            match all_topics.iter_mut().find(|known| known.name == *topic) {
                Some(known) if known.source != source => faults.push(format!(
                    "{path}: topic `{topic}` of [domains.{}] is read from two sources: names are unique over all of them",
                    domain.name
                )),
                Some(known) if known.encoding != encoding => faults.push(format!(
                    "{path}: topic `{topic}` of [domains.{}] has two encodings, {} and {}",
                    domain.name,
                    known.encoding.name(),
                    encoding.name()
                )),
                Some(known) => known.domains.push(domains.len()),
                None => all_topics.push(TopicConfig {
                    source,
                    name: topic.clone(),
                    domains: vec![domains.len()],
                    encoding,
                    mapping: None,
                    tells_boundaries: false,
                }),
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
    super::mappings::read(file, path, &sources, &mut all_topics, faults);
    let boundaries = super::transactions::read(file, path, &mut all_topics, faults);
    // What no topic is read from need not be there.
    let used = |index: usize| all_topics.iter().any(|topic| topic.source == index);
    let kept: Vec<usize> = (0..sources.len()).filter(|index| used(*index)).collect();
    for topic in &mut all_topics {
        topic.source = kept.iter().position(|index| *index == topic.source).unwrap_or(0);
    }
    let sources: Vec<SourceConfig> =
        sources.into_iter().enumerate().filter(|(index, _)| kept.contains(index)).map(|(_, source)| source).collect();
    let dead_letters = dead_letters(file, path, &sources, &all_topics, faults);
    Sourced { domains, sources, topics: all_topics, boundaries, dead_letters }
}

/// Where dead letters are written beside, which must be a cluster that is read, and a topic that is not.
fn dead_letters(
    file: &File,
    path: &str,
    sources: &[SourceConfig],
    topics: &[TopicConfig],
    faults: &mut Vec<String>,
) -> Option<(usize, String)> {
    let given = file.dead_letters.as_ref()?;
    let is_kafka = |source: &SourceConfig| source.name == given.source && matches!(source.kind, SourceKind::Kafka(_));
    let Some(source) = sources.iter().position(is_kafka) else {
        let near = nearest(&given.source, sources.iter().map(|source| source.name.as_str()));
        faults.push(format!("{path}: [dead_letters] goes to `{}`, which is no Kafka that is read{near}", given.source));
        return None;
    };
    if topics.iter().any(|topic| topic.name == given.topic) {
        faults.push(format!(
            "{path}: [dead_letters] goes to topic `{}`, which is read: it would be read again",
            given.topic
        ));
    }
    Some((source, given.topic.clone()))
}

fn sources(file: &File, path: &str, faults: &mut Vec<String>) -> Vec<SourceConfig> {
    let mut sources = Vec::new();
    for (name, given) in &file.sources {
        let kind = match given.kind {
            FileKind::Log => {
                if given.brokers.is_some() || !given.properties.is_empty() {
                    faults.push(format!(
                        "{path}: [sources.{name}] is the embedded log, which has no brokers or properties"
                    ));
                }
                SourceKind::Log
            }
            FileKind::Kafka => {
                let brokers = given.brokers.clone().unwrap_or_default();
                if brokers.trim().is_empty() {
                    faults.push(format!(
                        "{path}: [sources.{name}] names no brokers: write `brokers = \"host:9092\"`, several with commas"
                    ));
                }
                let properties = given.properties.iter().flat_map(|(name, value)| value.flat(name));
                let config = KafkaConfig { brokers, properties: properties.collect() };
                faults.extend(config.faults().iter().map(|fault| format!("{path}: [sources.{name}] {fault}")));
                SourceKind::Kafka(config)
            }
        };
        if kind == SourceKind::Log && sources.iter().any(|known: &SourceConfig| known.kind == SourceKind::Log) {
            faults.push(format!("{path}: [sources.{name}] is a second embedded log: there is one"));
        }
        let registry = given.schema_registry.as_deref().and_then(|url| match Registry::new(url) {
            Ok(registry) => Some(Arc::new(registry)),
            Err(why) => {
                faults.push(format!("{path}: `schema_registry` of [sources.{name}] {why}"));
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
