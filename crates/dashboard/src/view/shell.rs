//! Commands as people type them: words put in quotes where they need it, and taken apart again.

/// `sh -c 'echo "it'\''s"'`: the words as one would type them.
pub(crate) fn join(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// One word, in single quotes if it has anything special.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// The words of a line: quotes and backslashes as in a shell, and nothing else of one (no variables, no wildcards).
/// Errs with what is missing.
pub(crate) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                let open = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some('\'') => break,
                        Some(inner) => open.push(inner),
                        None => return Err("has a single quote that is not closed"),
                    }
                }
            }
            '"' => {
                let open = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some('"') => break,
                        Some('\\') => match letters.next() {
                            Some(inner @ ('"' | '\\' | '$' | '`')) => open.push(inner),
                            Some(inner) => open.extend(['\\', inner]),
                            None => return Err("has a double quote that is not closed"),
                        },
                        Some(inner) => open.push(inner),
                        None => return Err("has a double quote that is not closed"),
                    }
                }
            }
            '\\' => match letters.next() {
                Some('\n') => {}
                Some(inner) => word.get_or_insert_default().push(inner),
                None => return Err("ends with a backslash"),
            },
            space if space.is_whitespace() => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it_and_reads_back() {
        let words = ["sh", "-c", "echo \"it's\" $HOME \\ \n x", ""].map(str::to_owned);
        let line = join(&words);
        assert_eq!(line, "sh -c 'echo \"it'\\''s\" $HOME \\ \n x' ''");
        assert_eq!(split(&line).unwrap(), words);
    }

    #[test]
    fn lines_are_taken_apart_as_a_shell_does_it() {
        let cases: [(&str, &[&str]); 6] = [
            ("", &[]),
            ("  jupyter   lab ", &["jupyter", "lab"]),
            (r#"a"b c"d'e f'"#, &["ab cde f"]),
            (r#""a\"b\n" \"c"#, &["a\"b\\n", "\"c"]),
            ("''", &[""]),
            ("a\\\nb", &["ab"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        for line in ["'", "a 'b", "\"", "\"\\", "a\\"] {
            assert!(split(line).is_err(), "{line}");
        }
    }
}
