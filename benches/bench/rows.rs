//! What rules of rows cost: the same questions of the same data, to who sees all of it, without rules and with some.

use std::path::Path;
use std::time::Duration;

use super::answers::{Server, filled, measure, questions};
use super::support::say;
use super::way::BINARY;

const SCOPES: &str = "[auth]\nanonymous = [\"read\", \"pii:read\", \"ops:read\"]\n";
/// Rules by which all or most is seen, but which have to be judged.
const RULES: [(&str, &str); 4] = [
    ("no rules", ""),
    (
        "all open",
        "[[access]]\nentity = \"Person\"\nopen = true\n[[access]]\nentity = \"Property\"\nopen = true\n\
         [[access]]\nentity = \"Price\"\nopen = true\n[[access]]\nentity = \"Reservation\"\nopen = true\n",
    ),
    (
        "by checkIn, which has an index; some have none",
        "[[access]]\nentity = \"Person\"\nopen = true\n[[access]]\nentity = \"Property\"\nopen = true\n\
         [[access]]\nentity = \"Price\"\nopen = true\n\
         [[access]]\nentity = \"Reservation\"\nfilter = '{ checkIn: { gte: \"1900-01-01\" } }'\n",
    ),
    (
        "across a link",
        "[[access]]\nentity = \"Person\"\nopen = true\n[[access]]\nentity = \"Property\"\nopen = true\n\
         [[access]]\nentity = \"Price\"\nopen = true\n\
         [[access]]\nentity = \"Reservation\"\nfilter = '{ property: { isNull: false } }'\n",
    ),
];

fn ready(server: &Server) {
    while server.ask("{ projection { readyAt } }")["data"]["projection"]["readyAt"].is_null() {
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

pub fn run() {
    println!("\n== Rules of rows: µs of processor time a request, of one core");
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
    let data = folder.path().join("data").display().to_string();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("model.graphql").display().to_string();
    {
        let demo = Server::start(&[BINARY, "demo", "--no-trickle", "--listen", "127.0.0.1:0", "--data", &data]);
        ready(&demo);
    }
    let mut answers = Vec::new();
    for (name, rules) in RULES {
        let config = folder.path().join("staygraph.toml");
        std::fs::write(&config, format!("{SCOPES}{rules}")).unwrap_or_else(|error| panic!("{error}"));
        let config = config.display().to_string();
        let of = ["serve", "--model", &model, "--data", &data, "--listen", "127.0.0.1:0", "--config", &config];
        let server = Server::start(&[&[BINARY], &of[..]].concat());
        ready(&server);
        let counted = ("how many stays", "{ reservations { totalCount } }".to_owned());
        let asked = questions().into_iter().filter(|question| question.name.starts_with('Q'));
        let asked = asked.map(|question| (question.name, filled(&server, &question.query))).chain([counted]);
        for (place, (question, query)) in asked.enumerate() {
            let data = server.ask(&query)["data"].to_string();
            if answers.len() == place {
                answers.push(data.clone());
            }
            let equal = if answers[place] == data { "" } else { ", another answer" };
            let own = measure(&server, &query);
            say(&format!("{name}: {question}"), &format!("{:>7.1} µs (p50 {:.0}){equal}", own.cpu, own.p50));
        }
    }
}
