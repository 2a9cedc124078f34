use super::*;

const FRAME: usize = HEADER_BYTES + 60_000;

fn contents(outbox: &Outbox) -> Vec<u8> {
    outbox.slices().iter().flat_map(|slice| slice.iter().copied()).collect()
}

/// The ids of the frames that would leave, in order, from a frame boundary on.
fn order(outbox: &Outbox) -> Vec<u32> {
    let bytes = contents(outbox);
    let (mut at, mut ids) = (0, Vec::new());
    while at < bytes.len() {
        let header = Header::decode(bytes[at..at + HEADER_BYTES].try_into().unwrap()).unwrap();
        ids.push(header.id);
        at += HEADER_BYTES + header.payload_len();
    }
    ids
}

fn push(outbox: &mut Outbox, mark: &mut SendMark, id: u32, len: usize) {
    outbox.push_data(mark, id, len, std::iter::once(&vec![0; len][..]));
}

#[test]
fn small_frames_go_before_bulk() {
    let mut outbox = Outbox::new(1 << 20);
    let (mut bulk, mut small) = (SendMark::default(), SendMark::default());
    push(&mut outbox, &mut bulk, 1, 60_000);
    push(&mut outbox, &mut bulk, 1, 60_000);
    push(&mut outbox, &mut small, 2, 10);
    assert_eq!(order(&outbox), [2, 1, 1]);
}

#[test]
fn small_frames_wait_for_the_end_of_the_bulk_frame_that_has_begun() {
    let mut outbox = Outbox::new(1 << 20);
    let (mut bulk, mut small) = (SendMark::default(), SendMark::default());
    push(&mut outbox, &mut bulk, 1, 60_000);
    push(&mut outbox, &mut bulk, 1, 60_000);
    outbox.consume(100);
    push(&mut outbox, &mut small, 2, 10);
    outbox.consume(FRAME - 100);
    assert_eq!(order(&outbox), [2, 1]);
}

#[test]
fn bulk_has_a_turn_after_each_urgent_batch() {
    let mut outbox = Outbox::new(1 << 20);
    let (mut bulk, mut small) = (SendMark::default(), SendMark::default());
    push(&mut outbox, &mut bulk, 1, 60_000);
    push(&mut outbox, &mut bulk, 1, 60_000);
    push(&mut outbox, &mut small, 2, 10);
    outbox.consume(HEADER_BYTES + 10);
    push(&mut outbox, &mut small, 2, 10);
    assert_eq!(order(&outbox), [1, 2, 1]);
}

#[test]
fn a_streams_own_bytes_keep_their_order() {
    let mut outbox = Outbox::new(1 << 20);
    let mut mark = SendMark::default();
    push(&mut outbox, &mut mark, 1, 60_000);
    push(&mut outbox, &mut mark, 1, 10);
    outbox.push_in_order(&mut mark, Header::new(FrameType::Fin, 0, 1));
    outbox.push_control(Header::new(FrameType::Ping, 0, 9), &[]);
    let bytes = contents(&outbox);
    assert_eq!(order(&outbox), [9, 1, 1, 1]);
    assert_eq!(bytes[bytes.len() - HEADER_BYTES..], Header::new(FrameType::Fin, 0, 1).encode());
}

#[test]
fn one_stream_cannot_fill_the_urgent_batch() {
    let mut outbox = Outbox::new(1 << 20);
    let (mut greedy, other) = (SendMark::default(), SendMark::default());
    for _ in 0..16 {
        push(&mut outbox, &mut greedy, 1, 1024);
    }
    assert_eq!(outbox.urgent_room(&greedy), 0);
    assert_eq!(outbox.urgent_room(&other), URGENT_BYTES_PER_STREAM);
    let all = contents(&outbox).len();
    outbox.consume(all);
    assert_eq!(outbox.urgent_room(&greedy), URGENT_BYTES_PER_STREAM);
}
