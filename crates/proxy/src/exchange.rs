//! One request and its answer, seen from outside: when it began, who asked, under which number it is found in logs.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::header::ACCEPT;
use http::{HeaderValue, Method, Request, Uri};
use limits::Tick;
use ring::rand::{SecureRandom, SystemRandom};

use crate::budgets::Address;
use crate::grpc;
use crate::headers::Seen;
use crate::peer::Peer;

/// What pages, logs and forwarded headers need to know of a request once its head has been changed.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) request_id: RequestId,
    pub(crate) begun: Instant,
    pub(crate) method: Method,
    /// As sent, so it may hold a token: for our own use, only its path is ever shown.
    pub(crate) uri: Uri,
    pub(crate) peer: Peer,
    /// Who asks through the peer, where that is a listed proxy.
    behind: Option<Box<Client>>,
    pub(crate) wants_html: bool,
    /// What its head had when it came.
    pub(crate) seen: Seen,
    /// Whether our own answers must be those of gRPC.
    pub(crate) is_call: bool,
}

/// A client of a proxy in front of us.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) ip: IpAddr,
    pub(crate) address: Arc<Address>,
}

impl Exchange {
    /// `behind`: who asks through the peer, where that is a listed proxy.
    pub(crate) fn begin<B>(
        request: &Request<B>,
        peer: Peer,
        behind: Option<Box<Client>>,
        ids: &RequestIds,
    ) -> Self {
        let seen = Seen::in_head(request.headers());
        Self {
            request_id: ids.next(),
            begun: Instant::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            peer,
            behind,
            wants_html: seen.all(request.headers(), &ACCEPT).any(names_html),
            seen,
            is_call: grpc::is_call(request.version(), request.method(), request.headers()),
        }
    }

    /// Whether a repeat of the request asks for nothing but to see.
    pub(crate) fn is_get_or_head(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// The address that counts as the client's: the socket's, or what a listed proxy says.
    pub(crate) fn client_ip(&self) -> IpAddr {
        self.behind.as_ref().map_or_else(|| self.peer.ip(), |client| client.ip)
    }

    /// What that address may still ask for.
    pub(crate) fn address(&self) -> &Arc<Address> {
        self.behind.as_ref().map_or_else(|| self.peer.address(), |client| &client.address)
    }

    /// When it began.
    pub(crate) fn tick(&self) -> Tick {
        Tick::of(self.begun)
    }
}

/// Browsers name `text/html` when they navigate; programs and scripts do not.
fn names_html(accepted: &HeaderValue) -> bool {
    accepted.as_bytes().windows(9).any(|window| window.eq_ignore_ascii_case(b"text/html"))
}

/// `req-` and 20 characters of `0-9a-z`, as Arvados names requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId([u8; 24]);

impl RequestId {
    #[cfg(test)]
    pub(crate) const ZERO: Self = Self(*b"req-00000000000000000000");

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("req-")
    }

    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0)
            .unwrap_or_else(|_impossible| HeaderValue::from_static("req-"))
    }
}

/// Makes numbers that differ within and between processes. They are names and no secrets, so no system call each.
#[derive(Debug)]
pub(crate) struct RequestIds {
    seed: u64,
    n_made: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        let mut seed = [0; 8];
        // Without randomness the numbers still differ within this process.
        let _filled = SystemRandom::new().fill(&mut seed);
        Self { seed: u64::from_le_bytes(seed), n_made: AtomicU64::new(0) }
    }

    fn next(&self) -> RequestId {
        // Of the 36, as many as a number can be cut into without dividing it.
        const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
        let number = self.n_made.fetch_add(1, Ordering::Relaxed);
        let mut text = *b"req-00000000000000000000";
        for (half, slots) in text[4..].chunks_mut(10).enumerate() {
            let mut rest = mix(self.seed ^ mix(number.wrapping_mul(2) + half as u64));
            for slot in slots {
                *slot = DIGITS[(rest % 32) as usize];
                rest /= 32;
            }
        }
        RequestId(text)
    }
}

/// The finaliser of SplitMix64: a bijection, so different numbers stay different.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn request_numbers_differ_and_look_like_arvados_ones() {
        let ids = RequestIds::new();
        let made: HashSet<String> = (0..10_000).map(|_| ids.next().as_str().to_owned()).collect();
        assert_eq!(made.len(), 10_000);
        assert!(made.iter().all(|id| id.starts_with("req-") && id.len() == 24));
    }

    #[test]
    fn only_a_client_that_names_html_gets_pages() {
        let accepts = |text| names_html(&HeaderValue::from_static(text));
        assert!(accepts("application/xml,Text/HTML;q=0.9"));
        assert!(!accepts("*/*") && !accepts(""));
    }
}
