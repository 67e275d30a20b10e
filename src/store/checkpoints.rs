//! Checkpoints in a store: each is a head, `ID.json`, and data, `ID.data`. The head comes last, so that a checkpoint without data does
//! not exist; it goes first.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use xxhash_rust::xxh3::Xxh3Default;

use super::Store;
use crate::checkpoint::{self, Chunks, FORMAT, Head, Part, Restoring, Rules, Unpacker};
use crate::freshness::Moment;
use crate::graph::View;
use crate::ids::EntityId;
use crate::model::Model;
use crate::model::value::Instant;
use crate::projection::{Capture, Gate, Projector, Vault};

/// Chunks that were read ahead.
const AHEAD: usize = 8;

/// A service's checkpoints.
pub struct Checkpoints {
    store: Box<dyn Store>,
    keep: usize,
}

/// A checkpoint that was not used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub id: String,
    pub why: String,
}

/// What a restored projector is made for.
pub struct Restore<'a> {
    pub model: &'a Arc<Model>,
    pub rules: &'a Rules,
    /// Makes a projector that has nothing yet.
    pub anew: &'a dyn Fn() -> Projector,
    pub vault: &'a dyn Vault,
    pub now: Moment,
    /// Whether the logs reach as far as a position; else why not.
    pub reaches: &'a dyn Fn(&str) -> Result<(), String>,
}

/// What a start came to.
pub struct Started {
    /// None where no checkpoint is of use.
    pub from: Option<(Head, Projector, Gate)>,
    /// Those that are newer than it.
    pub refused: Vec<Refused>,
    /// Whether some of those might be of use: they could not be read.
    pub is_unread: bool,
}

/// Why a checkpoint is not used.
enum Fault {
    /// It could not be read, now. It may be a good one.
    Unread(String),
    /// It is not to be used.
    Useless(String),
}

impl From<String> for Fault {
    fn from(why: String) -> Fault {
        Fault::Useless(why)
    }
}

impl Fault {
    fn why(self) -> String {
        match self {
            Fault::Unread(why) | Fault::Useless(why) => why,
        }
    }
}

impl Checkpoints {
    /// Of which so many are kept, at least one.
    pub fn new(store: Box<dyn Store>, keep: usize) -> Checkpoints {
        Checkpoints { store, keep: keep.max(1) }
    }

    /// The ids of those that are there, oldest first.
    fn ids(&self) -> Result<Vec<String>, String> {
        Ok(ids_of(&self.store.names()?))
    }

    pub fn head(&self, id: &str) -> Result<Head, String> {
        self.head_of(id).map_err(Fault::why)
    }

    fn head_of(&self, id: &str) -> Result<Head, Fault> {
        let head = self.store.read(&format!("{id}.json")).map_err(Fault::Unread)?;
        let mut bytes = Vec::new();
        let read = head.ok_or_else(|| "its head is missing".to_owned())?.read_to_end(&mut bytes);
        read.map_err(|error| Fault::Unread(format!("its head cannot be read: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|_| "its head is not readable: it is no text".to_owned())?;
        Ok(Head::parse(&text)?)
    }

    /// Those that are there, newest first. What is no head is left out; what cannot be read now is an error, since it may well
    /// be one.
    pub fn heads(&self) -> Result<Vec<Head>, String> {
        let mut heads = Vec::new();
        for id in self.ids()?.iter().rev() {
            match self.head_of(id) {
                Ok(head) => heads.push(head),
                Err(Fault::Useless(_)) => {}
                Err(Fault::Unread(why)) => return Err(why),
            }
        }
        Ok(heads)
    }

    pub fn location(&self, id: &str) -> String {
        self.store.location(&format!("{id}.data"))
    }

    /// Writes a checkpoint, and takes away those that are too many.
    pub fn save(&self, capture: &Capture, rules: &Rules, now: Instant, vault: &dyn Vault) -> Result<Head, String> {
        let ids = self.ids()?;
        let (id, at) = name(now, ids.last())?;
        let mut upload = self.store.create(&format!("{id}.data"))?;
        let (mut hash, mut bytes) = (Xxh3Default::new(), 0);
        checkpoint::write(capture, vault, |part| {
            hash.update(part);
            bytes += part.len() as u64;
            upload.write(part)
        })?;
        upload.finish()?;
        let snapshot = &capture.snapshot;
        let model = snapshot.graph.model();
        let count = |(entity, description): (EntityId, &crate::model::Entity)| {
            (description.name.clone(), snapshot.graph.slots(entity).len() as u64)
        };
        let head = Head {
            format: FORMAT,
            id: id.clone(),
            at: at.to_string(),
            staygraph: env!("CARGO_PKG_VERSION").into(),
            model: model.fingerprint.clone(),
            sdl: model.sdl.clone(),
            rules: rules.clone(),
            position: snapshot.position().to_string(),
            events_applied: snapshot.counters.iter().map(|counters| counters.applied).sum(),
            bytes,
            checksum: format!("{:032x}", hash.digest128()),
            entities: model.entities.entries().map(count).collect::<BTreeMap<_, _>>(),
        };
        let mut upload = self.store.create(&format!("{id}.json"))?;
        upload.write(head.to_json().as_bytes())?;
        upload.finish()?;
        // The checkpoint is there: that others are too many is no reason to say that it is not.
        if let Err(error) = self.prune() {
            tracing::warn!(error, "checkpoints that are too many stay");
        }
        Ok(head)
    }

    /// Takes away all that are older than the newest `keep`, and data without a head that are older than those.
    fn prune(&self) -> Result<(), String> {
        let mut names = self.store.names()?;
        let ids = ids_of(&names);
        let kept = &ids[ids.len().saturating_sub(self.keep)..];
        let Some(oldest) = kept.first() else { return Ok(()) };
        // Heads before data.
        names.sort_unstable_by_key(|name| name.ends_with(".data"));
        let id = |name: &str| name.strip_suffix(".json").or(name.strip_suffix(".data")).map(str::to_owned);
        for name in names.iter().filter(|name| id(name).is_some_and(|id| id < *oldest)) {
            self.store.delete(name)?;
        }
        Ok(())
    }

    /// Makes a projector of the newest checkpoint that is of use. The error says why it is not known which there are.
    pub fn start(&self, restore: &Restore<'_>, gate: &dyn Fn() -> Gate) -> Result<Started, String> {
        let (mut refused, mut is_unread) = (Vec::new(), false);
        for id in self.ids()?.into_iter().rev() {
            match self.head_of(&id).and_then(|head| self.restore(head, restore, gate())) {
                Ok(from) => return Ok(Started { from: Some(from), refused, is_unread }),
                Err(fault) => {
                    is_unread |= matches!(fault, Fault::Unread(_));
                    refused.push(Refused { id, why: fault.why() });
                }
            }
        }
        Ok(Started { from: None, refused, is_unread })
    }

    fn restore(&self, head: Head, restore: &Restore<'_>, mut gate: Gate) -> Result<(Head, Projector, Gate), Fault> {
        head.fits(restore.rules).map_err(|differs| differs.to_string())?;
        (restore.reaches)(&head.position)?;
        let mut restoring = Restoring::new(&head, restore.model, restore.vault)?;
        let unpacker = restoring.unpacker();
        self.parts(&head, &unpacker, |part| restoring.take(part))?;
        let projector = restoring.finish((restore.anew)(), &mut gate, restore.now)?;
        Ok((head, projector, gate))
    }

    /// A checkpoint's graph, by the model that it was made by.
    pub fn view(&self, head: &Head, model: &Arc<Model>, vault: &dyn Vault) -> Result<View, String> {
        let mut restoring = Restoring::new(head, model, vault)?;
        let unpacker = restoring.unpacker();
        self.parts(head, &unpacker, |part| restoring.take(part)).map_err(Fault::why)?;
        restoring.view()
    }

    /// Hands on what a checkpoint's chunks hold while the next are read and unpacked; then, whether the data are those that the head
    /// speaks of.
    fn parts(
        &self,
        head: &Head,
        unpacker: &Unpacker<'_>,
        mut take: impl FnMut(Part) -> Result<(), String>,
    ) -> Result<(), Fault> {
        let input = self.store.read(&format!("{}.data", head.id)).map_err(Fault::Unread)?;
        let input = input.ok_or_else(|| "its data are missing".to_owned())?;
        std::thread::scope(|scope| {
            let (read, taken) = sync_channel(AHEAD);
            let reader = scope.spawn(move || {
                let mut input = Counted { input, hash: Xxh3Default::new(), bytes: 0 };
                let mut chunks = Chunks::new(io::BufReader::with_capacity(1 << 20, &mut input));
                loop {
                    match chunks.read() {
                        Ok(Some(chunk)) => {
                            // Nobody takes it where the one before was not of use.
                            if read.send(unpacker.unpack(chunk)?).is_err() {
                                return Ok(());
                            }
                        }
                        Ok(None) => break,
                        Err(fault @ checkpoint::Fault::Io(_)) => return Err(Fault::Unread(fault.to_string())),
                        Err(fault) => return Err(Fault::Useless(fault.to_string())),
                    }
                }
                let mut rest = [0; 1];
                let is_over = chunks.into_inner().read(&mut rest).is_ok_and(|read| read == 0);
                let is_it = input.bytes == head.bytes && format!("{:032x}", input.hash.digest128()) == head.checksum;
                match is_over && is_it {
                    true => Ok(()),
                    false => Err("its data are not those that its head speaks of".to_owned().into()),
                }
            });
            let took = taken.iter().try_for_each(&mut take);
            drop(taken);
            reader.join().unwrap_or_else(|_| Err("the thread that read it panicked".to_owned().into()))?;
            Ok(took?)
        })
    }
}

/// Whose heads are among some names, oldest first.
fn ids_of(names: &[String]) -> Vec<String> {
    let mut ids: Vec<String> = names.iter().filter_map(|name| name.strip_suffix(".json")).map(str::to_owned).collect();
    ids.sort_unstable();
    ids
}

/// A new checkpoint's id and time: later than the last one's, whatever the clock says.
fn name(now: Instant, last: Option<&String>) -> Result<(String, Instant), String> {
    let random = getrandom::u32().map_err(|error| format!("no randomness for a checkpoint's name: {error}"))?;
    // To the millisecond, and as wide at every time, so that names sort by it.
    let id = |at: Instant| {
        let text: String = at.to_string().chars().take(19).filter(|letter| !"-:".contains(*letter)).collect();
        format!("{text}{:03}-{random:08x}", at.nanos / 1_000_000)
    };
    let mut at = Instant::from_micros(now.micros() / 1000 * 1000);
    while last.is_some_and(|last| id(at) <= *last) {
        at = Instant::from_micros(at.micros() + 1000);
    }
    Ok((id(at), at))
}

/// Counts and hashes what is read.
struct Counted {
    input: Box<dyn Read + Send>,
    hash: Xxh3Default,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
