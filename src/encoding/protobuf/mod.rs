//! Protobuf's binary form into JSON text, by the `.proto` text that the registry keeps.
//!
//! The JSON is proto3's own but for what an event needs otherwise: 64-bit integers are numbers, names are those of the
//! `.proto` unless its `json_name` says another, and a field without presence is always there. Such a field is 0 or empty
//! where the bytes have nothing, and to leave it out would hide that it was set to 0. What may be absent is `optional`.
//!
//! A field of a message type, of a `oneof` or `optional` is absent where it is unset. Extensions and unknown fields are
//! left out.

mod bundled;
mod locate;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{HashMap, HashSet};

use prost_reflect::prost_types::DescriptorProto;
use prost_reflect::{DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::fault::{Fault, Fit};
use super::json;
use super::registry::Referenced;

/// The name that the schema goes by; its references have names of their own.
const ROOT: &str = "the-schema.proto";
/// The most messages of a schema and its imports.
const MESSAGES_MAX: usize = 10_000;

/// A `.proto` and what it imports.
#[derive(Debug)]
pub(super) struct Schema {
    messages: Vec<Message>,
    /// The file's messages by the indexes that lead to them.
    places: HashMap<Vec<usize>, usize>,
}

#[derive(Debug)]
struct Message {
    descriptor: MessageDescriptor,
    form: Form,
    fields: Vec<Field>,
}

/// Messages that JSON has another form for. Any other is an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Object,
    Timestamp,
    Duration,
    /// `google.protobuf.Int64Value` and its like: the value.
    Wrapper,
    Struct,
    Value,
    List,
    FieldMask,
    Any,
    /// `google.type.Date`.
    Date,
    /// `confluent.type.Decimal`, which Connect writes.
    Decimal,
}

#[derive(Debug)]
struct Field {
    descriptor: FieldDescriptor,
    /// In JSON.
    name: Box<str>,
    /// The name in quotes and a colon.
    lead: Box<[u8]>,
    /// Of a map, its values.
    content: Content,
}

#[derive(Debug)]
enum Content {
    Scalar,
    Enum(EnumDescriptor),
    /// A place in the schema's messages.
    Message(usize),
}

impl Schema {
    /// Compiles a `.proto`: its text, or its descriptor in base64. The error says what is wrong.
    pub(super) fn parse(text: &str, references: &[Referenced]) -> Result<Schema, String> {
        let root = file(ROOT, text)?;
        let name = root.name().to_owned();
        let mut files = HashMap::from([(name.clone(), root)]);
        for referenced in references {
            let file = file(&referenced.name, &referenced.text)?;
            files.insert(referenced.name.clone(), file);
        }
        let mut named = HashSet::new();
        for file in files.values().map(File::file_descriptor_proto) {
            json_names(file.package(), &file.message_type, &mut named);
        }
        let mut resolver = ChainFileResolver::new();
        resolver.add(GoogleFileResolver::new());
        resolver.add(Files(files));
        resolver.add(bundled::Bundled);
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.open_file(&name).map_err(|error| format!("it is no .proto: {error}"))?;
        Schema::of(&compiler.descriptor_pool(), &name, &named)
    }

    /// `root` is the file whose messages records are of, `named` the full names of fields with a `json_name`.
    fn of(pool: &DescriptorPool, root: &str, named: &HashSet<String>) -> Result<Schema, String> {
        let descriptors: Vec<MessageDescriptor> = pool.all_messages().collect();
        if descriptors.len() > MESSAGES_MAX {
            return Err(format!("the schema has more than {MESSAGES_MAX} messages"));
        }
        let by_name: HashMap<&str, usize> =
            descriptors.iter().enumerate().map(|(place, descriptor)| (descriptor.full_name(), place)).collect();
        let message = |descriptor: &MessageDescriptor| {
            let field = |field: FieldDescriptor| {
                let name = if named.contains(field.full_name()) { field.json_name() } else { field.name() };
                let name: Box<str> = name.into();
                let mut lead = Vec::with_capacity(name.len() + 3);
                json::text(&name, &mut lead);
                lead.push(b':');
                let content = match content_kind(&field) {
                    Kind::Message(message) => Content::Message(by_name[message.full_name()]),
                    Kind::Enum(values) => Content::Enum(values),
                    _ => Content::Scalar,
                };
                Field { descriptor: field, name, lead: lead.into(), content }
            };
            let form = form(descriptor);
            Message { form, fields: descriptor.fields().map(field).collect(), descriptor: descriptor.clone() }
        };
        let messages: Vec<Message> = descriptors.iter().map(message).collect();
        let mut places = HashMap::new();
        let root = pool.get_file_by_name(root).ok_or("the schema has no file")?;
        let mut left: Vec<(Vec<usize>, MessageDescriptor)> =
            root.messages().enumerate().map(|(index, message)| (vec![index], message)).collect();
        while let Some((indexes, message)) = left.pop() {
            left.extend(message.child_messages().enumerate().map(|(index, child)| {
                let indexes = indexes.iter().copied().chain([index]).collect();
                (indexes, child)
            }));
            places.insert(indexes, by_name[message.full_name()]);
        }
        drop(by_name);
        Ok(Schema { messages, places })
    }

    /// Appends a record's JSON, of the message that the indexes lead to.
    pub(super) fn write(&self, indexes: &[usize], bytes: &[u8], out: &mut Vec<u8>) -> Fit {
        let place = self.places.get(indexes).copied();
        let place = place.ok_or_else(|| Fault::new("the record is of a message that its schema does not have"))?;
        let decoded = DynamicMessage::decode(self.messages[place].descriptor.clone(), bytes);
        let message = match decoded {
            Ok(message) => message,
            Err(error) => {
                locate::locate(self, place, bytes, 0)?;
                // prost's own errors speak of wire types and tags, and never of values.
                return Err(Fault::new(error.to_string()));
            }
        };
        write::message(self, place, &message, out)
    }
}

/// What a field holds; of a map, what its values are.
fn content_kind(field: &FieldDescriptor) -> Kind {
    match field.kind() {
        Kind::Message(entry) if entry.is_map_entry() => entry.map_entry_value_field().kind(),
        kind => kind,
    }
}

fn form(descriptor: &MessageDescriptor) -> Form {
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => Form::Timestamp,
        "google.protobuf.Duration" => Form::Duration,
        "google.protobuf.Struct" => Form::Struct,
        "google.protobuf.Value" => Form::Value,
        "google.protobuf.ListValue" => Form::List,
        "google.protobuf.FieldMask" => Form::FieldMask,
        "google.protobuf.Any" => Form::Any,
        "google.type.Date" => Form::Date,
        "confluent.type.Decimal" => Form::Decimal,
        name if descriptor.parent_file().name() == "google/protobuf/wrappers.proto" && name.ends_with("Value") => {
            Form::Wrapper
        }
        _ => Form::Object,
    }
}

/// A file of a name. Registries keep either its text or, as Confluent's Python client registers it, base64 of its
/// compiled descriptor, which has a name of its own.
fn file(name: &str, text: &str) -> Result<File, String> {
    match json::from_base64(text.trim()) {
        Some(descriptor) => File::decode_file_descriptor_proto(descriptor.as_slice())
            .map_err(|error| format!("`{name}` is no descriptor of a .proto: {error}")),
        None => File::from_source(name, text).map_err(|error| format!("it is no .proto: {error}")),
    }
}

/// Finds the fields whose `json_name` somebody wrote. A pool of descriptors has a name for every field, made up where none
/// was written, and cannot be asked.
fn json_names(scope: &str, messages: &[DescriptorProto], named: &mut HashSet<String>) {
    for message in messages {
        let scope = if scope.is_empty() { message.name().to_owned() } else { format!("{scope}.{}", message.name()) };
        let fields = message.field.iter().filter(|field| field.json_name.is_some());
        named.extend(fields.map(|field| format!("{scope}.{}", field.name())));
        json_names(&scope, &message.nested_type, named);
    }
}

struct Files(HashMap<String, File>);

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        self.0.get(name).cloned().ok_or_else(|| protox::Error::file_not_found(name))
    }
}
