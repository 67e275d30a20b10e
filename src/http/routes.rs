//! Every route, and the scopes that it needs. A route without a row here does not exist.

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use super::{Service, checkpoints, dead_letters, events, gate, graphql, pages, pauses, state};
use crate::rights::Scope;

/// A route.
pub struct Route {
    pub path: &'static str,
    pub methods: &'static [Method],
    /// Of each of these lists one scope is needed. Where there is none the route is open to everybody.
    pub needs: &'static [&'static [Scope]],
    make: fn() -> MethodRouter<Arc<Service>>,
}

const GRAPHQL: &str = "/graphql";
const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];

const OPEN: &[&[Scope]] = &[];
const READ: &[&[Scope]] = &[&[Scope::Read]];
const OPS_READ: &[&[Scope]] = &[&[Scope::OpsRead]];
const OPS_WRITE: &[&[Scope]] = &[&[Scope::OpsWrite]];

/// All routes.
pub static ROUTES: [Route; 16] = [
    // Which of its root fields are for whom, `api` says.
    route(GRAPHQL, &[Method::GET, Method::POST], &[&[Scope::Read, Scope::OpsRead]], || {
        get(graphql::get).post(graphql::post)
    }),
    route("/events", POST, &[&[Scope::EventsWrite]], || post(events::post)),
    // An event as it came, with all that is personal in it.
    route("/dead-letters/{*id}", GET, &[&[Scope::OpsRead], &[Scope::PersonalRead]], || get(dead_letters::bytes)),
    route("/dead-letters/retry", POST, OPS_WRITE, || post(dead_letters::retry)),
    route("/dead-letters/discard", POST, OPS_WRITE, || post(dead_letters::discard)),
    route("/projection/checkpoints", POST, OPS_WRITE, || post(checkpoints::take)),
    route("/projection/pause", POST, OPS_WRITE, || post(pauses::pause)),
    route("/projection/resume", POST, OPS_WRITE, || post(pauses::resume)),
    // It names each node.
    route("/projection/digest/{entity}", GET, &[&[Scope::OpsRead], &[Scope::Read]], || get(checkpoints::digests)),
    route("/", GET, OPEN, || get(pages::home)),
    // The page, and no data: what it asks goes with a token.
    route("/graphiql", GET, OPEN, || get(pages::graphiql)),
    // They name the model's entities and fields.
    route("/graphiql/starters.json", GET, READ, || get(pages::starters)),
    route("/graphiql/{*path}", GET, OPEN, || get(pages::asset)),
    route("/health/live", GET, OPEN, || get(state::live)),
    route("/health/ready", GET, OPEN, || get(state::ready)),
    route("/metrics", GET, OPS_READ, || get(state::metrics)),
];

const fn route(
    path: &'static str,
    methods: &'static [Method],
    needs: &'static [&'static [Scope]],
    make: fn() -> MethodRouter<Arc<Service>>,
) -> Route {
    Route { path, methods, needs, make }
}

impl Route {
    pub fn is_graphql(&self) -> bool {
        self.path == GRAPHQL
    }

    /// Its name in messages.
    pub fn name(&self, method: &Method) -> String {
        format!("`{method} {}`", self.path)
    }
}

/// All routes, each behind its gate.
pub fn all(service: &Arc<Service>) -> Router<Arc<Service>> {
    ROUTES.iter().fold(Router::new(), |router, route| {
        let gate = from_fn_with_state((service.clone(), route), gate::pass);
        router.route(route.path, (route.make)().route_layer(gate))
    })
}
