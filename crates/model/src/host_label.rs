//! Host names of services: one DNS label that a user claims with a link.
//!
//! A label can never be mistaken for an identifier, so nobody can take over a UUID's address (the mission
//! asks for that), nor for a name that people trust (`login`, `api`).

use crate::uuid::looks_like_uuid;
use std::fmt;

/// Longest DNS label, RFC 1035 section 2.3.4.
pub const LABEL_BYTES_MAX: usize = 63;

/// Names nobody may claim because people would trust them.
const RESERVED: &[&str] = &[
    "www",
    "api",
    "login",
    "logout",
    "signin",
    "sign-in",
    "signup",
    "sign-up",
    "auth",
    "oauth",
    "oauth2",
    "oidc",
    "sso",
    "account",
    "accounts",
    "admin",
    "administrator",
    "root",
    "system",
    "security",
    "support",
    "help",
    "status",
    "mail",
    "smtp",
    "imap",
    "ftp",
    "ns",
    "ns1",
    "ns2",
    "dns",
    "mx",
    "wpad",
    "isatap",
    "autodiscover",
    "autoconfig",
    "localhost",
    "broadcasthost",
    "local",
    "internal",
    "wharf",
    "arvados",
    "workbench",
    "workbench1",
    "workbench2",
    "controller",
    "keep",
    "keepproxy",
    "keepweb",
    "collections",
    "download",
    "downloads",
    "webdav",
    "ws",
    "websocket",
    "containers",
    "dashboard",
    "console",
    "password",
    "passwd",
    "billing",
    "payment",
    "secure",
    "static",
    "assets",
    "cdn",
    "well-known",
    "acme",
    "postmaster",
    "hostmaster",
    "webmaster",
    "abuse",
    "null",
    "undefined",
];

/// The names nobody may claim: a built-in list plus the site's own.
#[derive(Debug, Clone, Default)]
pub struct ReservedNames {
    site: Vec<String>,
}

impl ReservedNames {
    /// The built-in list with the site's names added.
    pub fn with(site: impl IntoIterator<Item = String>) -> Self {
        Self { site: site.into_iter().map(|name| skeleton(&name.to_ascii_lowercase())).collect() }
    }

    /// Whether a lower-cased name is reserved, or looks like a reserved one (`l0gin`, `log-in`, `adm1n`).
    fn covers(&self, name: &str) -> bool {
        let skeleton = skeleton(name);
        RESERVED.iter().any(|reserved| self::skeleton(reserved) == skeleton)
            || self.site.contains(&skeleton)
    }
}

/// Folds characters that are easily taken for one another, and drops hyphens.
fn skeleton(name: &str) -> String {
    name.replace("rn", "m")
        .replace("vv", "w")
        .chars()
        .filter(|c| *c != '-')
        .map(|c| match c {
            '0' => 'o',
            '1' | 'l' => 'i',
            '5' => 's',
            c => c,
        })
        .collect()
}

/// Why a text cannot be a service's host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostLabelError {
    /// Empty.
    #[error("must not be empty")]
    Empty,
    /// Over 63 bytes.
    #[error("is too long: a host name has at most {LABEL_BYTES_MAX} characters")]
    TooLong,
    /// A character that DNS labels do not have; dots included.
    #[error("may only contain letters, digits and inner hyphens, no dots: `{0}` does not fit")]
    Character(char),
    /// A hyphen at an end.
    #[error("must not start or end with a hyphen")]
    OuterHyphen,
    /// The form of a UUID, or of a UUID and a port.
    #[error(
        "must not have the form of a UUID or of a UUID and a port: those are addresses already"
    )]
    LooksLikeUuid,
    /// Hyphens in third and fourth place: encoded foreign scripts (`xn--`), which can imitate any name.
    #[error(
        "must not have hyphens as third and fourth character: such names are encoded foreign scripts"
    )]
    Encoded,
    /// Only digits: taken for a number of a network address in places.
    #[error("must have a letter in it")]
    OnlyDigits,
    /// Reserved, or too like a reserved name.
    #[error("is reserved, or too like a reserved name: choose another")]
    Reserved,
}

/// A service's host name: one lower-cased DNS label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostLabel(String);

impl HostLabel {
    /// Reads what a user typed; upper case is folded.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(text: &str, reserved: &ReservedNames) -> Result<Self, HostLabelError> {
        let name = text.to_ascii_lowercase();
        if name.is_empty() {
            return Err(HostLabelError::Empty);
        }
        if let Some(odd) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-')) {
            return Err(HostLabelError::Character(odd));
        }
        if name.len() > LABEL_BYTES_MAX {
            return Err(HostLabelError::TooLong);
        }
        if name.starts_with('-') || name.ends_with('-') {
            return Err(HostLabelError::OuterHyphen);
        }
        if has_uuid_form(&name) {
            return Err(HostLabelError::LooksLikeUuid);
        }
        if name.get(2..4) == Some("--") {
            return Err(HostLabelError::Encoded);
        }
        if !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(HostLabelError::OnlyDigits);
        }
        if reserved.covers(&name) { Err(HostLabelError::Reserved) } else { Ok(Self(name)) }
    }

    /// The lower-cased label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `uuid` or `uuid-<anything>`: refused whatever follows, so that no later form can collide.
fn has_uuid_form(name: &str) -> bool {
    let head = name.get(..27).unwrap_or_default();
    looks_like_uuid(head) && matches!(name.as_bytes().get(27), None | Some(b'-'))
}

impl fmt::Display for HostLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a table of values reads better")]
    #[track_caller]
    fn check(text: &str, expected: Result<&str, HostLabelError>) {
        let found = HostLabel::parse(text, &ReservedNames::default());
        assert_eq!(found.as_ref().map(HostLabel::as_str), expected.as_ref().copied(), "{text:?}");
    }

    #[test]
    fn labels_follow_the_rules() {
        check("My-Notebook", Ok("my-notebook"));
        check("a", Ok("a"));
        check("9to5", Ok("9to5"));
        check("", Err(HostLabelError::Empty));
        check("a.b", Err(HostLabelError::Character('.')));
        check("a_b", Err(HostLabelError::Character('_')));
        check("b\u{e4}r", Err(HostLabelError::Character('\u{e4}')));
        check("-a", Err(HostLabelError::OuterHyphen));
        check("a-", Err(HostLabelError::OuterHyphen));
        check("12345", Err(HostLabelError::OnlyDigits));
        check("xn--80ak6aa92e", Err(HostLabelError::Encoded));
        check(&"a".repeat(63), Ok(&"a".repeat(63)));
        check(&"a".repeat(64), Err(HostLabelError::TooLong));
    }

    #[test]
    fn t24_reserved_look_alike_and_uuid_shaped_names_are_refused() {
        for name in ["login", "LOGIN", "l0gin", "log-in", "1ogin", "api", "www", "vvww", "adrnin"] {
            check(name, Err(HostLabelError::Reserved));
        }
        for name in [
            "wharf-xvhdp-0123456789abcde",
            "wharf-dz642-0123456789abcde",
            "zzzzz-xvhdp-0123456789abcde-80",
            "zzzzz-aaaaa-0123456789abcde-x",
        ] {
            check(name, Err(HostLabelError::LooksLikeUuid));
        }
        let site = ReservedNames::with(["Genome".to_owned()]);
        assert_eq!(HostLabel::parse("gen0me", &site), Err(HostLabelError::Reserved));
    }
}
