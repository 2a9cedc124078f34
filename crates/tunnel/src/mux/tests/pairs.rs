//! What two honest ends do, one case at a time.

use std::task::Waker;
use std::time::Duration;

use super::{C, Pair, S};
use crate::error::StreamError;
use crate::limits::WINDOW_BYTES_START;
use crate::{CloseReason, GoAway, Limits, OpenError, RefuseReason, StreamKind};

const WINDOW: usize = WINDOW_BYTES_START as usize;

#[test]
fn bytes_arrive_in_both_directions() {
    let mut pair = Pair::new();
    let id = pair.open(C);
    pair.write_all(C, id, b"question");
    pair.write_all(S, id, b"answer");
    pair.settle();
    assert_eq!(pair.read(S, id), Some(Ok(b"question".to_vec())));
    assert_eq!(pair.read(C, id), Some(Ok(b"answer".to_vec())));
    assert_eq!(pair.read(C, id), None);
}

#[test]
fn half_close_leaves_the_other_direction_open() {
    let mut pair = Pair::new();
    let id = pair.open(C);
    pair.write_all(C, id, b"all I have");
    pair.ends[C].finish(id).unwrap();
    pair.settle();
    assert_eq!(pair.read(S, id), Some(Ok(b"all I have".to_vec())));
    assert_eq!(pair.read(S, id), Some(Ok(Vec::new())));
    assert_eq!(pair.write(C, id, b"more"), Some(Err(StreamError::ShutDown)));

    pair.write_all(S, id, b"still talking");
    pair.ends[S].finish(id).unwrap();
    pair.settle();
    assert_eq!(pair.read(C, id), Some(Ok(b"still talking".to_vec())));
    assert_eq!(pair.read(C, id), Some(Ok(Vec::new())));

    pair.ends[C].drop_handle(id);
    pair.ends[S].drop_handle(id);
    assert!(pair.ends[C].outbox.is_empty(), "both ended: no reset");
    assert_eq!((pair.ends[C].n_streams(), pair.ends[S].n_streams()), (0, 0));
    pair.assert_alive();
}

#[test]
fn dropped_stream_resets_the_peer_after_what_was_sent() {
    let mut pair = Pair::new();
    let id = pair.open(S);
    pair.write_all(S, id, &[7; 100_000]);
    pair.ends[S].drop_handle(id);
    pair.settle();
    assert_eq!(pair.read(C, id), Some(Ok(vec![7; 100_000])));
    assert_eq!(pair.read(C, id), Some(Err(StreamError::Reset)));
    assert_eq!(pair.write(C, id, b"x"), Some(Err(StreamError::Reset)));
    pair.ends[C].drop_handle(id);
    pair.settle();
    assert_eq!((pair.ends[C].n_streams(), pair.ends[S].n_streams()), (0, 0));
    pair.assert_alive();
}

#[test]
fn finished_then_dropped_stream_is_read_to_its_end() {
    let mut pair = Pair::new();
    let id = pair.open(C);
    pair.write_all(C, id, b"last words");
    pair.ends[C].finish(id).unwrap();
    pair.ends[C].drop_handle(id);
    pair.settle();
    assert_eq!(pair.read(S, id), Some(Ok(b"last words".to_vec())));
    assert_eq!(pair.read(S, id), Some(Ok(Vec::new())));
    assert_eq!(pair.write(S, id, b"x"), Some(Err(StreamError::Reset)));
}

#[test]
fn frames_that_cross_a_reset_are_dropped() {
    let mut pair = Pair::new();
    let id = pair.open(C);
    pair.ends[C].drop_handle(id);
    pair.write_all(S, id, &[1; 1000]);
    pair.ends[S].finish(id).unwrap();
    pair.carry(S, usize::MAX);
    pair.settle();
    pair.assert_alive();
}

#[test]
fn refusals_carry_their_reason() {
    let mut pair = Pair::new();
    let id = pair.ends[C].open(&StreamKind::App(8080)).unwrap();
    pair.settle();
    let (asked, kind) = super::ready(pair.ends[S].poll_incoming(Waker::noop())).flatten().unwrap();
    assert_eq!((asked, kind), (id, StreamKind::App(8080)));
    pair.ends[S].refuse(id, RefuseReason::PortClosed);
    pair.settle();
    let refused = OpenError::Refused { reason: RefuseReason::PortClosed };
    assert_eq!(pair.opened(C, id), Some(Err(refused)));
    assert_eq!((pair.ends[C].n_streams(), pair.ends[S].n_streams()), (0, 0));
}

#[test]
fn open_taken_back_before_anybody_looked_leaves_nothing() {
    let mut pair = Pair::new();
    let id = pair.ends[C].open(&StreamKind::App(80)).unwrap();
    pair.carry(C, usize::MAX);
    pair.ends[C].drop_handle(id);
    assert_eq!(pair.ends[C].n_streams(), 1, "counted until the peer has answered");
    pair.settle();
    assert_eq!(pair.next_incoming(S), None);
    assert_eq!((pair.ends[C].n_streams(), pair.ends[S].n_streams()), (0, 0));
    pair.assert_alive();
}

#[test]
fn open_taken_back_while_it_is_answered_leaves_nothing() {
    for accept in [true, false] {
        let mut pair = Pair::new();
        let id = pair.ends[C].open(&StreamKind::App(80)).unwrap();
        pair.settle();
        assert_eq!(pair.next_incoming(S), Some(id));
        pair.ends[C].drop_handle(id);
        if accept {
            pair.ends[S].accept(id);
            pair.settle();
            assert_eq!(pair.read(S, id), Some(Err(StreamError::Reset)));
            pair.ends[S].drop_handle(id);
        } else {
            pair.ends[S].refuse(id, RefuseReason::Busy);
        }
        pair.settle();
        assert_eq!((pair.ends[C].n_streams(), pair.ends[S].n_streams()), (0, 0));
        pair.assert_alive();
    }
}

#[test]
fn open_taken_back_after_it_was_handed_out_is_answered_once() {
    for accept in [true, false] {
        let mut pair = Pair::new();
        let id = pair.ends[C].open(&StreamKind::App(80)).unwrap();
        pair.settle();
        assert_eq!(pair.next_incoming(S), Some(id));
        pair.ends[C].drop_handle(id);
        pair.settle();
        if accept {
            pair.ends[S].accept(id);
            assert_eq!(pair.read(S, id), Some(Err(StreamError::Reset)));
            pair.ends[S].drop_handle(id);
        } else {
            pair.ends[S].refuse(id, RefuseReason::Busy);
        }
        pair.settle();
        assert_eq!((pair.ends[C].n_streams(), pair.ends[S].n_streams()), (0, 0));
        pair.assert_alive();
    }
}

#[test]
fn streams_beyond_the_limits_are_refused_here_and_there() {
    let few = Limits { outgoing_streams_max: 3, incoming_streams_max: 2, ..Limits::supervisor() };
    let mut pair = Pair::with_limits(few.clone(), few);
    let first = pair.open(C);
    pair.open(C);
    let third = pair.ends[C].open(&StreamKind::Control).unwrap();
    assert_eq!(pair.ends[C].open(&StreamKind::Control), Err(OpenError::TooMany));
    pair.settle();
    let busy = OpenError::Refused { reason: RefuseReason::Busy };
    assert_eq!(pair.opened(C, third), Some(Err(busy)));

    pair.ends[C].drop_handle(first);
    pair.settle();
    let fourth = pair.ends[C].open(&StreamKind::Control).unwrap();
    pair.settle();
    let gone_but_held = pair.opened(C, fourth);
    assert_eq!(gone_but_held, Some(Err(busy)), "the peer's handle of the first still exists");
    pair.ends[S].drop_handle(first);
    pair.open(C);
}

#[test]
fn without_an_acceptor_everything_is_refused() {
    let mut pair = Pair::new();
    let early = pair.ends[C].open(&StreamKind::Control).unwrap();
    pair.settle();
    pair.ends[S].stop_accepting();
    let late = pair.ends[C].open(&StreamKind::Control).unwrap();
    pair.settle();
    let unsupported = OpenError::Refused { reason: RefuseReason::Unsupported };
    assert_eq!(pair.opened(C, early), Some(Err(unsupported)));
    assert_eq!(pair.opened(C, late), Some(Err(unsupported)));
}

#[test]
fn stalled_readers_hold_only_their_own_window() {
    let mut pair = Pair::new();
    let stalled: Vec<u32> = (0..100).map(|_| pair.open(C)).collect();
    let working = pair.open(C);
    for &id in &stalled {
        pair.write_all(S, id, &vec![1; WINDOW]);
        pair.settle();
        assert_eq!(pair.write(S, id, b"more"), None, "no credit left");
    }
    let piece = vec![2; 50_000];
    for _ in 0..100 {
        pair.write_all(S, working, &piece);
        pair.settle();
        let mut got = Vec::new();
        while let Some(part) = pair.read(C, working) {
            got.extend(part.unwrap());
        }
        assert_eq!(got, piece);
        pair.settle();
    }
    for &id in &stalled {
        assert_eq!(pair.read(C, id).unwrap().unwrap().len(), WINDOW);
        pair.settle();
        assert_eq!(pair.write(S, id, b"more"), Some(Ok(4)));
    }
}

#[test]
fn window_grows_for_a_quick_reader_far_away() {
    let mut pair = Pair::new();
    pair.pass(Duration::from_millis(20));
    pair.settle();
    let id = pair.open(C);
    let mut largest = 0;
    for _ in 0..20 {
        let mut flight = 0;
        while let Some(n) = pair.write(S, id, &[0; 65536]) {
            flight += n.unwrap();
            pair.carry(S, usize::MAX);
        }
        largest = largest.max(flight);
        pair.pass(Duration::from_millis(20));
        while pair.read(C, id).is_some() {}
        pair.settle();
    }
    assert_eq!(largest, 4 * 1024 * 1024, "as far as the limit lets it");
}

#[test]
fn window_growth_has_a_limit_over_all_streams() {
    let limits = Limits { window_growth_bytes_max: 300_000, ..Limits::supervisor() };
    let mut pair = Pair::with_limits(limits.clone(), limits);
    pair.pass(Duration::from_millis(20));
    pair.settle();
    for _ in 0..2 {
        let id = pair.open(C);
        let mut window = 0;
        for _ in 0..10 {
            let mut flight = 0;
            while let Some(n) = pair.write(S, id, &[0; 65536]) {
                flight += n.unwrap();
                pair.carry(S, usize::MAX);
            }
            while pair.read(C, id).is_some() {}
            pair.settle();
            window = window.max(flight);
        }
        assert!(window <= WINDOW + 300_000, "{window}");
        pair.ends[C].drop_handle(id);
        pair.ends[S].drop_handle(id);
        pair.settle();
    }
    assert_eq!(pair.ends[C].window_growth, 0);
}

#[test]
fn closing_fails_everything_at_both_ends_after_what_was_queued() {
    let mut pair = Pair::new();
    let id = pair.open(C);
    let opening = pair.ends[S].open(&StreamKind::Control).unwrap();
    pair.write_all(C, id, &[3; 100_000]);
    pair.ends[C].close(CloseReason::Closed, GoAway::Normal);
    assert_eq!(pair.write(C, id, b"x"), Some(Err(StreamError::TunnelEnded(CloseReason::Closed))));
    pair.settle();
    let gone = CloseReason::PeerClosed(GoAway::Normal);
    assert_eq!(pair.ends[S].end(), Some(gone));
    assert_eq!(pair.opened(S, opening), Some(Err(OpenError::Closed)));
    assert_eq!(pair.read(S, id), Some(Ok(vec![3; 100_000])));
    assert_eq!(pair.read(S, id), Some(Err(StreamError::TunnelEnded(gone))));
    assert_eq!(pair.ends[S].open(&StreamKind::Control), Err(OpenError::Closed));
}

#[test]
fn silent_peer_ends_the_tunnel_and_a_talking_one_does_not() {
    let mut pair = Pair::new();
    pair.settle();
    for _ in 0..10 {
        let (now, second) = (pair.now, Duration::from_secs(1));
        let next = pair.ends[C].tick(now).min(pair.ends[S].tick(now));
        pair.now = next.max(now + second);
        pair.settle();
    }
    pair.assert_alive();

    let limits = Limits::supervisor();
    for _ in 0..2 {
        pair.pass(limits.ping_interval);
        let now = pair.now;
        pair.ends[C].tick(now);
    }
    pair.pass(limits.ping_deadline);
    let now = pair.now;
    pair.ends[C].tick(now);
    assert_eq!(pair.ends[C].end(), Some(CloseReason::PeerSilent));
}

#[test]
fn writers_take_turns_when_the_outbox_is_full() {
    let mut pair = Pair::new();
    let ids: Vec<u32> = (0..10).map(|_| pair.open(C)).collect();
    let mut sent = vec![0_usize; ids.len()];
    for round in 0..200 {
        for (n, &id) in ids.iter().enumerate() {
            while let Some(written) = pair.write(S, id, &[0; 65536]) {
                sent[n] += written.unwrap();
            }
        }
        pair.carry(S, 65536 + (round % 7) * 1000);
        for &id in &ids {
            while pair.read(C, id).is_some() {}
        }
        pair.carry(C, usize::MAX);
    }
    let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
    assert!(*most <= 2 * *least, "unfair: {sent:?}");
}

#[test]
fn small_request_overtakes_queued_bulk() {
    let mut pair = Pair::new();
    let bulk: Vec<u32> = (0..4).map(|_| pair.open(C)).collect();
    let small = pair.open(C);
    for &id in bulk.iter().cycle().take(8) {
        let _ = pair.write(S, id, &[0; 65536]);
    }
    pair.carry(S, 1000);
    assert_eq!(pair.write(S, small, b"tiny"), Some(Ok(4)));
    pair.carry(S, 65536 + 100);
    assert_eq!(pair.read(C, small), Some(Ok(b"tiny".to_vec())), "behind one bulk frame at most");
}

#[test]
fn idle_streams_cost_little() {
    assert!(size_of::<super::super::Entry>() <= 192);
}
