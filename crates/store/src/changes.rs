//! Change events: sent after commit, to everybody who listens in this process. `feed` brings those of other processes.
//!
//! A hint to look again, never the data itself: a listener that falls behind is told that
//! everything may have changed, and loses nothing by it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast;

/// Changes a slow listener may be behind before it is told to look at everything. A start of a
/// service makes about five.
const BACKLOG: usize = 1024;

/// The kind of record that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// A container request.
    Request,
    /// A container.
    Container,
    /// A link.
    Link,
    /// A user.
    User,
    /// An API token.
    Token,
    /// A project, role or filter group.
    Group,
    /// A collection.
    Collection,
    /// A registered workflow.
    Workflow,
    /// An invitation, or the session of one who was invited.
    Invitation,
    /// That a machine takes new containers, or takes none.
    Node,
    /// A log entry that a user wrote; those about changes come with the changes themselves.
    Log,
}

impl ChangeKind {
    /// The word on the event stream.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "container_request",
            Self::Container => "container",
            Self::Link => "link",
            Self::User => "user",
            Self::Token => "token",
            Self::Group => "group",
            Self::Collection => "collection",
            Self::Workflow => "workflow",
            Self::Invitation => "invitation",
            Self::Node => "node",
            Self::Log => "log",
        }
    }

    /// The kind with this word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let known = [
            Self::Request,
            Self::Container,
            Self::Link,
            Self::User,
            Self::Token,
            Self::Group,
            Self::Collection,
            Self::Workflow,
            Self::Log,
            Self::Invitation,
            Self::Node,
        ];
        known.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One record was created, changed or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What kind of record.
    pub kind: ChangeKind,
    /// Its identifier.
    pub uuid: String,
    /// Rises with each change in this process; starts at 1.
    pub seq: u64,
    /// The users, projects and roles that it belongs or belonged to. Who may know of it is asked when it is told
    /// ([`crate::Store::may_hear`]): who may read a project's records changes by itself.
    pub owners: Arc<[String]>,
}

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// This record changed.
    Changed(Change),
    /// Changes were missed: look at everything.
    Everything,
}

/// A listener. Cancel-safe: dropping [`Changes::next`] loses nothing.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<Notice>);

impl Changes {
    /// Waits for the next change; `None` once the store is gone.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.0.recv().await {
            Ok(notice) => Some(notice),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Notice::Everything),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// A change that waits for its transaction to be committed.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) kind: ChangeKind,
    pub(crate) uuid: String,
    pub(crate) owners: Vec<String>,
}

/// Each record once, with all its owners in order.
pub(crate) fn merged(pending: Vec<Pending>) -> Vec<Pending> {
    let mut merged: Vec<Pending> = Vec::with_capacity(pending.len());
    let mut places = HashMap::with_capacity(pending.len());
    for change in pending {
        match places.entry((change.kind, change.uuid.clone())) {
            Entry::Occupied(place) => {
                let known: &mut Pending = &mut merged[*place.get()];
                known.owners.extend(change.owners);
            }
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(change);
            }
        }
    }
    for change in &mut merged {
        change.owners.sort_unstable();
        change.owners.dedup();
    }
    merged
}

/// The sending side.
#[derive(Debug)]
pub(crate) struct Announcer {
    sender: broadcast::Sender<Notice>,
    last_seq: AtomicU64,
}

impl Announcer {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG), last_seq: AtomicU64::new(0) }
    }

    pub(crate) fn listen(&self) -> Changes {
        Changes(self.sender.subscribe())
    }

    /// Sends what a committed transaction changed.
    pub(crate) fn announce(&self, changes: Vec<Pending>) {
        for Pending { kind, uuid, owners } in changes {
            let seq = self.last_seq.fetch_add(1, Ordering::Relaxed) + 1;
            self.send(Notice::Changed(Change { kind, uuid, seq, owners: owners.into() }));
        }
    }

    /// Tells that changes were missed.
    pub(crate) fn announce_everything(&self) {
        self.send(Notice::Everything);
    }

    fn send(&self, notice: Notice) {
        // Nobody listening is no error.
        let _heard = self.sender.send(notice);
    }
}
