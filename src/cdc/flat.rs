//! Rows as Debezium's `ExtractNewRecordState` leaves them: the columns side by side, and in members or headers whose names begin with
//! `__` what it was told to add of the change.

use jaq_json::Val;

use super::json::{members, payload, string, text};

/// What it may add: members of an envelope, of its `source` and of its `transaction`. A column of the row's own that begins with `__`
/// has another name.
const ADDED: [&str; 50] = [
    "op",
    "deleted",
    "ts_ms",
    "ts_us",
    "ts_ns",
    "version",
    "connector",
    "name",
    "snapshot",
    "db",
    "sequence",
    "schema",
    "table",
    "collection",
    "txId",
    "lsn",
    "xmin",
    "origin",
    "server_id",
    "gtid",
    "file",
    "pos",
    "row",
    "thread",
    "query",
    "scn",
    "commit_scn",
    "lcr_position",
    "rs_id",
    "ssn",
    "redo_thread",
    "user_name",
    "redo_sql",
    "row_id",
    "start_scn",
    "start_ts_ms",
    "commit_ts_ms",
    "change_lsn",
    "commit_lsn",
    "event_serial_no",
    "ord",
    "lsid",
    "txnNumber",
    "rs",
    "wallTime",
    "keyspace_name",
    "id",
    "total_order",
    "data_collection_order",
    "lsn_commit",
];
/// Of these, what a row may well have of its own, and which alone do not make it one of the transform's.
const USUAL: [&str; 14] = [
    "version",
    "name",
    "schema",
    "table",
    "id",
    "row",
    "query",
    "origin",
    "thread",
    "file",
    "pos",
    "snapshot",
    "user_name",
    "sequence",
];

/// What a row was, flattened.
pub struct Flat<'v> {
    pub columns: Vec<(&'v str, Val)>,
    pub source: Vec<(&'v str, Val)>,
    pub op: String,
}

/// The name that an added member has without the transform's prefix, and without that of the part that it is from.
fn added(name: &str) -> Option<&str> {
    let name = name.strip_prefix("__")?;
    let (name, is_told) = match name.strip_prefix("source_").or_else(|| name.strip_prefix("source.")) {
        Some(name) => (name, true),
        None => (name, false),
    };
    // A connector may well know more of a source than is listed.
    let is_of_transaction = || {
        let rest = name.strip_prefix("transaction_").or_else(|| name.strip_prefix("transaction."));
        rest.is_some_and(|rest| ADDED.contains(&rest))
    };
    (is_told || ADDED.contains(&name) || is_of_transaction()).then_some(name)
}

/// Whether a member is one that the transform alone writes.
fn is_mark(name: &str, value: &Val) -> bool {
    match added(name) {
        Some("op") => text(value).is_some_and(|op| ["c", "u", "d", "r", "t"].contains(&op)),
        Some("deleted") => matches!(value, Val::Bool(_)) || matches!(text(value), Some("true" | "false")),
        Some(short) => !USUAL.contains(&short) || name.len() > short.len() + 2,
        None => false,
    }
}

/// Headers as members.
fn of_headers<'h>(headers: &[(&'h str, Option<&[u8]>)]) -> Vec<(&'h str, Val)> {
    let named = headers.iter().filter(|(name, _)| added(name).is_some());
    let read = named.filter_map(|(name, value)| {
        let value = (*value)?;
        Some((*name, payload(value).ok().or_else(|| std::str::from_utf8(value).ok().map(string))?))
    });
    read.collect()
}

/// Whether a message is a flattened row for certain.
pub fn is_marked(row: &Val, headers: &[(&str, Option<&[u8]>)]) -> bool {
    members(row).any(|(name, value)| is_mark(name, value))
        || of_headers(headers).iter().any(|(name, value)| is_mark(name, value))
}

/// Reads a row: what was added of it is taken out where the transform left a mark, and all others are columns.
pub fn read<'v>(row: &'v Val, headers: &[(&'v str, Option<&[u8]>)]) -> Flat<'v> {
    let is_marked = is_marked(row, headers);
    let (mut columns, mut source, mut about) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in members(row) {
        match added(name).filter(|_| is_marked) {
            None => columns.push((name, value.clone())),
            Some(short) => about.push((short, value.clone())),
        }
    }
    if is_marked {
        let short = |(name, value): (&'v str, Val)| Some((added(name)?, value));
        about.extend(of_headers(headers).into_iter().filter_map(short));
    }
    let (mut op, mut is_deleted) = (None, false);
    for (name, value) in about {
        match name {
            "op" => op = text(&value).map(str::to_owned),
            "deleted" => is_deleted = text(&value) == Some("true") || value == Val::Bool(true),
            _ => source.push((name, value)),
        }
    }
    let op = if is_deleted { "d".to_owned() } else { op.unwrap_or_else(|| "u".to_owned()) };
    Flat { columns, source, op }
}
