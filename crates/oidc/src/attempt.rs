//! One attempt to sign in: three secrets that tie an answer to the browser that asked.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::ConstantTimeEq as _;

use crate::error::ProviderError;

/// 256 bits: 43 characters, what RFC 7636 asks of a verifier at least.
const SECRET_BYTES: usize = 32;

/// What must be kept with the browser until it comes back, and nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Comes back in the address: shows that this browser asked.
    pub state: String,
    /// Comes back in the ID token: shows that it was made for this attempt.
    pub nonce: String,
    /// Shown to the provider alone, with the code: a code that was stolen is of no use without it (RFC 7636).
    pub verifier: String,
}

impl Attempt {
    /// A new one.
    pub(crate) fn new() -> Result<Self, ProviderError> {
        Ok(Self { state: secret()?, nonce: secret()?, verifier: secret()? })
    }

    /// Whether a state that came back is this attempt's, in constant time.
    pub fn accepts(&self, state: &str) -> bool {
        self.state.as_bytes().ct_eq(state.as_bytes()).into()
    }

    /// What the provider is shown of the verifier beforehand.
    pub(crate) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.verifier.as_bytes()))
    }
}

fn secret() -> Result<String, ProviderError> {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_unspecified| ProviderError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attempt(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attempt_is_new_and_knows_its_own_state_only() {
        let (one, two) = (Attempt::new().unwrap(), Attempt::new().unwrap());
        assert_ne!(one, two);
        assert!(one.accepts(&one.state) && !one.accepts(&two.state) && !one.accepts(""));
        assert!(!format!("{one:?}").contains(&one.state));
    }

    #[test]
    fn the_challenge_is_the_one_of_rfc_7636() {
        // Appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned();
        let attempt = Attempt { state: String::new(), nonce: String::new(), verifier };
        assert_eq!(attempt.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
