//! What can be discovered: entities, event types, producers, drift.

use super::{Enumeration, Object};

pub const ENUMERATIONS: &[Enumeration] = &[(
    "DriftKind",
    "What something beyond the model is.",
    &[
        ("ATTRIBUTE", "A field of the data that the model does not have: it is kept under `attributes`."),
        ("EVENT_TYPE", "An event type that the model does not name: its data are applied all the same."),
        ("EXTENSION", "An attribute of the CloudEvent that means nothing here."),
    ],
)];

pub const OBJECTS: &[Object] = &[
    ("Catalog", "What can be discovered.", &[("entities", "[CatalogEntity!]!", "The model's entities, in its order.")]),
    (
        "CatalogEntity",
        "An entity of the model, and what was seen of it since the start.",
        &[
            ("name", "String!", "Its name in the model."),
            ("domain", "String!", "Its domain."),
            ("topics", "[String!]!", "The topics that its domain is read from."),
            ("count", "Long!", "How many there are, as lists count them."),
            ("references", "Long!", "How many are known by name only."),
            ("incomplete", "Long!", "How many are `INCOMPLETE`."),
            ("deleted", "Long!", "How many are `DELETED`."),
            ("erased", "Long!", "How many are `ERASED`."),
            ("fields", "[CatalogField!]!", "The model's fields."),
            ("breaches", "[CatalogCount!]!", "By check of the model: how many entities do not hold it."),
            ("eventTypes", "[CatalogSeen!]!", "Event types that were seen."),
            ("producers", "[CatalogSeen!]!", "Producers (`source`) that were seen."),
            ("drift", "[CatalogDrift!]!", "What arrived beyond the model."),
            ("deadLetters", "[CatalogCount!]!", "By code: how many events could not be applied."),
            ("lastWords", "[CatalogShare!]!", "By producer: of how many entities its event is the last."),
            ("disagreements", "[CatalogDisagreement!]!", "Fields of which producers say different things."),
        ],
    ),
    (
        "CatalogShare",
        "Of how many entities a producer's event is the last, deleted ones included.",
        &[
            ("producer", "String!", "The producer's `source`."),
            ("count", "Long!", "How many entities."),
            ("share", "Float!", "That number among all, 0 to 1."),
        ],
    ),
    (
        "CatalogDisagreement",
        "A field of which producers that write the same entities say different things.",
        &[
            ("field", "String!", "The field's name in the model."),
            ("count", "Long!", "In how many entities."),
            ("examples", "[CatalogExample!]!", "Some of them."),
        ],
    ),
    (
        "CatalogExample",
        "An entity, and what each producer said last of the field.",
        &[
            ("key", "ID!", "The entity's key."),
            ("claims", "[CatalogClaim!]!", "By producer: first the one whose word stands."),
        ],
    ),
    (
        "CatalogClaim",
        "What a producer said last.",
        &[
            ("producer", "String!", "The producer's `source`."),
            ("value", "JSON", "The value that it gave; null also where the field is personal and not for the asker."),
        ],
    ),
    (
        "CatalogField",
        "A field of the model, and in how many entities it has a value.",
        &[
            ("name", "String!", "Its name in the model."),
            ("type", "String!", "Its type, as GraphQL writes it."),
            ("indexed", "Boolean!", "Whether filters and orders by it use an index."),
            ("searchable", "Boolean!", "Whether `search` finds its words."),
            ("personal", "Boolean!", "Whether it is personal data."),
            ("filled", "Long!", "In how many entities it has a value."),
        ],
    ),
    (
        "CatalogSeen",
        "An event type or a producer that was seen.",
        &[
            ("name", "String!", "The event type, or the producer's `source`."),
            ("inModel", "Boolean!", "Whether the model names the event type; false for a producer."),
            ("count", "Long!", "Events of it."),
            ("firstSeen", "DateTime!", "The earliest of them, by the log's time."),
            ("lastSeen", "DateTime!", "The latest of them, by the log's time."),
        ],
    ),
    (
        "CatalogDrift",
        "Something that arrived beyond the model.",
        &[
            ("kind", "DriftKind!", "What it is."),
            ("name", "String!", "Its name."),
            ("count", "Long!", "Events that had it."),
            ("lastSeen", "DateTime!", "The latest of them, by the log's time."),
        ],
    ),
    (
        "CatalogCount",
        "How many of something.",
        &[("name", "String!", "What is counted: a check of the model, or a code."), ("count", "Long!", "How many.")],
    ),
];
