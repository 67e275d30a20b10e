//! The service's metrics, by name. What is counted as it happens lives here; what others count is read at each scrape, so
//! that two scrapes at once see the same.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    TextEncoder,
};

use super::memory;
use crate::event::Code;
use crate::freshness::{Cause, Status};
use crate::ids::{By, DomainId};
use crate::model::Model;
use crate::serving::Generation;

/// What the embedded log takes of its disk, what is free there, and what it takes of the memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Store {
    pub log: u64,
    pub free: u64,
    pub memory: u64,
}

/// An issuer's keys, as they are now.
#[derive(Clone, Debug)]
pub struct IssuerKeys {
    pub issuer: Arc<str>,
    pub keys: usize,
    /// Since they were fetched; none where they never were.
    pub age: Option<Duration>,
    /// Fetches that failed.
    pub failures: u64,
}

/// Why requests are kept out.
const KEPT_OUT: [&str; 4] = ["unauthenticated", "ambiguous", "forbidden", "keys_away"];

/// The outcomes of GraphQL requests.
const OUTCOMES: [&str; 7] = ["ok", "error", "refused", "denied", "not_fresh_enough", "overloaded", "failed"];

/// In seconds.
const BUCKETS: [f64; 18] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// The same for what takes milliseconds at most when all is well.
const SHORT_BUCKETS: [f64; 15] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// The service's metrics, all under `staygraph_`, and the process's own.
pub struct Metrics {
    /// What is counted here.
    registry: Registry,
    process: Registry,
    model: Arc<Model>,
    skipped: IntCounterVec,
    split: IntCounterVec,
    /// By domain, so that the projector looks nothing up.
    visible: By<DomainId, Histogram>,
    query: HistogramVec,
    publish: Histogram,
    accepted: IntCounter,
    refused: IntCounterVec,
    kept_out: IntCounterVec,
    pinned: Gauge,
    garbage: Gauge,
    checkpoint_seconds: Gauge,
    checkpoint_bytes: Gauge,
    checkpoints_failed: IntCounter,
    /// What the process may take, in bytes; unset, nothing is refused for it.
    memory_max: OnceLock<u64>,
    /// Bytes of batches on their way, and of those that wait to be filled again.
    batches: AtomicUsize,
}

impl Metrics {
    pub fn new(model: Arc<Model>) -> Result<Metrics, prometheus::Error> {
        let registry = Registry::new_custom(Some("staygraph".into()), None)?;
        let build = "The running version and its model's fingerprint; always 1.";
        let build = gauges(&registry, "build_info", build, &["version", "model"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), &model.fingerprint]).set(1.0);
        let seconds = |name: &str, help: &str, label: &str| {
            kept(&registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()), &[label])?)
        };
        let visible =
            seconds("event_visible_seconds", "From an event's append to its version being readable.", "domain")?;
        let query = seconds("query_seconds", "GraphQL requests, by outcome.", "outcome")?;
        OUTCOMES.iter().for_each(|outcome| drop(query.with_label_values(&[outcome])));
        let refused = "Events that POST /events refused, by reason.";
        let refused = counters(&registry, "events_refused_total", refused, &["code"])?;
        Code::ALL.iter().for_each(|code| drop(refused.with_label_values(&[code.name()])));
        let kept_out =
            counters(&registry, "requests_kept_out_total", "Requests that were not let in, by reason.", &["reason"])?;
        KEPT_OUT.iter().for_each(|reason| drop(kept_out.with_label_values(&[reason])));
        let split =
            "Transactions of a database that did not become visible at once: something of them did not come in time.";
        let skipped = "Records of a table's topic that are no change of a row, by kind.";
        let accepted = IntCounter::new("events_accepted_total", "Events that POST /events made durable.")?;
        let failed = "Checkpoints that were to be taken, and were not.";
        let checkpoints_failed = IntCounter::new("checkpoints_failed_total", failed)?;
        let gauge = |name: &str, help: &str| kept(&registry, Gauge::new(name, help)?);
        let publish = "Making a version of what was applied, until it is the one that is read.";
        let publish =
            Histogram::with_opts(HistogramOpts::new("publish_seconds", publish).buckets(SHORT_BUCKETS.to_vec()))?;
        let process = Registry::new();
        #[cfg(target_os = "linux")]
        process.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Metrics {
            skipped: counters(&registry, "records_skipped_total", skipped, &["topic", "kind"])?,
            split: counters(&registry, "transactions_split_total", split, &["topic"])?,
            visible: model.domains.iter().map(|domain| visible.with_label_values(&[&domain.name])).collect(),
            query,
            publish: kept(&registry, publish)?,
            accepted: kept(&registry, accepted)?,
            refused,
            kept_out,
            pinned: gauge("versions_pinned", "Versions that are held or read, the newest among them.")?,
            garbage: gauge("garbage_pages", "Pages with records that are kept for a version, or wait to be dropped.")?,
            checkpoint_seconds: gauge(
                "checkpoint_seconds",
                "What the newest checkpoint took, from being asked for until it was safe.",
            )?,
            checkpoint_bytes: gauge("checkpoint_bytes", "Bytes of the newest checkpoint.")?,
            checkpoints_failed: kept(&registry, checkpoints_failed)?,
            memory_max: OnceLock::new(),
            batches: AtomicUsize::new(0),
            registry,
            process,
            model,
        })
    }

    /// The process may take so many bytes.
    pub fn bound_memory(&self, bytes: u64) {
        // Said once.
        let _ = self.memory_max.set(bytes);
    }

    /// How many bytes the process takes, and may take, where that is as many: asked for now and then, it costs a file.
    pub fn out_of_memory(&self) -> Option<(u64, u64)> {
        let most = *self.memory_max.get()?;
        memory::resident_bytes().filter(|bytes| *bytes >= most).map(|bytes| (bytes, most))
    }

    /// Records of a table's topic may be of these kinds: their counters are there, at 0.
    pub fn may_skip(&self, topic: &str, kinds: &[&str]) {
        kinds.iter().for_each(|kind| drop(self.skipped.with_label_values(&[topic, kind])));
    }

    /// A topic tells boundaries: its counter is there, at 0.
    pub fn may_split(&self, topic: &str) {
        drop(self.split.with_label_values(&[topic]));
    }

    /// An event became readable this many seconds after its append.
    pub fn visible(&self, domain: DomainId, seconds: f64) {
        self.visible[domain].observe(seconds);
    }

    /// A record of a table's topic is no change of a row.
    pub fn skipped(&self, topic: &str, kind: &str) {
        self.skipped.with_label_values(&[topic, kind]).inc();
    }

    /// A transaction whose boundaries a topic tells did not become visible at once.
    pub fn split(&self, topic: &str) {
        self.split.with_label_values(&[topic]).inc();
    }

    /// A checkpoint of so many bytes was taken, and that took so long.
    pub fn checkpoint_taken(&self, bytes: u64, seconds: f64) {
        self.checkpoint_bytes.set(bytes as f64);
        self.checkpoint_seconds.set(seconds);
    }

    pub fn checkpoint_failed(&self) {
        self.checkpoints_failed.inc();
    }

    /// A version was published, and that took so long.
    pub fn published(&self, took: Duration) {
        self.publish.observe(took.as_secs_f64());
    }

    /// How many versions are read, and how many pages hold records for old ones.
    pub fn versions(&self, pinned: usize, garbage: usize) {
        self.pinned.set(pinned as f64);
        self.garbage.set(garbage as f64);
    }

    /// A batch takes so many bytes, and was counted as so many.
    pub fn batches(&self, bytes: usize, counted: usize) {
        self.batches.fetch_add(bytes.wrapping_sub(counted), Ordering::Relaxed);
    }

    /// A GraphQL request ended.
    pub fn query(&self, outcome: &str, seconds: f64) {
        self.query.with_label_values(&[outcome]).observe(seconds);
    }

    /// A request was not let in.
    pub fn kept_out(&self, reason: &str) {
        self.kept_out.with_label_values(&[reason]).inc();
    }

    /// A body of events was judged.
    pub fn written(&self, accepted: usize, refused: impl Iterator<Item = (Code, usize)>) {
        self.accepted.inc_by(accepted as u64);
        refused.for_each(|(code, count)| self.refused.with_label_values(&[code.name()]).inc_by(count as u64));
    }

    /// Prometheus text, with everything as it is now.
    pub fn render(
        &self,
        generation: &Generation,
        store: Option<Store>,
        issuers: &[IssuerKeys],
        certificate_ends_at_s: Option<i64>,
    ) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        let now = self.now(generation, store, issuers, certificate_ends_at_s)?;
        for families in [self.registry.gather(), now.gather(), self.process.gather()] {
            TextEncoder::new().encode(&families, &mut text)?;
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// What others count. Made for one scrape: nothing is added to what another one added.
    fn now(
        &self,
        generation: &Generation,
        store: Option<Store>,
        issuers: &[IssuerKeys],
        certificate_ends_at_s: Option<i64>,
    ) -> Result<Registry, prometheus::Error> {
        let registry = Registry::new_custom(Some("staygraph".into()), None)?;
        let pinned = generation.pin();
        let (snapshot, freshness) = (&pinned.snapshot, &pinned.freshness);
        let (by_domain, by_code) = (&["domain"], &["domain", "code"]);
        let applied = counters(
            &registry,
            "events_applied_total",
            "Events applied, those that a checkpoint brought too.",
            by_domain,
        )?;
        let duplicate = counters(&registry, "events_duplicate_total", "Events recognised as duplicates.", by_domain)?;
        let dead = counters(&registry, "events_dead_total", "Events that could not be applied, by reason.", by_code)?;
        let kept = gauges(&registry, "dead_letters", "Dead letters that are kept.", by_domain)?;
        let status = "1 for the status that the domain has, 0 for the others.";
        let status_of = gauges(&registry, "freshness_status", status, &["domain", "status"])?;
        let cause = "1 for the cause of the domain's status, 0 for the others.";
        let cause_of = gauges(&registry, "freshness_cause", cause, &["domain", "cause"])?;
        for (domain, (counters, now)) in self.model.domains.iter().zip(snapshot.counters.iter().zip(&freshness.domains))
        {
            let name = domain.name.as_str();
            applied.with_label_values(&[name]).inc_by(counters.applied);
            duplicate.with_label_values(&[name]).inc_by(counters.duplicates);
            kept.with_label_values(&[name]).set(0.0);
            for known in Status::ALL {
                status_of.with_label_values(&[name, known.name()]).set(f64::from(u8::from(known == now.status)));
            }
            for known in Cause::ALL {
                cause_of.with_label_values(&[name, known.name()]).set(f64::from(u8::from(known == now.cause)));
            }
            for code in Code::ALL {
                let of_code =
                    domain.entities.iter().filter_map(|entity| snapshot.catalogue[*entity].dead_letters.get(&code));
                dead.with_label_values(&[name, code.name()]).inc_by(of_code.sum());
            }
        }
        snapshot.dead_letters.iter().for_each(|(_, letter)| kept.with_label_values(&[&letter.domain]).inc());
        let partition = &["domain", "topic", "partition"];
        let of_partition = |name: &str, help: &str| gauges(&registry, name, help, partition);
        let lag = of_partition("lag_events", "The log's end minus the next record to apply.")?;
        let staleness = of_partition("staleness_seconds", "Now minus asOf; absent while unknown.")?;
        let next = of_partition("offset_applied", "The next record to apply.")?;
        let start = of_partition("offset_start", "The first record that the log holds; absent while unknown.")?;
        let end = of_partition("offset_end", "The log's end; absent while unknown.")?;
        for (partition, now) in freshness.partitions.entries() {
            let (topic, number) = (snapshot.topic(partition), snapshot.partitions[partition].number.to_string());
            for domain in topic.domains.iter() {
                let labels = [self.model.domains[*domain].name.as_str(), &topic.name, &number];
                // Unknown is absent, never 0.
                let known = [
                    (&lag, now.lag_events.map(|lag| lag as f64)),
                    (&staleness, now.staleness_ms.map(|ms| ms as f64 / 1000.0)),
                    (&next, Some(now.applied as f64)),
                    (&start, now.start.map(|start| start as f64)),
                    (&end, now.end.map(|end| end as f64)),
                ];
                for (gauge, value) in known {
                    value.into_iter().for_each(|value| gauge.with_label_values(&labels).set(value));
                }
            }
        }
        let listed = gauges(&registry, "entities", "Nodes that lists hold.", &["entity"])?;
        for (id, entity) in self.model.entities.entries() {
            listed.with_label_values(&[&entity.name]).set(snapshot.graph.counts(id).listed as f64);
        }
        let gauge = |name: &str, help: &str, value: f64| -> Result<(), prometheus::Error> {
            let gauge = Gauge::new(name, help)?;
            gauge.set(value);
            registry.register(Box::new(gauge))
        };
        gauge("ready", "1 once hydrated.", f64::from(u8::from(generation.ready_at().is_some())))?;
        let since = |at: &str| {
            let at = crate::model::value::Instant::parse(at).ok()?;
            Some(generation.now().at.micros().saturating_sub(at.micros()) as f64 / 1e6)
        };
        if let Some(age) = generation.serving.checkpoints().first().and_then(|newest| since(&newest.at)) {
            gauge("checkpoint_age_seconds", "Now minus when the newest checkpoint was taken.", age)?;
        }
        gauge("waiters", "Requests that wait for a version.", generation.waiting() as f64)?;
        let (held, held_bytes) = generation.held();
        let help = "Versions that are held for who asks what changed since, the newest among them.";
        gauge("versions_held", help, held as f64)?;
        let untold = "Words of producers on fields that several set, beyond those that are remembered.";
        gauge("disagreements_untold", untold, snapshot.untold as f64)?;
        let keys = gauges(&registry, "issuer_keys", "Keys of the issuer that are known.", &["issuer"])?;
        let age = "Now minus when the issuer's keys were fetched; absent where they never were.";
        let age = gauges(&registry, "issuer_keys_age_seconds", age, &["issuer"])?;
        let failed = "Fetches of the issuer's keys that failed.";
        let failed = counters(&registry, "issuer_fetches_failed_total", failed, &["issuer"])?;
        for IssuerKeys { issuer, keys: known, age: since, failures } in issuers {
            keys.with_label_values(&[issuer]).set(*known as f64);
            since.iter().for_each(|since| age.with_label_values(&[issuer]).set(since.as_secs_f64()));
            failed.with_label_values(&[issuer]).inc_by(*failures);
        }
        if let Some(at) = certificate_ends_at_s {
            let help = "When the TLS certificate in use ends, or the first of its chain, since 1970.";
            gauge("certificate_ends_seconds", help, at as f64)?;
        }
        if let Some(most) = self.memory_max.get() {
            gauge("memory_max_bytes", "What the process may take: `memory_max`.", *most as f64)?;
        }
        memory::parts(
            &registry,
            snapshot,
            self.batches.load(Ordering::Relaxed),
            held_bytes,
            store.map_or(0, |store| store.memory),
        )?;
        if let Some(Store { log, free, .. }) = store {
            gauge("log_bytes", "Bytes that the embedded log takes on its disk.", log as f64)?;
            gauge("disk_free_bytes", "Bytes that are free on the embedded log's disk.", free as f64)?;
        }
        Ok(registry)
    }
}

/// Registers what is kept, and gives it back.
fn kept<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    kept(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

pub(super) fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<GaugeVec, prometheus::Error> {
    kept(registry, GaugeVec::new(Opts::new(name, help), labels)?)
}
