//! Groups: projects, which hold records; roles, which people have; filter groups, which are saved searches.

use serde::{Deserialize, Serialize};

use crate::records::JsonMap;
use crate::timestamp::Timestamp;
use crate::uuid::{ClusterId, GroupUuid, UserUuid};

/// What a group is for; fixed when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupClass {
    /// Owns records, and shares them.
    Project,
    /// Gives what it may to whoever has it.
    Role,
    /// Shows what its filters match.
    Filter,
}

impl GroupClass {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Role => "role",
            Self::Filter => "filter",
        }
    }

    /// The class with this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Project, Self::Role, Self::Filter].into_iter().find(|class| class.as_str() == word)
    }
}

/// A group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its identifier.
    pub uuid: GroupUuid,
    /// The user or project it belongs to; the system user for roles.
    pub owner_uuid: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Who changed it last.
    pub modified_by_user_uuid: UserUuid,
    /// Unique among the owner's groups that are not trashed.
    pub name: String,
    /// What it is for.
    pub group_class: GroupClass,
    /// Free text.
    pub description: Option<String>,
    /// Free metadata; `filters` of a filter group says what it shows.
    pub properties: JsonMap,
    /// When it and all in it goes out of sight; null means never.
    pub trash_at: Option<Timestamp>,
    /// When it may be deleted for good.
    pub delete_at: Option<Timestamp>,
    /// Whether `trash_at` was reached, as of the last change.
    pub is_trashed: bool,
    /// Who froze it: nothing in it can be changed until it is thawed.
    pub frozen_by_uuid: Option<UserUuid>,
}

impl Group {
    /// Whether it is out of sight at this time.
    pub fn is_trashed_at(&self, now: Timestamp) -> bool {
        self.trash_at.is_some_and(|at| at <= now)
    }

    /// Takes it out of sight, to be deleted for good at `delete_at`.
    pub fn trash(&mut self, now: Timestamp, delete_at: Timestamp) {
        (self.trash_at, self.delete_at, self.is_trashed) = (Some(now), Some(delete_at), true);
    }

    /// Brings it back.
    pub fn untrash(&mut self) {
        (self.trash_at, self.delete_at, self.is_trashed) = (None, None, false);
    }
}

/// The groups that every cluster has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WellKnownGroup {
    /// Everybody with an account has this role.
    AllUsers,
    /// Everybody at all has this role: what it may read is public.
    Anonymous,
    /// Owns what belongs to nobody in particular.
    System,
    /// A project with links to what everybody should find.
    PublicFavorites,
}

impl WellKnownGroup {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::AllUsers, Self::Anonymous, Self::System, Self::PublicFavorites];

    fn last_part(self) -> &'static str {
        match self {
            Self::AllUsers => "fffffffffffffff",
            Self::Anonymous => "anonymouspublic",
            Self::System => "000000000000000",
            Self::PublicFavorites => "publicfavorites",
        }
    }

    /// Its identifier in this cluster.
    pub fn uuid(self, cluster: &ClusterId) -> GroupUuid {
        GroupUuid::well_known(cluster, self.last_part()).expect("fifteen digits of base 36")
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AllUsers => "All users",
            Self::Anonymous => "Anonymous users",
            Self::System => "System group",
            Self::PublicFavorites => "Public favorites",
        }
    }

    /// What it is for.
    pub fn class(self) -> GroupClass {
        match self {
            Self::AllUsers | Self::Anonymous | Self::System => GroupClass::Role,
            Self::PublicFavorites => GroupClass::Project,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_groups_have_arvados_s_identifiers() {
        let uuids = WellKnownGroup::ALL.map(|group| group.uuid(&ClusterId::default()).to_string());
        assert_eq!(uuids[0], "wharf-j7d0g-fffffffffffffff");
        assert_eq!(uuids[1], "wharf-j7d0g-anonymouspublic");
    }

    #[test]
    fn classes_are_read_as_written() {
        for word in ["project", "role", "filter"] {
            assert_eq!(GroupClass::parse(word).map(GroupClass::as_str), Some(word));
        }
        assert_eq!(GroupClass::parse("Project"), None);
    }
}
