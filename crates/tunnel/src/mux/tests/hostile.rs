//! What a hostile peer sends, and the name it gets for it.

use proptest::prelude::*;

use super::{C, Pair, S};
use crate::frame::{FrameType, Header};
use crate::limits::{FRAME_BYTES_MAX, OPEN_BYTES_MAX, WINDOW_BYTES_START};
use crate::{CloseReason, Limits, StreamKind, Violation};

fn frame(frame_type: FrameType, value: u32, id: u32) -> Vec<u8> {
    Header::new(frame_type, value, id).encode().to_vec()
}

fn open_frame(id: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(FrameType::Open, u32::try_from(payload.len()).unwrap(), id);
    bytes.extend_from_slice(payload);
    bytes
}

/// A supervisor with stream 1 accepted, stream 3 asked for, and its own stream 2 unanswered.
fn supervisor() -> Pair {
    let mut pair = Pair::new();
    assert_eq!(pair.open(C), 1);
    pair.ends[C].open(&StreamKind::App(81)).unwrap();
    pair.settle();
    pair.ends[S].open(&StreamKind::Control).unwrap();
    pair
}

fn check(bytes: &[u8], violation: Violation) {
    let mut pair = supervisor();
    let now = pair.now;
    pair.ends[S].receive(bytes, now);
    assert_eq!(pair.ends[S].end(), Some(CloseReason::Violation(violation)));
    pair.settle();
    let goodbye = CloseReason::PeerClosed(crate::GoAway::Violation);
    assert_eq!(pair.ends[C].end(), Some(goodbye), "the peer is told");
}

#[test]
fn malformed_frames_end_the_tunnel() {
    check(&[99, 0, 0, 0, 0, 0, 0, 1], Violation::UnknownFrameType(99));
    check(&[5, 0, 0, 1, 0, 0, 0, 1], Violation::ReservedField);
    check(&frame(FrameType::Data, FRAME_BYTES_MAX + 1, 1), Violation::FrameTooLong(131_073));
    check(&frame(FrameType::Data, 0, 1), Violation::EmptyData);
}

#[test]
fn bad_opens_end_the_tunnel() {
    check(&open_frame(0, &[1]), Violation::BadOpenId(0));
    check(&open_frame(2, &[1]), Violation::BadOpenId(2));
    check(&open_frame(4, &[1]), Violation::BadOpenId(4));
    check(&open_frame(1, &[1]), Violation::BadOpenId(1));
    check(&open_frame(3, &[1]), Violation::BadOpenId(3));
    check(&open_frame(5, &[]), Violation::BadOpen);
    check(&open_frame(5, &[2, 0, 0]), Violation::BadOpen);
    let long = OPEN_BYTES_MAX + 1;
    check(&frame(FrameType::Open, long, 5), Violation::OpenTooLong(long));
}

#[test]
fn frames_for_streams_that_never_were_end_the_tunnel() {
    for id in [0, 4, 5, 6, 1_000_001, u32::MAX] {
        check(&frame(FrameType::Data, 1, id), Violation::UnknownStream(id));
        check(&frame(FrameType::Fin, 0, id), Violation::UnknownStream(id));
        check(&frame(FrameType::Reset, 0, id), Violation::UnknownStream(id));
        check(&frame(FrameType::Window, 1, id), Violation::UnknownStream(id));
        check(&frame(FrameType::Accept, 0, id), Violation::UnknownStream(id));
        check(&frame(FrameType::Refuse, 1, id), Violation::UnknownStream(id));
    }
}

#[test]
fn answers_out_of_place_end_the_tunnel() {
    check(&frame(FrameType::Accept, 0, 1), Violation::UnexpectedAnswer(1));
    check(&frame(FrameType::Accept, 0, 3), Violation::UnexpectedAnswer(3));
    let twice = [frame(FrameType::Accept, 0, 2), frame(FrameType::Refuse, 1, 2)].concat();
    check(&twice, Violation::UnexpectedAnswer(2));
    check(&frame(FrameType::Pong, 0, 77), Violation::UnexpectedPong);
}

#[test]
fn use_before_acceptance_ends_the_tunnel() {
    for id in [2, 3] {
        check(&frame(FrameType::Data, 1, id), Violation::BeforeAccept(id));
        check(&frame(FrameType::Fin, 0, id), Violation::BeforeAccept(id));
        check(&frame(FrameType::Window, 1, id), Violation::BeforeAccept(id));
    }
    check(&frame(FrameType::Reset, 0, 2), Violation::BeforeAccept(2));
}

#[test]
fn sending_beyond_window_or_end_ends_the_tunnel() {
    let mut bytes = Vec::new();
    for _ in 0..WINDOW_BYTES_START / FRAME_BYTES_MAX {
        bytes.extend(frame(FrameType::Data, FRAME_BYTES_MAX, 1));
        bytes.resize(bytes.len() + FRAME_BYTES_MAX as usize, 0);
    }
    bytes.extend(frame(FrameType::Data, 1, 1));
    check(&bytes, Violation::WindowExceeded(1));
    let after = [frame(FrameType::Fin, 0, 1), frame(FrameType::Data, 1, 1)].concat();
    check(&after, Violation::AfterFin(1));
    let twice = [frame(FrameType::Fin, 0, 1), frame(FrameType::Fin, 0, 1)].concat();
    check(&twice, Violation::AfterFin(1));
}

#[test]
fn absurd_windows_end_the_tunnel() {
    check(&frame(FrameType::Window, 0, 1), Violation::WindowOverflow(1));
    check(&frame(FrameType::Window, 0x00ff_ffff, 1), Violation::WindowOverflow(1));
    let step = 4 * 1024 * 1024;
    let twice = [frame(FrameType::Window, step, 1), frame(FrameType::Window, step, 1)].concat();
    check(&twice, Violation::WindowOverflow(1));
}

#[test]
fn asking_without_reading_the_answers_ends_the_tunnel() {
    let mut opens = Vec::new();
    for n in 0..300_000 {
        opens.extend(open_frame(2 * n + 1, &[200]));
    }
    let mut pair = Pair::new();
    let now = pair.now;
    pair.ends[S].receive(&opens, now);
    assert_eq!(pair.ends[S].end(), Some(CloseReason::Violation(Violation::AnswerFlood)));
    assert!(pair.ends[S].outbox.urgent_len() < 3 * 1024 * 1024);
}

#[test]
fn pings_without_end_end_the_tunnel() {
    let pings: Vec<u8> = (0..1001).flat_map(|n| frame(FrameType::Ping, 0, n)).collect();
    let mut pair = Pair::new();
    let now = pair.now;
    pair.ends[S].receive(&pings, now);
    assert_eq!(pair.ends[S].end(), Some(CloseReason::Violation(Violation::PingFlood)));
}

#[test]
fn opens_and_resets_in_a_loop_leave_nothing() {
    let mut pair = Pair::new();
    let now = pair.now;
    for n in 0..100_000 {
        let mut bytes = open_frame(2 * n + 1, &[1]);
        bytes.extend(frame(FrameType::Reset, 0, 2 * n + 1));
        pair.ends[S].receive(&bytes, now);
        let queued = pair.ends[S].outbox.urgent_len();
        pair.ends[S].outbox.consume(queued);
    }
    assert_eq!(pair.ends[S].end(), None);
    assert_eq!((pair.ends[S].n_streams(), pair.ends[S].backlog.len()), (0, 0));
}

#[test]
fn a_flood_of_opens_stays_within_the_limits() {
    let mut pair = Pair::with_limits(Limits::controller(), Limits::controller());
    let now = pair.now;
    for n in 0..10_000 {
        pair.ends[S].receive(&open_frame(2 * n + 1, &[1]), now);
    }
    assert_eq!(pair.ends[S].end(), None);
    assert_eq!(pair.ends[S].n_streams(), 16);
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let id = prop_oneof![0..8_u32, any::<u32>()];
    let value = prop_oneof![0..4_u32, Just(FRAME_BYTES_MAX), 0..0x0100_0000_u32];
    (0..12_u8, value, id, proptest::collection::vec(any::<u8>(), 0..16)).prop_map(
        |(code, value, id, payload)| {
            let mut bytes = vec![code];
            bytes.extend_from_slice(&value.to_be_bytes()[1..]);
            bytes.extend_from_slice(&id.to_be_bytes());
            bytes.extend(payload);
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_a_peer_sends_panics_or_takes_unbounded_memory(
        frames in proptest::collection::vec(any_frame(), 0..60),
    ) {
        let mut pair = supervisor();
        let now = pair.now;
        for bytes in frames {
            pair.ends[S].receive(&bytes, now);
        }
        let held: usize = pair.ends[S].streams.values().map(|entry| entry.unread.len()).sum();
        prop_assert!(held <= 3 * WINDOW_BYTES_START as usize);
    }
}
