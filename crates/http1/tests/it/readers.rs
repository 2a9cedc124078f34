//! Two readers of the same bytes: this crate, and hyper's server.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use http1::chunked::{Decoder, Piece};
use http1::length::BodyLength;
use http1::request::read_head;
use hyper::body::Incoming;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Far more than a script has.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A request as it was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
    /// Whether its body came to its end.
    pub(crate) is_whole: bool,
}

/// What this crate reads, up to the first head that it leaves to others, or a body that breaks off.
pub(crate) fn read(script: &[u8]) -> Vec<Seen> {
    let mut reader = Reader::default();
    reader.take(script);
    reader.seen
}

/// The same, of pieces of `step` bytes.
pub(crate) fn read_in_pieces(script: &[u8], step: usize) -> Vec<Seen> {
    let mut reader = Reader::default();
    for piece in script.chunks(step) {
        reader.take(piece);
    }
    reader.seen
}

#[derive(Default)]
struct Reader {
    buffer: BytesMut,
    seen: Vec<Seen>,
    rest: Option<Rest>,
    is_over: bool,
}

enum Rest {
    Exact(u64),
    Chunked(Decoder),
}

impl Reader {
    fn take(&mut self, piece: &[u8]) {
        if self.is_over {
            return;
        }
        self.buffer.extend_from_slice(piece);
        while !self.is_over {
            let went_on = match &mut self.rest {
                None => self.take_head(),
                Some(Rest::Exact(left)) => {
                    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
                    *left -= n as u64;
                    let is_whole = *left == 0;
                    let data = self.buffer.split_to(n);
                    self.last().body.extend_from_slice(&data);
                    is_whole && self.end_body()
                }
                Some(Rest::Chunked(decoder)) => match decoder.next(&mut self.buffer) {
                    Ok(Some(Piece::Data(data))) => {
                        self.last().body.extend_from_slice(&data);
                        true
                    }
                    Ok(Some(Piece::Trailers(trailers))) => {
                        self.last().trailers = trailers;
                        true
                    }
                    Ok(Some(Piece::End)) => self.end_body(),
                    Ok(None) => false,
                    Err(_problem) => {
                        self.is_over = true;
                        false
                    }
                },
            };
            if !went_on {
                return;
            }
        }
    }

    fn last(&mut self) -> &mut Seen {
        self.seen.last_mut().expect("a head came before the body")
    }

    fn take_head(&mut self) -> bool {
        let head = match read_head(&mut self.buffer, HEAD_BYTES_MAX, &mut HeaderMap::new()) {
            Ok(Some(head)) => head,
            Ok(None) => return false,
            Err(_problem) => {
                self.is_over = true;
                return false;
            }
        };
        self.rest = Some(match head.length {
            BodyLength::Exact(length) => Rest::Exact(length),
            BodyLength::Chunked => Rest::Chunked(Decoder::default()),
            BodyLength::UntilClose => unreachable!("no request ends with its connection"),
        });
        self.seen.push(Seen {
            method: head.method,
            target: head.target.to_string(),
            headers: head.headers,
            ..Seen::default()
        });
        true
    }

    fn end_body(&mut self) -> bool {
        self.rest = None;
        let last = self.last();
        last.is_whole = true;
        let closes = http1::has_token(&last.headers, &http::header::CONNECTION, b"close");
        self.is_over = closes;
        true
    }
}

/// hyper's server, over memory.
pub(crate) struct Hyper(tokio::runtime::Runtime);

impl Hyper {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self(runtime.expect("a runtime"))
    }

    /// What it reads of a script, behind which nothing comes.
    pub(crate) fn read(&self, script: &[u8]) -> Vec<Seen> {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let notes = Arc::clone(&seen);
        self.0.block_on(async move {
            let (client, server) = tokio::io::duplex(script.len().max(1) + 64 * 1024);
            let (mut answers, mut requests) = tokio::io::split(client);
            requests.write_all(script).await.expect("there is room for it");
            requests.shutdown().await.expect("its end is heard");
            let service = service_fn(move |request| answer(Arc::clone(&notes), request));
            let mut builder = server::Builder::new();
            // Else it would let go of a request that it has read whole.
            builder.half_close(true);
            let serving = builder.serve_connection(TokioIo::new(server), service);
            let draining = async {
                let mut unread = Vec::new();
                let _end = answers.read_to_end(&mut unread).await;
            };
            let (_ended, ()) = tokio::join!(serving.with_upgrades(), draining);
        });
        let seen = seen.lock().expect("nothing panicked");
        seen.clone()
    }
}

async fn answer(
    notes: Arc<Mutex<Vec<Seen>>>,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, mut body) = request.into_parts();
    let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let mut seen = Seen { method: head.method, target, headers: head.headers, ..Seen::default() };
    seen.is_whole = loop {
        match body.frame().await {
            None => break true,
            Some(Err(_broken)) => break false,
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => seen.body.extend_from_slice(&data),
                Err(frame) => seen.trailers = frame.into_trailers().unwrap_or_default(),
            },
        }
    };
    notes.lock().expect("nothing panicked").push(seen);
    Ok(Response::new(Empty::new()))
}

/// Whatever was read here, hyper has read, and read alike.
pub(crate) fn assert_alike(ours: &[Seen], theirs: &[Seen], script: impl Fn() -> String) {
    for (n, ours) in ours.iter().enumerate() {
        let Some(theirs) = theirs.get(n) else {
            panic!("hyper has read no request {n}, where we read {ours:?}\n{}", script());
        };
        if ours.is_whole {
            assert_eq!(ours, theirs, "request {n} of {}", script());
        } else {
            // Whose body breaks off here may be told in full by nobody, or go on there; its head is the same.
            let (head, their_head) = (&ours.headers, &theirs.headers);
            assert_eq!(
                (&ours.method, &ours.target, head),
                (&theirs.method, &theirs.target, their_head),
                "{}",
                script()
            );
        }
    }
}
