//! The envelope: CloudEvents 1.0 in its JSON format, then what staygraph itself requires of it.

use std::sync::Arc;

use super::{Code, Envelope, Json, Rejection, SUBJECT_BYTES_MAX};
use crate::model::value::Instant;

/// A valid CloudEvent's attributes.
pub struct Parts<'a> {
    id: &'a str,
    source: &'a str,
    pub kind: &'a str,
    subject: Option<&'a str>,
    time: Option<Instant>,
    dataschema: Option<&'a str>,
    traceparent: Option<&'a str>,
    sequence: Option<&'a Json<'a>>,
    unknown_extensions: Vec<String>,
}

const KNOWN: &[&str] = &[
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
    "data_base64",
    "sequence",
    "traceparent",
];

/// Judges whether this is a CloudEvent at all.
pub fn read<'a>(root: &'a Json<'a>) -> Result<Parts<'a>, Rejection> {
    let Json::Object(members) = root else {
        return Err(Rejection::new(Code::BadEnvelope, None, format!("an event is a JSON object, not {}", root.noun())));
    };
    if required(root, "specversion")? != "1.0" {
        return Err(bad("specversion", "must be \"1.0\""));
    }
    let id = required(root, "id")?;
    let source = required(root, "source")?;
    if !is_uri_reference(source) {
        return Err(bad("source", "must be a URI reference, such as `/services/booking`"));
    }
    let kind = required(root, "type")?;
    let subject = optional(root, "subject")?;
    let time = match optional(root, "time")? {
        Some(text) => Some(Instant::parse(text).map_err(|why| bad("time", why))?),
        None => None,
    };
    if let Some(media_type) = optional(root, "datacontenttype")?
        && !is_media_type(media_type)
    {
        return Err(bad("datacontenttype", "must be a media type, such as `application/json`"));
    }
    let dataschema = optional(root, "dataschema")?;
    if dataschema.is_some_and(|text| !is_uri_reference(text) || !has_scheme(text)) {
        return Err(bad("dataschema", "must be an absolute URI"));
    }
    let traceparent = optional(root, "traceparent")?;
    let present = |name| root.get(name).is_some_and(|value| *value != Json::Null);
    if present("data") && present("data_base64") {
        return Err(bad("data_base64", "stands beside `data`, and only one of the two may"));
    }
    if let Some(value) = root.get("data_base64")
        && !matches!(value, Json::Text(_) | Json::Null)
    {
        return Err(bad("data_base64", "must be a text"));
    }
    let mut unknown_extensions = Vec::new();
    for (name, value) in members.iter().filter(|(name, _)| !KNOWN.contains(&name.as_ref())) {
        check_extension(name, value)?;
        if *value != Json::Null {
            unknown_extensions.push(name.clone().into_owned());
        }
    }
    let sequence = root.get("sequence").filter(|value| **value != Json::Null);
    Ok(Parts { id, source, kind, subject, time, dataschema, traceparent, sequence, unknown_extensions })
}

/// Judges what the contract requires beyond CloudEvents: a subject, a time and, by the ordering, a version.
pub fn require(parts: Parts<'_>, by_sequence: bool) -> Result<(Arc<str>, Envelope, Vec<String>), Rejection> {
    let missing = |field, message: &str| Rejection::new(Code::BadField, field, message);
    let subject = parts
        .subject
        .ok_or_else(|| missing("subject", "`subject` is missing: the entity's id as its domain knows it"))?;
    if subject.len() > SUBJECT_BYTES_MAX {
        let message = format!("`subject` has {} bytes, and at most {SUBJECT_BYTES_MAX} are taken", subject.len());
        return Err(Rejection::new(Code::BadField, "subject", message));
    }
    let time = parts.time.ok_or_else(|| missing("time", "`time` is missing: when it happened in the business"))?;
    let version = parts.sequence.and_then(version);
    if by_sequence && version.is_none() {
        let message = match parts.sequence {
            None => "`sequence` is missing: the entity's version, 1, 2, 3, …",
            Some(_) => "`sequence` must be an integer from 1 to 2^63 − 1, or the same as a text of digits",
        };
        return Err(missing("sequence", message));
    }
    let sequence = match parts.sequence {
        Some(Json::Text(text)) => Some(Arc::from(text.as_ref())),
        Some(Json::Integer(number)) => Some(Arc::from(number.to_string())),
        _ => None,
    };
    let envelope = Envelope {
        id: parts.id.into(),
        source: parts.source.into(),
        kind: parts.kind.into(),
        time,
        version,
        sequence,
        dataschema: parts.dataschema.map(Arc::from),
        traceparent: parts.traceparent.map(Arc::from),
    };
    Ok((subject.into(), envelope, parts.unknown_extensions))
}

fn version(sequence: &Json<'_>) -> Option<u64> {
    match sequence {
        Json::Integer(number) if *number >= 1 => Some(*number as u64),
        Json::Text(text) if !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse::<i64>().ok().map(|number| number as u64)
        }
        _ => None,
    }
}

fn bad(field: &str, what: &str) -> Rejection {
    Rejection::at(Code::BadEnvelope, Some(field.to_owned()), format!("`{field}` {what}"))
}

fn required<'a>(root: &'a Json<'a>, name: &'static str) -> Result<&'a str, Rejection> {
    optional(root, name)?.ok_or_else(|| bad(name, "is missing"))
}

fn optional<'a>(root: &'a Json<'a>, name: &'static str) -> Result<Option<&'a str>, Rejection> {
    match root.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) if text.is_empty() => Err(bad(name, "is empty")),
        Some(Json::Text(text)) if !is_cloud_events_text(text) => Err(bad(name, "holds a control character")),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(other) => Err(bad(name, &format!("must be a text, not {}", other.noun()))),
    }
}

fn check_extension(name: &str, value: &Json<'_>) -> Result<(), Rejection> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        let message = "an extension's name has lower-case letters and digits only";
        return Err(Rejection::at(Code::BadEnvelope, Some(super::shorten(name)), message));
    }
    let fits = match value {
        Json::Null | Json::Boolean(_) => true,
        Json::Integer(number) => i32::try_from(*number).is_ok(),
        Json::Text(text) => is_cloud_events_text(text),
        _ => false,
    };
    if fits { Ok(()) } else { Err(bad(name, "must be a text, a truth value or an integer of 32 bits")) }
}

/// CloudEvents' `String`: no control characters.
fn is_cloud_events_text(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn is_uri_reference(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(index, byte)| match byte {
        b'%' => bytes.get(index + 1..index + 3).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit)),
        _ => byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(byte),
    })
}

fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}
