//! YAML 1.2 (and so JSON) to nodes: numbers keep their text, `yes` and `on` are text, a key twice is an
//! error, and what is read has bounds.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};
use indexmap::map::Entry;

use crate::node::{At, Entries, Kind, Node};
use crate::number::Number;

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 100;
/// Most nodes of one document, repeated aliases counted each time.
const NODES_MAX: usize = 500_000;

/// Text that is not what we read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) at: At,
    pub(crate) problem: String,
}

/// Reads one document.
pub(crate) fn parse(text: &str, file: u32) -> Result<Node, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut composer =
        Composer { file, open: Vec::new(), anchors: HashMap::new(), count: 0, root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = place(file, error.marker().line(), error.marker().col());
            YamlError { at, problem: format!("not YAML: {}", error.info()) }
        })?;
        composer.take(event, &span)?;
    }
    Ok(composer.root.unwrap_or(Node { at: place(file, 1, 0), kind: Kind::Null }))
}

fn place(file: u32, line: usize, column: usize) -> At {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    At { file, line: small(line), column: small(column + 1) }
}

/// A collection that is being read.
struct Open {
    node: Node,
    anchor: usize,
    key: Option<(String, At)>,
    merged: Vec<Node>,
}

struct Composer {
    file: u32,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    count: usize,
    root: Option<Node>,
}

impl Composer {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
        let at = place(self.file, span.start.line(), span.start.col());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = style != ScalarStyle::Plain
                    || tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let kind = if is_text { Kind::String(text.into_owned()) } else { plain(&text) };
                self.add(Node { at, kind }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.begin(Node { at, kind: Kind::Array(Vec::new()) }, anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                self.begin(Node { at, kind: Kind::Object(Entries::new()) }, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(YamlError { at, problem: "an alias inside its own anchor".into() });
                };
                self.add(node, 0, size)
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                let problem = "a second document; a file holds one, or a $graph of several".into();
                Err(YamlError { at, problem })
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        if self.open.len() >= DEPTH_MAX {
            let problem = format!("nested more than {DEPTH_MAX} levels deep");
            return Err(YamlError { at: node.at, problem });
        }
        self.open.push(Open { node, anchor, key: None, merged: Vec::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), YamlError> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        if let Kind::Object(entries) = &mut open.node.kind {
            for merged in open.merged {
                for (key, node) in merged.as_object().into_iter().flatten() {
                    entries.entry(key.clone()).or_insert_with(|| node.clone());
                }
            }
        }
        self.add(open.node, open.anchor, 1)
    }

    /// Puts a finished node where it belongs; `size` is what it adds to the count.
    fn add(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), YamlError> {
        self.count += size;
        if self.count > NODES_MAX {
            let problem = format!("more than {NODES_MAX} values, aliases counted each time");
            return Err(YamlError { at: node.at, problem });
        }
        if anchor > 0 {
            let size = size_of(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.kind {
            Kind::Array(items) => items.push(node),
            Kind::Object(entries) => match open.key.take() {
                None => open.key = Some((key_text(&node)?, node.at)),
                Some((key, _)) if key == "<<" => match node.kind {
                    Kind::Array(items) => open.merged.extend(items),
                    _ => open.merged.push(node),
                },
                Some((key, at)) => match entries.entry(key) {
                    Entry::Vacant(free) => {
                        free.insert(node);
                    }
                    Entry::Occupied(taken) => {
                        let first = taken.get().at.line;
                        let problem = format!(
                            "the key {:?} is given twice, first in line {first}; give it once",
                            taken.key()
                        );
                        return Err(YamlError { at, problem });
                    }
                },
            },
            _ => {}
        }
        Ok(())
    }
}

fn size_of(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Array(items) => items.iter().map(size_of).sum(),
        Kind::Object(entries) => entries.values().map(size_of).sum(),
        _ => 0,
    }
}

fn key_text(node: &Node) -> Result<String, YamlError> {
    match &node.kind {
        Kind::String(text) => Ok(text.clone()),
        Kind::Number(number) => Ok(number.to_string()),
        Kind::Bool(truth) => Ok(truth.to_string()),
        Kind::Null => Ok("null".to_owned()),
        Kind::Array(_) | Kind::Object(_) => {
            let problem = format!("{} as a key; keys are text", node.kind_name());
            Err(YamlError { at: node.at, problem })
        }
    }
}

/// A scalar without quotes, by the core schema of YAML 1.2.
fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    let radix = |prefix: &str, radix| {
        text.strip_prefix(prefix).and_then(|digits| u64::from_str_radix(digits, radix).ok())
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Kind::Number(Number::from(number));
    }
    let sign_end = usize::from(text.starts_with(['-', '+']));
    let digits = text[sign_end..].trim_start_matches('0');
    let is_padded =
        digits.len() + sign_end < text.len() && digits.starts_with(|c: char| c.is_ascii_digit());
    let unpadded =
        if is_padded { format!("{}{digits}", &text[..sign_end]) } else { text.to_owned() };
    Number::parse(&unpadded).map_or_else(|| Kind::String(text.to_owned()), Kind::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Layout, write};

    fn read(text: &str) -> String {
        parse(text, 0).map_or_else(
            |error| format!("{}:{}: {}", error.at.line, error.at.column, error.problem),
            |node| write(&node.to_value(), Layout::Compact),
        )
    }

    #[test]
    fn words_stay_words_and_numbers_keep_their_digits() {
        assert_eq!(
            read("[yes, on, no, y, 'true', true, ~]"),
            r#"["yes","on","no","y","true",true,null]"#
        );
        assert_eq!(
            read("[017, 0x10, 1e3, 42000000000000000000000000001]"),
            "[17,16,1000,42000000000000000000000000001]"
        );
        assert_eq!(
            read("a: 1.0\nb: 1.2.3\nc: |\n  x\n  y\n"),
            r#"{"a":1.0,"b":"1.2.3","c":"x\ny\n"}"#
        );
        assert_eq!(
            read("a: &x {p: 1}\nb:\n  <<: *x\n  q: 2"),
            r#"{"a":{"p":1},"b":{"q":2,"p":1}}"#
        );
    }

    #[test]
    fn a_key_twice_is_an_error_with_its_line() {
        assert!(
            read("a: 1\nb: 2\na: 3\n")
                .starts_with("3:1: the key \"a\" is given twice, first in line 1")
        );
        assert!(read("a: [").contains("not YAML"));
        assert!(read("a: 1\n---\nb: 2\n").contains("second document"));
    }

    #[test]
    fn bombs_end_early() {
        assert!(read(&"[".repeat(100_000)).contains("not YAML"));
        let deep: String = (0..150).map(|n| format!("{}- x:\n", "  ".repeat(n))).collect();
        assert!(read(&deep).contains("levels deep"), "{}", read(&deep));
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..12 {
            let last = format!("*a{}", n - 1);
            let line = format!("a{n}: &a{n} [{}]\n", [last.as_str(); 10].join(","));
            bomb.push_str(&line);
        }
        assert!(read(&bomb).contains("more than 500000 values"));
    }
}
