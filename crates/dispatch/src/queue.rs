//! Why containers wait, in words, for the API and the start page.

use std::collections::BTreeMap;

use model::ContainerUuid;

use crate::reconcile::Waiting;

/// The queue after the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueReport {
    entries: BTreeMap<ContainerUuid, QueueEntry>,
}

/// One waiting container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    /// 1 for the next to start.
    pub place: usize,
    /// Why it waits, in words for its owner.
    pub reason: String,
}

impl QueueReport {
    /// In the order of the plan.
    pub fn from_plan(waiting: &[Waiting]) -> Self {
        let entry = |(index, one): (usize, &Waiting)| {
            (one.uuid, QueueEntry { place: index + 1, reason: one.reason.clone() })
        };
        Self { entries: waiting.iter().enumerate().map(entry).collect() }
    }

    /// `None` if it does not wait.
    pub fn get(&self, container: ContainerUuid) -> Option<&QueueEntry> {
        self.entries.get(&container)
    }

    /// All, by identifier.
    pub fn iter(&self) -> impl Iterator<Item = (ContainerUuid, &QueueEntry)> {
        self.entries.iter().map(|(uuid, entry)| (*uuid, entry))
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if nobody waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
