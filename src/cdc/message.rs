//! What a message is: a change of a row in any of Debezium's forms, an event that is one already, or what is neither.

use std::borrow::Cow;

use jaq_json::Val;

use super::commit::{Logged, Place, place};
use super::flat::{self, Flat};
use super::json::{self, get, get_text, is_object, members, object, payload, string, text, unwrapped};
use super::row::{self, Unavailable};
use super::transaction::part;
use crate::event::Part;

/// A record of a log.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub key: Option<&'a [u8]>,
    /// None for a tombstone.
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    pub logged: Logged,
}

/// What a change did to a row. The words are Debezium's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Create,
    Update,
    Delete,
    /// A snapshot read it.
    Read,
}

impl Op {
    fn parse(word: &str) -> Option<Op> {
        match word {
            "c" => Some(Op::Create),
            "u" => Some(Op::Update),
            "d" => Some(Op::Delete),
            "r" => Some(Op::Read),
            _ => None,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Op::Create => "c",
            Op::Update => "u",
            Op::Delete => "d",
            Op::Read => "r",
        }
    }
}

/// A row's change. Columns that were not sent are not in it.
#[derive(Clone, Debug)]
pub struct Change {
    pub op: Op,
    pub key: Val,
    pub before: Val,
    pub after: Val,
    pub source: Val,
    /// The record's, by name.
    pub headers: Val,
    pub place: Place,
    pub part: Option<Part>,
}

/// What a topic of changes holds beside changes, and a graph has no use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skipped {
    Tombstone,
    Null,
    Heartbeat,
    Transaction,
    SchemaChange,
    Signal,
    Notification,
    LogicalMessage,
}

impl Skipped {
    pub const ALL: [Skipped; 8] = [
        Skipped::Tombstone,
        Skipped::Null,
        Skipped::Heartbeat,
        Skipped::Transaction,
        Skipped::SchemaChange,
        Skipped::Signal,
        Skipped::Notification,
        Skipped::LogicalMessage,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Skipped::Tombstone => "tombstone",
            Skipped::Null => "null",
            Skipped::Heartbeat => "heartbeat",
            Skipped::Transaction => "transaction",
            Skipped::SchemaChange => "schema_change",
            Skipped::Signal => "signal",
            Skipped::Notification => "notification",
            Skipped::LogicalMessage => "logical_message",
        }
    }
}

/// What a message was recognised as.
#[derive(Clone, Debug)]
pub enum Recognised<'a> {
    Change(Box<Change>),
    /// An event in CloudEvents' structured JSON.
    Event(Cow<'a, [u8]>),
    Truncate {
        source: Val,
        place: Place,
        part: Option<Part>,
    },
    Skipped(Skipped),
}

/// Why a message is nothing of the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    Json(String),
    /// A field, and what is wrong.
    Shape(&'static str, &'static str),
}

/// Recognises a message of a topic that carries a table. What is certain comes before what looks like something.
pub fn recognise<'a>(
    message: &Message<'a>,
    topic: &str,
    unavailable: &Unavailable,
) -> Result<Recognised<'a>, Unreadable> {
    let reading = Reading { message, topic, unavailable };
    // Debezium's router of outboxes writes it on every record, and on those without a payload: a tombstone has none.
    let is_routed = message.headers.iter().any(|(name, value)| *name == "id" && value.is_some());
    let Some(bytes) = message.value else {
        return if is_routed { reading.routed(Val::Null) } else { Ok(Recognised::Skipped(Skipped::Tombstone)) };
    };
    let value = payload(bytes).map_err(Unreadable::Json)?;
    if let Some(event) = text(&value) {
        // The outbox's payload, as its column has it.
        let inner = json::read(event.as_bytes());
        return match inner {
            Ok(inner) if is_routed && get(&inner, "specversion").is_none() => reading.routed(inner),
            Err(_) if is_routed => reading.routed(value.clone()),
            _ => Ok(Recognised::Event(event.as_bytes().to_vec().into())),
        };
    }
    if matches!(value, Val::Null) {
        return if is_routed { reading.routed(value) } else { Ok(Recognised::Skipped(Skipped::Null)) };
    }
    if !is_object(&value) {
        return Err(Unreadable::Shape("", "it is neither a change of a row nor an event: no JSON object"));
    }
    let has = |name: &str| get(&value, name).is_some();
    let source = get(&value, "source").filter(|source| is_object(source));
    let is_certain =
        get_text(&value, "op").is_some() && source.is_some_and(|source| get(source, "connector").is_some());
    if !is_certain && flat::is_marked(&value, message.headers) {
        return reading.flattened(&value);
    }
    if has("specversion") {
        if has("iodebeziumop") {
            return reading.cloud_event(&value);
        }
        return Ok(Recognised::Event(bytes_of(&value, bytes)));
    }
    if let Some(skipped) = aside(&value) {
        return Ok(Recognised::Skipped(skipped));
    }
    if get_text(&value, "op").is_some() && (source.is_some() || has("after")) {
        let source = get(&value, "source").cloned().unwrap_or_else(|| object([]));
        return reading.change(&value, &value, source);
    }
    reading.flattened(&value)
}

/// The event of an outbox's record in a topic without a mapping, where it is wrapped: as a JSON text, or with a schema.
pub fn outbox(bytes: &[u8]) -> Option<Vec<u8>> {
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
    if bytes[start] != b'"' && !bytes[start..].starts_with(b"{\"schema\"") {
        return None;
    }
    let value = json::read(bytes).ok()?;
    let inner = unwrapped(value.clone());
    match text(&inner) {
        Some(event) => Some(event.as_bytes().to_vec()),
        None if is_object(&inner) && inner != value => {
            let mut out = Vec::new();
            json::write(&inner, &mut out).ok()?;
            Some(out)
        }
        None => None,
    }
}

/// The bytes of an event: those that came, or of what was unwrapped.
fn bytes_of<'a>(value: &Val, bytes: &'a [u8]) -> Cow<'a, [u8]> {
    let is_wrapped = json::read(bytes).is_ok_and(|whole| get(&whole, "payload").is_some());
    let mut out = Vec::new();
    match is_wrapped && json::write(value, &mut out).is_ok() {
        true => out.into(),
        false => bytes.into(),
    }
}

/// What stands in topics beside changes, told by its members.
fn aside(value: &Val) -> Option<Skipped> {
    let has = |name: &str| get(value, name).is_some();
    let is_text = |name: &str| get_text(value, name).is_some();
    if matches!(get_text(value, "status"), Some("BEGIN" | "END")) && is_text("id") && has("event_count") {
        return Some(Skipped::Transaction);
    }
    if has("tableChanges") || has("historyRecord") || has("ddl") && has("databaseName") {
        return Some(Skipped::SchemaChange);
    }
    if has("ts_ms") && members(value).all(|(name, _)| ["ts_ms", "ts_us", "ts_ns"].contains(&name)) {
        return Some(Skipped::Heartbeat);
    }
    if is_text("aggregate_type") && is_text("type") && (has("additional_data") || has("timestamp")) {
        return Some(Skipped::Notification);
    }
    const ACTIONS: [&str; 6] = [
        "execute-snapshot",
        "stop-snapshot",
        "pause-snapshot",
        "resume-snapshot",
        "set-binlog-position",
        "schema-changes",
    ];
    let is_action = get_text(value, "type").is_some_and(|action| ACTIONS.contains(&action));
    if has("data-collections") || is_action && members(value).all(|(name, _)| ["id", "type", "data"].contains(&name)) {
        return Some(Skipped::Signal);
    }
    None
}

/// A message that is being read.
#[derive(Clone, Copy)]
struct Reading<'r, 'a> {
    message: &'r Message<'a>,
    topic: &'r str,
    unavailable: &'r Unavailable,
}

impl Reading<'_, '_> {
    /// A change of a row whose images stand in `images`, and what is said of the change in `about`.
    fn change(self, images: &Val, about: &Val, source: Val) -> Result<Recognised<'static>, Unreadable> {
        let logged = self.message.logged;
        let op = match get_text(about, "op") {
            Some("t") => {
                let place = place(&source, about, false, logged);
                // Elsewhere it is a transaction of its own, of which no end is told.
                let part = part(about, &source).filter(|_| get_text(&source, "connector") == Some("postgresql"));
                return Ok(Recognised::Truncate { source, place, part });
            }
            Some("m") => return Ok(Recognised::Skipped(Skipped::LogicalMessage)),
            word => word.and_then(Op::parse).ok_or(Unreadable::Shape("op", "it is no operation that Debezium has"))?,
        };
        let key = key(self.message);
        let sent = |row| self.unavailable.sent(row);
        let image = |name: &'static str| match get(images, name) {
            None | Some(Val::Null) => Ok(Val::Null),
            Some(row @ Val::Obj(_)) => Ok(sent(row.clone())),
            // MongoDB's documents are texts.
            Some(row) => {
                let document = text(row).and_then(|text| json::read(text.as_bytes()).ok()).filter(is_object);
                document.map(sent).ok_or(Unreadable::Shape(name, "it is no row"))
            }
        };
        let (mut before, after) = (image("before")?, image("after")?);
        if op == Op::Delete {
            before = row::deleted(before, &key, &source);
        } else if !is_object(&after) {
            return Err(Unreadable::Shape("after", "a change that is no deletion has the row as it is now"));
        }
        let place = place(&source, about, op == Op::Read, logged);
        let (part, headers) = (part(about, &source), headers(self.message));
        Ok(Recognised::Change(Box::new(Change { op, key, before, after, source, headers, place, part })))
    }

    /// An outbox's record: its payload, or null where that is empty. What it is of, key and headers say.
    fn routed(self, payload: Val) -> Result<Recognised<'static>, Unreadable> {
        let source = named(Vec::new(), self.topic);
        let place = place(&source, &Val::Null, false, self.message.logged);
        let (key, headers) = (key(self.message), headers(self.message));
        let change =
            Change { op: Op::Create, key, before: Val::Null, after: payload, source, headers, place, part: None };
        Ok(Recognised::Change(Box::new(change)))
    }

    /// A row as Debezium's `ExtractNewRecordState` leaves it: its columns, and what is said of the change beside.
    fn flattened(self, row: &Val) -> Result<Recognised<'static>, Unreadable> {
        let Flat { columns, source, op } = flat::read(row, self.message.headers);
        if columns.is_empty() {
            return Err(Unreadable::Shape(
                "",
                "it is neither a change of a row nor an event: an object without members",
            ));
        }
        let image = if op == "d" { "before" } else { "after" };
        let images = object([(image, object(columns))]);
        self.change(&images, &object([("op", string(&op))]), named(source, self.topic))
    }

    /// A change in the form of Debezium's converter for CloudEvents: the row in `data`, its source in extensions.
    fn cloud_event(self, event: &Val) -> Result<Recognised<'static>, Unreadable> {
        let data = get(event, "data").cloned().map(unwrapped).unwrap_or(Val::Null);
        if !is_object(&data) {
            return Err(Unreadable::Shape("data", "it is no JSON object: have the connector write `data` as JSON"));
        }
        // Extensions have no capitals and no underscores.
        const NAMES: [(&str, &str); 13] = [
            ("tsms", "ts_ms"),
            ("tsus", "ts_us"),
            ("tsns", "ts_ns"),
            ("changelsn", "change_lsn"),
            ("commitlsn", "commit_lsn"),
            ("eventserialno", "event_serial_no"),
            ("commitscn", "commit_scn"),
            ("rsid", "rs_id"),
            ("serverid", "server_id"),
            ("lcrposition", "lcr_position"),
            ("txid", "txId"),
            ("usertsms", "user_ts_ms"),
            ("replicaset", "rs"),
        ];
        let mut source = Vec::new();
        let mut about = Vec::new();
        for (name, value) in members(event) {
            let Some(name) = name.strip_prefix("iodebezium") else { continue };
            let name = NAMES.iter().find(|(squeezed, _)| *squeezed == name).map_or(name, |(_, name)| *name);
            if name == "op" {
                about.push(("op", value.clone()));
            } else if !matches!(value, Val::Null) && (!name.starts_with("tx") || name == "txId") {
                source.retain(|(known, _)| *known != name);
                source.push((name, value.clone()));
            }
        }
        // Beside it, `txId` is the source's own, which some versions write without a capital too.
        if let (Some(id), Some(order)) = (get(event, "iodebeziumtxid"), get(event, "iodebeziumtxtotalorder")) {
            about.push(("transaction", object([("id", id.clone()), ("total_order", order.clone())])));
        }
        let is_row = get(&data, "before").is_none() && get(&data, "after").is_none();
        let images = if is_row { object([("after", data)]) } else { data };
        self.change(&images, &object(about), named(source, self.topic))
    }
}

/// The record's key: an object of columns, as it is or beside its schema; else the text that it is, with all of its characters. Null
/// where there is none.
fn key(message: &Message<'_>) -> Val {
    let Some(bytes) = message.key else { return Val::Null };
    let as_text = || std::str::from_utf8(bytes).map_or(Val::Null, string);
    match json::read(bytes) {
        // A number that a schema stands beside was no text.
        Ok(key @ Val::Obj(_)) => unwrapped(key),
        Ok(key @ (Val::TStr(_) | Val::Null)) => key,
        _ => as_text(),
    }
}

/// The record's headers by name, the last of a name. A value that is no UTF-8 is `{"base64": …}`.
fn headers(message: &Message<'_>) -> Val {
    let value = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => string(text),
        Err(_) => object([("base64", string(&row::base64(bytes)))]),
    };
    object(message.headers.iter().map(|(name, bytes)| (*name, bytes.map_or(Val::Null, value))))
}

/// A source with its names, which a topic's name has too: `<name>.<schema>.<table>`.
fn named(mut source: Vec<(&str, Val)>, topic: &str) -> Val {
    let mut parts = topic.rsplitn(3, '.');
    for name in ["table", "schema", "name"] {
        let (part, is_known) = (parts.next(), source.iter().any(|(known, _)| *known == name));
        if let Some(part) = part.filter(|_| !is_known) {
            source.push((name, string(part)));
        }
    }
    object(source)
}
