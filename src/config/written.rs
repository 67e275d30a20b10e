//! Values as people write them, on the command line, in the environment and in the file: one reading for all three, and one
//! text that says how they are written.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::freshness::parse_duration_ms;

/// A value that is read from text.
pub trait Written: Sized {
    /// Completes "is …".
    fn form() -> String;

    /// The error says how it is written.
    fn read(text: &str) -> Result<Self, String>;
}

/// Reads an option's value; the error completes clap's "invalid value for …".
pub fn written<T: Written>(text: &str) -> Result<T, String> {
    T::read(text).map_err(|why| format!("it {why}"))
}

/// A duration of at least so many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millis<const MIN: i64>(pub i64);

impl<const MIN: i64> Written for Millis<MIN> {
    fn form() -> String {
        let least = if MIN > 0 { format!(", at least `{MIN}ms`") } else { String::new() };
        format!("a duration: an integer with `ms`, `s`, `m` or `h`, such as `300ms`{least}")
    }

    fn read(text: &str) -> Result<Self, String> {
        match parse_duration_ms(text) {
            Ok(ms) if ms >= MIN => Ok(Millis(ms)),
            _ => Err(format!("is {}", Self::form())),
        }
    }
}

/// How long something is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    #[default]
    Forever,
    Millis(i64),
}

impl Written for Retention {
    fn form() -> String {
        "`forever`, or a duration: an integer with `ms`, `s`, `m` or `h`, such as `720h`, at least `1ms`".into()
    }

    fn read(text: &str) -> Result<Self, String> {
        match (text, parse_duration_ms(text)) {
            ("forever", _) => Ok(Retention::Forever),
            (_, Ok(ms)) if ms >= 1 => Ok(Retention::Millis(ms)),
            _ => Err(format!("is {}", Self::form())),
        }
    }
}

/// A whole number between two others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<const MIN: u64, const MAX: u64>(pub u64);

/// As many as one likes, and one at least.
pub type Positive = Number<1, { i64::MAX as u64 }>;

impl<const MIN: u64, const MAX: u64> Written for Number<MIN, MAX> {
    fn form() -> String {
        match MAX == i64::MAX as u64 {
            true => format!("a whole number from {MIN} on"),
            false => format!("a whole number from {MIN} to {MAX}"),
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        match text.parse::<u64>() {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Number(number)),
            _ => Err(format!("is {}", Self::form())),
        }
    }
}

impl<const MIN: u64, const MAX: u64> Number<MIN, MAX> {
    pub fn usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(pub String);

impl Written for Address {
    fn form() -> String {
        "an address and a port, such as `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`".into()
    }

    fn read(text: &str) -> Result<Self, String> {
        let is_named = text.rsplit_once(':').is_some_and(|(host, port)| {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            // An address of digits that is none is no name either.
            let is_name = host.bytes().any(|byte| byte.is_ascii_alphabetic()) && host.bytes().all(letters);
            is_name && !port.starts_with('+') && port.parse::<u16>().is_ok()
        });
        match is_named || text.parse::<SocketAddr>().is_ok() {
            true => Ok(Address(text.to_owned())),
            false => Err(format!("is {}", Self::form())),
        }
    }
}

/// An origin that browsers call from, as they send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(pub String);

impl Written for Origin {
    fn form() -> String {
        "an origin as browsers send it: scheme, host in small letters, and a port that is not the scheme's own, such as \
         `https://app.example` or `http://localhost:3000`"
            .into()
    }

    fn read(text: &str) -> Result<Self, String> {
        let wrong = |meant: Option<String>| {
            let meant = meant.map(|meant| format!("; write `{meant}`")).unwrap_or_default();
            let each = if text.contains('*') { "; there is no `*`: name each" } else { "" };
            Err(format!("is {}{meant}{each}", Self::form()))
        };
        // What a browser sends for a page without an origin: of a file, say.
        if text == "null" {
            return Ok(Origin(text.to_owned()));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let meant = format!("https://{}", text.to_ascii_lowercase());
            return wrong(Origin::read(&meant).is_ok().then_some(meant));
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        let scheme_small = scheme.to_ascii_lowercase();
        let own_port = match scheme_small.as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => "",
        };
        let meant = authority.strip_suffix(own_port).unwrap_or(&authority);
        let meant = format!("{scheme_small}://{meant}");
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority.as_str(), None),
        };
        let is_scheme = scheme_small.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme_small.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
        };
        let is_port = port.is_none_or(|port| !port.starts_with('+') && port.parse::<u16>().is_ok());
        match is_scheme && is_host && is_port {
            false => wrong(None),
            true if meant != text => wrong(Some(meant)),
            true => Ok(Origin(meant)),
        }
    }
}

/// A request header's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header(pub String);

impl Written for Header {
    fn form() -> String {
        "a header's name, such as `X-Request-Id`".into()
    }

    fn read(text: &str) -> Result<Self, String> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        // A browser takes `*` for no credentials alone, and this service for nothing.
        match !text.is_empty() && text != "*" && text.bytes().all(is_token) {
            true => Ok(Header(text.to_ascii_lowercase())),
            false => Err(format!("is {}", Self::form())),
        }
    }
}

/// Reads a value of the file: a text, or a number without quotes.
struct InFile<T>(PhantomData<T>);

impl<T: Written> Visitor<'_> for InFile<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&T::form())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        T::read(&number.to_string()).map_err(E::custom)
    }
}

impl<'de, const MIN: i64> Deserialize<'de> for Millis<MIN> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(InFile(PhantomData))
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Number<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(InFile(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Retention {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(InFile(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(InFile(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(InFile(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(InFile(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Written + PartialEq + fmt::Debug>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(T::read(text).is_ok(), "{text}: {:?}", T::read(text));
        }
        for text in bad {
            assert!(T::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_works_is_read_and_nothing_else() {
        check::<Millis<0>>(&["0ms", "30s"], &["30", "", "1d", "-1s"]);
        check::<Millis<1>>(&["1ms", "2h"], &["0ms", "0s", "10"]);
        check::<Retention>(&["forever", "720h", "1ms"], &["", "0s", "30d", "never", "-1h"]);
        check::<Number<1, 32>>(&["1", "32"], &["0", "33", "-1", "1.5", "", "twenty"]);
        check::<Positive>(&["1", "9223372036854775807"], &["0", "9223372036854775808"]);
        check::<Address>(
            &["127.0.0.1:8080", "[::1]:0", "localhost:80", "0.0.0.0:1", "a-b.example:65535"],
            &[
                "8080",
                "x",
                ":8080",
                "127.0.0.1",
                "localhost:",
                "localhost:99999",
                "http://localhost:80",
                "::1:80",
                "1.2.3:80",
                "a b:1",
            ],
        );
        check::<Header>(&["X-Request-Id", "traceparent"], &["", "*", "a b", "a:b", "ä"]);
    }

    #[test]
    fn an_origin_is_what_browsers_send_or_says_what_they_do() {
        for good in [
            "https://a.example",
            "http://localhost:3000",
            "https://a.example:8443",
            "http://[::1]:5173",
            "null",
            "moz-extension://0a1b",
        ] {
            assert_eq!(Origin::read(good), Ok(Origin(good.into())));
        }
        for (bad, meant) in [
            ("*", "there is no `*`"),
            ("https://*.a.example", "there is no `*`"),
            ("https://a.example/", "write `https://a.example`"),
            ("https://a.example/path", "write `https://a.example`"),
            ("https://a.example:443", "write `https://a.example`"),
            ("http://a.example:80", "write `http://a.example`"),
            ("HTTPS://A.Example", "write `https://a.example`"),
            ("a.example", "write `https://a.example`"),
            ("https://", "as browsers send it"),
            ("https://a.example:x", "as browsers send it"),
            ("https://münchen.example", "as browsers send it"),
            ("", "as browsers send it"),
        ] {
            let said = Origin::read(bad).expect_err(bad);
            assert!(said.contains(meant), "{bad}: {said}");
        }
    }
}
