//! Our cookies among the app's: taken out of requests, kept from being set by apps, set and cleared by us. Pure.
//!
//! A cookie of ours can come first, in the middle, last, twice, in several headers: in each case the app's
//! cookies stay as they were, byte for byte.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{COOKIE, Entry, HeaderValue};

/// Names that no app may set and no app may see, each also with `__Host-` or `__Secure-` before it and
/// `_<port>` behind it.
const RESERVED: [&str; 4] = ["wharf_session", "wharf_tenant", "wharf_dashboard", "wharf_browser"];

/// What our cookies are called on one origin.
///
/// Browsers keep cookies by host and not by port. So where the port names the service, the names carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CookieNames {
    /// Holds the sealed session.
    pub(crate) session: Cow<'static, str>,
    /// Holds whom the browser met last; only where addresses are used again.
    pub(crate) tenant: Cow<'static, str>,
    /// Holds what tells this browser from others while it is sent to sign in.
    pub(crate) browser: Cow<'static, str>,
}

impl CookieNames {
    /// Names for https or http, on a wildcard name (`None`) or on an external port.
    pub(crate) fn new(https: bool, external_port: Option<u16>) -> Self {
        let (session, tenant, browser) = if https {
            ("__Host-wharf_session", "__Host-wharf_tenant", "__Host-wharf_browser")
        } else {
            ("wharf_session", "wharf_tenant", "wharf_browser")
        };
        let with_port = |name: &'static str| match external_port {
            None => Cow::Borrowed(name),
            Some(port) => Cow::Owned(format!("{name}_{port}")),
        };
        Self { session: with_port(session), tenant: with_port(tenant), browser: with_port(browser) }
    }
}

/// What a request's cookies said of us.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OurCookies {
    /// The session cookie, where there is exactly one.
    pub(crate) session: Option<String>,
    /// Two or more session cookies: somebody else planted one. None counts, all are cleared.
    pub(crate) is_tossed: bool,
    /// Markers of the tenant met last: ours, and what others planted.
    pub(crate) tenants: Vec<String>,
    /// Marks of this browser: ours, and what others planted.
    pub(crate) browsers: Vec<String>,
}

/// Whether a cookie name is reserved for us.
pub(crate) fn is_reserved(name: &[u8]) -> bool {
    let name = strip_prefix_ignoring_case(name, b"__host-")
        .or_else(|| strip_prefix_ignoring_case(name, b"__secure-"))
        .unwrap_or(name);
    RESERVED.iter().any(|reserved| {
        strip_prefix_ignoring_case(name, reserved.as_bytes()).is_some_and(|rest| match rest {
            [] => true,
            [b'_', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
            _ => false,
        })
    })
}

fn strip_prefix_ignoring_case<'t>(text: &'t [u8], prefix: &[u8]) -> Option<&'t [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Takes our cookies out of every `Cookie` header.
///
/// `joins_crumbs`: HTTP/2 clients may send each cookie in a header of its own; an HTTP/1.1 app gets one (RFC 9113 §8.2.3).
pub(crate) fn take_ours(
    headers: &mut HeaderMap,
    names: &CookieNames,
    joins_crumbs: bool,
) -> OurCookies {
    let mut ours = OurCookies::default();
    let several = headers.get_all(COOKIE).iter().nth(1).is_some();
    let touched = headers
        .get_all(COOKIE)
        .iter()
        .any(|value| parts(value.as_bytes()).any(|p| is_reserved(p.name)));
    let must_join = several && joins_crumbs;
    if !touched && !must_join {
        return ours;
    }
    let Entry::Occupied(entry) = headers.entry(COOKIE) else { return ours };
    let (_name, values) = entry.remove_entry_mult();
    let mut kept: Vec<HeaderValue> =
        values.filter_map(|value| without_ours(value, names, &mut ours)).collect();
    if joins_crumbs && kept.len() > 1 {
        let crumbs: Vec<&[u8]> = kept.iter().map(HeaderValue::as_bytes).collect();
        if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
            kept = vec![joined];
        }
    }
    for value in kept {
        headers.append(COOKIE, value);
    }
    if ours.is_tossed {
        ours.session = None;
    }
    ours
}

/// One header without our cookies; `None` when nothing is left of it.
fn without_ours(
    value: HeaderValue,
    names: &CookieNames,
    ours: &mut OurCookies,
) -> Option<HeaderValue> {
    let mut kept = Vec::with_capacity(value.len());
    let mut removed = false;
    for part in parts(value.as_bytes()) {
        if is_reserved(part.name) {
            removed = true;
            note(&part, names, ours);
            continue;
        }
        if kept.is_empty() {
            // The first that stays loses the space that followed the one before it.
            let text = if removed { part.text.trim_ascii_start() } else { part.text };
            kept.extend_from_slice(text);
        } else {
            kept.push(b';');
            kept.extend_from_slice(part.text);
        }
    }
    if !removed {
        return Some(value);
    }
    if kept.trim_ascii().is_empty() {
        return None;
    }
    // Bytes of a valid header value without some of them are one.
    HeaderValue::from_bytes(&kept).ok()
}

fn note(part: &Part<'_>, names: &CookieNames, ours: &mut OurCookies) {
    let value = || String::from_utf8_lossy(unquoted(part.value)).into_owned();
    if part.name == names.session.as_bytes() {
        ours.is_tossed |= ours.session.is_some();
        ours.session = Some(value());
    } else if part.name == names.tenant.as_bytes() {
        ours.tenants.push(value());
    } else if part.name == names.browser.as_bytes() {
        ours.browsers.push(value());
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
}

/// What lies between two semicolons.
struct Part<'v> {
    text: &'v [u8],
    name: &'v [u8],
    value: &'v [u8],
}

fn parts(value: &[u8]) -> impl Iterator<Item = Part<'_>> {
    value.split(|byte| *byte == b';').map(|text| {
        let at = text.iter().position(|byte| *byte == b'=').unwrap_or(text.len());
        let value = text.get(at + 1..).unwrap_or_default().trim_ascii();
        Part { text, name: text[..at].trim_ascii(), value }
    })
}

/// The names of all cookies that are the app's, to let them go one by one.
pub(crate) fn names_of_theirs(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(COOKIE).iter();
    let mut names: Vec<String> = values
        .flat_map(|value| parts(value.as_bytes()))
        .filter(|part| !part.name.is_empty() && !is_reserved(part.name))
        .filter_map(|part| std::str::from_utf8(part.name).ok().map(str::to_owned))
        .collect();
    names.dedup();
    names
}

/// Whether an app may set this cookie: not for a whole domain, which would reach other services, and not under our names.
pub(crate) fn app_may_set(set_cookie: &[u8]) -> bool {
    let mut parts = parts(set_cookie);
    let Some(cookie) = parts.next() else { return true };
    // `=wharf_session=x` has an empty name, and browsers send it back as `wharf_session=x`.
    let nameless = cookie.name.is_empty();
    let sent_back = if nameless { cookie.value.split(|b| *b == b'=').next() } else { None };
    !is_reserved(cookie.name)
        && !sent_back.is_some_and(|name| is_reserved(name.trim_ascii()))
        && !parts.any(|attribute| attribute.name.eq_ignore_ascii_case(b"domain"))
}

/// A `Set-Cookie` value of ours.
pub(crate) fn set(name: &str, value: &str, max_age_s: u64, https: bool) -> Option<HeaderValue> {
    let secure = if https { "; Secure" } else { "" };
    let text =
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    HeaderValue::try_from(text).ok()
}

/// A `Set-Cookie` value that lets a cookie go: the host's own, or the one of a whole domain.
pub(crate) fn clear(name: &str, domain: Option<&str>) -> Option<HeaderValue> {
    let domain = domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
    let secure = if name.starts_with("__") { "; Secure" } else { "" };
    HeaderValue::try_from(format!("{name}=; Path=/; Max-Age=0{domain}{secure}")).ok()
}
