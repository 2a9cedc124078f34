//! Whatever honest ends do and however the bytes are cut, every byte arrives in order.

use proptest::prelude::*;

use super::{C, Pair, S};
use crate::error::StreamError;

#[derive(Debug, Clone)]
enum Step {
    Open { from: usize },
    Write { stream: usize, end: usize, len: usize },
    Read { stream: usize, end: usize },
    Finish { stream: usize, end: usize },
    Drop { stream: usize, end: usize },
    Carry { from: usize, bytes: usize },
    Wait,
}

fn any_step() -> impl Strategy<Value = Step> {
    let (end, stream) = (0..2_usize, 0..6_usize);
    let len = prop_oneof![1..200_usize, 1000..40_000_usize, Just(300_000)];
    let bytes = prop_oneof![1..30_usize, 1..5000_usize, Just(usize::MAX)];
    prop_oneof![
        1 => end.clone().prop_map(|from| Step::Open { from }),
        8 => (stream.clone(), end.clone(), len)
            .prop_map(|(stream, end, len)| Step::Write { stream, end, len }),
        6 => (stream.clone(), end.clone()).prop_map(|(stream, end)| Step::Read { stream, end }),
        1 => (stream.clone(), end.clone()).prop_map(|(stream, end)| Step::Finish { stream, end }),
        1 => (stream, end.clone()).prop_map(|(stream, end)| Step::Drop { stream, end }),
        12 => (end, bytes).prop_map(|(from, bytes)| Step::Carry { from, bytes }),
        1 => Just(Step::Wait),
    ]
}

/// What one end has done with a stream.
#[derive(Debug, Default, Clone, Copy)]
struct Side {
    sent: u64,
    received: u64,
    finished: bool,
    at_end: bool,
    reset: bool,
    dropped: bool,
}

#[derive(Debug)]
struct Model {
    pair: Pair,
    streams: Vec<(u32, [Side; 2])>,
}

/// The byte at a position of a stream's direction.
fn byte_at(id: u32, end: usize, position: u64) -> u8 {
    let mixed = position.wrapping_mul(31) ^ (position >> 8) ^ u64::from(id) ^ ((end as u64) << 7);
    mixed.to_le_bytes()[0]
}

impl Model {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Open { from } if self.streams.len() < 6 => {
                let id = self.pair.open(from);
                self.streams.push((id, [Side::default(); 2]));
            }
            Step::Write { stream, end, len } => self.write(stream, end, len),
            Step::Read { stream, end } => self.read(stream, end),
            Step::Finish { stream, end } => {
                if let Some((id, side)) = self.usable(stream, end) {
                    let finished = self.pair.ends[end].finish(id);
                    self.streams[stream].1[end].finished = side.finished || finished.is_ok();
                }
            }
            Step::Drop { stream, end } => {
                if let Some((id, _)) = self.usable(stream, end) {
                    self.pair.ends[end].drop_handle(id);
                    self.streams[stream].1[end].dropped = true;
                }
            }
            Step::Carry { from, bytes } => {
                self.pair.carry(from, bytes);
            }
            Step::Wait => self.pair.pass(std::time::Duration::from_micros(50)),
            Step::Open { .. } => {}
        }
    }

    fn usable(&self, stream: usize, end: usize) -> Option<(u32, Side)> {
        let (id, sides) = self.streams.get(stream)?;
        (!sides[end].dropped).then_some((*id, sides[end]))
    }

    fn write(&mut self, stream: usize, end: usize, len: usize) {
        let Some((id, side)) = self.usable(stream, end) else { return };
        let bytes: Vec<u8> =
            (side.sent..side.sent + len as u64).map(|at| byte_at(id, end, at)).collect();
        match self.pair.write(end, id, &bytes) {
            None => {}
            Some(Ok(n)) => self.streams[stream].1[end].sent += n as u64,
            Some(Err(StreamError::ShutDown)) => assert!(side.finished),
            Some(Err(StreamError::Reset)) => assert!(self.streams[stream].1[1 - end].dropped),
            Some(Err(error)) => panic!("{error}"),
        }
    }

    fn read(&mut self, stream: usize, end: usize) {
        let Some((id, side)) = self.usable(stream, end) else { return };
        let peer = self.streams[stream].1[1 - end];
        match self.pair.read(end, id) {
            None => {}
            Some(Ok(bytes)) if bytes.is_empty() => {
                assert!(peer.finished && side.received == peer.sent, "the end came early");
                self.streams[stream].1[end].at_end = true;
            }
            Some(Ok(bytes)) => {
                for (at, byte) in (side.received..).zip(&bytes) {
                    assert_eq!(*byte, byte_at(id, 1 - end, at), "byte {at} of stream {id}");
                }
                self.streams[stream].1[end].received += bytes.len() as u64;
            }
            Some(Err(StreamError::Reset)) => {
                assert!(peer.dropped && side.received == peer.sent, "the reset came early");
                self.streams[stream].1[end].reset = true;
            }
            Some(Err(error)) => panic!("{error}"),
        }
    }

    /// Lets everything arrive and be read.
    fn drain(&mut self) {
        let mut moved = true;
        while moved {
            let before: u64 = self.total();
            moved = self.pair.carry(C, usize::MAX) + self.pair.carry(S, usize::MAX) > 0;
            for stream in 0..self.streams.len() {
                self.read(stream, C);
                self.read(stream, S);
            }
            moved |= self.total() != before;
        }
    }

    fn total(&self) -> u64 {
        self.streams.iter().flat_map(|(_, sides)| sides).map(|side| side.received).sum()
    }

    fn check_complete(&self) {
        for (id, sides) in &self.streams {
            for end in [C, S] {
                let (side, peer) = (sides[end], sides[1 - end]);
                if side.dropped {
                    continue;
                }
                assert_eq!(side.received, peer.sent, "stream {id}: bytes are missing");
                assert_eq!(side.at_end, peer.finished, "stream {id}: the end is missing");
                assert!(side.at_end || side.reset == peer.dropped, "stream {id}: reset");
            }
        }
    }
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_in_order_and_every_end_is_told(
        steps in proptest::collection::vec(any_step(), 1..150),
    ) {
        let mut model = Model { pair: Pair::new(), streams: Vec::new() };
        model.apply(&Step::Open { from: C });
        for step in &steps {
            model.apply(step);
            model.pair.assert_alive();
        }
        model.drain();
        model.pair.assert_alive();
        model.check_complete();
        for (id, sides) in &model.streams {
            for end in [C, S] {
                if !sides[end].dropped {
                    model.pair.ends[end].drop_handle(*id);
                }
            }
        }
        model.pair.settle();
        model.pair.assert_alive();
        prop_assert_eq!(model.pair.ends[C].n_streams() + model.pair.ends[S].n_streams(), 0);
        prop_assert_eq!(model.pair.ends[C].window_growth + model.pair.ends[S].window_growth, 0);
    }
}
