//! The sealed session: what our cookie holds. It is no API token, and worth nothing on any other service host.
//!
//! `base64url(nonce 12 ‖ AES-256-GCM(version 1 ‖ token uuid 27 ‖ user uuid 27 ‖ expiry 8, big-endian seconds) ‖ tag 16)`,
//! the scheme and service host authenticated with it. A guest's has version 2, and the identifiers of session and
//! invitation.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{GuestSessionUuid, InvitationUuid, TokenUuid, UserUuid};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::config::SessionKey;
use crate::directory::Guest;

const OF_USER: u8 = 1;
const OF_GUEST: u8 = 2;
const UUID_BYTES: usize = 27;
const PLAIN_BYTES: usize = 1 + 2 * UUID_BYTES + 8;
const TAG_BYTES: usize = 16;
const SEALED_BYTES: usize = NONCE_LEN + PLAIN_BYTES + TAG_BYTES;
const TEXT_BYTES: usize = (SEALED_BYTES * 4).div_ceil(3);

/// What a session says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    /// Whose it is; asked about on every request.
    pub(crate) holder: Holder,
    /// When it ends, in seconds since 1970.
    pub(crate) expires_at_s: u64,
}

/// Whose a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A user's, with the token it was made with.
    User { token: TokenUuid, user: UserUuid },
    /// Of somebody who was invited.
    Guest(Guest),
}

/// Seals and opens sessions.
#[derive(Debug)]
pub(crate) struct Seal {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Seal {
    /// A seal of the site's key.
    pub(crate) fn new(key: &SessionKey) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, &key.0).expect("the key has AES-256's length");
        Self { key: LessSafeKey::new(key), random: SystemRandom::new() }
    }

    /// Seals a session for one origin (`http://host[:port]`); `None` when there is no randomness to be had.
    pub(crate) fn seal(&self, session: &Session, origin: &str) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut plain = Vec::with_capacity(SEALED_BYTES);
        let (version, first, second) = match &session.holder {
            Holder::User { token, user } => (OF_USER, token.as_str(), user.as_str()),
            Holder::Guest(it) => (OF_GUEST, it.session.as_str(), it.invitation.as_str()),
        };
        plain.push(version);
        plain.extend_from_slice(first.as_bytes());
        plain.extend_from_slice(second.as_bytes());
        plain.extend_from_slice(&session.expires_at_s.to_be_bytes());
        let aad = Aad::from(origin.as_bytes());
        let once = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(once, aad, &mut plain).ok()?;
        let mut sealed = nonce.to_vec();
        sealed.extend_from_slice(&plain);
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens what was sealed for this origin and has not ended; `None` for everything else.
    pub(crate) fn open(&self, text: &str, origin: &str, now_s: u64) -> Option<Session> {
        if text.len() != TEXT_BYTES {
            return None;
        }
        // The decoder wants room for whole groups of three.
        let mut sealed = [0; SEALED_BYTES + 3];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut sealed).ok()?;
        let (nonce, sealed) = sealed.get_mut(..length)?.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self.key.open_in_place(nonce, Aad::from(origin.as_bytes()), sealed).ok()?;
        let session = read(plain)?;
        (session.expires_at_s > now_s).then_some(session)
    }
}

fn read(plain: &[u8]) -> Option<Session> {
    let (version, rest) = plain.split_first()?;
    let (first, rest) = rest.split_at_checked(UUID_BYTES)?;
    let (second, expiry) = rest.split_at_checked(UUID_BYTES)?;
    let (first, second) = (std::str::from_utf8(first).ok()?, std::str::from_utf8(second).ok()?);
    let holder = match *version {
        OF_USER => Holder::User {
            token: TokenUuid::parse(first).ok()?,
            user: UserUuid::parse(second).ok()?,
        },
        OF_GUEST => Holder::Guest(Guest {
            session: GuestSessionUuid::parse(first).ok()?,
            invitation: InvitationUuid::parse(second).ok()?,
        }),
        _ => return None,
    };
    Some(Session { holder, expires_at_s: u64::from_be_bytes(expiry.try_into().ok()?) })
}
