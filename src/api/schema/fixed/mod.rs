//! The schema's types that no model changes, as tables: names, types, and what each says of itself.
//!
//! A name here is a contract with clients; what it says is free. Nothing resolves here.

mod catalogue;
pub mod operations;

/// Fields: name, type, and what it says.
pub type Fields = &'static [(&'static str, &'static str, &'static str)];
/// An object: name, what it says, and its fields.
pub type Object = (&'static str, &'static str, Fields);
/// An enum: name, what it says, and its values, each with what it says.
pub type Enumeration = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// The objects whose fields are members of a value that is there already.
pub fn objects() -> impl Iterator<Item = &'static Object> {
    VALUES.iter().chain(operations::OBJECTS).chain(catalogue::OBJECTS)
}

pub fn enumerations() -> impl Iterator<Item = &'static Enumeration> {
    ENUMERATIONS.iter().chain(operations::ENUMERATIONS).chain(catalogue::ENUMERATIONS)
}

/// Scalars: name, what it says, and the standard that specifies how it is written.
pub const SCALARS: &[(&str, &str, &str)] = &[
    (
        "Date",
        "A calendar date of the years 0000 to 9999, `\"2024-06-01\"`: a full-date of RFC 3339.",
        "https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
    ),
    (
        "DateTime",
        "An instant, a date-time of RFC 3339 with `T`, to the nanosecond. Answers are in UTC, `\"2024-06-01T12:30:00Z\"`, without \
         zeros at the fraction's end; arguments may have an offset.",
        "https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
    ),
    (
        "Long",
        "An integer within ±(2^53 − 1), a JSON number that every JSON reader keeps exactly.",
        "https://www.rfc-editor.org/rfc/rfc8259#section-6",
    ),
    ("JSON", "Any JSON value. Its numbers keep every digit.", "https://www.rfc-editor.org/rfc/rfc8259"),
];

pub const QUERY: &str = "Everything that can be read. Each answer comes from one version of the graph, across all domains, and says \
                         under `extensions.freshness` how fresh it is.";
pub const NODE: &str = "Whatever has a global id.";
pub const NODE_ID: &str = "The global id, `Reservation:abc`: the entity's name, a colon, its key.";
pub const ENTITY: &str = "What every entity has.";
pub const LIST_FRESHNESS: &str =
    "How fresh this list is: of all domains that its filter, its order, its nodes and their links touch.";
pub const CURSOR: &str = "Its place in the list, for `after` and `before` of this very list and order. It holds though others come \
                          and go.";

/// What a federation's gateway asks.
pub const ANY: &str = "An entity as a federation's gateway names it: its `__typename` and its `key`.";
pub const ANY_STANDARD: &str =
    "https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec";
pub const ANY_ENTITY: &str = "Any entity of the model.";
pub const ENTITIES: &str = "Entities that a federation's gateway asks for, in that order; null for what is not there.";
pub const REPRESENTATIONS: &str = "The entities, 1,000 at most: more are `BAD_USER_INPUT`.";
pub const SERVICE: &str = "This service as a subgraph of a federation.";
pub const SERVICE_SDL: &str = "The subgraph's schema: every entity can be asked for by its `key`.";
/// A directive that the library does not know by itself.
pub const ONE_OF: &str = "\"Exactly one of the input's members is given.\"\ndirective @oneOf on INPUT_OBJECT";
/// Types that the subgraphs of a federation may have alike.
pub const SHARED: [&str; 3] = ["PageInfo", "Money", "GeoPoint"];

/// The fields of every entity, for the interface and for each object.
pub const COMMON: [(&str, &str, &str); 9] = [
    ("id", "ID!", NODE_ID),
    ("key", "String!", "The domain's own id: the `subject` of its events."),
    ("completeness", "Completeness!", "How much of it is known."),
    (
        "missingVersions",
        "[Long!]!",
        "Versions (`sequence`) of it that have not arrived, the lowest 100; empty where the domain does not number its events.",
    ),
    ("breaches", "[String!]!", "The model's checks that its state does not hold, as the model writes them."),
    ("rejected", "[DeadLetter!]!", "Events of it that could not be applied and still wait, oldest first."),
    ("lastEvent", "EventRef", "The event that its state ends with; null for a reference."),
    ("freshness", "AnswerFreshness!", "How fresh its domain is in this answer."),
    (
        "attributes",
        "JSON",
        "What arrived beyond the model, by name; null where nothing did. Where the entity has personal fields this counts as \
         personal: null, with the error `FORBIDDEN`, for who may not see such.",
    ),
];

/// Arguments of every list.
pub const LIST: [(&str, &str); 4] = [
    (
        "first",
        "How many from the start, 0 to 1,000; 50 where neither this nor `last` is given. More is `BAD_USER_INPUT`.",
    ),
    ("after", "Only what comes after this cursor, which must be of the same list and order: else `BAD_USER_INPUT`."),
    ("last", "How many from the end, 0 to 1,000."),
    ("before", "Only what comes before this cursor."),
];

const ENUMERATIONS: &[Enumeration] = &[
    (
        "Completeness",
        "How much of an entity is known. Of several that hold, a reference is one until its own events come; then the worst.",
        &[
            ("COMPLETE", "No version is known to be missing."),
            ("INCOMPLETE", "Versions are missing (`missingVersions`), or events of it were refused (`rejected`)."),
            ("REFERENCE", "Others name it, or events of it were refused; none of its own was applied."),
            ("DELETED", "It is gone; `lastEvent` says by what."),
            ("ERASED", "A person's data are forgotten for good; the shape is kept."),
        ],
    ),
    (
        "OrderDirection",
        "Which way a list is sorted. Nulls come last in either.",
        &[("ASC", "The least first."), ("DESC", "The greatest first.")],
    ),
];

const VALUES: &[Object] = &[
    (
        "Money",
        "An amount in minor units of a currency.",
        &[
            ("minor", "Long!", "The amount in the currency's minor unit: 12345 is 123.45 SGD, and 12,345 JPY."),
            ("currency", "String!", "The currency, three capitals of ISO 4217."),
        ],
    ),
    (
        "GeoPoint",
        "A place on the globe.",
        &[
            ("lat", "Float!", "The latitude in degrees, −90 to 90; north is positive."),
            ("lon", "Float!", "The longitude in degrees, −180 to 180; east is positive."),
        ],
    ),
    (
        "PageInfo",
        "Where a page lies in its list.",
        &[
            ("hasNextPage", "Boolean!", "Whether the list goes on after this page."),
            ("hasPreviousPage", "Boolean!", "Whether there is something before this page."),
            ("startCursor", "String", "The cursor of the page's first node, for `before`; null on an empty page."),
            ("endCursor", "String", "The cursor of the page's last node, for `after`; null on an empty page."),
        ],
    ),
    (
        "AnswerFreshness",
        "How fresh a part of an answer is: as `extensions.freshness` says it of the whole.",
        &[
            ("status", "FreshnessStatus!", "How fresh it is, as a word: of several domains the worst."),
            ("cause", "FreshnessCause!", "Why: the worst domain's."),
            (
                "asOf",
                "DateTime",
                "Everything of these domains that was appended before this is in it: the earliest of theirs. Null where it is unknown.",
            ),
            ("position", "String!", "The answer's position in these domains, for a demand `atLeast`."),
        ],
    ),
    (
        "EventRef",
        "The event that an entity's current state ends with: the greatest by its domain's order, not the last to arrive.",
        &[
            ("id", "String!", "The event's `id`, unique for its source."),
            ("type", "String!", "What happened, such as `reservation.booked`."),
            ("source", "String!", "The producer, a URI reference."),
            ("sequence", "String", "The entity's version, digits; null where the event has none."),
            ("time", "DateTime!", "When it happened in the business, as the event says."),
            ("topic", "String!", "The topic of the log that it lies in."),
            ("partition", "Int!", "The topic's partition, from 0."),
            ("offset", "Long!", "Its place in the partition."),
            ("appendedAt", "DateTime!", "When it was appended, by the log's time."),
            ("appliedAt", "DateTime!", "When it was applied here; a new start applies all events anew."),
            ("dataschema", "String", "The event's `dataschema`; null where it has none."),
            ("traceparent", "String", "The event's W3C trace context; null where it has none."),
        ],
    ),
];
