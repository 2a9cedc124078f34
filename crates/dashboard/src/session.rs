//! Who is signed in: a cookie that holds the session's API token under authenticated encryption.
//!
//! A session *is* an API token of its own, made by the API at sign-in and deleted at sign-out. The
//! browser keeps it sealed (AES-256-GCM, key of this instance, "dashboard" as associated data): a
//! page's script cannot read it (`HttpOnly`), it is no API token by itself, and a cookie of a
//! service host (other associated data) is not taken for it. The server keeps nothing, so sessions
//! survive a restart and every controller of a site can read them; a copied cookie ends with the
//! token, on sign-out or when the token expires or is revoked.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{ApiToken, Timestamp};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

/// The cookie's name over plain HTTP.
pub(crate) const COOKIE: &str = "wharf_dashboard";
/// The cookie's name over TLS: the prefix makes browsers insist on `Secure`, `Path=/` and no domain.
pub(crate) const COOKIE_TLS: &str = "__Host-wharf_dashboard";

/// What the sealed value is for; the proxy's cookies have their service host here.
const ASSOCIATED_DATA: &[u8] = b"dashboard";
/// How long a session lasts whose token does not say.
const LIFETIME_SECONDS: i64 = 12 * 60 * 60;
/// The longest sealed value we try to open; sessions have about 300 characters, sign-ins under way up to 3000.
const SEALED_CHARS_MAX: usize = 4096;
/// Random bytes of a form's token.
const FORM_TOKEN_BYTES: usize = 18;

/// A signed-in person's session, as sealed into the cookie.
#[derive(Clone)]
pub(crate) struct Session {
    /// The credential of every API call made for this person.
    pub(crate) token: ApiToken,
    /// What each form carries to show that it came from our own page: `secret` under a mask of this answer's own, so
    /// that it is another text each time, and its length in a compressed page says nothing.
    pub(crate) form_token: String,
    /// What is behind the form token of every page of this session.
    secret: Vec<u8>,
    /// Seconds since the epoch.
    expires_at: i64,
    /// Whether it began at the provider, where the person is then signed in as well.
    pub(crate) is_by_provider: bool,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    t: String,
    f: String,
    e: i64,
    /// Missing in cookies of versions that knew no provider.
    #[serde(default)]
    p: bool,
}

/// No randomness: the system is broken, and nothing may be sealed.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub(crate) struct NoRandomness;

impl Session {
    /// A new session with the token made for it.
    pub(crate) fn new(
        token: ApiToken,
        expires_at: Option<Timestamp>,
        now: i64,
    ) -> Result<Self, NoRandomness> {
        let mut random = [0_u8; FORM_TOKEN_BYTES];
        SystemRandom::new().fill(&mut random).map_err(|_unspecified| NoRandomness)?;
        let expires_at = expires_at.map_or(now + LIFETIME_SECONDS, |at| at.as_jiff().as_second());
        let form_token = masked(&random)?;
        Ok(Self { token, form_token, secret: random.to_vec(), expires_at, is_by_provider: false })
    }

    /// The same, begun at the provider.
    pub(crate) fn by_provider(self) -> Self {
        Self { is_by_provider: true, ..self }
    }

    /// Whether a form's token is this session's, in constant time.
    pub(crate) fn accepts_form(&self, form_token: &str) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(form_token) else { return false };
        let (mask, hidden) = bytes.split_at(bytes.len() / 2);
        xor(mask, hidden).as_slice().ct_eq(self.secret.as_slice()).into()
    }
}

/// A mask, and the secret under it.
fn masked(secret: &[u8]) -> Result<String, NoRandomness> {
    let mut mask = vec![0; secret.len()];
    SystemRandom::new().fill(&mut mask).map_err(|_unspecified| NoRandomness)?;
    let hidden = xor(&mask, secret);
    mask.extend(hidden);
    Ok(URL_SAFE_NO_PAD.encode(mask))
}

fn xor(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(a, b)| a ^ b).collect()
}

/// Seals and opens sessions; one per instance.
pub(crate) struct Sealer {
    key: LessSafeKey,
}

impl Sealer {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 keys have 32 bytes");
        Self { key: LessSafeKey::new(key) }
    }

    /// Nonce and ciphertext, base64url.
    pub(crate) fn seal(&self, session: &Session) -> Result<String, NoRandomness> {
        let plain = Sealed {
            t: session.token.expose(),
            f: URL_SAFE_NO_PAD.encode(&session.secret),
            e: session.expires_at,
            p: session.is_by_provider,
        };
        let text = serde_json::to_vec(&plain).expect("strings and a number serialise");
        self.seal_bytes(ASSOCIATED_DATA, text)
    }

    /// Seals what is for `purpose` and opens for nothing else.
    pub(crate) fn seal_bytes(
        &self,
        purpose: &'static [u8],
        mut text: Vec<u8>,
    ) -> Result<String, NoRandomness> {
        let mut nonce = [0_u8; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_unspecified| NoRandomness)?;
        let aad = Aad::from(purpose);
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .map_err(|_unspecified| NoRandomness)?;
        let mut whole = nonce.to_vec();
        whole.extend_from_slice(&text);
        Ok(URL_SAFE_NO_PAD.encode(whole))
    }

    /// The session in a sealed value, unless it was made by someone else, changed or is over.
    pub(crate) fn open(&self, sealed: &str, now: i64) -> Option<Session> {
        let plain = self.open_bytes(ASSOCIATED_DATA, sealed)?;
        let plain: Sealed = serde_json::from_slice(&plain).ok()?;
        if plain.e <= now {
            return None;
        }
        let token = ApiToken::parse(&plain.t).ok()?;
        let secret = URL_SAFE_NO_PAD.decode(&plain.f).ok()?;
        let form_token = masked(&secret).ok()?;
        let Sealed { e: expires_at, p: is_by_provider, .. } = plain;
        Some(Session { token, form_token, secret, expires_at, is_by_provider })
    }

    /// What was sealed for `purpose` by this instance.
    pub(crate) fn open_bytes(&self, purpose: &'static [u8], sealed: &str) -> Option<Vec<u8>> {
        if sealed.len() > SEALED_CHARS_MAX {
            return None;
        }
        let whole = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = whole.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::from(purpose), &mut text).ok()?;
        Some(plain.to_vec())
    }

    /// The first cookie of the request that opens; others (a stale one of a wider path, a planted
    /// one) are passed over.
    pub(crate) fn find(&self, headers: &HeaderMap, tls: bool, now: i64) -> Option<Session> {
        cookies(headers, cookie_name(tls)).find_map(|value| self.open(value, now))
    }

    /// The `Set-Cookie` value that keeps `session` in the browser.
    ///
    /// `SameSite=Lax`, not `Strict`: the sign-in link on a service host's page leads here from
    /// another site and must find the session. What Lax lets through (top-level GETs) changes
    /// nothing on this server; everything that does is a POST with a form token.
    pub(crate) fn set_cookie(
        &self,
        session: &Session,
        tls: bool,
        now: i64,
    ) -> Result<HeaderValue, NoRandomness> {
        let seconds = (session.expires_at - now).max(0);
        Ok(cookie(cookie_name(tls), &self.seal(session)?, seconds, tls))
    }
}

/// The `Set-Cookie` value that takes the session out of the browser.
pub(crate) fn clear_cookie(tls: bool) -> HeaderValue {
    cookie(cookie_name(tls), "", 0, tls)
}

/// The values of all cookies of this name that a browser sent.
pub(crate) fn cookies<'h>(
    headers: &'h HeaderMap,
    name: &'static str,
) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(found, _)| *found == name)
        .map(|(_, value)| value)
}

/// A `Set-Cookie` value out of reach for scripts and for requests that other sites make.
pub(crate) fn cookie(name: &str, value: &str, seconds: i64, tls: bool) -> HeaderValue {
    let secure = if tls { "; Secure" } else { "" };
    HeaderValue::try_from(format!(
        "{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    ))
    .expect("base64url and digits are valid in a header")
}

fn cookie_name(tls: bool) -> &'static str {
    if tls { COOKIE_TLS } else { COOKIE }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn session() -> Session {
        let token =
            ApiToken::parse(&format!("v2/wharf-gj3su-{}/{}", "a".repeat(15), "s".repeat(50)));
        Session::new(token.unwrap(), None, NOW).unwrap()
    }

    fn headers(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, cookie.parse().unwrap());
        headers
    }

    #[test]
    fn a_sealed_session_opens_again_and_shows_nothing() {
        let (sealer, session) = (Sealer::new(&[7; 32]), session());
        let sealed = sealer.seal(&session).unwrap();
        assert!(!sealed.contains("gj3su") && !sealed.contains("sss"));
        let opened = sealer.open(&sealed, NOW).unwrap();
        assert_eq!(opened.token.expose(), session.token.expose());
        assert!(opened.accepts_form(&session.form_token) && !opened.accepts_form(""));
        assert_ne!(sealed, sealer.seal(&session).unwrap(), "every sealing has its own nonce");
    }

    #[test]
    fn the_form_token_is_another_text_in_each_answer_and_all_of_them_count() {
        let (sealer, session) = (Sealer::new(&[7; 32]), session());
        let sealed = sealer.seal(&session).unwrap();
        let (one, other) = (sealer.open(&sealed, NOW).unwrap(), sealer.open(&sealed, NOW).unwrap());
        assert_ne!(one.form_token, other.form_token);
        assert!(one.accepts_form(&other.form_token) && session.accepts_form(&one.form_token));
        let foreign = self::session().form_token;
        let half = &one.form_token[..one.form_token.len() / 2];
        let bare = URL_SAFE_NO_PAD.encode(&session.secret);
        for nonsense in ["!", half, &foreign, &bare, &format!("{}A", one.form_token)] {
            assert!(!one.accepts_form(nonsense), "{nonsense}");
        }
    }

    #[test]
    fn another_key_a_changed_byte_and_the_end_of_time_do_not_open() {
        let (sealer, session) = (Sealer::new(&[7; 32]), session());
        let sealed = sealer.seal(&session).unwrap();
        assert!(Sealer::new(&[8; 32]).open(&sealed, NOW).is_none());
        assert!(sealer.open(&sealed, NOW + LIFETIME_SECONDS).is_none());
        for at in 0..sealed.len() - 1 {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(sealer.open(std::str::from_utf8(&changed).unwrap(), NOW).is_none(), "{at}");
        }
        for nonsense in ["", "AAAA", "!", &"A".repeat(5000)] {
            assert!(sealer.open(nonsense, NOW).is_none());
        }
    }

    #[test]
    fn our_cookie_is_found_first_middle_last_and_behind_a_planted_one() {
        let (sealer, session) = (Sealer::new(&[7; 32]), session());
        let ours = format!("{COOKIE}={}", sealer.seal(&session).unwrap());
        for line in [
            format!("{ours}; a=b"),
            format!("a=b; {ours}; c=d"),
            format!("a=b;{ours}"),
            format!("{COOKIE}=planted; {ours}"),
        ] {
            assert!(sealer.find(&headers(&line), false, NOW).is_some(), "{line}");
        }
        assert!(sealer.find(&headers(&ours), true, NOW).is_none(), "plain cookie over TLS");
        assert!(sealer.find(&headers(&format!("x{ours}")), false, NOW).is_none());
    }

    #[test]
    fn the_cookie_is_out_of_reach_for_scripts_and_other_sites() {
        let (sealer, session) = (Sealer::new(&[7; 32]), session());
        let plain = sealer.set_cookie(&session, false, NOW).unwrap();
        let plain = plain.to_str().unwrap();
        assert!(plain.starts_with("wharf_dashboard=") && !plain.contains("Domain"), "{plain}");
        assert!(plain.ends_with("Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"), "{plain}");
        let tls = clear_cookie(true);
        assert_eq!(
            tls.to_str().unwrap(),
            "__Host-wharf_dashboard=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"
        );
    }
}
