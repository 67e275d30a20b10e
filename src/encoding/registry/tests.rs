use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::spawn;

use super::Registry;
use crate::encoding::{Encoding, EncodingError, to_json};

/// A registry that answers a path with a status and a body, and keeps what it was asked.
struct Fake {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn start(answers: &'static [(&'static str, u16, &'static str)]) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://me:the%20secret@{}/api/", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        // Ends with the test's process.
        spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines: Vec<String> = BufReader::new(stream.try_clone().unwrap())
                    .lines()
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .collect();
                let path = lines[0].split(' ').nth(1).unwrap();
                let authorized = lines.iter().any(|line| line.ends_with("Basic bWU6dGhlIHNlY3JldA=="));
                let (_, status, body) = answers
                    .iter()
                    .find(|(wanted, ..)| path.strip_prefix("/api/") == Some(wanted))
                    .filter(|_| authorized)
                    .unwrap_or(&("", 401, ""));
                log.lock().unwrap().push(path.to_owned());
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
            }
        });
        Fake { url, asked }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn json(encoding: Encoding, registry: &Registry, bytes: &[u8]) -> Result<String, EncodingError> {
    let mut out = b"what was there".to_vec();
    let result = to_json(encoding, Some(registry), bytes, &mut out);
    assert!(result.is_ok() || out.is_empty());
    result.map(|()| String::from_utf8(out).unwrap())
}

#[test]
fn schemas_are_fetched_once_with_what_they_name() {
    let fake = Fake::start(&[
        (
            "schemas/ids/1",
            200,
            r#"{"schema": "{\"type\":\"record\",\"name\":\"P\",\"fields\":[{\"name\":\"a\",\"type\":\"x.A\"},{\"name\":\"b\",\"type\":\"x.B\"}]}",
                "references": [{"name": "x.A", "subject": "a/value", "version": 3}, {"name": "x.B", "subject": "b", "version": 1}]}"#,
        ),
        (
            "subjects/a%2Fvalue/versions/3",
            200,
            r#"{"id": 7, "version": 3, "subject": "a/value",
                "schema": "{\"type\":\"record\",\"name\":\"x.A\",\"fields\":[{\"name\":\"b\",\"type\":\"B\"}]}",
                "references": [{"name": "x.B", "subject": "b", "version": 1}]}"#,
        ),
        (
            "subjects/b/versions/1",
            200,
            r#"{"schema": "{\"type\":\"enum\",\"name\":\"x.B\",\"symbols\":[\"U\",\"V\"]}", "references": null}"#,
        ),
        (
            "schemas/ids/2",
            200,
            r#"{"schema": "syntax = \"proto3\"; import \"b.proto\"; message A { B b = 1; }", "schemaType": "PROTOBUF",
            "references": [{"name": "b.proto", "subject": "b.proto", "version": 1}]}"#,
        ),
        (
            "subjects/b.proto/versions/1",
            200,
            r#"{"schema": "syntax = \"proto3\"; message B { int32 n = 1; }", "schemaType": "PROTOBUF"}"#,
        ),
        ("schemas/ids/3", 200, r#"{"schema": "{}", "schemaType": "JSON"}"#),
    ]);
    let registry = Registry::new(&fake.url).unwrap();
    for _ in 0..3 {
        let avro = json(Encoding::Avro, &registry, &[0, 0, 0, 0, 1, 2, 0]);
        assert_eq!(avro.as_deref(), Ok(r#"{"a":{"b":"V"},"b":"U"}"#));
    }
    assert_eq!(fake.asked(), 3);
    let protobuf = json(Encoding::Protobuf, &registry, &[0, 0, 0, 0, 2, 0, 10, 2, 8, 5]);
    assert_eq!(protobuf.as_deref(), Ok(r#"{"b":{"n":5}}"#));
    let error = json(Encoding::Avro, &registry, &[0, 0, 0, 0, 2, 0]).unwrap_err();
    assert_eq!(error.to_string(), "schema 2 is one of Protobuf, and the topic is configured as avro");
    let error = json(Encoding::Avro, &registry, &[0, 0, 0, 0, 3, 0]).unwrap_err();
    assert_eq!(error.to_string(), "schema 3 is one of JSON, and the topic is configured as avro");
    assert!(!format!("{registry:?}").contains("secret"));
}

#[test]
fn json_needs_no_registry() {
    let mut out = Vec::new();
    for (bytes, wanted) in [(&b"{ }"[..], &b"{ }"[..]), (b"\0\0\0\0\x01{}", b"{}"), (b"", b"")] {
        assert_eq!(to_json(Encoding::Json, None, bytes, &mut out), Ok(()));
        assert_eq!(out, wanted);
    }
    assert!(to_json(Encoding::Avro, None, &[0; 6], &mut out).is_err_and(|error| error.is_away()));
}

#[test]
fn an_unknown_id_is_bad_and_remembered_for_a_while() {
    let fake = Fake::start(&[
        ("schemas/ids/1", 404, r#"{"error_code": 40403, "message": "Schema 1 not found."}"#),
        ("schemas/ids/2", 200, r#"{"schema": "{\"type\":\"nothing\"}"}"#),
        (
            "schemas/ids/3",
            200,
            r#"{"schema": "\"int\"", "references": [{"name": "x", "subject": "gone", "version": 1}]}"#,
        ),
        ("subjects/gone/versions/1", 404, r#"{"error_code": 40401, "message": "Subject 'gone' not found."}"#),
    ]);
    let registry = Registry::new(&fake.url).unwrap();
    for _ in 0..3 {
        let error = json(Encoding::Avro, &registry, &[0, 0, 0, 0, 1]).unwrap_err();
        assert_eq!(error, EncodingError::bad("the schema registry has no schemas/ids/1 (its code 40403)"));
        assert!(json(Encoding::Avro, &registry, &[0, 0, 0, 0, 2]).is_err_and(|error| !error.is_away()));
        assert!(json(Encoding::Avro, &registry, &[0, 0, 0, 0, 3]).is_err_and(|error| !error.is_away()));
    }
    assert_eq!(fake.asked(), 4);
    assert!(!json(Encoding::Avro, &registry, &[1, 2]).unwrap_err().is_away());
    assert!(!json(Encoding::Avro, &registry, &[0, 0, 0]).unwrap_err().is_away());
}

#[test]
fn what_is_not_about_the_record_is_away_and_asked_again() {
    let fake = Fake::start(&[
        ("schemas/ids/1", 500, r#"{"error_code": 50001}"#),
        ("schemas/ids/2", 429, ""),
        ("schemas/ids/3", 404, "<html>"),
        ("schemas/ids/4", 404, r#"{"error_code": 404}"#),
        ("schemas/ids/5", 200, "<html>welcome</html>"),
        ("schemas/ids/6", 503, r#"{"error_code": 40403}"#),
        // 7 is answered with 401.
    ]);
    let registry = Registry::new(&fake.url).unwrap();
    for id in 1..=7 {
        for _ in 0..2 {
            let error = json(Encoding::Avro, &registry, &[0, 0, 0, 0, id]).unwrap_err();
            assert!(error.is_away() && !error.to_string().contains("secret"), "{id}: {error}");
        }
    }
    assert_eq!(fake.asked(), 14);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // One that does not speak TLS.
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let no_tls = plain.local_addr().unwrap();
    spawn(move || plain.accept().unwrap().0.write_all(b"HTTP/1.1 400 x\r\n\r\n").unwrap());
    for url in [format!("http://me:secret@{free}"), format!("https://me:secret@{no_tls}")] {
        let error = json(Encoding::Avro, &Registry::new(&url).unwrap(), &[0, 0, 0, 0, 1]).unwrap_err();
        assert!(error.is_away() && !error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn a_slow_registry_is_waited_for_elsewhere() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let registry = Registry::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (answer, wanted) = mpsc::channel::<()>();
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            *count.lock().unwrap() += 1;
            BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok).find(String::is_empty);
            wanted.recv().unwrap();
            let body = r#"{"schema": "\"int\""}"#;
            let _ = write!(stream, "HTTP/1.1 200 x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    let bytes = [0, 0, 0, 0, 1, 2];
    for _ in 0..100 {
        let error = json(Encoding::Avro, &registry, &bytes).unwrap_err();
        assert!(error.is_away() && error.to_string().ends_with("has not answered yet"), "{error}");
    }
    assert_eq!(*asked.lock().unwrap(), 1);
    answer.send(()).unwrap();
    while json(Encoding::Avro, &registry, &bytes).is_err() {
        std::thread::yield_now();
    }
    assert_eq!(json(Encoding::Avro, &registry, &bytes).as_deref(), Ok("1"));
    assert_eq!(*asked.lock().unwrap(), 1);
}
