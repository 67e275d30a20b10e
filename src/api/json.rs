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

/// How many values a value is, those within it included.
pub fn count(value: &Json) -> usize {
    1 + match value {
        Json::Array(items) => items.iter().map(count).sum(),
        Json::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
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

/// `"2024-06-01"`. Without `fmt`, which costs several times as much.
pub fn date(out: &mut Vec<u8>, date: Date) {
    out.push(b'"');
    calendar(out, date);
    out.push(b'"');
}

/// `"2024-06-01T12:30:00.25Z"`: without zeros at the fraction's end.
pub fn instant(out: &mut Vec<u8>, instant: Instant) {
    let (day, second) = (instant.seconds.div_euclid(86_400), instant.seconds.rem_euclid(86_400) as u32);
    out.push(b'"');
    calendar(out, Date(day as i32));
    for (mark, number) in [(b'T', second / 3600), (b':', second / 60 % 60), (b':', second % 60)] {
        out.push(mark);
        two(out, number);
    }
    if instant.nanos > 0 {
        let (mut nanos, mut digits) = (instant.nanos, 9);
        while nanos.is_multiple_of(10) {
            (nanos, digits) = (nanos / 10, digits - 1);
        }
        out.push(b'.');
        let digit = |place: u32| b'0' + (nanos / 10u32.pow(place) % 10) as u8;
        out.extend((0..digits).rev().map(digit));
    }
    out.extend_from_slice(b"Z\"");
}

fn calendar(out: &mut Vec<u8>, date: Date) {
    let (year, month, day) = date.calendar();
    two(out, year / 100);
    two(out, year % 100);
    out.push(b'-');
    two(out, month);
    out.push(b'-');
    two(out, day);
}

fn two(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&[b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dates_and_instants_are_written_as_they_are_shown(
            days in -719_528..=2_932_896i32, seconds in -62_167_219_200..=253_402_300_799i64, nanos in 0..1_000_000_000u32,
            zeros in 0..=9u32,
        ) {
            let nanos = nanos / 10u32.pow(zeros) * 10u32.pow(zeros);
            let mut out = Vec::new();
            date(&mut out, Date(days));
            instant(&mut out, Instant { seconds, nanos });
            let shown = format!("\"{}\"\"{}\"", Date(days), Instant { seconds, nanos });
            prop_assert_eq!(String::from_utf8(out).unwrap(), shown);
        }
    }
}
