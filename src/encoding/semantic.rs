//! What a raw value stands for, and that as JSON: the types that Kafka Connect and Debezium name in their schemas, and
//! Avro's logical types. Whatever is not here stands for itself.
//!
//! A column without a zone becomes a text without one. Connect's own `Timestamp` is taken for such a column too: Debezium
//! writes local times under that name, and a zone that is missing is asked for where a wrong one would be believed.

use super::calendar::{self, Unit};
use super::fault::{Fault, Fit};
use super::{decimal, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Semantic {
    /// Days since 1970-01-01: `"2024-05-01"`.
    Date,
    /// A count since midnight: `"12:34:56.789"`.
    Time(Unit),
    /// A count since 1970-01-01T00:00:00 on a calendar without a zone: `"2024-05-01T12:34:56.789"`.
    Local(Unit),
    /// A count since 1970-01-01T00:00:00Z: `"2024-05-01T12:34:56.789Z"`.
    Instant(Unit),
    /// A big-endian integer with its point: `"123.45"`.
    Decimal { scale: i32 },
    /// Text of a date or a time behind which Debezium writes a `Z` though the column has no zone.
    IsoLocal,
    /// A scale and such an integer side by side: `"123.45"`.
    ScaledDecimal,
    /// Sixteen bytes: `"7c6e0f0a-…"`.
    Uuid,
    /// Avro's twelve bytes, months, days and milliseconds: `"P1M2DT3.500S"`.
    Duration,
    /// Avro's bytes that hold an integer's bytes and its scale.
    BigDecimal,
}

/// How a value is laid out, whatever it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Integer,
    Text,
    Bytes,
    Struct,
}

impl Semantic {
    /// The type that Connect's `name` and `parameters` say, where the value's layout fits it.
    ///
    /// Text and structs that Debezium names (`Json`, `Xml`, `Uuid`, `Enum`, `EnumSet`, `Interval`, `ZonedTime`,
    /// `ZonedTimestamp`, geometries), `Bits` and the counts `Year` and `MicroDuration` (microseconds) stand for themselves.
    pub(super) fn of_connect<'a>(
        name: &str,
        base: Base,
        parameter: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Option<Semantic>, &'static str> {
        let semantic = match name {
            "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => Semantic::Date,
            "io.debezium.time.Time" | "org.apache.kafka.connect.data.Time" => Semantic::Time(Unit::Millis),
            "io.debezium.time.MicroTime" => Semantic::Time(Unit::Micros),
            "io.debezium.time.NanoTime" => Semantic::Time(Unit::Nanos),
            "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => Semantic::Local(Unit::Millis),
            "io.debezium.time.MicroTimestamp" => Semantic::Local(Unit::Micros),
            "io.debezium.time.NanoTimestamp" => Semantic::Local(Unit::Nanos),
            "io.debezium.time.IsoDate" | "io.debezium.time.IsoTime" | "io.debezium.time.IsoTimestamp" => {
                Semantic::IsoLocal
            }
            "io.debezium.data.VariableScaleDecimal" => Semantic::ScaledDecimal,
            "org.apache.kafka.connect.data.Decimal" if base == Base::Bytes => {
                let scale = parameter("scale").ok_or("a decimal's schema has no parameter `scale`")?;
                let scale = scale.parse().map_err(|_| "a decimal's parameter `scale` is no integer")?;
                Semantic::Decimal { scale }
            }
            _ => return Ok(None),
        };
        Ok(Some(semantic).filter(|semantic| semantic.base() == base))
    }

    /// Of Avro's logical types those that say more than their layout does. As Avro's specification wants it, one that does
    /// not fit its layout is ignored.
    pub(super) fn of_avro(name: &str, base: Base, scale: i32, size: Option<usize>) -> Option<Semantic> {
        let semantic = match name {
            "date" => Semantic::Date,
            "time-millis" => Semantic::Time(Unit::Millis),
            "time-micros" => Semantic::Time(Unit::Micros),
            "timestamp-millis" => Semantic::Instant(Unit::Millis),
            "timestamp-micros" => Semantic::Instant(Unit::Micros),
            "timestamp-nanos" => Semantic::Instant(Unit::Nanos),
            "local-timestamp-millis" => Semantic::Local(Unit::Millis),
            "local-timestamp-micros" => Semantic::Local(Unit::Micros),
            "local-timestamp-nanos" => Semantic::Local(Unit::Nanos),
            "decimal" => Semantic::Decimal { scale },
            "big-decimal" if size.is_none() => Semantic::BigDecimal,
            "uuid" if size == Some(16) => Semantic::Uuid,
            "duration" if size == Some(12) => Semantic::Duration,
            _ => return None,
        };
        Some(semantic).filter(|semantic| semantic.base() == base)
    }

    fn base(self) -> Base {
        match self {
            Semantic::Date | Semantic::Time(_) | Semantic::Local(_) | Semantic::Instant(_) => Base::Integer,
            Semantic::Decimal { .. } | Semantic::Uuid | Semantic::Duration | Semantic::BigDecimal => Base::Bytes,
            Semantic::IsoLocal => Base::Text,
            Semantic::ScaledDecimal => Base::Struct,
        }
    }
}

/// An integer as what it stands for.
pub(super) fn integer(semantic: Option<Semantic>, value: i64, out: &mut Vec<u8>) {
    let Some(semantic) = semantic.filter(|semantic| semantic.base() == Base::Integer) else {
        return json::integer(value, out);
    };
    if let Some(infinity) = infinity(semantic, value) {
        return json::text(infinity, out);
    }
    out.push(b'"');
    match semantic {
        Semantic::Date => calendar::date(value, out),
        Semantic::Time(unit) => calendar::time(value, unit, out),
        Semantic::Local(unit) | Semantic::Instant(unit) => calendar::date_time(value, unit, out),
        _ => {}
    }
    if matches!(semantic, Semantic::Instant(_)) {
        out.push(b'Z');
    }
    out.push(b'"');
}

/// PostgreSQL's `infinity`, which has no number of its own: its driver's greatest and least instants, whatever the unit;
/// and days that lie beyond every date that a database can hold (5874897-12-31, and 4714-11-24 before our era).
fn infinity(semantic: Semantic, value: i64) -> Option<&'static str> {
    const DAY_MAX: i64 = 2_145_031_948;
    const DAY_MIN: i64 = -2_440_588;
    const COUNT_MAX: i64 = 9_223_372_036_825_200_000;
    const COUNT_MIN: i64 = -9_223_372_036_832_400_000;
    let (least, greatest) = match semantic {
        Semantic::Date => (value < DAY_MIN, value > DAY_MAX),
        Semantic::Local(_) => (value == COUNT_MIN, value == COUNT_MAX),
        _ => (false, false),
    };
    if greatest {
        Some("infinity")
    } else if least {
        Some("-infinity")
    } else {
        None
    }
}

/// Bytes as what they stand for; base64 unless something else is said.
pub(super) fn bytes(semantic: Option<Semantic>, value: &[u8], out: &mut Vec<u8>) -> Fit {
    match semantic {
        Some(Semantic::Decimal { scale }) => decimal::unscaled(value, scale, out).map_err(Fault::new)?,
        Some(Semantic::Uuid) => uuid(value, out),
        Some(Semantic::Duration) => duration(value, out)?,
        _ => json::base64(value, out),
    }
    Ok(())
}

/// Text as what it stands for.
pub(super) fn text(semantic: Option<Semantic>, value: &str, out: &mut Vec<u8>) {
    let value = match semantic {
        Some(Semantic::IsoLocal) => value.strip_suffix('Z').unwrap_or(value),
        _ => value,
    };
    json::text(value, out);
}

fn uuid(value: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for (index, byte) in value.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            out.push(b'-');
        }
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    out.push(b'"');
}

/// Three little-endian numbers as an ISO 8601 duration, the seconds not made into minutes.
fn duration(value: &[u8], out: &mut Vec<u8>) -> Fit {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *value else { return Err(Fault::new("a duration has twelve bytes")) };
    let [months, days, millis] =
        [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(|part| u64::from(u32::from_le_bytes(part)));
    out.extend_from_slice(b"\"P");
    for (count, letter) in [(months, b'M'), (days, b'D')].into_iter().filter(|(count, _)| *count > 0) {
        calendar::digits(count, 1, out);
        out.push(letter);
    }
    if millis > 0 || months + days == 0 {
        out.push(b'T');
        calendar::digits(millis / 1_000, 1, out);
        calendar::fraction(millis % 1_000 * 1_000_000, out);
        out.push(b'S');
    }
    out.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(name: &str, base: Base) -> Option<Semantic> {
        Semantic::of_connect(name, base, |name| (name == "scale").then_some("2")).unwrap()
    }

    #[test]
    fn integers_stand_for_dates_and_times() {
        let cases = [
            ("io.debezium.time.Date", 19_439, r#""2023-03-23""#),
            ("io.debezium.time.Date", 2_146_033_979, r#""infinity""#),
            ("io.debezium.time.Date", -2_147_483_648, r#""-infinity""#),
            ("org.apache.kafka.connect.data.Date", -1, r#""1969-12-31""#),
            ("io.debezium.time.Time", 3_600_500, r#""01:00:00.500""#),
            ("org.apache.kafka.connect.data.Time", 0, r#""00:00:00""#),
            ("io.debezium.time.MicroTime", 36_803_000_001, r#""10:13:23.000001""#),
            ("io.debezium.time.NanoTime", 1_000, r#""00:00:00.000001""#),
            ("io.debezium.time.Timestamp", 1_679_581_805_123, r#""2023-03-23T14:30:05.123""#),
            ("org.apache.kafka.connect.data.Timestamp", 0, r#""1970-01-01T00:00:00""#),
            ("io.debezium.time.MicroTimestamp", 1_679_581_805_123_456, r#""2023-03-23T14:30:05.123456""#),
            ("io.debezium.time.MicroTimestamp", 9_223_372_036_825_200_000, r#""infinity""#),
            ("io.debezium.time.MicroTimestamp", -9_223_372_036_832_400_000, r#""-infinity""#),
            ("io.debezium.time.NanoTimestamp", 1, r#""1970-01-01T00:00:00.000000001""#),
            ("io.debezium.time.Year", 2023, "2023"),
            ("io.debezium.time.MicroDuration", 1_500_000, "1500000"),
            ("somebody.elses.Type", -5, "-5"),
        ];
        for (name, value, wanted) in cases {
            let mut out = Vec::new();
            integer(connect(name, Base::Integer), value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), wanted, "{name}");
        }
    }

    #[test]
    fn local_times_in_text_lose_their_zone() {
        let cases = [
            ("io.debezium.time.IsoDate", "2024-05-01Z", "2024-05-01"),
            ("io.debezium.time.IsoTime", "12:34:56.7Z", "12:34:56.7"),
            ("io.debezium.time.IsoTimestamp", "2024-05-01T12:34:56Z", "2024-05-01T12:34:56"),
            ("io.debezium.time.ZonedTimestamp", "2024-05-01T12:34:56Z", "2024-05-01T12:34:56Z"),
            ("io.debezium.time.ZonedTime", "12:34:56Z", "12:34:56Z"),
            ("io.debezium.time.Interval", "P1Y2M3DT4H5M6.78S", "P1Y2M3DT4H5M6.78S"),
            ("io.debezium.data.EnumSet", "a,b", "a,b"),
            ("io.debezium.data.Json", "{}", "{}"),
        ];
        for (name, value, wanted) in cases {
            let mut out = Vec::new();
            text(connect(name, Base::Text), value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("\"{wanted}\""), "{name}");
        }
    }

    #[test]
    fn bytes_stand_for_decimals_uuids_and_durations() {
        let cases: [(Option<Semantic>, &[u8], &str); 6] = [
            (connect("org.apache.kafka.connect.data.Decimal", Base::Bytes), &[0x30, 0x39], "123.45"),
            (connect("io.debezium.data.Bits", Base::Bytes), &[1], "AQ=="),
            (Some(Semantic::Uuid), &[0x12; 16], "12121212-1212-1212-1212-121212121212"),
            (Some(Semantic::Duration), &[1, 0, 0, 0, 2, 0, 0, 0, 0xac, 0x0d, 0, 0], "P1M2DT3.500S"),
            (Some(Semantic::Duration), &[0; 12], "PT0S"),
            (None, b"abc", "YWJj"),
        ];
        for (semantic, value, wanted) in cases {
            let mut out = Vec::new();
            bytes(semantic, value, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), format!("\"{wanted}\""));
        }
    }

    #[test]
    fn a_type_that_does_not_fit_its_layout_says_nothing() {
        assert_eq!(connect("io.debezium.time.Date", Base::Text), None);
        assert_eq!(connect("org.apache.kafka.connect.data.Decimal", Base::Text), None);
        assert!(Semantic::of_connect("org.apache.kafka.connect.data.Decimal", Base::Bytes, |_| None).is_err());
        assert_eq!(Semantic::of_avro("date", Base::Text, 0, None), None);
        assert_eq!(Semantic::of_avro("uuid", Base::Text, 0, None), None);
        assert_eq!(Semantic::of_avro("uuid", Base::Bytes, 0, Some(8)), None);
        assert_eq!(Semantic::of_avro("decimal", Base::Bytes, 3, None), Some(Semantic::Decimal { scale: 3 }));
    }
}
