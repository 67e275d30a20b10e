//! Tells a projector events as a log would, for tests that need a graph and no service.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use staygraph::event::{Batch, Decoder, OrderBy};
use staygraph::graph::View;
use staygraph::ids::{By, DomainId};
use staygraph::model::Model;
use staygraph::model::value::Instant;
use staygraph::position::LogId;
use staygraph::projection::{DomainRules, Partition, Projector, Snapshot, Topic};

/// Tells a projector events, and publishes versions.
pub struct Teller {
    model: Arc<Model>,
    decoder: Decoder,
    projector: Projector,
    /// What is not applied yet.
    batches: By<DomainId, Batch>,
    told: u64,
}

impl Teller {
    pub fn new(model: &str) -> Teller {
        let model = Arc::new(Model::parse(model, "test.graphql").unwrap_or_else(|faults| panic!("{faults:?}")));
        let domains = model.domains.len();
        let rules = vec![DomainRules { order_by: OrderBy::Position, report_gaps: false }; domains];
        let topics = Topic::of_domains(&model, "log");
        let partitions: Vec<Partition> = topics
            .ids()
            .map(|topic| Partition { topic, log: LogId(topic.0), origin: LogId(topic.0), number: 0, lost: None })
            .collect();
        let mut projector = Projector::new(model.clone(), rules.into(), topics, 1_000_000);
        let batches = partitions.into_iter().map(|partition| Batch::new(projector.add(partition, 0))).collect();
        Teller {
            decoder: Decoder::new(model.clone(), vec![OrderBy::Position; domains].into(), 1 << 16),
            projector,
            batches,
            told: 0,
            model,
        }
    }

    pub fn tell(&mut self, kind: &str, key: &str, data: &Json) {
        let prefix = kind.split_once('.').map_or(kind, |(prefix, _)| prefix);
        let domain = self.model.entities[self.model.entity_of_event(prefix).unwrap()].domain;
        self.told += 1;
        let event = json!({
            "specversion": "1.0", "id": format!("e{}", self.told), "source": "/tests", "type": kind, "subject": key,
            "time": "2024-01-01T00:00:00Z", "data": data,
        });
        let bytes = event.to_string().into_bytes();
        self.batches[domain].push(&self.decoder, &[domain], self.told, Instant::EPOCH, &bytes);
    }

    /// Leaves out the event that would be told next: its place in the log stays empty.
    pub fn skip(&mut self, kind: &str) {
        let prefix = kind.split_once('.').map_or(kind, |(prefix, _)| prefix);
        let domain = self.model.entities[self.model.entity_of_event(prefix).unwrap()].domain;
        self.told += 1;
        self.batches[domain].next_offset = self.told + 1;
    }

    /// A version of all that was told; no event may have been refused.
    pub fn publish(&mut self) -> View {
        let snapshot = self.snapshot();
        let refused: Vec<_> = snapshot.dead_letters.iter().map(|(_, letter)| &letter.rejection).take(3).collect();
        assert!(refused.is_empty(), "{refused:?}");
        snapshot.graph
    }

    /// A version of all that was told, with what was refused of it.
    pub fn snapshot(&mut self) -> Snapshot {
        for batch in &mut self.batches {
            self.projector.apply(batch, Instant::EPOCH);
            batch.clear(batch.partition);
        }
        self.projector.publish()
    }
}
