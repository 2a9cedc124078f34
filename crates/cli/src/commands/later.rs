//! Commands that are promised and not there yet: refused in words, never half done.

use crate::failure::UsageError;

/// What does something like it today.
pub(crate) enum Instead {
    /// This command.
    Try(&'static str),
    /// Nothing yet.
    Nothing,
}

/// Always errs.
#[expect(clippy::needless_pass_by_value, reason = "a small enum, passed as it is written")]
pub(crate) fn refuse(command: &str, instead: Instead) -> anyhow::Result<()> {
    let hint = match instead {
        Instead::Try(other) => format!("; `{other}` may do what you need"),
        Instead::Nothing => String::new(),
    };
    Err(UsageError(format!("`wharf {command}` is not available yet in this version{hint}")).into())
}
