//! The values that a field can hold. They know their order and their JSON form, and nothing of events or nodes.

use std::fmt;
use std::sync::Arc;

use super::cell::{Cell, List};
use crate::ids::Slot;
use time::{Date as CalendarDate, Month, OffsetDateTime};

/// The greatest integer that a JSON number carries without loss: 2^53 − 1.
pub const LONG_MAX: i64 = (1 << 53) - 1;

/// One field's value, owned: what [`Cell`] borrows.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    /// `Int` and `Long`.
    Int(i64),
    Float(f64),
    /// `String` and `ID`; in an event also the key that a link names.
    String(Arc<str>),
    Date(Date),
    DateTime(Instant),
    Money(Money),
    GeoPoint(GeoPoint),
    /// The place of the value in its enum's declaration.
    Enum(u16),
    /// A link's target: a slot of the graph. Only the graph makes these.
    Link(Slot),
    /// Its items, packed.
    List(Arc<[u8]>),
    /// JSON as text.
    Json(Arc<str>),
}

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn cell(&self) -> Cell<'_> {
        match self {
            Value::Null => Cell::Null,
            Value::Boolean(value) => Cell::Boolean(*value),
            Value::Int(value) => Cell::Int(*value),
            Value::Float(value) => Cell::Float(*value),
            Value::String(text) => Cell::String(text),
            Value::Date(value) => Cell::Date(*value),
            Value::DateTime(value) => Cell::DateTime(*value),
            Value::Money(value) => Cell::Money(*value),
            Value::GeoPoint(value) => Cell::GeoPoint(*value),
            Value::Enum(value) => Cell::Enum(*value),
            Value::Link(slot) => Cell::Link(*slot),
            Value::List(items) => Cell::List(List::of(items)),
            Value::Json(text) => Cell::Json(text),
        }
    }
}

/// An amount in a currency's minor units; never a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    /// Within ±(2^53 − 1).
    pub minor: i64,
    /// Three capitals.
    pub currency: [u8; 3],
}

impl Money {
    pub fn currency(&self) -> &str {
        std::str::from_utf8(&self.currency).unwrap_or("XXX")
    }
}

/// The Earth's mean radius.
pub const EARTH_RADIUS_KM: f64 = 6371.0088;

/// A place on the globe, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeoPoint {
    pub lat: f64,
    pub lon: f64,
}

impl GeoPoint {
    /// The great-circle distance in kilometres, on a sphere of the Earth's mean radius (the haversine formula).
    pub fn distance_km(&self, other: &GeoPoint) -> f64 {
        let (lat_a, lat_b) = (self.lat.to_radians(), other.lat.to_radians());
        let lat_half = (lat_b - lat_a) / 2.0;
        let lon_half = (other.lon - self.lon).to_radians() / 2.0;
        let a = lat_half.sin().powi(2) + lat_a.cos() * lat_b.cos() * lon_half.sin().powi(2);
        2.0 * EARTH_RADIUS_KM * a.sqrt().min(1.0).asin()
    }
}

/// A calendar date: days since 1970-01-01, years 0000 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);

const EPOCH_JULIAN_DAY: i32 = 2_440_588;

impl Date {
    /// Reads `YYYY-MM-DD`, nothing more and nothing less.
    pub fn parse(text: &str) -> Option<Date> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let month = Month::try_from(digits(&bytes[5..7])? as u8).ok()?;
        let date = CalendarDate::from_calendar_date(digits(&bytes[..4])? as i32, month, digits(&bytes[8..])? as u8);
        Some(Date(date.ok()?.to_julian_day() - EPOCH_JULIAN_DAY))
    }

    /// Year, month and day; of what lies beyond the calendar its first day.
    pub fn calendar(self) -> (u32, u32, u32) {
        match CalendarDate::from_julian_day(self.0.saturating_add(EPOCH_JULIAN_DAY)) {
            Ok(date) if date.year() >= 0 => {
                (date.year().cast_unsigned(), u32::from(u8::from(date.month())), u32::from(date.day()))
            }
            _ => (0, 1, 1),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.calendar();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0u32, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

/// An instant in UTC: seconds since 1970-01-01T00:00:00Z and nanoseconds. The legacy's 9999-12-31 lies beyond an `i64`
/// of nanoseconds, hence the two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    pub seconds: i64,
    pub nanos: u32,
}

/// Seconds from the epoch to the first instant there is, in the year 0000.
pub const YEAR_0000: i64 = -62_167_219_200;
const YEAR_9999_END: i64 = 253_402_300_799;

impl Instant {
    pub const EPOCH: Instant = Instant { seconds: 0, nanos: 0 };

    /// Reads RFC 3339's `date-time`: `T` between date and time, an offset or `Z`, at most nine digits of a fraction, no
    /// leap second. The error says what is wrong, in words that do not repeat the text.
    pub fn parse(text: &str) -> Result<Instant, &'static str> {
        const SHAPE: &str = "must be a date and time as RFC 3339 has them, e.g. 2024-06-01T12:30:00Z";
        let bytes = text.as_bytes();
        if bytes.len() < 20 || !text.is_ascii() || bytes[10] != b'T' || bytes[13] != b':' || bytes[16] != b':' {
            return Err(SHAPE);
        }
        let date = Date::parse(&text[..10]).ok_or("has a date that the calendar does not")?;
        let clock = |range: std::ops::Range<usize>| digits(&bytes[range]).ok_or(SHAPE);
        let (hour, minute, second) = (clock(11..13)?, clock(14..16)?, clock(17..19)?);
        if second == 60 {
            return Err("has a leap second, which is not taken");
        }
        if hour > 23 || minute > 59 || second > 59 {
            return Err("has a time of day that no clock shows");
        }
        let mut rest = &bytes[19..];
        let mut nanos = 0;
        if let Some(fraction) = rest.strip_prefix(b".") {
            let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            match length {
                0 => return Err(SHAPE),
                1..=9 => nanos = digits(&fraction[..length]).ok_or(SHAPE)? * 10u32.pow(9 - length as u32),
                _ => return Err("has more than nine digits of a second's fraction"),
            }
            rest = &fraction[length..];
        }
        let offset_seconds = match rest {
            b"Z" => 0,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let hours = digits(&[*h1, *h2]).ok_or(SHAPE)?;
                let minutes = digits(&[*m1, *m2]).ok_or(SHAPE)?;
                if hours > 23 || minutes > 59 {
                    return Err("has an offset that no zone has");
                }
                let offset = i64::from(hours * 3600 + minutes * 60);
                if *sign == b'+' { offset } else { -offset }
            }
            _ => return Err("must end with Z or an offset such as +08:00"),
        };
        let seconds = i64::from(date.0) * 86_400 + i64::from(hour * 3600 + minute * 60 + second) - offset_seconds;
        if !(YEAR_0000..=YEAR_9999_END).contains(&seconds) {
            return Err("lies outside the years 0000 to 9999");
        }
        Ok(Instant { seconds, nanos })
    }

    pub fn from_micros(micros: i64) -> Instant {
        Instant { seconds: micros.div_euclid(1_000_000), nanos: micros.rem_euclid(1_000_000) as u32 * 1000 }
    }

    /// Microseconds since the epoch; instants beyond what an `i64` holds are cut to its ends.
    pub fn micros(&self) -> i64 {
        self.seconds.saturating_mul(1_000_000).saturating_add(i64::from(self.nanos / 1000))
    }

    /// `self − earlier` in milliseconds, not below 0.
    pub fn millis_since(&self, earlier: Instant) -> i64 {
        ((self.micros().saturating_sub(earlier.micros())) / 1000).max(0)
    }

    pub fn minus_millis(&self, millis: i64) -> Instant {
        Instant::from_micros(self.micros().saturating_sub(millis.saturating_mul(1000)))
    }
}

impl fmt::Display for Instant {
    /// UTC with `Z`, trailing zeros of the fraction left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(at) = OffsetDateTime::from_unix_timestamp(self.seconds.clamp(YEAR_0000, YEAR_9999_END)) else {
            return f.write_str("1970-01-01T00:00:00Z");
        };
        let (date, month) = (at.date(), u8::from(at.month()));
        write!(
            f,
            "{:04}-{month:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(),
            date.day(),
            at.hour(),
            at.minute(),
            at.second()
        )?;
        if self.nanos > 0 {
            let fraction = format!("{:09}", self.nanos);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_strict_and_print_as_they_were_read() {
        for text in ["0000-01-01", "1970-01-01", "2024-02-29", "9999-12-31"] {
            assert_eq!(Date::parse(text).map(|date| date.to_string()).as_deref(), Some(text));
        }
        for text in ["2023-02-29", "2024-13-01", "2024-1-01", "24-01-01", "2024-01-01 ", "2024/01/01", ""] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn instants_are_strict_and_normalise_to_utc() {
        let cases = [
            ("2018-04-05T17:31:00Z", "2018-04-05T17:31:00Z"),
            ("2018-04-05T18:31:00+01:00", "2018-04-05T17:31:00Z"),
            ("2018-04-05T17:31:00.000000000Z", "2018-04-05T17:31:00Z"),
            ("2018-04-05T17:31:00.120000001Z", "2018-04-05T17:31:00.120000001Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
        ];
        for (text, printed) in cases {
            assert_eq!(Instant::parse(text).map(|at| at.to_string()).as_deref(), Ok(printed));
        }
        for text in [
            "lunchtime",
            "2018-04-05T18:31:00+05",
            "2018-04-05T18:31:00+xx:00",
            "2018-04-05T18:31:00+25:00",
            "2018-04-05T18:31:00X",
            "2018-04-05T18:31Z",
            "2018-04-05 18:31:00Z",
            "2016-12-31T23:59:60Z",
            "2018-04-05T18:31:00.1234567890Z",
            "2018-04-05T18:31:00.Z",
            "9999-12-31T23:59:59-01:00",
            "2018-04-05T24:00:00Z",
        ] {
            assert!(Instant::parse(text).is_err(), "{text}");
        }
    }
}
