//! How the process ends: every exit code that the docs list, of the real binary, and of a thread's real panic.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use staygraph::clock;

use crate::support::{BINARY, event, folder, preloaded, root, run};

/// Longer than a second signal may take.
const SOON: Duration = Duration::from_secs(4);

/// A service whose end is looked at: its process, its address, and the file that holds what it says to standard error.
fn started(data: &Path, environment: &[(&str, &Path)]) -> (Child, String) {
    let said = std::fs::File::create(data.join("said")).unwrap();
    let mut command = Command::new(BINARY);
    command.arg("serve").arg("--data").arg(data.join("data")).arg("--model").arg(root("model.graphql"));
    command.args(["--listen", "127.0.0.1:0"]).envs(environment.iter().copied());
    let mut child = command.stdout(Stdio::piped()).stderr(said).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = out.find_map(|line| Some(line.split("http://").nth(1)?.to_owned())).unwrap();
    (child, address)
}

fn said(data: &Path) -> String {
    std::fs::read_to_string(data.join("said")).unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Stops a service that is at rest.
fn stopped() -> Option<i32> {
    let data = folder();
    let (mut child, _) = started(data.path(), &[]);
    signal(&child, "TERM");
    child.wait().unwrap().code()
}

/// Stops a service that a request holds up, and stops it once more.
fn stopped_twice() -> Option<i32> {
    let data = folder();
    let (mut child, address) = started(data.path(), &[]);
    let mut stream = TcpStream::connect(&address).unwrap();
    let head =
        "POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ncontent-length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    signal(&child, "TERM");
    while !said(data.path()).contains("stopping") {
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    let asked = clock::tick();
    signal(&child, "INT");
    let code = child.wait().unwrap().code();
    let took = clock::tick().saturating_sub(asked);
    assert!(took < SOON, "{took:?}");
    code
}

/// Has a thread panic, as its clock fails. Gives the exit code when all that is to be said of it was said.
fn panicked(thread: &str) -> Option<i32> {
    let data = folder();
    let (library, when) = (preloaded(data.path(), "clockless"), data.path().join("now"));
    let environment =
        [("LD_PRELOAD", library.as_path()), ("FAIL_THREAD", Path::new(thread)), ("FAIL_WHEN", when.as_path())];
    let (mut child, address) = started(data.path(), &environment);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let live = || {
        let mut answer = agent.get(format!("http://{address}/health/live")).call().ok()?;
        Some((answer.status().as_u16(), answer.body_mut().read_to_string().ok()?))
    };
    assert_eq!(live().map(|(status, _)| status), Some(200), "{thread}");
    std::fs::write(&when, "").unwrap();
    // Something for each thread to do. Whether it is taken is the thread's to say.
    let body = event("person.registered", "ann", 1, json!({ "name": "Ann" })).to_string();
    let url = format!("http://{address}/events");
    let _ = agent.post(url).header("content-type", "application/cloudevents+json").send(&body);
    // Who looks each second hears of it before the process ends.
    let dead = loop {
        let (status, text) = live().unwrap_or_else(|| panic!("{thread}: {}", said(data.path())));
        if status != 200 {
            break (status, text);
        }
    };
    assert!(dead.0 == 503 && dead.1.contains(&format!("`{thread}` panicked")), "{dead:?}");
    let code = child.wait().unwrap().code();
    let said = said(data.path());
    let expected = ["a thread panicked: the service ends".to_owned(), format!("the thread `{thread}` panicked")];
    assert!(expected.iter().all(|line| said.contains(line)), "{thread}: {said}");
    code
}

/// Runs the binary to its end.
fn ran(arguments: &[&str]) -> Option<i32> {
    Some(run(arguments).0)
}

/// The exit codes that a page's table lists.
fn listed() -> BTreeSet<i32> {
    let text = std::fs::read_to_string(root("docs/errors.md")).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with("| exit code |")).skip(2);
    let codes =
        rows.take_while(|line| line.starts_with('|')).map(|line| line.split('|').nth(1).unwrap().trim().parse());
    codes.map(Result::unwrap).collect()
}

#[test]
fn the_process_ends_as_the_docs_say() {
    let place = folder();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (model, wrong) = (root("model.graphql").to_str().unwrap().to_owned(), at("wrong.graphql"));
    std::fs::write(&wrong, "type Person @entity { name: Text }").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    type Case<'a> = (i32, &'a str, Box<dyn Fn() -> Option<i32> + 'a>);
    let cases: Vec<Case<'_>> = vec![
        (0, "a model that is right", Box::new(|| ran(&["check", "--model", &model]))),
        (0, "a schema", Box::new(|| ran(&["schema", "--model", &model]))),
        (0, "help", Box::new(|| ran(&["--help"]))),
        (0, "a service that is stopped", Box::new(stopped)),
        (1, "a model that is wrong", Box::new(|| ran(&["check", "--model", &wrong]))),
        (1, "a model that is not there", Box::new(|| ran(&["schema", "--model", &at("none.graphql")]))),
        (
            1,
            "an address that is taken",
            Box::new(|| ran(&["serve", "--model", &model, "--data", &at("data"), "--listen", &taken])),
        ),
        (1, "a file that is not there", Box::new(|| ran(&["append", "--to", "127.0.0.1:1", &at("none.ndjson")]))),
        (1, "nobody to append to", Box::new(|| ran(&["append", "--to", "127.0.0.1:1", &model]))),
        (1, "a writer that panics", Box::new(|| panicked("log-writer"))),
        (1, "a reader that panics", Box::new(|| panicked("reader"))),
        (1, "a projector that panics", Box::new(|| panicked("projector"))),
        (1, "a watcher that panics", Box::new(|| panicked("watcher"))),
        (2, "no command", Box::new(|| ran(&[]))),
        (2, "an unknown command", Box::new(|| ran(&["observe"]))),
        (2, "an unknown option", Box::new(|| ran(&["serve", "--fast"]))),
        (2, "a missing argument", Box::new(|| ran(&["append"]))),
        (2, "a value that is none", Box::new(|| ran(&["serve", "--log-format", "loud"]))),
        (2, "an address that is none", Box::new(|| ran(&["append", "--to", "8080", &model]))),
        (130, "a service that is stopped twice", Box::new(stopped_twice)),
    ];
    for (code, name, end) in &cases {
        assert_eq!(end(), Some(*code), "{name}");
    }
    assert_eq!(cases.iter().map(|(code, ..)| *code).collect::<BTreeSet<_>>(), listed());
}
