//! A witness beside every service that a test starts: it asks all the while, knows what was acknowledged when, and judges
//! each answer. None may claim to be as of a moment before which something was acknowledged that lies beyond its own
//! position, whatever breaks meanwhile; and none may fail to come.
#![expect(clippy::disallowed_methods, reason = "a witness has a clock of its own")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::{Value as Json, json};
use staygraph::model::value::Instant;

use crate::cluster::PATIENCE;
use crate::support::{Service, root};

/// How long a witness rests between an answer and its next question.
const REST: Duration = Duration::from_millis(3);
/// How often an observer asks for ends.
const OBSERVED_EVERY: Duration = Duration::from_millis(50);
/// What depends on every domain of the shipped model.
const QUERY: &str =
    "{ people(first: 1) { totalCount } properties(first: 1) { totalCount } prices(first: 1) { totalCount }
    reservations(first: 1) { totalCount } freshness { domain asOf partitions { topic partition asOf } } }";

fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}

/// What was acknowledged, and when.
#[derive(Default)]
pub struct Ledger(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    /// By topic and partition: from when (microseconds) all before which offset is acknowledged. Both only grow.
    ends: BTreeMap<String, BTreeMap<u64, Vec<(i64, u64)>>>,
    /// By topic: the logs that answers named, and those of them that are another topic's of that name, or are cut.
    seen: BTreeMap<String, BTreeSet<String>>,
    old: BTreeMap<String, BTreeSet<String>>,
}

impl Ledger {
    /// All before an offset is acknowledged by now. The time is taken inside the lock: what an answer of a later moment is
    /// judged by, is here.
    pub fn note(&self, topic: &str, partition: i32, end: u64) {
        let mut entries = self.0.lock().unwrap();
        let topic = entries.ends.entry(topic.to_owned()).or_default();
        let ends = topic.entry(partition as u64).or_default();
        if ends.last().is_none_or(|(_, last)| *last < end) {
            ends.push((now_micros(), end));
        }
    }

    /// A topic's log is another's from now on, or goes back: what was acknowledged of it counts no more, and the positions
    /// that were told in it say nothing of what comes.
    pub fn forget(&self, topic: &str) {
        let entries = &mut *self.0.lock().unwrap();
        entries.ends.remove(topic);
        let seen = entries.seen.get(topic).into_iter().flatten().cloned();
        entries.old.entry(topic.to_owned()).or_default().extend(seen);
    }

    /// Judges an answer. Gives how many of its claims could be compared with something, or what is wrong.
    fn judge(&self, answer: &Json, topics: &BTreeMap<String, Vec<String>>) -> Result<usize, String> {
        let entries = &mut *self.0.lock().unwrap();
        let told = &answer["extensions"]["freshness"];
        let mut position = BTreeMap::new();
        for entry in told["position"].as_str().unwrap_or_default().split(',').filter(|entry| !entry.is_empty()) {
            let (place, offset) = entry.rsplit_once('@').unwrap();
            let (log, partition) = place.rsplit_once('/').unwrap();
            let (topic, log) = log.split_once('!').unwrap();
            entries.seen.entry(topic.to_owned()).or_default().insert(log.to_owned());
            if !entries.old.get(topic).is_some_and(|old| old.contains(log)) {
                position.insert((topic, partition.parse::<u64>().unwrap()), offset.parse::<u64>().unwrap());
            }
        }
        let mut compared = 0;
        let mut check = |as_of: &Json, topic: &str, only: Option<u64>| {
            let Some(as_of) = as_of.as_str().map(|text| Instant::parse(text).unwrap().micros()) else { return Ok(()) };
            for (partition, ends) in entries.ends.get(topic).into_iter().flatten() {
                if only.is_some_and(|only| only != *partition) {
                    continue;
                }
                let known = ends.partition_point(|(at, _)| *at < as_of);
                let Some((at, end)) = known.checked_sub(1).map(|last| ends[last]) else { continue };
                let applied = position.get(&(topic, *partition)).copied().unwrap_or(0);
                if applied < end {
                    let ms = (as_of - at) / 1000;
                    return Err(format!(
                        "{topic}/{partition} up to {end} was acknowledged {ms} ms before what this is as of: {answer}"
                    ));
                }
                compared += 1;
            }
            Ok(())
        };
        let domains = told["domains"].as_array().into_iter().flatten();
        for domain in domains.chain(answer["data"]["freshness"].as_array().into_iter().flatten()) {
            for topic in &topics[domain["domain"].as_str().unwrap()] {
                check(&domain["asOf"], topic, None)?;
                check(&told["asOf"], topic, None)?;
            }
            for partition in domain["partitions"].as_array().into_iter().flatten() {
                check(&partition["asOf"], partition["topic"].as_str().unwrap(), partition["partition"].as_u64())?;
            }
        }
        Ok(compared)
    }
}

/// What a witness has to say.
#[derive(Default)]
struct Testimony {
    answers: usize,
    compared: usize,
    wrong: Option<String>,
}

/// A service and its witness, who is heard when it is dropped.
pub struct Watched {
    service: Service,
    /// Somebody is to end the service: answers need not come any more.
    is_ending: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Testimony>>,
}

impl Deref for Watched {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Watched {
    /// Serves the shipped model from a folder, with a configuration.
    pub fn serve(data: &Path, config: &str, ledger: &Arc<Ledger>) -> Watched {
        let (path, topics) = (data.join("staygraph.toml"), topics(config));
        std::fs::write(&path, config).unwrap();
        let service = Service::start_with(data, &root("model.graphql"), &["--config", path.to_str().unwrap()]);
        let (is_ending, stop) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (ledger, url) = (ledger.clone(), format!("{}/graphql", service.url));
        let (ending, stopped) = (is_ending.clone(), stop.clone());
        let thread = std::thread::spawn(move || testify(&url, &ledger, &topics, &ending, &stopped));
        Watched { service, is_ending, stop, thread: Some(thread) }
    }

    /// Ends it as a loss of power would, while it is asked.
    pub fn kill(self) {
        self.is_ending.store(true, Ordering::Release);
        self.service.signal("KILL");
    }

    /// Ends it, and gives how many claims of how many answers could be compared.
    pub fn judged(mut self) -> (usize, usize) {
        let said = self.hear();
        (said.compared, said.answers)
    }

    fn hear(&mut self) -> Testimony {
        self.stop.store(true, Ordering::Release);
        let said = self.thread.take().unwrap().join().unwrap_or_default();
        if let Some(wrong) = &said.wrong {
            // A test that fails already is not to end the process.
            if std::thread::panicking() {
                println!("the witness: {wrong}");
            } else {
                panic!("{wrong}");
            }
        }
        said
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.thread.is_none() {
            return;
        }
        if std::thread::panicking() {
            // A service that stands still would not answer.
            self.is_ending.store(true, Ordering::Release);
            self.service.signal("KILL");
        }
        let said = self.hear();
        assert!(said.answers > 0 || std::thread::panicking(), "nothing was asked");
    }
}

/// The topics of each domain, as a configuration has them.
fn topics(config: &str) -> BTreeMap<String, Vec<String>> {
    let config: toml::Table = config.parse().unwrap();
    let of = |domain: &str| {
        let topics = config.get("domains").and_then(|domains| domains.get(domain)?.get("topics")?.as_array());
        match topics {
            Some(topics) => topics.iter().map(|topic| topic.as_str().unwrap().to_owned()).collect(),
            None => vec![domain.to_owned()],
        }
    };
    let domains = ["people", "properties", "prices", "reservations"];
    domains.map(|domain| (domain.to_owned(), of(domain))).into()
}

/// Asks until it is told to stop, or until something is wrong.
fn testify(
    url: &str,
    ledger: &Ledger,
    topics: &BTreeMap<String, Vec<String>>,
    is_ending: &AtomicBool,
    stop: &AtomicBool,
) -> Testimony {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
    let agent: ureq::Agent = config.build().into();
    let body = json!({ "query": QUERY }).to_string();
    let mut said = Testimony::default();
    while !stop.load(Ordering::Acquire) {
        let sent = agent.post(url).header("content-type", "application/json").send(&body);
        let text = match sent.and_then(|mut answer| answer.body_mut().read_to_string()) {
            Ok(text) => text,
            Err(_) if is_ending.load(Ordering::Acquire) => break,
            Err(error) => {
                said.wrong = Some(format!("no answer: {error}"));
                break;
            }
        };
        said.answers += 1;
        let answer: Json = serde_json::from_str(&text).unwrap_or_default();
        let judged = if answer["data"].is_object() && answer.get("errors").is_none() {
            ledger.judge(&answer, topics)
        } else {
            Err(format!("no answer but this: {text}"))
        };
        match judged {
            Ok(compared) => said.compared += compared,
            Err(wrong) => {
                said.wrong = Some(wrong);
                break;
            }
        }
        std::thread::park_timeout(REST);
    }
    said
}

/// Asks a cluster for what is committed, where who writes to it is not ours; ends with it.
pub struct Observer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Observer {
    pub fn start(brokers: &str, ledger: &Arc<Ledger>) -> Observer {
        let stop = Arc::<AtomicBool>::default();
        let (stopped, ledger) = (stop.clone(), ledger.clone());
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        let client: BaseConsumer = config.create().unwrap();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                let metadata = client.fetch_metadata(None, PATIENCE).unwrap();
                for topic in metadata.topics().iter().filter(|topic| !topic.name().starts_with("__")) {
                    for partition in topic.partitions() {
                        // A topic may go between the two questions.
                        let told = client.fetch_watermarks(topic.name(), partition.id(), PATIENCE);
                        if let Ok((_, end)) = told {
                            ledger.note(topic.name(), partition.id(), end.cast_unsigned());
                        }
                    }
                }
                std::thread::park_timeout(OBSERVED_EVERY);
            }
        });
        Observer { stop, thread: Some(thread) }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "what is committed could not be asked for");
    }
}
