//! What one may do with a record: the levels of Arvados's permission model.
//!
//! Owning is [`Level::Manage`]; a link of class `permission` gives the level that its name says, from its tail (a user
//! or a role) to its head. Along a path the least level counts, over several paths the greatest.

use serde::{Deserialize, Serialize};

/// The link class that gives permissions.
pub const PERMISSION_CLASS: &str = "permission";
/// A name of such links that is about machines' log-ins and gives nothing here.
pub const CAN_LOGIN: &str = "can_login";

/// How much one may do; the greater includes the lesser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// See the record.
    #[serde(rename = "can_read")]
    Read = 1,
    /// Change and delete it, and give it another owner.
    #[serde(rename = "can_write")]
    Write = 2,
    /// Also say who else may do what.
    #[serde(rename = "can_manage")]
    Manage = 3,
}

impl Level {
    /// The level that a permission link with this name gives.
    pub fn of_link_name(name: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Manage].into_iter().find(|level| level.as_str() == name)
    }

    /// The name of a link that gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "can_read",
            Self::Write => "can_write",
            Self::Manage => "can_manage",
        }
    }

    /// 1, 2 or 3, as the database counts.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The level with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Read, Self::Write, Self::Manage].into_iter().find(|level| level.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_s_name_says_its_level() {
        for level in [Level::Read, Level::Write, Level::Manage] {
            assert_eq!(Level::of_link_name(level.as_str()), Some(level));
            assert_eq!(Level::from_number(level.number()), Some(level));
        }
        assert_eq!((Level::of_link_name(CAN_LOGIN), Level::from_number(0)), (None, None));
        assert!(Level::Read < Level::Write && Level::Write < Level::Manage);
    }
}
