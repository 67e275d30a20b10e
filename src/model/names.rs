//! The names that a model may not take, because the schema made from it uses them.

/// Types of the schema that no model changes, or that later releases will serve.
pub const TYPES: &[&str] = &[
    "Query", "Mutation", "Subscription", "Node", "Entity", "EntityKind", "Completeness", "CompletenessFilter", "EventRef",
    "PageInfo", "Money", "GeoPoint", "MoneyFilter", "GeoPointFilter", "Near", "OrderDirection", "StringFilter", "IDFilter",
    "IntFilter", "LongFilter", "FloatFilter", "BooleanFilter", "DateFilter", "DateTimeFilter", "JSONFilter",
    "StringListFilter", "IDListFilter", "IntListFilter", "LongListFilter", "FloatListFilter", "BooleanListFilter",
    "DateListFilter", "DateTimeListFilter", "JSONListFilter", "FreshnessStatus", "FreshnessCause", "AsOfBasis",
    "DomainFreshness", "PartitionProgress", "Projection", "DeadLetterConnection", "DeadLetterEdge", "DeadLetter", "Catalog",
    "CatalogEntity", "CatalogField", "CatalogSeen", "CatalogDrift", "CatalogCount", "DriftKind", "SearchHit", "LinkKind",
    "Subgraph", "Path", "Change", "HistoryConnection", "String", "Int", "Float", "Boolean", "ID", "Long", "Date",
    "DateTime", "JSON", "Void",
];

/// Fields of every entity.
pub const FIELDS: &[&str] = &[
    "id", "key", "completeness", "missingVersions", "breaches", "lastEvent", "attributes", "history", "and", "or", "not",
    "isNull",
];

/// Root fields.
pub const ROOTS: &[&str] = &[
    "node", "nodes", "search", "explore", "paths", "freshness", "projection", "catalog", "changed", "freshnessChanged",
];

/// What an entity's name gives: the types that the schema makes of it.
pub fn made_of_entity(name: &str) -> [String; 6] {
    ["", "Connection", "Edge", "Filter", "ListFilter", "Order"].map(|suffix| format!("{name}{suffix}"))
}

/// What an enum's name gives.
pub fn made_of_enum(name: &str) -> [String; 2] {
    [name.to_owned(), format!("{name}Filter")]
}
