//! Printing things that may hold secrets.

use std::fmt;

/// Prints a URL or request target without its query and fragment, where tokens travel.
///
/// User information (`user:password@`) is dropped as well.
#[derive(Clone, Copy)]
pub struct RedactedUrl<'a>(pub &'a str);

impl fmt::Display for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.find(['?', '#']).unwrap_or(self.0.len());
        let (shown, hidden) = self.0.split_at(end);
        match shown.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let host = authority.rsplit('@').next().unwrap_or_default();
                write!(f, "{scheme}://{host}{path}")?;
            }
            None => f.write_str(shown)?,
        }
        if hidden.starts_with('?') { f.write_str("?…") } else { Ok(()) }
    }
}

impl fmt::Debug for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Masks everything in free text that looks like one of our credentials: `v2/…/…` tokens keep
/// their identifier, `wc1_…` codes keep only their kind.
///
/// For text that comes from outside (an error of a peer); our own code does not put secrets into
/// text in the first place.
pub fn redact_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, kind)) = next_secret(rest) {
        let (before, secret) = rest.split_at(at);
        shown.push_str(before);
        let end = secret.find(|c| !is_secret_char(c)).unwrap_or(secret.len());
        let (secret, after) = secret.split_at(end);
        match (kind, secret.split('/').nth(1)) {
            (Secret::Token, Some(uuid)) => shown.extend(["v2/", uuid, "/…"]),
            (Secret::Token, None) => shown.push_str("v2/…"),
            (Secret::Code, _) => shown.push_str("wc1_…"),
        }
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[derive(Clone, Copy)]
enum Secret {
    Token,
    Code,
}

/// Where the next secret starts, in bytes.
fn next_secret(text: &str) -> Option<(usize, Secret)> {
    let token = text.find("v2/").map(|at| (at, Secret::Token));
    let code = text.find("wc1_").map(|at| (at, Secret::Code));
    token.into_iter().chain(code).min_by_key(|(at, _)| *at)
}

fn is_secret_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_query_fragment_and_user() {
        let check = |url: &str, shown: &str| assert_eq!(RedactedUrl(url).to_string(), shown);
        check("/a/b", "/a/b");
        check("/a?api_token=v2/x/y", "/a?…");
        check("/a#api_token=v2/x/y", "/a");
        check("https://u:p@host:1/a?b#c", "https://host:1/a?…");
        check("https://host", "https://host");
        check("https://host?x=a@b/c", "https://host?…");
        check("", "");
    }

    #[test]
    fn credentials_in_text_are_masked() {
        let check = |text: &str, shown: &str| assert_eq!(redact_text(text), shown);
        check("no secret", "no secret");
        check(
            "bad token v2/zzzzz-gj3su-000000000000000/abc, sorry",
            "bad token v2/zzzzz-gj3su-000000000000000/…, sorry",
        );
        check("a wc1_abc-DEF_9 b v2/x/y", "a wc1_… b v2/x/…");
        check("v2/", "v2//…");
    }
}
