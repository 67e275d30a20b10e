//! Freshness, the projection's progress, dead letters.

use super::{Enumeration, Object};

pub const ENUMERATIONS: &[Enumeration] = &[
    (
        "FreshnessStatus",
        "How fresh something is, as a word. Of several, the worst counts: UNKNOWN, HYDRATING, STALE, LATENT, FRESH.",
        &[
            ("FRESH", "Its staleness is at most the domain's `fresh_within`: 5 s unless configured."),
            ("LATENT", "Its staleness is more than that: it is late."),
            ("STALE", "Its staleness is more than the domain's `stale_after`: 5 min unless configured."),
            ("HYDRATING", "The ends of the log that were seen at the start are not reached yet."),
            ("UNKNOWN", "The source has not answered since the start."),
        ],
    ),
    (
        "FreshnessCause",
        "Why something is as fresh as it is.",
        &[
            ("CAUGHT_UP", "Everything that the log holds is applied."),
            ("CATCHING_UP", "It is behind, and events are being applied."),
            (
                "STALLED",
                "It is behind, and nothing was applied in the last 30 s; or nobody reads the log; or the log ends before what was \
                 applied of it.",
            ),
            ("SOURCE_UNREACHABLE", "The source does not answer; `reason` says why, where that is known."),
            (
                "SOURCE_SILENT",
                "Everything is applied, and the log's end has not moved for longer than `quiet_after`: 1 h unless configured. Not \
                 stale, worth a look.",
            ),
            ("PAUSED", "It is held back on purpose: somebody paused it, or `demo --late` does."),
            (
                "BLOCKED",
                "The next record cannot be read now, and not for its own fault: the schema registry is away, or a transaction is \
                 not at its end.",
            ),
            (
                "RETENTION_RISK",
                "It is behind by more than 80 % of what the log still holds: events may be deleted unread.",
            ),
            ("DATA_LOST", "Events were deleted from the log before they were read; or the log was made anew."),
        ],
    ),
    (
        "AsOfBasis",
        "Whose clock an `asOf` is.",
        &[
            ("APPEND", "The log's: when records were appended, or when the log was asked."),
            (
                "PRODUCER",
                "The producers': their records carry their own time, and the age is as right as their clocks.",
            ),
        ],
    ),
];

pub const PROJECTION: Object = (
    "Projection",
    "Where the projection stands, and what it could not apply.",
    &[
        (
            "version",
            "Long!",
            "The number of the version of the graph that answers; a start from a checkpoint goes on, another counts anew.",
        ),
        (
            "position",
            "String!",
            "How far it has come in every partition of every domain: entries `topic!log/partition@offset`, the offset being the \
             next to apply.",
        ),
        ("model", "String!", "The model's fingerprint, 16 hex digits: it changes when the model does."),
        ("startedAt", "DateTime!", "When the service started."),
        ("readyAt", "DateTime", "When every domain had reached the ends that were seen at the start; null before."),
        (
            "eventsApplied",
            "Long!",
            "Events applied, those of the log's past included; a start from a checkpoint goes on counting.",
        ),
        ("duplicates", "Long!", "Events recognised as duplicates; it goes on like `eventsApplied`."),
        ("conflicts", "Long!", "Different events of one entity under one `sequence`; it goes on like `eventsApplied`."),
        ("domains", "[DomainFreshness!]!", "How fresh each domain is."),
        ("checkpoints", "[Checkpoint!]!", "The checkpoints that a start can be made from, newest first."),
        (
            "digest",
            "Digest!",
            "One number for all that this version says. Every entity is read for it: about two seconds a million.",
        ),
    ],
);

pub const DEAD_LETTERS: &str =
    "Events that could not be applied, oldest first: the newest 100,000, and 128 MiB at most, are kept in memory.";
/// Its arguments: name, type, and what it says.
pub const DEAD_LETTER_ARGUMENTS: [(&str, &str, &str); 4] = [
    ("domain", "String", "Only those of this domain."),
    ("code", "String", "Only those with this code, such as `BAD_FIELD`."),
    ("first", "Int", "How many, 0 to 1,000; 50 unless given. More is `BAD_USER_INPUT`."),
    ("after", "String", "Only what comes after this cursor. One of a letter that is gone is `BAD_USER_INPUT`."),
];

pub const OBJECTS: &[Object] = &[
    (
        "DomainFreshness",
        "How fresh a domain is, and why.",
        &[
            ("domain", "String!", "The domain's name in the model."),
            ("status", "FreshnessStatus!", "The worst of its partitions'."),
            ("cause", "FreshnessCause!", "Why."),
            (
                "reason",
                "String!",
                "The same as a sentence, with what is known of it. It counts what `lagEvents` counts.",
            ),
            (
                "asOf",
                "DateTime",
                "Everything of the domain that was appended before this is in the graph: the earliest of its partitions'. Null where \
                 it is unknown.",
            ),
            ("asOfBasis", "AsOfBasis", "Whose clock `asOf` is; null without one."),
            ("stalenessMs", "Long", "Milliseconds between `asOf` and now; null where it is unknown."),
            (
                "lagEvents",
                "Long",
                "Records between what is applied and the log's end, all partitions; null where it is unknown.",
            ),
            (
                "caughtUpInMs",
                "Long",
                "Milliseconds that the lag will last at the present rates; null where they do not converge.",
            ),
            ("partitions", "[PartitionProgress!]!", "Each partition of its topics."),
        ],
    ),
    (
        "PartitionProgress",
        "Where a partition of a topic stands.",
        &[
            ("source", "String!", "The source's name in the configuration."),
            ("topic", "String!", "The topic."),
            ("partition", "Int!", "The partition's number, from 0."),
            ("start", "Long", "The first offset that the log holds; null before the source answers."),
            ("applied", "Long!", "The offset of the next record to apply: all before it are in the graph."),
            (
                "end",
                "Long",
                "The log's end as of `contactAt`, the offset of the next record to come; null before the source answers.",
            ),
            ("contactAt", "DateTime", "The moment before the source was asked for the end that it told last."),
            ("lagEvents", "Long", "`end` minus `applied`; null where it is unknown."),
            (
                "asOf",
                "DateTime",
                "Everything that was appended to it before this is in the graph. Null where it is unknown.",
            ),
            ("stalenessMs", "Long", "Milliseconds between `asOf` and now; null where it is unknown."),
            ("appliedPerSecond", "Float!", "Records applied a second, over the last 30 s."),
            ("appendedPerSecond", "Float", "Records appended a second, over the last 30 s; null where it is unknown."),
            (
                "caughtUpInMs",
                "Long",
                "Milliseconds that the lag will last at these rates; null where they do not converge.",
            ),
            ("status", "FreshnessStatus!", "How fresh it is, as a word."),
            ("cause", "FreshnessCause!", "Why."),
            ("reason", "String!", "The same as a sentence."),
            (
                "windowComplete",
                "Float!",
                "How much of the 30 samples there is that rates and stalls are judged by, 0 to 1.",
            ),
        ],
    ),
    (
        "Checkpoint",
        "A version, saved: what a start goes on from.",
        &[
            ("id", "ID!", "Its name; later ones sort behind it."),
            ("at", "DateTime!", "When it was taken."),
            ("position", "String!", "How far it has come in every partition."),
            ("model", "String!", "The fingerprint of the model that it was made by."),
            ("bytes", "Long!", "Bytes of its data."),
            ("location", "String!", "Where its data lie."),
        ],
    ),
    (
        "Digest",
        "One number for all that a version says: two graphs of the same events have the same, however they came.",
        &[
            ("position", "String!", "The version's position in every partition."),
            ("value", "String!", "The number, 32 hex digits: of all entities'."),
            ("entities", "[EntityDigest!]!", "Those of each entity."),
        ],
    ),
    (
        "EntityDigest",
        "One number for all that a version says of an entity's nodes: keys, states, fields, links, attributes and what set them;          not offsets, times of applying, or what is personal of the erased.",
        &[
            ("entity", "String!", "The entity's name in the model."),
            ("count", "Long!", "Its nodes with events of their own, deleted ones too."),
            ("value", "String!", "The number, 32 hex digits."),
        ],
    ),
    (
        "DeadLetterConnection",
        "A page of events that could not be applied, oldest first.",
        &[
            ("edges", "[DeadLetterEdge!]!", "The page's letters, each with its cursor."),
            ("nodes", "[DeadLetter!]!", "The page's letters."),
            ("pageInfo", "PageInfo!", "Where the page lies in the list."),
            ("totalCount", "Int!", "How many are kept that fit, on all pages."),
        ],
    ),
    (
        "DeadLetterEdge",
        "A dead letter in a list.",
        &[("cursor", "String!", "Its place in the list: its id."), ("node", "DeadLetter!", "The letter.")],
    ),
    (
        "DeadLetter",
        "An event that could not be applied, and why. It blocks nobody; once the cause is mended, it can be read once more.",
        &[
            ("id", "ID!", "Its id, `DeadLetter:people/0@7`: topic, partition and offset of its record."),
            ("domain", "String", "The domain that it counts for."),
            (
                "code",
                "String!",
                "Why, as a code: `TOO_LARGE`, `BAD_ENCODING`, `BAD_JSON`, `BAD_ENVELOPE`, `UNKNOWN_ENTITY`, `BAD_FIELD`, `CHECK_FAILED`.",
            ),
            ("field", "String", "The attribute or field at fault, such as `data.checkIn`; null where it is none."),
            ("message", "String!", "What is wrong, in words. It repeats no personal value."),
            ("topic", "String!", "The topic of its record."),
            ("partition", "Int!", "The topic's partition, from 0."),
            ("offset", "Long!", "The record's place in the partition."),
            ("at", "DateTime!", "When the record was appended, by the log's time."),
            ("type", "String", "The event's `type`, where it could be read."),
            ("subject", "String", "The event's `subject`, where it could be read."),
            ("size", "Int!", "Bytes of the record's value."),
        ],
    ),
];
