//! Every bound on what one request, one producer or one peer can take from the others, each with its reason. docs/service.md
//! lists them, and a test compares the page with this file.
//!
//! Not here: bounds of a format's own (how deep Avro nests, how long a year is), which no one else pays for.

/// What can be configured, with what holds unless it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fields within fields: what executes a query follows them by its stack.
    pub depth_max: usize,
    /// Fields, each counted as often as its lists can be long: what an answer can cost, known before it is begun.
    pub complexity_max: u64,
    /// Tokens of a document: reading it is work too.
    pub tokens_max: usize,
    /// Aliases of a document: the same field, asked many times over.
    pub aliases_max: usize,
    /// Fields at the root: each is a look-up or a list of its own.
    pub root_fields_max: usize,
    /// Directives of a document: each is judged wherever it stands.
    pub directives_max: usize,
    /// Entities that a search for paths visits: its work grows with the graph, not with the query.
    pub visited_max: usize,
    /// Queries that run at once, of which large ones take half: more only take turns on the cores.
    pub queries_max: usize,
    /// Queries that wait for their turn: beyond that the wait is longer than anybody's patience.
    pub queue_max: usize,
    /// How long a query runs, in milliseconds.
    pub query_time_max_ms: u64,
    /// Requests that wait for a version at once: each is woken at each version.
    pub waiters_max: usize,
    /// How long a demand waits, in milliseconds.
    pub wait_max_ms: u64,
    /// Open connections, of everybody: each costs a file and some memory.
    pub connections_max: usize,
    /// Open connections of one address.
    pub peer_connections_max: usize,
    /// How long a connection may take for a request's headers, waiting for them included, in milliseconds.
    pub idle_max_ms: u64,
    /// How long a request's body may take, in milliseconds.
    pub body_time_max_ms: u64,
    /// Bytes of a body of `POST /events`, unpacked too.
    pub body_bytes_max: usize,
    /// Bytes of an event.
    pub event_bytes_max: usize,
    /// Bytes of the process: beyond most of them large queries are refused, beyond all of them hydration stops.
    pub memory_max: u64,
}

impl Limits {
    /// What holds on a machine with so many cores.
    pub fn on(cores: usize) -> Limits {
        Limits {
            depth_max: 20,
            complexity_max: 500_000,
            tokens_max: 20_000,
            aliases_max: 1_000,
            root_fields_max: 200,
            directives_max: 500,
            visited_max: 100_000,
            queries_max: (2 * cores).max(4),
            queue_max: 256,
            query_time_max_ms: 10_000,
            waiters_max: 1_024,
            wait_max_ms: 30_000,
            connections_max: 4_096,
            peer_connections_max: 1_024,
            idle_max_ms: 60_000,
            body_time_max_ms: 30_000,
            body_bytes_max: 16 << 20,
            event_bytes_max: 1 << 20,
            memory_max: u64::MAX,
        }
    }
}

impl Default for Limits {
    /// What holds on a machine whose cores are not known.
    fn default() -> Limits {
        Limits::on(2)
    }
}

/// Nested brackets of a document or a body: parsers follow them by their stacks.
pub const NESTING_MAX: usize = 200;
/// Bytes of a GraphQL request's body.
pub const GRAPHQL_BYTES_MAX: usize = 1 << 20;
/// Bytes of a request to retry or discard dead letters, to pause or to resume.
pub const OPS_REQUEST_BYTES_MAX: usize = 64 << 10;
/// Values in a request's variables, within one another included: each is copied several times before it is judged.
pub const VALUES_MAX: usize = 20_000;
/// Bytes of a body that needs no room, however many there are.
pub const SMALL_BODY_BYTES_MAX: usize = 64 << 10;
/// Bytes of larger bodies that are here at once, of all requests.
pub const BODIES_BYTES_MAX: usize = 256 << 20;
/// Larger bodies of events that are judged at once: each event's fate is kept until all are.
pub const BODIES_WORK_MAX: usize = 8;
/// Documents of more bytes are read where they hold up no other request.
pub const INLINE_BYTES_MAX: usize = 16 << 10;
/// Steps that a query is run for where others wait for the thread: about a millisecond. One that takes more begins anew elsewhere.
pub const INLINE_STEPS_MAX: u64 = 4_096;
/// Bytes of documents that are kept read, about: the clients of a company have some hundreds.
pub const DOCUMENTS_BYTES_MAX: usize = 24 << 20;
/// Bytes of documents that clients have persisted by their hashes.
pub const PERSISTED_BYTES_MAX: usize = 8 << 20;
/// Bytes of an answer: fields are counted before it is begun, and texts can be long.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Plans of one operation, one for the values of the variables that `@skip` and `@include` name.
pub const PLANS_MAX: usize = 16;
/// Fields that a document selects, its fragments spread out.
pub const PLAN_FIELDS_MAX: usize = 20_000;
/// Percent of `memory_max` from which on large queries are refused: what is left is the projector's.
pub const MEMORY_TIGHT_PERCENT: u64 = 90;
/// Percent of the machine's memory, or of its control group's, that `memory_max` is unless it is said.
pub const MEMORY_USUAL_PERCENT: u64 = 90;
/// Queries that can give more fields than these are large: they leave room for small ones.
pub const SMALL_COST_MAX: u64 = 5_000;
/// Seconds after which one who was turned away may come again.
pub const RETRY_AFTER_S: u64 = 1;
/// How long a query waits for its turn, in milliseconds.
pub const QUEUE_MS_MAX: u64 = 5_000;
/// Items of a list in a filter, and ids that are asked for together: each is looked for in each node.
pub const ITEMS_MAX: usize = 1_000;
/// Comparisons of a filter, its `and`s and `or`s included: all of them are asked of each node.
pub const FILTER_PARTS_MAX: usize = 1_000;
/// Members of an order: each is compared for each pair of nodes.
pub const ORDERS_MAX: usize = 16;
/// Nodes of a page.
pub const PAGE_MAX: usize = 1_000;
/// Entries of a position that is demanded: each is looked at for each version until it is met.
pub const ENTRIES_MAX: usize = 1_024;
/// Bytes of a position that is demanded.
pub const POSITION_BYTES_MAX: usize = 64 << 10;
/// Steps of a query between two looks at the clock: well under a millisecond.
pub const STEPS: u64 = 64;
/// Events of one body: what becomes of each is kept until all are judged.
pub const EVENTS_MAX: usize = 100_000;
/// Bytes of an event's `id`, `source`, `type` and `dataschema`, each: records and names hold them.
pub const NAME_BYTES_MAX: usize = 256;
/// Different sources, types and schemas of the events of one source of records, together: the graph keeps them for good.
pub const NAMES_MAX: usize = 65_536;
/// Bytes of an event's `subject`, and of every key.
pub const SUBJECT_BYTES_MAX: usize = 128;
/// Missing versions, as runs between them, that an entity's record holds: all are read and written for each of its events.
pub const RUNS_MAX: usize = 256;
/// Dead letters that are kept,
pub const LETTERS_MAX: usize = 100_000;
/// and the bytes of theirs. The log has those that are not.
pub const LETTER_BYTES_MAX: usize = 128 << 20;
/// Fields of entities of which it is remembered that several producers set them, and what each said last.
pub const CONTESTS_MAX: usize = 200_000;
/// Bytes of records that wait in one partition for a transaction: one that is larger is not waited for.
pub const LANE_BYTES_MAX: usize = 16 << 20;
/// Bytes of records that wait in all partitions.
pub const LANES_BYTES_MAX: usize = 256 << 20;
/// Transactions of one database that are known and not applied.
pub const TRANSACTIONS_MAX: usize = 100_000;
/// Bytes of a bearer token: each is hashed, or read and verified, before anything is known of who sent it.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// How long a TLS handshake takes, in milliseconds: who does not finish it holds a connection.
pub const HANDSHAKE_MS_MAX: u64 = 10_000;
/// Keys of one issuer.
pub const ISSUER_KEYS_MAX: usize = 100;
/// Versions that are held, the newest among them, for who asks what changed since one of them,
pub const VERSIONS_MAX: usize = 256;
/// and the bytes, about, of what the later of them replaced of the earlier.
pub const VERSIONS_BYTES_MAX: usize = 16 << 20;
/// Nodes that a version tells to have changed: of one that changed more, looking at all takes hardly longer.
pub const WRITTEN_MAX: usize = 65_536;
/// Nodes of which one request remembers whether it may see them.
pub const SEEN_MAX: usize = 65_536;
