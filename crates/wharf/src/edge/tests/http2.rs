//! Attacks over HTTP/2, frame by frame.

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// Initial size of the windows of what we send (RFC 9113 section 6.5.2).
const INITIAL_WINDOW_SIZE: u8 = 4;
const CANCEL: u32 = 8;

mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const CONTINUATION: u8 = 9;
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream[..], payload].concat()
}

/// GET over http of a path on localhost (RFC 7541: indexed 2, 6; literal names 4 and 1).
fn head(path: &str) -> Vec<u8> {
    let literal = |name: u8, value: &str| {
        [&[name, u8::try_from(value.len()).unwrap()][..], value.as_bytes()].concat()
    };
    [vec![0x82, 0x86], literal(4, path), literal(1, "localhost")].concat()
}

fn ask(stream: u32, path: &str) -> Vec<u8> {
    frame(kind::HEADERS, END_STREAM | END_HEADERS, stream, &head(path))
}

/// A connection on which nothing was asked yet. `settings`: as pairs of number and value.
async fn connect(edge: &Edge, settings: &[(u8, u32)]) -> TcpStream {
    let mut stream = edge.connect().await;
    let settings: Vec<u8> = settings
        .iter()
        .flat_map(|(name, value)| [vec![0, *name], value.to_be_bytes().to_vec()].concat())
        .collect();
    stream.write_all(&[PREFACE, &frame(kind::SETTINGS, 0, 0, &settings)].concat()).await.unwrap();
    stream
}

/// The next frame: kind, flags, stream, payload.
async fn next(stream: &mut TcpStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut header = [0; 9];
    timeout(BOUND, stream.read_exact(&mut header)).await.expect("a frame in time").ok()?;
    let [a, b, c, kind, flags, w, x, y, z] = header;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    timeout(BOUND, stream.read_exact(&mut payload)).await.expect("a payload in time").ok()?;
    Some((kind, flags, u32::from_be_bytes([w, x, y, z]), payload))
}

/// Whether the server ends the connection while it gets these again and again.
async fn is_cut_off(mut stream: TcpStream, mut frames: impl FnMut(u32) -> Vec<u8>) -> bool {
    let (mut reading, mut writing) = stream.split();
    let flooding = async {
        for n in 0..100_000 {
            if writing.write_all(&frames(2 * n + 1)).await.is_err() {
                return true;
            }
        }
        false
    };
    let draining = async {
        let mut sink = vec![0; 64 * 1024];
        while let Ok(1..) = reading.read(&mut sink).await {}
        true
    };
    let ended = async {
        tokio::select! {
            is_cut_off = flooding => is_cut_off,
            is_cut_off = draining => is_cut_off,
        }
    };
    timeout(BOUND, ended).await.expect("an end in time")
}

fn slow_frames(limits: &mut EdgeLimits) {
    let rate = Rate::per_second(1, Duration::from_secs(100));
    limits.http2.frames = FrameLimits { control: rate, resets: rate };
}

#[tokio::test]
async fn t41_rapid_resets_end_their_connection() {
    let edge = Edge::start(slow_frames).await;
    let stream = connect(&edge, &[]).await;
    let reset = |n| frame(kind::RST_STREAM, 0, n, &CANCEL.to_be_bytes());
    assert!(is_cut_off(stream, |n| [ask(n, "/"), reset(n)].concat()).await);
    assert!(edge.serves_others().await);
}

#[tokio::test]
async fn t41_floods_of_frames_that_ask_for_nothing_end_their_connection() {
    let edge = Edge::start(slow_frames).await;
    let floods: [fn(u32) -> Vec<u8>; 3] = [
        |_| frame(kind::PING, 0, 0, &[0; 8]),
        |_| frame(kind::SETTINGS, 0, 0, &[]),
        // The first opens a head, and none of the others ends it.
        |n| match n {
            1 => frame(kind::HEADERS, END_STREAM, 1, &head("/")),
            _ => frame(kind::CONTINUATION, 0, 1, &[]),
        },
    ];
    for flood in floods {
        assert!(is_cut_off(connect(&edge, &[]).await, flood).await);
    }
    assert!(edge.serves_others().await);
}

#[tokio::test]
async fn t41_a_head_that_is_not_ended_ends_its_connection() {
    let edge = Edge::start(|limits| limits.header_timeout = SOON).await;
    let mut stream = connect(&edge, &[]).await;
    stream.write_all(&frame(kind::HEADERS, END_STREAM, 1, &head("/"))).await.unwrap();
    rest(&mut stream).await;
    assert!(edge.serves_others().await);
}

#[tokio::test]
async fn t41_a_head_that_unpacks_to_more_than_may_be_is_refused() {
    let edge = Edge::start(|_limits| {}).await;
    let mut stream = connect(&edge, &[]).await;
    // One field of 120 bytes into the table, and then some hundred times that field by its number.
    let mut bomb = head("/");
    bomb.extend([0x40, 1, b'x', 120]);
    bomb.extend([b'y'; 120]);
    bomb.extend([0xbe; 500]);
    stream.write_all(&frame(kind::HEADERS, END_STREAM | END_HEADERS, 1, &bomb)).await.unwrap();
    let is_refused = loop {
        match next(&mut stream).await {
            None => break true,
            Some((kind::RST_STREAM, _, 1, _)) => break true,
            // Indexed 8 is ":status: 200".
            Some((kind::HEADERS, _, 1, head)) => break head[0] != 0x88,
            Some(_) => {}
        }
    };
    assert!(is_refused);
    assert!(edge.serves_others().await);
}

#[tokio::test]
async fn t41_a_stream_whose_window_stays_shut_is_reset_alone() {
    let edge = Edge::start(|limits| limits.stall_timeout = SOON).await;
    let mut stream = connect(&edge, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    stream.write_all(&[ask(1, "/"), ask(3, "/endless")].concat()).await.unwrap();
    let mut reset = Vec::new();
    while reset.len() < 2 {
        match next(&mut stream).await.expect("the connection goes on") {
            (kind::RST_STREAM, _, stream, _) => reset.push(stream),
            (kind::DATA, _, _, data) => assert_eq!(data, b""),
            _ => {}
        }
    }
    reset.sort_unstable();
    assert_eq!(reset, [1, 3]);
    stream.write_all(&frame(kind::PING, 0, 0, b"you here")).await.unwrap();
    while next(&mut stream).await.expect("the connection goes on").0 != kind::PING {}
}

#[tokio::test]
async fn a_connection_without_streams_ends_when_it_has_been_idle() {
    let edge = Edge::start(|limits| limits.idle_timeout = SOON).await;
    let mut stream = connect(&edge, &[]).await;
    stream.write_all(&ask(1, "/")).await.unwrap();
    let (mut answer, mut is_told) = (Vec::new(), false);
    while let Some((kind, flags, _, payload)) = next(&mut stream).await {
        match kind {
            kind::DATA => answer.extend(payload),
            kind::GOAWAY => is_told = true,
            // By which the server knows that we have heard it.
            kind::PING if flags & ACK == 0 => {
                stream.write_all(&frame(kind::PING, ACK, 0, &payload)).await.unwrap();
            }
            _ => {}
        }
    }
    assert!(is_told && answer == b"here");
}
