//! The importers on small files of our own making, with the quirks of the real ones; what they write is a golden, and is
//! taken by the event contract.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use staygraph::event::{Buffer, Decoder, OrderBy};
use staygraph::model::{Model, SHIPPED};

use crate::support::{BINARY, root};

fn import(example: &str, arguments: &[&str]) -> String {
    let path = Path::new(BINARY).parent().unwrap().join("examples").join(example);
    let output = Command::new(&path).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{} (`cargo test` builds it): {error}", path.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn check(golden: &str, events: &str) {
    let model = Arc::new(Model::parse(SHIPPED, "model.graphql").unwrap());
    let decoder = Decoder::new(model, vec![OrderBy::Sequence; 4].into(), 1 << 20);
    for line in events.lines() {
        assert_eq!(decoder.decode(line.as_bytes(), &[], &mut Buffer::default()).err(), None, "{line}");
    }
    crate::golden::check(golden, events);
}

#[test]
fn airbnb() {
    let folder = root("tests/fixtures/springfield-2024-05-01");
    let folder = folder.to_str().unwrap();
    let options = [folder, "--country", "US", "--currency", "USD"];
    check("airbnb.ndjson", &import("airbnb", &options));
    let invented = import("airbnb", &[&options[..], &["--invent-names"]].concat());
    for name in ["Real Name", "Other Name", "Third Name", "never", "repeated"] {
        assert!(!invented.contains(name), "{name}");
    }
}

#[test]
fn hotels() {
    check("hotels.ndjson", &import("hotels", &[root("tests/fixtures/hotel_bookings.csv").to_str().unwrap()]));
}
