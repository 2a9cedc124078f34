//! What goes through, counted for each port: requests and how long they took, bytes, what is open, refusals.
//!
//! The counters of a port are found with the grant, so a request adds to numbers that it holds already: no look-up, no
//! lock, no allocation. All are relaxed: they are read apart from each other, seconds later.
//!
//! Owner of mutable state: [`Ports`], one short lock, taken when a grant is made and when somebody reads all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use history::latency::{Times, TimesCounted};
use http::StatusCode;
use model::ContainerUuid;

use crate::access_log::{REASONS, Reason};

/// A number that only grows.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one port of one container.
#[derive(Debug, Default)]
pub(crate) struct PortTraffic {
    by_class: [Counter; 5],
    first_byte: Times,
    whole: Times,
    bytes_in: Counter,
    bytes_out: Counter,
    n_opened: Counter,
    n_closed: Counter,
    n_sockets_opened: Counter,
    n_sockets_closed: Counter,
}

impl PortTraffic {
    /// A request has begun.
    pub(crate) fn opened(&self) {
        self.n_opened.add(1);
    }

    /// Its answer, or the socket that it became, has ended; it took so long in all.
    pub(crate) fn closed(&self, took: Duration) {
        self.n_closed.add(1);
        self.whole.add(took);
    }

    pub(crate) fn socket_opened(&self) {
        self.n_sockets_opened.add(1);
    }

    pub(crate) fn socket_closed(&self) {
        self.n_sockets_closed.add(1);
    }

    /// It was answered with this status; `first_byte` where that was the app's.
    pub(crate) fn answered(&self, status: StatusCode, first_byte: Option<Duration>) {
        // `http` knows statuses from 100 to 999; what lies beyond 5xx is an error as well.
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.by_class[class].add(1);
        if let Some(took) = first_byte {
            self.first_byte.add(took);
        }
    }

    pub(crate) fn add_in(&self, n_bytes: usize) {
        self.bytes_in.add(n_bytes as u64);
    }

    pub(crate) fn add_out(&self, n_bytes: usize) {
        self.bytes_out.add(n_bytes as u64);
    }

    /// Takes up what another one counted.
    fn take_up(&self, other: &Self) {
        let pairs = [
            (&self.bytes_in, &other.bytes_in),
            (&self.bytes_out, &other.bytes_out),
            (&self.n_opened, &other.n_opened),
            (&self.n_closed, &other.n_closed),
            (&self.n_sockets_opened, &other.n_sockets_opened),
            (&self.n_sockets_closed, &other.n_sockets_closed),
        ];
        let classes = self.by_class.iter().zip(&other.by_class);
        classes.chain(pairs).for_each(|(to, from)| to.add(from.get()));
        self.first_byte.take_up(&other.first_byte.get());
        self.whole.take_up(&other.whole.get());
    }

    fn get(&self) -> PortCounted {
        // Closed first: what is opened meanwhile must not make it negative.
        let (n_closed, n_sockets_closed) = (self.n_closed.get(), self.n_sockets_closed.get());
        PortCounted {
            by_class: std::array::from_fn(|class| self.by_class[class].get()),
            first_byte: self.first_byte.get(),
            whole: self.whole.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            n_open: self.n_opened.get().saturating_sub(n_closed),
            n_sockets: self.n_sockets_opened.get().saturating_sub(n_sockets_closed),
        }
    }
}

/// What was counted of one port since it was first asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortCounted {
    /// Answers by the first digit of their status: 1xx first, 5xx last; ours among them.
    pub by_class: [u64; 5],
    /// Until the head of the app's answer.
    pub first_byte: TimesCounted,
    /// Until the end of the answer, or of the socket.
    pub whole: TimesCounted,
    /// Bytes of bodies and sockets from clients.
    pub bytes_in: u64,
    /// Bytes of bodies and sockets to clients.
    pub bytes_out: u64,
    /// Requests and sockets that are open.
    pub n_open: u64,
    /// Sockets among them: WebSockets and raw connections.
    pub n_sockets: u64,
}

/// A port of a container; none for those beyond the number that is told apart, and those that were forgotten.
pub type PortKey = Option<(ContainerUuid, u16)>;

/// The counters of all ports that somebody asked for lately, at most so many.
#[derive(Debug)]
pub(crate) struct Ports {
    by_key: Mutex<HashMap<(ContainerUuid, u16), Entry>>,
    n_max: usize,
    /// Of those beyond, and of those that were forgotten: so all together never grow less.
    others: Arc<PortTraffic>,
    refused: [Counter; REASONS.len()],
}

#[derive(Debug, Default)]
struct Entry {
    traffic: Arc<PortTraffic>,
    /// How often it was read since somebody held it.
    n_idle_reads: u32,
}

impl Ports {
    pub(crate) fn new(n_max: usize) -> Self {
        let (by_key, others) = (Mutex::default(), Arc::default());
        Self { by_key, n_max, others, refused: Default::default() }
    }

    /// The counters of a port, for a new grant.
    pub(crate) fn of(&self, container: ContainerUuid, port: u16) -> Arc<PortTraffic> {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (container, port);
        if by_key.len() >= self.n_max && !by_key.contains_key(&key) {
            return Arc::clone(&self.others);
        }
        Arc::clone(&by_key.entry(key).or_default().traffic)
    }

    pub(crate) fn refused(&self, reason: Reason) {
        self.refused[reason as usize].add(1);
    }

    /// Refusals by reason, in words.
    pub(crate) fn refusals(&self) -> Vec<(&'static str, u64)> {
        REASONS.into_iter().zip(self.refused.iter().map(Counter::get)).collect()
    }

    /// What was counted; forgets ports that nobody holds a grant for at so many readings in a row.
    pub(crate) fn read(&self, n_idle_reads_max: u32) -> Vec<(PortKey, PortCounted)> {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        by_key.retain(|_key, entry| {
            let is_held = Arc::strong_count(&entry.traffic) > 1;
            entry.n_idle_reads = if is_held { 0 } else { entry.n_idle_reads + 1 };
            let is_kept = entry.n_idle_reads <= n_idle_reads_max;
            if !is_kept {
                self.others.take_up(&entry.traffic);
            }
            is_kept
        });
        let known = by_key.iter().map(|(key, entry)| (Some(*key), entry.traffic.get()));
        known.chain([(None, self.others.get())]).collect()
    }

    /// The same without forgetting.
    pub(crate) fn peek(&self) -> Vec<(PortKey, PortCounted)> {
        let by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        let known = by_key.iter().map(|(key, entry)| (Some(*key), entry.traffic.get()));
        known.chain([(None, self.others.get())]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(n: u8) -> ContainerUuid {
        ContainerUuid::parse(&format!("wharf-dz642-{n:015}")).unwrap()
    }

    #[test]
    fn ports_are_told_apart_up_to_a_number_and_forgotten_when_nobody_holds_them() {
        let ports = Ports::new(2);
        let first = ports.of(container(1), 80);
        let second = ports.of(container(1), 81);
        let beyond = ports.of(container(2), 80);
        assert!(Arc::ptr_eq(&beyond, &ports.of(container(3), 80)));
        assert!(Arc::ptr_eq(&first, &ports.of(container(1), 80)));
        beyond.add_in(7);
        second.add_in(3);
        drop(second);
        let keys = || ports.read(1).into_iter().filter_map(|(key, _)| key).count();
        assert_eq!((keys(), keys()), (2, 1), "the second was idle twice");
        let others = ports.peek().into_iter().find(|(key, _)| key.is_none()).unwrap();
        assert_eq!(others.1.bytes_in, 10, "what was forgotten still counts");
    }

    #[test]
    fn a_request_is_counted_by_status_and_time() {
        let traffic = PortTraffic::default();
        traffic.opened();
        traffic.opened();
        traffic.answered(StatusCode::OK, Some(Duration::from_micros(1_500)));
        traffic.answered(StatusCode::from_u16(999).unwrap(), None);
        traffic.closed(Duration::from_millis(30));
        let counted = traffic.get();
        assert_eq!(counted.by_class, [0, 1, 0, 0, 1]);
        assert_eq!((counted.first_byte.buckets[1], counted.first_byte.sum_us), (1, 1_500));
        assert_eq!((counted.whole.buckets[5], counted.n_open), (1, 1));
    }
}
