//! staygraph and a real Apache Kafka: what users have, and what goes wrong with it. `./test` runs it; by hand,
//! `cargo test --test kafka`. Needs a JDK and Maven: scripts/kafka fetches Kafka.

#[path = "../it/certificates.rs"]
mod certificates;
mod checkpoints;
mod cluster;
mod documents;
mod encodings;
mod failures;
mod honest;
mod lag;
mod legacy;
mod mariadb;
mod network;
mod pauses;
mod reading;
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "shared with the other tests, which need more of it")]
mod support;
mod transactions;
mod witness;
