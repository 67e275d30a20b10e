//! Transactions: which one a change is of, and where one ends.

use jaq_json::Val;

use super::json::{get, get_number, get_text, payload};
use crate::event::{Code, End, Part, Rejection, Transaction};

/// A change's place in its transaction, from its envelope, or from what a transform or a converter left of that in `source`.
pub fn part(change: &Val, source: &Val) -> Option<Part> {
    let (id, order) = match get(change, "transaction") {
        Some(block) => (get_text(block, "id")?, get_number(block, "total_order")?),
        None => (get_text(source, "transaction_id")?, get_number(source, "transaction_total_order")?),
    };
    Some(Part { transaction: named(id), order })
}

/// Reads a message of a topic that tells boundaries. None for a beginning, of which nothing follows.
pub fn end(message: &[u8]) -> Result<Option<End>, Box<Rejection>> {
    let refused = |code, field: Option<&str>, what: &str| {
        Box::new(Rejection::at(code, field.map(str::to_owned), format!("a transaction\'s boundary: {what}")))
    };
    let value = payload(message).map_err(|what| refused(Code::BadJson, None, &what))?;
    // In the form of Debezium's converter for CloudEvents it is the data.
    let value = match get(&value, "data") {
        Some(data) if get(&value, "specversion").is_some() => data.clone(),
        _ => value,
    };
    let Some(id) = get_text(&value, "id") else { return Err(refused(Code::BadEnvelope, Some("id"), "it has no id")) };
    match get_text(&value, "status") {
        Some("BEGIN") => return Ok(None),
        Some("END") => {}
        _ => return Err(refused(Code::BadEnvelope, Some("status"), "it is neither BEGIN nor END")),
    }
    let count = |collection: &Val| {
        Some((get_text(collection, "data_collection")?.into(), get_number(collection, "event_count")?))
    };
    let counts = match get(&value, "data_collections") {
        None | Some(Val::Null) => Some(Vec::new()),
        Some(Val::Arr(collections)) => collections.iter().map(count).collect(),
        Some(_) => None,
    };
    let unread =
        || refused(Code::BadEnvelope, Some("data_collections"), "it does not say how many events each table has");
    Ok(Some(End { transaction: named(id), counts: counts.ok_or_else(unread)? }))
}

/// PostgreSQL's id is the transaction's, then the LSN of the very message: only the first is of all.
fn named(id: &str) -> Transaction {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match id.split_once(':') {
        Some((transaction, lsn)) if is_number(transaction) && is_number(lsn) => Transaction::named(transaction),
        _ => Transaction::named(id),
    }
}
