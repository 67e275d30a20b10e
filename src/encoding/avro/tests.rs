use apache_avro::types::Value as AvroValue;
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Value as Json, json};

use super::Schema;
use crate::encoding::EncodingError;

const ENVELOPE: &str = include_str!("../../../tests/data/cdc/confluent-avro/mysql-customers.value.avsc");
const CAPTURED: &[u8] =
    include_bytes!("../../../tests/data/cdc/confluent-avro/mysql-customers-snapshot-read.value.bin");
const DECODED: &str = include_str!("../../../tests/data/cdc/confluent-avro/mysql-customers-snapshot-read.decoded.json");

fn decode(schema: &Schema, bytes: &[u8]) -> Result<Json, (Option<String>, String)> {
    let mut out = Vec::new();
    match schema.write(bytes, &mut out).map_err(EncodingError::from) {
        Ok(()) => Ok(serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {out:?}"))),
        Err(EncodingError::Bad { field, message }) => Err((field, message)),
        Err(away) => panic!("{away}"),
    }
}

/// The text that a schema makes of a record's bytes.
fn text(schema: &Json, bytes: &[u8]) -> String {
    let mut out = Vec::new();
    Schema::parse(&schema.to_string(), &[]).unwrap().write(bytes, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn fault(schema: &Json, bytes: &[u8]) -> (Option<String>, String) {
    decode(&Schema::parse(&schema.to_string(), &[]).unwrap(), bytes).unwrap_err()
}

/// A zigzag varint.
fn long(value: i64) -> Vec<u8> {
    let mut left = (value << 1 ^ value >> 63) as u64;
    let mut out = Vec::new();
    while left > 0x7f {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
    out
}

fn bytes(value: &[u8]) -> Vec<u8> {
    [long(value.len() as i64), value.to_vec()].concat()
}

#[test]
fn a_captured_record_is_what_another_library_read() {
    let schema = Schema::parse(ENVELOPE, &[]).unwrap();
    let wanted: Json = serde_json::from_str(DECODED).unwrap();
    assert_eq!(decode(&schema, &CAPTURED[5..]), Ok(wanted));
    for length in 5..CAPTURED.len() {
        assert!(decode(&schema, &CAPTURED[5..length]).is_err(), "{length}");
    }
    let (field, message) = decode(&schema, &[CAPTURED, &[0]].concat()[5..]).unwrap_err();
    assert_eq!((field, message.as_str()), (None, "1 bytes are left behind the record"));
}

#[test]
fn faults_name_the_field_and_no_value() {
    let schema = Schema::parse(ENVELOPE, &[]).unwrap();
    let at = CAPTURED.windows(5).position(|window| window == b"Sally").unwrap();
    let mut broken = CAPTURED.to_vec();
    broken[at + 1] = 0xff;
    let wanted = (Some("after.first_name".to_owned()), "a text is not UTF-8".to_owned());
    assert_eq!(decode(&schema, &broken[5..]), Err(wanted));
}

#[test]
fn logical_types_become_text() {
    let cases = [
        (json!({"type": "int", "logicalType": "date"}), long(19_844), r#""2024-05-01""#),
        (json!({"type": "int", "logicalType": "time-millis"}), long(45_296_789), r#""12:34:56.789""#),
        (json!({"type": "long", "logicalType": "time-micros"}), long(45_296_000_001), r#""12:34:56.000001""#),
        (json!({"type": "long", "logicalType": "timestamp-millis"}), long(-1), r#""1969-12-31T23:59:59.999Z""#),
        (json!({"type": "long", "logicalType": "timestamp-micros"}), long(0), r#""1970-01-01T00:00:00Z""#),
        (json!({"type": "long", "logicalType": "timestamp-nanos"}), long(1), r#""1970-01-01T00:00:00.000000001Z""#),
        (json!({"type": "long", "logicalType": "local-timestamp-millis"}), long(500), r#""1970-01-01T00:00:00.500""#),
        (json!({"type": "long", "logicalType": "local-timestamp-micros"}), long(0), r#""1970-01-01T00:00:00""#),
        (json!({"type": "long", "logicalType": "local-timestamp-nanos"}), long(0), r#""1970-01-01T00:00:00""#),
        (
            json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),
            bytes(&[0x30, 0x39]),
            r#""123.45""#,
        ),
        (
            json!({"type": "fixed", "name": "d", "size": 2, "logicalType": "decimal", "precision": 4}),
            vec![0xff, 0x85],
            r#""-123""#,
        ),
        (json!({"type": "bytes", "logicalType": "big-decimal"}), bytes(&[bytes(&[12]), long(1)].concat()), r#""1.2""#),
        (json!({"type": "string", "logicalType": "uuid"}), bytes(b"a-b"), r#""a-b""#),
        (
            json!({"type": "fixed", "name": "u", "size": 16, "logicalType": "uuid"}),
            vec![1; 16],
            r#""01010101-0101-0101-0101-010101010101""#,
        ),
        (
            json!({"type": "fixed", "name": "d", "size": 12, "logicalType": "duration"}),
            vec![14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            r#""P14M""#,
        ),
        (json!({"type": "string", "logicalType": "date"}), bytes(b"x"), r#""x""#),
        (json!({"type": "long", "logicalType": "somebodys"}), long(5), "5"),
    ];
    for (schema, bytes, wanted) in cases {
        assert_eq!(text(&schema, &bytes), wanted, "{schema}");
    }
}

#[test]
fn what_connect_names_wins_over_the_logical_type() {
    let decimal = json!({
        "type": "bytes", "scale": 2, "precision": 10, "connect.version": 1, "logicalType": "decimal",
        "connect.parameters": {"scale": "2", "connect.decimal.precision": "10"},
        "connect.name": "org.apache.kafka.connect.data.Decimal"
    });
    let local = json!({
        "type": "long", "connect.version": 1, "connect.name": "org.apache.kafka.connect.data.Timestamp",
        "logicalType": "timestamp-millis"
    });
    let scaled = |fields: [&str; 2]| {
        let kind = |name: &str| json!({"name": name, "type": if name == "scale" { "int" } else { "bytes" }});
        json!({
            "type": "record", "name": "VariableScaleDecimal", "namespace": "io.debezium.data",
            "fields": fields.map(kind), "connect.name": "io.debezium.data.VariableScaleDecimal"
        })
    };
    let cases = [
        (decimal, bytes(&[0xfb]), r#""-0.05""#),
        (local, long(1_679_581_805_123), r#""2023-03-23T14:30:05.123""#),
        (json!({"type": "int", "connect.name": "io.debezium.time.Date"}), long(2_146_033_979), r#""infinity""#),
        (json!({"type": "string", "connect.name": "io.debezium.time.IsoTime"}), bytes(b"12:00:00Z"), r#""12:00:00""#),
        (
            json!(["null", {"type": "long", "connect.name": "io.debezium.time.MicroTime"}]),
            [long(1), long(1_000)].concat(),
            r#""00:00:00.001""#,
        ),
        (scaled(["scale", "value"]), [long(1), bytes(&[12])].concat(), r#""1.2""#),
        (scaled(["value", "scale"]), [bytes(&[12]), long(3)].concat(), r#""0.012""#),
        (scaled(["scale", "text"]), [long(1), bytes(&[12])].concat(), r#"{"scale":1,"text":"DA=="}"#),
    ];
    for (schema, bytes, wanted) in cases {
        assert_eq!(text(&schema, &bytes), wanted, "{schema}");
    }
}

#[test]
fn names_are_found_in_their_namespaces_and_in_references() {
    let address = json!({"type": "record", "name": "Address", "namespace": "a.b", "fields": [{"name": "street", "type": "string"}]});
    let person = json!({"type": "record", "name": "Person", "namespace": "a.b", "fields": [
        {"name": "home", "type": "Address"}, {"name": "work", "type": ["null", "a.b.Address"]},
        {"name": "friends", "type": {"type": "array", "items": "Person"}}
    ]});
    let schema = Schema::parse(&person.to_string(), &[&address.to_string()]).unwrap();
    let record = [bytes(b"x"), long(0), long(1), bytes(b"y"), long(1), bytes(b"z"), long(0), long(0)].concat();
    let wanted = json!({"home": {"street": "x"}, "work": null, "friends": [
        {"home": {"street": "y"}, "work": {"street": "z"}, "friends": []}
    ]});
    assert_eq!(decode(&schema, &record), Ok(wanted));
    let error = Schema::parse(&person.to_string(), &[]).unwrap_err();
    assert_eq!(error, "the schema names a type `Address` that it has not (in field `home`)");
}

#[test]
fn schemas_that_are_none_are_refused() {
    let cases = [
        r#""nothing""#,
        r#"{"type": "record"}"#,
        r#"{"type": "record", "name": "A"}"#,
        r#"{"type": "record", "name": "A", "fields": [{"name": "a"}]}"#,
        r#"{"type": "record", "name": "A", "fields": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}"#,
        r#"{"type": "enum", "name": "A", "symbols": [1]}"#,
        r#"{"type": "fixed", "name": "A", "size": -1}"#,
        r#"[{"type": "fixed", "name": "A", "size": 1}, {"type": "fixed", "name": "A", "size": 1}]"#,
        r#"{"type": "bytes", "connect.name": "org.apache.kafka.connect.data.Decimal"}"#,
        "5",
        "{",
        "",
    ];
    for schema in cases {
        assert!(Schema::parse(schema, &[]).is_err(), "{schema}");
    }
    let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(10_000), "}".repeat(10_000));
    assert!(Schema::parse(&deep, &[]).is_err());
}

#[test]
fn numbers_are_read_to_their_last_bit_and_no_further() {
    for value in [0, 1, -1, i64::MAX, i64::MIN] {
        assert_eq!(text(&json!("long"), &long(value)), value.to_string());
    }
    let wide = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
    assert_eq!(fault(&json!("long"), &wide).1, "a number has more than 64 bits");
    assert_eq!(fault(&json!("long"), &[0x80; 11]).1, "a number has more than 64 bits");
    assert_eq!(fault(&json!("int"), &long(1 << 31)).1, "an int has more than 32 bits");
    assert_eq!(text(&json!("double"), &f64::NAN.to_le_bytes()), "\"NaN\"");
    assert_eq!(text(&json!("float"), &f32::NEG_INFINITY.to_le_bytes()), "\"-Infinity\"");
    assert_eq!(fault(&json!("boolean"), &[2]).1, "a boolean is neither 0 nor 1");
}

#[test]
fn blocks_may_say_their_bytes() {
    let schema = json!({"type": "array", "items": "int"});
    let blocks = [long(-2), long(2), long(7), long(8), long(1), long(9), long(0)].concat();
    assert_eq!(text(&schema, &blocks), "[7,8,9]");
    let map = json!({"type": "map", "values": "int"});
    let blocks = [long(1), bytes(b"a\""), long(7), long(1), bytes(b"b"), long(8), long(0)].concat();
    assert_eq!(text(&map, &blocks), r#"{"a\"":7,"b":8}"#);
}

#[test]
fn hostile_records_neither_fill_the_memory_nor_the_stack() {
    let endless = json!({"type": "array", "items": "null"});
    assert!(fault(&endless, &long(i64::MAX)).1.contains("bytes as JSON"));
    assert!(fault(&endless, &[long(i64::MIN), long(0)].concat()).1.contains("bytes as JSON"));
    assert_eq!(fault(&json!("bytes"), &long(i64::MAX)).1, "the bytes end too early for the schema");
    assert_eq!(fault(&json!("bytes"), &long(-1)).1, "a length is negative");
    assert_eq!(
        fault(&json!({"type": "fixed", "name": "f", "size": u64::MAX}), &[0]).1,
        "the bytes end too early for the schema"
    );
    let itself = json!({"type": "record", "name": "A", "fields": [{"name": "a", "type": "A"}]});
    assert!(fault(&itself, &[]).1.contains("nested"));
    let chain = json!({"type": "record", "name": "A", "fields": [{"name": "a", "type": ["null", "A"]}]});
    assert!(fault(&chain, &[2; 1_000]).1.contains("nested"));
    // Ten records in each of ten records, twelve deep, and no byte among them.
    let mut bush = json!({"type": "record", "name": "R0", "fields": []});
    for level in 1..=12 {
        let fields: Vec<Json> = (0..10)
            .map(|index| {
                let inner = if index == 0 { bush.clone() } else { json!(format!("R{}", level - 1)) };
                json!({"name": format!("f{index}"), "type": inner})
            })
            .collect();
        bush = json!({"type": "record", "name": format!("R{level}"), "fields": fields});
    }
    assert!(fault(&bush, &[]).1.contains("bytes as JSON"));
}

/// A type, from which a schema and values are made.
#[derive(Clone, Debug)]
enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Double,
    Text,
    Bytes,
    Enum,
    Array(Box<Kind>),
    Map(Box<Kind>),
    Optional(Box<Kind>),
    Record(Vec<Kind>),
}

fn kinds() -> impl Strategy<Value = Kind> {
    use Kind::{Array, Boolean, Bytes, Double, Enum, Int, Long, Map, Null, Optional, Record, Text};
    let leaves = [Null, Boolean, Int, Long, Double, Text, Bytes, Enum].map(Just);
    Union::new(leaves).prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            inner.clone().prop_map(|kind| Array(kind.into())),
            inner.clone().prop_map(|kind| Map(kind.into())),
            inner.clone().prop_map(|kind| match kind {
                Null | Optional(_) => kind,
                kind => Optional(kind.into()),
            }),
            vec(inner, 0..5).prop_map(Record),
        ]
    })
}

impl Kind {
    fn schema(&self, names: &mut usize) -> Json {
        let mut name = || {
            *names += 1;
            format!("N{names}")
        };
        match self {
            Kind::Null => json!("null"),
            Kind::Boolean => json!("boolean"),
            Kind::Int => json!("int"),
            Kind::Long => json!("long"),
            Kind::Double => json!("double"),
            Kind::Text => json!("string"),
            Kind::Bytes => json!("bytes"),
            Kind::Enum => json!({"type": "enum", "name": name(), "symbols": ["RED", "BLUE"]}),
            Kind::Array(items) => json!({"type": "array", "items": items.schema(names)}),
            Kind::Map(values) => json!({"type": "map", "values": values.schema(names)}),
            Kind::Optional(kind) => json!(["null", kind.schema(names)]),
            Kind::Record(kinds) => {
                let name = name();
                let field =
                    |(index, kind): (usize, &Kind)| json!({"name": format!("f{index}"), "type": kind.schema(names)});
                let fields: Vec<Json> = kinds.iter().enumerate().map(field).collect();
                json!({"type": "record", "name": name, "fields": fields})
            }
        }
    }

    /// Values for the independent encoder, and the JSON that they must become.
    fn values(&self) -> BoxedStrategy<(AvroValue, Json)> {
        use base64::Engine;
        let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        match self {
            Kind::Null => Just((AvroValue::Null, Json::Null)).boxed(),
            Kind::Boolean => any::<bool>().prop_map(|value| (AvroValue::Boolean(value), json!(value))).boxed(),
            Kind::Int => any::<i32>().prop_map(|value| (AvroValue::Int(value), json!(value))).boxed(),
            Kind::Long => any::<i64>().prop_map(|value| (AvroValue::Long(value), json!(value))).boxed(),
            Kind::Double => any::<i32>()
                .prop_map(|value| f64::from(value) / 8.0)
                .prop_map(|value| (AvroValue::Double(value), json!(value)))
                .boxed(),
            Kind::Text => any::<String>().prop_map(|value| (AvroValue::String(value.clone()), json!(value))).boxed(),
            Kind::Bytes => vec(any::<u8>(), 0..9)
                .prop_map(move |value| (AvroValue::Bytes(value.clone()), json!(base64(&value))))
                .boxed(),
            Kind::Enum => any::<bool>()
                .prop_map(|blue| if blue { (1, "BLUE") } else { (0, "RED") })
                .prop_map(|(place, name)| (AvroValue::Enum(place, name.to_owned()), json!(name)))
                .boxed(),
            Kind::Array(items) => vec(items.values(), 0..4)
                .prop_map(|items| {
                    let (values, json): (Vec<AvroValue>, Vec<Json>) = items.into_iter().unzip();
                    (AvroValue::Array(values), Json::Array(json))
                })
                .boxed(),
            Kind::Map(values) => hash_map(any::<String>(), values.values(), 0..4)
                .prop_map(|members| {
                    let json = members.iter().map(|(key, (_, json))| (key.clone(), json.clone())).collect();
                    let values = members.into_iter().map(|(key, (value, _))| (key, value)).collect();
                    (AvroValue::Map(values), Json::Object(json))
                })
                .boxed(),
            Kind::Optional(kind) => prop_oneof![
                Just((AvroValue::Union(0, AvroValue::Null.into()), Json::Null)),
                kind.values().prop_map(|(value, json)| (AvroValue::Union(1, value.into()), json)),
            ]
            .boxed(),
            Kind::Record(kinds) => kinds
                .iter()
                .map(Kind::values)
                .collect::<Vec<_>>()
                .prop_map(|fields| {
                    let named = fields.into_iter().enumerate().map(|(index, field)| (format!("f{index}"), field));
                    let named: Vec<(String, (AvroValue, Json))> = named.collect();
                    let json = named.iter().map(|(name, (_, json))| (name.clone(), json.clone())).collect();
                    let values = named.into_iter().map(|(name, (value, _))| (name, value)).collect();
                    (AvroValue::Record(values), Json::Object(json))
                })
                .boxed(),
        }
    }
}

proptest! {
    #[test]
    fn what_another_library_encodes_comes_back(
        (kind, (value, json)) in kinds().prop_flat_map(|kind| (Just(kind.clone()), kind.values()))
    ) {
        let schema = kind.schema(&mut 0).to_string();
        let theirs = apache_avro::Schema::parse_str(&schema).unwrap();
        let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&theirs).build().unwrap();
        let encoded = writer.write_value_to_vec(value).unwrap();
        prop_assert_eq!(decode(&Schema::parse(&schema, &[]).unwrap(), &encoded), Ok(json));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(kind in kinds(), bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode(&Schema::parse(&kind.schema(&mut 0).to_string(), &[]).unwrap(), &bytes);
    }

    #[test]
    fn a_captured_record_with_bytes_changed_is_decoded_or_refused(places in vec((0usize..155, any::<u8>()), 1..6)) {
        let mut record = CAPTURED[5..].to_vec();
        for (place, byte) in places {
            record[place] = byte;
        }
        let _ = decode(&Schema::parse(ENVELOPE, &[]).unwrap(), &record);
    }
}
