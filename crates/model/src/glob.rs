//! Patterns of paths, as `output_glob` has them: `*`, `?`, `[…]` and `{a,b}` within a component, `**` across them.
//!
//! Pure. A pattern that matches a directory keeps what is below it only where it ends in `/` or `**` (Arvados). Matching
//! takes time in the product of both lengths at most, whatever a user writes.

/// Most alternatives that braces may make of one pattern; more is refused.
pub const ALTERNATIVES_MAX: usize = 256;

/// A pattern, ready to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// Each a list of components; a path fits one of them.
    alternatives: Vec<Vec<Part>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Any number of components, also none.
    Deep,
    /// One component.
    Component(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Any number of characters.
    Star,
    /// Any one character.
    Any,
    /// One of these ranges, or none of them.
    Class { ranges: Vec<(char, char)>, negated: bool },
    /// This character.
    Char(char),
}

impl Glob {
    /// Reads a pattern, relative to the output directory; a leading `./` or `/` is left off.
    ///
    /// # Errors
    /// In words, where it is no pattern.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let trimmed = pattern.trim_start_matches("./").trim_start_matches('/');
        let whole = match trimmed.strip_suffix('/') {
            Some(directory) => format!("{directory}/**"),
            None => trimmed.to_owned(),
        };
        let alternatives = expand(&whole)?
            .iter()
            .map(|alternative| {
                alternative.split('/').filter(|part| !part.is_empty()).map(part).collect()
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { alternatives })
    }

    /// Whether a path (`a/b.txt`, no leading slash) fits.
    pub fn matches(&self, path: &str) -> bool {
        let components: Vec<Vec<char>> =
            path.split('/').map(|component| component.chars().collect()).collect();
        self.alternatives.iter().any(|parts| fits(parts, &components))
    }
}

/// The alternatives of `{a,b}`, one level at a time.
fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let mut waiting = vec![pattern.to_owned()];
    let mut done = Vec::new();
    while let Some(next) = waiting.pop() {
        if waiting.len() + done.len() >= ALTERNATIVES_MAX {
            return Err(format!("has more than {ALTERNATIVES_MAX} alternatives in its braces"));
        }
        let Some(open) = next.find('{') else {
            done.push(next);
            continue;
        };
        let (before, rest) = (&next[..open], &next[open + 1..]);
        let Some((inner, after)) = closing(rest) else {
            return Err("has a { without its }".to_owned());
        };
        waiting.extend(choices(inner).into_iter().map(|choice| format!("{before}{choice}{after}")));
    }
    Ok(done)
}

/// What is between the brace and its partner, and what follows.
fn closing(rest: &str) -> Option<(&str, &str)> {
    let mut depth = 0_u32;
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some((&rest[..at], &rest[at + 1..])),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The parts between commas, inner braces whole.
fn choices(inner: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0_u32, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.push(&inner[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(&inner[from..]);
    found
}

fn part(component: &str) -> Result<Part, String> {
    if component == "**" {
        return Ok(Part::Deep);
    }
    let mut tokens = Vec::new();
    let mut chars = component.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::Char(chars.next().ok_or("ends in a backslash")?),
            '[' => class(&mut chars)?,
            c => Token::Char(c),
        });
    }
    Ok(Part::Component(tokens))
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, String> {
    let negated = chars.next_if(|c| matches!(c, '^' | '!')).is_some();
    let mut ranges = Vec::new();
    loop {
        let from = match chars.next() {
            None => return Err("has a [ without its ]".to_owned()),
            Some(']') if !ranges.is_empty() => return Ok(Token::Class { ranges, negated }),
            Some('\\') => chars.next().ok_or("ends in a backslash")?,
            Some(c) => c,
        };
        let is_range = chars.peek() == Some(&'-') && {
            let mut ahead = chars.clone();
            ahead.next();
            ahead.peek().is_some_and(|c| *c != ']')
        };
        let to = if is_range {
            chars.next();
            chars.next().unwrap_or(from)
        } else {
            from
        };
        ranges.push((from, to));
    }
}

/// Components against parts; each pair of places is looked at once.
fn fits(parts: &[Part], components: &[Vec<char>]) -> bool {
    // reached[n]: the parts so far fit the first n components.
    let mut reached = vec![false; components.len() + 1];
    reached[0] = true;
    for part in parts {
        let mut next = vec![false; components.len() + 1];
        for n in 0..=components.len() {
            match part {
                Part::Deep => next[n] = reached[n] || (n > 0 && next[n - 1]),
                Part::Component(tokens) => {
                    next[n] = n > 0 && reached[n - 1] && component_fits(tokens, &components[n - 1]);
                }
            }
        }
        reached = next;
    }
    reached[components.len()]
}

fn component_fits(tokens: &[Token], text: &[char]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for token in tokens {
        let mut next = vec![false; text.len() + 1];
        for n in 0..=text.len() {
            next[n] = match token {
                Token::Star => reached[n] || (n > 0 && next[n - 1]),
                single => n > 0 && reached[n - 1] && char_fits(single, text[n - 1]),
            };
        }
        reached = next;
    }
    reached[text.len()]
}

fn char_fits(token: &Token, c: char) -> bool {
    match token {
        Token::Star | Token::Any => true,
        Token::Char(wanted) => *wanted == c,
        Token::Class { ranges, negated } => {
            ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, fitting: &[&str], others: &[&str]) {
        let glob = Glob::parse(pattern).unwrap();
        for path in fitting {
            assert!(glob.matches(path), "{pattern} should fit {path}");
        }
        for path in others {
            assert!(!glob.matches(path), "{pattern} should not fit {path}");
        }
    }

    #[test]
    fn patterns_fit_as_shells_and_arvados_say() {
        check("*.txt", &["a.txt", ".txt"], &["a.txt.gz", "d/a.txt"]);
        check("out", &["out"], &["out/a", "outer"]);
        check("out/**", &["out/a", "out/a/b", "out"], &["outer/a"]);
        check("out/", &["out/a/b"], &["outer"]);
        check("**/a.txt", &["a.txt", "x/y/a.txt"], &["x/b.txt"]);
        check("**", &["a", "a/b"], &[]);
        check("a/**/z", &["a/z", "a/b/c/z"], &["a/b"]);
        check("?.[ch]", &["x.c", "y.h"], &["xy.c", "x.o"]);
        check("[^a-c]x", &["dx"], &["ax", "x"]);
        check("[]]", &["]"], &["["]);
        check("{a,b{1,2}}.txt", &["a.txt", "b1.txt", "b2.txt"], &["b.txt", "c.txt"]);
        check("\\*", &["*"], &["a"]);
        check("./cwl.output.json", &["cwl.output.json"], &[]);
        check("größe*", &["größe.csv"], &[]);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["[a", "{a,b", "a\\", &"{a,b}".repeat(20)] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_path_fits_itself_and_nothing_panics(path in "[a-z]{1,4}(/[a-z]{1,4}){0,3}", any in ".{0,20}") {
            prop_assert!(Glob::parse(&path).unwrap().matches(&path));
            if let Ok(glob) = Glob::parse(&any) {
                let _whatever = glob.matches(&path);
            }
        }
    }
}
