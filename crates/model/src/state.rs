//! The states of requests and containers, and which may follow which (Arvados 3.2).
//!
//! ```text
//! request:    Uncommitted ──► Committed ──► Final
//! container:  Queued ◄──► Locked ──► Running ──► Complete
//!               │           │           │            (Complete ──► Cancelled is not used here)
//!               └───────────┴───────────┴──► Cancelled
//! ```

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A state that is not one of the words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no state: expected one of {expected}")]
pub struct StateError {
    given: String,
    expected: &'static str,
}

/// How far a container request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub enum RequestState {
    /// A draft: everything may still change.
    #[default]
    Uncommitted,
    /// Wanted: a container is made for it.
    Committed,
    /// Over.
    Final,
}

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub enum ContainerState {
    /// Waits for a place.
    #[default]
    Queued,
    /// Taken by the dispatcher; being started.
    Locked,
    /// The program runs.
    Running,
    /// The program ended by itself.
    Complete,
    /// It was stopped, or could not be run.
    Cancelled,
}

macro_rules! words {
    ($type:ident, $expected:literal, $($variant:ident),*) => {
        impl $type {
            /// The word on the wire and in the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl FromStr for $type {
            type Err = StateError;
            fn from_str(text: &str) -> Result<Self, StateError> {
                match text {
                    $(stringify!($variant) => Ok(Self::$variant),)*
                    _ => Err(StateError { given: text.to_owned(), expected: $expected }),
                }
            }
        }
    };
}

words!(RequestState, "Uncommitted, Committed, Final", Uncommitted, Committed, Final);
words!(
    ContainerState,
    "Queued, Locked, Running, Complete, Cancelled",
    Queued,
    Locked,
    Running,
    Complete,
    Cancelled
);

impl RequestState {
    /// Whether a request in this state may become `next`; staying is always allowed.
    pub fn can_become(self, next: Self) -> bool {
        use RequestState::{Committed, Final, Uncommitted};
        self == next || matches!((self, next), (Uncommitted, Committed) | (Committed, Final))
    }
}

impl ContainerState {
    /// Whether a container in this state may become `next`; staying is always allowed.
    pub fn can_become(self, next: Self) -> bool {
        use ContainerState::{Cancelled, Complete, Locked, Queued, Running};
        self == next
            || matches!(
                (self, next),
                (Queued, Locked | Cancelled)
                    | (Locked, Queued | Running | Cancelled)
                    | (Running, Complete | Cancelled)
            )
    }

    /// Whether nothing more happens to it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Complete | Self::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_table_is_exactly_the_diagram() {
        use ContainerState::{Cancelled, Complete, Locked, Queued, Running};
        let all = [Queued, Locked, Running, Complete, Cancelled];
        let legal: Vec<_> = all
            .iter()
            .flat_map(|from| all.iter().map(move |to| (*from, *to)))
            .filter(|(from, to)| from != to && from.can_become(*to))
            .collect();
        assert_eq!(
            legal,
            [
                (Queued, Locked),
                (Queued, Cancelled),
                (Locked, Queued),
                (Locked, Running),
                (Locked, Cancelled),
                (Running, Complete),
                (Running, Cancelled)
            ]
        );
    }

    #[test]
    fn words_are_read_back() {
        for state in ["Queued", "Locked", "Running", "Complete", "Cancelled"] {
            assert_eq!(state.parse::<ContainerState>().unwrap().as_str(), state);
        }
        assert!("queued".parse::<ContainerState>().is_err());
    }
}
