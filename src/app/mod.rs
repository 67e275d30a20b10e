//! The only wiring: rooms into a service. Owns the order of shutdown.

mod checkpoints;
mod retention;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{self, Access, Admission, Api, Schema, Trusted};
use crate::auth::{AuthConfig, Authority};
use crate::cdc::Skipped;
use crate::clock;
use crate::config::{Config, Documents, SourceConfig, SourceKind, TlsConfig, TopicConfig};
use crate::event::Decoder;
use crate::http::tls::Tls;
use crate::http::{Room, Service, router, server};
use crate::ids::{By, DomainId, TopicId};
use crate::intake::Intake;
use crate::keys::Keys;
use crate::limits::Limits;
use crate::model::Model;
use crate::pipeline::{Carries, Format, Parts, Pipeline};
use crate::projection::Topic;
use crate::query::Seal;
use crate::rights::RowRule;
use crate::sealing::Sealing;
use crate::serving::{DomainServing, Generation, Serving};
use crate::source::embedded::{self, Embedded};
use crate::source::kafka::{self, Kafka, KafkaOutlet};
use crate::source::log::{Log, LogError};
use crate::source::{Outlet, Source};
use crate::telemetry::{Metrics, resident_bytes};
use crate::threads::Threads;
use tokio::task::JoinSet;

use checkpoints::Begun;

/// How long requests under way may take at a shutdown.
const GRACE: Duration = Duration::from_secs(5);
/// How long the last checkpoint may take at a shutdown.
const LAST_CHECKPOINT: Duration = Duration::from_secs(15);
/// How long the pipeline's threads may take to end at a shutdown.
const STOP: Duration = Duration::from_secs(10);
/// How long the health route says which thread died before the process ends by it: whoever asks each second hears it.
const DYING: Duration = Duration::from_secs(2);
/// How often hydration is looked at,
const HYDRATION_LOOK: Duration = Duration::from_millis(50);
/// and how often its progress is said.
const HYDRATION_LINE: Duration = Duration::from_secs(2);

/// The embedded log, where some topic is in it, with what is needed to write to it; nothing runs yet.
pub struct Store {
    pub config: Config,
    pub model: Arc<Model>,
    pub embedded: Option<EmbeddedStore>,
    /// All threads of the service.
    pub threads: Threads,
    pub keys: Arc<Keys>,
    decoder: Decoder,
}

/// The embedded log and the way into it.
pub struct EmbeddedStore {
    pub log: Arc<Log>,
    pub intake: Intake,
    /// A topic's number in the log, where it is there.
    places: By<TopicId, Option<usize>>,
}

/// Opens the embedded log and its topics, where some domain reads it.
pub fn open(config: Config) -> Result<Store, String> {
    open_after(config, |_| Ok(()))
}

/// The same, with something done to the log while nobody else has it and none of its topics is in use.
pub fn open_after(mut config: Config, prepare: impl FnOnce(&mut Log) -> Result<(), String>) -> Result<Store, String> {
    let threads = Threads::default();
    let model = Arc::new(std::mem::take(&mut config.model));
    let order_by = config.domains.iter().map(|domain| domain.rules.order_by).collect();
    let decoder = Decoder::new(model.clone(), order_by, config.limits.event_bytes_max);
    let (embedded, keys) = match config.sources.iter().position(|source| source.kind == SourceKind::Log) {
        Some(source) => {
            let (embedded, keys) = open_log(&config, source, &decoder, &threads, prepare)?;
            (Some(embedded), keys)
        }
        None => {
            std::fs::create_dir_all(&config.data_dir)
                .map_err(|error| format!("{} cannot be made: {error}", config.data_dir.display()))?;
            (None, open_keys(&config, None)?)
        }
    };
    Ok(Store { config, model, embedded, threads, keys, decoder })
}

/// The keys of personal values. `sealed` names the file that something was sealed with.
fn open_keys(config: &Config, sealed: Option<u64>) -> Result<Arc<Keys>, String> {
    let keys = Keys::open(&config.data_dir.join("keys"), sealed);
    Ok(Arc::new(keys.map_err(|error| error.to_string())?))
}

fn open_log(
    config: &Config,
    source: usize,
    decoder: &Decoder,
    threads: &Threads,
    prepare: impl FnOnce(&mut Log) -> Result<(), String>,
) -> Result<(EmbeddedStore, Arc<Keys>), String> {
    let failed = |error: LogError| error.to_string();
    let mut log =
        Log::open_among(&config.data_dir.join("log"), config.free_bytes_min, clock::now, threads).map_err(failed)?;
    prepare(&mut log)?;
    let keys = open_keys(config, log.sealed_with().map_err(failed)?)?;
    let sealing = Sealing::new(keys.clone(), decoder.model().clone());
    let began = clock::tick();
    let sealed = log.seal_with(Arc::new(sealing.clone()), keys.identity(), sealing.mark()).map_err(failed)?;
    if sealed > 0 {
        let seconds = clock::tick().saturating_sub(began).as_secs_f64();
        tracing::info!(records = sealed, seconds, "personal values that lay open in the log are sealed");
    }
    let place = |topic: &TopicConfig| (topic.source == source).then(|| log.topic(&topic.name)).transpose();
    let places: By<TopicId, Option<usize>> =
        config.topics.iter().map(place).collect::<Result<_, _>>().map_err(failed)?;
    // A domain's events go to the first of its topics.
    let written = |domain: DomainId| {
        let first = config.topics.find(|topic| topic.domains.contains(&domain));
        first.and_then(|topic| places[topic])
    };
    let written = config.domains.ids().map(written).collect();
    let log = Arc::new(log);
    let intake = Intake::new(log.clone(), decoder.clone(), sealing, written);
    Ok((EmbeddedStore { intake, log, places }, keys))
}

/// A domain that is applied late on purpose.
pub struct Late {
    pub domain: DomainId,
    pub ms: i64,
    pub why: String,
}

/// The service, projecting.
pub struct App {
    pub api: Api,
    pub threads: Threads,
    /// For the log: the data's folder, each source's name and kind, and the topics that are read.
    about: (String, String, Vec<String>),
    started: Duration,
    service: Service,
    tls: Option<Arc<Tls>>,
    pipeline: Pipeline,
}

/// Starts projecting what the sources hold.
pub fn start(store: Store, late: Option<Late>) -> Result<App, String> {
    let Store { config, model, embedded, threads, keys, decoder } = store;
    let schema = api::make(&model).map_err(|error| format!("the model gives no schema: {error}"))?;
    let access = access(&schema, &model, &config.access, config.auth.as_ref()).map_err(|faults| faults.join("\n"))?;
    let rules = rules(&model, &config);
    let limits = Arc::new(config.limits.clone());
    let trusted = trusted(&schema, &model, &limits, &config.documents).map_err(|faults| faults.join("\n"))?;
    let documents = Arc::new(api::Documents::new(trusted));
    let seal = Seal::new(&secret(&config.data_dir.join("secret"))?);
    let metrics = metrics(&model, &config)?;
    metrics.bound_memory(limits.memory_max);
    let tls = tls(config.tls.as_ref())?;
    let started = clock::tick();
    let named = |source: &SourceConfig| match &source.kind {
        SourceKind::Log => format!("{} (the embedded log)", source.name),
        SourceKind::Kafka(kafka) => format!("{} (Kafka at {})", source.name, kafka.brokers),
    };
    let about = (
        config.data_dir.display().to_string(),
        config.sources.iter().map(named).collect::<Vec<_>>().join(", "),
        config.topics.iter().map(|topic| topic.name.clone()).collect(),
    );
    let sources = sources(&config, embedded.as_ref(), late.as_ref());
    let topic = |topic: &TopicConfig| Topic {
        source: config.sources[topic.source].name.as_str().into(),
        name: topic.name.as_str().into(),
        domains: topic.domains.as_slice().into(),
    };
    let topics = config.topics.iter().map(topic).collect();
    let Begun { mut projector, gate, saving } =
        checkpoints::begin(&config, &model, topics, embedded.as_ref(), keys.clone())?;
    let domains = config.domains.entries().map(|(id, domain)| DomainServing {
        thresholds: domain.thresholds,
        held: late.as_ref().filter(|late| late.domain == id).map(|late| late.why.as_str().into()),
    });
    let woken = sources.clone();
    let contact_now = Box::new(move || woken.iter().for_each(|source| source.wake()));
    let serving = Arc::new(Serving::new(config.topics.len(), sources.len(), contact_now, clock::moment));
    let generation = serving.begin(model.clone(), domains.collect(), projector.publish());
    let tables = || config.boundaries.iter().flat_map(|boundaries| boundaries.tables.values());
    let is_in_transactions = |topic: &TopicConfig| tables().any(|table| config.topics[*table].name == topic.name);
    let format = |topic: &TopicConfig| Format {
        domains: topic.domains.as_slice().into(),
        encoding: topic.encoding,
        registry: config.sources[topic.source].registry.clone(),
        carries: match &topic.mapping {
            _ if topic.tells_boundaries => Carries::Boundaries,
            Some(mapping) => Carries::Changes { mapping: mapping.clone(), in_transactions: is_in_transactions(topic) },
            None => Carries::Events,
        },
    };
    let outlet = match &config.dead_letters {
        Some((source, topic)) => match &config.sources[*source].kind {
            SourceKind::Kafka(kafka) => {
                let name = &config.sources[*source].name;
                let outlet = KafkaOutlet::new(name, kafka, topic, &threads)
                    .map_err(|error| format!("[dead_letters]: no client for [sources.{name}]: {error}"))?;
                Some(Box::new(outlet) as Box<dyn Outlet>)
            }
            SourceKind::Log => None,
        },
        None => None,
    };
    let parts = Parts {
        outlet,
        formats: config.topics.iter().map(format).collect(),
        decoder,
        projector,
        gate,
        generation: generation.clone(),
        saving,
        metrics: metrics.clone(),
        clock: clock::moment,
        tick: clock::tick,
    };
    let pipeline = Pipeline::start(parts, sources, keys, &threads)
        .map_err(|error| format!("the projection cannot start: {error}"))?;
    let admission = Admission::new(&limits, resident_bytes);
    let access = access.map(Arc::new);
    let api = Api { model, schema, generation, seal, admission, documents, access, limits: limits.clone(), rules };
    let service = Service {
        api: api.clone(),
        authority: config.auth.map(|auth| Arc::new(Authority::new(auth))),
        // Known when there is a listener.
        is_here_alone: false,
        intake: embedded.map(|embedded| embedded.intake),
        retrier: pipeline.retrier.clone(),
        checkpointing: pipeline.checkpointing.clone(),
        tls: tls.clone(),
        metrics,
        threads: threads.clone(),
        cors_origins: config.cors_origins,
        cors_headers: config.cors_headers,
        limits,
        room: Room::default(),
    };
    Ok(App { api, threads, about, started, service, tls, pipeline })
}

/// The certificate of the configuration, read.
pub fn tls(config: Option<&TlsConfig>) -> Result<Option<Arc<Tls>>, String> {
    let open = |config: &TlsConfig| Tls::open(&config.cert, &config.key, config.client_ca.as_deref());
    Ok(config.map(open).transpose()?.map(Arc::new))
}

/// The rules of which rows may be seen, compiled; none where there are none.
pub fn access(
    schema: &Schema,
    model: &Arc<Model>,
    rules: &[RowRule],
    auth: Option<&AuthConfig>,
) -> Result<Option<Access>, Vec<String>> {
    Access::new(schema, model, rules, auth.is_some_and(|auth| !auth.issuers.is_empty()))
}

/// The documents that are known from the start, read by the schema.
pub fn trusted(schema: &Schema, model: &Model, limits: &Limits, given: &Documents) -> Result<Trusted, Vec<String>> {
    let known = given.known.iter().map(|known| (known.id.as_deref(), known.text.as_str(), known.place.as_str()));
    Trusted::new(schema, model, limits, known, given.only)
}

/// The metrics, with a series for all that may happen.
fn metrics(model: &Arc<Model>, config: &Config) -> Result<Arc<Metrics>, String> {
    let metrics = Metrics::new(model.clone()).map_err(|error| format!("the metrics cannot be made: {error}"))?;
    for topic in &config.topics {
        if topic.mapping.is_some() {
            metrics.may_skip(&topic.name, &Skipped::ALL.map(Skipped::name));
        }
        if topic.tells_boundaries {
            metrics.may_split(&topic.name);
        }
    }
    Ok(Arc::new(metrics))
}

/// A fingerprint of all that makes a graph of the same records: another one may give another graph.
fn rules(model: &Model, config: &Config) -> u64 {
    let mut hasher = DefaultHasher::new();
    let domains: Vec<_> = config.domains.iter().map(|domain| domain.rules).collect();
    let boundaries = config.boundaries.iter().map(|boundaries| {
        let tables: BTreeMap<_, _> = boundaries.tables.iter().collect();
        format!("{:?} {tables:?}", boundaries.topic)
    });
    let boundaries: Vec<String> = boundaries.collect();
    (&model.fingerprint, format!("{domains:?} {:?} {boundaries:?}", config.topics)).hash(&mut hasher);
    hasher.finish()
}

/// The sources that some topic is read from.
fn sources(config: &Config, embedded: Option<&EmbeddedStore>, late: Option<&Late>) -> Vec<Arc<dyn Source>> {
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    for (index, source) in config.sources.iter().enumerate() {
        let topics = config.topics.entries().filter(|(_, topic)| topic.source == index);
        match (&source.kind, embedded) {
            (SourceKind::Kafka(kafka), _) => {
                let subscription = |(topic, config): (TopicId, &TopicConfig)| kafka::Subscription {
                    topic,
                    name: config.name.as_str().into(),
                };
                let topics = topics.map(subscription).collect();
                sources.push(Arc::new(Kafka::new(&source.name, kafka.clone(), topics)));
            }
            (SourceKind::Log, Some(embedded)) => {
                let subscription = |(topic, config): (TopicId, &TopicConfig)| {
                    let late = late.filter(|late| config.domains.contains(&late.domain));
                    let late_ms = late.map_or(0, |late| late.ms);
                    embedded.places[topic].map(|place| embedded::Subscription { topic, place, late_ms })
                };
                let topics = topics.filter_map(subscription).collect();
                sources.push(Arc::new(Embedded::new(embedded.log.clone(), topics, clock::now)));
            }
            (SourceKind::Log, None) => {}
        }
    }
    sources
}

impl App {
    /// Whether it is asked over TLS.
    pub fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// Says in the log what starts, and where.
    pub fn announce(&self, address: SocketAddr) {
        let (data, sources, read) = &self.about;
        let (version, model) = (env!("CARGO_PKG_VERSION"), self.api.model.fingerprint.as_str());
        tracing::info!(version, model, data, sources, %address, "staygraph starts");
        if self.service.authority.is_none() && !address.ip().to_canonical().is_loopback() {
            tracing::warn!("the service listens beyond this machine, and nobody may ask: configure `[auth]`");
        }
        let Some(intake) = &self.service.intake else { return };
        match intake.log().holds() {
            Ok(held) => {
                let unread = held.iter().filter(|(name, count)| *count > 0 && !read.contains(name));
                let unread: Vec<String> = unread.map(|(name, count)| format!("{name} ({count} records)")).collect();
                if !unread.is_empty() {
                    let topics = unread.join(", ");
                    tracing::warn!(topics, "the log holds topics that nobody reads: is it another model's?");
                }
            }
            Err(error) => tracing::warn!(%error, "which topics the log holds is not known"),
        }
    }

    fn say_ready(generation: &Generation, seconds: f64) {
        let records: u64 = generation.snapshot().applied.iter().sum();
        tracing::info!(records, seconds, "ready");
    }

    /// Says how far hydration is, and when it is over.
    async fn hydrate(generation: Arc<Generation>, started: Duration) {
        let mut ticks = tokio::time::interval(HYDRATION_LOOK);
        let mut said_at = started;
        loop {
            ticks.tick().await;
            let (snapshot, tick) = (generation.snapshot(), clock::tick());
            let applied: u64 = snapshot.applied.iter().sum();
            let seconds = tick.saturating_sub(started).as_secs_f64();
            if generation.ready_at().is_some() {
                return App::say_ready(&generation, seconds);
            }
            if tick.saturating_sub(said_at) >= HYDRATION_LINE {
                said_at = tick;
                let of: u64 = snapshot.applied.ids().filter_map(|partition| generation.target(partition)).sum();
                tracing::info!(records = applied, of, seconds, "hydrating");
            }
        }
    }

    /// Serves until `stop` ends or a thread has died, then shuts down in order: no new requests, those under way, the
    /// projection, the log. Each step has a deadline.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("the listener failed: {error}");
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let is_here_alone = address.ip().to_canonical().is_loopback();
        let mut kept = JoinSet::new();
        let issuers = self.service.authority.iter().flat_map(|authority| authority.issuers());
        issuers.for_each(|issuer| drop(kept.spawn(issuer.clone().keep())));
        self.tls.iter().for_each(|tls| drop(kept.spawn(tls.clone().keep())));
        let (limits, routes) = (self.service.limits.clone(), router(Service { is_here_alone, ..self.service }));
        let relay = tokio::spawn(self.api.generation.clone().relay());
        let hydration = tokio::spawn(App::hydrate(self.api.generation.clone(), self.started));
        let threads = self.threads.clone();
        let stop = async move {
            tokio::select! {
                () = stop => {}
                _ = threads.died() => tokio::time::sleep(DYING).await,
            }
        };
        if !server::serve(listener, self.tls, routes, limits, stop, GRACE).await {
            tracing::warn!("requests under way took too long, and were cut off");
        }
        relay.abort();
        kept.abort_all();
        if !hydration.is_finished() {
            hydration.abort();
            // It was ready for less than a look.
            if self.api.generation.ready_at().is_some() {
                App::say_ready(&self.api.generation, clock::tick().saturating_sub(self.started).as_secs_f64());
            }
        }
        let died = self.threads.death();
        let pipeline = self.pipeline;
        let running =
            tokio::task::spawn_blocking(move || pipeline.stop(LAST_CHECKPOINT, STOP)).await.unwrap_or_default();
        if !running.is_empty() {
            let threads = running.join(", ");
            tracing::warn!(threads, "what they wait for does not answer: the process ends without them");
        }
        match died {
            Some(death) => Err(format!("the thread `{}` {}: the log above says why", death.thread, death.how)),
            None => Ok(()),
        }
    }
}

/// Binds where the configuration says. The error names the address and what to do.
pub fn bind(listen: &str) -> Result<TcpListener, String> {
    TcpListener::bind(listen).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => format!(
            "{listen} is in use: stop what listens there, or choose another with `--listen ADDR` (port 0 takes any)"
        ),
        _ => format!("cannot listen on {listen}: {error}"),
    })
}

/// The key that seals cursors, made at the first start; so cursors survive a restart.
fn secret(path: &Path) -> Result<[u8; 32], String> {
    let failed = |error: std::io::Error| format!("{} cannot be used: {error}", path.display());
    match std::fs::read(path) {
        Ok(bytes) => {
            if let Some(key) = bytes.first_chunk() {
                return Ok(*key);
            }
            // Cut off while it was made: it never sealed anything.
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| format!("no randomness for a new key: {error}"))?;
    // Whole or not at all: written beside, synced, renamed.
    let new = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&new).and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()));
    written.and_then(|()| std::fs::rename(&new, path)).map_err(failed)?;
    Ok(key)
}
