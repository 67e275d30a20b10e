//! Logs and metric names. No log and no metric holds a value of an entity's.

use std::sync::Arc;

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};

use crate::event::Code;
use crate::freshness::Status;
use crate::model::Model;
use crate::serving::Serving;

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Sends logs to standard error. `verbose` counts `-v`.
pub fn start_logs(format: LogFormat, verbose: u8) {
    use tracing_subscriber::filter::EnvFilter;
    let level = match verbose {
        0 => "staygraph=info,warn",
        1 => "staygraph=debug,info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(verbose > 0);
    let logs = logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // A second start, as tests do, keeps the first.
    let _ = match format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
}

/// The service's metrics, all under `staygraph_`.
pub struct Metrics {
    registry: Registry,
    model: Arc<Model>,
    applied: IntCounterVec,
    duplicate: IntCounterVec,
    dead: IntCounterVec,
    skipped: IntCounterVec,
    split: IntCounterVec,
    lag: GaugeVec,
    staleness: GaugeVec,
    status: GaugeVec,
    visible: HistogramVec,
    /// By domain, so that the projector looks nothing up.
    visible_by_domain: Vec<Histogram>,
    query: HistogramVec,
    entities: GaugeVec,
    ready: Gauge,
    pinned: Gauge,
    garbage: Gauge,
}

impl Metrics {
    pub fn new(model: Arc<Model>) -> Result<Metrics, prometheus::Error> {
        let registry = Registry::new_custom(Some("staygraph".into()), None)?;
        let seconds = |name: &str, help: &str| {
            HistogramOpts::new(name, help).buckets(vec![
                0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
                120.0, 300.0,
            ])
        };
        let partition = &["domain", "topic", "partition"];
        let build = GaugeVec::new(
            Opts::new("build_info", "The running version and its model's fingerprint; always 1."),
            &["version", "model"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), &model.fingerprint]).set(1.0);
        let visible = HistogramVec::new(
            seconds("event_visible_seconds", "From an event's append to its version being readable."),
            &["domain"],
        )?;
        let metrics = Metrics {
            applied: IntCounterVec::new(
                Opts::new("events_applied_total", "Events applied since the start."),
                &["domain"],
            )?,
            duplicate: IntCounterVec::new(
                Opts::new("events_duplicate_total", "Events recognised as duplicates."),
                &["domain"],
            )?,
            dead: IntCounterVec::new(
                Opts::new("events_dead_total", "Events that could not be applied, by reason."),
                &["domain", "code"],
            )?,
            skipped: IntCounterVec::new(
                Opts::new("records_skipped_total", "Records of a table's topic that are no change of a row, by kind."),
                &["topic", "kind"],
            )?,
            split: IntCounterVec::new(
                Opts::new(
                    "transactions_split_total",
                    "Transactions of a database that did not become visible at once: something of them did not come in time.",
                ),
                &["topic"],
            )?,
            lag: GaugeVec::new(Opts::new("lag_events", "The log's end minus the next record to apply."), partition)?,
            staleness: GaugeVec::new(
                Opts::new("staleness_seconds", "Now minus asOf; absent while unknown."),
                partition,
            )?,
            status: GaugeVec::new(
                Opts::new("freshness_status", "1 for the status that the domain has, 0 for the others."),
                &["domain", "status"],
            )?,
            query: HistogramVec::new(seconds("query_seconds", "GraphQL requests, by outcome."), &["outcome"])?,
            entities: GaugeVec::new(Opts::new("entities", "Nodes that lists hold."), &["entity"])?,
            ready: Gauge::with_opts(Opts::new("ready", "1 once hydrated."))?,
            pinned: Gauge::with_opts(Opts::new(
                "versions_pinned",
                "Versions that somebody reads, the newest among them.",
            ))?,
            garbage: Gauge::with_opts(Opts::new(
                "garbage_pages",
                "Pages with records that are kept for a version, or wait to be dropped.",
            ))?,
            visible_by_domain: model.domains.iter().map(|domain| visible.with_label_values(&[&domain.name])).collect(),
            visible,
            registry,
            model,
        };
        let collectors: [Box<dyn prometheus::core::Collector>; 15] = [
            Box::new(build),
            Box::new(metrics.applied.clone()),
            Box::new(metrics.duplicate.clone()),
            Box::new(metrics.dead.clone()),
            Box::new(metrics.skipped.clone()),
            Box::new(metrics.split.clone()),
            Box::new(metrics.lag.clone()),
            Box::new(metrics.staleness.clone()),
            Box::new(metrics.status.clone()),
            Box::new(metrics.visible.clone()),
            Box::new(metrics.query.clone()),
            Box::new(metrics.entities.clone()),
            Box::new(metrics.ready.clone()),
            Box::new(metrics.pinned.clone()),
            Box::new(metrics.garbage.clone()),
        ];
        for collector in collectors {
            metrics.registry.register(collector)?;
        }
        Ok(metrics)
    }

    /// An event became readable this many seconds after its append.
    pub fn visible(&self, domain: usize, seconds: f64) {
        self.visible_by_domain[domain].observe(seconds);
    }

    /// A record of a table's topic is no change of a row.
    pub fn skipped(&self, topic: &str, kind: &str) {
        self.skipped.with_label_values(&[topic, kind]).inc();
    }

    /// A transaction whose boundaries a topic tells did not become visible at once.
    pub fn split(&self, topic: &str) {
        self.split.with_label_values(&[topic]).inc();
    }

    /// How many versions are read, and how many pages hold records for old ones.
    pub fn versions(&self, pinned: usize, garbage: usize) {
        self.pinned.set(pinned as f64);
        self.garbage.set(garbage as f64);
    }

    /// A GraphQL request ended.
    pub fn query(&self, outcome: &str, seconds: f64) {
        self.query.with_label_values(&[outcome]).observe(seconds);
    }

    /// Prometheus text, with everything as it is now.
    pub fn render(&self, serving: &Serving) -> Result<String, prometheus::Error> {
        let pinned = serving.pin();
        let (snapshot, freshness) = (&pinned.snapshot, &pinned.freshness);
        for (domain, (counters, status)) in
            self.model.domains.iter().zip(snapshot.counters.iter().zip(&freshness.domains))
        {
            let name = domain.name.as_str();
            raise(&self.applied, &[name], counters.applied);
            raise(&self.duplicate, &[name], counters.duplicates);
            for known in Status::ALL {
                self.status.with_label_values(&[name, known.name()]).set(f64::from(u8::from(known == status.status)));
            }
            for code in Code::ALL {
                let of_code =
                    domain.entities.iter().filter_map(|entity| snapshot.catalogue[*entity].dead_letters.get(&code));
                raise(&self.dead, &[name, code.name()], of_code.sum());
            }
        }
        for (place, status) in freshness.partitions.iter().enumerate() {
            let (topic, number) = (snapshot.topic(place), snapshot.partitions[place].number.to_string());
            for domain in topic.domains.iter() {
                let labels = [self.model.domains[*domain].name.as_str(), &topic.name, &number];
                set(&self.lag, &labels, status.lag_events.map(|lag| lag as f64));
                set(&self.staleness, &labels, status.staleness_ms.map(|ms| ms as f64 / 1000.0));
            }
        }
        for (index, entity) in self.model.entities.iter().enumerate() {
            self.entities.with_label_values(&[&entity.name]).set(snapshot.graph.counts(index).listed as f64);
        }
        self.ready.set(f64::from(u8::from(serving.ready_at().is_some())));
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// A counter kept elsewhere, brought up to what it is there.
fn raise(counters: &IntCounterVec, labels: &[&str], to: u64) {
    let counter = counters.with_label_values(labels);
    counter.inc_by(to.saturating_sub(counter.get()));
}

/// Unknown is absent, never 0.
fn set(gauges: &GaugeVec, labels: &[&str], value: Option<f64>) {
    match value {
        Some(value) => gauges.with_label_values(labels).set(value),
        None => drop(gauges.remove_label_values(labels)),
    }
}
