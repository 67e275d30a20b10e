//! The only wiring: rooms into a service. Owns the order of shutdown.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{self, Api};
use crate::clock;
use crate::config::Config;
use crate::event::Decoder;
use crate::http::{Service, router};
use crate::intake::Intake;
use crate::model::Model;
use crate::pipeline::{Feed, Parts, Pipeline};
use crate::projection::{Partition, Projector};
use crate::query::Seal;
use crate::serving::{DomainServing, Serving};
use crate::source::log::Log;
use crate::telemetry::Metrics;

/// How long requests under way may take at a shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// The log with what is needed to write to it; nothing runs yet.
pub struct Store {
    pub config: Config,
    pub model: Arc<Model>,
    pub log: Arc<Log>,
    pub intake: Intake,
    decoder: Decoder,
    feeds: Vec<Feed>,
    partitions: Vec<Partition>,
}

/// Opens the embedded log and the topics of every domain.
pub fn open(mut config: Config) -> Result<Store, String> {
    let model = Arc::new(std::mem::replace(
        &mut config.model,
        Model { entities: vec![], enums: vec![], domains: vec![], fingerprint: String::new() },
    ));
    let order_by = config.domains.iter().map(|domain| domain.rules.order_by).collect();
    let decoder = Decoder::new(model.clone(), order_by, config.event_bytes_max);
    let log = Log::open(&config.data_dir.join("log"), config.free_bytes_min, clock::now)
        .map_err(|error| error.to_string())?;
    let (mut feeds, mut partitions, mut written) = (Vec::new(), Vec::new(), Vec::new());
    for (domain, domain_config) in config.domains.iter().enumerate() {
        for (place, name) in domain_config.topics.iter().enumerate() {
            let topic = log.topic(name).map_err(|error| error.to_string())?;
            if place == 0 {
                written.push(topic);
            }
            let known = log.topics()[topic].clone();
            for number in 0..known.partitions {
                feeds.push(Feed { topic, number, domain, late_ms: 0 });
                let source = domain_config.source.as_str().into();
                partitions.push(Partition { domain, source, topic: known.name.clone(), log: known.id, number });
            }
        }
    }
    let log = Arc::new(log);
    let intake = Intake::new(log.clone(), decoder.clone(), written);
    Ok(Store { config, model, log, intake, decoder, feeds, partitions })
}

/// A domain that is applied late on purpose.
pub struct Late {
    pub domain: usize,
    pub ms: i64,
    pub why: String,
}

/// The service, projecting.
pub struct App {
    pub api: Api,
    pub log: Arc<Log>,
    service: Service,
    pipeline: Pipeline,
}

/// Starts projecting what the log holds.
pub fn start(store: Store, late: Option<Late>) -> Result<App, String> {
    let Store { config, model, log, intake, decoder, mut feeds, partitions } = store;
    let schema = api::make(&model).map_err(|error| format!("the model gives no schema: {error}"))?;
    let seal = Seal::new(&secret(&config.data_dir.join("secret"))?);
    let metrics =
        Arc::new(Metrics::new(model.clone()).map_err(|error| format!("the metrics cannot be made: {error}"))?);
    let rules = config.domains.iter().map(|domain| domain.rules).collect();
    let mut projector = Projector::new(model.clone(), rules, partitions, config.ids_remembered);
    let domains = config.domains.iter().enumerate().map(|(index, domain)| DomainServing {
        thresholds: domain.thresholds,
        held: late.as_ref().filter(|late| late.domain == index).map(|late| late.why.clone()),
    });
    let places: Vec<(usize, u32)> = feeds.iter().map(|feed| (feed.topic, feed.number)).collect();
    let (times_log, contact_log) = (log.clone(), log.clone());
    let serving = Arc::new(Serving::new(
        model.clone(),
        domains.collect(),
        projector.publish(),
        Box::new(move |partition, offset| {
            let (topic, number) = places[partition];
            times_log.appended_at(topic, number, offset).ok().flatten()
        }),
        Box::new(move || contact_log.wake()),
        clock::now,
    ));
    for feed in &mut feeds {
        feed.late_ms = late.as_ref().filter(|late| late.domain == feed.domain).map_or(0, |late| late.ms);
    }
    let parts = Parts {
        log: log.clone(),
        feeds,
        decoder,
        projector,
        serving: serving.clone(),
        metrics: metrics.clone(),
        clock: clock::now,
    };
    let pipeline = Pipeline::start(parts).map_err(|error| format!("the projection cannot start: {error}"))?;
    let api = Api {
        model,
        schema,
        serving,
        seal,
        limits: config.limits,
        wait_max: Duration::from_millis(config.wait_max_ms),
        query_time_max: Duration::from_millis(config.query_time_max_ms),
        visited_max: config.visited_max,
    };
    let service = Service {
        api: api.clone(),
        intake,
        metrics,
        cors_origins: config.cors_origins,
        body_bytes_max: config.body_bytes_max,
    };
    Ok(App { api, log, service, pipeline })
}

impl App {
    /// Serves until `stop` ends, then shuts down in order: no new requests, those under way, the projection, the log.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("the listener failed: {error}");
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        let routes = router(self.service).into_make_service_with_connect_info::<SocketAddr>();
        let (stopped, mut stopping) = tokio::sync::watch::channel(false);
        let server = axum::serve(listener, routes).with_graceful_shutdown(async move {
            stop.await;
            stopped.send_replace(true);
        });
        let overdue = async move {
            let _ = stopping.wait_for(|stopping| *stopping).await;
            tokio::time::sleep(GRACE).await;
        };
        let served = tokio::select! {
            served = server => served.map_err(failed),
            () = overdue => {
                tracing::warn!("requests under way took too long, and were cut off");
                Ok(())
            }
        };
        self.pipeline.stop();
        served
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
    let mut key = [0; 32];
    match std::fs::File::open(path) {
        Ok(mut file) => file.read_exact(&mut key).map_err(failed)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            getrandom::fill(&mut key).map_err(|error| format!("no randomness for a new key: {error}"))?;
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(path).map_err(failed)?;
            file.write_all(&key).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    Ok(key)
}
