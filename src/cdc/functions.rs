//! What programs have beside jq's own functions: local times into instants, amounts into minor units.

use jaq_core::native::{Filter, Fun, bome, run, v};
use jaq_core::{DataT, Error, RunPtr};
use jaq_json::{Num, Val};
use jiff::civil::DateTime;
use jiff::tz::{Disambiguation, TimeZone};

use super::json::text;

/// The functions, for programs that run on JSON values.
///
/// - `instant(zone)`, `instant(zone; doubt)`: a local time without an offset, `2024-05-01T14:00:00`, in a zone of the IANA
///   database, as an instant. `doubt` says what a time is that clocks show twice or never: [`disambiguation`].
/// - `fromjson`: jq's, which `tonumber` is made of, for JSON alone and nested no deeper than messages may be.
/// - `minor(currency)`: an amount, a number or a decimal text, in minor units of a currency of ISO 4217.
///
/// Null gives null: columns may be empty.
pub fn all<D: for<'a> DataT<V<'a> = Val>>() -> impl Iterator<Item = Fun<D>> {
    table().into_vec().into_iter().map(run)
}

fn table<D: for<'a> DataT<V<'a> = Val>>() -> Box<[Filter<RunPtr<D>>]> {
    Box::new([
        ("instant", v(1), |mut cv| {
            let zone = cv.0.pop_var();
            bome(instant(&cv.1, &zone, None).map_err(Error::str))
        }),
        ("instant", v(2), |mut cv| {
            let doubt = cv.0.pop_var();
            let zone = cv.0.pop_var();
            bome(instant(&cv.1, &zone, Some(&doubt)).map_err(Error::str))
        }),
        ("minor", v(1), |mut cv| {
            let currency = cv.0.pop_var();
            bome(minor(&cv.1, &currency).map_err(Error::str))
        }),
        ("fromjson", v(0), |cv| bome(from_json(&cv.1).map_err(Error::str))),
    ])
}

/// Messages that this room writes: they hold no value of a row. A program's own do not begin so.
pub const OWN: [&str; 3] = ["instant: ", "minor: ", "fromjson: "];

/// jaq's own takes any depth, and a deep enough text in a row would end the process.
fn from_json(value: &Val) -> Result<Val, String> {
    let text = text(value).ok_or("fromjson: it takes a text")?;
    super::json::read(text.as_bytes()).map_err(|why| format!("fromjson: {why}"))
}

fn instant(local: &Val, zone: &Val, doubt: Option<&Val>) -> Result<Val, String> {
    if matches!(local, Val::Null) {
        return Ok(Val::Null);
    }
    const SHAPE: &str = "instant: it takes a date and time without an offset, e.g. 2024-05-01T14:00:00";
    let local = text(local).ok_or(SHAPE)?;
    // jiff would leave an offset or a zone aside.
    let is_local = local.len() >= 19
        && local.is_ascii()
        && local[19..].strip_prefix('.').map_or(local.len() == 19, |digits| {
            (1..=9).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
        });
    let local: DateTime = local.parse().ok().filter(|_| is_local).ok_or(SHAPE)?;
    let name = text(zone).ok_or("instant: the zone is a text, e.g. Asia/Singapore")?;
    let zone = TimeZone::get(name)
        .map_err(|_| "instant: there is no such zone in the IANA time zone database, e.g. Asia/Singapore")?;
    let doubt = match doubt {
        Some(word) => disambiguation(word)?,
        None => Disambiguation::Compatible,
    };
    let at = zone.to_ambiguous_timestamp(local).disambiguate(doubt);
    let at = at.map_err(|_| "instant: clocks show this time twice or never, or it lies beyond the calendar")?;
    Ok(super::json::string(&at.to_string()))
}

/// What a local time is that clocks show twice (a fold) or never (a gap), as RFC 5545 says unless told otherwise: the first
/// of two, and of none the time that as many minutes after the last shown would be.
fn disambiguation(word: &Val) -> Result<Disambiguation, String> {
    match text(word) {
        Some("compatible") => Ok(Disambiguation::Compatible),
        Some("earlier") => Ok(Disambiguation::Earlier),
        Some("later") => Ok(Disambiguation::Later),
        Some("reject") => Ok(Disambiguation::Reject),
        _ => Err("instant: the last argument is compatible, earlier, later or reject".into()),
    }
}

fn minor(amount: &Val, currency: &Val) -> Result<Val, String> {
    let amount = match amount {
        Val::Null => return Ok(Val::Null),
        Val::TStr(_) => text(amount).unwrap_or_default().to_owned(),
        // The shortest digits that read as this number: those that were written, unless a program computed it.
        Val::Num(Num::Float(number)) => number.to_string(),
        Val::Num(Num::Dec(written)) => crate::event::plain(written).ok_or("minor: the amount is too large")?,
        Val::Num(number) => number.to_string(),
        _ => return Err("minor: it takes a number or a decimal text".into()),
    };
    let code = text(currency).unwrap_or_default();
    let digits = digits(code).ok_or("minor: there is no such currency in ISO 4217")?;
    let (sign, unsigned) = match amount.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, amount.strip_prefix('+').unwrap_or(&amount)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || unsigned.ends_with('.') {
        return Err("minor: it takes a decimal such as 12.50, without an exponent or a thousands separator".into());
    }
    // Zeros beyond are what a column of a wider scale writes.
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > digits {
        return Err(format!("minor: the amount has more digits than the {digits} of {code}"));
    }
    let units = format!("{whole}{fraction:0<digits$}");
    let units: i64 = units.parse().map_err(|_| "minor: the amount is too large")?;
    Ok(Val::Num(Num::from_integral(sign * units)))
}

/// How many digits a currency has after the point. ISO 4217's list of currencies in use, funds and metals left out.
fn digits(code: &str) -> Option<usize> {
    const NONE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
    const TWO: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF \
         CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR \
         IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN \
         NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL \
         THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";
    const THREE: &str = "BHD IQD JOD KWD LYD OMR TND";
    let has = |list: &str| list.split_whitespace().any(|known| known == code);
    [(TWO, 2), (NONE, 0), (THREE, 3)].into_iter().find_map(|(list, digits)| has(list).then_some(digits))
}

#[cfg(test)]
mod tests {
    use super::super::json::string;
    use super::*;

    #[test]
    fn amounts_are_exact() {
        let minor_of = |amount: Val, code: &str| minor(&amount, &string(code));
        let cases = [
            ("12.50", "SGD", Ok(1250)),
            ("12.5", "SGD", Ok(1250)),
            ("12.5000", "SGD", Ok(1250)),
            ("-0.07", "EUR", Ok(-7)),
            ("1200", "JPY", Ok(1200)),
            ("1200.00", "JPY", Ok(1200)),
            ("1.234", "KWD", Ok(1234)),
            ("90071992547409.91", "SGD", Ok(9_007_199_254_740_991)),
            ("12.505", "SGD", Err("more digits")),
            ("0.5", "JPY", Err("more digits")),
            ("1.", "SGD", Err("a decimal")),
            (".5", "SGD", Err("a decimal")),
            ("1e3", "SGD", Err("a decimal")),
            ("1,200", "SGD", Err("a decimal")),
            ("", "SGD", Err("a decimal")),
            ("99999999999999999999", "SGD", Err("too large")),
            ("1", "SGX", Err("no such currency")),
        ];
        for (amount, code, expected) in cases {
            let got = minor_of(string(amount), code);
            match expected {
                Ok(units) => assert_eq!(got, Ok(Val::Num(Num::Int(units))), "{amount} {code}"),
                Err(why) => assert!(got.clone().is_err_and(|error| error.contains(why)), "{amount} {code}: {got:?}"),
            }
        }
        assert_eq!(minor_of(Val::Num(Num::Float(19.99)), "SGD"), Ok(Val::Num(Num::Int(1999))));
        assert_eq!(minor_of(Val::Num(Num::Int(19)), "SGD"), Ok(Val::Num(Num::Int(1900))));
        let written = |digits: &str| super::super::json::read(digits.as_bytes()).unwrap();
        for (amount, expected) in [
            ("90071992547409.93", 9_007_199_254_740_993),
            ("9007199254740993e-2", 9_007_199_254_740_993),
            ("-12345678901234567.8900", -1_234_567_890_123_456_789),
            ("1.25e1", 1250),
        ] {
            assert_eq!(minor_of(written(amount), "SGD"), Ok(Val::Num(Num::Int(expected))), "{amount}");
        }
        assert_eq!(minor_of(Val::Null, "SGD"), Ok(Val::Null));
    }

    #[test]
    fn local_times_become_instants() {
        let of = |local: &str, zone: &str, doubt: Option<&str>| {
            let doubt = doubt.map(string);
            instant(&string(local), &string(zone), doubt.as_ref()).map(|at| text(&at).unwrap().to_owned())
        };
        assert_eq!(of("2024-05-01T14:00:00", "Asia/Singapore", None).unwrap(), "2024-05-01T06:00:00Z");
        assert_eq!(of("2024-05-01 14:00:00.250", "Asia/Singapore", None).unwrap(), "2024-05-01T06:00:00.25Z");
        // A gap: 02:30 does not come on this day. It is what 02:30 would be by the clock of before.
        assert_eq!(of("2024-03-31T02:30:00", "Europe/Berlin", None).unwrap(), "2024-03-31T01:30:00Z");
        assert_eq!(of("2024-03-31T02:30:00", "Europe/Berlin", Some("earlier")).unwrap(), "2024-03-31T00:30:00Z");
        // A fold: 02:30 comes twice. It is the first.
        assert_eq!(of("2024-10-27T02:30:00", "Europe/Berlin", None).unwrap(), "2024-10-27T00:30:00Z");
        assert_eq!(of("2024-10-27T02:30:00", "Europe/Berlin", Some("later")).unwrap(), "2024-10-27T01:30:00Z");
        for (local, zone, doubt) in [
            ("2024-10-27T02:30:00", "Europe/Berlin", Some("reject")),
            ("2024-03-31T02:30:00", "Europe/Berlin", Some("reject")),
            ("2023-05-01T14:00:00", "Europe/Berlin", Some("nearest")),
            ("2023-05-01T14:00:00", "Mars/Olympus", None),
            ("2023-05-01T14:00:00Z", "Asia/Singapore", None),
            ("2023-05-01T14:00:00+08:00", "Asia/Singapore", None),
            ("2023-05-01", "Asia/Singapore", None),
            ("2024-02-30T14:00:00", "Asia/Singapore", None),
            ("2023-05-01T14:00:00.", "Asia/Singapore", None),
            ("infinity", "Asia/Singapore", None),
        ] {
            let fault = of(local, zone, doubt).unwrap_err();
            assert!(!fault.contains(local) && fault.starts_with("instant: "), "{local}: {fault}");
        }
    }
}
