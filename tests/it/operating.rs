//! What one runs the service by: its metrics, its logs, and pages that say what is true of both and of its options.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use clap::{Args, Command as Parser};
use serde_json::{Value as Json, json};
use staygraph::clock;
use staygraph::config::{Config, DEPTH_MAX, LogOptions, ModelText, Options};
use staygraph::event::Code;
use staygraph::freshness::{Cause, Status};
use staygraph::limits;
use staygraph::source::log::Log;

use crate::support::{BINARY, Service, append, event, folder, root};

/// The rows of the table of a page that starts with a line, cell by cell.
fn table(page: &str, head: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root(page)).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with(head)).skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row[1..row.len() - 1].split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.map(|row| cells(&row.trim_end().replace("\\|", "/"))).collect();
    assert!(!rows.is_empty(), "{page} has no table that starts with `{head}`");
    rows
}

/// What stands in a cell between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_option_and_its_default_is_the_pages() {
    let given = Options { model: Some(root("model.graphql")), ..Options::default() };
    let config = Config::read(&given, &LogOptions::default(), &ModelText::File).unwrap();
    let number = |value: u64| value.to_string();
    let defaults: BTreeMap<&str, String> = [
        ("data_dir", config.data_dir.display().to_string()),
        ("listen", config.listen.clone()),
        ("wait_max", format!("{}s", config.limits.wait_max_ms / 1000)),
        ("query_time_max", format!("{}s", config.limits.query_time_max_ms / 1000)),
        ("depth_max", number(config.limits.depth_max as u64)),
        ("complexity_max", number(config.limits.complexity_max)),
        ("tokens_max", number(config.limits.tokens_max as u64)),
        ("visited_max", number(config.limits.visited_max as u64)),
        ("aliases_max", number(config.limits.aliases_max as u64)),
        ("root_fields_max", number(config.limits.root_fields_max as u64)),
        ("directives_max", number(config.limits.directives_max as u64)),
        ("queries_max", "twice the cores and 4 at least".into()),
        ("queue_max", number(config.limits.queue_max as u64)),
        ("waiters_max", number(config.limits.waiters_max as u64)),
        ("connections_max", number(config.limits.connections_max as u64)),
        ("peer_connections_max", number(config.limits.peer_connections_max as u64)),
        ("idle_max", format!("{}s", config.limits.idle_max_ms / 1000)),
        ("body_time_max", format!("{}s", config.limits.body_time_max_ms / 1000)),
        ("body_bytes_max", number(config.limits.body_bytes_max as u64)),
        ("event_bytes_max", number(config.limits.event_bytes_max as u64)),
        ("memory_max", "90 % of the control group's or machine's".into()),
        ("ids_remembered", number(config.ids_remembered as u64)),
        ("free_bytes_min", number(config.free_bytes_min)),
        ("verbose", number(config.verbose.into())),
        ("log_format", "text".into()),
        ("model", "model.graphql".into()),
        ("cors_origins", "those of this machine".into()),
        ("cors_headers", "none".into()),
    ]
    .into();
    let written = |cell: &str| cell.replace(['`', ','], "");
    let rows = table("docs/service.md", "| flag | environment | in the file |");
    let mut told = BTreeSet::new();
    for row in &rows {
        let [flag, environment, key, default, _] = &row[..] else { panic!("{row:?}") };
        let long = quoted(flag)[0].split_whitespace().next().unwrap().trim_start_matches('-').to_owned();
        told.insert((long, quoted(environment)[0].to_owned()));
        let Some(key) = quoted(key).first().copied() else { continue };
        assert_eq!(Some(&written(default)), defaults.get(key), "docs/service.md: `{key}`");
    }
    let parser = LogOptions::augment_args(Options::augment_args(Parser::new("serve")));
    let known: BTreeSet<(String, String)> = parser
        .get_arguments()
        .map(|argument| {
            let name = argument.get_long().unwrap().to_owned();
            let name = if name == "verbose" { "v".to_owned() } else { name };
            (name, argument.get_env().unwrap().to_string_lossy().into_owned())
        })
        .collect();
    assert_eq!(told, known, "docs/service.md: options");
    // What `--help` says is the same.
    for argument in parser.get_arguments() {
        let help = argument.get_help().unwrap().to_string();
        let Some((_, rest)) = help.split_once(" unless said") else { continue };
        let said =
            help[..help.len() - rest.len() - " unless said".len()].rsplit([' ', '`']).find(|word| !word.is_empty());
        let key = argument.get_id().as_str();
        if let (Some(said), Some(default)) = (said, defaults.get(key).filter(|default| !default.contains(' '))) {
            assert_eq!(said, default, "--help of `{key}`: {help}");
        }
    }
    for row in table("docs/graphql.md", "| limit | unless configured | code |") {
        let [limit, default, _] = &row[..] else { panic!("{row:?}") };
        if let Some(key) = quoted(limit).into_iter().find(|key| defaults.contains_key(key)) {
            assert_eq!(written(default), defaults[key], "docs/graphql.md: `{key}`");
        }
    }
    let text = std::fs::read_to_string(root("docs/service.md")).unwrap();
    assert!(text.contains(&format!("how deep a query nests; {DEPTH_MAX} at most")));
}

#[test]
fn every_route_of_the_page_is_there() {
    let data = folder();
    let service = Service::start(data.path());
    let rows = table("docs/service.md", "| route | |");
    assert!(rows.len() > 6);
    for row in rows {
        let mut methods = Vec::new();
        for word in quoted(&row[0]).iter().flat_map(|text| text.split([' ', ','])).filter(|word| !word.is_empty()) {
            match word {
                "GET" | "POST" => methods.push(word),
                // A second route of the row.
                "/discard" => {
                    assert_ne!(service.request("POST", "/dead-letters/discard", &[], Some(b"{}")).status, 404)
                }
                path => {
                    let path = path.replace("{id}", "DeadLetter:people/0@1");
                    for method in &methods {
                        let reply = service.request(method, &path, &[("accept", "*/*")], Some(b"{}"));
                        let is_there = !reply.text.contains("there is nothing here") && reply.status != 405;
                        assert!(is_there, "{method} {path}: {} {}", reply.status, reply.text);
                    }
                    methods.clear();
                }
            }
        }
    }
    for (path, near) in [
        ("/health", "/health/live"),
        ("/grapqhl", "/graphql"),
        ("/Metrics", "/metrics"),
        ("/event", "/events"),
        ("/dead-letters", "/dead-letters/"),
    ] {
        let reply = service.get(path, &[]);
        assert_eq!(reply.status, 404, "{path}");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&format!("did you mean `{near}")), "{path}: {detail}");
    }
}

/// The deepest that can be configured works, and no deeper.
#[test]
fn the_greatest_depth_is_one_that_works() {
    let data = folder();
    let most = DEPTH_MAX.to_string();
    let service = Service::start_with(data.path(), &root("model.graphql"), &["--depth-max", &most]);
    let position = service.write(&[
        event("person.registered", "ann", 1, json!({})),
        event("reservation.booked", "r", 1, json!({ "guestId": "ann" })),
    ]);
    let nested = |depth: u64| {
        let around = ["reservations(first: 1)", "nodes", "guest"];
        let mut names = vec!["person(key: \"ann\")"];
        names.extend(around.iter().cycle().take(depth as usize - 2));
        let leaf = if names.last().is_some_and(|last| last.starts_with("reservations")) { "totalCount" } else { "key" };
        format!("{{ {} {{ {leaf} }} {} }}", names.join(" { "), "}".repeat(names.len() - 1))
    };
    for depth in [DEPTH_MAX - 2, DEPTH_MAX - 1, DEPTH_MAX] {
        let answer = service.read(&nested(depth), &position);
        assert!(answer.to_string().contains("totalCount") || answer.to_string().contains("key"), "{depth}: {answer}");
    }
    let refused = service.ask(&nested(DEPTH_MAX + 1), &[]).json();
    assert_eq!(refused["errors"][0]["extensions"]["code"], json!("QUERY_TOO_DEEP"), "{refused}");
}

/// Names, and of each the labels of its series.
fn series(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let kinds: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let sample = line.split(['{', ' ']).next().unwrap();
        let ends = ["_bucket", "_sum", "_count"].into_iter();
        let whole = ends.filter_map(|end| sample.strip_suffix(end)).find(|name| kinds.get(name) == Some(&"histogram"));
        let labels = line.split_once('{').map_or("", |(_, rest)| rest.split('}').next().unwrap());
        let names = labels.split(',').filter_map(|label| label.split('=').next()).filter(|name| !name.is_empty());
        let known = all.entry(whole.unwrap_or(sample).to_owned()).or_default();
        known.extend(names.filter(|name| *name != "le").map(str::to_owned));
    }
    all
}

#[test]
fn every_metric_is_on_the_page_and_there_from_the_start() {
    let data = folder();
    std::fs::write(data.path().join("guest.jq"), "empty").unwrap();
    let config = data.path().join("staygraph.toml");
    let text = "[domains.people]\ntopics = [\"db.public.guest\"]\n[[mappings]]\ntopic = \"db.public.guest\"\nprogram = \"guest.jq\"\n\
                [[transactions]]\ntopic = \"db.transaction\"\n[transactions.tables]\n\"public.guest\" = \"db.public.guest\"\n\
                [auth]\nanonymous = [\"read\", \"ops:read\", \"ops:write\"]\n[[auth.issuers]]\nissuer = \"i\"\naudience = \"a\"\n\
                jwks = \"keys.json\"\nalgorithms = [\"EdDSA\"]\n";
    let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "A".repeat(43) }] });
    std::fs::write(data.path().join("keys.json"), keys.to_string()).unwrap();
    std::fs::write(&config, text).unwrap();
    let service = Service::start_with(data.path(), &root("model.graphql"), &["--config", config.to_str().unwrap()]);
    // One that was taken has an age.
    assert_eq!(service.post("/projection/checkpoints", "application/json", b"").status, 201);
    let mut metrics = service.get("/metrics", &[]).text;
    // What is of partitions is told once the source has answered and a version is as of then.
    let started = clock::tick();
    let is_whole = |metrics: &str| {
        ["ready 1", "staleness_seconds{", "issuer_keys_age_seconds{"]
            .iter()
            .all(|line| metrics.contains(&format!("staygraph_{line}")))
    };
    while !is_whole(&metrics) {
        assert!(clock::tick().saturating_sub(started).as_secs() < 30, "{metrics}");
        metrics = service.get("/metrics", &[]).text;
    }
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in table("docs/service.md", "| name | labels | |") {
        let labels = row[1].replace('`', "");
        let labels = labels.split(", ").filter(|label| !label.is_empty()).map(str::to_owned).collect();
        told.insert(row[0].trim_matches('`').to_owned(), labels);
    }
    // tests/it/auth/tls.rs has a service with a certificate.
    assert!(told.remove("staygraph_certificate_ends_seconds").is_some());
    assert_eq!(series(&metrics), told);
    let parts: BTreeSet<String> =
        table("docs/service.md", "| part | what it is |").iter().map(|row| row[0].replace('`', "")).collect();
    let lines =
        metrics.lines().filter_map(|line| line.strip_prefix("staygraph_memory_bytes{part=\"")?.split('"').next());
    assert_eq!(lines.map(str::to_owned).collect::<BTreeSet<_>>(), parts);
    let value = |line: &str| -> f64 { line.rsplit(' ').next().unwrap().parse().unwrap() };
    let all = |name: &'static str| metrics.lines().filter(move |line| line.starts_with(name));
    let sum: f64 = all("staygraph_memory_bytes{").map(value).sum();
    let resident: f64 = all("process_resident").map(value).sum();
    assert!(all("staygraph_memory_bytes{").all(|line| value(line) >= 0.0), "{metrics}");
    // Read one after the other: what was taken in between is little.
    assert!((sum - resident).abs() < f64::max(resident * 0.05, 4e6), "{sum} in parts, {resident} in all");
    let zero = |line: String| {
        assert!(metrics.contains(&format!("\n{line} 0\n")), "{line} is not 0 from the start:\n{metrics}")
    };
    for outcome in ["ok", "error", "refused", "denied", "not_fresh_enough", "failed"] {
        zero(format!("staygraph_query_seconds_count{{outcome=\"{outcome}\"}}"));
    }
    for code in Code::ALL {
        zero(format!("staygraph_events_refused_total{{code=\"{}\"}}", code.name()));
        zero(format!("staygraph_events_dead_total{{code=\"{}\",domain=\"prices\"}}", code.name()));
    }
    zero("staygraph_events_accepted_total".into());
    zero("staygraph_records_skipped_total{kind=\"heartbeat\",topic=\"db.public.guest\"}".into());
    zero("staygraph_transactions_split_total{topic=\"db.transaction\"}".into());
    zero("staygraph_event_visible_seconds_count{domain=\"people\"}".into());
    zero("staygraph_dead_letters{domain=\"people\"}".into());
    for domain in ["people", "prices"] {
        let ones = |name: &str, labels: &[&str]| {
            let line = |label: &&str| {
                metrics.lines().any(|line| {
                    line.starts_with(name)
                        && line.contains(&format!("\"{domain}\""))
                        && line.contains(&format!("\"{label}\""))
                })
            };
            assert!(labels.iter().all(line), "{name} {domain}");
        };
        ones("staygraph_freshness_status", &Status::ALL.map(Status::name));
        ones("staygraph_freshness_cause", &Cause::ALL.map(Cause::name));
    }
}

#[test]
fn scrapes_at_once_count_nothing_twice() {
    let data = folder();
    let service = Service::start(data.path());
    let people: Vec<Json> = (0..200).map(|n| event("person.registered", &format!("p{n}"), 1, json!({}))).collect();
    let position = service.write(&people);
    service.read("{ people { totalCount } }", &position);
    service.post("/events", "application/x-ndjson", b"{oops\n[1]\n");
    let line = "staygraph_events_applied_total{domain=\"people\"} 200";
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..10).for_each(|_| assert!(service.get("/metrics", &[]).text.contains(line))));
        }
    });
    let metrics = service.get("/metrics", &[]).text;
    for line in [
        line,
        "staygraph_events_accepted_total 200",
        "staygraph_events_refused_total{code=\"BAD_JSON\"} 1",
        "staygraph_events_refused_total{code=\"BAD_ENVELOPE\"} 1",
    ] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line}:\n{metrics}");
    }
}

/// Runs a service with some options until it has answered, and gives what it said on standard error.
fn said(data: &std::path::Path, more: &[&str], environment: &[(&str, &str)]) -> Vec<String> {
    let mut command = Command::new(BINARY);
    command.arg("serve").arg("--data").arg(data).arg("--model").arg(root("model.graphql"));
    command.args(["--listen", "127.0.0.1:0"]).args(more).envs(environment.iter().copied());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let url = out.find_map(|line| Some(format!("http://{}", line.split("http://").nth(1)?))).unwrap();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    while agent.get(format!("{url}/health/ready")).call().unwrap().status().as_u16() != 200 {}
    let ask = |body: Json| {
        let mut answer = agent.post(format!("{url}/graphql")).send_json(body).unwrap();
        answer.body_mut().read_to_string().unwrap()
    };
    ask(json!({ "query": "# hidden\nquery Wrong { nothing(secretly: \"hidden\") }" }));
    ask(
        json!({ "query": "query Right($k: String!) { person(key: $k) { key } }", "operationName": "Right", "variables": { "k": "hidden" } }),
    );
    let asked = agent.get(format!("{url}/nowhere/hidden?hidden=1")).call().unwrap();
    assert_eq!(asked.status().as_u16(), 404);
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok).collect();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    lines
}

#[test]
fn the_log_says_what_one_runs_it_by() {
    let data = folder();
    {
        let log = Log::open(&data.path().join("log"), 0, clock::now).unwrap();
        let (people, boats) = (log.topic("people").unwrap(), log.topic("boats").unwrap());
        append(&log, people, [["{oops"; 30].as_slice(), &["[1]"]].concat());
        append(&log, boats, ["{}"]);
    }
    let plain = said(data.path(), &[], &[]);
    let count = |lines: &[String], word: &str| lines.iter().filter(|line| line.contains(word)).count();
    for (word, expected) in [
        ("staygraph starts", 1),
        (env!("CARGO_PKG_VERSION"), 1),
        ("the embedded log", 1),
        ("ready records=", 1),
        // One of each kind, however many there are.
        ("dead letter, the first of its kind", 2),
        ("code=\"BAD_JSON\"", 1),
        ("topics that nobody reads", 1),
        ("boats (1 records)", 1),
        ("operation=\"Wrong\"", 1),
        ("operation=\"Right\"", 0),
        ("stopping", 1),
        ("request", 0),
    ] {
        assert_eq!(count(&plain, word), expected, "{word}: {plain:#?}");
    }
    let more = said(data.path(), &["-v"], &[]);
    // Without one it applies something.
    std::fs::remove_dir_all(data.path().join("checkpoints")).unwrap();
    let most = said(data.path(), &["-vv"], &[]);
    assert!(count(&more, "request") >= 3 && count(&more, "operation=\"Right\"") == 1, "{more:#?}");
    assert!(count(&more, "a version is published") == 0 && count(&most, "a version is published") > 0, "{most:#?}");
    let chosen = said(data.path(), &["-v"], &[("RUST_LOG", "staygraph::http=debug")]);
    assert!(count(&chosen, "request") >= 3 && count(&chosen, "staygraph starts") == 0, "{chosen:#?}");
    let broken = said(data.path(), &[], &[("RUST_LOG", "staygraph=loud=er")]);
    assert!(count(&broken, "RUST_LOG is not readable") == 1 && count(&broken, "staygraph starts") == 1, "{broken:#?}");
    for lines in [&plain, &more, &most, &chosen] {
        // What was asked for in variables, documents and paths.
        assert_eq!(count(lines, "hidden"), 0, "{lines:#?}");
    }
}

#[test]
fn logs_in_json_are_nothing_else() {
    let data = folder();
    for line in said(data.path(), &["--log-format", "json", "-vv"], &[]) {
        assert!(serde_json::from_str::<Json>(&line).is_ok_and(|line| line["level"].is_string()), "{line}");
    }
    let json = ["--log-format", "json"];
    let file = data.path().join("events.ndjson");
    let mut events = std::fs::File::create(&file).unwrap();
    writeln!(events, "{}\n{{oops", event("person.registered", "ann", 1, json!({}))).unwrap();
    let (model, at) = (root("model.graphql"), data.path().join("other"));
    let model = model.to_str().unwrap();
    let config = data.path().join("wrong.toml");
    std::fs::write(&config, "lisen = 1\n").unwrap();
    let surprising = data.path().join("surprising.toml");
    std::fs::write(&surprising, "[domains.people]\nfresh_within = \"1ms\"\n").unwrap();
    for (arguments, lines) in [
        // The new log, the line that is refused, and the end.
        (vec!["append", file.to_str().unwrap(), "--data", at.to_str().unwrap(), "--model", model], 3),
        (vec!["check", "--model", model, "--config", config.to_str().unwrap()], 1),
        (vec!["check", "--model", model, "--config", surprising.to_str().unwrap()], 1),
        (vec!["append", "nowhere.ndjson", "--to", "localhost:1"], 1),
    ] {
        let (_, _, err) = crate::support::run(&[&arguments[..], &json[..]].concat());
        assert_eq!(err.lines().count(), lines, "{err}");
        for line in err.lines() {
            assert!(serde_json::from_str::<Json>(line).is_ok_and(|line| line["level"].is_string()), "{line}");
        }
    }
}

#[test]
fn browsers_may_send_the_headers_that_are_configured() {
    let data = folder();
    let more = ["--cors-origin", "https://app.example", "--cors-header", "X-Request-Id,traceparent"];
    let service = Service::start_with(data.path(), &root("model.graphql"), &more);
    let preflight = |origin: &str| {
        let asked = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "x-request-id,freshness-wait"),
        ];
        service.request("OPTIONS", "/graphql", &asked, None)
    };
    let reply = preflight("https://app.example");
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example"));
    let allowed = reply.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
    for name in ["x-request-id", "traceparent", "content-type", "freshness-wait"] {
        assert!(allowed.contains(name), "{allowed}");
    }
    assert_eq!(preflight("https://other.example").header("access-control-allow-origin"), None);
    let answer = service.get("/graphql?query=%7B__typename%7D", &[("origin", "https://app.example")]);
    assert_eq!(answer.header("access-control-expose-headers"), Some("freshness,etag"));
}

#[test]
fn every_fixed_limit_is_the_pages() {
    let fixed: [u64; 39] = [
        limits::NESTING_MAX as u64,
        limits::GRAPHQL_BYTES_MAX as u64,
        limits::OPS_REQUEST_BYTES_MAX as u64,
        limits::VALUES_MAX as u64,
        limits::SMALL_BODY_BYTES_MAX as u64,
        limits::BODIES_BYTES_MAX as u64,
        limits::BODIES_WORK_MAX as u64,
        limits::INLINE_STEPS_MAX,
        limits::DOCUMENTS_BYTES_MAX as u64,
        limits::PERSISTED_BYTES_MAX as u64,
        limits::ANSWER_BYTES_MAX as u64,
        limits::PLANS_MAX as u64,
        limits::PLAN_FIELDS_MAX as u64,
        limits::SMALL_COST_MAX,
        limits::QUEUE_MS_MAX,
        limits::ITEMS_MAX as u64,
        limits::FILTER_PARTS_MAX as u64,
        limits::ORDERS_MAX as u64,
        limits::PAGE_MAX as u64,
        limits::ENTRIES_MAX as u64,
        limits::POSITION_BYTES_MAX as u64,
        limits::EVENTS_MAX as u64,
        limits::NAME_BYTES_MAX as u64,
        limits::NAMES_MAX as u64,
        limits::SUBJECT_BYTES_MAX as u64,
        limits::RUNS_MAX as u64,
        limits::LETTERS_MAX as u64,
        limits::LETTER_BYTES_MAX as u64,
        limits::CONTESTS_MAX as u64,
        limits::LANE_BYTES_MAX as u64,
        limits::LANES_BYTES_MAX as u64,
        limits::TRANSACTIONS_MAX as u64,
        limits::TOKEN_BYTES_MAX as u64,
        limits::HANDSHAKE_MS_MAX,
        limits::ISSUER_KEYS_MAX as u64,
        limits::VERSIONS_MAX as u64,
        limits::VERSIONS_BYTES_MAX as u64,
        limits::WRITTEN_MAX as u64,
        limits::SEEN_MAX as u64,
    ];
    let rows = table("docs/service.md", "| of what | at most | beyond that |");
    let told: Vec<u64> = rows.iter().map(|row| row[1].replace(',', "").parse().unwrap()).collect();
    // In the order of the page, which is that of `limits.rs`.
    assert_eq!(told, fixed);
}
