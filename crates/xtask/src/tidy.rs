//! `cargo xtask tidy`: house rules that neither the compiler nor clippy knows.

use std::path::Path;

use anyhow::{Result, bail};

use crate::commands::{command, output_of, root};
use crate::layers;

/// From here a file is listed, so that someone asks which second noun moved in.
const LINES_LISTED: usize = 500;
/// From here it needs a line in `long-files.txt` with the reason why it stays whole.
const LINES_MAX: usize = 800;
/// `PATH: reason`, one a line.
const LONG_FILES: &str = "crates/xtask/long-files.txt";
/// A crate opens with what it is for, what it leaves to others and where to start reading.
const CRATE_DOC_LINES_MIN: usize = 3;

/// Words that no file may hold, each with what is wrong with it. Split, or this file would not
/// pass.
const BANNED: [(&str, &str); 8] = [
    (concat!("to", "do!("), "unfinished code does not ship: refuse with a clear error"),
    (concat!("unimple", "mented!("), "unfinished code does not ship: refuse with a clear error"),
    (concat!("/wo", "rk/main"), "a path of one machine"),
    (concat!("/wo", "rk/shared"), "a path of one machine"),
    (concat!("/wo", "rk/brief"), "a path of one machine"),
    (concat!("/home", "/me/"), "a path of one machine"),
    (concat!("index.cra", "tes.io"), "a registry's host: use packages by name"),
    (concat!("registry.", "npmjs.org"), "a registry's host: use packages by name"),
];

pub(crate) fn run() -> Result<()> {
    let mut problems = layers::problems()?;
    let reasons = std::fs::read_to_string(root().join(LONG_FILES)).unwrap_or_default();
    let listed = output_of(&mut command(
        "git",
        &["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    ))?;
    let mut n_files = 0_usize;
    for path in listed.split('\0').filter(|path| !path.is_empty() && *path != "Cargo.lock") {
        // A file that is listed and gone is being moved right now; a binary one has no lines.
        let Ok(text) = std::fs::read_to_string(root().join(path)) else { continue };
        n_files += 1;
        problems.extend(banned_words(path, &text));
        problems.extend(crate_doc(path, &text));
        problems.extend(length(path, &text, &reasons));
    }
    if problems.is_empty() {
        println!("tidy: {n_files} files in order");
        return Ok(());
    }
    bail!("tidy found {} problems:\n  {}", problems.len(), problems.join("\n  "))
}

fn banned_words(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (word, why) in BANNED {
            if line.contains(word) {
                found.push(format!("{path}:{}: holds {word:?}: {why}", number + 1));
            }
        }
    }
    found
}

/// The opening file of each crate begins with its documentation.
fn crate_doc(path: &str, text: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    let ["crates", _, "src", "lib.rs" | "main.rs"] = parts.as_slice() else { return None };
    let library = Path::new(path).with_file_name("lib.rs");
    if path.ends_with("main.rs") && root().join(library).exists() {
        return None;
    }
    let lines = text.lines().take_while(|line| line.starts_with("//!")).count();
    (lines < CRATE_DOC_LINES_MIN).then(|| {
        format!("{path}: a crate opens with a doc (//!) of what it is for, what it leaves to others, where to start")
    })
}

fn length(path: &str, text: &str, reasons: &str) -> Option<String> {
    let is_source = Path::new(path).extension().is_some_and(|end| {
        ["rs", "mjs", "js", "py", "sh", "css"].iter().any(|known| end == *known)
    });
    let lines = text.lines().count();
    if !is_source || lines <= LINES_LISTED {
        return None;
    }
    println!("tidy: {path} has {lines} lines: what second noun moved in?");
    let excused = reasons.lines().any(|line| {
        line.split_once(':').is_some_and(|(file, why)| file == path && !why.trim().is_empty())
    });
    (lines > LINES_MAX && !excused)
        .then(|| format!("{path}: {lines} lines; split it, or say in {LONG_FILES} why it stays"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_needs_a_reason() {
        let long = "x\n".repeat(LINES_MAX + 1);
        assert!(length("a.rs", &long, "").is_some());
        assert!(length("a.rs", &long, "a.rs: a table").is_none());
        assert!(length("a.rs", &long, "a.rs:").is_some());
        assert!(length("a.md", &long, "").is_none());
    }

    #[test]
    fn unfinished_code_is_found_with_its_line() {
        let found = banned_words("a.rs", concat!("fn a() {\n  to", "do!()\n}"));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("a.rs:2:"), "{found:?}");
    }

    #[test]
    fn a_crate_without_a_doc_is_named() {
        assert!(crate_doc("crates/none/src/lib.rs", "mod a;").is_some());
        assert!(crate_doc("crates/none/src/lib.rs", "//! a\n//! b\n//! c\n").is_none());
        assert!(crate_doc("crates/none/src/other.rs", "mod a;").is_none());
    }
}
