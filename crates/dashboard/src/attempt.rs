//! A sign-in with the provider that is under way: a cookie that ties it to the browser that began it.
//!
//! The provider's answer comes in an address, and an address can be anybody's. Only the browser that has the cookie can
//! use the code in it: the state must be equal, and nonce and verifier are nowhere else. Sealed as sessions are, with
//! other associated data, so that neither is ever taken for the other.

use axum::http::{HeaderMap, HeaderValue};
use client::OpenIdAttempt;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::session::{NoRandomness, Sealer, cookie, cookies};

/// The cookie's name over plain HTTP.
const COOKIE: &str = "wharf_sign_in";
/// The cookie's name over TLS.
const COOKIE_TLS: &str = "__Host-wharf_sign_in";
/// What the sealed value is for.
const ASSOCIATED_DATA: &[u8] = b"dashboard sign-in";
/// How long somebody may take at the provider: time to find a telephone for a second factor.
const LIFETIME_SECONDS: i64 = 10 * 60;
/// Longest path to go on to; a cookie has some 4000 bytes for everything.
const NEXT_BYTES_MAX: usize = 2000;

/// What is kept with the browser until it comes back.
#[derive(Serialize, Deserialize)]
pub(crate) struct Attempt {
    #[serde(rename = "s")]
    state: String,
    #[serde(rename = "n")]
    pub(crate) nonce: String,
    #[serde(rename = "v")]
    pub(crate) verifier: String,
    /// Path of ours to go on to.
    #[serde(rename = "x")]
    pub(crate) next: String,
    /// Seconds since the epoch.
    #[serde(rename = "e")]
    expires_at: i64,
}

impl Attempt {
    /// One that leads to `next`, a path of ours.
    pub(crate) fn new(begun: OpenIdAttempt, next: &str, now: i64) -> Self {
        let next = if next.len() > NEXT_BYTES_MAX { "/" } else { next };
        let OpenIdAttempt { url: _, state, nonce, verifier } = begun;
        let expires_at = now + LIFETIME_SECONDS;
        Self { state, nonce, verifier, next: next.to_owned(), expires_at }
    }

    /// Whether a state that came back is this attempt's, in constant time.
    pub(crate) fn accepts(&self, state: &str) -> bool {
        self.state.as_bytes().ct_eq(state.as_bytes()).into()
    }

    /// The `Set-Cookie` value that keeps it in the browser. `SameSite=Lax`: the provider, another site, leads back here.
    pub(crate) fn set_cookie(
        &self,
        sealer: &Sealer,
        tls: bool,
    ) -> Result<HeaderValue, NoRandomness> {
        let text = serde_json::to_vec(self).expect("strings and a number serialise");
        let sealed = sealer.seal_bytes(ASSOCIATED_DATA, text)?;
        Ok(cookie(name(tls), &sealed, LIFETIME_SECONDS, tls))
    }

    /// The attempt of this browser with this state, unless it took too long.
    pub(crate) fn find(
        sealer: &Sealer,
        headers: &HeaderMap,
        state: &str,
        tls: bool,
        now: i64,
    ) -> Option<Self> {
        cookies(headers, name(tls))
            .filter_map(|sealed| sealer.open_bytes(ASSOCIATED_DATA, sealed))
            .filter_map(|text| serde_json::from_slice::<Self>(&text).ok())
            .find(|attempt| attempt.expires_at > now && attempt.accepts(state))
    }
}

/// The `Set-Cookie` value that ends an attempt: its answer came, whatever it was.
pub(crate) fn clear_cookie(tls: bool) -> HeaderValue {
    cookie(name(tls), "", 0, tls)
}

fn name(tls: bool) -> &'static str {
    if tls { COOKIE_TLS } else { COOKIE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header;

    const NOW: i64 = 1_800_000_000;

    fn attempt(next: &str) -> Attempt {
        let text = |text: &str| text.to_owned();
        let begun = OpenIdAttempt {
            url: text("https://id"),
            state: text("state-1"),
            nonce: text("nonce-1"),
            verifier: text("verifier-1"),
        };
        Attempt::new(begun, next, NOW)
    }

    fn browser(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, pair.parse().unwrap())])
    }

    #[test]
    fn an_attempt_is_found_by_its_state_in_its_browser_and_in_time() {
        let sealer = Sealer::new(&[7; 32]);
        let cookie = attempt("/open?host=x").set_cookie(&sealer, false).unwrap();
        let text = cookie.to_str().unwrap();
        assert!(text.contains("HttpOnly; SameSite=Lax") && text.contains("Max-Age=600"), "{text}");
        assert!(!text.contains("verifier-1") && !text.contains("nonce-1"), "{text}");
        let headers = browser(&cookie);
        let find = |state: &str, now: i64| Attempt::find(&sealer, &headers, state, false, now);
        let found = find("state-1", NOW).unwrap();
        assert_eq!((found.nonce.as_str(), found.next.as_str()), ("nonce-1", "/open?host=x"));
        assert!(find("state-2", NOW).is_none() && find("", NOW).is_none());
        assert!(find("state-1", NOW + LIFETIME_SECONDS).is_none());
        assert!(Attempt::find(&sealer, &HeaderMap::new(), "state-1", false, NOW).is_none());
        assert!(Attempt::find(&Sealer::new(&[8; 32]), &headers, "state-1", false, NOW).is_none());
        assert!(Attempt::find(&sealer, &headers, "state-1", true, NOW).is_none(), "plain over TLS");
    }

    #[test]
    fn attempts_and_sessions_are_not_taken_for_each_other() {
        let sealer = Sealer::new(&[7; 32]);
        let cookie = attempt("/").set_cookie(&sealer, false).unwrap();
        let sealed = cookie.to_str().unwrap().split(['=', ';']).nth(1).unwrap().to_owned();
        assert!(sealer.open_bytes(ASSOCIATED_DATA, &sealed).is_some());
        assert!(sealer.open(&sealed, NOW).is_none());
    }

    #[test]
    fn a_path_that_a_cookie_cannot_hold_is_left_out() {
        assert_eq!(attempt(&format!("/{}", "x".repeat(3000))).next, "/");
        let longest = attempt(&format!("/{}", "x".repeat(NEXT_BYTES_MAX - 1)));
        let sealer = Sealer::new(&[7; 32]);
        let cookie = longest.set_cookie(&sealer, true).unwrap();
        assert!(cookie.len() < 4000, "{}", cookie.len());
        assert!(Attempt::find(&sealer, &browser(&cookie), "state-1", true, NOW).is_some());
    }
}
