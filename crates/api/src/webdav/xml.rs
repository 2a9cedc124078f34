//! `207 Multi-Status` answers. The prefix is literally `D:`, which is what Workbench looks for.

use std::time::SystemTime;

use super::asked::{Name, Wanted};
use super::locks::Lock;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in the path of an address.
const IN_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One file or directory.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'e> {
    /// Its address, percent-encoded; a directory's ends with a slash.
    pub(crate) href: String,
    /// Its name.
    pub(crate) name: &'e str,
    /// Size of a file in bytes; none for a directory.
    pub(crate) size: Option<u64>,
    /// When it was changed, where that is known.
    pub(crate) modified: Option<SystemTime>,
    /// With its quotes; only files have one.
    pub(crate) etag: Option<String>,
    /// Only files have one.
    pub(crate) content_type: &'e str,
}

/// The body of a `207` answer, entry by entry.
#[derive(Debug)]
pub(crate) struct Multistatus(String);

impl Multistatus {
    pub(crate) fn new() -> Self {
        Self(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><D:multistatus xmlns:D=\"DAV:\">".to_owned(),
        )
    }

    /// All that is known of it.
    pub(crate) fn add(&mut self, entry: &Entry<'_>) {
        self.add_wanted(entry, &Wanted::All, "", None);
    }

    /// What is wanted of it. Locks are told below `root`; none where there are none at all.
    pub(super) fn add_wanted(
        &mut self,
        entry: &Entry<'_>,
        wanted: &Wanted,
        root: &str,
        locks: Option<&[Lock]>,
    ) {
        let mut known = properties(entry);
        if let Some(locks) = locks {
            known.push(("supportedlock", SUPPORTED_LOCK.to_owned()));
            known.push(("lockdiscovery", locks.iter().map(|lock| active(root, lock)).collect()));
        }
        let xml = &mut self.0;
        xml.push_str("<D:response>");
        element(xml, "href", &entry.href);
        let (mut found, mut missing) = (String::new(), String::new());
        match wanted {
            Wanted::All => known.iter().for_each(|(name, inner)| raw(&mut found, name, inner)),
            Wanted::Names => known.iter().for_each(|(name, _)| raw(&mut found, name, "")),
            Wanted::These(names) => {
                for name in names {
                    match known.iter().find(|(known, _)| name.is_dav(known)) {
                        Some((known, inner)) => raw(&mut found, known, inner),
                        None => foreign(&mut missing, name),
                    }
                }
            }
        }
        if !found.is_empty() || missing.is_empty() {
            propstat(xml, &found, "200 OK");
        }
        if !missing.is_empty() {
            propstat(xml, &missing, "404 Not Found");
        }
        xml.push_str("</D:response>");
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push_str("</D:multistatus>");
        self.0
    }
}

/// Both kinds of write lock (RFC 4918 section 15.10).
const SUPPORTED_LOCK: &str = "<D:lockentry><D:lockscope><D:exclusive/></D:lockscope>\
    <D:locktype><D:write/></D:locktype></D:lockentry><D:lockentry><D:lockscope><D:shared/>\
    </D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>";

/// Name and content of each property.
fn properties(entry: &Entry<'_>) -> Vec<(&'static str, String)> {
    let mut known = vec![("displayname", escaped(entry.name))];
    if let Some(modified) = entry.modified {
        known.push(("getlastmodified", httpdate::fmt_http_date(modified)));
    }
    match entry.size {
        Some(size) => {
            known.push(("resourcetype", String::new()));
            known.push(("getcontentlength", size.to_string()));
            known.push(("getcontenttype", escaped(entry.content_type)));
            known.extend(entry.etag.as_ref().map(|etag| ("getetag", escaped(etag))));
        }
        None => {
            known.push(("resourcetype", "<D:collection xmlns:D=\"DAV:\"/>".to_owned()));
        }
    }
    known
}

/// A lock that is there.
fn active(root: &str, lock: &Lock) -> String {
    let mut xml = String::from("<D:activelock>");
    let scope = if lock.is_shared { "<D:shared/>" } else { "<D:exclusive/>" };
    raw(&mut xml, "locktype", "<D:write/>");
    raw(&mut xml, "lockscope", scope);
    element(&mut xml, "depth", if lock.is_deep { "infinity" } else { "0" });
    element(&mut xml, "owner", &lock.owner);
    element(&mut xml, "timeout", &format!("Second-{}", lock.seconds_left()));
    let mut href = String::new();
    element(&mut href, "href", &lock.token);
    raw(&mut xml, "locktoken", &href);
    href.clear();
    element(&mut href, "href", &format!("{root}/{}", encoded(&lock.path)));
    raw(&mut xml, "lockroot", &href);
    xml.push_str("</D:activelock>");
    xml
}

/// The body of an answer to `LOCK`.
pub(super) fn lock_answer(root: &str, lock: &Lock) -> String {
    let mut discovery = String::new();
    raw(&mut discovery, "lockdiscovery", &active(root, lock));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><D:prop xmlns:D=\"DAV:\">{discovery}</D:prop>"
    )
}

/// The body of an answer to `PROPPATCH`: nothing of it can be changed.
pub(super) fn refusal_of_changes(href: &str, names: &[Name]) -> String {
    let mut multistatus = Multistatus::new();
    let xml = &mut multistatus.0;
    xml.push_str("<D:response>");
    element(xml, "href", href);
    let mut refused = String::new();
    names.iter().for_each(|name| foreign(&mut refused, name));
    propstat(xml, &refused, "403 Forbidden");
    xml.push_str("</D:response>");
    multistatus.finish()
}

fn propstat(xml: &mut String, properties: &str, status: &str) {
    xml.extend(["<D:propstat><D:prop>", properties, "</D:prop><D:status>HTTP/1.1 ", status]);
    xml.push_str("</D:status></D:propstat>");
}

/// A property of whatever namespace, without content.
fn foreign(xml: &mut String, name: &Name) {
    let (local, namespace) = (escaped(&name.local), escaped(&name.namespace));
    xml.extend(["<", &local, " xmlns=\"", &namespace, "\"/>"]);
}

/// An element of ours with finished content.
fn raw(xml: &mut String, name: &str, inner: &str) {
    xml.extend(["<D:", name, ">", inner, "</D:", name, ">"]);
}

/// The answer with a finished body.
pub(crate) fn answer(xml: String) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/xml; charset=utf-8")];
    (StatusCode::MULTI_STATUS, headers, xml).into_response()
}

/// A path as part of an address.
pub(crate) fn encoded(path: &str) -> String {
    utf8_percent_encode(path, IN_PATH).to_string()
}

fn element(xml: &mut String, name: &str, text: &str) {
    raw(xml, name, &escaped(text));
}

fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            // XML has no way to write these.
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            other => xml.push(other),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_and_addresses_are_encoded() {
        let mut multistatus = Multistatus::new();
        multistatus.add(&Entry {
            href: format!("/c=x/{}", encoded("a b/<ä>")),
            name: "<\u{1}&\">",
            size: Some(3),
            modified: Some(SystemTime::UNIX_EPOCH),
            etag: None,
            content_type: "text/plain",
        });
        let xml = multistatus.finish();
        assert!(xml.contains("<D:href>/c=x/a%20b/%3C%C3%A4%3E</D:href>"), "{xml}");
        assert!(
            xml.contains("<D:displayname>&lt;\u{fffd}&amp;&quot;&gt;</D:displayname>"),
            "{xml}"
        );
        assert!(xml.contains("<D:getcontentlength>3</D:getcontentlength>"), "{xml}");
        assert!(xml.contains("Thu, 01 Jan 1970 00:00:00 GMT"), "{xml}");
    }
}
