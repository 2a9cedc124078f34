//! Which containers are used, and when they last were. What counts as use, and noting it for next to nothing.
//!
//! Use is what a person or a program does, and not what an open page does by itself:
//!
//! - a request, from its head to the end of its answer, that is a call of gRPC, or of a program that sends its token;
//!   or changes something (any method but GET, HEAD and OPTIONS); or loads a page (`Sec-Fetch-Mode: navigate`). What
//!   scripts of a page read, and events that it listens to, are none.
//! - data that the client sends on a WebSocket (text and binary frames; a frame that only repeats the last one is a
//!   heartbeat of the app's own), and not pings and pongs, nor what the app sends.
//! - bytes either way on a raw connection.
//!
//! Browsers say how they fetch at addresses that are https or local. Elsewhere a page is known by what it accepts, and
//! a browser by its name.
//!
//! A page that changes things by itself all the time, or reloads itself, cannot be told from a person.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::header::{ACCEPT, COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderName, Method};
use model::ContainerUuid;

use crate::headers::SEC_FETCH_MODE;
use crate::route::Protocol;

/// What nobody has used for so long, and nobody has a grant for, is forgotten; long after it was noted.
const KEPT: Duration = Duration::from_secs(3600);

/// Times are told from here.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The use of one container.
#[derive(Debug, Default)]
pub(crate) struct Use {
    /// Milliseconds since the beginning, and one; 0 is never.
    last: AtomicU64,
    /// Requests that are use, and go on.
    n_requests: AtomicU32,
    /// Open WebSockets and raw connections, used or not.
    n_sockets: AtomicU32,
}

impl Use {
    /// It is used now.
    pub(crate) fn note(&self) {
        self.note_at(Instant::now());
    }

    /// One store: nobody waits for anybody.
    fn note_at(&self, now: Instant) {
        let since = now.saturating_duration_since(*BEGINNING).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX - 1);
        self.last.store(since + 1, Ordering::Relaxed);
    }

    pub(crate) fn begin_request(&self) {
        self.n_requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end_request(&self, now: Instant) {
        self.note_at(now);
        self.n_requests.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn open_socket(&self) {
        self.n_sockets.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn close_socket(&self) {
        self.n_sockets.fetch_sub(1, Ordering::Relaxed);
    }

    fn last_used_at(&self) -> Option<Instant> {
        if self.n_requests.load(Ordering::Relaxed) > 0 {
            return Some(Instant::now());
        }
        let last = self.last.load(Ordering::Relaxed).checked_sub(1)?;
        Some(*BEGINNING + Duration::from_millis(last))
    }
}

/// How one container is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerUse {
    /// Which.
    pub container: ContainerUuid,
    /// When it last was, by way of this proxy.
    pub used_at: Option<Instant>,
    /// WebSockets and raw connections that are open to it.
    pub n_sockets: u32,
}

/// All containers that a proxy serves. Clones are handles to the same table; one short lock, never held across an await.
#[derive(Debug, Clone, Default)]
pub struct Uses(Arc<Mutex<HashMap<ContainerUuid, Arc<Use>>>>);

impl Uses {
    pub(crate) fn of(&self, container: ContainerUuid) -> Arc<Use> {
        Arc::clone(self.table().entry(container).or_default())
    }

    /// How each is used; those of long ago are forgotten.
    pub fn list(&self) -> Vec<ContainerUse> {
        let mut table = self.table();
        table.retain(|_, of| {
            let is_new = of.last_used_at().is_some_and(|at| at.elapsed() < KEPT);
            is_new || Arc::strong_count(of) > 1
        });
        let of = |(container, of): (&ContainerUuid, &Arc<Use>)| ContainerUse {
            container: *container,
            used_at: of.last_used_at(),
            n_sockets: of.n_sockets.load(Ordering::Relaxed),
        };
        table.iter().map(of).collect()
    }

    /// WebSockets and raw connections that are open to one container.
    pub fn n_sockets(&self, container: ContainerUuid) -> u32 {
        self.table().get(&container).map_or(0, |of| of.n_sockets.load(Ordering::Relaxed))
    }

    /// A poisoned lock is taken as is: every entry is whole.
    fn table(&self) -> MutexGuard<'_, HashMap<ContainerUuid, Arc<Use>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a request is use. What goes over a socket is asked of its bytes.
pub(crate) fn is_use(
    protocol: &Protocol,
    method: &Method,
    headers: &HeaderMap,
    is_program: bool,
) -> bool {
    match protocol {
        Protocol::Call => true,
        Protocol::Http => is_program || is_persons_request(method, headers),
        _ => false,
    }
}

fn is_persons_request(method: &Method, headers: &HeaderMap) -> bool {
    if !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    if *method == Method::OPTIONS {
        return false;
    }
    if let Some(mode) = headers.get(SEC_FETCH_MODE) {
        return mode == "navigate";
    }
    let begins = |name: HeaderName, with: &[u8]| {
        headers.get(name).is_some_and(|value| value.as_bytes().starts_with(with))
    };
    let is_browser = headers.contains_key(COOKIE) || begins(USER_AGENT, b"Mozilla/");
    !is_browser || begins(ACCEPT, b"text/html")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn check(method: &str, headers: &[(&str, &str)], is_program: bool, expected: bool) {
        let fields = headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::try_from(*value).unwrap())
        });
        let map: HeaderMap = fields.collect();
        let method: Method = method.parse().unwrap();
        let found = is_use(&Protocol::Http, &method, &map, is_program);
        assert_eq!(found, expected, "{method} {headers:?} {is_program}");
    }

    #[test]
    fn what_a_page_fetches_by_itself_is_no_use_and_what_people_and_programs_do_is() {
        let by_script = ("sec-fetch-mode", "cors");
        check("GET", &[by_script], false, false);
        check("GET", &[("sec-fetch-mode", "no-cors")], false, false);
        check("GET", &[("sec-fetch-mode", "navigate")], false, true);
        check("POST", &[by_script], false, true);
        check("DELETE", &[by_script], false, true);
        check("OPTIONS", &[by_script], false, false);
        check("GET", &[by_script], true, true);
        // Without such words: curl at a public port, and browsers at plain addresses.
        check("GET", &[("user-agent", "curl/8.5")], false, true);
        let browser = ("user-agent", "Mozilla/5.0 (X11)");
        check("GET", &[browser, ("accept", "*/*")], false, false);
        check("GET", &[browser, ("accept", "text/html,*/*")], false, true);
        check("GET", &[("cookie", "a=b")], false, false);
    }

    #[test]
    fn sockets_and_the_start_page_count_by_their_bytes_or_not_at_all() {
        let headers = HeaderMap::new();
        for protocol in [Protocol::Tcp, Protocol::WebSocketOverHttp2, Protocol::Status] {
            assert!(!is_use(&protocol, &Method::GET, &headers, true), "{protocol:?}");
        }
        assert!(is_use(&Protocol::Call, &Method::POST, &headers, false));
    }

    #[test]
    fn a_request_is_use_until_it_ends_and_an_open_socket_is_none() {
        let uses = Uses::default();
        let uuid = ContainerUuid::parse("wharf-dz642-aaaaaaaaaaaaaaa").unwrap();
        let of = uses.of(uuid);
        of.open_socket();
        assert_eq!(uses.list()[0].used_at, None);
        assert_eq!((uses.list()[0].n_sockets, uses.n_sockets(uuid)), (1, 1));
        of.begin_request();
        let before = Instant::now();
        assert!(uses.list()[0].used_at.unwrap() >= before);
        of.end_request(Instant::now());
        let ended = uses.list()[0].used_at.unwrap();
        assert!(ended <= Instant::now());
        assert_eq!(uses.list()[0].used_at, Some(ended));
        of.close_socket();
        assert_eq!(uses.n_sockets(uuid), 0);
        drop(of);
        assert_eq!(uses.list().len(), 1, "used just now");
    }
}
