//! What others would answer with: ready-made bytes, serde structs in plain axum, and async-graphql with static types. Servers of
//! the benchmark's own, each a process that holds one recorded answer.

use std::sync::Arc;

use async_graphql::{ComplexObject, EmptyMutation, EmptySubscription, Object, Request, Response, Schema, SimpleObject};
use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::post;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Answer {
    data: Data,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Data {
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation: Option<Reservation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservations: Option<Reservations>,
}

#[derive(Clone, Debug, Deserialize, Serialize, SimpleObject)]
#[graphql(complex)]
struct Person {
    key: String,
    #[graphql(skip)]
    properties: Properties,
}

#[derive(Clone, Debug, Deserialize, Serialize, SimpleObject)]
struct Properties {
    nodes: Vec<Property>,
}

#[derive(Clone, Debug, Deserialize, Serialize, SimpleObject)]
#[graphql(complex)]
struct Property {
    key: String,
    name: Option<String>,
    kind: Option<String>,
    city: Option<String>,
    neighbourhood: Option<String>,
    bedrooms: Option<i32>,
    sleeps: Option<i32>,
    status: Option<String>,
    #[graphql(skip)]
    reservations: Reservations,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, SimpleObject)]
struct Reservations {
    nodes: Vec<Reservation>,
}

#[derive(Clone, Debug, Deserialize, Serialize, SimpleObject)]
#[serde(rename_all = "camelCase")]
struct Reservation {
    key: String,
    check_in: Option<String>,
    check_out: Option<String>,
    nights: Option<i32>,
    guests: Option<i32>,
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Money>,
    channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    booked_at: Option<String>,
    provenance: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize, SimpleObject)]
struct Money {
    minor: i32,
}

#[ComplexObject]
impl Person {
    async fn properties(&self, first: Option<i32>) -> &Properties {
        let _ = first;
        &self.properties
    }
}

#[ComplexObject]
impl Property {
    async fn reservations(&self, first: Option<i32>) -> &Reservations {
        let _ = first;
        &self.reservations
    }
}

struct Query(Data);

#[Object]
impl Query {
    async fn person(&self, key: String) -> Option<&Person> {
        self.0.person.as_ref().filter(|person| person.key == key)
    }

    async fn reservation(&self, key: String) -> Option<&Reservation> {
        self.0.reservation.as_ref().filter(|stay| stay.key == key)
    }

    async fn reservations(&self, first: Option<i32>) -> Option<&Reservations> {
        let _ = first;
        self.0.reservations.as_ref()
    }
}

/// Serves what a recorded answer has, in one of the ways, until it is killed.
pub fn serve(way: &str, recorded: &str) {
    let text = std::fs::read_to_string(recorded).unwrap_or_else(|error| panic!("{recorded}: {error}"));
    let json = [(header::CONTENT_TYPE, "application/json")];
    let router = match way {
        "bytes" => {
            let answer = Bytes::from(text);
            Router::new().route("/graphql", post(|_: Bytes| async move { (json, answer).into_response() }))
        }
        "structs" => {
            let answer: Arc<Answer> = Arc::new(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}")));
            let answer = move |body: Bytes| async move {
                // The request is read as ours reads it.
                let _ = std::hint::black_box(serde_json::from_slice::<serde_json::Value>(&body));
                (json, serde_json::to_vec(&*answer).unwrap_or_default()).into_response()
            };
            Router::new().route("/graphql", post(answer))
        }
        _ => {
            let answer: Answer = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
            let schema = Schema::new(Query(answer.data), EmptyMutation, EmptySubscription);
            let answer = move |body: Bytes| async move {
                let request = serde_json::from_slice::<Request>(&body).unwrap_or_else(|error| panic!("{error}"));
                let response: Response = schema.execute(request).await;
                (json, serde_json::to_vec(&response).unwrap_or_default()).into_response()
            };
            Router::new().route("/graphql", post(answer))
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let served = runtime.unwrap_or_else(|error| panic!("{error}")).block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}", listener.local_addr()?);
        axum::serve(listener, router).await
    });
    served.unwrap_or_else(|error| panic!("{error}"));
}
