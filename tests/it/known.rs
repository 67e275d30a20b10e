//! Documents that a request names instead of sending them: by a hash that was told before, or by an id of one that is known
//! from the start.

use std::process::Command;

use serde_json::{Value as Json, json};

use crate::support::{BINARY, Service, event, folder, root};

fn send(service: &Service, body: &Json) -> (u16, Json) {
    let headers = [("content-type", "application/json"), ("accept", "application/graphql-response+json")];
    let reply = service.request("POST", "/graphql", &headers, Some(body.to_string().as_bytes()));
    (reply.status, reply.json())
}

fn code(reply: &Json) -> &str {
    reply["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

const TEXT: &str = "query One($k: String!) { person(key: $k) { key } }";
/// `printf %s "$TEXT" | sha256sum`.
const HASH: &str = "87429bd0a1d96bdd8b9797fdc2fb675b60916a715e4dd4295e77ea23ec047a3f";

fn persisted(hash: &str) -> Json {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } })
}

#[test]
fn a_hash_stands_for_a_text_that_was_sent_once() {
    let data = folder();
    let service = Service::start(data.path());
    let position = service.write(&[event("person.registered", "ada", 1, json!({ "name": "Ada" }))]);
    service.read("{ people { totalCount } }", &position);
    let variables = json!({ "k": "ada" });
    let by_hash = json!({ "variables": variables, "extensions": persisted(HASH) });
    let (status, unknown) = send(&service, &by_hash);
    assert_eq!((status, code(&unknown)), (400, "PERSISTED_QUERY_NOT_FOUND"), "{unknown}");
    assert!(unknown["errors"][0]["message"].as_str().unwrap().starts_with("PersistedQueryNotFound"), "{unknown}");
    let both = json!({ "query": TEXT, "variables": variables, "extensions": persisted(HASH) });
    assert_eq!(send(&service, &both).1["data"]["person"]["key"], "ada");
    assert_eq!(send(&service, &by_hash).1["data"]["person"]["key"], "ada");
    // As a client that lets answers be kept asks.
    let extensions = persisted(HASH).to_string().replace('"', "%22");
    let got = service.get(&format!("/graphql?variables={{%22k%22:%22ada%22}}&extensions={extensions}"), &[]);
    assert_eq!(got.json()["data"]["person"]["key"], "ada", "{}", got.text);
    for (body, says) in [
        (json!({ "query": "{ __typename }", "extensions": persisted(HASH) }), "is not the hash"),
        (json!({ "extensions": { "persistedQuery": { "version": 2, "sha256Hash": HASH } } }), "version: 1"),
        (json!({ "extensions": { "persistedQuery": { "version": 1 } } }), "sha256Hash"),
        (json!({ "documentId": "x", "query": "{ __typename }" }), "not both"),
        (json!({ "documentId": 5 }), "`documentId` is a string"),
        (json!({}), "`query` is missing"),
    ] {
        let (status, reply) = send(&service, &body);
        assert_eq!((status, code(&reply)), (400, "BAD_USER_INPUT"), "{body}: {reply}");
        assert!(reply["errors"][0]["message"].as_str().unwrap().contains(says), "{body}: {reply}");
    }
    let (status, reply) = send(&service, &json!({ "documentId": "stays" }));
    assert_eq!((status, code(&reply)), (400, "DOCUMENT_NOT_FOUND"), "{reply}");
}

#[test]
fn known_documents_are_answered_by_id_and_if_one_likes_nothing_else() {
    let data = folder();
    let write = |name: &str, text: &str| std::fs::write(data.path().join(name), text).unwrap();
    std::fs::create_dir(data.path().join("queries")).unwrap();
    write("queries/people.graphql", "query People { people { totalCount } } query Kind { __typename }");
    write("queries/one.graphql", TEXT);
    write("relay.json", &json!({ "0123abcd": "{ freshness { domain } }" }).to_string());
    let config = |only: bool| {
        write("staygraph.toml", &format!("[documents]\nfiles = [\"queries\", \"relay.json\"]\nonly = {only}\n"));
        data.path().join("staygraph.toml").display().to_string()
    };
    let start = |folder: &str, only: bool| {
        Service::start_with(&data.path().join(folder), &root("model.graphql"), &["--config", &config(only)])
    };
    for (folder, only) in [("a", false), ("b", true)] {
        let service = start(folder, only);
        let cases = [
            (json!({ "documentId": "people", "operationName": "People" }), json!({ "people": { "totalCount": 0 } })),
            (json!({ "documentId": "people", "operationName": "Kind" }), json!({ "__typename": "Query" })),
            (json!({ "documentId": "one", "variables": { "k": "x" } }), json!({ "person": null })),
            (json!({ "documentId": format!("sha256:{HASH}"), "variables": { "k": "x" } }), json!({ "person": null })),
            (json!({ "extensions": persisted(HASH), "variables": { "k": "x" } }), json!({ "person": null })),
            (json!({ "query": TEXT, "variables": { "k": "x" } }), json!({ "person": null })),
        ];
        for (body, expected) in cases {
            let (status, reply) = send(&service, &body);
            assert_eq!((status, &reply["data"]), (200, &expected), "{body}: {reply}");
        }
        let relay = service.get("/graphql?documentId=0123abcd", &[]);
        assert!(relay.json()["data"]["freshness"][0]["domain"].is_string(), "{}", relay.text);
        let (_, several) = send(&service, &json!({ "documentId": "people" }));
        assert!(several["errors"][0]["message"].as_str().unwrap().contains("several operations"), "{several}");
        let own =
            [json!({ "query": "{ __typename }" }), json!({ "query": "{ __typename }", "extensions": persisted("00") })];
        let expected = if only { ["DOCUMENT_REQUIRED"; 2] } else { ["", "BAD_USER_INPUT"] };
        assert_eq!(own.map(|body| code(&send(&service, &body).1).to_owned()), expected);
    }
}

/// What a schema no longer fits is told before anybody asks it.
#[test]
fn documents_that_do_not_fit_are_faults_of_check() {
    let data = folder();
    let write = |name: &str, text: &str| std::fs::write(data.path().join(name), text).unwrap();
    write("staygraph.toml", "[documents]\nfiles = [\"old.graphql\", \"apollo.json\", \"absent.json\"]\n");
    write("old.graphql", "query Old {\n  people { nodes { nmae } }\n}");
    let apollo = json!({ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [
        { "id": "a", "name": "A", "type": "query", "body": "query A { peple { totalCount } }" } ] });
    write("apollo.json", &apollo.to_string());
    let check = || {
        let mut command = Command::new(BINARY);
        command
            .args(["check", "--model"])
            .arg(root("model.graphql"))
            .arg("--config")
            .arg(data.path().join("staygraph.toml"));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = check();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("staygraph.toml:2:40: [documents]:") && said.contains("cannot be read"), "{said}");
    write("absent.json", "{}");
    let (_, said) = check();
    assert!(said.contains("absent.json holds no document"), "{said}");
    write("staygraph.toml", "[documents]\nfiles = [\"old.graphql\", \"apollo.json\"]\n");
    let (status, said) = check();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("old.graphql:2:20: [documents]:") && said.contains("did you mean `name`"), "{said}");
    assert!(said.contains("apollo.json: `a`:1:11: [documents]:") && said.contains("did you mean `people`"), "{said}");
    write("staygraph.toml", "[documents]\nonly = true\n");
    let (status, said) = check();
    assert!(status == Some(1) && said.contains("nothing would be answered"), "{said}");
}
