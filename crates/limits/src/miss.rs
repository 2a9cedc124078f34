//! A mark on an answer.

/// Put among an answer's extensions by whoever was shown a credential that is none, or asked for a name that is none:
/// whoever knows the client's address counts it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Miss;
