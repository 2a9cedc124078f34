//! Under what grants are kept: a short code for a credential at a host.

use std::fmt;
use std::hash::{Hash, Hasher};

use ring::rand::{SecureRandom, SystemRandom};
use siphasher::sip128::{Hasher128, SipHasher24};

/// Which rule of the gate was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Public ports are open; any credential counts.
    Usual,
    /// A bearer alone counts, on public ports too.
    BearerAlone,
}

/// A credential at a host, as its code: so the table holds no secret and compares none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GrantKey {
    high: u64,
    low: u64,
}

/// One half is as good as a hash.
impl Hash for GrantKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.high);
    }
}

/// What a request presents, as sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Presented<'r> {
    pub(crate) rule: Rule,
    pub(crate) https: bool,
    pub(crate) host: &'r str,
    /// Empty where there is none, as is the bearer.
    pub(crate) session: &'r [u8],
    pub(crate) bearer: &'r [u8],
}

/// Makes the keys of one process, with a secret of its own.
///
/// SipHash-2-4 with 128 bits is a pseudorandom function (Aumasson and Bernstein, 2012): without the secret nobody finds
/// two credentials of one code, nor another's code, and how long a look into the table takes tells nothing that can be
/// steered. A digest without a secret would have to be a long one, at ten times the work for each request.
pub(super) struct KeyMaker(Option<SipHasher24>);

impl KeyMaker {
    pub(super) fn new() -> Self {
        let mut secret = [0; 16];
        // Without randomness there are no keys, and each request asks the records.
        let made = SystemRandom::new().fill(&mut secret);
        Self(made.ok().map(|()| SipHasher24::new_with_key(&secret)))
    }

    /// The key of what a request presents.
    pub(super) fn key_of(&self, presented: Presented<'_>) -> Option<GrantKey> {
        let Presented { rule, https, host, session, bearer } = presented;
        let mut hash = self.0?;
        // Neither a host nor a cookie nor a header value holds a zero byte.
        hash.write(&[u8::from(https), rule as u8]);
        hash.write(host.as_bytes());
        hash.write(&[0]);
        hash.write(session);
        hash.write(&[0]);
        hash.write(bearer);
        let code = hash.finish128();
        Some(GrantKey { high: code.h1, low: code.h2 })
    }
}

impl fmt::Debug for KeyMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyMaker(…)")
    }
}

/// A key brings its own hash.
#[derive(Debug, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Presented<'_> =
        Presented { rule: Rule::Usual, https: false, host: "a.test", session: b"s", bearer: b"b" };

    #[test]
    fn keys_differ_in_every_part() {
        let maker = KeyMaker::new();
        let presented = [
            USUAL,
            Presented { rule: Rule::BearerAlone, ..USUAL },
            Presented { https: true, ..USUAL },
            Presented { host: "a.tests", session: b"", ..USUAL },
            Presented { session: b"sb", bearer: b"", ..USUAL },
            Presented { session: b"", bearer: b"sb", ..USUAL },
        ];
        let keys: std::collections::HashSet<_> =
            presented.iter().map(|it| maker.key_of(*it).unwrap()).collect();
        assert_eq!(keys.len(), presented.len());
        assert!(keys.contains(&maker.key_of(USUAL).unwrap()));
    }

    #[test]
    fn keys_of_one_process_say_nothing_of_those_of_another() {
        let [one, other] = [(), ()].map(|()| KeyMaker::new().key_of(USUAL).unwrap());
        assert!(one.high != other.high && one.low != other.low);
    }

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(format!("{:?}", KeyMaker::new()), "KeyMaker(…)");
    }
}
