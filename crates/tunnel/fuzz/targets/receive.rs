//! A script of what a hostile peer sends and what our handles do meanwhile; see `tunnel::fuzzing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| tunnel::fuzzing::run(script));
