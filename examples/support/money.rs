//! Prices as Inside Airbnb writes them, and currencies.

use super::parse::{Decimal, decimal};

/// Currencies whose amounts have no decimal places, and those with three (ISO 4217); all others have two.
const WITHOUT_PLACES: [&str; 16] =
    ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"];
const THREE_PLACES: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

#[derive(Clone)]
pub struct Currency {
    pub code: String,
    places: u32,
}

impl Currency {
    pub fn named(code: &str) -> Result<Currency, String> {
        if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err("a currency is three capitals, such as EUR".to_owned());
        }
        let places = match code {
            code if WITHOUT_PLACES.contains(&code) => 0,
            code if THREE_PLACES.contains(&code) => 3,
            _ => 2,
        };
        Ok(Currency { code: code.to_owned(), places })
    }

    /// A price in this currency's minor units, to the last digit of its text.
    pub fn minor_units(&self, text: &str) -> Result<i64, &'static str> {
        match price(text)?.minor_units(1, self.places)? {
            (minor, true) => Ok(minor),
            (_, false) => Err("has more decimal places than its currency"),
        }
    }
}

/// A price such as $150.00, €1,000.00 or 145: the sign of a currency before it, commas between thousands.
fn price(text: &str) -> Result<Decimal, &'static str> {
    const FAULT: &str = "is no price such as $1,000.00";
    let amount = text.trim_start_matches(|character: char| !character.is_ascii_digit() && !"-.,".contains(character));
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    if whole.contains(',') && (first.is_empty() || first.len() > 3 || groups.any(|group| group.len() != 3)) {
        return Err(FAULT);
    }
    decimal(&format!("{}.{fraction}", whole.replace(',', ""))).map_err(|_| FAULT)
}
