//! Values as JSON text.

use std::io::Write;

use serde_json::Value as Json;

use crate::model::cell::Cell;
use crate::model::value::{Date, Instant};
use crate::model::{Kind, Model};

/// Writes what serde writes: into memory, which does not fail.
fn put<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let _ = serde_json::to_writer(out, value);
}

pub fn value(out: &mut Vec<u8>, value: &Json) {
    put(out, value);
}

pub fn text(out: &mut Vec<u8>, text: &str) {
    put(out, text);
}

pub fn number(out: &mut Vec<u8>, number: u64) {
    put(out, &number);
}

pub fn integer(out: &mut Vec<u8>, number: i64) {
    put(out, &number);
}

pub fn float(out: &mut Vec<u8>, number: f64) {
    put(out, &number);
}

/// A field's value. Of `Money` and `GeoPoint` their parts are asked for; a link leads on.
pub fn cell(out: &mut Vec<u8>, cell: Cell<'_>, kind: &Kind, model: &Model) {
    match (cell, kind) {
        (Cell::Boolean(value), _) => put(out, &value),
        (Cell::Int(value), _) => integer(out, value),
        (Cell::Float(value), _) => float(out, value),
        (Cell::String(value), _) => text(out, value),
        (Cell::Date(value), _) => date(out, value),
        (Cell::DateTime(value), _) => instant(out, value),
        (Cell::Enum(place), Kind::Enum(index)) => {
            let name = model.enums[*index].values.get(usize::from(place)).map(|value| value.name.as_str());
            text(out, name.unwrap_or_default());
        }
        (Cell::List(items), Kind::List(item)) => {
            out.push(b'[');
            for (index, value) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                self::cell(out, value, item, model);
            }
            out.push(b']');
        }
        // As it is kept, so that a number comes out with all of its digits.
        (Cell::Json(value), _) => out.extend_from_slice(value.as_bytes()),
        (Cell::Money(value), _) => {
            let _ = write!(out, "{{\"minor\":{},\"currency\":\"{}\"}}", value.minor, value.currency());
        }
        (Cell::GeoPoint(value), _) => {
            out.extend_from_slice(b"{\"lat\":");
            float(out, value.lat);
            out.extend_from_slice(b",\"lon\":");
            float(out, value.lon);
            out.push(b'}');
        }
        (Cell::Null | Cell::Link(_) | Cell::Currency(_) | Cell::Enum(_) | Cell::List(_), _) => {
            out.extend_from_slice(b"null");
        }
    }
}

pub fn date(out: &mut Vec<u8>, date: Date) {
    let _ = write!(out, "\"{date}\"");
}

pub fn instant(out: &mut Vec<u8>, instant: Instant) {
    let _ = write!(out, "\"{instant}\"");
}
