//! GraphiQL, from the binary.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use rust_embed::RustEmbed;
use serde_json::json;

use super::problem::problem;
use super::{Service, json as json_response};
use crate::model::{Kind, Model};

#[derive(RustEmbed)]
#[folder = "vendor/graphiql/dist"]
struct Assets;

/// GraphiQL's own policy, the tightest that it runs under: Monaco sets styles by script; everything comes from here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

pub async fn home() -> Redirect {
    Redirect::to("/graphiql")
}

pub async fn graphiql() -> Response {
    serve("index.html")
}

pub async fn asset(Path(path): Path<String>) -> Response {
    serve(&path)
}

fn serve(path: &str) -> Response {
    let Some(file) = Assets::get(path) else { return problem(StatusCode::NOT_FOUND, "GraphiQL has no such file") };
    let kind = match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("ttf") => "font/ttf",
        _ => "text/plain; charset=utf-8",
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, file.data.into_owned()).into_response()
}

/// The queries that GraphiQL opens with.
pub async fn starters(State(service): State<Arc<Service>>) -> Response {
    let model = &service.api.model;
    let shipped = Model::parse(crate::model::SHIPPED, "model.graphql");
    if shipped.is_ok_and(|shipped| shipped.fingerprint == model.fingerprint) {
        let text = include_str!("../../assets/starters.json");
        return ([(header::CONTENT_TYPE, "application/json")], text).into_response();
    }
    json_response(
        StatusCode::OK,
        json!([
            { "title": "The first of each entity", "query": first_of_each(model), "variables": "" },
            { "title": "How fresh each domain is", "query": "query HowFresh { freshness { domain status cause reason asOf lagEvents } }", "variables": "" },
        ])
        .to_string(),
    )
}

fn first_of_each(model: &Model) -> String {
    let lists = model.entities.iter().map(|entity| {
        let plain = |kind: &Kind| !matches!(kind, Kind::Link(_) | Kind::Money | Kind::GeoPoint);
        let fields: Vec<&str> =
            entity.fields.iter().filter(|field| plain(&field.kind)).map(|field| field.name.as_str()).collect();
        format!("  {}(first: 5) {{\n    totalCount\n    nodes {{ key {} }}\n  }}\n", entity.plural, fields.join(" "))
    });
    // A tab is called as its operation.
    format!("query FirstOfEach {{\n{}}}\n", lists.collect::<String>())
}
