//! One request, from its text to its answer: prepared, its demand met or not, executed on one version.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::document::{Limits, prepare};
use super::error::{ApiError, NOT_FRESH_ENOUGH, of_server};
use super::freshness::AnswerFreshness;
use super::mending::Mending;
use super::{Context, Schema};
use crate::freshness::{Demand, Otherwise};
use crate::model::Model;
use crate::model::value::Instant;
use crate::projection::Snapshot;
use crate::query::{BAD_USER_INPUT, Reading, Seal};
use crate::serving::{Serving, unmet};

/// A GraphQL request, whatever brought it.
#[derive(Clone, Debug)]
pub struct Request {
    pub query: String,
    pub operation_name: Option<String>,
    pub variables: Map<String, Json>,
    /// What is demanded of the answer's freshness, or why it cannot be read.
    pub demand: Result<Demand, String>,
    /// Whether personal data may be read.
    pub personal: bool,
    /// Whether `extensions.plan` is asked for.
    pub plan: bool,
}

/// An answer and what its transport says of it.
pub struct Answer {
    /// The response map, as JSON text.
    pub body: String,
    pub outcome: Outcome,
    /// The header's value.
    pub freshness: String,
    /// Where the answer may be kept: its ETag.
    pub etag: Option<String>,
    /// Whether a demand was not met.
    pub unmet: bool,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// Executed, with errors.
    Partial,
    /// Not executed: the request was at fault.
    Refused,
    /// Not executed: a demand on freshness was not met.
    NotFreshEnough,
    /// The service was at fault.
    Failed,
}

impl Outcome {
    /// Its name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Partial => "error",
            Outcome::Refused => "refused",
            Outcome::NotFreshEnough => "not_fresh_enough",
            Outcome::Failed => "failed",
        }
    }
}

/// The API over what is served.
#[derive(Clone)]
pub struct Api {
    pub model: Arc<Model>,
    pub schema: Schema,
    pub serving: Arc<Serving>,
    pub seal: Seal,
    pub limits: Limits,
    /// The longest that a demand waits.
    pub wait_max: Duration,
    /// The longest that a query runs.
    pub query_time_max: Duration,
    /// Entities that a search for paths visits at most.
    pub visited_max: usize,
}

impl Api {
    /// Answers a request.
    pub async fn answer(&self, request: Request) -> Answer {
        let snapshot = self.serving.snapshot();
        let prepared = prepare(
            &self.schema.validated,
            &self.model,
            &self.limits,
            &request.query,
            request.operation_name.as_deref(),
            &request.variables,
        );
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(errors) => return self.refusal(&snapshot, &errors, &[]),
        };
        let demand = request.demand.and_then(|demand| Serving::check_demand(&snapshot, &demand).map(|()| demand));
        let demand = match demand {
            Ok(demand) => demand,
            Err(message) => {
                return self.refusal(&snapshot, &[ApiError::new(BAD_USER_INPUT, message)], &prepared.domains);
            }
        };
        let (snapshot, short) = self.meet(&demand, &prepared.domains, snapshot).await;
        if !short.is_empty() && demand.otherwise == Otherwise::Fail {
            return self.not_fresh_enough(&snapshot, &demand, short, &prepared.domains);
        }
        let now = self.serving.now();
        let started = tokio::time::Instant::now();
        let most = self.query_time_max;
        let over = Box::new(move || started.elapsed() > most);
        let reading = Reading::new(snapshot.graph.clone(), request.personal, over);
        let context = Arc::new(Context {
            reading: if request.plan { reading.note_plans() } else { reading },
            snapshot: snapshot.clone(),
            serving: self.serving.clone(),
            seal: self.seal.clone(),
            now,
            visited_max: self.visited_max,
            mending: Mending::default(),
        });
        let mut execution = async_graphql::Request::new(request.query)
            .variables(async_graphql::Variables::from_json(prepared.variables.clone()))
            .data(SharedContext(context.clone()));
        execution.operation_name = request.operation_name;
        let schema = self.schema.executable.clone();
        // Resolvers never wait: they run on a thread where they hold up no one.
        let handle = tokio::runtime::Handle::current();
        let response = tokio::task::spawn_blocking(move || handle.block_on(schema.execute(execution))).await;
        let mut response = match response {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(%error, "a query ended the hard way");
                let error =
                    ApiError::new(super::error::INTERNAL, "the query failed inside the service; its log says why");
                let refusal = self.refusal(&snapshot, &[error], &prepared.domains);
                return Answer { outcome: Outcome::Failed, ..refusal };
            }
        };
        let mut errors: Vec<ApiError> = response.errors.iter().map(of_server).collect();
        errors.extend(context.mending.mend(&mut response.data, |path| prepared.null_at(path)));
        // As of the moment that the resolvers were told, so that an answer agrees with itself.
        let freshness = self.freshness(&snapshot, &context.reading.touched(), short, now);
        let mut data = String::new();
        super::written::write(&response.data, &mut data);
        Answer {
            body: body(&errors, Some(data), &freshness, context.reading.plans()),
            outcome: if errors.is_empty() { Outcome::Ok } else { Outcome::Partial },
            freshness: freshness.header(),
            etag: if prepared.operational || !errors.is_empty() { None } else { freshness.etag(&self.model) },
            unmet: !freshness.unmet.is_empty(),
        }
    }

    fn freshness(&self, snapshot: &Snapshot, touched: &[usize], unmet: Vec<String>, now: Instant) -> AnswerFreshness {
        AnswerFreshness::of(&self.model, snapshot, &self.serving.freshness(snapshot, now), touched, unmet, now)
    }

    /// Waits, at most as long as is asked and allowed, for a version that meets the demand. Gives the version to answer
    /// from, and the partitions that fall short of the demand still.
    async fn meet(&self, demand: &Demand, domains: &[usize], snapshot: Arc<Snapshot>) -> (Arc<Snapshot>, Vec<String>) {
        if demand.is_empty() {
            return (snapshot, Vec::new());
        }
        let short = |snapshot: &Snapshot| {
            unmet(snapshot, &self.serving.freshness(snapshot, self.serving.now()), demand, domains)
        };
        let now_short = short(&snapshot);
        let wait = Duration::from_millis(demand.wait_ms.unwrap_or(0).max(0) as u64).min(self.wait_max);
        if now_short.is_empty() || wait.is_zero() {
            return (snapshot, now_short);
        }
        match tokio::time::timeout(wait, self.serving.wait_for(demand, domains)).await {
            Ok(Ok(met)) => (met, Vec::new()),
            _ => {
                let newest = self.serving.snapshot();
                let still_short = short(&newest);
                (newest, still_short)
            }
        }
    }

    fn not_fresh_enough(&self, snapshot: &Snapshot, demand: &Demand, short: Vec<String>, domains: &[usize]) -> Answer {
        let freshness = self.serving.freshness(snapshot, self.serving.now());
        let partitions: Vec<Json> = short
            .iter()
            .map(|name| {
                let places = 0..freshness.partitions.len();
                let place = places.into_iter().find(|place| *name == snapshot.name(*place));
                let status = place.map(|place| &freshness.partitions[place]);
                let wanted = demand.at_least.iter().flat_map(crate::position::Position::entries);
                let wanted = wanted.into_iter().find(|entry| *name == format!("{}/{}", entry.topic, entry.partition));
                json!({
                    "partition": name, "applied": status.map(|status| status.applied),
                    "stalenessMs": status.and_then(|status| status.staleness_ms), "atLeast": wanted.map(|entry| entry.offset),
                })
            })
            .collect();
        let places: Vec<String> = partitions
            .iter()
            .map(|place| format!("{} is at {}", place["partition"].as_str().unwrap_or_default(), place["applied"]))
            .collect();
        let mut error =
            ApiError::new(NOT_FRESH_ENOUGH, format!("the answer is not as fresh as demanded: {}", places.join(", ")));
        error.extensions.push(("partitions", partitions.into()));
        let freshness = self.freshness(snapshot, domains, short, self.serving.now());
        Answer {
            body: body(&[error], None, &freshness, None),
            outcome: Outcome::NotFreshEnough,
            freshness: freshness.header(),
            etag: None,
            unmet: true,
        }
    }

    /// An answer to a request that was not executed.
    fn refusal(&self, snapshot: &Snapshot, errors: &[ApiError], domains: &[usize]) -> Answer {
        let freshness = self.freshness(snapshot, domains, Vec::new(), self.serving.now());
        Answer {
            body: body(errors, None, &freshness, None),
            outcome: Outcome::Refused,
            freshness: freshness.header(),
            etag: None,
            unmet: false,
        }
    }

    /// A refusal of what is no GraphQL request at all.
    pub fn unreadable(&self, message: &str) -> Answer {
        self.refusal(&self.serving.snapshot(), &[ApiError::new(BAD_USER_INPUT, message)], &[])
    }
}

/// The request's context, as resolvers find it.
pub struct SharedContext(pub Arc<Context>);

fn body(errors: &[ApiError], data: Option<String>, freshness: &AnswerFreshness, plans: Option<Vec<Json>>) -> String {
    let mut parts = Vec::new();
    if !errors.is_empty() {
        parts.push(format!("\"errors\":{}", errors.iter().map(ApiError::to_json).collect::<Json>()));
    }
    if let Some(data) = data {
        parts.push(format!("\"data\":{data}"));
    }
    let mut extensions = json!({ "freshness": freshness.to_json() });
    if let Some(plans) = plans {
        extensions["plan"] = plans.into();
    }
    parts.push(format!("\"extensions\":{extensions}"));
    format!("{{{}}}", parts.join(","))
}
