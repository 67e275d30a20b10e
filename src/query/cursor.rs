//! Cursors: the sort key of an edge, so that a page survives inserts. One whose order is by personal data is sealed.

use aes_gcm_siv::aead::{Aead, KeyInit};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};

use super::{Order, QueryError, Reading, Term};
use crate::graph::Node;
use crate::model::cell::Cell;
use crate::model::value::{Date, Instant, LONG_MAX, Money, Value};

/// Seals personal sort keys. AES-GCM-SIV, because equal cursors must be equal texts: its nonce may repeat (RFC 8452).
#[derive(Clone)]
pub struct Seal(Aes256GcmSiv);

const NONCE: [u8; 12] = *b"staygraph v1";

impl Seal {
    pub fn new(secret: &[u8; 32]) -> Seal {
        Seal(Aes256GcmSiv::new(secret.into()))
    }

    fn close(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(&Nonce::from(NONCE), text).ok()
    }

    fn open(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(&Nonce::from(NONCE), bytes).ok()
    }
}

/// The place of an edge.
#[derive(Debug, PartialEq)]
pub struct Cursor {
    pub values: Vec<Value>,
    pub key: String,
}

pub fn write(reading: &Reading, order: &Order, node: &Node<'_>, seal: &Seal) -> String {
    // The key follows anyway.
    let is_key = |term: &Term| term.links.is_empty() && term.field.is_none();
    let value = |term: &Term| if is_key(term) { Json::Null } else { term.look(reading, node, to_json) };
    let values: Vec<Json> = order.terms.iter().map(value).collect();
    let text = json!([order.signature, values, node.key()]).to_string();
    match order.personal {
        true => format!("s{}", URL_SAFE_NO_PAD.encode(seal.close(text.as_bytes()).unwrap_or_default())),
        false => format!("p{}", URL_SAFE_NO_PAD.encode(text)),
    }
}

/// Reads a cursor of the same order. The error says whether it is none at all or another order's.
pub fn read(text: &str, order: &Order, seal: &Seal) -> Result<Cursor, QueryError> {
    let none =
        || QueryError::bad_input("the cursor is none of this service's: take it from an edge or from `pageInfo`");
    let bytes = URL_SAFE_NO_PAD.decode(text.get(1..).ok_or_else(none)?).map_err(|_| none())?;
    let bytes = match (text.as_bytes()[0], order.personal) {
        (b's', _) => seal.open(&bytes).ok_or_else(none)?,
        (b'p', false) => bytes,
        (b'p', true) => return Err(other_order()),
        _ => return Err(none()),
    };
    let (signature, values, key): (String, Vec<Json>, String) = serde_json::from_slice(&bytes).map_err(|_| none())?;
    if signature != order.signature || values.len() != order.terms.len() {
        return Err(other_order());
    }
    Ok(Cursor { values: values.iter().map(|value| from_json(value).ok_or_else(none)).collect::<Result<_, _>>()?, key })
}

fn other_order() -> QueryError {
    QueryError::bad_input(
        "the cursor is of another list or another order: page on with the `orderBy` that it came from",
    )
}

/// Each kind of value under a letter of its own, so that it comes back as what it was.
fn to_json(value: Cell<'_>) -> Json {
    match value {
        Cell::Boolean(value) => json!({ "b": value }),
        Cell::Int(value) => json!({ "i": value }),
        Cell::Float(value) => json!({ "f": value.to_bits() }),
        Cell::String(value) => json!({ "s": value }),
        Cell::Date(value) => json!({ "d": value.0 }),
        Cell::DateTime(value) => json!({ "t": [value.seconds, value.nanos] }),
        Cell::Money(value) => json!({ "m": [value.currency(), value.minor] }),
        Cell::Enum(value) => json!({ "e": value }),
        _ => Json::Null,
    }
}

/// The days and seconds of the years 0000 to 9999, from 1970 on.
const DAYS: std::ops::RangeInclusive<i32> = -719_528..=2_932_896;
const SECONDS: std::ops::RangeInclusive<i64> = -719_528 * 86_400..=2_932_897 * 86_400 - 1;

/// A value that some field may have: what is forged is none.
fn from_json(value: &Json) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    let (kind, value) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "b" => Value::Boolean(value.as_bool()?),
        "i" => Value::Int(value.as_i64()?),
        "f" => Value::Float(f64::from_bits(value.as_u64()?)),
        "s" => Value::String(value.as_str()?.into()),
        "d" => Value::Date(Date(i32::try_from(value.as_i64()?).ok().filter(|days| DAYS.contains(days))?)),
        "t" => Value::DateTime(Instant {
            seconds: value.get(0)?.as_i64().filter(|seconds| SECONDS.contains(seconds))?,
            nanos: u32::try_from(value.get(1)?.as_u64()?).ok().filter(|nanos| *nanos < 1_000_000_000)?,
        }),
        "m" => {
            let currency: [u8; 3] = value.get(0)?.as_str()?.as_bytes().try_into().ok()?;
            let minor = value.get(1)?.as_i64().filter(|minor| (-LONG_MAX..=LONG_MAX).contains(minor))?;
            currency.iter().all(u8::is_ascii_uppercase).then_some(Value::Money(Money { minor, currency }))?
        }
        "e" => Value::Enum(u16::try_from(value.as_u64()?).ok()?),
        _ => return None,
    })
}
