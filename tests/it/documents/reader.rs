//! Somebody who reads a page and does what it says, block by block, in one shell, with further terminals for what serves.
//!
//! What is not as the page has it, so that tests run beside each other and need no release build:
//! - `cargo run --release --` and `staygraph` run the binary that the tests were built with;
//! - the folder is a clone in that it has links to all that the repository has;
//! - who serves takes a free port, and the page's address is replaced by it from then on; `append` and others, which take
//!   127.0.0.1:8080 unless said, are told of it by `STAYGRAPH_TO`;
//! - texts that the test names, such as a folder in /tmp, are replaced.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::blocks::{Block, Kind};
use crate::certificates::Authority;
use crate::support::{BINARY, Reply, Service, folder, root};

/// The address of the page's examples.
const ADDRESS: &str = "127.0.0.1:8080";
/// How long a block may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// What the shell prints after a block.
const DONE: &str = "-- the block is done --";

pub struct Reader {
    folder: TempDir,
    shell: Child,
    typed: ChildStdin,
    printed: Receiver<String>,
    /// What is written on the page, and what stands for it: addresses, the newest last.
    replaced: Vec<(String, String)>,
    /// Who serves, the newest last.
    services: Vec<Service>,
    /// The configuration so far.
    configuration: toml::Table,
    /// The last query's answer.
    answer: Json,
}

impl Reader {
    pub fn new(replaced: &[(&str, &str)]) -> Reader {
        let folder = folder();
        clone(folder.path());
        let commands = folder.path().join("commands");
        fs::create_dir(&commands).unwrap();
        symlink(BINARY, commands.join("staygraph")).unwrap();
        let cargo = "#!/bin/sh\n[ \"$1 $2 $3\" = 'run --release --' ] || exit 97\nshift 3\nexec staygraph \"$@\"\n";
        fs::write(commands.join("cargo"), cargo).unwrap();
        fs::set_permissions(commands.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = bash(folder.path());
        let errors = fs::File::create(folder.path().join("errors")).unwrap();
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let (mut typed, out) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
        // The first command that fails ends the shell, and with it the test.
        writeln!(typed, "set -e -o pipefail").unwrap();
        let (sender, printed) = channel();
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let replaced = replaced.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let configuration = toml::Table::new();
        Reader { folder, shell, typed, printed, replaced, services: Vec::new(), configuration, answer: Json::Null }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Goes on with a service that runs, as the one of the page's examples.
    pub fn finds(&mut self, url: &str) {
        self.address(ADDRESS, url);
    }

    fn address(&mut self, written: &str, url: &str) {
        self.replaced.push((written.to_owned(), url.trim_start_matches("http://").to_owned()));
        writeln!(self.typed, "export STAYGRAPH_TO={url}").unwrap();
    }

    /// The address of the newest who serves.
    pub fn url(&self) -> String {
        let is_address = |from: &str| from.starts_with("127.0.0.1:80");
        let newest = self.replaced.iter().rev().find(|(from, _)| is_address(from));
        format!("http://{}", newest.expect("something serves").1)
    }

    /// The address of the first who served.
    pub fn first_url(&self) -> String {
        self.services.first().expect("something serves").url.clone()
    }

    /// Does what a block says.
    pub fn run(&mut self, block: &Block) {
        let mut text = block.text.clone();
        if block.kind != Kind::Serves {
            self.replaced.iter().rev().for_each(|(from, to)| text = text.replace(from, to));
        }
        match block.kind {
            Kind::Shell => self.types(block, &text),
            Kind::Serves => self.serves(block),
            Kind::Query => {
                self.answer = until(|| {
                    let reply = self.post("/graphql", &json!({ "query": text, "extensions": { "plan": true } }));
                    let json = reply.json();
                    full(&json).map(|()| json)
                })
                .unwrap_or_else(|why| panic!("{block}: {why}"));
            }
            Kind::Configuration => {
                let part: toml::Table = text.parse().unwrap_or_else(|error| panic!("{block}: {error}"));
                merge(&mut self.configuration, part);
                fs::write(self.path().join("staygraph.toml"), self.configuration.to_string()).unwrap();
                self.types(block, "[ -z \"$(staygraph check --config staygraph.toml 2>&1 | tee /dev/stderr)\" ]\n");
            }
            // Written beforehand: the configuration names it.
            Kind::Program => assert!(self.path().join("mappings/bkng_hdr.jq").exists(), "{block}"),
            Kind::Event => {
                let receipt = self.post("/events", &read(block, &text)).json();
                assert_eq!((&receipt["accepted"], &receipt["rejected"]), (&json!(1), &json!(0)), "{block}: {receipt}");
            }
            Kind::Receipt => {
                let event = |id: &str, day: &str| {
                    json!({ "specversion": "1.0", "id": id, "source": "/documents", "type": "reservation.booked",
                        "subject": id, "time": "2026-01-05T10:00:00Z", "sequence": 1, "data": { "checkIn": day } })
                };
                let receipt = self.post("/events", &json!([event("e-1", "2026-06-01"), event("e-2", "soon")])).json();
                compare(block, &read(block, &text), &receipt);
            }
            Kind::Answer => {
                if self.answer.is_null() {
                    let query = "{ reservations(first: 1) { nodes { price { amount { minor } } } } }";
                    self.answer = self.post("/graphql", &json!({ "query": query })).json();
                }
                compare(block, &read(block, &text), &self.answer);
            }
            Kind::Plan => compare(block, &read(block, &text), &self.answer["extensions"]["plan"][0]),
        }
    }

    /// Types a block into the shell; an answer to a query that it prints is judged.
    fn types(&mut self, block: &Block, text: &str) {
        write!(self.typed, "{text}\nprintf '\\n%s\\n' '{DONE}'\n").unwrap();
        let mut printed = String::new();
        loop {
            match self.printed.recv_timeout(PATIENCE) {
                Ok(line) if line == DONE => break,
                Ok(line) => printed += &format!("{line}\n"),
                Err(error) => {
                    let errors = fs::read_to_string(self.path().join("errors")).unwrap_or_default();
                    panic!("{block}: {error}: {printed}{errors}");
                }
            }
        }
        // An event has `data` too.
        for json in printed.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok()) {
            if json.get("errors").is_some() || json.get("data").is_some() && json.get("specversion").is_none() {
                full(&json).unwrap_or_else(|why| panic!("{block}: {why}"));
            }
        }
    }

    /// Starts what serves until it is stopped, and waits until it is ready.
    fn serves(&mut self, block: &Block) {
        let mut lines = block.text.lines();
        let (Some(line), None) = (lines.next(), lines.next()) else { panic!("{block}: one command") };
        let listen = line.split_once("--listen ").map_or(ADDRESS, |(_, rest)| rest.split(' ').next().unwrap_or(rest));
        let mut command = bash(self.path());
        command.arg("-c").arg(format!("exec {}", line.replace(listen, "127.0.0.1:0")));
        let service = Service::run(command);
        let ready = ["--silent", "--fail", "--retry", "180", "--retry-delay", "1", "--retry-all-errors"];
        let asked = Command::new("curl").args(ready).arg(format!("{}/health/ready", service.url)).output().unwrap();
        assert!(asked.status.success(), "{block} is not ready: {}", String::from_utf8_lossy(&asked.stderr));
        self.address(listen, &service.url);
        self.services.push(service);
    }

    fn post(&self, path: &str, body: &Json) -> Reply {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let agent: ureq::Agent = config.build().into();
        let mut reply = agent.post(format!("{}{path}", self.url())).send_json(body).unwrap();
        let text = reply.body_mut().read_to_string().unwrap();
        Reply { status: reply.status().as_u16(), headers: reply.headers().clone(), text }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Links to all that a clone has. `queries` and `relay.json` are there for docs/graphql.md, `mappings` and `recorded.ndjson` are there for docs/cdc.md, `ca.pem` for docs/kafka.md,
/// certificates for docs/access.md.
fn clone(folder: &Path) {
    for entry in fs::read_dir(root("")).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_owned();
        let made: &[&str] = &["target", ".git", ".gitignore", "mappings", "staygraph-demo", "staygraph-data"];
        if !made.iter().any(|made| *made == name) {
            symlink(&entry, folder.join(name)).unwrap();
        }
    }
    fs::create_dir(folder.join("mappings")).unwrap();
    // What `[documents]` names.
    fs::create_dir(folder.join("queries")).unwrap();
    fs::write(folder.join("queries/stays.graphql"), "query Stays { reservations { totalCount } }").unwrap();
    fs::write(folder.join("relay.json"), json!({ "0123": "{ people { totalCount } }" }).to_string()).unwrap();
    fs::copy(root("examples/legacy/mappings/bkng_hdr.jq"), folder.join("mappings/bkng_hdr.jq")).unwrap();
    fs::copy(root("examples/legacy/recorded/bkng_hdr.ndjson"), folder.join("recorded.ndjson")).unwrap();
    fs::copy(root("tests/fixtures/ca.pem"), folder.join("ca.pem")).unwrap();
    // What `[tls]` names.
    let authority = Authority::new("clients");
    let (cert, key) = authority.gives(2100);
    for (name, text) in [("cert.pem", cert), ("key.pem", key), ("clients.pem", authority.pem())] {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn bash(folder: &Path) -> Command {
    let mut command = Command::new("bash");
    let path = format!("{}:{}", folder.join("commands").display(), std::env::var("PATH").unwrap_or_default());
    command.current_dir(folder).env("PATH", path).env("STAYGRAPH_LISTEN", "127.0.0.1:0");
    command
}

fn read(block: &Block, text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{block}: {error}"))
}

/// One file that grows: tables come together, what is written again is replaced, lists of tables go on.
fn merge(whole: &mut toml::Table, part: toml::Table) {
    for (name, value) in part {
        match (whole.get_mut(&name), value) {
            (Some(toml::Value::Table(whole)), toml::Value::Table(part)) => merge(whole, part),
            (Some(toml::Value::Array(whole)), toml::Value::Array(part)) => whole.extend(part),
            (_, value) => drop(whole.insert(name, value)),
        }
    }
}

/// What was appended is visible a moment later.
fn until<T>(mut look: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    for _ in 0..200 {
        if let Ok(found) = look() {
            return Ok(found);
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    look()
}

/// Whether an answer has data, no errors, and nothing that is null or empty.
fn full(answer: &Json) -> Result<(), String> {
    if answer.get("errors").is_some() || !answer["data"].is_object() {
        return Err(answer.to_string());
    }
    hole(&answer["data"], "data").map_or(Ok(()), |hole| Err(format!("{hole} is empty in {answer}")))
}

fn hole(value: &Json, path: &str) -> Option<String> {
    match value {
        Json::Null => Some(path.to_owned()),
        Json::Number(count) if path.ends_with("totalCount") && count.as_u64() == Some(0) => Some(path.to_owned()),
        Json::Array(items) if items.is_empty() => Some(path.to_owned()),
        Json::Array(items) => items.iter().find_map(|item| hole(item, path)),
        Json::Object(members) => members.iter().find_map(|(name, value)| hole(value, &format!("{path}.{name}"))),
        _ => None,
    }
}

fn compare(block: &Block, written: &Json, given: &Json) {
    let data = written.get("data");
    if let Err(why) = alike(written, given, "", data.is_some()) {
        panic!("{block}: {why}\n{given:#}");
    }
}

/// Whether what is written has the shape of what came: an object's members all the same, of a list each item like one that
/// came. Below `data` values are the same too, but for counts, which grow while the demo's events trickle.
fn alike(written: &Json, given: &Json, path: &str, has_data: bool) -> Result<(), String> {
    let exact = path.starts_with(".data");
    match (written, given) {
        (Json::Object(written), Json::Object(given)) => {
            // The test asks for the plan, and not each page shows the data.
            let left_out =
                |name: &str| path == ".extensions" && name == "plan" || !has_data && path.is_empty() && name == "data";
            if let Some(name) = given.keys().find(|name| !written.contains_key(*name) && !left_out(name)) {
                return Err(format!("`{path}.{name}` is not on the page"));
            }
            written.iter().try_for_each(|(name, value)| {
                let given = given.get(name).ok_or_else(|| format!("`{path}.{name}` does not come"))?;
                alike(value, given, &format!("{path}.{name}"), has_data)
            })
        }
        (Json::Array(written), Json::Array(given)) => written.iter().try_for_each(|item| {
            let tried = given.iter().map(|given| alike(item, given, path, has_data));
            tried.reduce(Result::or).unwrap_or_else(|| Err(format!("`{path}` is empty")))
        }),
        (Json::Number(written), Json::Number(given)) if path.ends_with(".totalCount") => {
            if given.as_u64() >= written.as_u64() { Ok(()) } else { Err(format!("`{path}` is {given}")) }
        }
        _ if exact => {
            if written == given {
                Ok(())
            } else {
                Err(format!("`{path}` is {given}"))
            }
        }
        // What is unknown is null where it might be a number.
        (Json::Null, Json::Number(_)) | (Json::Number(_), Json::Null) => Ok(()),
        _ => {
            let same = std::mem::discriminant(written) == std::mem::discriminant(given);
            if same { Ok(()) } else { Err(format!("`{path}` is {given}")) }
        }
    }
}

/// Runs a page's blocks, those that need a Kafka or the others; gives how many.
pub fn run(reader: &mut Reader, blocks: &[Block], with_kafka: bool) -> usize {
    let program = blocks.iter().find(|block| block.kind == Kind::Program);
    if let Some(program) = program {
        fs::write(reader.path().join("mappings/bkng_hdr.jq"), &program.text).unwrap();
    }
    let wanted: Vec<&Block> = blocks.iter().filter(|block| block.needs_kafka == with_kafka).collect();
    wanted.iter().for_each(|block| reader.run(block));
    wanted.len()
}

/// The pages that are run: README.md and those of docs, without its folders.
pub fn pages() -> Vec<PathBuf> {
    let pages = fs::read_dir(root("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = pages.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.sort();
    pages.insert(0, root("README.md"));
    pages
}
