//! The blocks of README.md and docs/kafka.md that need a Kafka, in order, with real ones. tests/it runs the others.

#[path = "../it/documents/blocks.rs"]
mod blocks;
#[path = "../it/documents/reader.rs"]
#[expect(dead_code, reason = "shared with tests/it, which runs the other blocks")]
mod reader;

use self::blocks::blocks;
use self::reader::{Reader, run};
use crate::cluster::{Cluster, person};
use crate::support::{folder, root};

fn run_page(reader: &mut Reader, page: &str) -> usize {
    let blocks = blocks(page, &std::fs::read_to_string(root(page)).unwrap()).unwrap();
    run(reader, &blocks, true)
}

/// Somebody has topics with events already.
#[test]
fn the_readme_reads_your_kafka() {
    let cluster = Cluster::start(1);
    cluster.create(&[("people", 4), ("properties", 4), ("prices", 4), ("reservations", 4)]);
    let writer = cluster.writer();
    writer.send("people", &person("ann", 1, "Ann"));
    writer.flush();
    let mut reader = Reader::new(&[("127.0.0.1:9092", &cluster.brokers)]);
    assert_eq!(run_page(&mut reader, "README.md"), 3);
}

/// Nodes that the page starts and, where a block fails, does not come to stop.
struct Started(tempfile::TempDir);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = std::process::Command::new(root("scripts/kafka")).arg("stop").arg(self.0.path()).status();
    }
}

/// The page starts its own cluster, in a folder of ours instead of the one in /tmp.
#[test]
fn five_minutes_of_kafka() {
    let kafka = Started(folder());
    let at = kafka.0.path().to_str().unwrap();
    let mut reader = Reader::new(&[("/tmp/kafka", at)]);
    assert_eq!(run_page(&mut reader, "docs/kafka.md"), 6);
}
