//! Texts of cells to values. Each error is the end of a sentence that begins with the column and the text.

use jiff::civil::Date;

/// The greatest number of minor units that the event contract takes: 2^53 − 1.
const MINOR_MAX: i128 = (1 << 53) - 1;

/// A date as ISO 8601 has it.
pub fn date(text: &str) -> Result<Date, &'static str> {
    let padded = text.len() == 10 && text.as_bytes().get(4) == Some(&b'-') && text.as_bytes().get(7) == Some(&b'-');
    let day = numbers(text, '-').filter(|_| padded).and_then(|[year, month, day]| civil(year, month, day));
    day.ok_or("is no date (YYYY-MM-DD)")
}

/// Three numbers with a separator between them.
pub fn numbers(text: &str, separator: char) -> Option<[i32; 3]> {
    let mut parts = text.split(separator).map(digits);
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// A number of digits alone: what `parse` takes without a sign.
pub fn digits(text: &str) -> Option<i32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

pub fn civil(year: i32, month: i32, day: i32) -> Option<Date> {
    Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()
}

/// A number of things. Some years of the data write 2 bedrooms as 2.0.
pub fn whole(text: &str) -> Result<i32, &'static str> {
    let number = text.strip_suffix(".0").unwrap_or(text);
    digits(number).ok_or("is no whole number, or too great a one")
}

/// A decimal number, exactly: `digits` divided by ten to the power `places`.
#[derive(Clone, Copy)]
pub struct Decimal {
    digits: i64,
    places: u32,
}

impl Decimal {
    /// So many times this in minor units of a currency with so many decimal places, rounded half away from zero;
    /// and whether that dropped nothing.
    pub fn minor_units(self, times: i32, places: u32) -> Result<(i64, bool), &'static str> {
        let digits = i128::from(self.digits) * i128::from(times);
        let unit = |places| 10_i128.checked_pow(places).ok_or(TOO_GREAT);
        if places >= self.places {
            let minor = digits.checked_mul(unit(places - self.places)?).ok_or(TOO_GREAT)?;
            return Ok((bounded(minor)?, true));
        }
        let unit = unit(self.places - places)?;
        let rest = digits % unit;
        let away = if rest.abs() * 2 >= unit { rest.signum() } else { 0 };
        Ok((bounded(digits / unit + away)?, rest == 0))
    }
}

const TOO_GREAT: &str = "is too great an amount";

fn bounded(minor: i128) -> Result<i64, &'static str> {
    if minor.abs() > MINOR_MAX {
        return Err(TOO_GREAT);
    }
    i64::try_from(minor).map_err(|_| TOO_GREAT)
}

/// A decimal number such as 94.58, -6.38 or 75.
pub fn decimal(text: &str) -> Result<Decimal, &'static str> {
    const FAULT: &str = "is no decimal number";
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FAULT);
    }
    let digits: i64 = digits.parse().map_err(|_| TOO_GREAT)?;
    let places = u32::try_from(fraction.len()).map_err(|_| FAULT)?;
    Ok(Decimal { digits: if unsigned.len() < text.len() { -digits } else { digits }, places })
}
