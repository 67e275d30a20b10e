//! CloudEvents' Kafka binding in binary mode: attributes in headers, data as the value.

use serde_json::value::RawValue;

use crate::event::{Code, Rejection, SUBJECT_BYTES_MAX};
use crate::source::Raw;

const CONTENT_TYPE: &str = "content-type";

/// Whether headers hold the event's attributes.
pub fn is_binary(raw: &Raw<'_>) -> bool {
    let has = |wanted: &str| raw.headers.iter().any(|(name, _)| *name == wanted);
    let structured = |value: &[u8]| value.starts_with(b"application/cloudevents");
    let content_type = raw.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE));
    let is_structured = content_type.and_then(|(_, value)| *value).is_some_and(structured);
    !is_structured && (has("ce_specversion") || has("ce_id") || has("ce_type"))
}

/// The event in structured JSON. Data that are no JSON are refused when it is read.
pub fn structured(raw: &Raw<'_>, is_json: bool, out: &mut Vec<u8>) -> Result<(), Box<Rejection>> {
    let mut attributes: Vec<(&str, &str)> = Vec::new();
    for (name, value) in raw.headers {
        let Some(value) = value else { continue };
        let attribute = match name.strip_prefix("ce_") {
            Some(attribute) => attribute,
            // Of another encoding it would name what the data no longer are.
            None if is_json && name.eq_ignore_ascii_case(CONTENT_TYPE) => "datacontenttype",
            None => continue,
        };
        let refused = |what: String| Box::new(Rejection::at(Code::BadEnvelope, Some(attribute.to_owned()), what));
        let text = std::str::from_utf8(value).map_err(|_| refused(format!("the header `{name}` is no UTF-8")))?;
        match attributes.iter().find(|(known, _)| *known == attribute) {
            None => attributes.push((attribute, text)),
            Some((_, known)) if are_alike(attribute, known, text) => {}
            Some(_) => {
                let what = match attribute {
                    "datacontenttype" => "its headers (`content-type`, `ce_datacontenttype`) say two things".to_owned(),
                    _ => format!("the header `{name}` stands there more than once, and says two things"),
                };
                return Err(refused(what));
            }
        }
    }
    out.clear();
    out.push(b'{');
    for (name, text) in attributes {
        if out.len() > 1 {
            out.push(b',');
        }
        // Writing a text into memory does not fail.
        let _ = serde_json::to_writer(&mut *out, name);
        out.push(b':');
        let _ = serde_json::to_writer(&mut *out, text);
    }
    if let Some(value) = raw.value.filter(|value| !value.is_empty()) {
        out.extend_from_slice(if out.len() > 1 { b",\"data\":" } else { b"\"data\":" });
        match serde_json::from_slice::<&RawValue>(value) {
            Ok(_) => out.extend_from_slice(value),
            // Told apart from a value that would close the object and go on.
            Err(_) => out.extend_from_slice(b"!"),
        }
    }
    out.push(b'}');
    Ok(())
}

/// Whether two headers say the same. A media type is written in any case, and with or without blanks.
fn are_alike(attribute: &str, one: &str, other: &str) -> bool {
    let squeezed = |text: &str| text.split_whitespace().collect::<String>().to_ascii_lowercase();
    one == other || attribute == "datacontenttype" && squeezed(one) == squeezed(other)
}

/// Says which event it was to be: what is refused before it is read knows none.
pub fn name(raw: &Raw<'_>, rejection: &mut Rejection) {
    let header = |wanted: &str| {
        let (_, value) = raw.headers.iter().find(|(name, _)| *name == wanted)?;
        Some(std::str::from_utf8((*value)?).ok()?.to_owned())
    };
    rejection.id = rejection.id.take().or_else(|| header("ce_id"));
    rejection.kind = rejection.kind.take().or_else(|| header("ce_type"));
    let subject = || header("ce_subject").filter(|subject| subject.len() <= SUBJECT_BYTES_MAX);
    rejection.subject = rejection.subject.take().or_else(subject);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::freshness::Basis;
    use crate::model::value::Instant;

    type Headers<'a> = &'a [(&'a str, &'a [u8])];

    fn read(headers: Headers<'_>) -> Result<String, Box<Rejection>> {
        let headers: Vec<(&str, Option<&[u8]>)> = headers.iter().map(|(name, value)| (*name, Some(*value))).collect();
        let (at, value) = (Instant::EPOCH, Some(b"{}".as_slice()));
        let raw = Raw { offset: 1, at, basis: Basis::Append, key: None, value, headers: &headers };
        assert!(is_binary(&raw));
        let mut out = Vec::new();
        let read = structured(&raw, true, &mut out);
        read.map(|()| String::from_utf8(out).unwrap()).map_err(|mut rejection| {
            name(&raw, &mut rejection);
            rejection
        })
    }

    #[test]
    fn headers_say_one_thing_or_are_refused() {
        let alike: [Headers<'_>; 4] = [
            &[("ce_id", b"1"), ("content-type", b"application/json"), ("ce_datacontenttype", b"application/json")],
            &[("ce_id", b"1"), ("ce_datacontenttype", b"application/json"), ("Content-Type", b"Application/JSON")],
            &[("ce_id", b"1"), ("ce_id", b"1"), ("content-type", b"application/json")],
            &[
                ("ce_id", b"1"),
                ("content-type", b"application/json;charset=utf-8"),
                ("content-type", b"application/json; charset=UTF-8"),
            ],
        ];
        for headers in alike {
            let text = read(headers).unwrap();
            let event: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(event["id"] == "1" && text.matches("datacontenttype").count() == 1, "{text}");
        }
        let apart: [(Headers<'_>, &str); 4] = [
            (
                &[("ce_id", b"1"), ("content-type", b"text/plain"), ("ce_datacontenttype", b"application/json")],
                "datacontenttype",
            ),
            (&[("ce_id", b"1"), ("ce_id", b"2")], "id"),
            (&[("ce_type", b"person.registered"), ("ce_subject", b"Zo\xeb")], "subject"),
            (&[("ce_id", b"1"), ("ce_note", b"\xff\xfe")], "note"),
        ];
        for (headers, field) in apart {
            let rejection = read(headers).unwrap_err();
            assert_eq!((rejection.code, rejection.field.as_deref()), (Code::BadEnvelope, Some(field)));
            assert!(!rejection.message.contains('\u{fffd}'));
        }
        let rejection =
            read(&[("ce_type", b"person.registered"), ("ce_id", b"\xff"), ("ce_subject", b"p-1")]).unwrap_err();
        let named = (rejection.kind.as_deref(), rejection.subject.as_deref(), rejection.id.as_deref());
        assert_eq!(named, (Some("person.registered"), Some("p-1"), None));
    }
}
