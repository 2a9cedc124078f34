//! Collections: named, owned trees of files, whose content is a manifest.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::records::JsonMap;
use crate::timestamp::Timestamp;
use crate::uuid::{CollectionUuid, UserUuid};

/// A collection as recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Collection {
    /// Its identifier; that of an old version is its own.
    pub uuid: CollectionUuid,
    /// The user or project it belongs to.
    pub owner_uuid: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Who changed it last.
    pub modified_by_user_uuid: UserUuid,
    /// What people call it; empty where it has no name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Free metadata.
    pub properties: JsonMap,
    /// The name of its content: MD5 and length of the bare manifest.
    pub portable_data_hash: String,
    /// The manifest, without permission hints.
    pub manifest_text: String,
    /// Copies that its owner wants of each block.
    pub replication_desired: Option<i64>,
    /// Copies that were seen.
    pub replication_confirmed: Option<i64>,
    /// When they were seen.
    pub replication_confirmed_at: Option<Timestamp>,
    /// Storage classes that its owner wants.
    pub storage_classes_desired: Vec<String>,
    /// Storage classes that were seen.
    pub storage_classes_confirmed: Vec<String>,
    /// When they were seen.
    pub storage_classes_confirmed_at: Option<Timestamp>,
    /// When it goes to the trash, or went there.
    pub trash_at: Option<Timestamp>,
    /// When it is deleted for good.
    pub delete_at: Option<Timestamp>,
    /// Whether it is in the trash.
    pub is_trashed: bool,
    /// Counts from 1.
    pub version: i64,
    /// The collection that an old version is of; its own identifier for a current one.
    pub current_version_uuid: CollectionUuid,
    /// Whether this version is kept when the next one comes.
    pub preserve_version: bool,
    /// Number of files.
    pub file_count: i64,
    /// Bytes of all files together.
    pub file_size_total: i64,
}

impl Collection {
    /// The first version of a collection without a name and without files.
    pub fn empty(uuid: CollectionUuid, owner_uuid: String, by: UserUuid, at: Timestamp) -> Self {
        Self {
            uuid,
            owner_uuid,
            created_at: at,
            modified_at: at,
            modified_by_user_uuid: by,
            name: String::new(),
            description: None,
            properties: JsonMap::new(),
            portable_data_hash: String::new(),
            manifest_text: String::new(),
            replication_desired: None,
            replication_confirmed: None,
            replication_confirmed_at: None,
            storage_classes_desired: vec!["default".to_owned()],
            storage_classes_confirmed: Vec::new(),
            storage_classes_confirmed_at: None,
            trash_at: None,
            delete_at: None,
            is_trashed: false,
            version: 1,
            current_version_uuid: uuid,
            preserve_version: false,
            file_count: 0,
            file_size_total: 0,
        }
    }

    /// Whether it is the newest version.
    pub fn is_current(&self) -> bool {
        self.uuid == self.current_version_uuid
    }

    /// Whether it is in the trash at `now`: a time that came since the record was written counts.
    pub fn is_trashed_at(&self, now: Timestamp) -> bool {
        self.is_trashed || self.trash_at.is_some_and(|at| at <= now)
    }

    /// Whether other things changed than where it is kept, and for how long.
    pub fn content_differs(&self, other: &Self) -> bool {
        self.portable_data_hash != other.portable_data_hash
            || self.name != other.name
            || self.description != other.description
            || self.properties != other.properties
    }
}

/// Which versions of collections are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionPolicy {
    /// Whether any are.
    pub is_enabled: bool,
    /// A version that nobody changed for so long is kept; quick changes one after another are one.
    pub idle: Duration,
}

impl VersionPolicy {
    /// Whether `before` is kept as an old version when it becomes `after` at `now`.
    pub fn keeps(&self, before: &Collection, after: &Collection, now: Timestamp) -> bool {
        if !self.is_enabled || before.is_trashed || !before.content_differs(after) {
            return false;
        }
        let idle = jiff::SignedDuration::try_from(self.idle).unwrap_or(jiff::SignedDuration::MAX);
        let age = now.as_jiff().duration_since(before.modified_at.as_jiff());
        before.preserve_version || after.preserve_version || age >= idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collection(name: &str, modified_at: &str) -> Collection {
        let at: Timestamp = modified_at.parse().unwrap();
        let uuid = CollectionUuid::parse("wharf-4zz18-000000000000000").unwrap();
        let by = UserUuid::parse("wharf-tpzed-000000000000000").unwrap();
        Collection { name: name.to_owned(), ..Collection::empty(uuid, String::new(), by, at) }
    }

    #[test]
    fn versions_are_kept_when_told_or_when_they_stood_for_a_while() {
        let policy = VersionPolicy { is_enabled: true, idle: Duration::from_secs(10) };
        let before = collection("a", "2026-01-01T00:00:00Z");
        let after = collection("b", "2026-01-01T00:00:00Z");
        let soon = "2026-01-01T00:00:09Z".parse().unwrap();
        let late = "2026-01-01T00:00:10Z".parse().unwrap();
        assert!(!policy.keeps(&before, &after, soon));
        assert!(policy.keeps(&before, &after, late));
        assert!(!policy.keeps(&before, &before, late));
        let kept = Collection { preserve_version: true, ..before.clone() };
        assert!(policy.keeps(&kept, &after, soon));
        assert!(policy.keeps(
            &before,
            &Collection { preserve_version: true, ..after.clone() },
            soon
        ));
        assert!(!policy.keeps(&Collection { is_trashed: true, ..kept }, &after, late));
        assert!(!VersionPolicy { is_enabled: false, ..policy }.keeps(&before, &after, late));
    }

    #[test]
    fn the_trash_takes_what_is_due() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut due = collection("a", "2026-01-01T00:00:00Z");
        due.trash_at = Some(at("2026-01-02T00:00:00Z"));
        assert!(!due.is_trashed_at(at("2026-01-01T23:59:59Z")));
        assert!(due.is_trashed_at(at("2026-01-02T00:00:00Z")));
    }
}
