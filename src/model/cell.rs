//! A field's value, borrowed from where it lies: a record of the graph, an event, a literal. And its packed form.

use std::cmp::Ordering;

use super::value::{Date, GeoPoint, Instant, Money, Value};
use crate::ids::Slot;

/// One field's value. `Null` is both "cleared" and "never set".
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Boolean(bool),
    /// `Int` and `Long`.
    Int(i64),
    Float(f64),
    /// `String` and `ID`; in an event also the key that a link names.
    String(&'a str),
    Date(Date),
    DateTime(Instant),
    Money(Money),
    GeoPoint(GeoPoint),
    /// `Money`'s currency as a rule reads it; orders among texts.
    Currency([u8; 3]),
    /// The place of the value in its enum's declaration.
    Enum(u16),
    /// A link's target: a slot of the graph. Only the graph makes these.
    Link(Slot),
    List(List<'a>),
    /// JSON as text.
    Json(&'a str),
}

/// A list's items, packed one after another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct List<'a>(&'a [u8]);

impl<'a> Cell<'a> {
    pub fn is_null(self) -> bool {
        matches!(self, Cell::Null)
    }

    /// The order of sorting and of `gt`, `lt`: strings by code points, enums as declared, `Money` by currency, then
    /// amount; nulls last. `None` where two values have no order (lists, JSON, points, values of different kinds).
    pub fn compare(self, other: Cell<'_>) -> Option<Ordering> {
        use Cell::*;
        Some(match (self, other) {
            (Null, Null) => Ordering::Equal,
            (Null, _) => Ordering::Greater,
            (_, Null) => Ordering::Less,
            (Boolean(a), Boolean(b)) => a.cmp(&b),
            (Int(a), Int(b)) => a.cmp(&b),
            (Float(a), Float(b)) => a.partial_cmp(&b)?,
            (String(a), String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Date(a), Date(b)) => a.cmp(&b),
            (DateTime(a), DateTime(b)) => a.cmp(&b),
            (Money(a), Money(b)) => (a.currency, a.minor).cmp(&(b.currency, b.minor)),
            (Enum(a), Enum(b)) => a.cmp(&b),
            (Currency(a), Currency(b)) => a.cmp(&b),
            (Currency(a), String(b)) => a[..].cmp(b.as_bytes()),
            (String(a), Currency(b)) => a.as_bytes().cmp(&b[..]),
            _ => return None,
        })
    }

    pub fn to_value(self) -> Value {
        match self {
            Cell::Null => Value::Null,
            Cell::Boolean(value) => Value::Boolean(value),
            Cell::Int(value) => Value::Int(value),
            Cell::Float(value) => Value::Float(value),
            Cell::String(value) => Value::String(value.into()),
            Cell::Date(value) => Value::Date(value),
            Cell::DateTime(value) => Value::DateTime(value),
            Cell::Money(value) => Value::Money(value),
            Cell::GeoPoint(value) => Value::GeoPoint(value),
            Cell::Currency(code) => Value::String(std::str::from_utf8(&code).unwrap_or("XXX").into()),
            Cell::Enum(value) => Value::Enum(value),
            Cell::Link(value) => Value::Link(value),
            Cell::List(List(bytes)) => Value::List(bytes.into()),
            Cell::Json(text) => Value::Json(text.into()),
        }
    }

    /// Appends the packed form: a byte that names the kind, then what it holds.
    pub fn pack(self, out: &mut Vec<u8>) {
        let mut put = |tag: u8, parts: &[&[u8]]| {
            out.push(tag);
            parts.iter().for_each(|part| out.extend_from_slice(part));
        };
        let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
        match self {
            Cell::Null => put(0, &[]),
            Cell::Boolean(value) => put(1, &[&[u8::from(value)]]),
            Cell::Int(value) => put(2, &[&value.to_le_bytes()]),
            Cell::Float(value) => put(3, &[&value.to_bits().to_le_bytes()]),
            Cell::String(text) => put(4, &[&length(text.as_bytes()), text.as_bytes()]),
            Cell::Date(value) => put(5, &[&value.0.to_le_bytes()]),
            Cell::DateTime(value) => put(6, &[&value.seconds.to_le_bytes(), &value.nanos.to_le_bytes()]),
            Cell::Money(value) => put(7, &[&value.minor.to_le_bytes(), &value.currency]),
            Cell::GeoPoint(value) => put(8, &[&value.lat.to_bits().to_le_bytes(), &value.lon.to_bits().to_le_bytes()]),
            Cell::Currency(code) => put(4, &[&length(&code), &code]),
            Cell::Enum(value) => put(9, &[&value.to_le_bytes()]),
            Cell::Link(Slot(value)) => put(10, &[&value.to_le_bytes()]),
            Cell::List(List(bytes)) => put(11, &[&length(bytes), bytes]),
            Cell::Json(text) => put(12, &[&length(text.as_bytes()), text.as_bytes()]),
        }
    }

    /// Reads a packed value off the front; `None` where there is none.
    pub fn unpack(bytes: &mut &'a [u8]) -> Option<Cell<'a>> {
        let (tag, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(match tag {
            0 => Cell::Null,
            1 => Cell::Boolean(take::<1>(bytes)?[0] != 0),
            2 => Cell::Int(i64::from_le_bytes(take(bytes)?)),
            3 => Cell::Float(f64::from_bits(u64::from_le_bytes(take(bytes)?))),
            4 => Cell::String(std::str::from_utf8(take_long(bytes)?).ok()?),
            5 => Cell::Date(Date(i32::from_le_bytes(take(bytes)?))),
            6 => Cell::DateTime(Instant {
                seconds: i64::from_le_bytes(take(bytes)?),
                nanos: u32::from_le_bytes(take(bytes)?),
            }),
            7 => Cell::Money(Money { minor: i64::from_le_bytes(take(bytes)?), currency: take(bytes)? }),
            8 => Cell::GeoPoint(GeoPoint {
                lat: f64::from_bits(u64::from_le_bytes(take(bytes)?)),
                lon: f64::from_bits(u64::from_le_bytes(take(bytes)?)),
            }),
            9 => Cell::Enum(u16::from_le_bytes(take(bytes)?)),
            10 => Cell::Link(Slot(u32::from_le_bytes(take(bytes)?))),
            11 => Cell::List(List(take_long(bytes)?)),
            12 => Cell::Json(std::str::from_utf8(take_long(bytes)?).ok()?),
            _ => return None,
        })
    }
}

fn take<const LENGTH: usize>(bytes: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

fn take_long<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(take(bytes)?) as usize;
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

impl<'a> List<'a> {
    /// The list whose items were packed into these bytes.
    pub fn of(bytes: &'a [u8]) -> List<'a> {
        List(bytes)
    }

    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    pub fn iter(self) -> impl Iterator<Item = Cell<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || Cell::unpack(&mut rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let mut items = Vec::new();
        Cell::String("Wifi").pack(&mut items);
        Cell::String("").pack(&mut items);
        let cells = [
            Cell::Null,
            Cell::Boolean(true),
            Cell::Int(i64::MIN),
            Cell::Float(-0.5),
            Cell::String("Köln"),
            Cell::Date(Date(-719_528)),
            Cell::DateTime(Instant { seconds: 253_402_300_799, nanos: 999_999_999 }),
            Cell::Money(Money { minor: -1, currency: *b"SGD" }),
            Cell::GeoPoint(GeoPoint { lat: 1.25, lon: -103.5 }),
            Cell::Enum(7),
            Cell::Link(Slot::MAX),
            Cell::List(List::of(&items)),
            Cell::Json("{\"a\":1}"),
        ];
        let mut packed = Vec::new();
        cells.iter().for_each(|cell| cell.pack(&mut packed));
        assert!(List::of(&packed).iter().eq(cells));
        assert!(cells.iter().all(|cell| cell.to_value().cell() == *cell));
        let mut cut = &packed[..packed.len() - 1];
        assert_eq!(std::iter::from_fn(|| Cell::unpack(&mut cut)).count(), cells.len() - 1);
    }
}
