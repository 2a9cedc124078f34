//! `207 Multi-Status` answers. The prefix is literally `D:`, which is what Workbench looks for.

use std::time::SystemTime;

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

    pub(crate) fn add(&mut self, entry: &Entry<'_>) {
        let xml = &mut self.0;
        xml.push_str("<D:response>");
        element(xml, "href", &entry.href);
        xml.push_str("<D:propstat><D:prop>");
        element(xml, "displayname", entry.name);
        if let Some(modified) = entry.modified {
            element(xml, "getlastmodified", &httpdate::fmt_http_date(modified));
        }
        match entry.size {
            Some(size) => {
                xml.push_str("<D:resourcetype></D:resourcetype>");
                element(xml, "getcontentlength", &size.to_string());
                element(xml, "getcontenttype", entry.content_type);
                if let Some(etag) = &entry.etag {
                    element(xml, "getetag", etag);
                }
            }
            None => {
                xml.push_str("<D:resourcetype><D:collection xmlns:D=\"DAV:\"/></D:resourcetype>")
            }
        }
        xml.push_str("</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>");
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push_str("</D:multistatus>");
        self.0
    }
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
    xml.extend(["<D:", name, ">"]);
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
    xml.extend(["</D:", name, ">"]);
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
