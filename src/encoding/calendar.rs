//! Counts of days and of parts of a second as dates and times: RFC 3339's forms, with a zone or without.
//!
//! A year beyond 0000 to 9999 has a sign, as in ISO 8601, and an hour beyond a day counts on: such values are no RFC 3339,
//! yet they are in people's columns, and to refuse them would lose the whole row. Whoever uses one must judge it.

const SECONDS_A_DAY: i64 = 86_400;

/// What a time is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    fn per_second(self) -> u64 {
        match self {
            Unit::Millis => 1_000,
            Unit::Micros => 1_000_000,
            Unit::Nanos => 1_000_000_000,
        }
    }

    /// The whole seconds below a count, and the nanoseconds above those.
    fn split(self, count: i64) -> (i64, u64) {
        let per_second = self.per_second() as i64;
        let part = count.rem_euclid(per_second) as u64;
        (count.div_euclid(per_second), part * (1_000_000_000 / self.per_second()))
    }
}

/// `2024-05-01` from days since 1970-01-01.
pub(super) fn date(days: i64, out: &mut Vec<u8>) {
    // Years are counted from March, so that the leap day is the last of one; 400 of them have 146,097 days.
    let shifted = days.saturating_add(719_468);
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    if !(0..=9999).contains(&year) {
        out.push(if year < 0 { b'-' } else { b'+' });
    }
    digits(year.unsigned_abs(), 4, out);
    out.push(b'-');
    digits(month as u64, 2, out);
    out.push(b'-');
    digits(day as u64, 2, out);
}

/// `12:34:56.789` from a count since midnight. A time before it (MySQL has them) has a minus, one beyond a day counts on.
pub(super) fn time(count: i64, unit: Unit, out: &mut Vec<u8>) {
    if count < 0 {
        out.push(b'-');
    }
    let (count, per_second) = (count.unsigned_abs(), unit.per_second());
    clock(count / per_second, count % per_second * (1_000_000_000 / per_second), out);
}

/// `2024-05-01T12:34:56.789` from a count since 1970-01-01T00:00:00, without a zone.
pub(super) fn date_time(count: i64, unit: Unit, out: &mut Vec<u8>) {
    let (seconds, nanos) = unit.split(count);
    seconds_and_nanos(seconds, nanos, out);
}

/// As [`date_time`], from whole seconds and the nanoseconds above them.
pub(super) fn seconds_and_nanos(seconds: i64, nanos: u64, out: &mut Vec<u8>) {
    date(seconds.div_euclid(SECONDS_A_DAY), out);
    out.push(b'T');
    clock(seconds.rem_euclid(SECONDS_A_DAY) as u64, nanos, out);
}

fn clock(seconds: u64, nanos: u64, out: &mut Vec<u8>) {
    digits(seconds / 3_600, 2, out);
    out.push(b':');
    digits(seconds / 60 % 60, 2, out);
    out.push(b':');
    digits(seconds % 60, 2, out);
    fraction(nanos, out);
}

/// Nothing, or a point and the fewest of 3, 6 or 9 digits that hold all.
pub(super) fn fraction(nanos: u64, out: &mut Vec<u8>) {
    let (value, width) = match nanos {
        0 => return,
        nanos if nanos.is_multiple_of(1_000_000) => (nanos / 1_000_000, 3),
        nanos if nanos.is_multiple_of(1_000) => (nanos / 1_000, 6),
        nanos => (nanos, 9),
    };
    out.push(b'.');
    digits(value, width, out);
}

/// A number in decimal, filled up with zeros to a width.
pub(super) fn digits(mut value: u64, width: usize, out: &mut Vec<u8>) {
    let mut buffer = [b'0'; 20];
    let mut start = buffer.len();
    while value > 0 || buffer.len() - start < width {
        start -= 1;
        buffer[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&buffer[start..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_are_the_calendars() {
        let cases = [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_439, "2023-03-23"),
            (11_016, "2000-02-29"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "+10000-01-01"),
            (-719_528, "0000-01-01"),
            (-719_529, "-0001-12-31"),
        ];
        for (days, wanted) in cases {
            assert_eq!(written(|out| date(days, out)), wanted);
        }
    }

    #[test]
    fn times_have_the_digits_that_they_need() {
        let cases = [
            (36_803_000_000, Unit::Micros, "10:13:23"),
            (45_296_789, Unit::Millis, "12:34:56.789"),
            (1, Unit::Nanos, "00:00:00.000000001"),
            (500, Unit::Micros, "00:00:00.000500"),
            (86_400_000, Unit::Millis, "24:00:00"),
            (-3_020_399_000_000, Unit::Micros, "-838:59:59"),
        ];
        for (count, unit, wanted) in cases {
            assert_eq!(written(|out| time(count, unit, out)), wanted);
        }
    }

    #[test]
    fn instants_before_the_epoch_count_down() {
        let cases = [
            (1_679_581_805_123, Unit::Millis, "2023-03-23T14:30:05.123"),
            (1_679_581_805_123_456, Unit::Micros, "2023-03-23T14:30:05.123456"),
            (-1, Unit::Nanos, "1969-12-31T23:59:59.999999999"),
            (-1, Unit::Millis, "1969-12-31T23:59:59.999"),
        ];
        for (count, unit, wanted) in cases {
            assert_eq!(written(|out| date_time(count, unit, out)), wanted);
        }
    }

    proptest! {
        #[test]
        fn the_calendar_agrees_with_jiffs(count in -62_167_219_200_000i64..253_402_300_800_000) {
            let instant = jiff::Timestamp::from_millisecond(count);
            if let Ok(instant) = instant {
                let wanted = jiff::tz::Offset::UTC.to_datetime(instant);
                let read: jiff::civil::DateTime = written(|out| date_time(count, Unit::Millis, out)).parse().unwrap();
                assert_eq!(read, wanted);
            }
        }

        #[test]
        fn every_count_is_written(count in any::<i64>()) {
            for unit in [Unit::Millis, Unit::Micros, Unit::Nanos] {
                assert!(!written(|out| date_time(count, unit, out)).is_empty());
                assert!(!written(|out| time(count, unit, out)).is_empty());
            }
            assert!(!written(|out| date(count, out)).is_empty());
        }
    }
}
