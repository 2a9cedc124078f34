//! How a failure looks: one line on stderr that says what to do, and an exit code.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

/// The caller's mistake that only shows once the API was asked; exit code 2 as for wrong flags.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for UsageError {}

/// As [`fail`], for a command whose work is its output: a reader of that who went away (`wharf ps | head -1`) is no
/// error.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) { ExitCode::SUCCESS } else { fail(error) }
}

/// Prints an error as one line (problems of a config file: one line each) and gives its exit code.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    let words = describe(error.as_ref());
    let words = if error.is::<config::ConfigError>() { words } else { one_line(&words) };
    let line = format!("wharf: {words}\n");
    // Nothing is left to do if even stderr is closed.
    let _unheard = std::io::stderr().write_all(line.as_bytes());
    if error.is::<UsageError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// The error, and in parentheses what caused it, without saying anything twice.
fn describe(error: &(dyn Error + 'static)) -> String {
    let top = error.to_string();
    let mut causes: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        let said = top.contains(&text) || causes.iter().any(|cause| cause.contains(&text));
        if !said {
            causes.push(text);
        }
        next = cause.source();
    }
    if causes.is_empty() { top } else { format!("{top} ({})", causes.join(": ")) }
}

/// Texts of others may have line ends, and control characters that would rewrite the terminal.
fn one_line(words: &str) -> String {
    let words: Vec<&str> = words.split_whitespace().collect();
    crate::table::printable(&words.join(" "))
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    kind == Some(std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn causes_follow_in_parentheses_and_are_said_once() {
        let error = anyhow!("no such file").context("cannot read x").context("cannot run");
        assert_eq!(describe(error.as_ref()), "cannot run (cannot read x: no such file)");
        let error = anyhow!("refused").context("refused by the server");
        assert_eq!(describe(error.as_ref()), "refused by the server");
    }
}
