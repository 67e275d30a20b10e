//! What the room promises as a whole. The judgement's messages are held by goldens, outside of it.

use std::sync::Arc;

use proptest::prelude::*;

use super::tape::{self, Tape};
use super::{Action, Batch, Buffer, Code, Decoder, OrderBy, scan, strict};
use crate::ids::{DomainId, PartitionId};
use crate::model::Model;
use crate::model::cell::Cell;
use crate::model::value::{Date, Instant, Money};

// What fuzz/ calls.
#[path = "../../fuzz/src/agree.rs"]
mod agree;
#[path = "../../fuzz/src/mutate.rs"]
mod mutate;

/// What the fuzzer begins with.
static CORPUS: [&[u8]; 18] = [
    include_bytes!("../../fuzz/corpus/events/bytes"),
    include_bytes!("../../fuzz/corpus/events/control"),
    include_bytes!("../../fuzz/corpus/events/cut"),
    include_bytes!("../../fuzz/corpus/events/deep"),
    include_bytes!("../../fuzz/corpus/events/deepest"),
    include_bytes!("../../fuzz/corpus/events/empty"),
    include_bytes!("../../fuzz/corpus/events/escapes"),
    include_bytes!("../../fuzz/corpus/events/event"),
    include_bytes!("../../fuzz/corpus/events/lone"),
    include_bytes!("../../fuzz/corpus/events/nul"),
    include_bytes!("../../fuzz/corpus/events/numbers"),
    include_bytes!("../../fuzz/corpus/events/spaces"),
    include_bytes!("../../fuzz/corpus/events/text"),
    include_bytes!("../../fuzz/corpus/events/twice"),
    include_bytes!("../../fuzz/corpus/events/two"),
    include_bytes!("../../fuzz/corpus/events/wide"),
    include_bytes!("../../fuzz/corpus/events/words"),
    include_bytes!("../../fuzz/corpus/events/zero"),
];

const MODEL: &str = r#"
type Guest @entity(domain: "guests", event: "guest", events: ["renamed"]) @check(rule: "spare >= 0") {
  name: String
  level: Int
  limit: Int
  spare: Int @derive(rule: "limit - level")
  friend: Guest @link(reverse: "friendOf")
  status: Status
  since: Date
  seenAt: DateTime @occurredAt(events: ["joined"])
  total: Money
  tags: [String!]
  extra: JSON
}
enum Status { NEW @on(events: ["joined"]) GONE }
"#;

fn decoder() -> Decoder {
    let model = Model::parse(MODEL, "guests.graphql").unwrap_or_else(|faults| panic!("{faults:?}"));
    Decoder::new(Arc::new(model), vec![OrderBy::Sequence].into(), 4096)
}

fn event(kind: &str, data: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"i","source":"/s","type":"{kind}","subject":"g","time":"2024-05-01T10:00:00Z","sequence":7,"data":{data}}}"#
    )
}

/// The patch as the model's names and what `Debug` says.
fn patch(decoder: &Decoder, batch: &Batch, index: usize) -> Vec<(String, String)> {
    let event = batch.items().nth(index).unwrap().outcome.unwrap();
    let fields = &decoder.model().entities[event.entity].fields;
    event.patch.iter().map(|(field, cell)| (fields[field].name.clone(), format!("{cell:?}"))).collect()
}

#[test]
fn an_event_lies_in_its_batch() {
    let decoder = decoder();
    let mut batch = Batch::new(PartitionId(3));
    let data = r#"{"friendId":"\u0066","since":"2024-05-01","total":{"currency":"SGD","minor":5},"tags":["a","ö"],"name":null,
        "extra":{"x" : [1, 2.50]}, "shoe size":{"eu" : 42.0}}"#;
    batch.push(&decoder, &[], 4, Instant::EPOCH, event("guest.joined", data).as_bytes());
    let item = batch.items().next().unwrap();
    let event = item.outcome.unwrap();
    assert_eq!((batch.partition, batch.next_offset, batch.len(), item.offset), (PartitionId(3), 5, 1, 4));
    assert_eq!((event.key, event.action, event.in_model), ("g", Action::Change, true));
    assert_eq!((event.envelope.version, event.envelope.sequence), (Some(7), Some("7")));
    assert_eq!(event.attributes.iter().collect::<Vec<_>>(), [("shoe size", r#"{"eu":42.0}"#)]);
    let cells: Vec<Cell<'_>> = event.patch.iter().map(|(_, cell)| cell).collect();
    let Cell::List(tags) = cells[3] else { panic!("{cells:?}") };
    assert!(tags.iter().eq([Cell::String("a"), Cell::String("ö")]));
    assert_eq!(cells[0], Cell::String("f"));
    assert_eq!(Cell::Date(Date::parse("2024-05-01").unwrap()), cells[1]);
    assert_eq!(cells[2], Cell::Money(Money { minor: 5, currency: *b"SGD" }));
    assert_eq!(cells[4..6], [Cell::Null, Cell::Json(r#"{"x":[1,2.5]}"#)]);
    // By happening, after the data.
    assert_eq!(cells[6..].len(), 2);
    assert!(cells[6..].contains(&Cell::Enum(0)) && cells[6..].contains(&Cell::DateTime(event.envelope.time)));
}

#[test]
fn an_event_judges_its_own_data_only() {
    let decoder = decoder();
    let mut batch = Batch::new(PartitionId(0));
    let bodies = [r#"{"level":5}"#, r#"{"limit":4}"#, r#"{"limit":4,"level":5}"#, r#"{"level":1,"limit":4}"#];
    for (offset, data) in bodies.iter().enumerate() {
        batch.push(&decoder, &[], offset as u64, Instant::EPOCH, event("guest.renamed", data).as_bytes());
    }
    let codes: Vec<_> = batch.items().map(|item| item.outcome.err().map(|refused| refused.rejection.code)).collect();
    assert_eq!(codes, [None, None, Some(Code::CheckFailed), None]);
    // What was refused left nothing behind.
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(patch(&decoder, &batch, 3), [named("level", "Int(1)"), named("limit", "Int(4)")]);
    let refused = batch.items().nth(2).unwrap().outcome.unwrap_err();
    assert_eq!(&*refused.bytes, event("guest.renamed", bodies[2]).as_bytes());
    batch.clear(PartitionId(1));
    assert!(batch.is_empty() && batch.items().next().is_none());
}

#[test]
fn what_every_entity_has_is_in_the_model() {
    let decoder = decoder();
    let mut buffer = Buffer::default();
    let cases = [
        ("guest.deleted", "[]", Action::Delete, true),
        ("guest.erased", "{}", Action::Erase, true),
        ("guest.merged", r#"{"into":"h"}"#, Action::Merge("h"), true),
        ("guest.left", r#"{"into":"h"}"#, Action::Change, false),
        ("guest.joined.again", "null", Action::Change, false),
    ];
    for (kind, data, action, in_model) in cases {
        let text = event(kind, data);
        let event = decoder.decode(text.as_bytes(), &[DomainId(0)], &mut buffer).unwrap();
        assert_eq!((event.action, event.in_model), (action, in_model), "{kind}");
    }
    let refused = decoder.decode(event("guest.joined", "{}").as_bytes(), &[DomainId(1)], &mut buffer).unwrap_err();
    assert_eq!((refused.code, refused.id.as_deref()), (Code::UnknownEntity, Some("i")));
}

/// JSON and what nearly is.
fn documents() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[a-c]{0,2}",
        "[ -~]{0,12}".prop_map(|text| text.replace(['"', '\\'], "")),
        "[é–😀\u{7f}\u{85}a]{0,9}",
        Just("\\\"\\\\\\/\\b\\f\\n\\r\\t".to_owned()),
        "(\\\\u[0-9a-fA-F]{4}|a){0,3}",
        Just("\\ud83d\\ude00".to_owned()),
        Just("\\u0061".to_owned()),
        "[\\\\\u{0}\u{1f}\n\"]",
    ]
    .prop_map(|text| format!("\"{text}\""));
    let number = prop_oneof![
        "-?[0-9]{1,3}",
        "-?[1-9][0-9]{16,20}",
        "-?[0-9]{1,2}(\\.[0-9]{0,17})?([eE][+-]?[0-9]{0,3})?",
        Just("-9223372036854775808".to_owned()),
        Just("18446744073709551615".to_owned()),
        Just("18446744073709551616".to_owned()),
    ];
    let word = prop_oneof!["true|false|null", "nul|truee|-|\\+1|NaN|\\{|\\]|,"];
    let space = || "[ \n\t\r]{0,2}";
    let leaf = prop_oneof![4 => text.clone(), 4 => number, 2 => word];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let item = (space(), inner.clone(), space()).prop_map(|(before, item, after)| before + &item + &after);
        let member = (space(), text.clone(), space(), item.clone())
            .prop_map(|(before, name, after, value)| format!("{before}{name}{after}:{value}"));
        prop_oneof![
            (proptest::collection::vec(item, 0..6), space())
                .prop_map(|(items, space)| { format!("[{}{space}]", items.join(",")) }),
            (proptest::collection::vec(member, 0..6), space())
                .prop_map(|(members, space)| { format!("{{{}{space}}}", members.join(",")) }),
        ]
    })
}

proptest! {
    /// What the fast way takes, the slow one takes, and reads the same; what it does not, the slow one decides.
    #[test]
    fn both_ways_onto_the_tape_agree(document in documents(), cut in any::<prop::sample::Index>(), whole in any::<bool>()) {
        let end = if whole { document.len() } else { cut.index(document.len() + 1) };
        let bytes = &document.as_bytes()[..end];
        prop_assert_eq!(agree::agree(bytes), Ok(()));
        let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
        let (mut fast, mut slow) = (Tape::default(), Tape::default());
        fast.text.push_str(text);
        // Neither deep nor wide: the fast way takes all of it that is JSON.
        prop_assert_eq!(scan::read(text, 0, &mut fast).is_some(), strict::read(bytes, &mut slow).is_ok());
    }

    /// The same of what the fuzzer begins with, and of what is like it.
    #[test]
    fn all_ways_onto_the_tape_agree(
        picks in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        edits in proptest::collection::vec(any::<mutate::Edit>(), 0..8),
    ) {
        let (one, other) = (picks.0.get(&CORPUS[..]), picks.1.get(&CORPUS[..]));
        let bytes = mutate::mutate(one, other, &edits);
        let agreed = agree::agree(&bytes);
        prop_assert!(agreed.is_ok(), "{}: {:?}", agreed.unwrap_err(), String::from_utf8_lossy(&bytes));
    }
}
