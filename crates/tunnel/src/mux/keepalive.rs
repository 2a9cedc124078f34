//! Whether the peer is still there, and how far away it is.
//!
//! A ping goes out at the start (its answer tells the round trip) and whenever nothing came in for
//! an interval. Any byte from the peer counts as life; silence beyond the deadline is the end.

use std::time::{Duration, Instant};

use crate::Violation;
use crate::frame::{FrameType, Header};
use crate::limits::Limits;
use crate::outbox::Outbox;

/// Pings that a peer may send between two of our ticks.
const PINGS_MAX: u32 = 1000;

#[derive(Debug)]
pub(super) struct KeepAlive {
    interval: Duration,
    deadline: Duration,
    next: Instant,
    /// Something came in since the last tick.
    heard: bool,
    /// Counts the times something came in.
    n_heard: u64,
    /// The last tick found silence.
    doubting: bool,
    number: u32,
    unanswered_since: Option<Instant>,
    round_trip: Option<Duration>,
    /// Pings answered since the last tick.
    answered: u32,
}

#[derive(Debug)]
pub(super) struct PeerSilent;

impl KeepAlive {
    pub(super) fn start(now: Instant, limits: &Limits, outbox: &mut Outbox) -> Self {
        let mut keepalive = Self {
            interval: limits.ping_interval,
            deadline: limits.ping_deadline,
            next: now + limits.ping_interval,
            heard: false,
            n_heard: 0,
            doubting: false,
            number: 0,
            unanswered_since: None,
            round_trip: None,
            answered: 0,
        };
        keepalive.ping(now, outbox);
        keepalive
    }

    pub(super) fn hear(&mut self) {
        self.heard = true;
        self.n_heard += 1;
    }

    /// Sends a ping unless one is on its way; answers what [`Self::n_heard`] is to rise beyond.
    pub(super) fn ask(&mut self, now: Instant, outbox: &mut Outbox) -> u64 {
        if self.unanswered_since.is_none() {
            self.ping(now, outbox);
        }
        self.n_heard
    }

    pub(super) fn n_heard(&self) -> u64 {
        self.n_heard
    }

    pub(super) fn pong(&mut self, number: u32, now: Instant) -> Result<(), Violation> {
        let since = self.unanswered_since.filter(|_| number == self.number);
        let round_trip = now.saturating_duration_since(since.ok_or(Violation::UnexpectedPong)?);
        self.unanswered_since = None;
        self.round_trip = Some(self.round_trip.map_or(round_trip, |least| least.min(round_trip)));
        Ok(())
    }

    /// Counts a ping of the peer; an honest one sends a few in the time between two ticks.
    pub(super) fn answer(&mut self) -> Result<(), Violation> {
        self.answered += 1;
        if self.answered > PINGS_MAX { Err(Violation::PingFlood) } else { Ok(()) }
    }

    /// The shortest round trip seen.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    pub(super) fn tick(
        &mut self,
        now: Instant,
        outbox: &mut Outbox,
    ) -> Result<Instant, PeerSilent> {
        if now < self.next {
            return Ok(self.next);
        }
        self.answered = 0;
        if std::mem::take(&mut self.heard) {
            self.doubting = false;
            self.next = now + self.interval;
        } else if self.doubting {
            return Err(PeerSilent);
        } else {
            self.doubting = true;
            self.next = now + self.deadline;
            if self.unanswered_since.is_none() {
                self.ping(now, outbox);
            }
        }
        Ok(self.next)
    }

    fn ping(&mut self, now: Instant, outbox: &mut Outbox) {
        self.number = self.number.wrapping_add(1);
        self.unanswered_since = Some(now);
        outbox.push_control(Header::new(FrameType::Ping, 0, self.number), &[]);
    }
}
