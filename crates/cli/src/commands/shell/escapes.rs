//! The way out of a shell, as in ssh: at the beginning of a line `~.` ends it and `~d` leaves it behind.

/// What came of what was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// To be sent; may be empty.
    Bytes(Vec<u8>),
    Detach,
    End,
}

/// Where in a line the person is.
#[derive(Debug, Default)]
pub(super) struct Escapes {
    is_within_line: bool,
    has_tilde: bool,
}

impl Escapes {
    /// Takes the escapes out; what is typed behind one that leads out is dropped.
    pub(super) fn typed(&mut self, bytes: &[u8]) -> Typed {
        let mut sent = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if std::mem::take(&mut self.has_tilde) {
                match byte {
                    b'.' => return Typed::End,
                    b'd' => return Typed::Detach,
                    // Twice is once.
                    b'~' => {}
                    _ => sent.push(b'~'),
                }
            } else if byte == b'~' && !self.is_within_line {
                self.has_tilde = true;
                continue;
            }
            sent.push(byte);
            self.is_within_line = !matches!(byte, b'\r' | b'\n');
        }
        Typed::Bytes(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], expected: &Typed) {
        let mut escapes = Escapes::default();
        let (last, before) = pieces.split_last().unwrap();
        for piece in before {
            assert!(matches!(escapes.typed(piece.as_bytes()), Typed::Bytes(_)), "{piece:?}");
        }
        assert_eq!(escapes.typed(last.as_bytes()), *expected, "{pieces:?}");
    }

    #[test]
    fn a_tilde_counts_at_the_beginning_of_a_line() {
        let bytes = |text: &str| Typed::Bytes(text.as_bytes().to_vec());
        check(&["~."], &Typed::End);
        check(&["ls\r", "~", "."], &Typed::End);
        check(&["ls\r~d"], &Typed::Detach);
        check(&["ls ~."], &bytes("ls ~."));
        check(&["~/bin\r"], &bytes("~/bin\r"));
        check(&["~", "/bin"], &bytes("~/bin"));
        check(&["~~."], &bytes("~."));
        check(&["~~\r", "~."], &Typed::End);
    }
}
