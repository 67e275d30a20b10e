//! Where a record has what, laid out from the model at start.
//!
//! ```text
//! flags | key length | breaches | presence | fixed cells | key | varying cells | sections
//! ```
//! Fixed cells lie at an offset that the model decides, whether they are present or not; varying ones (texts, lists, JSON)
//! follow in the order of their fields, each after its length, only where present. A reference has neither breaches,
//! presence nor cells. The sections are lineage, the rules' own bytes, and, where a flag says so, what is rare.

use crate::ids::{By, EntityId, FieldId, Slot};
use crate::model::cell::{Cell, List};
use crate::model::value::{Date, GeoPoint, Instant, Money, YEAR_0000};
use crate::model::{Entity, Kind, Model};

/// How a field's value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    Boolean,
    /// 32 bits.
    Int,
    Long,
    Float,
    Date,
    /// Five bytes of seconds, four of nanoseconds: the years 0000 to 9999.
    Instant,
    /// Seven bytes of minor units, two of a currency's three letters.
    Money,
    Point,
    Enum,
    Link,
    Text,
    List,
    Json,
}

impl Storage {
    fn of(kind: &Kind) -> Storage {
        match kind {
            Kind::String | Kind::Id => Storage::Text,
            Kind::Int => Storage::Int,
            Kind::Long => Storage::Long,
            Kind::Float => Storage::Float,
            Kind::Boolean => Storage::Boolean,
            Kind::Date => Storage::Date,
            Kind::DateTime => Storage::Instant,
            Kind::Json => Storage::Json,
            Kind::Money => Storage::Money,
            Kind::GeoPoint => Storage::Point,
            Kind::Enum(_) => Storage::Enum,
            Kind::Link(_) => Storage::Link,
            Kind::List(_) => Storage::List,
        }
    }

    /// Bytes of a fixed cell; 0 where the value varies.
    pub fn width(self) -> usize {
        match self {
            Storage::Boolean => 1,
            Storage::Enum => 2,
            Storage::Int | Storage::Date | Storage::Link => 4,
            Storage::Long | Storage::Float => 8,
            Storage::Instant | Storage::Money => 9,
            Storage::Point => 16,
            Storage::Text | Storage::List | Storage::Json => 0,
        }
    }

    pub fn write(self, out: &mut [u8], cell: Cell<'_>) {
        match cell {
            Cell::Boolean(value) => out[0] = u8::from(value),
            Cell::Int(value) if self == Storage::Int => out.copy_from_slice(&(value as i32).to_le_bytes()),
            Cell::Int(value) => out.copy_from_slice(&value.to_le_bytes()),
            Cell::Float(value) => out.copy_from_slice(&value.to_bits().to_le_bytes()),
            Cell::Date(value) => out.copy_from_slice(&value.0.to_le_bytes()),
            Cell::DateTime(value) => {
                out[..5].copy_from_slice(&(value.seconds - YEAR_0000).to_le_bytes()[..5]);
                out[5..].copy_from_slice(&value.nanos.to_le_bytes());
            }
            Cell::Money(value) => {
                let letters = value.currency.iter().fold(0u16, |code, letter| code * 26 + u16::from(letter - b'A'));
                out[..7].copy_from_slice(&value.minor.to_le_bytes()[..7]);
                out[7..].copy_from_slice(&letters.to_le_bytes());
            }
            Cell::GeoPoint(value) => {
                out[..8].copy_from_slice(&value.lat.to_bits().to_le_bytes());
                out[8..].copy_from_slice(&value.lon.to_bits().to_le_bytes());
            }
            Cell::Enum(value) => out.copy_from_slice(&value.to_le_bytes()),
            Cell::Link(slot) => out.copy_from_slice(&slot.0.to_le_bytes()),
            Cell::Null | Cell::Currency(_) | Cell::String(_) | Cell::List(_) | Cell::Json(_) => {}
        }
    }

    /// Reads a fixed cell, or makes one of a varying cell's bytes.
    pub fn read(self, bytes: &[u8]) -> Cell<'_> {
        match self {
            Storage::Boolean => Cell::Boolean(bytes[0] != 0),
            Storage::Int => Cell::Int(i64::from(i32::from_le_bytes(array(bytes)))),
            Storage::Long => Cell::Int(i64::from_le_bytes(array(bytes))),
            Storage::Float => Cell::Float(f64::from_bits(u64::from_le_bytes(array(bytes)))),
            Storage::Date => Cell::Date(Date(i32::from_le_bytes(array(bytes)))),
            Storage::Instant => {
                let seconds = i64::from_le_bytes(array(&bytes[..5])) + YEAR_0000;
                Cell::DateTime(Instant { seconds, nanos: u32::from_le_bytes(array(&bytes[5..])) })
            }
            Storage::Money => {
                let letters = u16::from_le_bytes(array(&bytes[7..]));
                let letter = |divisor: u16| b'A' + (letters / divisor % 26) as u8;
                // The sign is in the seventh byte.
                let minor = (i64::from_le_bytes(array(&bytes[..7])) << 8) >> 8;
                Cell::Money(Money { minor, currency: [letter(676), letter(26), letter(1)] })
            }
            Storage::Point => Cell::GeoPoint(GeoPoint {
                lat: f64::from_bits(u64::from_le_bytes(array(&bytes[..8]))),
                lon: f64::from_bits(u64::from_le_bytes(array(&bytes[8..]))),
            }),
            Storage::Enum => Cell::Enum(u16::from_le_bytes(array(bytes))),
            Storage::Link => Cell::Link(Slot(u32::from_le_bytes(array(bytes)))),
            Storage::Text => Cell::String(std::str::from_utf8(bytes).unwrap_or_default()),
            Storage::List => Cell::List(List::of(bytes)),
            Storage::Json => Cell::Json(std::str::from_utf8(bytes).unwrap_or_default()),
        }
    }
}

/// The first bytes, zeros where there are fewer.
fn array<const LENGTH: usize>(bytes: &[u8]) -> [u8; LENGTH] {
    let mut array = [0; LENGTH];
    let length = bytes.len().min(LENGTH);
    array[..length].copy_from_slice(&bytes[..length]);
    array
}

/// One field's place.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub storage: Storage,
    /// Of a fixed cell, from the first of them; of a varying one, how many varying fields stand before it.
    pub offset: usize,
}

/// One entity's layout.
#[derive(Debug)]
pub struct Layout {
    pub places: By<FieldId, Place>,
    /// The varying fields, in order.
    pub varying: Vec<FieldId>,
    pub breach_bytes: usize,
    pub presence_bytes: usize,
    pub fixed_bytes: usize,
    /// The derived fields, each after those that it reads.
    pub derived: Vec<FieldId>,
    /// The link fields.
    pub links: Vec<FieldId>,
    /// Each field's place among the links.
    pub link_of: By<FieldId, Option<usize>>,
    /// The fields with `@index` that hold no link.
    pub indexed: Vec<FieldId>,
    /// Each field's place among the indexed.
    pub index_of: By<FieldId, Option<usize>>,
    /// The fields with `@search`.
    pub searchable: Vec<FieldId>,
}

/// Bytes before the breaches: flags and the key's length.
pub const HEAD: usize = 2;

impl Layout {
    pub fn all(model: &Model) -> By<EntityId, Layout> {
        model.entities.iter().map(Layout::of).collect()
    }

    fn of(entity: &Entity) -> Layout {
        let mut places = By::default();
        let (mut fixed_bytes, mut varying) = (0, Vec::new());
        for (id, field) in entity.fields.entries() {
            let storage = Storage::of(&field.kind);
            let offset = if storage.width() == 0 { varying.len() } else { fixed_bytes };
            if storage.width() == 0 {
                varying.push(id);
            }
            fixed_bytes += storage.width();
            places.push(Place { storage, offset });
        }
        let those = |wanted: fn(&crate::model::Field) -> bool| -> Vec<FieldId> {
            entity.fields.ids().filter(|field| wanted(&entity.fields[*field])).collect()
        };
        let links = those(|field| field.kind.link().is_some());
        let indexed = those(|field| field.indexed && super::index::can_index(&field.kind));
        let among = |list: &[FieldId]| -> By<FieldId, Option<usize>> {
            entity.fields.ids().map(|field| list.iter().position(|known| *known == field)).collect()
        };
        let mut derived = Vec::new();
        for field in those(|field| field.derived.is_some()) {
            order_derived(entity, field, &mut derived);
        }
        Layout {
            places,
            varying,
            breach_bytes: entity.checks.len().div_ceil(8),
            presence_bytes: entity.fields.len().div_ceil(8),
            fixed_bytes,
            derived,
            link_of: among(&links),
            links,
            index_of: among(&indexed),
            indexed,
            searchable: those(|field| field.searchable),
        }
    }

    /// Bytes of a whole record before its key.
    pub fn fixed_end(&self) -> usize {
        HEAD + self.breach_bytes + self.presence_bytes + self.fixed_bytes
    }
}

/// The model refuses circles, so this ends.
fn order_derived(entity: &Entity, field: FieldId, derived: &mut Vec<FieldId>) {
    let Some(rule) = &entity.fields[field].derived else { return };
    if derived.contains(&field) {
        return;
    }
    rule.fields.iter().for_each(|read| order_derived(entity, *read, derived));
    derived.push(field);
}
