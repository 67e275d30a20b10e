//! One request, from its text to its answer: prepared, its demand met or not, executed on one version.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use tokio::task::JoinError;

use super::admission::{Admission, GivenUp, Overloaded, Turn};
use super::document::{Prepared, prepare};
use super::error::{ApiError, NOT_FRESH_ENOUGH, OVERLOADED, of_server};
use super::freshness::AnswerFreshness;
use super::mending::Mending;
use super::{Context, Schema};
use crate::freshness::{Demand, Otherwise};
use crate::limits::{INLINE_BYTES_MAX, Limits, VALUES_MAX};
use crate::model::Model;
use crate::query::{BAD_USER_INPUT, Reading, Seal};
use crate::serving::{Pinned, Serving, Short, TooMany, Wanted};

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
    /// Not executed: too many ask at once.
    Overloaded,
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
            Outcome::Overloaded => "overloaded",
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
    pub limits: Arc<Limits>,
    pub admission: Admission,
    /// A fingerprint of the model and of what events are read and applied by.
    pub rules: u64,
}

/// A document that was read, and the request that it is of.
type Read = (Result<Prepared, Vec<ApiError>>, Request);

/// What executing a query gave.
struct Executed {
    errors: Vec<ApiError>,
    data: String,
    context: Arc<Context>,
}

impl Api {
    /// Answers a request.
    pub async fn answer(&self, request: Request) -> Answer {
        let Ok((prepared, request)) = self.read(request).await else { return self.failed(&self.serving.pin(), &[]) };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(errors) => return self.refusal(&self.serving.pin(), &errors, &[]),
        };
        let domains = prepared.domains.clone();
        let wanted = match &request.demand {
            Ok(demand) => Wanted::new(&self.serving.snapshot(), demand, &domains).map(|wanted| (demand, wanted)),
            Err(why) => Err(why.clone()),
        };
        let (demand, wanted) = match wanted {
            Ok(wanted) => wanted,
            Err(message) => {
                return self.refusal(&self.serving.pin(), &[ApiError::new(BAD_USER_INPUT, message)], &domains);
            }
        };
        let Ok((pinned, turn, short)) = self.meet(demand, wanted, prepared.cost).await else {
            return self.overloaded(&domains);
        };
        if !short.is_empty() && demand.otherwise == Otherwise::Fail {
            return self.not_fresh_enough(&pinned, &short, &domains);
        }
        let short = short.into_iter().map(|short| short.name).collect();
        let pinned = Arc::new(pinned);
        let operational = prepared.operational;
        let Ok(executed) = self.execute(prepared, request, pinned.clone(), turn).await else {
            tracing::error!("a query panicked: the line above says where");
            return self.failed(&pinned, &domains);
        };
        let Executed { errors, data, context } = executed;
        let freshness = self.freshness(&pinned, &context.reading.touched(), short);
        Answer {
            body: body(&errors, Some(data), &freshness, context.reading.plans()),
            outcome: if errors.is_empty() { Outcome::Ok } else { Outcome::Partial },
            freshness: freshness.header(),
            etag: match operational || !errors.is_empty() {
                true => None,
                false => freshness.etag(self.rules, &pinned, &context.reading),
            },
            unmet: !freshness.unmet.is_empty(),
        }
    }

    /// Reads a request's document: a long one where it holds up no other request.
    async fn read(&self, request: Request) -> Result<Read, JoinError> {
        let (schema, model, limits) = (self.schema.clone(), self.model.clone(), self.limits.clone());
        let is_short = request.query.len() <= INLINE_BYTES_MAX;
        if request.variables.values().map(count).sum::<usize>() > VALUES_MAX {
            let message = format!("the variables have more than {VALUES_MAX} values");
            return Ok((Err(vec![ApiError::new(BAD_USER_INPUT, message)]), request));
        }
        let read = move || {
            let (operation, variables) = (request.operation_name.as_deref(), &request.variables);
            let prepared =
                prepare(&schema.validated, &model, schema.shape, &limits, &request.query, operation, variables);
            (prepared, request)
        };
        if is_short { Ok(read()) } else { tokio::task::spawn_blocking(read).await }
    }

    /// Executes a query on a thread where it holds up no one, for as long as it may and somebody waits for it.
    async fn execute(
        &self,
        prepared: Prepared,
        request: Request,
        pinned: Arc<Pinned>,
        turn: Turn,
    ) -> Result<Executed, JoinError> {
        let (started, most) = (tokio::time::Instant::now(), Duration::from_millis(self.limits.query_time_max_ms));
        let (_waits, given_up) = GivenUp::new();
        let over = Box::new(move || given_up.load(Ordering::Acquire) || started.elapsed() > most);
        let reading = Reading::new(pinned.snapshot.graph.clone(), request.personal, over);
        let context = Arc::new(Context {
            reading: if request.plan { reading.note_plans() } else { reading },
            pinned,
            serving: self.serving.clone(),
            seal: self.seal.clone(),
            visited_max: self.limits.visited_max,
            mending: Mending::default(),
            rejected: OnceLock::new(),
            catalog: OnceLock::new(),
        });
        let mut execution = async_graphql::Request::new(request.query)
            .variables(async_graphql::Variables::from_json(prepared.variables.clone()))
            .data(SharedContext(context.clone()));
        execution.operation_name = request.operation_name;
        let schema = self.schema.executable.clone();
        let handle = tokio::runtime::Handle::current();
        let work = move || {
            // As long as the work lasts, whoever waits for it.
            let _turn = turn;
            let mut response = handle.block_on(schema.execute(execution));
            let mut errors: Vec<ApiError> = response.errors.iter().map(of_server).collect();
            errors.extend(context.mending.mend(&mut response.data, |path| prepared.null_at(path)));
            let mut data = String::new();
            super::written::write(&response.data, &mut data);
            Executed { errors, data, context }
        };
        tokio::task::spawn_blocking(work).await
    }

    /// The freshness of an answer that is given now.
    fn freshness(&self, pinned: &Pinned, touched: &[usize], unmet: Vec<String>) -> AnswerFreshness {
        AnswerFreshness::of(&self.model, &self.serving, pinned, touched, unmet, self.serving.now())
    }

    /// Waits, at most as long as is asked and allowed, for a version that meets the demand, and for a turn. Gives the version
    /// to answer from, and the partitions that fall short of the demand still.
    async fn meet(
        &self,
        demand: &Demand,
        mut wanted: Wanted,
        cost: u64,
    ) -> Result<(Pinned, Turn, Vec<Short>), Overloaded> {
        let wait_ms = (demand.wait_ms.unwrap_or(0).max(0) as u64).min(self.limits.wait_max_ms);
        if wait_ms > 0 && !wanted.is_empty() && !wanted.short(&self.serving.pin()).is_empty() {
            let waits = self.serving.wait_for(&mut wanted, self.limits.waiters_max);
            if let Ok(Err(TooMany)) = tokio::time::timeout(Duration::from_millis(wait_ms), waits).await {
                return Err(Overloaded);
            }
        }
        let turn = self.admission.turn(cost).await?;
        // The newest, not the one that met the demand: that was a turn ago.
        let pinned = self.serving.pin();
        let short = wanted.short(&pinned);
        Ok((pinned, turn, short))
    }

    fn overloaded(&self, domains: &[usize]) -> Answer {
        let message = "the service answers as many requests as it may: ask again later";
        let refusal = self.refusal(&self.serving.pin(), &[ApiError::new(OVERLOADED, message)], domains);
        Answer { outcome: Outcome::Overloaded, ..refusal }
    }

    fn failed(&self, pinned: &Pinned, domains: &[usize]) -> Answer {
        let error = ApiError::new(super::error::INTERNAL, "the query failed inside the service; its log says why");
        Answer { outcome: Outcome::Failed, ..self.refusal(pinned, &[error], domains) }
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

/// How many values a value is, those within it included.
pub(super) fn count(value: &Json) -> usize {
    1 + match value {
        Json::Array(items) => items.iter().map(count).sum(),
        Json::Object(members) => members.values().map(count).sum(),
        _ => 0,
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
