//! What every store keeps: a file is there whole or not at all, is never changed, and of several of one name one wins.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};

use object_store::memory::InMemory;
use staygraph::store::{Files, Objects, Store};

use crate::support::folder;

/// More than an object store takes at once, three times over, and no whole number of it.
const LARGE: usize = (20 << 20) + 12_345;

/// Bytes that differ by place and by number.
fn bytes(length: usize, number: u8) -> Vec<u8> {
    (0..length).map(|at| (at / 251) as u8 ^ (at % 251) as u8 ^ number).collect()
}

fn put(store: &dyn Store, name: &str, bytes: &[u8], step: usize) -> Result<(), String> {
    let mut upload = store.create(name)?;
    for part in bytes.chunks(step.max(1)) {
        upload.write(part)?;
    }
    upload.finish()
}

fn read(store: &dyn Store, name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    store.read(name).unwrap()?.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

fn names(store: &dyn Store) -> Vec<String> {
    let mut names = store.names().unwrap();
    names.sort();
    names
}

pub fn check(store: &dyn Store) {
    assert_eq!(names(store), Vec::<String>::new());
    assert_eq!(read(store, "none"), None);
    for (name, length, step) in
        [("0", 0, 1), ("1", 1, 1), ("2", 8 << 20, 1 << 20), ("3", LARGE, 777_777), ("4", LARGE, LARGE)]
    {
        let whole = bytes(length, 1);
        let mut upload = store.create(name).unwrap();
        upload.write(&whole[..length / 2]).unwrap();
        assert_eq!(read(store, name), None, "half of {name} is seen");
        drop(upload);
        assert!(!names(store).contains(&name.to_owned()), "half of {name} is left");
        put(store, name, &whole, step).unwrap();
        assert!(read(store, name).as_ref() == Some(&whole), "{name} is not what was put");
        // Never changed: another of the name is refused, and the first stays.
        assert!(put(store, name, &bytes(length.max(3), 2), step).is_err(), "{name}");
        assert!(read(store, name).as_ref() == Some(&whole), "{name} was changed");
    }
    assert_eq!(names(store), ["0", "1", "2", "3", "4"]);
    assert!(store.location("3").ends_with("/3"));
    for name in ["0", "1", "2", "3", "4", "4"] {
        store.delete(name).unwrap();
    }
    assert_eq!(names(store), Vec::<String>::new());
    let won = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..16 {
            let won = &won;
            scope.spawn(move || {
                if put(store, "one", &bytes(1000, number), 100).is_ok() {
                    assert_eq!(read(store, "one"), Some(bytes(1000, number)), "who won finds another's");
                    won.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(won.into_inner(), 1);
    store.delete("one").unwrap();
}

#[test]
fn a_folder_keeps_it() {
    let folder = folder();
    check(&Files::open(folder.path(), 0).unwrap());
}

#[test]
fn objects_keep_it() {
    for (url, prefix) in [("s3://bucket/a/prefix", "a/prefix"), ("gs://bucket", "")] {
        check(&Objects::of(Box::new(InMemory::new()), url, prefix, "").unwrap());
    }
}

#[test]
fn a_place_that_is_none_or_does_not_answer() {
    let open = |url: &str, variables: &[(&str, &str)]| {
        Objects::open_by(url, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    };
    for (url, why) in [
        ("s3:bucket", "is no object store's URL"),
        ("http://bucket/x", "is no object store's URL"),
        ("az://container/x", "`AZURE_…`"),
        ("s3://bucket/a//b", "empty"),
    ] {
        let said = open(url, &[]).err().unwrap_or_default();
        assert!(said.contains(why), "{url}: {said}");
    }
    // Nobody listens at the discard port of this machine.
    let variables = [
        ("AWS_ENDPOINT", "http://127.0.0.1:9"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "somebody"),
        ("AWS_SECRET_ACCESS_KEY", "a-secret"),
    ];
    let away = open("s3://bucket/there/", &variables).unwrap();
    let mut upload = away.create("x").unwrap();
    upload.write(b"anything").unwrap();
    for (said, what) in [
        (away.names().unwrap_err(), "s3://bucket/there cannot be listed: "),
        (away.read("x").err().unwrap(), "s3://bucket/there/x cannot be read: "),
        (upload.finish().unwrap_err(), "s3://bucket/there/x cannot be written: "),
        (away.delete("x").unwrap_err(), "s3://bucket/there/x cannot be removed: "),
    ] {
        assert!(said.starts_with(what) && said.contains("Connection refused"), "{said}");
        assert!(said.ends_with("check that the store answers, and the variables `AWS_…`"), "{said}");
        assert!(!said.contains("a-secret") && !said.contains("http://"), "{said}");
    }
}
