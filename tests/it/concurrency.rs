//! Many read while one writes at full speed: every version that a reader takes is one whole across two domains, and stays
//! what it was for as long as it is held.
//!
//! Runs for two seconds; STAYGRAPH_CONCURRENCY_SECONDS=60 makes it a minute.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use staygraph::event::{Batch, Decoder, OrderBy};
use staygraph::graph::{ALL, Code, OWNER_MIN, State, View, code_of, text_code, words};
use staygraph::ids::{DomainId, EntityId, FieldId, Id, PartitionId, Slot, TopicId};
use staygraph::model::Model;
use staygraph::model::cell::Cell;
use staygraph::model::value;
use staygraph::position::LogId;
use staygraph::projection::{DomainRules, Partition, Projector, Snapshot, Topic};

const MODEL: &str = r#"
type Guest @entity(domain: "guests", event: "guest") {
  number: Int @index
  name: String @search
}
type Stay @entity(domain: "stays", event: "stay") {
  number: Int @index
  guest: Guest @link(reverse: "stays")
  note: String @search
}
"#;

pub const GUEST: EntityId = EntityId(0);
pub const STAY: EntityId = EntityId(1);
/// Each domain has a topic, and that one partition.
const PARTITIONS: [PartitionId; 2] = [PartitionId(0), PartitionId(1)];
/// Fields, as the model has them in order.
const NUMBER: FieldId = FieldId(0);
const NAME: FieldId = FieldId(1);
/// The word-searched field of each entity.
const TEXTS: [FieldId; 2] = [NAME, FieldId(2)];
pub const OWNER: FieldId = FieldId(1);

/// Pairs at the start: nine in ten of them make an owner of many.
const PAIRS_MIN: usize = OWNER_MIN + 176;
/// Pairs at the end: in the third segment of slots.
const PAIRS_MAX: usize = 3500;
/// The most pairs that one version changes.
const CHANGED_MAX: u64 = 200;
/// Versions in which stays come together at one guest, and as many in which they leave.
const TIDE: u64 = 60;
const READERS: u64 = 3;

/// The writer's side: events of both domains, each entity's versions one after another.
pub struct Feed {
    pub projector: Projector,
    decoder: Decoder,
    batches: [Batch; 2],
    offsets: [u64; 2],
    /// By entity and number: the last version.
    versions: [Vec<u64>; 2],
    bytes: Vec<u8>,
    state: u64,
}

impl Feed {
    pub fn new() -> Feed {
        let model = Arc::new(Model::parse(MODEL, "feed.graphql").unwrap_or_else(|faults| panic!("{faults:?}")));
        let rules = vec![DomainRules { order_by: OrderBy::Sequence, report_gaps: true }; 2];
        let mut projector = Projector::new(model.clone(), rules.into(), Topic::of_domains(&model, "log"), 1000);
        for topic in [TopicId(0), TopicId(1)] {
            projector.add(Partition { topic, log: LogId(topic.0), origin: LogId(topic.0), number: 0, lost: None }, 0);
        }
        Feed {
            projector,
            decoder: Decoder::new(model, vec![OrderBy::Sequence; 2].into(), 1 << 16),
            batches: PARTITIONS.map(Batch::new),
            offsets: [0; 2],
            versions: [Vec::new(), Vec::new()],
            bytes: Vec::new(),
            state: 0x2545_f491_4f6c_dd1d,
        }
    }

    /// The next of a sequence of numbers without order, the same in every run: xorshift.
    pub fn random(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 16) % below
    }

    /// Puts an event of `g` or `s` and a number into its domain's batch. `data` is JSON.
    pub fn event(&mut self, entity: EntityId, number: usize, verb: &str, data: std::fmt::Arguments<'_>) {
        use std::io::Write;
        let domain = entity.index();
        let (kind, prefix) = [("guest", 'g'), ("stay", 's')][domain];
        let versions = &mut self.versions[domain];
        versions.resize(versions.len().max(number + 1), 0);
        versions[number] += 1;
        let (offset, version) = (self.offsets[domain], versions[number]);
        self.bytes.clear();
        write!(
            self.bytes,
            r#"{{"specversion":"1.0","id":"{offset:08x}","source":"/feed","type":"{kind}.{verb}","subject":"{prefix}{number}","time":"2024-01-01T00:00:00Z","sequence":{version},"data":{{{data}}}}}"#
        )
        .expect("memory takes what is written");
        self.batches[domain].push(&self.decoder, &[DomainId::of(domain)], offset, value::Instant::EPOCH, &self.bytes);
        self.offsets[domain] += 1;
    }

    /// Applies both batches, one or the other first, and publishes them as one version.
    pub fn publish(&mut self) -> Snapshot {
        let order = if self.random(2) == 0 { [0, 1] } else { [1, 0] };
        for domain in order {
            if !self.batches[domain].is_empty() {
                self.projector.apply(&self.batches[domain], value::Instant::EPOCH);
                self.batches[domain].clear(PARTITIONS[domain]);
            }
        }
        self.projector.publish()
    }
}

/// All that a version answers, as one number: records, counts, keys, indexes, reverse links.
pub fn digest(view: &View) -> u64 {
    let mut hasher = DefaultHasher::new();
    for entity in [GUEST, STAY] {
        format!("{:?}", view.counts(entity)).hash(&mut hasher);
        let _ = view.each::<()>(entity, |slot, node| {
            (slot, node.bytes(), view.find(entity, node.key())).hash(&mut hasher);
            if entity == GUEST {
                (view.degree(STAY, OWNER, slot), view.sources(STAY, OWNER, slot).collect::<Vec<_>>()).hash(&mut hasher);
                let owned = view.owned(STAY, OWNER, slot, Some(NUMBER));
                owned.map(|owned| owned.range(ALL).collect::<Vec<_>>()).hash(&mut hasher);
            }
            ControlFlow::Continue(())
        });
        let indexes = [Some(view.keys(entity)), view.index(entity, NUMBER), view.words(entity, TEXTS[entity.index()])];
        indexes.into_iter().flatten().for_each(|index| index.iter().collect::<Vec<_>>().hash(&mut hasher));
    }
    hasher.finish()
}

/// Two entities of two domains that are written in one version only: the same state and the same number.
fn check_pairs(view: &View) {
    let pairs = view.slots(STAY).len();
    for pair in 0..pairs {
        let node = |entity: EntityId, prefix: char| {
            let found = view.find(entity, &format!("{prefix}{pair}"));
            view.node(found.unwrap_or_else(|| panic!("{prefix}{pair} is gone")))
        };
        let (guest, stay) = (node(GUEST, 'g'), node(STAY, 's'));
        assert_eq!(guest.state(), stay.state(), "pair {pair} of version {}", view.sequence());
        assert_eq!(guest.value(NUMBER), stay.value(NUMBER), "pair {pair} of version {}", view.sequence());
    }
    // The writer may have made it by now, for a version to come.
    assert_eq!((view.find(GUEST, &format!("g{pairs}")), view.find(STAY, &format!("s{pairs}"))), (None, None));
}

/// What is counted and indexed beside the records is what they say.
fn check_sets(view: &View) {
    let mut by_owner: BTreeMap<Slot, BTreeSet<Slot>> = BTreeMap::new();
    let mut owned: BTreeMap<(Slot, Code), usize> = BTreeMap::new();
    for entity in [GUEST, STAY] {
        let kind = &view.model().entities[entity].fields[NUMBER].kind;
        let text = TEXTS[entity.index()];
        let (mut listed, mut references, mut deleted) = (0, 0, 0);
        let weight = |slot| view.node(entity.node(slot)).bytes().len() + 2 * size_of::<usize>();
        assert_eq!(view.memory(entity).records, view.slots(entity).map(weight).sum::<usize>());
        let (mut numbers, mut texts) = (BTreeMap::<Code, usize>::new(), BTreeMap::<Code, usize>::new());
        let _ = view.each::<()>(entity, |slot, node| {
            match node.state() {
                State::Reference => references += 1,
                State::Deleted => deleted += 1,
                State::Present => listed += 1,
            }
            if node.is_listed() {
                let code = code_of(kind, node.value(NUMBER));
                code.into_iter().for_each(|code| *numbers.entry(code).or_default() += 1);
                if let Cell::String(text) = node.value(text) {
                    words(text).map(|word| text_code(&word)).for_each(|code| *texts.entry(code).or_default() += 1);
                }
                if entity == STAY
                    && let Some(owner) = view.follow(node, OWNER, GUEST)
                {
                    by_owner.entry(owner.slot).or_default().insert(slot);
                    code.into_iter().for_each(|code| *owned.entry((owner.slot, code)).or_default() += 1);
                }
            }
            ControlFlow::Continue(())
        });
        let counts = view.counts(entity);
        assert_eq!((counts.listed, counts.references, counts.deleted), (listed, references, deleted));
        let index = view.index(entity, NUMBER).expect("numbers have an index");
        assert_eq!(index.len(), numbers.values().sum::<usize>());
        numbers.iter().for_each(|(code, count)| assert_eq!(index.count((*code, *code)), *count));
        let index = view.words(entity, text).expect("texts have an index of words");
        texts.iter().for_each(|(code, count)| assert_eq!(index.count((*code, *code)), *count));
        assert_eq!(view.keys(entity).count(ALL), listed as usize);
    }
    // Forth and back: whoever is linked to knows who links, and nobody else does.
    let mut linked = 0;
    let _ = view.each::<()>(GUEST, |slot, _| {
        let expected = by_owner.remove(&slot).unwrap_or_default();
        assert_eq!(view.degree(STAY, OWNER, slot), expected.len());
        assert!(view.sources(STAY, OWNER, slot).eq(expected.iter().copied()), "who links to {slot:?}");
        let index = view.owned(STAY, OWNER, slot, Some(NUMBER));
        assert!(index.is_some() || expected.len() <= OWNER_MIN, "an owner of {} has no index", expected.len());
        if let Some(index) = index {
            for ((_, code), count) in owned.range((slot, [0; 3])..=(slot, [u32::MAX; 3])) {
                assert_eq!(index.count((*code, *code)), *count);
            }
        }
        linked += expected.len();
        ControlFlow::Continue(())
    });
    assert!(by_owner.is_empty(), "somebody links to what is not there: {by_owner:?}");
}

/// One version's changes: some pairs of all, both sides of each, and a new pair as long as there is room.
fn change(feed: &mut Feed, pairs: &mut usize, version: u64) {
    let (new, changed) =
        if version == 0 { (PAIRS_MIN, 0) } else { (2.min(PAIRS_MAX - *pairs), feed.random(CHANGED_MAX)) };
    let flood = (version / TIDE).is_multiple_of(2);
    for change in 0..changed + new as u64 {
        let pair = if change < new as u64 { *pairs + change as usize } else { feed.random(*pairs as u64) as usize };
        if change >= new as u64 && feed.random(12) == 0 {
            feed.event(GUEST, pair, "deleted", format_args!(""));
            feed.event(STAY, pair, "deleted", format_args!(""));
            continue;
        }
        let number = feed.random(40);
        let target = match (feed.random(10), flood) {
            // Guests that no event names: they are there as long as some stay names them.
            (0, _) => format!("x{}", feed.random(9)),
            (_, true) => "g0".to_owned(),
            (_, false) => format!("g{}", feed.random((*pairs + new) as u64)),
        };
        feed.event(GUEST, pair, "changed", format_args!(r#""number":{number},"name":"guest of {number}""#));
        feed.event(
            STAY,
            pair,
            "changed",
            format_args!(r#""number":{number},"guestId":"{target}","note":"stay {}""#, number * 7 % 13),
        );
    }
    *pairs += new;
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is the clock's to say")]
fn now() -> Instant {
    Instant::now()
}

/// What a reader did.
#[derive(Debug, Default)]
struct Done {
    checks: u64,
    versions: BTreeSet<u64>,
    validated: u64,
    held: u64,
    /// The most versions that came while one was held.
    longest: u64,
}

/// Checks the newest version again and again, and beside it one that it keeps for a while.
fn read(published: &ArcSwap<Snapshot>, until: Instant, number: u64) -> Done {
    let mut done = Done::default();
    let mut kept: Option<(Arc<Snapshot>, u64)> = None;
    // Readers hold for different whiles, so that versions are let go in another order than they came.
    let patience = 3 + 11 * number;
    loop {
        let snapshot = published.load_full();
        check_pairs(&snapshot.graph);
        // The dearer look is the rarer, so that many versions are taken.
        if done.checks.is_multiple_of(3) {
            check_sets(&snapshot.graph);
        }
        done.versions.insert(snapshot.version);
        done.checks += 1;
        if done.checks % 7 == number {
            assert_eq!(snapshot.graph.validate(), Ok(()));
            done.validated += 1;
        }
        let over = now() >= until;
        if done.checks.is_multiple_of(patience) || over {
            if let Some((old, first)) = kept.take() {
                assert_eq!(digest(&old.graph), first, "version {} is not what it was", old.version);
                check_pairs(&old.graph);
                assert_eq!(old.graph.validate(), Ok(()));
                done.longest = done.longest.max(published.load().version - old.version);
                done.held += 1;
            }
            kept = Some((snapshot.clone(), digest(&snapshot.graph)));
        }
        if over {
            return done;
        }
    }
}

#[test]
fn every_version_is_one_whole() {
    let seconds = std::env::var("STAYGRAPH_CONCURRENCY_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let until = now() + Duration::from_secs(seconds);
    let mut feed = Feed::new();
    let (mut pairs, mut version) = (0, 0);
    change(&mut feed, &mut pairs, version);
    let published = ArcSwap::from_pointee(feed.publish());
    let (mut owners, mut backlog) = (0, 0);
    let done: Vec<Done> = std::thread::scope(|scope| {
        let published = &published;
        let readers: Vec<_> = (0..READERS).map(|number| scope.spawn(move || read(published, until, number))).collect();
        while now() < until {
            version += 1;
            change(&mut feed, &mut pairs, version);
            published.store(Arc::new(feed.publish()));
            backlog = backlog.max(feed.projector.backlog());
            let view = &published.load().graph;
            let hub = view.find(GUEST, "g0").expect("the first guest is there");
            owners += u64::from(view.owned(STAY, OWNER, hub.slot, None).is_some());
        }
        readers.into_iter().map(|reader| reader.join().expect("a reader found every version whole")).collect()
    });
    println!("{version} versions, {pairs} pairs, in {owners} an owner of many, backlog up to {backlog} pages");
    done.iter().for_each(|done| {
        let Done { checks, versions, validated, held, longest } = done;
        let seen = versions.len();
        println!("{checks} checks, {seen} versions, {validated} validated, {held} held, over up to {longest} versions");
    });

    assert!(version > 0 && done.iter().all(|done| done.checks > 0), "all get on");
    drop(published);
    // What the last version made old goes with the second one after it.
    drop(feed.publish());
    let last = feed.publish();
    assert!(feed.projector.pinned() <= 2, "{} versions are held, and by whom?", feed.projector.pinned());
    let left = (feed.projector.backlog(), feed.projector.older());
    assert_eq!(left, (0, 0), "nobody holds an old version, and something waits for one");
    assert_eq!(last.graph.validate(), Ok(()));
    check_pairs(&last.graph);
    check_sets(&last.graph);
    assert_eq!(last.dead_letters.count(), 0, "every event was meant to be taken");
}
