//! Where words go: results to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// Writes a result; errs when the reader has gone, which ends the command quietly.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// As [`print`], with a line end.
pub(crate) fn print_line(text: &str) -> io::Result<()> {
    print(&format!("{text}\n"))
}

/// Prints a value as indented JSON.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_line(&serde_json::to_string_pretty(value)?)?;
    Ok(())
}

/// A remark for the person at the terminal. Lost without harm if stderr is closed.
pub(crate) fn remark(text: &str) {
    let _unheard = writeln!(io::stderr(), "{text}");
}

/// Columns of the terminal that stdout is; `None` when it is none, so that nothing is cut in pipes.
pub(crate) fn terminal_width(columns: Option<usize>) -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let asked = rustix::termios::tcgetwinsize(io::stdout()).map(|size| usize::from(size.ws_col));
    asked.ok().filter(|width| *width > 0).or(columns).or(Some(80))
}
