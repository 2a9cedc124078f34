//! One end of a tunnel against a peer that sends whatever a fuzzer thinks of, while the handles on
//! our side do what a fuzzer thinks of too. See `fuzz/` beside `src/`.

use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::limits::{FRAME_BYTES_SENT, WINDOW_BYTES_MAX};
use crate::mux::Mux;
use crate::{Limits, Role, StreamKind};

/// Streams that our side may open.
const STREAMS_MAX: usize = 16;

/// Reads `input` as a script and plays it; panics where an invariant breaks.
///
/// A byte below 128 says how many of the following bytes the peer sends; one from 128 on is a step
/// of ours, on the stream that the next byte picks.
pub fn run(input: &[u8]) {
    let mut side = Side::new();
    let mut rest = input;
    while let Some((&what, after)) = rest.split_first() {
        rest = after;
        if what < 128 {
            let (sent, after) = rest.split_at(rest.len().min(usize::from(what) + 1));
            rest = after;
            side.mux.receive(sent, side.now);
        } else if let Some((&pick, after)) = rest.split_first() {
            rest = after;
            side.step(what, pick);
        }
        side.check();
    }
}

struct Side {
    mux: Mux,
    now: Instant,
    /// Streams that a handle of ours holds, and whether it was told that they are open.
    held: Vec<(u32, bool)>,
}

impl Side {
    fn new() -> Self {
        let now = Instant::now();
        let limits = Limits {
            outgoing_streams_max: STREAMS_MAX,
            incoming_streams_max: STREAMS_MAX,
            accept_backlog: 4,
            ..Limits::supervisor()
        };
        Self { mux: Mux::new(Role::Supervisor, limits, now), now, held: Vec::new() }
    }

    fn step(&mut self, what: u8, pick: u8) {
        match what % 8 {
            0 => self.open(),
            1 => self.accept(pick.is_multiple_of(2)),
            2 => self.write(pick),
            3 => self.read(pick),
            4 => self.with(pick, |mux, id, _| {
                let _broken = mux.finish(id);
            }),
            5 => self.drop_one(pick),
            6 => self.leave(usize::from(pick) * 64),
            _ => {
                self.now += Duration::from_secs(u64::from(pick));
                self.mux.tick(self.now);
            }
        }
    }

    /// Applies `act` to a stream that is open for us.
    fn with(&mut self, pick: u8, act: impl FnOnce(&mut Mux, u32, Instant)) {
        let open: Vec<u32> = self.held.iter().filter(|it| it.1).map(|it| it.0).collect();
        if let Some(id) = open.get(usize::from(pick) % open.len().max(1)) {
            act(&mut self.mux, *id, self.now);
        }
    }

    fn open(&mut self) {
        if let Ok(id) = self.mux.open(&StreamKind::App(80)) {
            self.held.push((id, false));
        }
    }

    fn accept(&mut self, wants: bool) {
        let Poll::Ready(Some((id, _kind))) = self.mux.poll_incoming(Waker::noop()) else { return };
        if wants {
            self.mux.accept(id);
            self.held.push((id, true));
        } else {
            self.mux.refuse(id, crate::RefuseReason::Busy);
        }
    }

    fn write(&mut self, pick: u8) {
        self.with(pick, |mux, id, _| {
            let bytes = [0; FRAME_BYTES_SENT];
            let want = usize::from(pick) * 300 + 1;
            if let Poll::Ready(Ok(n)) = mux.poll_reserve(id, want, Waker::noop()) {
                assert!(0 < n && n <= want, "a reservation is within what was asked");
                mux.send(id, n, std::iter::once(&bytes[..]));
            }
        });
    }

    fn read(&mut self, pick: u8) {
        self.with(pick, |mux, id, now| {
            if let Poll::Ready(Ok(chunk)) = mux.poll_take(id, 0, || now, Waker::noop()) {
                mux.credit(id, u32::try_from(chunk.len()).expect("within a window"), || now);
            }
        });
    }

    fn drop_one(&mut self, pick: u8) {
        if !self.held.is_empty() {
            let (id, _) = self.held.swap_remove(usize::from(pick) % self.held.len());
            self.mux.drop_handle(id);
        }
    }

    /// Some of what is queued leaves.
    fn leave(&mut self, n: usize) {
        let queued: usize = self.mux.outbox.slices().iter().map(|slice| slice.len()).sum();
        self.mux.outbox.consume(n.min(queued));
        self.mux.give_turns();
    }

    /// Learns of opens that were answered, and looks at what must always hold.
    fn check(&mut self) {
        let mux = &mut self.mux;
        self.held.retain_mut(|(id, is_open)| {
            if *is_open {
                return true;
            }
            match mux.poll_opened(*id, Waker::noop()) {
                Poll::Ready(Ok(())) => *is_open = true,
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => {}
            }
            true
        });
        let limits = Limits::supervisor();
        assert!(mux.n_streams() <= 3 * STREAMS_MAX, "streams are bounded");
        assert!(
            mux.outbox.urgent_len() <= limits.answer_bytes_max + 64 * 1024,
            "answers are bounded"
        );
        let most = STREAMS_MAX as u64 * u64::from(WINDOW_BYTES_MAX);
        assert!(mux.n_unread_bytes() <= most, "unread bytes are bounded");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn t35_no_script_breaks_an_invariant(script in proptest::collection::vec(any::<u8>(), 0..2000)) {
            super::run(&script);
        }
    }
}
