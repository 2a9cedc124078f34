//! The answer to a request, on its way to the client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, TRAILER};
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use http_body::{Body, Frame};
use http1::chunked;
use http1::length::Framing;
use http1::request::Head;
use http1::response::{self, Terms};
use hyper::ext::ReasonPhrase;

use super::date;
use super::wire::{Fed, Wire};
use crate::body::{BodyError, ProxyBody};
use crate::dial::Io;
use crate::outgoing::Outgoing;

/// Pieces up to this size are copied behind what is to be written anyway: that costs less than a place of their own.
const COPIED_BYTES_MAX: usize = 4 * 1024;
/// As much is gathered of small pieces before it is written.
const GATHERED_BYTES_MAX: usize = 16 * 1024;

/// A map of an answer's fields with room for more than this is not kept for the next request.
const SPARE_FIELDS_MAX: usize = 64;

/// What the request says about its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) is_head: bool,
    /// Whether the client takes trailers.
    pub(super) takes_trailers: bool,
    /// Whether the answer is the last one of its connection.
    pub(super) closes: bool,
}

impl Asked {
    pub(super) fn by(head: &Head) -> Self {
        Self {
            is_head: head.method == Method::HEAD,
            takes_trailers: head.wishes.takes_trailers,
            closes: head.wishes.closes,
        }
    }
}

/// What comes after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Another request.
    Next,
    /// The end.
    Close,
    /// The end, in the middle of something.
    Broken,
    /// Bytes that are no HTTP.
    Switch,
}

/// How far an answer is.
#[expect(
    clippy::large_enum_variant,
    reason = "made once for each request: a box would be an allocation"
)]
enum State {
    /// Its body is on its way.
    Body(Sending),
    /// Everything of it is.
    Over,
    /// It broke off; what came before that still leaves.
    Broken,
}

/// A body on its way.
struct Sending {
    body: ProxyBody,
    /// What is left of it.
    framing: Framing,
    /// Fields that its trailers may have.
    trailers: Vec<HeaderName>,
}

impl<IO: Io> Wire<IO> {
    /// Sends an answer.
    pub(super) async fn answer(&mut self, response: Response<ProxyBody>, asked: Asked) -> After {
        let is_switch = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        // A rest of the request that nobody reads is in the way of the next.
        let closes = !is_switch && (!self.settle_request() || asked.closes);
        let mut state = self.begin_answer(response, Asked { closes, ..asked });
        let sent = std::future::poll_fn(|cx| self.poll_answer(cx, &mut state)).await;
        match (sent, state) {
            // A rest of the request's body is none of the bytes behind it.
            (Ok(()), State::Over) if is_switch && self.reading.is_over() => After::Switch,
            (Ok(()), State::Over) if is_switch => After::Broken,
            (Ok(()), State::Over) if self.finish_request().await && !closes => After::Next,
            (Ok(()), State::Over) => After::Close,
            _ => After::Broken,
        }
    }

    /// Writes the head.
    fn begin_answer(&mut self, response: Response<ProxyBody>, asked: Asked) -> State {
        let (mut head, body) = response.into_parts();
        let exact = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        let framing = Framing::of(asked.is_head, head.status, exact, &head.headers);
        let reason = head.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
        let terms = Terms { reason, framing, closes: asked.closes, date: &date::now() };
        response::write_head(&mut self.outgoing.out, head.status, &head.headers, terms);
        let trailers = match framing {
            Framing::Chunked if asked.takes_trailers => announced(&head.headers),
            _ => Vec::new(),
        };
        if head.headers.capacity() <= SPARE_FIELDS_MAX {
            head.headers.clear();
            self.spare = head.headers;
        }
        if matches!(framing, Framing::Exact(0) | Framing::Absent(_)) {
            return State::Over;
        }
        State::Body(Sending { body, framing, trailers })
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>, state: &mut State) -> Poll<io::Result<()>> {
        loop {
            let waits = self.gather(cx, state);
            let is_over = !matches!(state, State::Body(_));
            let written = if waits || is_over { self.poll_flush(cx) } else { self.poll_write(cx) };
            match written {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if is_over => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if !waits => continue,
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            // Whoever takes the request's body is another task, and is woken.
            return match self.poll_feed(cx) {
                Fed::Gone => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
                Fed::Waits => Poll::Pending,
                Fed::Passed => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            };
        }
    }

    /// Takes what is there of the body, as much as is worth a write. Whether the next of it must be waited for.
    fn gather(&mut self, cx: &mut Context<'_>, state: &mut State) -> bool {
        while let State::Body(sending) = state {
            if self.outgoing.has_piece() || self.outgoing.out.len() >= GATHERED_BYTES_MAX {
                return false;
            }
            let Poll::Ready(frame) = Pin::new(&mut sending.body).poll_frame(cx) else {
                return true;
            };
            // Its connection to the app is free again as soon as it is over.
            match sending.put(frame, &mut self.outgoing) {
                Some(Ended::Well) => *state = State::Over,
                Some(Ended::Early) => *state = State::Broken,
                None => {}
            }
        }
        false
    }
}

/// How a body ended.
enum Ended {
    Well,
    /// Before its time, so that the client must not take it for whole.
    Early,
}

impl Sending {
    /// Puts a frame of the body where it is written from; answers its end.
    fn put(
        &mut self,
        frame: Option<Result<Frame<Bytes>, BodyError>>,
        outgoing: &mut Outgoing,
    ) -> Option<Ended> {
        let frame = match frame {
            None => return Some(self.end(None, outgoing)),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                tracing::debug!(error = %error, "an answer broke off");
                return Some(Ended::Early);
            }
        };
        match frame.into_data() {
            Ok(data) => self.put_data(data, outgoing),
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => Some(self.end(Some(trailers), outgoing)),
                Err(_unknown) => None,
            },
        }
    }

    fn put_data(&mut self, data: Bytes, outgoing: &mut Outgoing) -> Option<Ended> {
        if data.is_empty() {
            return None;
        }
        let (tail, ended) = match &mut self.framing {
            Framing::Absent(_) => return Some(Ended::Well),
            Framing::Exact(left) => {
                // Whoever said less than there is said it of what comes first.
                let Some(rest) = left.checked_sub(data.len() as u64) else {
                    return Some(Ended::Early);
                };
                *left = rest;
                (&b""[..], (rest == 0).then_some(Ended::Well))
            }
            Framing::Chunked => {
                chunked::write_size(&mut outgoing.out, data.len());
                (chunked::CHUNK_END, None)
            }
        };
        if data.len() <= COPIED_BYTES_MAX {
            outgoing.out.extend_from_slice(&data);
            outgoing.out.extend_from_slice(tail);
        } else {
            outgoing.put_piece(data, tail);
        }
        ended
    }

    fn end(&self, trailers: Option<HeaderMap>, outgoing: &mut Outgoing) -> Ended {
        match self.framing {
            Framing::Exact(1..) => return Ended::Early,
            Framing::Exact(0) | Framing::Absent(_) => return Ended::Well,
            Framing::Chunked => {}
        }
        match trailers.map(|trailers| self.allowed(trailers)).filter(|it| !it.is_empty()) {
            None => outgoing.out.extend_from_slice(chunked::LAST_CHUNK),
            Some(trailers) => chunked::write_trailers(&mut outgoing.out, &trailers),
        }
        Ended::Well
    }

    /// What of a trailer section was announced.
    fn allowed(&self, mut trailers: HeaderMap) -> HeaderMap {
        let unannounced: Vec<HeaderName> =
            trailers.keys().filter(|name| !self.trailers.contains(name)).cloned().collect();
        for name in unannounced {
            trailers.remove(name);
        }
        trailers
    }
}

/// The fields that an answer announces for its trailers, without those that no trailer may have: they say how to read a
/// message, whom it is for, or who sent it (RFC 9110 section 6.5.1).
fn announced(headers: &HeaderMap) -> Vec<HeaderName> {
    let names =
        headers.get_all(TRAILER).iter().flat_map(|value| value.as_bytes().split(|it| *it == b','));
    let names = names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
    names.filter(|name| !NEVER_TRAILERS.contains(name)).collect()
}

const NEVER_TRAILERS: [HeaderName; 12] = [
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::HOST,
    header::MAX_FORWARDS,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
];
