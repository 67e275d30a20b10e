//! A record's bytes into JSON text: Avro and Protobuf in Confluent's wire format, and Kafka Connect's JSON with its schema.
//!
//! Pure but for [`Registry`], which fetches schemas over HTTP and keeps them. What the JSON means is not known here.
//! docs/encodings.md says which value becomes which text.

mod avro;
mod calendar;
mod connect;
mod decimal;
mod fault;
mod json;
mod protobuf;
mod registry;
mod semantic;
mod wire;

use std::fmt;

pub use connect::Connect;
pub use registry::{Registry, Schema};

use fault::Fault;
use registry::Kind;

/// How deep values may be nested, here and in the schemas: as far as `serde_json` goes too.
const DEPTH_MAX: usize = 128;
/// The most bytes of a record's JSON. A few bytes of a hostile record may claim any number of items that take none.
const OUT_BYTES_MAX: usize = 64 << 20;

/// How a topic's values are written. The words are the configuration's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Json,
    Avro,
    Protobuf,
}

impl Encoding {
    pub const ALL: [Encoding; 3] = [Encoding::Json, Encoding::Avro, Encoding::Protobuf];

    pub fn name(self) -> &'static str {
        match self {
            Encoding::Json => "json",
            Encoding::Avro => "avro",
            Encoding::Protobuf => "protobuf",
        }
    }
}

/// Why there is no JSON. Neither kind repeats a value of the record, or a password of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EncodingError {
    /// The registry cannot be asked now, which says nothing about the record: it is right to try again, and wrong to skip.
    Away(String),
    /// The record cannot be decoded, however often it is tried: its schema is unknown or no schema, or its bytes do not fit.
    Bad {
        /// Where in the record, such as `after.rooms[2].price`.
        field: Option<String>,
        message: String,
    },
}

impl EncodingError {
    fn bad(message: impl Into<String>) -> EncodingError {
        EncodingError::Bad { field: None, message: message.into() }
    }

    pub fn is_away(&self) -> bool {
        matches!(self, EncodingError::Away(_))
    }
}

impl From<Box<Fault>> for EncodingError {
    fn from(fault: Box<Fault>) -> EncodingError {
        let (field, message) = fault.into_parts();
        EncodingError::Bad { field, message }
    }
}

impl fmt::Display for EncodingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncodingError::Away(message) | EncodingError::Bad { field: None, message } => f.write_str(message),
            EncodingError::Bad { field: Some(field), message } => write!(f, "{field}: {message}"),
        }
    }
}

impl std::error::Error for EncodingError {}

/// Writes a record's value as JSON text into `out`, in place of what that held. After an error it is empty.
///
/// JSON is passed on as it is, not judged; the prefix that a serializer with a registry writes before it is taken off. It
/// alone needs no registry. Blocks while a schema that is not known yet is fetched.
pub fn to_json(
    encoding: Encoding,
    registry: Option<&Registry>,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), EncodingError> {
    out.clear();
    if encoding == Encoding::Json {
        out.extend_from_slice(json_of(bytes));
        return Ok(());
    }
    let Some(registry) = registry else {
        return Err(EncodingError::Away(format!(
            "no schema registry is configured, and {} needs one",
            encoding.name()
        )));
    };
    let written = write(encoding, registry, bytes, out);
    if written.is_err() {
        out.clear();
    }
    written
}

fn write(encoding: Encoding, registry: &Registry, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), EncodingError> {
    let (id, body) = wire::split(bytes)?;
    let schema = registry.schema(id)?;
    match (&schema.kind, encoding) {
        (Kind::Avro(schema), Encoding::Avro) => Ok(schema.write(body, out)?),
        (Kind::Protobuf(schema), Encoding::Protobuf) => {
            let (indexes, body) = wire::message_indexes(body)?;
            Ok(schema.write(&indexes, body, out)?)
        }
        (kind, _) => Err(EncodingError::bad(format!(
            "schema {id} is one of {}, and the topic is configured as {}",
            kind.name(),
            encoding.name()
        ))),
    }
}

/// The JSON of bytes that are JSON, or JSON behind Confluent's prefix: no JSON starts with a zero byte.
pub fn json_of(bytes: &[u8]) -> &[u8] {
    wire::split(bytes).map_or(bytes, |(_, body)| body)
}
