use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::Schema;
use crate::encoding::EncodingError;
use crate::encoding::registry::Referenced;

const STAY: &str = r#"
syntax = "proto3";
package stays;

import "money.proto";
import "google/type/date.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/any.proto";
import "confluent/meta.proto";
import "confluent/type/decimal.proto";

message First { message Inner { bool yes = 1; message Innermost { string text = 1; } } }

message Stay {
  int64 guest_id = 1;
  optional string note = 2;
  Money total = 3;
  repeated int32 nights = 4;
  map<string, Money> extras = 5;
  Status status = 6;
  google.type.Date check_in = 7 [json_name = "checkIn"];
  google.protobuf.Timestamp booked_at = 8;
  google.protobuf.Duration lead = 9;
  google.protobuf.Int64Value points = 10;
  google.protobuf.Struct data = 11;
  oneof by { string agent = 12; uint64 web_session = 13; }
  bytes picture = 14;
  double rate = 15;
  google.protobuf.FieldMask mask = 16;
  google.protobuf.Any more = 17;
  confluent.type.Decimal price = 18 [(confluent.field_meta) = { doc: "in full" }];
  map<int32, bool> by_number = 19;
  float share = 20;
  sint64 shift = 21;
  Stay next = 22;
  string same_name = 23 [json_name = "sameName"];
}

enum Status { STATUS_NONE = 0; BOOKED = 1; }
"#;

const MONEY: &str = r#"syntax = "proto3"; package stays; message Money { int64 minor = 1; string currency = 2; }"#;

fn stay() -> Schema {
    let money = Referenced { name: "money.proto".to_owned(), text: MONEY.to_owned() };
    Schema::parse(STAY, &[money]).unwrap()
}

fn decode(indexes: &[usize], bytes: &[u8]) -> Result<Json, EncodingError> {
    let mut out = Vec::new();
    stay().write(indexes, bytes, &mut out)?;
    Ok(serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {out:?}")))
}

/// The stay with the fields that some bytes set, beside those that are always there.
fn with(bytes: &[u8], set: &Json) {
    let mut wanted = json!({
        "guest_id": 0, "nights": [], "extras": {}, "status": "STATUS_NONE", "picture": "", "rate": 0.0, "by_number": {},
        "share": 0.0, "shift": 0, "sameName": ""
    });
    let members = wanted.as_object_mut().unwrap();
    members.extend(set.as_object().unwrap().clone());
    assert_eq!(decode(&[1], bytes).unwrap(), wanted);
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn int(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

fn bytes(number: u64, value: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn fixed64(number: u64, value: [u8; 8]) -> Vec<u8> {
    [varint(number << 3 | 1), value.to_vec()].concat()
}

#[test]
fn what_is_unset_is_absent_only_where_it_may_be() {
    with(&[], &json!({}));
    with(&[int(1, 0), bytes(2, b"")].concat(), &json!({"note": ""}));
    with(&bytes(12, b""), &json!({"agent": ""}));
    with(&[bytes(12, b"a"), int(13, u64::MAX)].concat(), &json!({"web_session": u64::MAX}));
}

#[test]
fn every_type_has_its_json() {
    let money = [int(1, 12_345), bytes(2, b"SGD")].concat();
    let entry = [bytes(1, b"sauna"), bytes(2, &money)].concat();
    let decimal = [bytes(1, &[0x30, 0x39]), int(3, 2)].concat();
    let cases = [
        (int(1, i64::MIN as u64), json!({"guest_id": i64::MIN})),
        (bytes(3, &money), json!({"total": {"minor": 12_345, "currency": "SGD"}})),
        (bytes(4, &[1, 2]), json!({"nights": [1, 2]})),
        ([int(4, 1), int(4, u64::MAX)].concat(), json!({"nights": [1, -1]})),
        (bytes(5, &entry), json!({"extras": {"sauna": {"minor": 12_345, "currency": "SGD"}}})),
        ([bytes(19, &[8, 9, 16, 1]), bytes(19, &[8, 2])].concat(), json!({"by_number": {"2": false, "9": true}})),
        (int(6, 1), json!({"status": "BOOKED"})),
        (int(6, 7), json!({"status": 7})),
        (bytes(7, &[int(1, 2024), int(2, 5), int(3, 1)].concat()), json!({"checkIn": "2024-05-01"})),
        (bytes(7, &int(1, 2024)), json!({"checkIn": {"year": 2024, "month": 0, "day": 0}})),
        (
            bytes(8, &[int(1, 1_714_567_890), int(2, 5_000_000)].concat()),
            json!({"booked_at": "2024-05-01T12:51:30.005Z"}),
        ),
        (bytes(9, &[int(1, 90), int(2, 500_000_000)].concat()), json!({"lead": "90.500s"})),
        (bytes(9, &int(2, -5_000_000i64 as u64)), json!({"lead": "-0.005s"})),
        (bytes(10, &int(1, 5)), json!({"points": 5})),
        (bytes(10, &[]), json!({"points": 0})),
        (bytes(14, b"abc"), json!({"picture": "YWJj"})),
        (fixed64(15, f64::NAN.to_le_bytes()), json!({"rate": "NaN"})),
        (fixed64(15, 0.1f64.to_le_bytes()), json!({"rate": 0.1})),
        (bytes(16, &[bytes(1, b"a.b"), bytes(1, b"c_d")].concat()), json!({"mask": "a.b,c_d"})),
        (bytes(17, &[bytes(1, b"x/y"), bytes(2, b"abc")].concat()), json!({"more": {"@type": "x/y", "value": "YWJj"}})),
        (bytes(18, &decimal), json!({"price": "123.45"})),
        (int(21, 3), json!({"shift": -2})),
        (bytes(23, b"x"), json!({"sameName": "x"})),
    ];
    for (bytes, wanted) in cases {
        with(&bytes, &wanted);
    }
    let entry = |name: &[u8], value: &[u8]| bytes(1, &[bytes(1, name), bytes(2, value)].concat());
    let list = bytes(6, &[bytes(1, &fixed64(2, 2.5f64.to_le_bytes())), bytes(1, &int(1, 0))].concat());
    let data = [
        entry(b"whole", &fixed64(2, 7f64.to_le_bytes())),
        entry(b"list", &list),
        entry(b"text", &bytes(3, b"x")),
        entry(b"yes", &int(4, 1)),
        entry(b"inner", &bytes(5, &entry(b"a", &[]))),
    ];
    let wanted = json!({"data": {"whole": 7, "list": [2.5, null], "text": "x", "yes": true, "inner": {"a": null}}});
    with(&bytes(11, &data.concat()), &wanted);
    let mut out = Vec::new();
    stay().write(&[1], &bytes(11, &data.concat()), &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains(r#""whole":7,"#));
}

#[test]
fn messages_are_found_by_their_indexes() {
    assert_eq!(decode(&[0, 0], &int(1, 1)), Ok(json!({"yes": true})));
    assert_eq!(decode(&[0, 0, 0], &bytes(1, b"x")), Ok(json!({"text": "x"})));
    assert_eq!(decode(&[0], &int(99, 1)), Ok(json!({})));
    for indexes in [&[2][..], &[0, 1], &[], &[usize::MAX]] {
        assert!(decode(indexes, &[]).is_err(), "{indexes:?}");
    }
}

#[test]
fn faults_name_the_field_and_no_value() {
    let deep = (0..101).fold(Vec::new(), |inner, _| bytes(22, &inner));
    let cases = [
        (bytes(2, b"secret\xff"), "note: a text is not UTF-8"),
        (bytes(3, &bytes(2, b"secret\xff")), "total.currency: a text is not UTF-8"),
        (bytes(3, &bytes(1, b"secret")), "total.minor: the wire type is 2, and the schema's type has 0"),
        (int(14, 1), "picture: the wire type is 0, and the schema's type has 2"),
        (int(15, 1), "rate: the wire type is 0, and the schema's type has 1"),
        ([varint(2 << 3 | 2), varint(u64::MAX)].concat(), "note: the bytes end too early"),
        ([varint(1 << 3), vec![0xff; 10]].concat(), "guest_id: a number has more than 64 bits"),
        (vec![0x80], "the bytes end too early"),
        ([int(99, 5), vec![15]].concat(), "guest_id: the bytes have a wire type that does not exist"),
        (bytes(4, &[0x80]), "failed to decode Protobuf message: "),
        (deep, "messages are nested more than 100 deep"),
    ];
    for (bytes, wanted) in cases {
        let error = decode(&[1], &bytes).unwrap_err().to_string();
        assert!(error.contains(wanted) && !error.contains("secret"), "{error}, wanted: {wanted}");
    }
    let error = decode(&[1], &bytes(8, &int(2, 1_000_000_000))).unwrap_err();
    assert_eq!(error.to_string(), "booked_at: a timestamp's nanos are not 0 to 999,999,999");
    for lead in [int(2, 1_000_000_000), [int(1, 1), int(2, u64::MAX)].concat()] {
        assert!(decode(&[1], &bytes(9, &lead)).is_err());
    }
    assert!(decode(&[1], &bytes(1, &[0xff; 3])).is_err());
    assert!(decode(&[1], &[varint(2 << 3 | 2), varint(u64::MAX)].concat()).is_err());
}

#[test]
fn schemas_that_are_none_are_refused() {
    let cases = [
        ("message {", "no .proto"),
        ("!", "no .proto"),
        (r#"syntax = "proto3"; import "nowhere.proto"; message A {}"#, "nowhere.proto"),
        (r#"syntax = "proto3"; message A { B b = 1; }"#, "B"),
        (r#"syntax = "proto3"; import "the-schema.proto"; message A {}"#, "the-schema.proto"),
    ];
    for (text, wanted) in cases {
        let error = Schema::parse(text, &[]).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }
    let deep = format!("syntax = \"proto3\"; {}{}", "message A {".repeat(5_000), "}".repeat(5_000));
    assert!(Schema::parse(&deep, &[]).is_err());
}

#[test]
fn descriptors_in_base64_are_as_good_as_text() {
    let records: Json = serde_json::from_str(include_str!("../../../tests/data/registry/records.json")).unwrap();
    let money = include_str!("../../../tests/data/registry/money.proto");
    let records = records.as_array().unwrap().iter().filter(|record| record["kept"]["schemaType"] == "PROTOBUF");
    let mut count = 0;
    for record in records {
        let money = Referenced { name: "money.proto".to_owned(), text: money.to_owned() };
        let schema = Schema::parse(record["kept"]["schema"].as_str().unwrap(), &[money]).unwrap();
        let text = record["bytes"].as_str().unwrap();
        let bytes: Vec<u8> =
            (0..text.len()).step_by(2).map(|place| u8::from_str_radix(&text[place..place + 2], 16).unwrap()).collect();
        let (indexes, body) = crate::encoding::wire::message_indexes(&bytes[5..]).unwrap();
        let mut out = Vec::new();
        schema.write(&indexes, body, &mut out).unwrap();
        assert_eq!(serde_json::from_slice::<Json>(&out).unwrap(), record["json"], "{}", record["name"]);
        count += 1;
    }
    assert_eq!(count, 3);
    assert!(Schema::parse("AAAA", &[]).is_err());
}

#[test]
fn proto2_has_presence_everywhere() {
    let schema = Schema::parse(
        r#"syntax = "proto2"; message A { required int32 a = 1; optional int32 b = 2 [default = 7]; }"#,
        &[],
    );
    let mut out = Vec::new();
    schema.unwrap().write(&[0], &int(1, 0), &mut out).unwrap();
    assert_eq!(out, br#"{"a":0}"#);
}

#[test]
fn deep_and_wide_records_are_bounded() {
    let mut deep = Vec::new();
    for _ in 0..200 {
        deep = bytes(22, &deep);
    }
    assert!(decode(&[1], &deep).is_err());
    let schema = format!(
        r#"syntax = "proto3"; message A {{ repeated B b = 1; }} message B {{ int32 {} = 1; }}"#,
        "n".repeat(2_000)
    );
    let wide = bytes(1, &[]).repeat(100_000);
    let mut out = Vec::new();
    let fault = Schema::parse(&schema, &[]).unwrap().write(&[0], &wide, &mut out).unwrap_err();
    assert!(EncodingError::from(fault).to_string().contains("bytes as JSON"));
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..100)) {
        let _ = decode(&[1], &bytes);
    }

    #[test]
    fn fields_in_any_order_are_decoded(
        fields in vec((1u64..24, any::<u64>(), vec(any::<u8>(), 0..12), any::<bool>()), 0..8)
    ) {
        let all = fields.iter().map(|(number, value, text, is_int)| {
            if *is_int { int(*number, *value) } else { bytes(*number, text) }
        });
        let _ = decode(&[1], &all.collect::<Vec<_>>().concat());
    }
}
