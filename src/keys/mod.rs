//! A key for each entity that has personal fields, all out of one small secret file, and each can be destroyed alone.
//!
//! What is sealed under a key is gone for everybody once the key is: whoever holds a copy of what was sealed, an old disk or
//! a backup, holds noise. docs/erasure.md has what is sealed, docs/adr/0013-a-key-for-each-person.md the reasons.
//!
//! Not here: who is erased, and what is sealed.

mod file;
mod tree;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes128GcmSiv, Nonce};
use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use tree::{ADDRESS, Address, SEED, Seed, Tree};

/// What a key file begins with.
const MAGIC: &[u8; 8] = b"staykeys";
/// Its format; another is refused.
const FORMAT: u8 = 1;
/// Bytes before the tree: magic, format, identity, what addresses are made with.
const HEAD: usize = 8 + 1 + 8 + 32;
/// Bytes of the checksum at its end.
const CHECK: usize = 32;

/// AES-GCM-SIV's nonce may repeat (RFC 8452): all that shows is which of what one key sealed is the same, byte for byte.
const NONCE: [u8; 12] = *b"staygraph v1";

/// Why there are no keys. Each says what to do.
#[derive(Debug)]
pub enum KeysError {
    /// The file is not there, and something is sealed under its keys.
    Missing(PathBuf),
    /// It is another's.
    Other(PathBuf),
    Damaged(PathBuf, &'static str),
    /// It cannot be read or written.
    Unusable(PathBuf, io::Error),
    NoRandomness(getrandom::Error),
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let back = "put it back from its copy; without it no personal value that the log holds can be read";
        match self {
            KeysError::Missing(path) => write!(f, "{} is missing: {back}", path.display()),
            KeysError::Other(path) => {
                write!(
                    f,
                    "{} holds the keys of another log: {}",
                    path.display(),
                    back.replace("it back", "the right one")
                )
            }
            KeysError::Damaged(path, why) => write!(f, "{} is damaged ({why}): {back}", path.display()),
            KeysError::Unusable(path, error) => write!(f, "{} cannot be used: {error}", path.display()),
            KeysError::NoRandomness(error) => write!(f, "no randomness for new keys: {error}"),
        }
    }
}

impl std::error::Error for KeysError {}

/// The keys of all entities. Shared by threads; deriving one takes about 1.5 µs.
pub struct Keys {
    path: PathBuf,
    identity: u64,
    secret: Zeroizing<[u8; 32]>,
    tree: ArcSwap<Tree>,
    /// Held by who destroys.
    writing: Mutex<()>,
}

/// What seals the personal values of one entity.
pub struct Key(Zeroizing<Seed>);

impl Keys {
    /// Reads the key file, or makes it. `sealed` is the [`Keys::identity`] of the file that something was sealed with, where
    /// something was: then the file must be there, and be that one.
    pub fn open(path: &Path, sealed: Option<u64>) -> Result<Keys, KeysError> {
        let unusable = |error| KeysError::Unusable(path.to_owned(), error);
        let keys = match file::read(path).map_err(unusable)? {
            Some(bytes) => Keys::read(path, &Zeroizing::new(bytes))?,
            None if sealed.is_some() => return Err(KeysError::Missing(path.to_owned())),
            None => {
                let (mut identity, mut seed) = ([0; 8], [0; SEED]);
                let mut secret = Zeroizing::new([0; 32]);
                for bytes in [&mut identity[..], &mut seed[..], &mut secret[..]] {
                    getrandom::fill(bytes).map_err(KeysError::NoRandomness)?;
                }
                let tree = ArcSwap::from_pointee(Tree::new(seed));
                let identity = u64::from_be_bytes(identity);
                let keys = Keys { path: path.to_owned(), identity, secret, tree, writing: Mutex::default() };
                keys.write(&keys.tree.load()).map_err(unusable)?;
                keys
            }
        };
        if sealed.is_some_and(|identity| identity != keys.identity) {
            return Err(KeysError::Other(path.to_owned()));
        }
        Ok(keys)
    }

    /// Tells this file from others; no secret.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// The key of an entity, by its kind's name in events and its subject; none once it is destroyed.
    pub fn key(&self, entity: &str, subject: &str) -> Option<Key> {
        let leaf = self.tree.load().derive(&self.address(entity, subject))?;
        Some(Key(Zeroizing::new(leaf)))
    }

    /// Destroys keys. Once it returns, nobody who reads the file derives them any more, and it stays so after a loss of power.
    /// Gives how many there still were: where there was none, nothing is written.
    pub fn destroy<'a>(&self, all: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<usize, KeysError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let tree = self.tree.load();
        let addresses = all.into_iter().map(|(entity, subject)| self.address(entity, subject));
        let living: Vec<Address> = addresses.filter(|address| tree.derive(address).is_some()).collect();
        if living.is_empty() {
            return Ok(0);
        }
        let (tree, count) = tree.without(&living);
        self.write(&tree).map_err(|error| KeysError::Unusable(self.path.clone(), error))?;
        self.tree.store(Arc::new(tree));
        Ok(count)
    }

    /// An address tells nobody whose it is who does not hold the file.
    fn address(&self, entity: &str, subject: &str) -> Address {
        let hash = Sha256::new()
            .chain_update(&self.secret[..])
            .chain_update((entity.len() as u32).to_be_bytes())
            .chain_update(entity)
            .chain_update(subject)
            .finalize();
        std::array::from_fn::<u8, ADDRESS, _>(|index| hash[index])
    }

    fn write(&self, tree: &Tree) -> io::Result<()> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD + CHECK + 4096));
        bytes.extend_from_slice(MAGIC);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.identity.to_be_bytes());
        bytes.extend_from_slice(&self.secret[..]);
        tree.write(&mut bytes);
        let check = Sha256::digest(&bytes[..]);
        bytes.extend_from_slice(&check);
        file::write(&self.path, &bytes)
    }

    fn read(path: &Path, bytes: &[u8]) -> Result<Keys, KeysError> {
        let damaged = |why| KeysError::Damaged(path.to_owned(), why);
        let (head, rest) = bytes.split_first_chunk::<HEAD>().ok_or(damaged("it ends early"))?;
        if &head[..8] != MAGIC {
            return Err(damaged("it is no key file"));
        }
        if head[8] != FORMAT {
            return Err(damaged("its format is one that this version does not know"));
        }
        let (tree, check) = rest.split_last_chunk::<CHECK>().ok_or(damaged("it ends early"))?;
        if Sha256::digest(&bytes[..bytes.len() - CHECK])[..] != check[..] {
            return Err(damaged("its checksum does not fit"));
        }
        let tree = Tree::read(tree).ok_or(damaged("its tree cannot be read"))?;
        let (mut identity, mut secret) = ([0; 8], Zeroizing::new([0; 32]));
        identity.copy_from_slice(&head[9..17]);
        secret.copy_from_slice(&head[17..]);
        Ok(Keys {
            path: path.to_owned(),
            identity: u64::from_be_bytes(identity),
            secret,
            tree: ArcSwap::from_pointee(tree),
            writing: Mutex::default(),
        })
    }
}

impl Key {
    /// Seals bytes, bound to others that are not secret: only beside them it opens.
    pub fn seal(&self, beside: &[u8], plain: &[u8]) -> Vec<u8> {
        // It fails for what is longer than 64 GiB, which no caller has.
        self.cipher().encrypt(&Nonce::from(NONCE), Payload { msg: plain, aad: beside }).unwrap_or_default()
    }

    /// What was sealed; none where it was not sealed by this key, beside these bytes, or has been changed.
    pub fn open(&self, beside: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let opened = self.cipher().decrypt(&Nonce::from(NONCE), Payload { msg: sealed, aad: beside });
        opened.ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> Aes128GcmSiv {
        Aes128GcmSiv::new((&*self.0).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_lasts_until_it_is_destroyed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        let keys = Keys::open(&path, None).expect("new keys");
        let sealed = |keys: &Keys, entity, subject| keys.key(entity, subject).map(|key| key.seal(b"beside", b"Ann"));
        let all = [("person", "ann"), ("person", "bob"), ("guest", "ann"), ("gues", "tann")];
        let before = all.map(|(entity, subject)| sealed(&keys, entity, subject));
        for (index, one) in before.iter().enumerate() {
            assert!(one.is_some() && before.iter().skip(index + 1).all(|other| other != one), "{index}");
        }
        assert_eq!(keys.destroy([all[0], all[2]]).expect("room"), 2);
        assert_eq!(keys.destroy([all[0]]).expect("room"), 0, "it is gone already");
        let again = Keys::open(&path, Some(keys.identity())).expect("the same keys");
        for keys in [&keys, &again] {
            for (index, (entity, subject)) in all.into_iter().enumerate() {
                let expected = if index % 2 == 0 { None } else { before[index].clone() };
                assert_eq!(sealed(keys, entity, subject), expected, "{entity} {subject}");
            }
        }
        let key = again.key("person", "bob").expect("it lives");
        let sealed = key.seal(b"beside", b"Bob");
        assert_eq!(key.open(b"beside", &sealed).as_deref().map(Vec::as_slice), Some(&b"Bob"[..]));
        assert!(key.open(b"other", &sealed).is_none() && key.open(b"beside", &sealed[1..]).is_none());
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let names = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(names, 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_is_not_the_right_one_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        let said = |sealed| Keys::open(&path, sealed).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said(Some(7)).contains("is missing: put it back"), "{}", said(Some(7)));
        let keys = Keys::open(&path, None).expect("new keys");
        assert!(said(Some(!keys.identity())).contains("of another log: put the right one"));
        keys.destroy([("person", "ann")]).expect("room");
        let whole = std::fs::read(&path).expect("a file");
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).expect("room");
            assert!(said(None).contains("is damaged"), "byte {at}: {}", said(None));
        }
        for length in [0, 1, HEAD, HEAD + CHECK, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).expect("room");
            assert!(said(None).contains("is damaged"), "{length} bytes");
        }
    }

    #[test]
    fn what_a_write_left_goes_at_the_next_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        drop(Keys::open(&path, None).expect("new keys"));
        for name in ["keys.old", "keys.new"] {
            std::fs::write(folder.path().join(name), b"older seeds").expect("room");
        }
        let keys = Keys::open(&path, None).expect("the keys");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        assert!(keys.key("person", "ann").is_some());
    }
}
