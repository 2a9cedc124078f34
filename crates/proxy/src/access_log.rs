//! One line for each request: who asked what, what was answered, how long it took. No query, no credentials.
//!
//! What reaches an app has passed its limits, and each such request has its line. Refusals cost whoever causes them
//! nothing, so for each [`Reason`] there are so many lines a second, and the others are counted.

use std::fmt::Write;

use http::{Method, StatusCode};
use limits::{Lines, Rate, Tick};

use crate::exchange::{Exchange, RequestId};

/// Longest text of a path or host in the log; the rest is cut.
const TEXT_CHARS_MAX: usize = 256;
/// Longest method; `VERSION-CONTROL` (RFC 3253) has 15.
const METHOD_CHARS_MAX: usize = 20;
/// What may come at once of one reason.
const LINE_BURST: std::time::Duration = std::time::Duration::from_secs(10);

/// Why there is a line that the client alone can cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Own,
    Unreadable,
    NotFound,
    Denied,
    ForeignOrigin,
    UnknownProtocol,
    NotReady,
    Over,
    App,
    BrokenBody,
    TooSlow,
    NoRecords,
    TooManyRequests,
    TooManyOpen,
    TooManyMisses,
    TossedCookie,
    NotDialled,
}

/// In the order of the reasons.
pub(crate) const REASONS: [&str; 17] = [
    "answered by the proxy itself",
    "unreadable",
    "not found",
    "denied",
    "from another site",
    "unknown protocol",
    "not ready",
    "over",
    "the app failed",
    "broken body",
    "too slow",
    "records out of reach",
    "too many requests",
    "too many open",
    "too many misses",
    "two session cookies",
    "the app could not be dialled",
];

/// How many lines there may be of each reason.
#[derive(Debug)]
pub(crate) struct RefusalLines(Lines<{ REASONS.len() }>);

impl RefusalLines {
    pub(crate) fn new(per_second: u32) -> Self {
        Self(Lines::new(Rate::per_second(per_second, LINE_BURST)))
    }

    /// Whether a line of this reason may be written; one that may not is counted.
    pub(crate) fn may_write(&self, reason: Reason, now: Tick) -> bool {
        self.0.may_write(reason as usize, now)
    }

    /// One line for each reason of which lines were left out.
    pub(crate) fn tell_left_out(&self) {
        for (reason, n) in self.0.take_left_out() {
            let reason = REASONS[reason];
            tracing::warn!(target: "wharf::access", reason, n, "refusals without a line (Log.RefusalLinesPerSecond)");
        }
    }
}

/// A line in the making; written when dropped.
#[derive(Debug)]
pub(crate) struct AccessLine {
    request_id: RequestId,
    begun: std::time::Instant,
    client: std::net::IpAddr,
    method: Method,
    host: String,
    path: String,
    status: StatusCode,
    n_sent: u64,
}

impl AccessLine {
    /// A line for an answered request; `None` when nobody reads them.
    pub(crate) fn new(exchange: &Exchange, host: &str, status: StatusCode) -> Option<Box<Self>> {
        if !tracing::enabled!(target: "wharf::access", tracing::Level::INFO) {
            return None;
        }
        Some(Box::new(Self {
            request_id: exchange.request_id,
            begun: exchange.begun,
            client: exchange.client_ip(),
            method: exchange.method.clone(),
            host: shown(host),
            path: shown(exchange.uri.path()),
            status,
            n_sent: 0,
        }))
    }

    pub(crate) fn add_sent(&mut self, n_bytes: usize) {
        self.n_sent += n_bytes as u64;
    }
}

impl Drop for AccessLine {
    fn drop(&mut self) {
        let duration_us = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "wharf::access",
            { request.id = %self.request_id.as_str(), client.address = %self.client,
              http.method = shown_method(&self.method), service.host = %self.host, http.path = %self.path,
              http.status = self.status.as_u16(), sent_bytes = self.n_sent, duration_us },
            "request"
        );
    }
}

/// Of the letters of a token (RFC 9110 section 5.6.2), so that it needs no escape, but of any length.
fn shown_method(method: &Method) -> &str {
    let name = method.as_str();
    name.get(..METHOD_CHARS_MAX).unwrap_or(name)
}

/// Cut to a length, control and direction characters escaped: one line stays one line (T42).
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(TEXT_CHARS_MAX));
    for (at, character) in text.chars().enumerate() {
        if at == TEXT_CHARS_MAX {
            shown.push('…');
            break;
        }
        let directs = matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || directs {
            let _infallible = write!(shown, "{}", character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t42_no_text_breaks_its_line_or_fills_the_log() {
        assert_eq!(shown("/a\n\u{202e}b\u{2028}\u{85}"), "/a\\u{a}\\u{202e}b\\u{2028}\\u{85}");
        assert_eq!(shown(&"x".repeat(1_000_000)).chars().count(), TEXT_CHARS_MAX + 1);
        let long = Method::from_bytes("X".repeat(10_000).as_bytes()).unwrap();
        assert_eq!(shown_method(&long).len(), METHOD_CHARS_MAX);
        assert_eq!(shown_method(&Method::GET), "GET");
    }

    #[test]
    fn every_reason_has_its_words() {
        assert_eq!(Reason::NotDialled as usize + 1, REASONS.len());
        assert_eq!(REASONS[Reason::TooManyMisses as usize], "too many misses");
        assert_eq!(REASONS[Reason::Denied as usize], "denied");
    }
}
