//! Choices that make a document: the service and the reference give one answer.
#![no_main]

use std::sync::LazyLock;

use staygraph_fuzz::reference::pair::Pair;

static PAIR: LazyLock<Pair> = LazyLock::new(Pair::new);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let asked = PAIR.question(bytes);
    if let Err(why) = PAIR.agree(&asked) {
        panic!("{why}\n{asked:?}");
    }
});
