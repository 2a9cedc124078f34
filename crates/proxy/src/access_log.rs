//! One line for each request: who asked what, what was answered, how long it took. No query, no credentials.

use std::fmt::Write;

use http::{Method, StatusCode};

use crate::exchange::{Exchange, RequestId};

/// Longest text of a path or host in the log; the rest is cut.
const TEXT_CHARS_MAX: usize = 256;

/// A line in the making; written when dropped.
#[derive(Debug)]
pub(crate) struct AccessLine {
    request_id: RequestId,
    begun: std::time::Instant,
    peer: std::net::IpAddr,
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
            peer: exchange.peer_ip(),
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
            { request.id = %self.request_id.as_str(), client.address = %self.peer, http.method = %self.method,
              service.host = %self.host, http.path = %self.path, http.status = self.status.as_u16(),
              sent_bytes = self.n_sent, duration_us },
            "request"
        );
    }
}

/// Cut to a length, control and direction characters escaped: one line stays one line (T42).
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(TEXT_CHARS_MAX));
    for (at, character) in text.chars().enumerate() {
        if at == TEXT_CHARS_MAX {
            shown.push('…');
            break;
        }
        let directs = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
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
    fn a_path_cannot_break_the_line() {
        assert_eq!(shown("/a\n\u{202e}b"), "/a\\u{a}\\u{202e}b");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), TEXT_CHARS_MAX + 1);
    }
}
