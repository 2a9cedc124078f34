//! The feed of changes: server-sent events, parsed as they arrive.

use std::collections::VecDeque;
use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;

use crate::body::BodyStream;
use crate::call::Client;
use crate::error::ClientError;

/// Longest line taken: an event names one record.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Something changed. Says what to look at, not what it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiEvent {
    /// One record.
    Changed {
        /// `container_request`, `container`, `link`, `user`, `token`.
        kind: String,
        /// Its identifier.
        uuid: String,
    },
    /// Events were lost: look at everything.
    Everything,
}

/// Events as they happen; ends with one error when the connection breaks.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<ApiEvent, ClientError>> + Send>>;

impl Client {
    /// Opens the feed; events after this returns are not missed.
    pub async fn events(&self) -> Result<EventStream, ClientError> {
        let body = self.stream("/wharf/v1/events", "text/event-stream").await?;
        Ok(parse_stream(body))
    }
}

fn parse_stream(body: BodyStream) -> EventStream {
    let state = (body, Parser::default(), VecDeque::new());
    stream::unfold(state, |(mut body, mut parser, mut ready)| async move {
        loop {
            if let Some(event) = ready.pop_front() {
                return Some((Ok(event), (body, parser, ready)));
            }
            match body.next().await? {
                Ok(piece) => parser.push(&piece, &mut ready),
                Err(error) => return Some((Err(error), (body, parser, ready))),
            }
        }
    })
    .boxed()
}

/// The event stream format of the HTML standard, as far as our API uses it.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    name: String,
    data: String,
    /// A line was too long and is being skipped.
    overlong: bool,
}

impl Parser {
    fn push(&mut self, piece: &[u8], ready: &mut VecDeque<ApiEvent>) {
        for &byte in piece {
            if byte != b'\n' {
                self.overlong |= self.line.len() >= LINE_BYTES_MAX;
                if !self.overlong {
                    self.line.push(byte);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if !std::mem::take(&mut self.overlong) {
                ready.extend(self.take_line(&String::from_utf8_lossy(&line)));
            }
        }
    }

    fn take_line(&mut self, line: &str) -> Option<ApiEvent> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return self.take_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => self.data.push_str(value),
            // Comments (an empty field) keep the connection alive; other fields are not used.
            _ => {}
        }
        None
    }

    fn take_event(&mut self) -> Option<ApiEvent> {
        #[derive(Deserialize)]
        struct Change {
            kind: String,
            uuid: String,
        }
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        match (name.as_str(), serde_json::from_str(&data)) {
            ("change", Ok(Change { kind, uuid })) => Some(ApiEvent::Changed { kind, uuid }),
            ("everything" | "change", _) => Some(ApiEvent::Everything),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&str]) -> Vec<ApiEvent> {
        let (mut parser, mut ready) = (Parser::default(), VecDeque::new());
        for piece in pieces {
            parser.push(piece.as_bytes(), &mut ready);
        }
        ready.into()
    }

    fn changed(kind: &str, uuid: &str) -> ApiEvent {
        ApiEvent::Changed { kind: kind.to_owned(), uuid: uuid.to_owned() }
    }

    #[test]
    fn events_are_found_wherever_the_pieces_break() {
        let text = ": hello\n\nevent: change\ndata: {\"kind\":\"link\",\"uuid\":\"u\"}\n\n\
                    event:change\r\ndata:{\"kind\":\"user\",\"uuid\":\"v\"}\r\n\r\nevent: everything\ndata: {}\n\n";
        let expected = vec![changed("link", "u"), changed("user", "v"), ApiEvent::Everything];
        for cut in 0..text.len() {
            assert_eq!(parse(&[&text[..cut], &text[cut..]]), expected, "cut at {cut}");
        }
    }

    #[test]
    fn other_events_and_overlong_lines_are_skipped() {
        assert_eq!(parse(&["event: ping\ndata: {}\n\n"]), []);
        let long = "x".repeat(LINE_BYTES_MAX + 10);
        let text = format!("data: {long}\n\nevent: change\ndata: nonsense\n\n");
        assert_eq!(parse(&[&text]), [ApiEvent::Everything]);
    }
}
