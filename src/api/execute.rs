//! One request, from its text to its answer: prepared, its demand met or not, executed on one version.

use std::cell::OnceCell;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::access::Access;
use super::admission::{Admission, GivenUp, Overloaded, Turn};
use super::document::{Document, Prepared};
use super::documents::{Documents, Source};
use super::error::{ApiError, NOT_FRESH_ENOUGH, OVERLOADED};
use super::freshness::{AnswerFreshness, Basis};
use super::plan::{Bound, List};
use super::run::OnError;
use super::{Context, Schema, reach, run};
use crate::freshness::{Demand, Otherwise};
use crate::ids::{DomainId, EntityId};
use crate::limits::{INLINE_BYTES_MAX, INLINE_STEPS_MAX, Limits, VALUES_MAX};
use crate::model::Model;
use crate::query::{BAD_USER_INPUT, Reading, Rows, Seal};
use crate::rights::{Rights, Scope};
use crate::serving::{Generation, Pinned, Short, TooMany, Wanted};

/// A GraphQL request, whatever brought it.
#[derive(Clone, Debug)]
pub struct Request {
    pub source: Source,
    pub operation_name: Option<String>,
    pub variables: Map<String, Json>,
    /// What is demanded of the answer's freshness, or why it cannot be read.
    pub demand: Result<Demand, String>,
    pub rights: Arc<Rights>,
    /// Whether `extensions.plan` is asked for.
    pub plan: bool,
    pub on_error: OnError,
}

/// An answer and what its transport says of it.
pub struct Answer {
    /// The response map, as JSON text.
    pub body: Vec<u8>,
    pub outcome: Outcome,
    /// The header's value.
    pub freshness: String,
    /// Where the answer may be kept: its ETag.
    pub etag: Option<String>,
    /// Whether a demand was not met.
    pub unmet: bool,
    /// Scopes of which who asked has none and needs one; empty unless it was denied.
    pub lacks: &'static [Scope],
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// Executed, with errors.
    Partial,
    /// Not executed: the request was at fault.
    Refused,
    /// Not executed: who asks may not.
    Denied,
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
            Outcome::Denied => "denied",
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
    pub generation: Arc<Generation>,
    pub seal: Seal,
    pub limits: Arc<Limits>,
    pub admission: Admission,
    pub documents: Arc<Documents>,
    /// Which rows may be seen; all where there are no rules.
    pub access: Option<Arc<Access>>,
    /// A fingerprint of the model and of what events are read and applied by.
    pub rules: u64,
}

/// An operation with all that it is run with, but for the version.
struct Task {
    document: Arc<Document>,
    prepared: Prepared,
    bound: Vec<Arc<Bound>>,
    /// The domains that it can touch.
    domains: Vec<DomainId>,
    rights: Arc<Rights>,
    /// What of the graph may be seen; none where that is all.
    rows: Option<Arc<Rows>>,
    notes_plans: bool,
    on_error: OnError,
}

/// What executing a query gave.
struct Executed {
    errors: Vec<ApiError>,
    /// The answer's beginning: `{"data":…`.
    text: Vec<u8>,
    touched: Vec<DomainId>,
    by_name: bool,
    plans: Option<Vec<Json>>,
}

impl Api {
    /// Answers a request.
    pub async fn answer(&self, request: Request) -> Answer {
        let document = match self.document(&request).await {
            Ok(document) => document,
            Err(None) => return self.failed(&self.generation.pin(), &[]),
            Err(Some(errors)) => return self.refusal(&self.generation.pin(), &errors, &[]),
        };
        let task = match self.task(&request, document) {
            Ok(task) => task,
            Err(errors) => return self.refusal(&self.generation.pin(), &errors, &[]),
        };
        if let Some(denied) = self.denial(&task.rights, &task.document, &task.prepared.plan) {
            return denied;
        }
        let wanted = match &request.demand {
            Ok(demand) => {
                Wanted::new(&self.generation.snapshot(), demand, &task.domains).map(|wanted| (demand, wanted))
            }
            Err(why) => Err(why.clone()),
        };
        let (demand, wanted) = match wanted {
            Ok(wanted) => wanted,
            Err(message) => {
                let error = ApiError::new(BAD_USER_INPUT, message);
                return self.refusal(&self.generation.pin(), &[error], &task.domains);
            }
        };
        let Ok((pinned, turn, short)) = self.meet(demand, wanted, task.prepared.cost).await else {
            return self.overloaded(&task.domains);
        };
        if !short.is_empty() && demand.otherwise == Otherwise::Fail {
            return self.not_fresh_enough(&pinned, &short, &task.domains);
        }
        let short = short.into_iter().map(|short| short.name).collect();
        let task = Arc::new(task);
        let Ok(executed) = self.execute(&task, &pinned, turn).await else {
            return self.failed(&pinned, &task.domains);
        };
        // Where not all may be seen, an answer depends on all that it might have read: what it did read would tell of the rest.
        let (touched, by_name) = match &task.rows {
            Some(_) => (&task.domains, true),
            None => (&executed.touched, executed.by_name),
        };
        let freshness = self.freshness(&pinned, touched, short);
        let is_kept = !task.prepared.plan.operational && executed.errors.is_empty();
        let basis = || Basis {
            rules: self.rules,
            personal: task.rights.sees_personal(),
            rows: task.rows.as_ref().map(|rows| rows.fingerprint()),
            by_name,
        };
        Answer {
            outcome: if executed.errors.is_empty() { Outcome::Ok } else { Outcome::Partial },
            freshness: freshness.header(),
            etag: if is_kept { freshness.etag(&basis(), &pinned, touched) } else { None },
            unmet: !freshness.unmet.is_empty(),
            lacks: &[],
            body: body(&executed.errors, Some(executed.text), &freshness, executed.plans),
        }
    }

    /// Reads a request's document, if it is not known yet: a long one where it holds up no other request. None is a panic.
    async fn document(&self, request: &Request) -> Result<Arc<Document>, Option<Vec<ApiError>>> {
        if request.variables.values().map(super::json::count).sum::<usize>() > VALUES_MAX {
            let message = format!("the variables have more than {VALUES_MAX} values");
            return Err(Some(vec![ApiError::new(BAD_USER_INPUT, message)]));
        }
        let text = self.documents.text(&request.source).map_err(|error| Some(vec![error]))?;
        let operation = request.operation_name.as_deref();
        if let Some(document) = self.documents.get(&text, operation) {
            return Ok(document);
        }
        let (schema, limits, documents) = (self.schema.clone(), self.limits.clone(), self.documents.clone());
        let (operation, given) = (request.operation_name.clone(), request.variables.clone());
        let is_short = text.len() <= INLINE_BYTES_MAX;
        let read = move || guarded(|| documents.read(&schema, &limits, &text, operation.as_deref(), &given));
        let read = if is_short { read() } else { tokio::task::spawn_blocking(read).await.unwrap_or(Err(Panicked)) };
        read.map_err(|Panicked| None)?.map_err(Some)
    }

    /// Coerces a request's variables and reads what its lists are asked for.
    fn task(&self, request: &Request, document: Arc<Document>) -> Result<Task, Vec<ApiError>> {
        let prepared = document.prepare(&self.schema, &self.model, &self.limits, &request.variables)?;
        let (plan, variables) = (&prepared.plan, &prepared.variables);
        let bind = |list: &List| list.bind(&self.schema, &self.model, &self.seal, &request.rights, variables);
        let bound: Vec<Arc<Bound>> = plan.lists.iter().map(bind).collect();
        let mut domains = plan.domains.clone();
        domains.extend(bound.iter().flat_map(|bound| bound.domains.iter().copied()));
        for call in plan.by_id() {
            domains
                .extend(call.bind(&self.schema, variables).iter().flat_map(|given| reach::of_ids(&self.model, given)));
        }
        if let Some(access) = &self.access {
            let entities = self.model.entities.entries();
            let seen = entities.filter(|(_, described)| domains.contains(&described.domain));
            let read: Vec<EntityId> = seen.flat_map(|(entity, _)| access.reads(entity)).copied().collect();
            domains.extend(read.into_iter().map(|entity| self.model.entities[entity].domain));
        }
        let rows = self.access.as_ref().map(|access| Arc::new(access.rows(&request.rights)));
        domains.sort_unstable();
        domains.dedup();
        let (rights, notes_plans, on_error) = (request.rights.clone(), request.plan, request.on_error);
        Ok(Task { document, prepared, bound, domains, rights, rows, notes_plans, on_error })
    }

    /// Executes a query: here and now where that is a matter of a millisecond; else on a thread where it holds up no one, for as
    /// long as it may and somebody waits for it.
    async fn execute(&self, task: &Arc<Task>, pinned: &Arc<Pinned>, turn: Turn) -> Result<Executed, Panicked> {
        let (started, most) = (tokio::time::Instant::now(), Duration::from_millis(self.limits.query_time_max_ms));
        if !task.prepared.plan.is_long.load(Ordering::Relaxed) {
            let over = Box::new(move || started.elapsed() > most);
            match guarded(|| self.run(task, pinned, over, INLINE_STEPS_MAX))? {
                Some(executed) => return Ok(executed),
                // It begins anew, and its like do not begin here.
                None => task.prepared.plan.is_long.store(true, Ordering::Relaxed),
            }
        }
        let (waits, given_up) = GivenUp::new();
        let over = Box::new(move || given_up.load(Ordering::Acquire) || started.elapsed() > most);
        let (api, task, pinned) = (self.clone(), task.clone(), pinned.clone());
        let work = move || {
            // As long as the work lasts, whoever waits for it.
            let _turn = turn;
            guarded(|| api.run(&task, &pinned, over, u64::MAX))
        };
        let ran = tokio::task::spawn_blocking(work).await.unwrap_or(Err(Panicked));
        drop(waits);
        // Without a bound of steps it is never given up.
        ran?.ok_or(Panicked)
    }

    /// Runs an operation over a version. Nothing where it was given up after so many steps.
    fn run(
        &self,
        task: &Task,
        pinned: &Arc<Pinned>,
        over: Box<dyn Fn() -> bool + Send>,
        steps_max: u64,
    ) -> Option<Executed> {
        let reading = Reading::new(pinned.snapshot.graph.clone(), task.rights.clone(), over);
        let reading = reading.at_most(steps_max).showing(task.rows.clone());
        // A plan counts by indexes, whoever may see what they hold.
        let notes_plans = task.notes_plans && (task.rows.is_none() || task.rights.may(Scope::OpsRead));
        let context = Context {
            reading: if notes_plans { reading.note_plans() } else { reading },
            pinned: pinned.clone(),
            generation: self.generation.clone(),
            seal: self.seal.clone(),
            visited_max: self.limits.visited_max,
            rejected: OnceCell::new(),
            catalog: OnceCell::new(),
        };
        let ran = run::run(run::Request {
            context: &context,
            schema: &self.schema,
            document: &task.document,
            plan: &task.prepared.plan,
            bound: &task.bound,
            variables: &task.prepared.variables,
            on_error: task.on_error,
        });
        let reading = &context.reading;
        (!reading.is_given_up()).then(|| Executed {
            errors: ran.errors,
            text: ran.text,
            touched: reading.touched(),
            by_name: reading.depends_on_names(),
            plans: reading.plans(),
        })
    }

    /// The freshness of an answer that is given now.
    fn freshness(&self, pinned: &Pinned, touched: &[DomainId], unmet: Vec<String>) -> AnswerFreshness {
        AnswerFreshness::of(&self.model, &self.generation, pinned, touched, unmet, self.generation.now())
    }

    /// Waits, at most as long as is asked and allowed, for a version that meets the demand, and for a turn. Gives the version
    /// to answer from, and the partitions that fall short of the demand still.
    async fn meet(
        &self,
        demand: &Demand,
        mut wanted: Wanted,
        cost: u64,
    ) -> Result<(Arc<Pinned>, Turn, Vec<Short>), Overloaded> {
        let wait_ms = (demand.wait_ms.unwrap_or(0).max(0) as u64).min(self.limits.wait_max_ms);
        if wait_ms > 0 && !wanted.is_empty() && !wanted.short(&self.generation.pin()).is_empty() {
            let waits = self.generation.wait_for(&mut wanted, self.limits.waiters_max);
            if let Ok(Err(TooMany)) = tokio::time::timeout(Duration::from_millis(wait_ms), waits).await {
                return Err(Overloaded);
            }
        }
        let turn = self.admission.turn(cost).await?;
        // The newest, not the one that met the demand: that was a turn ago.
        let pinned = if wanted.is_empty() { self.generation.pin_shared() } else { Arc::new(self.generation.pin()) };
        let short = wanted.short(&pinned);
        Ok((pinned, turn, short))
    }

    fn overloaded(&self, domains: &[DomainId]) -> Answer {
        let message = "the service answers as many requests as it may: ask again later";
        let refusal = self.refusal(&self.generation.pin(), &[ApiError::new(OVERLOADED, message)], domains);
        Answer { outcome: Outcome::Overloaded, ..refusal }
    }

    fn failed(&self, pinned: &Pinned, domains: &[DomainId]) -> Answer {
        let error = ApiError::new(super::error::INTERNAL, "the query failed inside the service; its log says why");
        Answer { outcome: Outcome::Failed, ..self.refusal(pinned, &[error], domains) }
    }

    fn not_fresh_enough(&self, pinned: &Pinned, short: &[Short], domains: &[DomainId]) -> Answer {
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
            lacks: &[],
        }
    }

    /// An answer to a request that was not executed.
    pub(super) fn refusal(&self, pinned: &Pinned, errors: &[ApiError], domains: &[DomainId]) -> Answer {
        let freshness = self.freshness(pinned, domains, Vec::new());
        Answer {
            body: body(errors, None, &freshness, None),
            outcome: Outcome::Refused,
            freshness: freshness.header(),
            etag: None,
            unmet: false,
            lacks: &[],
        }
    }

    /// A refusal of what is no GraphQL request at all.
    pub fn unreadable(&self, message: &str) -> Answer {
        self.refusal(&self.generation.pin(), &[ApiError::new(BAD_USER_INPUT, message)], &[])
    }
}

/// Work inside panicked. The log says where.
#[derive(Debug)]
struct Panicked;

/// Does what is done on a thread that others need too.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        tracing::error!("a query panicked: the line above says where");
        Panicked
    })
}

/// An answer's text. `begun` is its beginning with the data.
fn body(errors: &[ApiError], begun: Option<Vec<u8>>, freshness: &AnswerFreshness, plans: Option<Vec<Json>>) -> Vec<u8> {
    let mut text = begun.unwrap_or_else(|| b"{".to_vec());
    if !errors.is_empty() {
        // First, where one who reads sees them.
        let errors = format!("\"errors\":{}", errors.iter().map(ApiError::to_json).collect::<Json>());
        let comma: &[u8] = if text.len() > 1 { b"," } else { b"" };
        text.splice(1..1, errors.bytes().chain(comma.iter().copied()));
    }
    if text.len() > 1 {
        text.push(b',');
    }
    text.extend_from_slice(b"\"extensions\":{\"freshness\":");
    freshness.write(&mut text);
    if let Some(plans) = plans {
        text.extend_from_slice(b",\"plan\":");
        super::json::value(&mut text, &Json::Array(plans));
    }
    text.extend_from_slice(b"}}");
    text
}
