//! Every route and every field of `Query`, asked with every scope: what each is answered is a golden file.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value as Json, json};
use staygraph::auth::hash_of;
use staygraph::http::ROUTES;
use staygraph::rights::Scope;

use crate::golden;
use crate::support::{Reply, Service, event, folder, hex, root};

/// Asks a service with some headers.
type Ask<'a> = dyn Fn(&Service, &[(&str, &str)]) -> Reply + 'a;

/// Credentials, by the name of their column.
fn credentials() -> Vec<(String, Option<String>)> {
    let mut all = vec![("none".to_owned(), None), ("bad".to_owned(), Some("Bearer nobodys".to_owned()))];
    all.extend(Scope::ALL.map(|scope| (scope.name().to_owned(), Some(format!("Bearer {}", token(scope.name()))))));
    all.push(("all".to_owned(), Some(format!("Bearer {}", token("all")))));
    all
}

fn token(name: &str) -> String {
    format!("token-{}", name.replace(':', "-"))
}

/// A service that knows a token for each scope and one for all; `anonymous` are the scopes of those without.
fn start(data: &std::path::Path, anonymous: &str) -> Service {
    let all = Scope::ALL.map(|scope| format!("\"{}\"", scope.name())).join(", ");
    let mut text = format!("[auth]\nanonymous = [{anonymous}]\n");
    let each = Scope::ALL.map(|scope| (scope.name(), format!("\"{}\"", scope.name())));
    for (name, scopes) in each.into_iter().chain([("all", all)]) {
        let hash = hex(&hash_of(&token(name)));
        writeln!(text, "[[auth.tokens]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nscopes = [{scopes}]").unwrap();
    }
    let config = data.join("staygraph.toml");
    std::fs::write(&config, text).unwrap();
    Service::start_with(data, &root("model.graphql"), &["--config", config.to_str().unwrap()])
}

/// A status, and the code beside it.
fn told(reply: &Reply) -> String {
    let body: Json = serde_json::from_str(&reply.text).unwrap_or_default();
    let code = body["errors"][0]["extensions"]["code"].as_str().or(body["code"].as_str());
    // Wherever a credential would help, that is said.
    assert_eq!(reply.header("www-authenticate").is_some(), [401, 403].contains(&reply.status), "{}", reply.text);
    let scopes: BTreeSet<&str> = Scope::ALL.map(Scope::name).into();
    if reply.status == 403 {
        assert!(scopes.iter().any(|scope| reply.text.contains(&format!("`{scope}`"))), "{}", reply.text);
    }
    format!("{}{}", reply.status, code.map(|code| format!(" {code}")).unwrap_or_default())
}

fn headers(credential: &Option<String>) -> Vec<(&str, &str)> {
    let mut headers =
        vec![("content-type", "application/json"), ("accept", "application/graphql-response+json, */*;q=0.5")];
    headers.extend(credential.as_deref().map(|credential| ("authorization", credential)));
    headers
}

/// Asks for each field of `Query`, with the least that has to be given.
fn fields(service: &Service) -> Vec<(String, String)> {
    let all = format!("Bearer {}", token("all"));
    let types = "{ __schema { queryType { fields { name args { name type { kind } } type { ...T } } } } } \
                 fragment T on __Type { kind ofType { kind ofType { kind ofType { kind } } } }";
    let reply = service.ask(types, &[("authorization", &all)]).json();
    let fields = reply["data"]["__schema"]["queryType"]["fields"].as_array().unwrap_or_else(|| panic!("{reply}"));
    let mut asked: Vec<(String, String)> = fields
        .iter()
        .map(|field| {
            let name = field["name"].as_str().unwrap();
            let value = |argument: &str| match argument {
                "ids" | "representations" => "[]",
                "id" | "from" | "to" => "\"Person:ann\"",
                _ => "\"ann\"",
            };
            let needed = field["args"].as_array().unwrap().iter().filter(|of| of["type"]["kind"] == "NON_NULL");
            let needed = needed.map(|of| of["name"].as_str().unwrap()).map(|of| format!("{of}: {}", value(of)));
            let needed: Vec<String> = needed.collect();
            let given = if needed.is_empty() { String::new() } else { format!("({})", needed.join(", ")) };
            (name.to_owned(), format!("{{ {name}{given} {{ __typename }} }}"))
        })
        .collect();
    asked.push(("__typename".into(), "{ __typename }".into()));
    asked.push(("__schema".into(), "{ __schema { queryType { name } } }".into()));
    asked.push(("__type".into(), "{ __type(name: \"Query\") { name } }".into()));
    asked.push(("person { name }, personal".into(), "{ person(key: \"ann\") { name } }".into()));
    asked.push(("projection { deadLetters }".into(), "{ projection { deadLetters { totalCount } } }".into()));
    asked
}

#[test]
fn every_scope_opens_what_it_is_for_and_nothing_else() {
    let (data, open_data, bare_data) = (folder(), folder(), folder());
    let service = start(data.path(), "");
    let open = start(open_data.path(), "\"read\"");
    let bare = Service::start(bare_data.path());
    let ann = Json::from(vec![event("person.registered", "ann", 1, json!({ "name": "Ann" }))]).to_string();
    let all = [("authorization", "Bearer token-all"), ("content-type", "application/json")];
    for service in [&service, &open] {
        let written = service.request("POST", "/events", &all, Some(ann.as_bytes())).json();
        let at = written["position"].as_str().unwrap().to_owned();
        let read = [all[0], ("freshness-at-least", &at), ("freshness-wait", "20s"), ("freshness-otherwise", "fail")];
        assert_eq!(service.ask("{ person(key: \"ann\") { key } }", &read).status, 200);
    }
    let credentials = credentials();
    let mut columns: Vec<String> = credentials.iter().map(|(name, _)| name.clone()).collect();
    columns.extend(["anonymous = [\"read\"]", "…, bad", "without [auth], here", "…, elsewhere"].map(str::to_owned));
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: String, ask: &Ask<'_>| {
        let mut cells = vec![name];
        cells.extend(credentials.iter().map(|(_, credential)| told(&ask(&service, &headers(credential)))));
        cells.push(told(&ask(&open, &headers(&None))));
        cells.push(told(&ask(&open, &headers(&credentials[1].1))));
        cells.push(told(&ask(&bare, &headers(&None))));
        let elsewhere = [headers(&None), vec![("host", "staygraph.example")]].concat();
        cells.push(told(&ask(&bare, &elsewhere)));
        rows.push(cells);
    };
    for route in &ROUTES {
        let path = route.path.replace("{*id}", "DeadLetter:people/0@1").replace("{entity}", "Person");
        let path = path.replace("{*path}", "favicon.svg");
        for method in route.methods {
            let is_graphql = route.is_graphql();
            let body: &[u8] = if is_graphql { br#"{"query":"{__typename}"}"# } else { b"{}" };
            let path =
                if is_graphql && method == "GET" { format!("{path}?query={{__typename}}") } else { path.clone() };
            row(format!("{method} {}", route.path), &|service, headers| {
                service.request(method.as_str(), &path.replace('{', "%7B").replace('}', "%7D"), headers, Some(body))
            });
        }
    }
    for (name, query) in fields(&service) {
        let body = json!({ "query": query }).to_string();
        row(name, &|service, headers| service.request("POST", "/graphql", headers, Some(body.as_bytes())));
    }
    let mut text = String::from(
        "What each credential is answered: a status, and the code beside it. Made by tests/it/auth/matrix.rs.\n\n",
    );
    for cells in &rows {
        writeln!(text, "{}", cells[0]).unwrap();
        // Columns that are answered alike, together.
        let mut answers: Vec<(&str, Vec<&str>)> = Vec::new();
        for (column, answer) in columns.iter().zip(&cells[1..]) {
            match answers.iter_mut().find(|(known, _)| known == answer) {
                Some((_, columns)) => columns.push(column),
                None => answers.push((answer, vec![column])),
            }
        }
        answers.iter().for_each(|(answer, columns)| writeln!(text, "    {answer}: {}", columns.join("; ")).unwrap());
    }
    golden::check("scopes.txt", &text);
}

#[test]
fn a_credential_is_one_or_it_is_refused() {
    let data = folder();
    let service = start(data.path(), "\"read\"");
    let ask = |headers: &[(&str, &str)]| {
        let reply = service.ask("{ people { totalCount } }", headers);
        let body = reply.json();
        (reply.status, body["errors"][0]["extensions"]["code"].as_str().unwrap_or("-").to_owned())
    };
    let read = ("authorization", "Bearer token-read");
    let case = |headers: &[(&str, &str)], status: u16, code: &str| {
        assert_eq!(ask(headers), (status, code.to_owned()), "{headers:?}");
    };
    case(&[], 200, "-");
    case(&[read], 200, "-");
    case(&[("authorization", "bearer token-read")], 200, "-");
    // The credential counts where there is one: this one may less than nobody.
    case(&[("authorization", "Bearer token-export")], 403, "FORBIDDEN");
    case(&[read, read], 400, "BAD_USER_INPUT");
    case(&[read, ("authorization", "Bearer nobodys")], 400, "BAD_USER_INPUT");
    for bad in [
        "Bearer nobodys",
        "Bearer",
        "Bearer token-read x",
        "Basic dG9rZW4tcmVhZA==",
        "token-read",
        "Bearer token%2dread",
        "",
    ] {
        case(&[("authorization", bad)], 401, "UNAUTHENTICATED");
    }
    // In a URL it is no credential.
    let reply = service.get("/metrics?access_token=token-all&token=token-all", &[]);
    assert_eq!(reply.status, 401);
    // A browser that looks at the route is sent to the page, which is open; what the page asks is not.
    let page = service.get(
        "/graphql?query=%7Bpeople%7BtotalCount%7D%7D",
        &[("accept", "text/html"), ("authorization", "Bearer nobodys")],
    );
    assert_eq!((page.status, page.header("location")), (303, Some("/graphiql?query=%7Bpeople%7BtotalCount%7D%7D")));
    // A preflight carries no credential, and is answered.
    let asked = [
        ("origin", "http://localhost:5173"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    let preflight = service.request("OPTIONS", "/graphql", &asked, None);
    assert_eq!(
        (
            preflight.status,
            preflight.header("access-control-allow-headers").is_some_and(|names| names.contains("authorization"))
        ),
        (200, true)
    );
    let refused = service.request("GET", "/metrics", &[("authorization", "Bearer token-read")], None);
    assert_eq!(
        refused.header("www-authenticate"),
        Some("Bearer realm=\"staygraph\", error=\"insufficient_scope\", scope=\"ops:read\"")
    );
    // What is answered to one is not another's: who may see less has another ETag.
    let etag = |token: &str| {
        let query = "/graphql?query=%7Bpeople%7BtotalCount%7D%7D";
        service.get(query, &[("authorization", token)]).header("etag").unwrap_or_default().to_owned()
    };
    assert!(!etag("Bearer token-read").is_empty() && etag("Bearer token-read") != etag("Bearer token-all"));
    assert_eq!(etag("Bearer token-read"), etag("Bearer token-read"));
}
