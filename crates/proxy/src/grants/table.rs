//! Grants by key, by the records they rest on, and by age.
//!
//! Bounded without a look at each: entries live in two halves, and what was not asked for while the younger half
//! filled up goes with the older one.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Weak};

use super::Grant;
use super::key::{GrantKey, KeyHasher};

type ByKey = HashMap<GrantKey, Arc<Grant>, BuildHasherDefault<KeyHasher>>;

#[derive(Debug)]
pub(super) struct Table {
    young: ByKey,
    old: ByKey,
    n_max: usize,
    /// Everybody who must hear of a change, found or not.
    by_record: HashMap<String, Vec<Weak<Grant>>>,
    /// Everybody whose credential ends, by second.
    by_expiry: BTreeMap<u64, Vec<Weak<Grant>>>,
    /// Entries of both after the last sweep, and now.
    n_kept: usize,
    n_watched: usize,
    version: u64,
}

/// Entries of the index below which no sweep is worth it.
const SWEEP_MIN: usize = 1024;

impl Table {
    pub(super) fn new(n_max: usize) -> Self {
        Self {
            young: ByKey::default(),
            old: ByKey::default(),
            n_max,
            by_record: HashMap::new(),
            by_expiry: BTreeMap::new(),
            n_kept: 0,
            n_watched: 0,
            version: 0,
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn find(&mut self, key: &GrantKey) -> Option<Arc<Grant>> {
        if let Some(grant) = self.young.get(key) {
            return Some(Arc::clone(grant));
        }
        let grant = self.old.remove(key)?;
        self.insert(Arc::clone(&grant));
        Some(grant)
    }

    pub(super) fn insert(&mut self, grant: Arc<Grant>) {
        if self.young.len() >= self.n_max.div_ceil(2) {
            self.old = std::mem::take(&mut self.young);
        }
        if let Some(key) = grant.key {
            self.young.insert(key, grant);
        }
    }

    fn remove(&mut self, grant: &Arc<Grant>) {
        let Some(key) = &grant.key else { return };
        for half in [&mut self.young, &mut self.old] {
            if half.get(key).is_some_and(|found| Arc::ptr_eq(found, grant)) {
                half.remove(key);
            }
        }
    }

    /// From now on a change of its records finds it, for as long as anybody has it.
    pub(super) fn watch(&mut self, grant: &Arc<Grant>) {
        for record in grant.records() {
            let watched = match self.by_record.get_mut(record) {
                Some(watched) => watched,
                None => self.by_record.entry(record.to_owned()).or_default(),
            };
            watched.push(Arc::downgrade(grant));
            self.n_watched += 1;
        }
        if let Some(end) = grant.expires_at_s {
            self.by_expiry.entry(end).or_default().push(Arc::downgrade(grant));
            self.n_watched += 1;
        }
        if self.n_watched > SWEEP_MIN.max(2 * self.n_kept) {
            self.sweep();
        }
    }

    /// The same for records that it did not rest on when it was made.
    pub(super) fn watch_also(&mut self, grant: &Arc<Grant>, records: &[String]) {
        for record in records {
            if grant.records().any(|known| known == record) {
                continue;
            }
            let watched = self.by_record.entry(record.clone()).or_default();
            if watched.iter().all(|known| !std::ptr::eq(known.as_ptr(), Arc::as_ptr(grant))) {
                watched.push(Arc::downgrade(grant));
                self.n_watched += 1;
            }
        }
    }

    /// Forgets those whom nobody has any more; amortised over as many new ones.
    fn sweep(&mut self) {
        let keep = |watched: &mut Vec<Weak<Grant>>| {
            watched.retain(|grant| grant.strong_count() > 0);
            !watched.is_empty()
        };
        self.by_record.retain(|_record, watched| keep(watched));
        self.by_expiry.retain(|_end, watched| keep(watched));
        let (records, ends) = (self.by_record.values(), self.by_expiry.values());
        self.n_watched = records.chain(ends).map(Vec::len).sum();
        self.n_kept = self.n_watched;
    }

    /// The grants that rest on a record; none of them can be found any more.
    pub(super) fn take_concerned(&mut self, record: &str) -> Vec<Arc<Grant>> {
        self.version += 1;
        let Some(watched) = self.by_record.get(record) else { return Vec::new() };
        let concerned = living(watched);
        for grant in &concerned {
            self.remove(grant);
        }
        concerned
    }

    /// All grants; none of them can be found any more.
    pub(super) fn take_all(&mut self) -> Vec<Arc<Grant>> {
        self.version += 1;
        self.young.clear();
        self.old.clear();
        let watched = self.by_record.values();
        let mut all: Vec<Arc<Grant>> = watched.flat_map(|watched| living(watched)).collect();
        all.sort_by_key(|grant| Arc::as_ptr(grant) as usize);
        all.dedup_by(|one, other| Arc::ptr_eq(one, other));
        all
    }

    /// Grants whose credential has ended, wherever they are.
    pub(super) fn take_expired(&mut self, now_s: u64) -> Vec<Arc<Grant>> {
        let later = self.by_expiry.split_off(&now_s.saturating_add(1));
        let expired = std::mem::replace(&mut self.by_expiry, later);
        self.n_watched -= expired.values().map(Vec::len).sum::<usize>();
        let expired: Vec<Arc<Grant>> =
            expired.values().flat_map(|watched| living(watched)).collect();
        for grant in &expired {
            self.remove(grant);
        }
        expired
    }
}

fn living(watched: &[Weak<Grant>]) -> Vec<Arc<Grant>> {
    watched.iter().filter_map(Weak::upgrade).collect()
}
