//! Any text: passing over its records quickly finds what reading all of them finds.
//!
//! `cargo +nightly fuzz run decode fuzz/corpus/decode fixtures/envelopes`

#![no_main]

#[path = "../../tests/support/differential.rs"]
mod differential;

libfuzzer_sys::fuzz_target!(|text: &[u8]| differential::compare(text));
