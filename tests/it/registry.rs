//! The client of the schema registry against a real one: what it keeps, what its errors mean, and how it comes back.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value as Json, json};
use staygraph::encoding::{Encoding, EncodingError, Registry, to_json};
use tempfile::TempDir;

use super::support::{folder, root};

/// What `scripts/registry` answers where a tool is missing.
const MISSING: i32 = 3;

/// A running registry; dropping it stops it.
struct Real {
    folder: TempDir,
    url: String,
}

fn script(arguments: &[&str]) -> Output {
    Command::new(root("scripts/registry")).args(arguments).output().expect("scripts/registry is a program")
}

fn start(folder: &Path, port: &str) -> Result<String, Output> {
    let output = script(&["start", folder.to_str().unwrap(), port]);
    if output.status.success() { Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()) } else { Err(output) }
}

impl Real {
    /// Nothing, and the reason printed, where there is no registry to be had.
    fn start() -> Option<Real> {
        let folder = folder();
        match start(folder.path(), "0") {
            Ok(url) => Some(Real { folder, url }),
            Err(output) if output.status.code() == Some(MISSING) => {
                println!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    fn stop(&self) {
        assert!(script(&["stop", self.folder.path().to_str().unwrap()]).status.success());
    }

    /// Starts it again, empty, where it was.
    fn restart(&self) {
        let authority = self.url.strip_prefix("http://").unwrap().split('/').next().unwrap();
        let port = authority.rsplit(':').next().unwrap();
        assert_eq!(start(self.folder.path(), port).as_deref().ok(), Some(self.url.as_str()));
    }

    /// Registers a schema and returns its id.
    fn register(&self, subject: &str, schema: &Json) -> u32 {
        let url = format!("{}/subjects/{subject}/versions", self.url);
        let answer = ureq::post(url).send_json(schema).unwrap().body_mut().read_json::<Json>().unwrap();
        u32::try_from(answer["id"].as_u64().unwrap()).unwrap()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = script(&["stop", &self.folder.path().to_string_lossy()]);
    }
}

fn data(name: &str) -> String {
    std::fs::read_to_string(root("tests/data/registry").join(name)).unwrap()
}

/// The bytes of a record in `records.json`, under the id that its schema has here.
fn bytes(record: &Json, id: u32) -> Vec<u8> {
    let text = record["bytes"].as_str().unwrap();
    let digit = |place: usize| u8::from_str_radix(&text[place..place + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..text.len()).step_by(2).map(digit).collect();
    [&[0], id.to_be_bytes().as_slice(), &bytes[5..]].concat()
}

fn decoded(registry: &Registry, bytes: &[u8], encoding: Encoding) -> Result<Json, EncodingError> {
    let mut out = Vec::new();
    to_json(encoding, Some(registry), bytes, &mut out)?;
    Ok(serde_json::from_slice(&out).unwrap())
}

fn is_bad(result: Result<Json, EncodingError>) -> bool {
    result.is_err_and(|error| !error.is_away())
}

#[test]
fn records_of_other_producers_are_decoded_with_a_real_registry() {
    let Some(real) = Real::start() else { return };
    let records: Json = serde_json::from_str(&data("records.json")).unwrap();
    let records = records.as_array().unwrap();
    real.register("shop.Address", &json!({"schema": data("address.avsc")}));
    real.register("money.proto", &json!({"schema": data("money.proto"), "schemaType": "PROTOBUF"}));
    let registry = Registry::new(&real.url).unwrap();

    // Each record, under its schema as its own producer registered it.
    let mut known = Vec::new();
    for record in records {
        let mut kept = record["kept"].clone();
        kept["references"][0]["version"] = json!(1);
        let (subject, encoding) = match kept["schemaType"].as_str() {
            Some("PROTOBUF") => ("stays-value", Encoding::Protobuf),
            _ => ("people-value", Encoding::Avro),
        };
        let bytes = bytes(record, real.register(subject, &kept));
        assert_eq!(decoded(&registry, &bytes, encoding).as_ref(), Ok(&record["json"]), "{}", record["name"]);
        known.push((bytes, encoding, &record["json"]));
    }
    // A .proto as text, as other producers register it.
    let stay = json!({
        "schema": data("stay.proto"), "schemaType": "PROTOBUF",
        "references": [{"name": "money.proto", "subject": "money.proto", "version": 1}]
    });
    let id = real.register("text-value", &stay);
    for record in records.iter().filter(|record| record["kept"]["schemaType"] == "PROTOBUF") {
        assert_eq!(decoded(&registry, &bytes(record, id), Encoding::Protobuf).as_ref(), Ok(&record["json"]));
    }

    // What it says of an id that it does not have, and of a path that is not its own.
    let unknown = [&[0], 9_999u32.to_be_bytes().as_slice()].concat();
    assert!(is_bad(decoded(&registry, &unknown, Encoding::Avro)));
    let elsewhere = Registry::new(real.url.trim_end_matches("/apis/ccompat/v7")).unwrap();
    assert!(decoded(&elsewhere, &unknown, Encoding::Avro).unwrap_err().is_away());

    // Away: what is known is still decoded, and what is not has to wait.
    real.stop();
    for (bytes, encoding, json) in &known {
        assert_eq!(decoded(&registry, bytes, *encoding).as_ref(), Ok(*json));
    }
    let waiting = bytes(&records[0], 1);
    let fresh = Registry::new(&real.url).unwrap();
    assert!(decoded(&fresh, &waiting, Encoding::Avro).unwrap_err().is_away());
    real.restart();
    // It kept nothing, so its ids start again.
    assert!(is_bad(decoded(&fresh, &unknown, Encoding::Avro)));
    real.register("shop.Address", &json!({"schema": data("address.avsc")}));
    let mut kept = records[0]["kept"].clone();
    kept["references"][0]["version"] = json!(1);
    let waiting = bytes(&records[0], real.register("people-value", &kept));
    assert_eq!(decoded(&fresh, &waiting, Encoding::Avro).as_ref(), Ok(&records[0]["json"]));
}
