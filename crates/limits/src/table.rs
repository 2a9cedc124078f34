//! One entry for each key, forgotten when a new one would say the same.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::tick::Tick;

/// Entries below which no sweep is worth it.
const SWEEP_MIN: usize = 1024;
/// A table that is full of what is in use is looked through this often at most.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// What can be forgotten.
pub trait Forget {
    /// Whether it says nothing that a new one would not say.
    fn is_idle(&self, now: Tick) -> bool;
}

/// Entries by key, at most so many. Those that somebody holds, or that are not idle, stay.
///
/// Where all places are taken by such, new keys share one entry: whoever comes under a key of its own each time, in
/// such numbers, has one share together.
#[derive(Debug)]
pub struct Table<K, V> {
    entries: Mutex<Entries<K, V>>,
    n_max: usize,
    shared: Arc<V>,
}

#[derive(Debug)]
struct Entries<K, V> {
    by_key: HashMap<K, Arc<V>>,
    /// How many there may be before idle ones are looked for.
    sweep_at: usize,
    swept: Tick,
}

impl<K: Eq + Hash, V: Forget + Default> Table<K, V> {
    /// An empty one.
    #[must_use]
    pub fn new(n_max: usize) -> Self {
        let sweep_at = SWEEP_MIN.min(n_max);
        let entries = Entries { by_key: HashMap::new(), sweep_at, swept: Tick::default() };
        Self { entries: Mutex::new(entries), n_max, shared: Arc::new(V::default()) }
    }

    /// The entry of a key.
    pub fn get(&self, key: K, now: Tick) -> Arc<V> {
        let mut entries = self.lock();
        if let Some(found) = entries.by_key.get(&key) {
            return Arc::clone(found);
        }
        if entries.by_key.len() >= entries.sweep_at && !entries.makes_room(self.n_max, now) {
            return Arc::clone(&self.shared);
        }
        Arc::clone(entries.by_key.entry(key).or_default())
    }

    /// A poisoned lock is taken as is: no step above leaves the map half changed.
    fn lock(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V: Forget> Entries<K, V> {
    /// Forgets what is idle; the cost is spread over as many new ones. Whether one more fits.
    fn makes_room(&mut self, n_max: usize, now: Tick) -> bool {
        let is_full = self.by_key.len() >= n_max;
        if is_full && now.since(self.swept) < SWEEP_PAUSE && self.swept != Tick::default() {
            return false;
        }
        self.swept = now;
        self.by_key.retain(|_key, entry| Arc::strong_count(entry) > 1 || !entry.is_idle(now));
        self.sweep_at = (2 * self.by_key.len()).max(SWEEP_MIN).min(n_max);
        self.by_key.len() < n_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::{Bucket, Rate};

    impl Forget for Bucket {
        fn is_idle(&self, now: Tick) -> bool {
            self.is_full(now)
        }
    }

    const RATE: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Tick {
        Tick::after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_key_has_one_entry_while_it_is_held_or_says_something() {
        let table = Table::<u32, Bucket>::new(SWEEP_MIN);
        let held = table.get(1, at(1));
        let rate = Rate::per_second(1, RATE);
        assert!(table.get(2, at(1)).take(rate, at(1)).is_ok());
        for key in 10..5000 {
            table.get(key, at(1));
        }
        assert!(Arc::ptr_eq(&table.get(1, at(1)), &held));
        assert!(table.get(2, at(1)).take(rate, at(1)).is_err(), "its token is still gone");
        assert!(table.lock().by_key.len() <= SWEEP_MIN);
    }

    #[test]
    fn a_table_that_is_full_gives_one_entry_to_all_who_are_new() {
        let table = Table::<u32, Bucket>::new(100);
        let held: Vec<_> = (0..100).map(|key| table.get(key, at(1))).collect();
        assert!(Arc::ptr_eq(&table.get(1000, at(1)), &table.get(1001, at(1))));
        assert!(Arc::ptr_eq(&table.get(5, at(1)), &held[5]));
        drop(held);
        let own = table.get(1000, at(3));
        assert!(!Arc::ptr_eq(&own, &table.get(1001, at(3))), "there is room again");
    }
}
