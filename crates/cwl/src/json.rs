//! JSON text to values and back, without a digit lost.

use std::fmt::Write as _;

use crate::number::Number;
use crate::value::{Object, Value};

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 128;

/// Text that is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {at}: {problem}")]
pub struct JsonError {
    /// Where, in bytes from the start.
    pub at: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

/// Reads one JSON value.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip_blanks();
    if reader.at == text.len() { Ok(value) } else { Err(reader.error("more after the value")) }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn error(&self, problem: &'static str) -> JsonError {
        JsonError { at: self.at, problem }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > DEPTH_MAX {
            return Err(self.error("nested too deeply"));
        }
        self.skip_blanks();
        let words = [("null", Value::Null), ("true", true.into()), ("false", false.into())];
        for (word, value) in words {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.error("a value is missing")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(items.into());
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Ok(items.into());
            }
            if !self.take(b',') {
                return Err(self.error("a comma or ] is missing"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut entries = Object::new();
        if self.take(b'}') {
            return Ok(Value::Object(entries));
        }
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return Err(self.error("a key is missing"));
            }
            let key = self.string()?;
            if !self.take(b':') {
                return Err(self.error("a colon is missing"));
            }
            entries.insert(key, self.value(depth + 1)?);
            if self.take(b'}') {
                return Ok(Value::Object(entries));
            }
            if !self.take(b',') {
                return Err(self.error("a comma or } is missing"));
            }
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let rest = &self.text[self.at..];
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let number = Number::parse(&rest[..length]).ok_or_else(|| self.error("a bad number"))?;
        self.at += length;
        Ok(Value::Number(number))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at..];
            let length = rest.find(['"', '\\']).ok_or_else(|| self.error("an open string"))?;
            text.push_str(&rest[..length]);
            self.at += length + 1;
            if rest.as_bytes()[length] == b'"' {
                return Ok(text);
            }
            text.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let byte = self.peek().ok_or_else(|| self.error("an open string"))?;
        self.at += 1;
        Ok(match byte {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'"' | b'\\' | b'/' => char::from(byte),
            b'u' => return self.unicode(),
            _ => return Err(self.error("an unknown escape")),
        })
    }

    /// Behind `\u`: one unit, or two that make one character. A half alone becomes U+FFFD.
    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.unit()?;
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            let second = self.unit()?;
            if (0xdc00..0xe000).contains(&second) {
                let both = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(both).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn unit(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| !d.starts_with('+'));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.error("a bad \\u escape"))?;
        self.at += 4;
        Ok(unit)
    }
}

/// How JSON is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// On one line without blanks.
    Compact,
    /// On one line, keys sorted, a blank behind `,` and `:`: what text in the place of an object
    /// is.
    Sorted,
    /// On many lines, four blanks deep.
    Indented,
}

/// Writes a value.
pub fn write(value: &Value, layout: Layout) -> String {
    let mut text = String::new();
    write_value(value, layout, 0, &mut text);
    text
}

fn write_value(value: &Value, layout: Layout, depth: usize, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => out.push_str(number.as_str()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            let items = items.iter().map(|item| (None, item));
            write_list(['[', ']'], items, layout, depth, out);
        }
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().map(|(key, item)| (Some(key), item)).collect();
            if layout == Layout::Sorted {
                entries.sort_by_key(|(key, _)| *key);
            }
            write_list(['{', '}'], entries.into_iter(), layout, depth, out);
        }
    }
}

fn write_list<'v>(
    [open, close]: [char; 2],
    entries: impl ExactSizeIterator<Item = (Option<&'v String>, &'v Value)>,
    layout: Layout,
    depth: usize,
    out: &mut String,
) {
    let is_empty = entries.len() == 0;
    let line = |depth: usize, out: &mut String| {
        if layout == Layout::Indented && !is_empty {
            out.push('\n');
            out.push_str(&"    ".repeat(depth));
        }
    };
    out.push(open);
    for (n, (key, item)) in entries.enumerate() {
        if n > 0 {
            out.push(',');
            if layout == Layout::Sorted {
                out.push(' ');
            }
        }
        line(depth + 1, out);
        if let Some(key) = key {
            write_string(key, out);
            out.push_str(if layout == Layout::Compact { ":" } else { ": " });
        }
        write_value(item, layout, depth + 1, out);
    }
    line(depth, out);
    out.push(close);
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back() {
        for text in [
            r#"{"b":[1,2.50,-0.001,"x\n\"é\\"],"a":null,"c":{},"d":[],"e":true}"#,
            "42000000000000000000000000000000000000000042",
        ] {
            assert_eq!(write(&parse(text).unwrap(), Layout::Compact), text);
        }
        assert_eq!(parse(r#""\ud83d\ude00\u0041\/""#).unwrap(), Value::from("😀A/"));
        let value = parse(r#"{"b": [1, {"z": 1, "a": 2}], "a": 3}"#).unwrap();
        let sorted = r#"{"a": 3, "b": [1, {"a": 2, "z": 1}]}"#;
        assert_eq!(write(&value, Layout::Sorted), sorted);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "[1,]", "{\"a\"}", "\"x", "1 2", "nul", "\"\\u12\"", "\"\\ué000\""] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
