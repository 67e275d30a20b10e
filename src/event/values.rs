//! A field's value, read strictly by its kind. What an error says completes "`data.x` …" and repeats no personal value.

use super::SUBJECT_BYTES_MAX;
use super::buffer::{Kept, Slot};
use super::tape::{Node, Span, Token};
use crate::model::value::{Date, GeoPoint, Instant, LONG_MAX, Money};
use crate::model::{Kind, Model};

/// Reads a field's values.
pub struct ValueReader<'r> {
    pub model: &'r Model,
    pub personal: bool,
    pub kept: &'r mut Kept,
}

impl ValueReader<'_> {
    /// Reads a value, `Null` clearing the field.
    pub fn read(&mut self, value: Node<'_>, kind: &Kind) -> Result<Slot, String> {
        let wanted = |what: &str| Err(format!("must be {what}, not {}", value.noun()));
        Ok(match (kind, value.token()) {
            (_, Token::Null) => Slot::Null,
            (Kind::String | Kind::Id, Token::Text(span)) => Slot::String(span),
            (Kind::String | Kind::Id, _) => return wanted("a text"),
            (Kind::Int, Token::Integer(number)) if i32::try_from(number).is_ok() => Slot::Int(number),
            (Kind::Int, Token::Integer(_) | Token::Unsigned(_)) => return Err("does not fit 32 bits".into()),
            (Kind::Int, _) => return wanted("an integer"),
            (Kind::Long, Token::Integer(number)) if number.unsigned_abs() <= LONG_MAX as u64 => Slot::Int(number),
            (Kind::Long, Token::Integer(_) | Token::Unsigned(_)) => return Err("lies outside ±(2^53 − 1)".into()),
            (Kind::Long, _) => return wanted("an integer"),
            (Kind::Float, _) => match value.number() {
                Some(number) => Slot::Float(number),
                None => return wanted("a number"),
            },
            (Kind::Boolean, Token::Boolean(truth)) => Slot::Boolean(truth),
            (Kind::Boolean, _) => return wanted("true or false"),
            (Kind::Date, Token::Text(span)) => {
                Slot::Date(Date::parse(value.spanned(span)).ok_or("must be a date that exists, as `2024-06-01`")?)
            }
            (Kind::Date, _) => return wanted("a date, as `\"2024-06-01\"`"),
            (Kind::DateTime, Token::Text(span)) => Slot::DateTime(Instant::parse(value.spanned(span))?),
            (Kind::DateTime, _) => return wanted("a date and time, as `\"2024-06-01T12:30:00Z\"`"),
            (Kind::Json, _) => Slot::Json(value.write(&mut self.kept.made)),
            (Kind::Money, _) => Slot::Money(money(value)?),
            (Kind::GeoPoint, _) => Slot::GeoPoint(geo_point(value)?),
            (Kind::Enum(index), Token::Text(span)) => self.enum_value(*index, value.spanned(span))?,
            (Kind::Enum(index), _) => return wanted(&format!("a value of {}", self.model.enums[*index].name)),
            (Kind::Link(_), _) => Slot::String(key(value)?),
            (Kind::List(item), Token::Array { .. }) => self.list(value, item)?,
            (Kind::List(_), _) => return wanted("an array"),
        })
    }

    fn enum_value(&self, index: usize, text: &str) -> Result<Slot, String> {
        let enumeration = &self.model.enums[index];
        enumeration.position(text).map(Slot::Enum).ok_or_else(|| {
            let known: Vec<&str> = enumeration.values.iter().map(|value| value.name.as_str()).collect();
            let said = if self.personal { "the text".to_owned() } else { format!("`{}`", super::shorten(text)) };
            format!("must be one of {}: {said} is no {}", known.join(", "), enumeration.name)
        })
    }

    fn list(&mut self, value: Node<'_>, kind: &Kind) -> Result<Slot, String> {
        let start = self.kept.packed.len();
        for (index, item) in value.items().enumerate() {
            if item.is_null() {
                return Err(format!("has a null at {index}: a list's items are values"));
            }
            let slot = self.read(item, kind).map_err(|why| format!("at {index} {why}"))?;
            // An item is no list itself, so that what is packed already is not asked for.
            let Kept { made, packed, .. } = &mut *self.kept;
            slot.cell(value.kept_text(), made, &[]).pack(packed);
        }
        Ok(Slot::List(Span { start, length: self.kept.packed.len() - start }))
    }
}

/// Reads another's key.
pub fn key(value: Node<'_>) -> Result<Span, String> {
    match value.token() {
        Token::Text(span) if (1..=SUBJECT_BYTES_MAX).contains(&span.length) => Ok(span),
        Token::Text(_) => Err(format!("must have 1 to {SUBJECT_BYTES_MAX} bytes, as every key")),
        _ => Err(format!("must be the other's key as a text, not {}", value.noun())),
    }
}

/// An object's two members, where it has exactly those.
fn pair<'t>(value: Node<'t>, names: [&str; 2]) -> Option<[Node<'t>; 2]> {
    match value.token() {
        Token::Object { length: 2, .. } => Some([value.get(names[0])?, value.get(names[1])?]),
        _ => None,
    }
}

fn money(value: Node<'_>) -> Result<Money, String> {
    let shape = "must be Money: `{\"minor\": 12345, \"currency\": \"SGD\"}`, with exactly these members";
    let [minor, currency] = pair(value, ["minor", "currency"]).ok_or(shape)?;
    let minor = match minor.token() {
        Token::Integer(minor) if minor.unsigned_abs() <= LONG_MAX as u64 => minor,
        _ => return Err("has a `minor` that is no integer within ±(2^53 − 1)".into()),
    };
    let currency = match currency.token() {
        Token::Text(span) => <[u8; 3]>::try_from(value.spanned(span).as_bytes()).ok(),
        _ => None,
    };
    let currency = currency.filter(|code| code.iter().all(u8::is_ascii_uppercase));
    Ok(Money { minor, currency: currency.ok_or("has a `currency` that is not three capitals")? })
}

fn geo_point(value: Node<'_>) -> Result<GeoPoint, String> {
    let shape = "must be a GeoPoint: `{\"lat\": 1.29, \"lon\": 103.85}`, with exactly these members";
    let [lat, lon] = pair(value, ["lat", "lon"]).ok_or(shape)?;
    let within = |degrees: Node<'_>, limit: f64| degrees.number().filter(|degrees| (-limit..=limit).contains(degrees));
    let lat = within(lat, 90.0).ok_or("has a `lat` that is no number within ±90")?;
    let lon = within(lon, 180.0).ok_or("has a `lon` that is no number within ±180")?;
    Ok(GeoPoint { lat, lon })
}
