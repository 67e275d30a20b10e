//! What the targets call. The bodies are the tests' own, which run them on stable over the corpora and what is like them.

#[path = "../../tests/it/teller.rs"]
mod teller;

pub mod reference {
    #[path = "../../../tests/it/reference/faults.rs"]
    mod faults;
    #[path = "../../../tests/it/reference/generate.rs"]
    mod generate;
    #[path = "../../../tests/it/reference/pair.rs"]
    pub mod pair;
    #[path = "../../../tests/it/reference/schema.rs"]
    mod schema;
    #[path = "../../../tests/it/reference/world.rs"]
    mod world;
}

/// The room `event` has no public door to its tape.
#[expect(dead_code, reason = "the room uses what is not used here")]
pub mod event {
    #[path = "../agree.rs"]
    pub mod agree;
    #[path = "../../../src/event/numerals.rs"]
    mod numerals;
    #[path = "../../../src/event/scan.rs"]
    mod scan;
    #[path = "../../../src/event/strict.rs"]
    mod strict;
    #[path = "../../../src/event/tape.rs"]
    mod tape;
}
