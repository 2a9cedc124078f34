//! How many of something are there now.

use std::sync::atomic::{AtomicU32, Ordering};

/// Things that are open; each is entered once and left once.
#[derive(Debug, Default)]
pub struct Count(AtomicU32);

impl Count {
    /// Enters one more unless there are `n_max`; whether it did.
    #[must_use]
    pub fn enter(&self, n_max: u32) -> bool {
        let fits = self.0.fetch_add(1, Ordering::Relaxed) < n_max;
        if !fits {
            self.leave();
        }
        fits
    }

    /// One of those that were entered is over.
    pub fn leave(&self) {
        let before = self.0.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "what was entered once is left once");
    }

    /// How many there are.
    #[must_use]
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Places that many share: nobody may have more than are still free.
///
/// So the first who takes all it can gets half, the second a quarter, and however many there are, some stay free for
/// whoever has none (the "dynamic threshold" by which switches share their buffers, Choudhury and Hahne 1998).
#[derive(Debug)]
pub struct Shares {
    n_max: u32,
    /// Also for those who could have more.
    n_each_max: u32,
    taken: Count,
}

impl Shares {
    /// `n_max` places in all, `n_each_max` for one.
    #[must_use]
    pub fn new(n_max: u32, n_each_max: u32) -> Self {
        Self { n_max, n_each_max, taken: Count::default() }
    }

    /// Takes a place for somebody who has `own`, and enters it there.
    #[must_use]
    pub fn take(&self, own: &Count) -> bool {
        let n_free = self.n_max.saturating_sub(self.taken.get());
        self.take_up_to(own, n_free.min(self.n_each_max))
    }

    /// The same for somebody who stands for many, and may have whatever is free.
    #[must_use]
    pub fn take_any(&self, own: &Count) -> bool {
        self.take_up_to(own, u32::MAX)
    }

    fn take_up_to(&self, own: &Count, n_own_max: u32) -> bool {
        if !own.enter(n_own_max) {
            return false;
        }
        let fits = self.taken.enter(self.n_max);
        if !fits {
            own.leave();
        }
        fits
    }

    /// Gives a place back.
    pub fn give_back(&self, own: &Count) {
        own.leave();
        self.taken.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_stops_at_its_bound() {
        let count = Count::default();
        assert!(count.enter(2) && count.enter(2) && !count.enter(2));
        count.leave();
        assert!(count.enter(2));
        assert_eq!(count.get(), 2);
    }

    fn takes_all(shares: &Shares, own: &Count) -> u32 {
        while shares.take(own) {}
        own.get()
    }

    #[test]
    fn however_many_take_all_they_can_some_are_left() {
        let shares = Shares::new(100, 1000);
        let greedy: Vec<Count> = (0..5).map(|_| Count::default()).collect();
        let got: Vec<u32> = greedy.iter().map(|own| takes_all(&shares, own)).collect();
        assert_eq!(got, [50, 25, 13, 6, 3]);
        assert!(shares.take(&Count::default()), "whoever has none gets one");
        for _ in 0..10 {
            shares.give_back(&greedy[0]);
        }
        assert_eq!(takes_all(&shares, &greedy[4]), 8);
    }

    #[test]
    fn one_has_no_more_than_its_own_bound_but_for_those_who_stand_for_many() {
        let shares = Shares::new(10, 2);
        assert_eq!(takes_all(&shares, &Count::default()), 2);
        let front = Count::default();
        assert_eq!((0..20).filter(|_| shares.take_any(&front)).count(), 8);
        assert!(!shares.take(&Count::default()), "all are taken");
        assert_eq!(front.get(), 8, "what was refused is not counted");
    }
}
