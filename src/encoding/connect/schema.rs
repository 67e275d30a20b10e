//! The `schema` part of Connect's JSON, as far as it changes what is written.

use std::collections::HashMap;

use serde_json::Value as Json;

use crate::encoding::semantic::{Base, Semantic};

/// What is to be done with a value. `null` stays `null` everywhere: whether it may be is the writer's matter.
#[derive(Debug)]
pub(super) enum Shape {
    /// It stands for itself, and so does all in it.
    Plain,
    Value(Semantic),
    ScaledDecimal,
    Struct(HashMap<Box<str>, Shape>),
    Array(Box<Shape>),
    Map(Box<Shape>),
}

impl Shape {
    pub(super) fn parse(text: &str) -> Result<Shape, String> {
        let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Shape::of(&json)
    }

    fn of(json: &Json) -> Result<Shape, String> {
        let text = |name: &str| json.get(name).and_then(Json::as_str);
        let kind = text("type").ok_or("it has a type without `type`")?;
        let base = match kind {
            "int8" | "int16" | "int32" | "int64" => Base::Integer,
            "string" => Base::Text,
            "bytes" => Base::Bytes,
            "struct" => Base::Struct,
            "array" => {
                let items = Shape::of(json.get("items").ok_or("it has an array without `items`")?)?;
                return Ok(if items.is_plain() { Shape::Plain } else { Shape::Array(items.into()) });
            }
            "map" => {
                let values = Shape::of(json.get("values").ok_or("it has a map without `values`")?)?;
                return Ok(if values.is_plain() { Shape::Plain } else { Shape::Map(values.into()) });
            }
            _ => return Ok(Shape::Plain),
        };
        if let Some(name) = text("name") {
            let parameters = json.get("parameters");
            let parameter = |name: &str| parameters?.get(name)?.as_str();
            match Semantic::of_connect(name, base, parameter)? {
                Some(Semantic::ScaledDecimal) => return Ok(Shape::ScaledDecimal),
                Some(semantic) => return Ok(Shape::Value(semantic)),
                None => {}
            }
        }
        if base != Base::Struct {
            return Ok(Shape::Plain);
        }
        let fields = json.get("fields").and_then(Json::as_array).ok_or("it has a struct without `fields`")?;
        let mut nodes = HashMap::with_capacity(fields.len());
        for field in fields {
            let name = field.get("field").and_then(Json::as_str).ok_or("it has a field without `field`")?;
            nodes.insert(name.into(), Shape::of(field).map_err(|error| format!("{error} (in field `{name}`)"))?);
        }
        Ok(if nodes.values().all(Shape::is_plain) { Shape::Plain } else { Shape::Struct(nodes) })
    }

    fn is_plain(&self) -> bool {
        matches!(self, Shape::Plain)
    }
}
