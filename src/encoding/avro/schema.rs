//! An Avro schema compiled: its types in a list, names resolved, and what can be written beforehand written.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use crate::encoding::json;
use crate::encoding::semantic::{Base, Semantic};

/// The most types of a schema and its references.
const NODES_MAX: usize = 100_000;

/// A schema that records are decoded by.
#[derive(Debug)]
pub(in crate::encoding) struct Schema {
    pub(super) nodes: Vec<Shape>,
    pub(super) root: usize,
}

/// A type. Others are named by their places in the list.
#[derive(Debug)]
pub(super) enum Shape {
    Null,
    Boolean,
    Int(Option<Semantic>),
    Long(Option<Semantic>),
    Float,
    Double,
    Text(Option<Semantic>),
    Bytes(Option<Semantic>),
    Fixed(usize, Option<Semantic>),
    /// The symbols as JSON, quotes and all.
    Enum(Vec<Box<[u8]>>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<Field>),
    /// A decimal with a scale of its own: a record of those two fields. Whether the scale is the first.
    ScaledDecimal {
        scale_first: bool,
    },
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: Box<str>,
    /// What stands before the value: `{"name":` for the first field, `,"name":` for the others.
    pub(super) lead: Box<[u8]>,
    pub(super) node: usize,
}

impl Schema {
    /// Compiles a schema's text. `references` are the texts of the schemas that it names types of, each behind those that
    /// it needs itself. The error says what is wrong.
    pub(in crate::encoding) fn parse(text: &str, references: &[&str]) -> Result<Schema, String> {
        let mut compiler = Compiler { nodes: Vec::new(), names: HashMap::new() };
        let mut root = 0;
        for text in references.iter().chain([&text]) {
            let json: Json = serde_json::from_str(text).map_err(|error| format!("the schema is no JSON: {error}"))?;
            root = compiler.node(&json, "")?;
        }
        Ok(Schema { nodes: compiler.nodes, root })
    }
}

struct Compiler {
    nodes: Vec<Shape>,
    /// By full name.
    names: HashMap<String, usize>,
}

impl Compiler {
    fn add(&mut self, node: Shape) -> Result<usize, String> {
        if self.nodes.len() == NODES_MAX {
            return Err(format!("the schema has more than {NODES_MAX} types"));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// The place of a type that is written in a namespace.
    fn node(&mut self, json: &Json, namespace: &str) -> Result<usize, String> {
        match json {
            Json::String(name) => match primitive(name, &Map::new())? {
                Some(node) => self.add(node),
                None => self.named(name, namespace),
            },
            Json::Array(branches) => {
                let branches: Result<Vec<usize>, String> =
                    branches.iter().map(|branch| self.node(branch, namespace)).collect();
                let branches = branches?;
                self.add(Shape::Union(branches))
            }
            Json::Object(object) => match object.get("type") {
                Some(Json::String(kind)) => self.complex(kind, object, namespace),
                Some(inner) => self.node(inner, namespace),
                None => Err("the schema has a type without `type`".to_owned()),
            },
            _ => Err("the schema has a type that is neither a name, a list nor an object".to_owned()),
        }
    }

    fn named(&self, name: &str, namespace: &str) -> Result<usize, String> {
        let own = self.names.get(&full_name(name, namespace));
        own.or_else(|| self.names.get(name))
            .copied()
            .ok_or_else(|| format!("the schema names a type `{name}` that it has not"))
    }

    fn complex(&mut self, kind: &str, object: &Map<String, Json>, namespace: &str) -> Result<usize, String> {
        match kind {
            "array" => {
                let items = self.node(part(object, "items")?, namespace)?;
                self.add(Shape::Array(items))
            }
            "map" => {
                let values = self.node(part(object, "values")?, namespace)?;
                self.add(Shape::Map(values))
            }
            "enum" => {
                let symbols = part(object, "symbols")?.as_array().ok_or("an enum's `symbols` are no list")?;
                let symbols: Option<Vec<Box<[u8]>>> =
                    symbols.iter().map(|symbol| Some(quoted(symbol.as_str()?))).collect();
                let place = self.add(Shape::Enum(symbols.ok_or("an enum's symbol is no text")?))?;
                self.define(object, namespace, place)?;
                Ok(place)
            }
            "fixed" => {
                let size = part(object, "size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or("a fixed's `size` is no count")?;
                let place = self.add(Shape::Fixed(size, semantic(object, Base::Bytes, Some(size))?))?;
                self.define(object, namespace, place)?;
                Ok(place)
            }
            "record" | "error" => self.record(object, namespace),
            kind => match primitive(kind, object)? {
                Some(node) => self.add(node),
                None => self.named(kind, namespace),
            },
        }
    }

    fn record(&mut self, object: &Map<String, Json>, namespace: &str) -> Result<usize, String> {
        // The name stands before its fields are known, since they may name it.
        let place = self.add(Shape::Null)?;
        let name = self.define(object, namespace, place)?;
        let inner = name.rsplit_once('.').map_or("", |(inner, _)| inner);
        let list = part(object, "fields")?.as_array().ok_or("a record's `fields` are no list")?;
        let mut fields: Vec<Field> = Vec::with_capacity(list.len());
        for field in list {
            let field = field.as_object().ok_or("a record's field is no object")?;
            let name = part(field, "name")?.as_str().ok_or("a field's `name` is no text")?;
            if fields.iter().any(|other| *other.name == *name) {
                return Err(format!("the schema has a record with two fields `{name}`"));
            }
            let mut lead = vec![if fields.is_empty() { b'{' } else { b',' }];
            json::text(name, &mut lead);
            lead.push(b':');
            let node =
                self.node(part(field, "type")?, inner).map_err(|error| format!("{error} (in field `{name}`)"))?;
            fields.push(Field { name: name.into(), lead: lead.into(), node });
        }
        self.nodes[place] = match semantic(object, Base::Struct, None)? {
            Some(Semantic::ScaledDecimal) => self.scaled_decimal(fields),
            _ => Shape::Record(fields),
        };
        Ok(place)
    }

    fn scaled_decimal(&self, fields: Vec<Field>) -> Shape {
        let is = |index: usize, name: &str| {
            let field: &Field = &fields[index];
            let fits = match self.nodes[field.node] {
                Shape::Int(_) => name == "scale",
                Shape::Bytes(_) => name == "value",
                _ => false,
            };
            *field.name == *name && fits
        };
        match fields.len() {
            2 if is(0, "scale") && is(1, "value") => Shape::ScaledDecimal { scale_first: true },
            2 if is(0, "value") && is(1, "scale") => Shape::ScaledDecimal { scale_first: false },
            _ => Shape::Record(fields),
        }
    }

    /// Keeps a type under its full name, which is returned.
    fn define(&mut self, object: &Map<String, Json>, namespace: &str, place: usize) -> Result<String, String> {
        let name = part(object, "name")?.as_str().ok_or("a type's `name` is no text")?;
        let namespace = object.get("namespace").and_then(Json::as_str).unwrap_or(namespace);
        let name = full_name(name, namespace);
        match self.names.insert(name.clone(), place) {
            None => Ok(name),
            Some(_) => Err(format!("the schema has two types `{name}`")),
        }
    }
}

/// A name with a dot is full already.
fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn part<'a>(object: &'a Map<String, Json>, name: &str) -> Result<&'a Json, String> {
    object.get(name).ok_or_else(|| format!("the schema has a type or a field without `{name}`"))
}

fn quoted(text: &str) -> Box<[u8]> {
    let mut out = Vec::with_capacity(text.len() + 2);
    json::text(text, &mut out);
    out.into()
}

fn primitive(kind: &str, object: &Map<String, Json>) -> Result<Option<Shape>, String> {
    Ok(Some(match kind {
        "null" => Shape::Null,
        "boolean" => Shape::Boolean,
        "int" => Shape::Int(semantic(object, Base::Integer, None)?),
        "long" => Shape::Long(semantic(object, Base::Integer, None)?),
        "float" => Shape::Float,
        "double" => Shape::Double,
        "string" => Shape::Text(semantic(object, Base::Text, None)?),
        "bytes" => Shape::Bytes(semantic(object, Base::Bytes, None)?),
        _ => return Ok(None),
    }))
}

/// What a type stands for. Connect's name says more than the logical type that its converter writes beside it.
fn semantic(object: &Map<String, Json>, base: Base, size: Option<usize>) -> Result<Option<Semantic>, String> {
    let text = |name| object.get(name).and_then(Json::as_str);
    if let Some(name) = text("connect.name") {
        let parameters = object.get("connect.parameters");
        let parameter = |name: &str| parameters?.get(name)?.as_str();
        if let Some(semantic) = Semantic::of_connect(name, base, parameter)? {
            return Ok(Some(semantic));
        }
    }
    let scale = object.get("scale").and_then(Json::as_i64).unwrap_or(0);
    let scale = i32::try_from(scale).map_err(|_| "a decimal's `scale` is too large")?;
    Ok(text("logicalType").and_then(|name| Semantic::of_avro(name, base, scale, size)))
}
