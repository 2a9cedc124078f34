//! Which browser asks: a random mark that a service host leaves before it sends somebody to sign in, so that the code
//! that comes back opens the service in that browser and in no other (T7, T8).
//!
//! The mark stays in the cookie; only its digest travels. A code is stored for a *place*: the service host, and behind a
//! space the digest where the code was asked for by a browser. [`BOUND`] at the end of a code says which of the two to
//! compare with. Who takes it off or puts it on presents a code for another place, which opens nothing and uses it up.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};

/// Behind a code that one browser alone may redeem.
const BOUND: &str = ".b";
/// Random bytes of a mark.
const MARK_BYTES: usize = 32;
/// How long the way to the dashboard and back may take, signing in included.
pub(crate) const LIFETIME_S: u64 = 10 * 60;

/// A new mark; `None` when there is no randomness to be had.
pub(crate) fn new_mark() -> Option<String> {
    let mut bytes = [0; MARK_BYTES];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// What the dashboard is told of a mark.
pub(crate) fn digest_of(mark: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, mark.as_bytes()))
}

/// The code as it was made, and the place that it is presented at. `marks` are the browser's cookies: where there are
/// several, somebody planted one, and none counts.
pub(crate) fn presented(code: &str, service_host: &str, marks: &[String]) -> (String, String) {
    match code.strip_suffix(BOUND) {
        None => (code.to_owned(), service_host.to_owned()),
        Some(code) => {
            let digest = match marks {
                [mark] => digest_of(mark),
                _ => String::new(),
            };
            (code.to_owned(), format!("{service_host} {digest}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_code_is_presented_with_the_one_mark_of_its_browser() {
        let mark = new_mark().unwrap();
        assert_ne!(mark, new_mark().unwrap());
        let place = format!("h:80 {}", digest_of(&mark));
        let one = [mark.clone()];
        assert_eq!(presented("wc1_a.b", "h:80", &one), ("wc1_a".to_owned(), place));
        let two = [mark, "planted".to_owned()];
        for marks in [&two[..], &[]] {
            assert_eq!(presented("wc1_a.b", "h:80", marks).1, "h:80 ", "opens nothing");
        }
        assert_eq!(presented("wc1_a", "h:80", &one), ("wc1_a".to_owned(), "h:80".to_owned()));
    }
}
