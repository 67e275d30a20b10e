//! A real service, as a process of its own, and what one says to it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use staygraph::auth::hash_of;
use staygraph::rights::{Rights, Scope, Scopes, Who};
use staygraph::source::log::Log;
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_staygraph");

/// A running service; dropping it kills it.
pub struct Service {
    child: Child,
    pub url: String,
    said: Arc<(Mutex<Vec<String>>, Condvar)>,
}

/// An HTTP answer.
pub struct Reply {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Appends bodies to a topic of a log, under one key.
pub fn append(log: &Log, topic: usize, bodies: impl IntoIterator<Item = impl AsRef<[u8]>>) {
    let mut draft = log.draft(0);
    for body in bodies {
        draft.push(topic, b"one", body.as_ref());
    }
    log.append(draft).unwrap();
}

pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

impl Service {
    /// Serves the shipped model from a folder.
    pub fn start(data: &Path) -> Service {
        Service::start_with(data, &root("model.graphql"), &[])
    }

    pub fn start_with(data: &Path, model: &Path, more: &[&str]) -> Service {
        let mut command = Command::new(BINARY);
        command
            .arg("serve")
            .arg("--data")
            .arg(data)
            .arg("--model")
            .arg(model)
            .args(["--listen", "127.0.0.1:0"])
            .args(more);
        Service::run(command)
    }

    /// Serves the shipped model to those without credentials as to this machine, and the graph without personal data to who sends
    /// [`READER`].
    pub fn start_with_reader(data: &Path) -> Service {
        let scopes: Vec<String> = Scope::ALL.iter().map(|scope| format!("\"{}\"", scope.name())).collect();
        let reader = hex(&hash_of("reader"));
        let text = format!(
            "[auth]\nanonymous = [{}]\n[[auth.tokens]]\nname = \"reader\"\nsha256 = \"{reader}\"\nscopes = [\"read\"]\n",
            scopes.join(", ")
        );
        let config = data.join("staygraph.toml");
        std::fs::write(&config, text).unwrap();
        Service::start_with(data, &root("model.graphql"), &["--config", config.to_str().unwrap()])
    }

    /// Runs a command that serves, and reads its address.
    pub fn run(mut command: Command) -> Service {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.split_whitespace()
                .find_map(|word| word.starts_with("http").then(|| word.trim_end_matches("/graphiql").to_owned()))
        });
        let Some(url) = url else {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("the service did not start: {said}");
        };
        // Whoever writes must not block on a pipe that nobody reads.
        std::thread::spawn(move || lines.for_each(drop));
        let stderr = child.stderr.take().unwrap();
        let said: Arc<(Mutex<Vec<String>>, Condvar)> = Arc::default();
        let heard = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                heard.0.lock().unwrap().push(line);
                heard.1.notify_all();
            }
        });
        Service { child, url, said }
    }

    /// The first line of its log that holds a text, waited for.
    pub fn says(&self, text: &str) -> String {
        let find = |lines: &Vec<String>| lines.iter().find(|line| line.contains(text)).cloned();
        let lines = self.said.0.lock().unwrap();
        let waited = self.said.1.wait_timeout_while(lines, Duration::from_secs(30), |lines| find(lines).is_none());
        let (lines, _) = waited.unwrap();
        find(&lines).unwrap_or_else(|| panic!("nothing of `{text}` in its log: {lines:#?}"))
    }

    /// Whether its log holds a text by now.
    pub fn says_now(&self, text: &str) -> bool {
        self.said.0.lock().unwrap().iter().any(|line| line.contains(text))
    }

    /// The host and the port that it listens on.
    pub fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Reply {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)));
        let agent: ureq::Agent = config.build().into();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = agent.run(request.body(body.unwrap_or_default().to_vec()).unwrap());
        let mut response = sent.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap();
        Reply { status: response.status().as_u16(), headers: response.headers().clone(), text }
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.request("GET", path, headers, None)
    }

    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Reply {
        self.request("POST", path, &[("content-type", content_type)], Some(body))
    }

    /// Appends events; all must be taken. Gives the position to read them at.
    pub fn write(&self, events: &[Json]) -> String {
        let reply = self.post(
            "/events",
            "application/cloudevents-batch+json",
            Json::from(events.to_vec()).to_string().as_bytes(),
        );
        assert_eq!((reply.status, &reply.json()["rejected"]), (200, &json!(0)), "{}", reply.text);
        reply.json()["position"].as_str().unwrap_or_default().to_owned()
    }

    /// A query's whole reply.
    pub fn ask(&self, query: &str, headers: &[(&str, &str)]) -> Reply {
        let mut all = vec![("content-type", "application/json"), ("accept", "application/graphql-response+json")];
        all.extend_from_slice(headers);
        self.request("POST", "/graphql", &all, Some(json!({ "query": query }).to_string().as_bytes()))
    }

    /// A query's data, read at a position; errors fail the test.
    pub fn read(&self, query: &str, at_least: &str) -> Json {
        let headers = [("freshness-at-least", at_least), ("freshness-wait", "20s"), ("freshness-otherwise", "fail")];
        let reply = self.ask(query, if at_least.is_empty() { &[] } else { &headers });
        let json = reply.json();
        assert!(json.get("errors").is_none(), "{query}: {}", reply.text);
        json["data"].clone()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the process to end; gives its exit code.
    pub fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Ends it as a loss of power would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The header of one who reads the graph, and no personal data: see [`Service::start_with_reader`].
pub const READER: (&str, &str) = ("authorization", "Bearer reader");

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What one may do who sees personal data, or does not.
pub fn rights(personal: bool) -> Arc<Rights> {
    let scopes = Scopes::all().iter().filter(|scope| personal || *scope != Scope::PersonalRead);
    Arc::new(Rights::new(Who::Token("tests".into()), scopes.collect()))
}

/// An event whose id is its own.
pub fn event(kind: &str, subject: &str, sequence: u64, data: Json) -> Json {
    static IDS: AtomicU64 = AtomicU64::new(0);
    let id = IDS.fetch_add(1, Ordering::Relaxed);
    json!({
        "specversion": "1.0", "id": format!("e-{id}"), "source": "/tests", "type": kind, "subject": subject,
        "time": "2024-05-01T10:00:00Z", "sequence": sequence, "data": data,
    })
}

/// Runs the binary to its end.
pub fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(BINARY).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Builds a small library of tests/fixtures, which the dynamic linker puts under a process.
pub fn preloaded(folder: &Path, name: &str) -> PathBuf {
    let (library, source) = (folder.join(format!("{name}.so")), root(&format!("tests/fixtures/{name}.c")));
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
    assert!(command.status().unwrap().success(), "cc builds tests/fixtures/{name}.c");
    library
}
