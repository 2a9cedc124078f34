//! Finds expressions in text, in one pass: brackets are counted, quotes and escapes known.

use std::borrow::Cow;

use crate::error::{Result, fail};

/// A part of a field's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'t> {
    /// Text, its escapes taken out.
    Text(Cow<'t, str>),
    /// What is in `$(…)`.
    Parenthesis(&'t str),
    /// What is in `${…}`.
    Body(&'t str),
}

/// Cuts text into its parts. Outside of expressions `\\` is a backslash, `\$(` and `\${` are no expressions,
/// and every other backslash stays as it is.
pub fn scan(text: &str) -> Result<Vec<Piece<'_>>> {
    let bytes = text.as_bytes();
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(b"\\\\") || rest.starts_with(b"\\$(") || rest.starts_with(b"\\${") {
            plain.push_str(&text[copied..at]);
            // The escaped character itself is copied with what follows; a `$` must not start an expression.
            plain.push(char::from(bytes[at + 1]));
            at += 2;
            copied = at;
        } else if rest.starts_with(b"$(") || rest.starts_with(b"${") {
            plain.push_str(&text[copied..at]);
            if !plain.is_empty() {
                pieces.push(Piece::Text(Cow::Owned(std::mem::take(&mut plain))));
            }
            let end = closing(text, at + 1)?;
            let inner = &text[at + 2..end];
            pieces.push(if bytes[at + 1] == b'(' {
                Piece::Parenthesis(inner)
            } else {
                Piece::Body(inner)
            });
            at = end + 1;
            copied = at;
        } else {
            at += 1;
        }
    }
    plain.push_str(&text[copied..]);
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(Cow::Owned(plain)));
    }
    Ok(pieces)
}

/// Where the bracket at `open` is closed.
fn closing(text: &str, open: usize) -> Result<usize> {
    let bytes = text.as_bytes();
    let (opening, closing) = if bytes[open] == b'(' { (b'(', b')') } else { (b'{', b'}') };
    let mut depth = 0_usize;
    let mut at = open;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => at = quote_end(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n);
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let end = bytes[at + 2..].windows(2).position(|two| two == b"*/");
                at = end.map_or(bytes.len(), |n| at + 3 + n);
            }
            byte if byte == opening => depth += 1,
            byte if byte == closing => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    let shown: String = text[open - 1..].chars().take(60).collect();
    fail!("an expression is not closed: {shown:?} needs a `{}`", char::from(closing));
}

/// Where a quoted text ends that begins at `open`; the end of all where it does not.
fn quote_end(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            byte if byte == bytes[open] => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
