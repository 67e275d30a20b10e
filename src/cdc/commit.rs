//! A change's place in its database's order: from what a connector says of it to numbers that compare.

use jaq_json::Val;

use super::json::{self, get, get_number, get_text};
use crate::model::value::Instant;

/// A change's place. Records that a restarted worker repeats have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// False for what a snapshot read.
    pub is_change: bool,
    pub numbers: [u64; 3],
    /// Whether other changes of the row may have it too. What a change says tells it from them then, and the log's offset is the
    /// last of the numbers.
    pub is_shared: bool,
    /// The numbers in hexadecimal digits, each of a fixed width, without the offset of what is shared: of one connector's places,
    /// the greater is the greater text.
    pub text: String,
    /// When the change was committed, or the row read.
    pub at: Instant,
    pub offset: u64,
}

/// Where the log has the record, for what says too little of itself.
#[derive(Clone, Copy, Debug)]
pub struct Logged {
    pub offset: u64,
    pub at: Instant,
}

/// Reads a place from a `source` part and the change's own times.
pub fn place(source: &Val, change: &Val, is_read: bool, logged: Logged) -> Place {
    let at = instant(source).or_else(|| instant(change)).unwrap_or(logged.at);
    let (nanos, offset) = (nanos(at), logged.offset);
    if is_read || is_snapshot(source) {
        let text = format!("{nanos:016x}");
        return Place { is_change: false, numbers: [nanos, 0, 0], is_shared: false, text, at, offset };
    }
    let found = sql_server(source, offset)
        .or_else(|| oracle(source, offset))
        .or_else(|| binlog(source))
        .or_else(|| postgresql(source))
        .or_else(|| mongodb(source, offset));
    // What has no order of its own is ordered by its time, and then by the log.
    let found = found.unwrap_or_else(|| Found::own([nanos, offset, 0], format!("{nanos:016x}{offset:012x}")));
    let Found { numbers, is_shared, text } = found;
    Place { is_change: true, numbers, is_shared, text, at, offset }
}

/// What a connector says of a place.
struct Found {
    numbers: [u64; 3],
    is_shared: bool,
    text: String,
}

impl Found {
    fn own(numbers: [u64; 3], text: String) -> Found {
        Found { numbers, is_shared: false, text }
    }

    /// Of numbers that other changes of the row may have.
    fn shared([first, second]: [u64; 2], offset: u64, text: String) -> Found {
        Found { numbers: [first, second, offset], is_shared: true, text }
    }
}

/// `snapshot` is a boolean in old connectors, and a text in new ones: `first`, `last`, `incremental`, …
fn is_snapshot(source: &Val) -> bool {
    match get(source, "snapshot") {
        Some(Val::Bool(is)) => *is,
        Some(other) => json::text(other).is_some_and(|text| text != "false"),
        None => false,
    }
}

fn nanos(at: Instant) -> u64 {
    u64::try_from(i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos)).unwrap_or(0)
}

/// The finest of the times that are there. 0 is what a connector writes that does not know.
fn instant(part: &Val) -> Option<Instant> {
    let time = |name: &str, per_second: u64| {
        let number = get_number(part, name).filter(|number| *number > 0)?;
        let nanos = (number % per_second) * (1_000_000_000 / per_second);
        Some(Instant { seconds: i64::try_from(number / per_second).ok()?, nanos: nanos as u32 })
    };
    time("ts_ns", 1_000_000_000).or_else(|| time("ts_us", 1_000_000)).or_else(|| time("ts_ms", 1000))
}

/// The LSN of the commit before, then the change's own: `sequence` has both. A transaction's changes come when it is committed, with
/// the LSNs of when they were written. Rows of one multi-row insert may share theirs.
fn postgresql(source: &Val) -> Option<Found> {
    let sequence = || match json::read(get_text(source, "sequence")?.as_bytes()).ok()? {
        Val::Arr(items) => Some(items),
        _ => None,
    };
    let number = |item: &Val| match item {
        Val::Num(number) => number.as_isize().and_then(|number| u64::try_from(number).ok()),
        other => json::text(other)?.parse().ok(),
    };
    let sequence = sequence();
    let at = |index: usize| sequence.as_ref()?.get(index).and_then(number);
    let lsn = get_number(source, "lsn").or_else(|| at(1))?;
    // Before the first commit that the connector sees there is none. Without `sequence`, the LSN of the change lies behind the commits
    // before it, too.
    let commit = if sequence.is_some() { at(0).unwrap_or(0) } else { lsn };
    Some(Found::own([commit, lsn, 0], format!("{commit:016x}{lsn:016x}")))
}

/// The SCN of the commit, that of the change, and the redo record: the log's number, a block in it and a place in that.
fn oracle(source: &Val, offset: u64) -> Option<Found> {
    let scn = get_number(source, "scn")?;
    let commit = get_number(source, "commit_scn").unwrap_or(scn);
    let record = get_text(source, "rs_id").and_then(|id| hexadecimal(id.trim().trim_start_matches("0x"), '.'));
    let Some((record, rest)) = record else {
        // Of LOBs, and from XStream.
        return Some(Found::shared([commit, scn], offset, format!("{commit:016x}{scn:016x}")));
    };
    // Of the log's number the last 16 bits: one SCN lies in few logs. What `ssn` tells apart, the log's offset orders.
    let (record, ssn) = (record << 16 | u64::from(rest), get_number(source, "ssn").unwrap_or(0));
    Some(Found::own([commit, scn, record], format!("{commit:016x}{scn:016x}{record:016x}{ssn:08x}")))
}

/// The binlog's file by its number, the position in it, and the row of the event there (MySQL, MariaDB).
fn binlog(source: &Val) -> Option<Found> {
    let file = get_text(source, "file")?.rsplit('.').next()?.parse().ok()?;
    let (position, row) = (get_number(source, "pos")?, get_number(source, "row").unwrap_or(0));
    Some(Found::own([file, position, row], format!("{file:010x}{position:012x}{row:08x}")))
}

/// The commit's LSN, the change's, and the number of the event of that change.
fn sql_server(source: &Val, offset: u64) -> Option<Found> {
    let lsn = |name: &str| hexadecimal(get_text(source, name)?, ':');
    let commit = lsn("commit_lsn")?;
    let first = u64::from(commit.1) << 48;
    let Some(change) = lsn("change_lsn") else {
        return Some(Found::shared([commit.0, first], offset, format!("{:016x}{first:016x}", commit.0)));
    };
    let serial = get_number(source, "event_serial_no").unwrap_or(0).min(u64::from(u32::MAX));
    let middle = first | change.0 >> 16;
    let last = (change.0 & 0xffff) << 48 | u64::from(change.1) << 32 | serial;
    Some(Found::own([commit.0, middle, last], format!("{:016x}{middle:016x}{last:016x}", commit.0)))
}

/// The oplog's second, and the number of the operation in it, which all changes of a transaction have.
fn mongodb(source: &Val, offset: u64) -> Option<Found> {
    let (ord, second) = (get_number(source, "ord")?, get_number(source, "ts_ms")? / 1000);
    Some(Found::shared([second, ord], offset, format!("{second:010x}{ord:010x}")))
}

/// Two groups of up to eight hexadecimal digits and one of up to four.
fn hexadecimal(text: &str, separator: char) -> Option<(u64, u16)> {
    let mut groups = text.split(separator);
    let mut group = || u32::from_str_radix(groups.next()?, 16).ok();
    let (first, second, third) = (group()?, group()?, group()?);
    groups.next().is_none().then_some(())?;
    Some((u64::from(first) << 32 | u64::from(second), u16::try_from(third).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(source: &str) -> Place {
        let logged = Logged { offset: 5, at: Instant { seconds: 1, nanos: 0 } };
        place(&json::read(source.as_bytes()).unwrap(), &Val::Null, false, logged)
    }

    #[test]
    fn later_changes_are_greater() {
        let pairs = [
            (r#"{"lsn":46523128}"#, r#"{"lsn":46523129}"#),
            (r#"{"lsn":9}"#, r#"{"lsn":"10"}"#),
            (r#"{"sequence":"[\"8\",\"9\"]"}"#, r#"{"sequence":"[\"8\",\"10\"]"}"#),
            // Committed later, though written earlier.
            (r#"{"lsn":200,"sequence":"[\"90\",\"200\"]"}"#, r#"{"lsn":100,"sequence":"[\"250\",\"100\"]"}"#),
            (r#"{"lsn":200,"sequence":"[null,\"200\"]"}"#, r#"{"lsn":100,"sequence":"[\"250\",\"100\"]"}"#),
            (r#"{"lsn":200}"#, r#"{"lsn":100,"sequence":"[\"250\",\"100\"]"}"#),
            (r#"{"scn":"9","commit_scn":"10"}"#, r#"{"scn":"8","commit_scn":"11"}"#),
            (r#"{"file":"mysql-bin.000009","pos":900,"row":0}"#, r#"{"file":"mysql-bin.000010","pos":4,"row":0}"#),
            (r#"{"file":"m.999999","pos":900,"row":0}"#, r#"{"file":"m.1000000","pos":4,"row":0}"#),
            (r#"{"file":"m.1","pos":4,"row":9}"#, r#"{"file":"m.1","pos":4,"row":10}"#),
            (r#"{"scn":"999"}"#, r#"{"scn":"1000"}"#),
            (
                r#"{"scn":"9","rs_id":" 0x00006f.00000ce6.0010","ssn":2}"#,
                r#"{"scn":"9","rs_id":" 0x00006f.00000ce6.0011","ssn":0}"#,
            ),
            (
                r#"{"commit_lsn":"00000027:00000ac0:0007","change_lsn":"00000027:00000ac0:0002","event_serial_no":"2"}"#,
                r#"{"commit_lsn":"00000027:00000ac0:0007","change_lsn":"00000027:00000ac0:0003","event_serial_no":"1"}"#,
            ),
            (
                r#"{"commit_lsn":"00000027:00000ac0:0007","change_lsn":"00000027:00000ac0:0009"}"#,
                r#"{"commit_lsn":"00000027:00000ac0:0008","change_lsn":"00000027:00000ac0:0002"}"#,
            ),
            (r#"{"ts_ms":1000,"ord":9}"#, r#"{"ts_ms":1999,"ord":10}"#),
            (r#"{"ts_ms":1000}"#, r#"{"ts_us":1000001}"#),
            (r#"{"snapshot":"incremental","ts_ms":9000}"#, r#"{"snapshot":"false","lsn":1}"#),
            (r#"{"snapshot":true,"ts_ms":9000,"lsn":9}"#, r#"{"snapshot":false,"lsn":1}"#),
        ];
        for (earlier, later) in pairs {
            let (earlier, later) = (of(earlier), of(later));
            let key = |place: &Place| (place.is_change, place.numbers);
            assert!(key(&earlier) < key(&later), "{earlier:?} {later:?}");
            if earlier.is_change {
                assert!(earlier.text < later.text && earlier.text.len() == later.text.len(), "{earlier:?} {later:?}");
            }
        }
    }

    #[test]
    fn changes_of_one_place_are_told_apart_by_the_log() {
        for (source, shared) in [
            (r#"{"ts_ms":1000,"ord":9}"#, true),
            (r#"{"scn":"9"}"#, true),
            (r#"{"scn":"9","rs_id":null,"ssn":0}"#, true),
            (r#"{"commit_lsn":"00000027:00000ac0:0007"}"#, true),
            (r#"{"scn":"9","rs_id":" 0x00006f.00000ce6.0010","ssn":2}"#, false),
            (r#"{"lsn":9}"#, false),
            (r#"{"file":"m.1","pos":4}"#, false),
        ] {
            let place = of(source);
            assert_eq!((place.is_shared, place.numbers[2] == 5), (shared, shared), "{source}");
        }
    }

    #[test]
    fn what_has_no_place_is_ordered_by_time_then_the_log() {
        assert_eq!(of("{}").numbers, [1_000_000_000, 5, 0]);
        assert_eq!(of(r#"{"ts_ms":0,"file":"","pos":"x"}"#).numbers, [1_000_000_000, 5, 0]);
    }
}
