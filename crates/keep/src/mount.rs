//! A volume as a site uses it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::volume::Volume;

/// The class that blocks are of where nobody says another.
pub(crate) const DEFAULT_CLASS: &str = "default";

/// How long a volume that failed is asked last, and not first: each try may cost a deadline. Doubled with
/// every failure after that time is over.
const AVOIDED_FOR: Duration = Duration::from_secs(10);
/// The longest that it is.
const AVOIDED_FOR_MAX: Duration = Duration::from_secs(320);

/// A volume, and what what is on it is worth.
#[derive(Debug, Clone)]
pub struct Mount {
    /// Its name in the config.
    pub name: String,
    /// Where the blocks are.
    pub volume: Arc<dyn Volume>,
    /// The storage classes of what is on it.
    pub storage_classes: Vec<String>,
    /// How many copies a block on it counts as.
    pub replication: u32,
    /// Whether nothing may be written or swept.
    pub read_only: bool,
    trouble: Arc<Mutex<Option<Trouble>>>,
}

/// When it failed last, and for how long it is avoided since.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    at: Instant,
    avoided_for: Duration,
}

impl Mount {
    /// A volume that can be written to, of the class `default`, on which a block counts as one copy.
    pub fn new(name: impl Into<String>, volume: Arc<dyn Volume>) -> Self {
        Self {
            name: name.into(),
            volume,
            storage_classes: vec![DEFAULT_CLASS.to_owned()],
            replication: 1,
            read_only: false,
            trouble: Arc::default(),
        }
    }

    pub(crate) fn has_class(&self, class: &str) -> bool {
        self.storage_classes.iter().any(|own| own == class)
    }

    /// Remembers that it failed just now.
    pub(crate) fn note_trouble(&self) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let avoided_for = match *trouble {
            None => AVOIDED_FOR,
            Some(last) if last.at.elapsed() < last.avoided_for => last.avoided_for,
            Some(last) => (2 * last.avoided_for).min(AVOIDED_FOR_MAX),
        };
        *trouble = Some(Trouble { at: Instant::now(), avoided_for });
    }

    /// Forgets that it failed: it took a block.
    pub(crate) fn note_success(&self) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether it failed a moment ago.
    pub(crate) fn is_troubled(&self) -> bool {
        let trouble = *self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.is_some_and(|it| it.at.elapsed() < it.avoided_for)
    }
}
