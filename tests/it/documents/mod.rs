//! What the pages say is done: every block of README.md and docs/*.md, in order, against the real binary and the demo's data.
//! Those that need a Kafka are run by tests/kafka.

pub mod blocks;
pub mod reader;

use std::sync::{Arc, Mutex};

use staygraph::clock;
use staygraph::source::log::{Log, partition_of};

use self::blocks::{Block, Kind, blocks};
use self::reader::{Reader, pages, run};
use crate::letters::{avro, registry};
use crate::support::{Service, folder, root};

/// The pages with blocks that need a Kafka. No other may say so.
const WITH_KAFKA: [&str; 2] = ["README.md", "kafka.md"];

#[test]
fn every_block_of_every_page_does_what_it_says() {
    let mut ran = 0;
    // README starts the demo, and the other pages ask it.
    let mut demo: Option<(Reader, String)> = None;
    for path in pages() {
        let page = path.file_name().unwrap().to_str().unwrap();
        let blocks = blocks(page, &std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|fault| panic!("{fault}"));
        let kafka = blocks.iter().filter(|block| block.needs_kafka).count();
        assert!(kafka == 0 || WITH_KAFKA.contains(&page), "{page} has blocks that need a Kafka");
        ran += kafka;
        let mut reader = Reader::new(&[]);
        match &demo {
            None => {
                ran += run(&mut reader, &blocks, false);
                let url = reader.first_url();
                demo = Some((reader, url));
            }
            Some(_) if page == "errors.md" => ran += with_a_letter(&mut reader, &blocks),
            Some((_, url)) => {
                reader.finds(url);
                ran += run(&mut reader, &blocks, false);
            }
        }
    }
    assert!(ran >= 35, "only {ran} blocks were found");
}

/// The page speaks of a letter of `people/0@7`, whose schema the registry did not have: here is one.
fn with_a_letter(reader: &mut Reader, blocks: &[Block]) -> usize {
    let data = folder();
    let known = Arc::new(Mutex::new(vec![1]));
    let url = registry(known.clone());
    {
        let log = Log::open(&data.path().join("log"), 0, clock::now).unwrap();
        let topic = log.topic("people").unwrap();
        let key = (0_u32..).map(|number| number.to_string()).find(|key| partition_of(key.as_bytes(), 4) == 0).unwrap();
        let mut draft = log.draft(0);
        for number in 1..=8 {
            let bytes = avro(if number == 8 { 2 } else { 1 }, "ann", number, "person.profile-changed", "Ann");
            draft.push(topic, key.as_bytes(), &bytes);
        }
        log.append(draft).unwrap();
    }
    let config = data.path().join("staygraph.toml");
    let text =
        format!("[sources.main]\nkind = \"log\"\nschema_registry = \"{url}\"\n[domains.people]\nencoding = \"avro\"\n");
    std::fs::write(&config, text).unwrap();
    let service = Service::start_with(data.path(), &root("model.graphql"), &["--config", config.to_str().unwrap()]);
    let letters = service.read("{ people { totalCount } projection { deadLetters { nodes { id } } } }", "people/0@8");
    assert_eq!(letters["projection"]["deadLetters"]["nodes"][0]["id"], "DeadLetter:people/0@7", "{letters}");
    // The cause is mended.
    known.lock().unwrap().push(2);
    reader.finds(&service.url);
    run(reader, blocks, false)
}

#[test]
fn a_block_that_nobody_can_run_is_a_fault() {
    for (text, said) in [
        ("```\nx\n```\n", "nobody knows how to run"),
        ("```console\n$ x\n```\n", "nobody knows how to run"),
        ("```json\n{}\n```\n", "nobody knows how to run"),
        ("```sh later\nx\n```\n", "nobody knows how to run"),
        ("~~~sh\nx\n~~~\n", "written ```"),
        ("- x\n  ```sh\n  x\n  ```\n", "not indented"),
        ("```sh\nx\n", "has no end"),
        ("```sh\n```sh\n", "within another"),
    ] {
        let found = blocks("page.md", text).map(|blocks| blocks.len());
        assert!(found.as_ref().is_err_and(|fault| fault.contains(said)), "{text:?}: {found:?}");
    }
    let found = blocks("page.md", "```graphql kafka\n{ a }\n```\ntext\n```sh\nx\ny\n```\n").unwrap();
    assert_eq!(
        found.iter().map(|block| (block.kind, block.needs_kafka)).collect::<Vec<_>>(),
        [(Kind::Query, true), (Kind::Shell, false)]
    );
    assert_eq!(found[1].text, "x\ny\n");
}
