//! What a client demands of an answer's freshness: read from headers or from the request's own extensions.

use crate::limits::{ENTRIES_MAX, POSITION_BYTES_MAX};
use crate::position::Position;

/// What to do when a demand is not met in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// Answer, and say what is unmet.
    #[default]
    Serve,
    Fail,
}

/// A client's demand; without one nothing waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    pub at_least: Option<Position>,
    pub max_staleness_ms: Option<i64>,
    pub wait_ms: Option<i64>,
    pub otherwise: Otherwise,
}

impl Demand {
    /// Reads the four parts, each by its name in the request's extensions. `part` gives the text of one, or `None`.
    /// The error names the part and what it should look like.
    pub fn read(part: impl Fn(&str) -> Result<Option<String>, String>) -> Result<Demand, String> {
        let duration = |name: &str| match part(name)? {
            Some(text) => {
                parse_duration_ms(&text).map(Some).map_err(|why| format!("`{name}` of the freshness demand {why}"))
            }
            None => Ok(None),
        };
        let at_least = part("atLeast")?.map(|text| position(&text)).transpose();
        Ok(Demand {
            at_least: at_least.map_err(|why| format!("`atLeast` of the freshness demand: {why}"))?,
            max_staleness_ms: duration("maxStaleness")?,
            wait_ms: duration("wait")?,
            otherwise: match part("otherwise")?.as_deref() {
                None => Otherwise::Serve,
                Some(text) if text.eq_ignore_ascii_case("serve") => Otherwise::Serve,
                Some(text) if text.eq_ignore_ascii_case("fail") => Otherwise::Fail,
                Some(_) => return Err("`otherwise` of the freshness demand is SERVE or FAIL".into()),
            },
        })
    }

    /// Whether there is anything to meet.
    pub fn is_empty(&self) -> bool {
        self.at_least.is_none() && self.max_staleness_ms.is_none()
    }
}

fn position(text: &str) -> Result<Position, String> {
    if text.len() > POSITION_BYTES_MAX {
        return Err(format!("it has {} bytes, and at most {POSITION_BYTES_MAX} are taken", text.len()));
    }
    let entries = text.bytes().filter(|byte| *byte == b',').count() + 1;
    match entries <= ENTRIES_MAX {
        true => Position::parse(text),
        false => Err(format!("it has {entries} entries, and at most {ENTRIES_MAX} are taken")),
    }
}

/// An integer with `ms`, `s`, `m` or `h`. The error completes "`x` …".
pub fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let wanted = || "is a duration: an integer with `ms`, `s`, `m` or `h`, such as `300ms`".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let factor = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wanted()),
    };
    let number: i64 = text[..digits].parse().map_err(|_| wanted())?;
    number.checked_mul(factor).ok_or_else(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, ms) in [("300ms", 300), ("2s", 2000), ("5m", 300_000), ("1h", 3_600_000), ("0ms", 0)] {
            assert_eq!(parse_duration_ms(text), Ok(ms));
        }
        for text in
            ["", "5", "ms", "-1s", "1.5s", " 1s", "1 s", "1d", "99999999999999999999s", "9223372036854775807h", "١s"]
        {
            assert!(parse_duration_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_demand_is_read_part_by_part() {
        let read = |name: &str, value: &str| {
            let (name, value) = (name.to_owned(), value.to_owned());
            Demand::read(move |part| Ok((part == name).then(|| value.clone())))
        };
        assert_eq!(read("otherwise", "FAIL").map(|demand| demand.otherwise), Ok(Otherwise::Fail));
        assert_eq!(read("otherwise", "serve").map(|demand| demand.is_empty()), Ok(true));
        assert_eq!(read("maxStaleness", "2s").map(|demand| demand.max_staleness_ms), Ok(Some(2000)));
        assert!(read("atLeast", "reservations/0@1043").is_ok_and(|demand| !demand.is_empty()));
        for (name, value) in [("otherwise", "maybe"), ("wait", "soon"), ("atLeast", ""), ("atLeast", "x")] {
            assert!(read(name, value).is_err(), "{name} {value}");
        }
    }
}
