//! A document, a zero, variables: no panic, no hang, no error of the service's own.
#![no_main]

use std::sync::LazyLock;

use staygraph_fuzz::reference::pair::Pair;

static PAIR: LazyLock<Pair> = LazyLock::new(Pair::new);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(why) = PAIR.survives(bytes) {
        panic!("{why}");
    }
});
