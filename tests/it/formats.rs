//! Checkpoints of every format that a version wrote: each is read, to the same graph, for as long as its fixture is here.
//! `UPDATE_FIXTURES=1` makes one of the present format, where it has none.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use staygraph::checkpoint::{FORMAT, Head};
use staygraph::keys::Keys;
use staygraph::model::Model;
use staygraph::projection::digest;
use staygraph::sealing::Sealing;
use staygraph::store::{Checkpoints, Files};

use crate::checkpoints::{World, some_events, write};
use crate::support::root;

fn folder(format: u32) -> PathBuf {
    root(&format!("tests/fixtures/checkpoints/{format}"))
}

/// What a checkpoint's graph says, by entity; and the names of two whose values are sealed.
fn said(format: u32) -> (String, Vec<String>) {
    let files = Files::open_to_read(&folder(format));
    let checkpoints = Checkpoints::new(Box::new(files), 1);
    let head: Head = checkpoints.heads().unwrap().pop().unwrap_or_else(|| panic!("no fixture of format {format}"));
    assert_eq!(head.format, format);
    let model = Arc::new(Model::parse(&head.sdl, "the checkpoint's").unwrap());
    let keys = Arc::new(Keys::open(&folder(format).join("keys"), None).unwrap());
    let view = checkpoints.view(&head, &model, &Sealing::new(keys, model.clone())).unwrap();
    assert_eq!(view.validate(), Ok(()));
    let digests = model.entities.entries().map(|(entity, description)| {
        let digest = digest(&view, entity, || Ok::<(), ()>(())).unwrap();
        json!([description.name, digest.count, digest.text()])
    });
    let digests = digests.collect::<Vec<_>>();
    let entity = model.entity_named("Guest").unwrap();
    let name = model.entities[entity].field_named("name").unwrap();
    let names = ["g7", "g3"].map(|key| {
        let node = view.find(entity, key).map(|slot| view.node(slot)).unwrap();
        format!("{:?}", node.value(name))
    });
    (json!(digests).to_string(), names.to_vec())
}

#[test]
fn every_format_that_was_written_is_read() {
    if std::env::var_os("UPDATE_FIXTURES").is_some() && !folder(FORMAT).exists() {
        let world = World::new();
        let service = world.start();
        write(&service, &some_events());
        let reply = service.post("/projection/checkpoints", "application/json", b"");
        assert_eq!(reply.status, 201, "{}", reply.text);
        let made = world.files().pop().unwrap();
        std::fs::create_dir_all(folder(FORMAT)).unwrap();
        for file in [made.clone(), made.with_extension("json"), world.data().join("keys")] {
            std::fs::copy(&file, folder(FORMAT).join(file.file_name().unwrap())).unwrap();
        }
        service.kill();
    }
    let expected = [
        r#"[["Guest",40,"1fb11fe9a18fd83664c86e9aacfc9a1f"],["Stay",60,"edc13fa722aa515c15f89e8424bf0770"]]"#,
        r#"[["Guest",40,"3ae7e9c308bcc4e1745f29fd46946938"],["Stay",60,"83bc080ef10ee05fa4d9dfe3271410d5"]]"#,
    ];
    assert_eq!(expected.len(), FORMAT as usize);
    for (format, digests) in (1..).zip(expected) {
        let (said, names) = said(format);
        assert_eq!(said, digests, "format {format}");
        // One that is known, and one that was erased.
        assert_eq!(names, ["String(\"Name 7\")", "Null"], "format {format}");
    }
}
