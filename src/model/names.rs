//! The names that a model may not take, because the schema made from it uses them.

use std::collections::HashSet;

use apollo_compiler::Node;
use apollo_compiler::ast;

use super::Model;
use super::reader::ModelReader;

/// Types of the schema that no model changes, or that later releases will serve.
const TYPES: &[&str] = &[
    "Query",
    "Mutation",
    "Subscription",
    "Node",
    "Entity",
    "EntityKind",
    "Completeness",
    "CompletenessFilter",
    "EventRef",
    "PageInfo",
    "Money",
    "GeoPoint",
    "MoneyFilter",
    "GeoPointFilter",
    "Near",
    "OrderDirection",
    "StringFilter",
    "IDFilter",
    "IntFilter",
    "LongFilter",
    "FloatFilter",
    "BooleanFilter",
    "DateFilter",
    "DateTimeFilter",
    "JSONFilter",
    "StringListFilter",
    "IDListFilter",
    "IntListFilter",
    "LongListFilter",
    "FloatListFilter",
    "BooleanListFilter",
    "DateListFilter",
    "DateTimeListFilter",
    "JSONListFilter",
    "FreshnessStatus",
    "FreshnessCause",
    "AsOfBasis",
    "DomainFreshness",
    "PartitionProgress",
    "Checkpoint",
    "Digest",
    "EntityDigest",
    "Projection",
    "DeadLetterConnection",
    "DeadLetterEdge",
    "DeadLetter",
    "Catalog",
    "CatalogEntity",
    "CatalogField",
    "CatalogSeen",
    "CatalogDrift",
    "CatalogCount",
    "CatalogClaim",
    "CatalogDisagreement",
    "CatalogExample",
    "CatalogShare",
    "DriftKind",
    "SearchHit",
    "LinkKind",
    "Subgraph",
    "Path",
    "PathLink",
    "Change",
    "HistoryConnection",
    "String",
    "Int",
    "Float",
    "Boolean",
    "ID",
    "Long",
    "Date",
    "DateTime",
    "JSON",
    "Void",
    "AnswerFreshness",
    "_Any",
    "_Entity",
    "_Service",
];

/// Fields of every entity.
pub const FIELDS: &[&str] = &[
    "id",
    "key",
    "completeness",
    "missingVersions",
    "rejected",
    "breaches",
    "lastEvent",
    "freshness",
    "attributes",
    "history",
    "lineage",
    "and",
    "or",
    "not",
    "isNull",
];

/// Root fields.
const ROOTS: &[&str] = &[
    "node",
    "nodes",
    "search",
    "explore",
    "paths",
    "freshness",
    "projection",
    "catalog",
    "changed",
    "freshnessChanged",
    "_entities",
    "_service",
];

/// What an entity's name gives: the types that the schema makes of it.
fn made_of_entity(name: &str) -> [String; 6] {
    ["", "Connection", "Edge", "Filter", "ListFilter", "Order"].map(|suffix| format!("{name}{suffix}"))
}

/// What an enum's name gives.
fn made_of_enum(name: &str) -> [String; 2] {
    [name.to_owned(), format!("{name}Filter")]
}

impl ModelReader<'_> {
    /// No two things of the schema made from the model may have one name.
    pub(super) fn check_names(
        &mut self,
        model: &Model,
        types: &[&Node<ast::ObjectTypeDefinition>],
        enums: &[&Node<ast::EnumTypeDefinition>],
    ) {
        let mut taken: HashSet<String> = TYPES.iter().map(|name| (*name).to_owned()).collect();
        let made_of_types = types.iter().map(|object| (object.name.location(), made_of_entity(&object.name).to_vec()));
        let made_of_enums = enums.iter().map(|object| (object.name.location(), made_of_enum(&object.name).to_vec()));
        for (place, made) in made_of_types.chain(made_of_enums) {
            for name in made {
                if name.starts_with("__") {
                    self.fault(place, format!("`{name}` starts with `__`, which GraphQL keeps for itself"));
                } else if !taken.insert(name.clone()) {
                    self.fault(place, format!("the schema has a type `{name}` already: choose another name"));
                }
            }
        }
        let mut kinds: HashSet<String> = HashSet::new();
        for (entity, object) in model.entities.iter().zip(types) {
            let name = super::constant_name(&entity.name);
            let links = entity.fields.iter().filter(|field| field.kind.link().is_some());
            let links = links.map(|field| format!("{name}_{}", super::constant_name(&field.name)));
            for made in links.chain([name.clone()]) {
                if !kinds.insert(made.clone()) {
                    self.fault(object.name.location(), format!("`{made}` would name two kinds: choose another name"));
                }
            }
        }
        let mut roots: HashSet<String> = ROOTS.iter().map(|name| (*name).to_owned()).collect();
        for (entity, object) in model.entities.iter().zip(types) {
            let place = object.name.location();
            if entity.plural.is_empty() {
                // Its @entity is missing or wrong, and that is told.
                continue;
            }
            let valid = entity.plural.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && entity.plural.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            // One without @entity is told that already.
            if !valid && !entity.plural.is_empty() {
                let message = format!(
                    "`{}` cannot be the name of {}'s list: write `plural: \"…\"` in @entity",
                    entity.plural, entity.name
                );
                self.fault(place, message);
            }
            if !roots.insert(entity.singular.clone()) {
                self.fault(
                    place,
                    format!("`{}` is a root field already: give {} another name", entity.singular, entity.name),
                );
            }
            if !roots.insert(entity.plural.clone()) {
                let message = format!(
                    "`{}` is a root field already: write `plural: \"…\"` in {}'s @entity",
                    entity.plural, entity.name
                );
                self.fault(place, message);
            }
        }
    }
}
