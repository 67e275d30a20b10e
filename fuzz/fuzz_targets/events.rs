//! Bytes of an event: the scanner, the strict reader and serde_json agree.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(why) = staygraph_fuzz::event::agree::agree(bytes) {
        panic!("{why}");
    }
});
