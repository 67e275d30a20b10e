//! The envelope: CloudEvents 1.0 in its JSON format, then what staygraph itself requires of it.

use std::fmt::Write;

use super::buffer::{Kept, Sequence};
use super::tape::{Node, Span, Token};
use super::{Code, Rejection, SUBJECT_BYTES_MAX};
use crate::limits::NAME_BYTES_MAX;
use crate::model::value::Instant;

/// The members that are known of an event, found in one pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Members<'t> {
    specversion: Option<Node<'t>>,
    id: Option<Node<'t>>,
    source: Option<Node<'t>>,
    kind: Option<Node<'t>>,
    subject: Option<Node<'t>>,
    time: Option<Node<'t>>,
    pub datacontenttype: Option<Node<'t>>,
    dataschema: Option<Node<'t>>,
    pub data: Option<Node<'t>>,
    pub data_base64: Option<Node<'t>>,
    sequence: Option<Node<'t>>,
    traceparent: Option<Node<'t>>,
    has_extensions: bool,
}

impl<'t> Members<'t> {
    pub fn of(root: Node<'t>) -> Members<'t> {
        let mut members = Members::default();
        for (name, value) in root.members() {
            match members.place(root.spanned(name)) {
                Some(place) => *place = Some(value),
                None => members.has_extensions = true,
            }
        }
        members
    }

    fn place(&mut self, name: &str) -> Option<&mut Option<Node<'t>>> {
        Some(match name {
            "specversion" => &mut self.specversion,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.kind,
            "subject" => &mut self.subject,
            "time" => &mut self.time,
            "datacontenttype" => &mut self.datacontenttype,
            "dataschema" => &mut self.dataschema,
            "data" => &mut self.data,
            "data_base64" => &mut self.data_base64,
            "sequence" => &mut self.sequence,
            "traceparent" => &mut self.traceparent,
            _ => return None,
        })
    }
}

/// Whether a member of an event is one that counts.
pub fn knows(name: &str) -> bool {
    Members::default().place(name).is_some()
}

/// A valid CloudEvent's attributes.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'t> {
    pub id: Span,
    pub source: Span,
    pub kind: Span,
    subject: Option<Span>,
    time: Option<Instant>,
    pub dataschema: Option<Span>,
    pub traceparent: Option<Span>,
    sequence: Option<Node<'t>>,
}

/// What the contract requires beyond CloudEvents.
#[derive(Clone, Copy, Debug)]
pub struct Required {
    pub subject: Span,
    pub time: Instant,
    pub version: Option<u64>,
    pub sequence: Option<Sequence>,
}

/// Names are kept as long as what they name.
fn short(span: Span, field: &'static str) -> Result<(), Rejection> {
    match span.length <= NAME_BYTES_MAX {
        true => Ok(()),
        false => Err(bad(field, &format!("has {} bytes, and at most {NAME_BYTES_MAX} are taken", span.length))),
    }
}

/// Judges whether this is a CloudEvent at all.
pub fn read<'t>(root: Node<'t>, members: &Members<'t>, kept: &mut Kept) -> Result<Parts<'t>, Rejection> {
    if !matches!(root.token(), Token::Object { .. }) {
        return Err(Rejection::new(Code::BadEnvelope, None, format!("an event is a JSON object, not {}", root.noun())));
    }
    if required(members.specversion, "specversion")?.1 != "1.0" {
        return Err(bad("specversion", "must be \"1.0\""));
    }
    let (id, _) = required(members.id, "id")?;
    short(id, "id")?;
    let (source, text) = required(members.source, "source")?;
    // A producer's events follow one another, and each names it again.
    if kept.source.is_none_or(|known| root.spanned(known) != text) {
        if !is_uri_reference(text) {
            return Err(bad("source", "must be a URI reference, such as `/services/booking`"));
        }
        short(source, "source")?;
        kept.source = Some(source);
    }
    let (kind, _) = required(members.kind, "type")?;
    short(kind, "type")?;
    let subject = optional(members.subject, "subject")?;
    let time = match optional(members.time, "time")? {
        Some((_, text)) => Some(Instant::parse(text).map_err(|why| bad("time", why))?),
        None => None,
    };
    if let Some((_, media_type)) = optional(members.datacontenttype, "datacontenttype")?
        && !is_media_type(media_type)
    {
        return Err(bad("datacontenttype", "must be a media type, such as `application/json`"));
    }
    let dataschema = optional(members.dataschema, "dataschema")?;
    dataschema.map_or(Ok(()), |(span, _)| short(span, "dataschema"))?;
    if dataschema.is_some_and(|(_, text)| !is_uri_reference(text) || !has_scheme(text)) {
        return Err(bad("dataschema", "must be an absolute URI"));
    }
    let traceparent = optional(members.traceparent, "traceparent")?;
    let present = |value: Option<Node<'_>>| value.is_some_and(|value| !value.is_null());
    if present(members.data) && present(members.data_base64) {
        return Err(bad("data_base64", "stands beside `data`, and only one of the two may"));
    }
    if let Some(value) = members.data_base64
        && !matches!(value.token(), Token::Text(_) | Token::Null)
    {
        return Err(bad("data_base64", "must be a text"));
    }
    if members.has_extensions {
        extensions(root, kept)?;
    }
    let span = |found: (Span, &str)| found.0;
    Ok(Parts {
        id,
        source,
        kind,
        subject: subject.map(span),
        time,
        dataschema: dataschema.map(span),
        traceparent: traceparent.map(span),
        sequence: members.sequence.filter(|value| !value.is_null()),
    })
}

/// Judges what the contract requires beyond CloudEvents: a subject, a time and, by the ordering, a version.
pub fn require(parts: &Parts<'_>, by_sequence: bool, kept: &mut Kept) -> Result<Required, Rejection> {
    let missing = |field, message: &str| Rejection::new(Code::BadField, field, message);
    let subject = parts
        .subject
        .ok_or_else(|| missing("subject", "`subject` is missing: the entity's id as its domain knows it"))?;
    if subject.length > SUBJECT_BYTES_MAX {
        let message = format!("`subject` has {} bytes, and at most {SUBJECT_BYTES_MAX} are taken", subject.length);
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
    let sequence = match parts.sequence.map(Node::token) {
        Some(Token::Text(span)) => Some(Sequence::Text(span)),
        Some(Token::Integer(number)) => {
            let start = kept.made.len();
            match u8::try_from(number) {
                // Most versions are small, and formatting is slow for one digit.
                Ok(digit @ 0..=9) => kept.made.push(char::from(b'0' + digit)),
                // Writing into a `String` never fails.
                _ => {
                    let _ = write!(kept.made, "{number}");
                }
            }
            Some(Sequence::Number(Span { start, length: kept.made.len() - start }))
        }
        _ => None,
    };
    Ok(Required { subject, time, version, sequence })
}

fn version(sequence: Node<'_>) -> Option<u64> {
    match sequence.token() {
        Token::Integer(number) if number >= 1 => Some(number as u64),
        Token::Text(span) => {
            let text = sequence.spanned(span);
            if text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            text.parse::<i64>().ok().map(|number| number as u64)
        }
        _ => None,
    }
}

fn bad(field: &str, what: &str) -> Rejection {
    Rejection::at(Code::BadEnvelope, Some(field.to_owned()), format!("`{field}` {what}"))
}

fn required<'t>(value: Option<Node<'t>>, name: &'static str) -> Result<(Span, &'t str), Rejection> {
    optional(value, name)?.ok_or_else(|| bad(name, "is missing"))
}

fn optional<'t>(value: Option<Node<'t>>, name: &'static str) -> Result<Option<(Span, &'t str)>, Rejection> {
    let Some(value) = value else { return Ok(None) };
    match value.token() {
        Token::Null => Ok(None),
        Token::Text(span) => match value.spanned(span) {
            "" => Err(bad(name, "is empty")),
            text if !value.is_printable() && !is_cloud_events_text(text) => Err(bad(name, "holds a control character")),
            text => Ok(Some((span, text))),
        },
        _ => Err(bad(name, &format!("must be a text, not {}", value.noun()))),
    }
}

/// Judges the members that nobody knows, in their order, and keeps the names of those that are not null.
fn extensions(root: Node<'_>, kept: &mut Kept) -> Result<(), Rejection> {
    let mut known = Members::default();
    for (span, value) in root.members() {
        let name = root.spanned(span);
        if known.place(name).is_none() {
            check_extension(name, value)?;
            if !value.is_null() {
                kept.extensions.push(span);
            }
        }
    }
    Ok(())
}

fn check_extension(name: &str, value: Node<'_>) -> Result<(), Rejection> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        let message = "an extension's name has lower-case letters and digits only";
        return Err(Rejection::at(Code::BadEnvelope, Some(super::shorten(name)), message));
    }
    let fits = match value.token() {
        Token::Null | Token::Boolean(_) => true,
        Token::Integer(number) => i32::try_from(number).is_ok(),
        Token::Text(span) => is_cloud_events_text(value.spanned(span)),
        _ => false,
    };
    if fits { Ok(()) } else { Err(bad(name, "must be a text, a truth value or an integer of 32 bits")) }
}

/// CloudEvents' `String`: no control characters.
fn is_cloud_events_text(text: &str) -> bool {
    // Nearly every text is plain ASCII, and needs no decoding.
    text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) || !text.chars().any(char::is_control)
}

/// What a URI may hold as it is.
const URI: [bool; 256] = table(b"-._~:/?#[]@!$&'()*+,;=");
const MEDIA_TYPE: [bool; 256] = table(b"!#$%&'*+-.^_`|~");

/// Letters, digits and these.
const fn table(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
}

fn is_uri_reference(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(index, byte)| match byte {
        b'%' => bytes.get(index + 1..index + 3).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit)),
        _ => URI[usize::from(*byte)],
    })
}

fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

fn is_media_type(text: &str) -> bool {
    let token = |part: &str| !part.is_empty() && part.bytes().all(|byte| MEDIA_TYPE[usize::from(byte)]);
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}
