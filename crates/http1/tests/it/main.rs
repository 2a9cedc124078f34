//! Differential tests: what is read here of a client's bytes, hyper's server reads, and reads alike (T19).
//!
//! Heads that are not read here go to hyper with all that follows them; so the one thing that must never happen is that
//! both read, and read different requests.

mod readers;
mod scripts;

use readers::{Hyper, Seen, read, read_in_pieces};
use scripts::Dice;

/// Scripts of one run; a longer one sets `WHARF_TEST_SCRIPTS`.
const N_SCRIPTS: u64 = 6000;

fn n_scripts() -> u64 {
    std::env::var("WHARF_TEST_SCRIPTS").ok().and_then(|n| n.parse().ok()).unwrap_or(N_SCRIPTS)
}

/// What became of one script.
#[derive(Default)]
struct Tally {
    n_read: usize,
    n_bodies: usize,
    n_trailers: usize,
    n_left: usize,
}

impl Tally {
    fn count(&mut self, seen: &[Seen]) {
        self.n_read += seen.iter().filter(|it| it.is_whole).count();
        self.n_bodies += seen.iter().filter(|it| it.is_whole && !it.body.is_empty()).count();
        self.n_trailers += seen.iter().filter(|it| !it.trailers.is_empty()).count();
        self.n_left += usize::from(seen.is_empty());
    }
}

#[test]
fn t19_what_is_read_here_hyper_reads_alike() {
    let hyper = Hyper::new();
    let mut tally = Tally::default();
    for seed in 0..n_scripts() {
        let script = scripts::script(&mut Dice::new(seed));
        let ours = read(&script);
        tally.count(&ours);
        if ours.is_empty() {
            continue;
        }
        let theirs = hyper.read(&script);
        readers::assert_alike(&ours, &theirs, || {
            format!("seed {seed}: {:?}", String::from_utf8_lossy(&script))
        });
    }
    // Or it would say nothing.
    let n = usize::try_from(n_scripts()).unwrap();
    assert!(tally.n_read > n / 4 && tally.n_bodies > n / 20, "{} {}", tally.n_read, tally.n_bodies);
    assert!(
        tally.n_trailers > n / 100 && tally.n_left > n / 10,
        "{} {}",
        tally.n_trailers,
        tally.n_left
    );
}

#[test]
fn nothing_sent_panics_and_cuts_change_no_reading() {
    for seed in 0..n_scripts() {
        let mut dice = Dice::new(seed);
        let script = scripts::script(&mut dice);
        let step = 1 + dice.below(40);
        let (whole, cut) = (read(&script), read_in_pieces(&script, step));
        assert_eq!(whole, cut, "seed {seed} by {step}: {:?}", String::from_utf8_lossy(&script));
    }
}
