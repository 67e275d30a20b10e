//! What GraphQL over HTTP looks like on the wire: packed answers, several requests on their way at once, methods, empty parameters.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value as Json, json};

use crate::support::{Service, event, folder};

const JSON: (&str, &str) = ("content-type", "application/json");

fn address(service: &Service) -> &str {
    service.url.strip_prefix("http://").unwrap()
}

/// All that comes until the other side closes, as it is sent.
fn raw(service: &Service, requests: &str) -> Vec<u8> {
    let mut peer = TcpStream::connect(address(service)).unwrap();
    peer.write_all(requests.as_bytes()).unwrap();
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    all
}

#[test]
fn long_answers_are_packed_for_who_takes_it() {
    let data = folder();
    let service = Service::start(data.path());
    let ask = |query: &str, accepted: &str| {
        let body = json!({ "query": query }).to_string();
        let length = body.len();
        let head = format!(
            "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n{accepted}\r\n"
        );
        let all = raw(&service, &(head + &body));
        let end = all.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
        let coding = head.lines().find_map(|line| line.strip_prefix("content-encoding: ")).map(str::to_owned);
        assert!(query.len() < 30 || head.contains("accept-encoding"), "a long answer varies: {head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        (coding, all.len())
    };
    let long = "{ __schema { types { name description } } }";
    let (plain, length) = ask(long, "");
    assert_eq!(plain, None);
    let cases = [
        ("accept-encoding: gzip\r\n", Some("gzip")),
        ("accept-encoding: br\r\n", Some("br")),
        ("accept-encoding: zstd\r\n", Some("zstd")),
        // Some offer zstd and then cannot unpack it.
        ("accept-encoding: zstd, br, gzip, deflate\r\n", Some("br")),
        ("accept-encoding: gzip, zstd\r\n", Some("gzip")),
        ("accept-encoding: identity\r\n", None),
        ("accept-encoding: gzip;q=0\r\n", None),
    ];
    for (accepted, expected) in cases {
        let (coding, packed) = ask(long, accepted);
        assert_eq!(coding.as_deref(), expected, "{accepted}");
        assert!(expected.is_none() || packed < length / 2, "{accepted}: {packed} of {length}");
        assert_eq!(ask("{ __typename }", accepted).0, None, "a short one is not worth it");
    }
    // That what is packed is the answer, tests/clients reads.
}

/// Requests that come before the answers to those before them are answered in their order.
#[test]
fn requests_may_follow_each_other_without_a_wait() {
    let data = folder();
    let service = Service::start(data.path());
    let queries =
        ["{ a: __typename }", "{ people(first: 1001) { totalCount } }", "{", "{ people { totalCount } b: __typename }"];
    let mut sent = String::new();
    for (place, query) in queries.iter().enumerate() {
        let body = json!({ "query": query }).to_string();
        let close = if place + 1 == queries.len() { "connection: close\r\n" } else { "" };
        sent += &format!(
            "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{close}content-length: {}\r\n\r\n{body}",
            body.len()
        );
    }
    let all = String::from_utf8(raw(&service, &sent)).unwrap();
    let bodies: Vec<Json> = all
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap())
        .collect();
    let seen: Vec<String> = bodies
        .iter()
        .map(|body| match body["errors"][0]["extensions"]["code"].as_str() {
            Some(code) => code.to_owned(),
            None => body["data"].as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" "),
        })
        .collect();
    assert_eq!(seen, ["a", "BAD_USER_INPUT", "GRAPHQL_PARSE_FAILED", "people b"], "{all}");
}

#[test]
fn parameters_and_methods_are_the_specifications() {
    let data = folder();
    let service = Service::start(data.path());
    let position = service.write(&[event("person.registered", "ada", 1, json!({ "name": "Ada" }))]);
    service.read("{ people { totalCount } }", &position);
    let accept = ("accept", "application/graphql-response+json");
    // What is empty is none.
    let path = "/graphql?query=%7Bperson(key:%22ada%22)%7Bkey%7D%7D&variables=&operationName=&extensions=&onError=&documentId=";
    let reply = service.get(path, &[accept]);
    assert_eq!((reply.status, &reply.json()["data"]["person"]["key"]), (200, &json!("ada")), "{}", reply.text);
    let cases = [
        ("query=", 400, "GRAPHQL_PARSE_FAILED"),
        ("query=%7B__typename%7D&variables=%5B%5D", 400, "BAD_USER_INPUT"),
        ("query=%7B__typename%7D&variables=%7B", 400, "BAD_USER_INPUT"),
        ("query=%7B__typename%7D&extensions=5", 400, "BAD_USER_INPUT"),
        ("query=mutation%7Bx%7D", 405, "GRAPHQL_VALIDATION_FAILED"),
        ("query=query%20A%7B__typename%7Dmutation%20B%7Bx%7D&operationName=B", 405, "GRAPHQL_VALIDATION_FAILED"),
        ("query=subscription%7Bx%7D", 400, "GRAPHQL_VALIDATION_FAILED"),
    ];
    for (parameters, status, code) in cases {
        let reply = service.get(&format!("/graphql?{parameters}"), &[accept]);
        let told = reply.json();
        assert_eq!(
            (reply.status, &told["errors"][0]["extensions"]["code"]),
            (status, &json!(code)),
            "{parameters}: {told}"
        );
        assert_eq!(reply.header("allow"), if status == 405 { Some("POST") } else { None }, "{parameters}");
    }
    // By POST it is only a fault of the document.
    let reply = service.request("POST", "/graphql", &[JSON, accept], Some(b"{\"query\":\"mutation{x}\"}"));
    assert_eq!(reply.status, 400, "{}", reply.text);
}
