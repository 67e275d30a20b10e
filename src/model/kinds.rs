//! A field's type, from its GraphQL text.

use apollo_compiler::ast::Type;
use apollo_compiler::parser::SourceSpan;

use super::reader::{ModelReader, nearest};
use super::{Kind, Model};
use crate::ids::{EntityId, Id};

impl ModelReader<'_> {
    /// What a field of this type holds; a fault where there is no such type.
    pub(super) fn kind(
        &mut self,
        ty: &Type,
        place: Option<SourceSpan>,
        entity_names: &[String],
        model: &Model,
    ) -> Option<Kind> {
        let scalars = [
            ("String", Kind::String),
            ("ID", Kind::Id),
            ("Int", Kind::Int),
            ("Long", Kind::Long),
            ("Float", Kind::Float),
            ("Boolean", Kind::Boolean),
            ("Date", Kind::Date),
            ("DateTime", Kind::DateTime),
            ("JSON", Kind::Json),
        ];
        let scalar = |name: &str| scalars.iter().find(|(known, _)| *known == name).map(|(_, kind)| kind.clone());
        match ty {
            Type::Named(name) => {
                let found = match name.as_str() {
                    "Money" => Some(Kind::Money),
                    "GeoPoint" => Some(Kind::GeoPoint),
                    other => scalar(other)
                        .or_else(|| model.enums.iter().position(|known| known.name == other).map(Kind::Enum))
                        .or_else(|| {
                            let entity = EntityId::of(entity_names.iter().position(|known| known == other)?);
                            Some(Kind::Link(entity))
                        }),
                };
                if found.is_none() {
                    let known = scalars.iter().map(|(name, _)| *name).chain(["Money", "GeoPoint"]);
                    let known = known.chain(model.enums.iter().map(|known| known.name.as_str()));
                    let near = nearest(name, known.chain(entity_names.iter().map(String::as_str)));
                    self.fault(place, format!("there is no type `{name}`{near}"));
                }
                found
            }
            Type::NonNullNamed(name) => {
                self.fault(
                    place,
                    format!("attributes are nullable, since an entity may be a reference: write `{name}`"),
                );
                None
            }
            Type::List(item) | Type::NonNullList(item) => {
                let name = item.inner_named_type();
                match (ty, item.as_ref(), scalar(name)) {
                    (Type::List(_), Type::NonNullNamed(_), Some(kind)) => Some(Kind::List(Box::new(kind))),
                    (_, _, Some(_)) => {
                        self.fault(place, format!("a list is nullable and its items are not: write `[{name}!]`"));
                        None
                    }
                    _ => {
                        self.fault(
                            place,
                            format!(
                                "a list holds scalars, and `{name}` is none; links to many are the reverse of a link"
                            ),
                        );
                        None
                    }
                }
            }
        }
    }
}
