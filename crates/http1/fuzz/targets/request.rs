//! A client's bytes, read here whole and in pieces, and by hyper's server: all readings must be the same, as far as
//! there is one here.

#![no_main]

#[path = "../../tests/it/readers.rs"]
mod readers;

use readers::{Hyper, assert_alike, read, read_in_pieces};

thread_local! {
    static HYPER: Hyper = Hyper::new();
}

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let [step, wire @ ..] = script else { return };
    let step = usize::from(*step).max(1);
    let ours = read(wire);
    assert_eq!(ours, read_in_pieces(wire, step), "cuts of {step} change the reading");
    if !ours.is_empty() {
        let theirs = HYPER.with(|hyper| hyper.read(wire));
        assert_alike(&ours, &theirs, || String::from_utf8_lossy(wire).into_owned());
    }
});
