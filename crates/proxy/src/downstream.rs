//! Clients' connections over HTTP/1.1, as far as their requests are plain and for service hosts.
//!
//! ```text
//! head awaited ─┬─► plain, for a service ─► served ─► answer out ─┬─► head awaited
//!               │                                                 ├─► closed
//!               └─► anything else: given back,                    └─► switched: the bytes belong to a socket
//!                   with every byte that was not read
//! ```
//!
//! What is read here has one reading only ([`http1::request`]). All else, from odd forms of heads to HTTP/2, is left
//! to hyper, which also refuses what is none: so no request is accepted that was not accepted before, and none is
//! understood in another way. One task drives a connection, from its first byte to its last: a request costs no other
//! task, and no channel where its body came with its head.
//!
//! Owner of all state of a connection: [`wire::Wire`].

mod answer;
mod date;
mod reading;
mod rewound;
mod wire;

use std::pin::pin;
use std::task::Context;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::uri::Uri;
use http::{Request, Version};
use http1::request::Head;
use lifecycle::CancellationToken;

use crate::client_body::ClientBody;
use crate::client_stream::{self, Handover};
use crate::dial::Io;
use crate::peer::Peer;
use crate::proxy::Proxy;

use answer::{After, Asked};
pub use rewound::Rewound;
use wire::{Next, Wire};

/// A connection that was accepted, after its TLS.
#[derive(Debug)]
pub struct Downstream<IO> {
    /// Its bytes.
    pub io: IO,
    /// The other end.
    pub peer: Peer,
    /// What it may take.
    pub limits: DownstreamLimits,
    /// From then on each answer is the last one of its connection.
    pub leaving: CancellationToken,
    /// From then on an idle connection ends at once, too.
    pub closing: CancellationToken,
}

/// What a client's connection may take.
#[derive(Debug, Clone, Copy)]
pub struct DownstreamLimits {
    /// Bytes of a request's head.
    pub head_bytes_max: usize,
    /// From the first byte of a head to its end.
    pub head_timeout: Duration,
    /// Longest wait for a head.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of what is to be sent to it.
    pub stall_timeout: Duration,
}

impl Proxy {
    /// Serves a connection over HTTP/1.1 to its end, or until something comes that is not for service hosts or not
    /// read here: then answers the connection, with every byte that was not served.
    pub async fn serve_http1<IO>(&self, client: Downstream<IO>) -> Option<Rewound<IO>>
    where
        IO: Io + 'static,
    {
        let Downstream { io, peer, limits, leaving, closing } = client;
        let mut wire = Wire::new(io, limits);
        // A set of one: it is looked at when it was woken, and not whenever a request moves.
        let mut ending = FuturesUnordered::from_iter([closing.clone().cancelled_owned()]);
        let mut is_ending = |cx: &mut Context<'_>| ending.poll_next_unpin(cx).is_ready();
        // Nearly all requests of a connection are for one host.
        let mut known: Option<Vec<u8>> = None;
        let mut is_ours = |host: &[u8]| {
            if known.as_deref() != Some(host) && self.is_ours(host) {
                known = Some(host.to_vec());
            }
            known.as_deref() == Some(host)
        };
        loop {
            let head = match wire.next_head(&mut is_ours, &mut is_ending).await {
                Next::Head(head) => head,
                Next::Foreign => return Some(wire.into_unread()),
                Next::End => break,
            };
            let mut asked = Asked::by(&head);
            let (request, handover) = begin(&mut wire, head);
            let response = {
                // Pinned where it is made: it is large.
                let serving = pin!(self.serve(request, peer.clone()));
                wire.serve(serving).await?
            };
            asked.closes |=
                leaving.is_cancelled() || closing.is_cancelled() || peer.farewell().is_some();
            match wire.answer(response, asked).await {
                After::Next => {}
                After::Close => break,
                After::Broken => return None,
                After::Switch => {
                    if let Some(handover) = handover {
                        // Nobody waits for it where access was withdrawn meanwhile.
                        let _nobody = handover.send(Box::new(wire.into_unread()));
                    }
                    return None;
                }
            }
        }
        wire.close().await;
        None
    }

    fn is_ours(&self, host: &[u8]) -> bool {
        std::str::from_utf8(host).is_ok_and(|host| self.is_service_host(host))
    }
}

/// The request of a head, and where its connection goes if it comes to a switch of protocols.
fn begin<IO: Io>(wire: &mut Wire<IO>, head: Head) -> (Request<ClientBody>, Option<Handover>) {
    let Head { method, target, headers, length, wishes, raw: _ } = head;
    let mut request = Request::new(wire.begin_body(length, wishes.awaits_continue));
    let handover = wishes.switches.then(|| client_stream::promise(request.extensions_mut()));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(target);
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    (request, handover)
}
