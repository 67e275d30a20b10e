//! CloudEvents' own conformance suite: a valid event is never `BAD_ENVELOPE`, an invalid one always is.

use std::path::Path;
use std::sync::Arc;

use staygraph::event::{Buffer, Code, Decoder};
use staygraph::ids::By;
use staygraph::model::{Model, SHIPPED};

/// Decodes every file of a folder and gives each one's verdict.
fn verdicts(folder: &str) -> Vec<(String, Option<Code>)> {
    let model = Arc::new(Model::parse(SHIPPED, "model.graphql").expect("the shipped model is right"));
    let decoder = Decoder::new(model, By::default(), 1 << 20);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cloudevents").join(folder);
    let entries = std::fs::read_dir(path).expect("the fixtures are here").map(|entry| entry.expect("readable").path());
    let json = entries.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    json.map(|path| {
        let bytes = std::fs::read(&path).expect("readable");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name, decoder.decode(&bytes, &[], &mut Buffer::default()).err().map(|rejection| rejection.code))
    })
    .collect()
}

#[test]
fn valid_events_have_good_envelopes() {
    let verdicts = verdicts("valid-events");
    assert_eq!(verdicts.len(), 10);
    for (name, code) in verdicts {
        // Their types name no entity of ours: that is the first fault left to find.
        assert_eq!(code, Some(Code::UnknownEntity), "{name}");
    }
}

#[test]
fn invalid_events_have_bad_ones() {
    let verdicts = verdicts("invalid-events");
    assert_eq!(verdicts.len(), 25);
    for (name, code) in verdicts {
        assert_eq!(code, Some(Code::BadEnvelope), "{name}");
    }
}
