//! Where a record that prost refused is wrong: prost decodes a message of any schema without saying in which field it
//! gave up. Only what was refused is walked here.

use prost_reflect::{Cardinality, Kind};

use super::{Content, Field, Schema};
use crate::encoding::fault::{Fault, Fit};

/// As deep as prost goes.
const DEPTH_MAX: usize = 100;

/// The first fault in a message's bytes. Groups, and what is in maps, are not looked into.
pub(super) fn locate(schema: &Schema, place: usize, mut bytes: &[u8], depth: usize) -> Fit {
    if depth > DEPTH_MAX {
        return Err(Fault::new(format!("messages are nested more than {DEPTH_MAX} deep")));
    }
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let field = schema.messages[place].fields.iter().find(|field| u64::from(field.descriptor.number()) == key >> 3);
        let value = value(key & 7, &mut bytes);
        let Some(field) = field else {
            if value?.is_none() {
                return Ok(());
            }
            continue;
        };
        let judged = value.and_then(|value| match value {
            Some(value) => judge(schema, field, key & 7, value, depth).map(|()| true),
            None => Ok(false),
        });
        if !judged.map_err(|fault| fault.within(&field.name))? {
            return Ok(());
        }
    }
    Ok(())
}

/// A field's bytes by their wire type; `None` for a group.
fn value<'a>(wire: u64, bytes: &mut &'a [u8]) -> Fit<Option<&'a [u8]>> {
    let length = match wire {
        0 => {
            varint(bytes)?;
            0
        }
        1 => 8,
        2 => varint(bytes)?,
        3 | 4 => return Ok(None),
        5 => 4,
        _ => return Err(Fault::new("the bytes have a wire type that does not exist")),
    };
    let (value, rest) =
        usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length)).ok_or_else(short)?;
    *bytes = rest;
    Ok(Some(value))
}

fn judge(schema: &Schema, field: &Field, wire: u64, value: &[u8], depth: usize) -> Fit {
    let is_list = field.descriptor.cardinality() == Cardinality::Repeated;
    let own = match field.descriptor.kind() {
        Kind::Message(_) | Kind::String | Kind::Bytes => 2,
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 5,
        _ => 0,
    };
    // Numbers of a list may be packed into one field.
    if wire != own && !(is_list && wire == 2) {
        return Err(Fault::new(format!("the wire type is {wire}, and the schema's type has {own}")));
    }
    match (&field.content, field.descriptor.kind()) {
        (Content::Message(place), _) if !field.descriptor.is_map() => locate(schema, *place, value, depth + 1),
        (_, Kind::String) if std::str::from_utf8(value).is_err() => Err(Fault::new("a text is not UTF-8")),
        _ => Ok(()),
    }
}

fn varint(bytes: &mut &[u8]) -> Fit<u64> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    Err(if bytes.len() < 10 { short() } else { Fault::new("a number has more than 64 bits") })
}

fn short() -> Box<Fault> {
    Fault::new("the bytes end too early")
}
