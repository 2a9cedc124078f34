//! What can be done to a manifest without reading all of it: only its locators matter here.

use std::fmt::Write as _;

use crate::hash::{BlockHash, BlockHasher};
use crate::locator::Locator;

/// The words of a text, each with the space or line feed after it.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_inclusive([' ', '\n']).map(|piece| {
        let word = piece.trim_end_matches([' ', '\n']);
        (word, &piece[word.len()..])
    })
}

/// Whether a word can only be a locator: stream names begin with a dot, and file tokens have a
/// colon before any plus.
fn is_locator(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() > 33
        && bytes[32] == b'+'
        && bytes[..32].iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Hash and size of a locator, and its hints with their `+`.
fn split_locator(word: &str) -> (&str, &str) {
    let size = &word[33..];
    size.find('+').map_or((word, ""), |at| word.split_at(33 + at))
}

/// The name of a manifest's content: the MD5 of its text with every locator cut down to hash and
/// size, `+`, and the length of that text in bytes.
pub fn portable_data_hash(text: &str) -> String {
    let mut hasher = BlockHasher::new();
    let mut n_bytes = 0;
    for (word, end) in words(text) {
        let bare = if is_locator(word) { split_locator(word).0 } else { word };
        hasher.update(bare.as_bytes());
        hasher.update(end.as_bytes());
        n_bytes += bare.len() + end.len();
    }
    format!("{}+{n_bytes}", hasher.finish())
}

/// The blocks that a text names, each as often as it does.
pub fn hashes(text: &str) -> impl Iterator<Item = BlockHash> {
    words(text)
        .filter(|(word, _)| is_locator(word))
        .filter_map(|(word, _)| BlockHash::parse(&word[..32]))
}

/// The text without permission hints; other hints stay, in their order.
pub fn strip(text: &str) -> String {
    let mut stripped = String::with_capacity(text.len());
    for (word, end) in words(text) {
        if is_locator(word) {
            push_unsigned(&mut stripped, word);
        } else {
            stripped.push_str(word);
        }
        stripped.push_str(end);
    }
    stripped
}

/// The text with the permission hint (`A…@…`) that `permit` gives for each locator instead of the
/// one it had; an empty one leaves the locator without.
pub fn sign(text: &str, permit: impl Fn(&Locator) -> String) -> String {
    let mut signed = String::with_capacity(text.len() + text.len() / 2);
    for (word, end) in words(text) {
        match Some(word).filter(|word| is_locator(word)).map(Locator::parse) {
            Some(Ok(locator)) => {
                push_unsigned(&mut signed, word);
                let hint = permit(&locator);
                if !hint.is_empty() {
                    // Writing to a string cannot fail.
                    let _written = write!(signed, "+{hint}");
                }
            }
            _ => signed.push_str(word),
        }
        signed.push_str(end);
    }
    signed
}

fn push_unsigned(text: &mut String, word: &str) {
    let (bare, hints) = split_locator(word);
    text.push_str(bare);
    for hint in hints.split('+').skip(1).filter(|hint| !hint.starts_with('A')) {
        text.push('+');
        text.push_str(hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = "./a+A 930625b054ce894ac40596c3f5a0d947+33+Kx+Aabc@5f612ee6+Zy \
                          0:33:x+Ay\\040z 0:0:930625b054ce894ac40596c3f5a0d947+33+Az\n";

    #[test]
    fn only_permissions_of_locators_are_taken_away() {
        let stripped = "./a+A 930625b054ce894ac40596c3f5a0d947+33+Kx+Zy \
                        0:33:x+Ay\\040z 0:0:930625b054ce894ac40596c3f5a0d947+33+Az\n";
        assert_eq!(strip(SIGNED), stripped);
        assert_eq!(sign(stripped, |_| String::new()), stripped);
        assert!(sign(SIGNED, |_| "Anew@1".to_owned()).contains("+33+Kx+Zy+Anew@1 "));
    }

    #[test]
    fn blocks_are_found_in_any_text() {
        let foo = "acbd18db4cc2f85cedef654fccc4a4d8";
        let text = format!(". {foo}+3+Kx {foo}+3 0:3:a\n");
        assert_eq!(hashes(&text).map(|hash| hash.to_string()).collect::<Vec<_>>(), [foo, foo]);
    }

    #[test]
    fn the_portable_data_hash_knows_no_hints() {
        assert_eq!(portable_data_hash(""), "d41d8cd98f00b204e9800998ecf8427e+0");
        // Worked out with md5sum(1).
        let text = ". 930625b054ce894ac40596c3f5a0d947+33 0:0:a 0:0:b 0:33:output.txt\n";
        assert_eq!(
            portable_data_hash(text),
            format!("{}+{}", crate::BlockHash::of(text.as_bytes()), text.len())
        );
        assert_eq!(portable_data_hash(SIGNED), portable_data_hash(&strip(SIGNED)));
        let hintless = strip(SIGNED).replace("+Kx+Zy", "");
        assert_eq!(portable_data_hash(SIGNED), portable_data_hash(&hintless));
    }
}
