//! `staygraph verify`: whether two graphs say the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value as Json, json};

use super::service::{Client, Credential, answer, service_url};
use super::{Failure, misused, one, say};
use crate::config::LogOptions;
use crate::graph::View;
use crate::keys::Keys;
use crate::model::Model;
use crate::projection::{Digester, digest};
use crate::sealing::Sealing;
use crate::store::{Checkpoints, Files, Objects, Store, is_object_url};
use crate::telemetry::start_logs;

/// How often two services are asked to come to the same position.
const ROUNDS: usize = 10;
/// Entities that are named, of each kind.
const NAMED_MAX: usize = 20;

#[derive(Args)]
pub struct Verify {
    /// A running service.
    #[arg(value_name = "A", value_parser = service_url)]
    service: String,
    /// What it is compared with: another service's URL, or a checkpoint's file or object; unless given, the service's newest checkpoint.
    #[arg(value_name = "B")]
    other: Option<String>,
    /// The keys of personal values, for a checkpoint; unless given, the file `keys` beside its folder. Of an object's nothing is assumed.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    credential: Credential,
}

/// What a side says at a position.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    position: String,
    /// A service's number for what said it.
    version: Option<u64>,
    /// By entity: how many nodes, and their digest.
    entities: BTreeMap<String, (u64, String)>,
}

/// One of the two.
enum Side {
    Service(Rc<Client>, String),
    Checkpoint { named: String, position: String, view: Box<View> },
}

impl Verify {
    pub fn run(self, logs: &LogOptions) -> Result<(), Failure> {
        start_logs(logs.log_format.unwrap_or_default(), logs.verbose);
        let client = Rc::new(self.credential.client()?);
        let a = Side::Service(client.clone(), self.service.clone());
        let (b, (said_a, said_b)) = match &self.other {
            Some(other) => {
                let b = match is_checkpoint(other) {
                    true => checkpoint(other, self.keys.as_deref())?,
                    false => {
                        let url = service_url(other).map_err(|error| misused(format!("B: `{other}`: {error}")))?;
                        Side::Service(client, url)
                    }
                };
                let said = at_one_position(&a, &b)?;
                (b, said)
            }
            None => self.with_its_own(&client, &a)?,
        };
        let nodes: u64 = said_a.entities.values().map(|(count, _)| count).sum();
        let kinds = said_a.entities.keys().chain(said_b.entities.keys()).collect::<std::collections::BTreeSet<_>>();
        let differing: Vec<&String> =
            kinds.into_iter().filter(|name| said_a.entities.get(*name) != said_b.entities.get(*name)).collect();
        if differing.is_empty() {
            say(&format!("the same: {nodes} nodes at {}", said_a.position));
            return Ok(());
        }
        let mut lines = vec![format!("A ({}) and B ({}) differ at {}", a.name(), b.name(), said_a.position)];
        for entity in differing {
            lines.extend(differences(entity, &a.digests(entity, &said_a)?, &b.digests(entity, &said_b)?));
        }
        Err(Failure { lines, code: 1 })
    }
}

impl Verify {
    /// The service's newest checkpoint, and what both say. It goes on meanwhile: then there is another to be taken.
    fn with_its_own(&self, client: &Client, a: &Side) -> Result<(Side, (Said, Said)), Failure> {
        let mut last = Err(one(format!("{} has no checkpoint", self.service)));
        for _ in 0..ROUNDS {
            // Where none are taken the newest that there is has to do.
            let _ = client.post(format!("{}/projection/checkpoints", self.service)).send_empty();
            let asked = ask(client, &self.service, "{ projection { checkpoints { location } } }", "")?;
            let Some(newest) = asked["projection"]["checkpoints"][0]["location"].as_str() else { break };
            let b = checkpoint(newest, self.keys.as_deref())?;
            match at_one_position(a, &b) {
                Ok(said) => return Ok((b, said)),
                Err(failure) => last = Err(failure),
            }
        }
        last
    }
}

/// Whether an argument names a checkpoint rather than a service.
fn is_checkpoint(text: &str) -> bool {
    text.ends_with(".data") || text.ends_with(".json") || is_object_url(text) || Path::new(text).exists()
}

/// Where a checkpoint lies.
struct Place<'a> {
    store: Box<dyn Store>,
    id: &'a str,
    /// The file of its keys unless another is given.
    keys: Option<PathBuf>,
}

fn place(named: &str) -> Result<Place<'_>, String> {
    if is_object_url(named) {
        let (prefix, name) = named.rsplit_once('/').unwrap_or((named, ""));
        let id = name.strip_suffix(".data").or(name.strip_suffix(".json"));
        let id = id.ok_or_else(|| format!("{named} is no checkpoint's object: its name ends in `.data`"))?;
        return Ok(Place { store: Box::new(Objects::open(prefix)?), id, keys: None });
    }
    let path = Path::new(named);
    match (path.parent(), path.file_stem().and_then(|stem| stem.to_str())) {
        (Some(folder), Some(id)) if path.is_file() => {
            let keys = Some(folder.join("../keys"));
            Ok(Place { store: Box::new(Files::open_to_read(folder)), id, keys })
        }
        _ => Err(format!("{named} is no checkpoint's file here")),
    }
}

/// Reads a checkpoint by the name of its data or its head.
fn checkpoint(named: &str, keys: Option<&Path>) -> Result<Side, Failure> {
    let Place { store, id, keys: keys_beside } = place(named).map_err(one)?;
    let keys = match keys.map(Path::to_owned).or(keys_beside) {
        Some(keys) if keys.is_file() => keys,
        keys => {
            let what = keys.map_or("the key file".to_owned(), |keys| keys.display().to_string());
            return Err(one(format!(
                "{what} is missing: `--keys FILE` names the keys that the checkpoint was sealed with"
            )));
        }
    };
    let keys = Keys::open(&keys, None).map_err(|error| one(error.to_string()))?;
    let checkpoints = Checkpoints::new(store, usize::MAX);
    let head = checkpoints.head(id).map_err(|why| one(format!("{named}: {why}")))?;
    let model = Model::parse(&head.sdl, "the checkpoint's model")
        .map_err(|_| one(format!("{named}: its model is not readable")))?;
    let model = Arc::new(model);
    let vault = Sealing::new(Arc::new(keys), model.clone());
    let view = checkpoints.view(&head, &model, &vault).map_err(|why| one(format!("{named}: {why}")))?;
    Ok(Side::Checkpoint { named: named.to_owned(), position: head.position, view: Box::new(view) })
}

/// What both say at one position. Services are asked for the other's until they come to the same.
fn at_one_position(a: &Side, b: &Side) -> Result<(Said, Said), Failure> {
    let (mut said_a, mut said_b) = (a.say("")?, b.say("")?);
    // A checkpoint comes to nobody.
    let rounds = if matches!(b, Side::Checkpoint { .. }) { 2 } else { ROUNDS };
    for _ in 0..rounds {
        if said_a.position == said_b.position {
            return Ok((said_a, said_b));
        }
        let before = (said_a.position.clone(), said_b.position.clone());
        said_b = b.say(&said_a.position)?;
        if said_a.position != said_b.position {
            said_a = a.say(&said_b.position)?;
        }
        // Neither comes to where the other is.
        if before == (said_a.position.clone(), said_b.position.clone()) {
            break;
        }
    }
    Err(Failure {
        lines: vec![
            "they cannot be compared: they are not at one position".into(),
            format!("A ({}) stands at {}", a.name(), said_a.position),
            format!("B ({}) stands at {}", b.name(), said_b.position),
        ],
        code: 1,
    })
}

impl Side {
    fn name(&self) -> &str {
        match self {
            Side::Service(_, url) => url,
            Side::Checkpoint { named, .. } => named,
        }
    }

    /// What it says, at a position at least where it can come to that.
    fn say(&self, at_least: &str) -> Result<Said, Failure> {
        match self {
            Side::Service(client, url) => {
                let asked = ask(
                    client,
                    url,
                    "{ projection { version digest { position entities { entity count value } } } }",
                    at_least,
                )?;
                let version = asked["projection"]["version"].as_u64();
                let digest = &asked["projection"]["digest"];
                let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
                let entities = digest["entities"].as_array().into_iter().flatten().map(|entity| {
                    (text(&entity["entity"]), (entity["count"].as_u64().unwrap_or_default(), text(&entity["value"])))
                });
                Ok(Said { position: text(&digest["position"]), version, entities: entities.collect() })
            }
            Side::Checkpoint { position, view, .. } => {
                let entities = view.model().entities.entries().map(|(entity, description)| {
                    let Ok(digest) = digest(view, entity, || Ok::<(), std::convert::Infallible>(()));
                    (description.name.clone(), (digest.count, digest.text()))
                });
                Ok(Said { position: position.clone(), version: None, entities: entities.collect() })
            }
        }
    }

    /// Each node's digest, by key. The service has to hold the version still.
    fn digests(&self, entity: &str, said: &Said) -> Result<BTreeMap<String, String>, Failure> {
        let mut all = BTreeMap::new();
        match self {
            Side::Service(client, url) => {
                let mut from = Some(0);
                while let Some(slot) = from {
                    let version = said.version.unwrap_or_default();
                    let path = format!("{url}/projection/digest/{entity}?from={slot}&version={version}");
                    let page: Json = serde_json::from_slice(&answer(url, client.get(path).call())?).unwrap_or_default();
                    if page["position"].as_str() != Some(&said.position) {
                        return Err(one(format!(
                            "{url} went on while it was read: which of `{entity}` differ is not known"
                        )));
                    }
                    let nodes = page["nodes"].as_array().into_iter().flatten();
                    all.extend(
                        nodes.filter_map(|node| Some((node[0].as_str()?.to_owned(), node[1].as_str()?.to_owned()))),
                    );
                    from = page["next"].as_u64();
                }
            }
            Side::Checkpoint { view, .. } => {
                let Some(entity) = view.model().entity_named(entity) else { return Ok(all) };
                let mut digester = Digester::new(view, entity);
                for slot in view.slots(entity) {
                    let node = view.node(entity.node(slot));
                    if let Some(hash) = digester.of(&node) {
                        all.insert(node.key().to_owned(), format!("{hash:032x}"));
                    }
                }
            }
        }
        Ok(all)
    }
}

/// The nodes that differ, and how.
fn differences(entity: &str, a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<String> {
    let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differing: Vec<String> = keys
        .into_iter()
        .filter_map(|key| match (a.get(key), b.get(key)) {
            (Some(here), Some(there)) if here == there => None,
            (Some(_), Some(_)) => Some(format!("  {entity}:{key} differs")),
            (Some(_), None) => Some(format!("  {entity}:{key} is in A only")),
            _ => Some(format!("  {entity}:{key} is in B only")),
        })
        .collect();
    let mut lines = vec![format!("{entity}: {} differ", differing.len())];
    let more = differing.len().saturating_sub(NAMED_MAX);
    lines.extend(differing.into_iter().take(NAMED_MAX));
    lines.extend((more > 0).then(|| format!("  and {more} more")));
    lines
}

/// A query's data, at a position at least, if one is named: waited for as long as the service allows.
fn ask(client: &Client, url: &str, query: &str, at_least: &str) -> Result<Json, Failure> {
    let mut body = json!({ "query": query });
    if !at_least.is_empty() {
        body["extensions"] = json!({ "freshness": { "atLeast": at_least, "wait": "3s" } });
    }
    let sent = client.post(format!("{url}/graphql")).send_json(&body);
    let reply: Json = serde_json::from_slice(&answer(url, sent)?)
        .map_err(|_| one(format!("{url} answers, and not as staygraph does")))?;
    match reply["errors"][0]["message"].as_str() {
        Some(message) => Err(one(format!("{url}: {message}"))),
        None => Ok(reply["data"].clone()),
    }
}
