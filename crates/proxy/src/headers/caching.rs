//! Who may keep an app's answer, and show it again without asking us (T39; RFC 9111).
//!
//! What needs a credential, or comes from an address that may be somebody else's tomorrow, is kept by no cache that
//! several people use, whatever the app says; within that the app's word holds.

use http::header::{CACHE_CONTROL, VARY};
use http::{HeaderMap, HeaderValue};

const PRIVATE: HeaderValue = HeaderValue::from_static("private");
/// What the gate's answer depends on.
const VARY_ON_CREDENTIALS: HeaderValue = HeaderValue::from_static("Cookie, Authorization");

/// Who may keep an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Whoever the app lets: the port is public and the address will never be another's.
    AsTheAppSays,
    /// Browsers, for whoever uses them: the port is public, and the address may be another's later.
    ByBrowsers,
    /// A browser, for the credential that it was asked with.
    ByTheCaller,
}

impl Kept {
    /// Fields that speak to shared caches alone, over the head of `Cache-Control` (RFC 9213, and what was before it).
    pub(super) fn forbids(self, name: &str) -> bool {
        self != Self::AsTheAppSays
            && (matches!(name, "surrogate-control" | "x-accel-expires")
                || name.strip_suffix("cdn-cache-control").is_some_and(is_empty_or_vendor))
    }

    /// Tells caches.
    pub(super) fn tell(self, headers: &mut HeaderMap) {
        if self == Self::AsTheAppSays {
            return;
        }
        make_private(headers);
        if self == Self::ByTheCaller {
            headers.append(VARY, VARY_ON_CREDENTIALS);
        }
    }
}

/// `CDN-Cache-Control` and `Vendor-CDN-Cache-Control`.
fn is_empty_or_vendor(before: &str) -> bool {
    before.is_empty() || before.ends_with('-')
}

/// Adds `private` to what the app says, unless that is as strict already, and drops what contradicts it.
fn make_private(headers: &mut HeaderMap) {
    let said: Vec<&[u8]> =
        headers.get_all(CACHE_CONTROL).iter().map(HeaderValue::as_bytes).collect();
    if said.is_empty() {
        headers.insert(CACHE_CONTROL, PRIVATE);
        return;
    }
    let is = |word: &'static str| {
        move |directive: &&[u8]| name_of(directive).eq_ignore_ascii_case(word.as_bytes())
    };
    let directives: Vec<&[u8]> = said.iter().flat_map(|value| directives(value)).collect();
    let is_shared = |directive: &&[u8]| is("public")(directive) || is("s-maxage")(directive);
    // `private="field"` is about that field alone.
    let is_strict = |directive: &&[u8]| {
        is("no-store")(directive) || (is("private")(directive) && !directive.contains(&b'='))
    };
    if directives.iter().any(is_strict) && !directives.iter().any(is_shared) {
        return;
    }
    // Ours comes first, so that nothing malformed can swallow it.
    let mut told = PRIVATE.as_bytes().to_vec();
    let stay = directives.iter().filter(|it| !is_shared(it) && !is("private")(it));
    for directive in stay {
        told.extend_from_slice(b", ");
        told.extend_from_slice(directive);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_bytes(&told).unwrap_or(PRIVATE));
}

fn name_of(directive: &[u8]) -> &[u8] {
    directive.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}

/// What lies between the commas that are in no quotes (RFC 9110 §5.6.4); nothing where quotes do not end.
fn directives(value: &[u8]) -> Vec<&[u8]> {
    let (mut found, mut begin) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in value.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                found.push(&value[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    if is_quoted {
        return Vec::new();
    }
    found.push(&value[begin..]);
    found.iter_mut().for_each(|directive| *directive = directive.trim_ascii());
    found.retain(|directive| !directive.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kept: Kept, said: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for value in said {
            headers.append(CACHE_CONTROL, HeaderValue::from_str(value).unwrap());
        }
        kept.tell(&mut headers);
        let values = headers.get_all(CACHE_CONTROL).iter();
        values.map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_needs_a_credential_is_private_unless_the_app_is_stricter() {
        for (said, expected) in [
            (&[][..], &["private"][..]),
            (&["max-age=60"], &["private, max-age=60"]),
            (&["public, max-age=60"], &["private, max-age=60"]),
            (&["Public", "S-MaxAge=9, no-transform"], &["private, no-transform"]),
            (
                &["no-cache=\"set-cookie, x\", max-age=1"],
                &["private, no-cache=\"set-cookie, x\", max-age=1"],
            ),
            (&["private=\"x\", max-age=1"], &["private, max-age=1"]),
            (&["private, s-maxage=60"], &["private"]),
            (&["x=\"\\\", public\", public"], &["private, x=\"\\\", public\""]),
            (&["x=\", public"], &["private"]),
            (&["must-revalidate"], &["private, must-revalidate"]),
            // As strict already: as the app wrote it.
            (&["private"], &["private"]),
            (&["max-age=5,  Private"], &["max-age=5,  Private"]),
            (&["no-store"], &["no-store"]),
            (&["max-age=0", "no-store, no-cache"], &["max-age=0", "no-store, no-cache"]),
        ] {
            assert_eq!(told(Kept::ByTheCaller, said), expected, "{said:?}");
            assert_eq!(told(Kept::ByBrowsers, said), expected, "{said:?}");
            assert_eq!(told(Kept::AsTheAppSays, said), said, "{said:?}");
        }
    }

    #[test]
    fn only_what_needs_a_credential_varies_by_it() {
        for (kept, varies) in
            [(Kept::ByTheCaller, 2), (Kept::ByBrowsers, 1), (Kept::AsTheAppSays, 1)]
        {
            let mut headers = HeaderMap::from_iter([(VARY, HeaderValue::from_static("Accept"))]);
            kept.tell(&mut headers);
            assert_eq!(headers.get_all(VARY).iter().count(), varies, "{kept:?}");
        }
    }

    #[test]
    fn what_is_said_to_shared_caches_alone_goes_where_none_may_keep_it() {
        for name in [
            "cdn-cache-control",
            "cloudflare-cdn-cache-control",
            "surrogate-control",
            "x-accel-expires",
        ] {
            assert!(Kept::ByTheCaller.forbids(name) && Kept::ByBrowsers.forbids(name), "{name}");
            assert!(!Kept::AsTheAppSays.forbids(name), "{name}");
        }
        for name in
            ["cache-control", "expires", "x-cdn", "mycdn-cache-control", "x-accel-buffering"]
        {
            assert!(!Kept::ByTheCaller.forbids(name), "{name}");
        }
    }
}
