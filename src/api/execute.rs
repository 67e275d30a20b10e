//! One request, from its text to its answer: prepared, its demand met or not, executed on one version.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::document::{Limits, prepare};
use super::error::{ApiError, NOT_FRESH_ENOUGH, of_server};
use super::freshness::AnswerFreshness;
use super::mending::Mending;
use super::{Context, Schema};
use crate::freshness::{Demand, Otherwise};
use crate::model::Model;
use crate::query::{BAD_USER_INPUT, Reading, Seal};
use crate::serving::{Pinned, Serving, Short, Wanted};

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
    /// A fingerprint of the model and of what events are read and applied by.
    pub rules: u64,
    /// The longest that a demand waits.
    pub wait_max: Duration,
    /// Requests that wait at once.
    pub waiters_max: usize,
    /// The longest that a query runs.
    pub query_time_max: Duration,
    /// Entities that a search for paths visits at most.
    pub visited_max: usize,
}

impl Api {
    /// Answers a request.
    pub async fn answer(&self, request: Request) -> Answer {
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
            Err(errors) => return self.refusal(&self.serving.pin(), &errors, &[]),
        };
        let domains = &prepared.domains;
        let snapshot = self.serving.snapshot();
        let demand = request.demand.and_then(|demand| {
            let wanted = Wanted::new(&snapshot, &demand, domains)?;
            Ok((demand, wanted))
        });
        let (demand, wanted) = match demand {
            Ok(demand) => demand,
            Err(message) => {
                return self.refusal(&self.serving.pin(), &[ApiError::new(BAD_USER_INPUT, message)], domains);
            }
        };
        let (pinned, short) = self.meet(&demand, wanted).await;
        if !short.is_empty() && demand.otherwise == Otherwise::Fail {
            return self.not_fresh_enough(&pinned, &short, domains);
        }
        let short = short.into_iter().map(|short| short.name).collect();
        let pinned = Arc::new(pinned);
        let started = tokio::time::Instant::now();
        let most = self.query_time_max;
        let over = Box::new(move || started.elapsed() > most);
        let reading = Reading::new(pinned.snapshot.graph.clone(), request.personal, over);
        let context = Arc::new(Context {
            reading: if request.plan { reading.note_plans() } else { reading },
            pinned: pinned.clone(),
            serving: self.serving.clone(),
            seal: self.seal.clone(),
            visited_max: self.visited_max,
            mending: Mending::default(),
            rejected: OnceLock::new(),
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
            Err(_) => {
                tracing::error!("a query panicked: the line above says where");
                let error =
                    ApiError::new(super::error::INTERNAL, "the query failed inside the service; its log says why");
                let refusal = self.refusal(&pinned, &[error], &prepared.domains);
                return Answer { outcome: Outcome::Failed, ..refusal };
            }
        };
        let mut errors: Vec<ApiError> = response.errors.iter().map(of_server).collect();
        errors.extend(context.mending.mend(&mut response.data, |path| prepared.null_at(path)));
        let freshness = self.freshness(&pinned, &context.reading.touched(), short);
        let mut data = String::new();
        super::written::write(&response.data, &mut data);
        Answer {
            body: body(&errors, Some(data), &freshness, context.reading.plans()),
            outcome: if errors.is_empty() { Outcome::Ok } else { Outcome::Partial },
            freshness: freshness.header(),
            etag: match prepared.operational || !errors.is_empty() {
                true => None,
                false => freshness.etag(self.rules, &pinned, &context.reading),
            },
            unmet: !freshness.unmet.is_empty(),
        }
    }

    /// The freshness of an answer that is given now.
    fn freshness(&self, pinned: &Pinned, touched: &[usize], unmet: Vec<String>) -> AnswerFreshness {
        AnswerFreshness::of(&self.model, &self.serving, pinned, touched, unmet, self.serving.now())
    }

    /// Waits, at most as long as is asked and allowed, for a version that meets the demand. Gives the version to answer
    /// from, and the partitions that fall short of the demand still.
    async fn meet(&self, demand: &Demand, mut wanted: Wanted) -> (Pinned, Vec<Short>) {
        let pinned = self.serving.pin();
        let short = wanted.short(&pinned);
        let wait = Duration::from_millis(demand.wait_ms.unwrap_or(0).max(0) as u64).min(self.wait_max);
        if short.is_empty() || wait.is_zero() {
            return (pinned, short);
        }
        match tokio::time::timeout(wait, self.serving.wait_for(&mut wanted, self.waiters_max)).await {
            Ok(Ok(met)) => (met, Vec::new()),
            _ => {
                let newest = self.serving.pin();
                let short = wanted.short(&newest);
                (newest, short)
            }
        }
    }

    fn not_fresh_enough(&self, pinned: &Pinned, short: &[Short], domains: &[usize]) -> Answer {
        let partitions = short.iter().map(|short| {
            let status = short.partition.map(|partition| &pinned.freshness.partitions[partition]);
            json!({
                "partition": short.name, "applied": status.map(|status| status.applied),
                "stalenessMs": status.and_then(|status| status.staleness_ms), "atLeast": short.at_least,
            })
        });
        let partitions: Vec<Json> = partitions.collect();
        let places = partitions
            .iter()
            .map(|place| format!("{} is at {}", place["partition"].as_str().unwrap_or_default(), place["applied"]));
        let message = format!("the answer is not as fresh as demanded: {}", places.collect::<Vec<_>>().join(", "));
        let mut error = ApiError::new(NOT_FRESH_ENOUGH, message);
        error.extensions.push(("partitions", partitions.into()));
        let short = short.iter().map(|short| short.name.clone()).collect();
        let freshness = self.freshness(pinned, domains, short);
        Answer {
            body: body(&[error], None, &freshness, None),
            outcome: Outcome::NotFreshEnough,
            freshness: freshness.header(),
            etag: None,
            unmet: true,
        }
    }

    /// An answer to a request that was not executed.
    fn refusal(&self, pinned: &Pinned, errors: &[ApiError], domains: &[usize]) -> Answer {
        let freshness = self.freshness(pinned, domains, Vec::new());
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
        self.refusal(&self.serving.pin(), &[ApiError::new(BAD_USER_INPUT, message)], &[])
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
