use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::Connect;
use crate::encoding::EncodingError;

const ALL_TYPES: &[u8] =
    include_bytes!("../../../tests/data/cdc/debezium/mysql/fixture-all-column-types-with-schema-1.json");
const CUSTOMER: &[u8] = include_bytes!("../../../tests/data/cdc/debezium/postgresql/customers-create-with-schema.json");

fn written(bytes: &[u8]) -> Result<String, EncodingError> {
    let mut out = b"what was there".to_vec();
    Connect::new().to_json(bytes, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

/// A payload of one field, under a schema with a name and parameters.
fn field(kind: &str, name: &str, parameters: Json, value: &str) -> Result<String, EncodingError> {
    let field = json!({"type": kind, "optional": true, "name": name, "parameters": parameters, "field": "f"});
    let schema = json!({"type": "struct", "fields": [field], "optional": false});
    written(format!(r#"{{"schema":{schema},"payload":{{"f":{value}}}}}"#).as_bytes())
}

#[test]
fn a_row_of_all_types_of_mysql() {
    let read: Json = serde_json::from_str(&written(ALL_TYPES).unwrap()).unwrap();
    let row = &read["after"];
    let cases = [
        ("_id", json!(1)),
        ("pt", json!("1.1")),
        ("_bit1", json!(true)),
        ("_bit", json!("xwcAAAAAAAA=")),
        ("_bigint", json!(10_000_000_000u64)),
        ("_bigint_unsigned", json!("20000000000")),
        ("_serial", json!("40000000000")),
        ("_double", json!(1.000011)),
        ("_numeric", json!("12345.110")),
        ("_fixed", json!("123456789876543212345678987654321.110")),
        ("_decimal", json!("11111")),
        ("_big_decimal", json!("2222222222222222300000001111.1234567890")),
        ("_date", json!("2023-03-23")),
        ("_datetime", json!("2023-03-23T14:30:05")),
        ("_datetime3", json!("2023-03-23T14:30:05.123")),
        ("_datetime6", json!("2023-03-23T14:30:05.123456")),
        ("_datetime_p", json!("2023-03-24T14:30:00")),
        ("_datetime_p2", json!("2023-03-24T14:30:05.120")),
        ("_timestamp", json!("2023-03-23T22:00:10.123456Z")),
        ("_timestamp0", json!("2023-03-23T07:10:00Z")),
        ("_varchar", json!("Apache Paimon")),
        ("_bin", json!("Ynl0ZXMAAAAAAA==")),
        ("_json", json!(r#"{"a": "b"}"#)),
        ("_enum", json!("value1")),
        ("_year", json!(2023)),
        ("_time", json!("10:13:23")),
        ("_point", json!({"x": 1.0, "y": 1.0, "wkb": "AQEAAAAAAAAAAADwPwAAAAAAAPA/", "srid": null})),
        ("_set", json!("a,b")),
    ];
    for (name, wanted) in cases {
        assert_eq!(row[name], wanted, "{name}");
    }
    assert_eq!(
        (&read["before"], &read["op"], &read["ts_ms"]),
        (&Json::Null, &json!("r"), &json!(1_706_167_086_275u64))
    );
    let raw: Json = serde_json::from_slice(ALL_TYPES).unwrap();
    assert_eq!(read["source"], raw["payload"]["source"]);
    let names = |row: &Json| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(row), names(&raw["payload"]["after"]));
}

#[test]
fn a_row_of_plain_types_is_copied() {
    let raw: Json = serde_json::from_slice(CUSTOMER).unwrap();
    let read: Json = serde_json::from_str(&written(CUSTOMER).unwrap()).unwrap();
    assert_eq!(read, raw["payload"]);
}

#[test]
fn json_without_a_schema_passes_as_it_is() {
    let cases = [
        (r#"{"op":"c", "after": {"id": 12345678901234567890}}"#, None),
        (r#"{"schema": null, "payload": {"n":1.10}}"#, Some(r#"{"n":1.10}"#)),
        (r#"{"payload": {"n": 1 }, "schema":null}"#, Some(r#"{"n": 1 }"#)),
        (r#"{"schema": {"type":"string"}, "payload": null}"#, Some("null")),
        (r#"{"schema": {"type":"string"}, "payload": "x\u00e9"}"#, Some(r#""x\u00e9""#)),
        (r#"{"payload": 5}"#, None),
        (r#"{"schema": {}, "payload": 5, "more": 6}"#, None),
        (r#"{"schema": {}, "schema": {}, "payload": 5}"#, None),
        ("[1, 2]", None),
        ("no JSON", None),
        ("", None),
    ];
    for (message, wanted) in cases {
        assert_eq!(written(message.as_bytes()).as_deref(), Ok(wanted.unwrap_or(message)), "{message}");
    }
    assert_eq!(Connect::new().to_json(&[0xff], &mut Vec::new()), Ok(()));
}

#[test]
fn fields_become_what_their_schema_says() {
    let none = json!({});
    let scale = json!({"scale": "2"});
    let decimal = "org.apache.kafka.connect.data.Decimal";
    let cases = [
        ("bytes", decimal, &scale, r#""MDk=""#, r#""123.45""#),
        ("bytes", decimal, &scale, "1.5E+2", r#""150""#),
        ("bytes", decimal, &scale, "null", "null"),
        ("int32", "io.debezium.time.Date", &none, "2146033979", r#""infinity""#),
        ("int64", "io.debezium.time.NanoTimestamp", &none, "1", r#""1970-01-01T00:00:00.000000001""#),
        ("string", "io.debezium.time.IsoTimestamp", &none, r#""2024-05-01T10:00:00Z""#, r#""2024-05-01T10:00:00""#),
        ("string", "io.debezium.time.ZonedTimestamp", &none, r#""infinity""#, r#""infinity""#),
        ("double", "", &none, r#""NaN""#, r#""NaN""#),
        ("double", "", &none, "1.00", "1.00"),
        ("struct", "io.debezium.data.VariableScaleDecimal", &none, r#"{"scale":1,"value":"DA=="}"#, r#""1.2""#),
    ];
    for (kind, name, parameters, value, wanted) in cases {
        let wanted = format!(r#"{{"f":{wanted}}}"#);
        assert_eq!(field(kind, name, parameters.clone(), value), Ok(wanted), "{name} {value}");
    }
}

#[test]
fn lists_and_maps_are_walked() {
    let date = json!({"type": "int32", "name": "io.debezium.time.Date"});
    let schema = json!({"type": "struct", "fields": [
        {"field": "days", "type": "array", "items": date},
        {"field": "by", "type": "map", "keys": {"type": "string"}, "values": date},
        {"field": "plain", "type": "array", "items": {"type": "int32"}}
    ]});
    let payload = r#"{"days": [0, null, 1], "by": {"a\"b": 0}, "plain": [ 1 ], "new": 1e5, "days2": []}"#;
    let message = format!(r#"{{"schema":{schema},"payload":{payload}}}"#);
    let wanted =
        r#"{"days":["1970-01-01",null,"1970-01-02"],"by":{"a\"b":"1970-01-01"},"plain":[ 1 ],"new":1e5,"days2":[]}"#;
    assert_eq!(written(message.as_bytes()).as_deref(), Ok(wanted));
    let message = format!(r#"{{"schema":{schema},"payload":{{"days":[],"by":[["k",1]]}}}}"#);
    assert_eq!(written(message.as_bytes()).as_deref(), Ok(r#"{"days":[],"by":[["k",1]]}"#));
}

#[test]
fn faults_name_the_field_and_no_value() {
    let bad = |field: &str, message: &str| {
        Err(EncodingError::Bad { field: Some(field.to_owned()), message: message.to_owned() })
    };
    let none = json!({});
    let date = "io.debezium.time.Date";
    assert_eq!(
        field("int32", date, none.clone(), r#""secret""#),
        bad("f", "is no integer where its schema says a date or a time")
    );
    assert_eq!(
        field("int32", date, none.clone(), "1.5"),
        bad("f", "is no integer where its schema says a date or a time")
    );
    let scale = json!({"scale": "2"});
    let decimal = "org.apache.kafka.connect.data.Decimal";
    assert_eq!(field("bytes", decimal, scale, r#""secret!""#), bad("f", "a decimal is neither a number nor base64"));
    let schema = json!({"type": "array", "items": {"type": "struct", "fields": [{"field": "d", "type": "int32", "name": date}]}});
    for (payload, wanted) in [(r#"[{"d":1},{"d":[]}]"#, "[1].d"), (r#"["secret"]"#, "[0]"), (r#"[[]]"#, "[0]")] {
        let error = written(format!(r#"{{"schema":{schema},"payload":{payload}}}"#).as_bytes()).unwrap_err();
        let EncodingError::Bad { field, message } = error else { panic!("away") };
        assert_eq!(field.as_deref(), Some(wanted));
        assert!(!message.contains("secret"), "{message}");
    }
    for payload in [r#""secret""#, "{}", "5"] {
        let error = written(format!(r#"{{"schema":{schema},"payload":{payload}}}"#).as_bytes()).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert!(field("bytes", decimal, none, "1").unwrap_err().to_string().contains("`scale`"));
}

#[test]
fn schemas_are_remembered_the_last_used_first() {
    let mut connect = Connect::new();
    let mut out = Vec::new();
    for number in 0..100 {
        let message = format!(r#"{{"schema":{{"type":"string","doc":"{number}"}},"payload":"x"}}"#);
        connect.to_json(&message.into_bytes(), &mut out).unwrap();
        assert_eq!(out, b"\"x\"");
    }
    assert_eq!(connect.known.len(), super::KNOWN_MAX);
    let oldest = connect.known.last().unwrap().0.clone();
    connect.to_json(format!(r#"{{"schema":{oldest},"payload":"x"}}"#).as_bytes(), &mut out).unwrap();
    assert_eq!((&connect.known[0].0, connect.known.len()), (&oldest, super::KNOWN_MAX));
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let _ = written(deep.as_bytes());
        let _ = written(format!(r#"{{"schema":{deep},"payload":1}}"#).as_bytes());
        let _ = written(format!(r#"{{"schema":{{"type":"string"}},"payload":{deep}}}"#).as_bytes());
    }
}

proptest! {
    #[test]
    fn any_bytes_pass_or_are_refused(bytes in vec(any::<u8>(), 0..100)) {
        let _ = Connect::new().to_json(&bytes, &mut Vec::new());
    }

    #[test]
    fn a_message_with_bytes_changed_passes_or_is_refused(places in vec((0usize..20_000, any::<u8>()), 1..4)) {
        let mut message = ALL_TYPES.to_vec();
        for (place, byte) in places {
            message[place] = byte;
        }
        let mut out = Vec::new();
        let _ = Connect::new().to_json(&message, &mut out);
    }
}
