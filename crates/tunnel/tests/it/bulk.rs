//! Many streams with much to say.

use std::time::Duration;

use ring::digest::{Context, Digest, SHA256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tunnel::Tunnel;

use crate::ends::{ECHO, Ends, SOURCE, bounded, over_tcp, over_unix};

const STREAMS: usize = 100;
const BYTES: usize = 2 * 1024 * 1024;

/// Bytes that look different at every place of every stream.
fn piece(stream: usize, n: usize) -> Vec<u8> {
    let seed = (stream * 7919 + n * 104_729) as u64;
    (0..16 * 1024_u64).map(|at| (at.wrapping_mul(2_654_435_761) ^ seed).to_le_bytes()[2]).collect()
}

/// Echoes 2 MB through one stream; the hashes of what went and what came.
async fn echo_hashes(tunnel: Tunnel, stream: usize) -> (Digest, Digest) {
    let (mut reader, mut writer) = tokio::io::split(tunnel.open(ECHO).await.unwrap());
    let send = async {
        let mut hash = Context::new(&SHA256);
        for n in 0..BYTES / (16 * 1024) {
            let piece = piece(stream, n);
            hash.update(&piece);
            writer.write_all(&piece).await.unwrap();
        }
        writer.shutdown().await.unwrap();
        hash.finish()
    };
    let receive = async {
        let mut hash = Context::new(&SHA256);
        let (mut buffer, mut total) = (vec![0; 50_000], 0);
        loop {
            let n = reader.read(&mut buffer).await.unwrap();
            if n == 0 {
                break;
            }
            total += n;
            hash.update(&buffer[..n]);
        }
        assert_eq!(total, BYTES);
        hash.finish()
    };
    tokio::join!(send, receive)
}

async fn check_echo(ends: Ends) {
    let mut tasks = JoinSet::new();
    for stream in 0..STREAMS {
        tasks.spawn(echo_hashes(ends.controller.clone(), stream));
    }
    let mut n = 0;
    while let Some(hashes) = bounded(tasks.join_next()).await {
        let (sent, received) = hashes.unwrap();
        assert_eq!(sent.as_ref(), received.as_ref());
        n += 1;
    }
    assert_eq!(n, STREAMS);
    ends.finish().await;
}

#[tokio::test]
async fn hundred_streams_echo_two_megabytes_each_over_unix() {
    check_echo(over_unix().await).await;
}

#[tokio::test]
async fn hundred_streams_echo_two_megabytes_each_over_tcp() {
    check_echo(over_tcp().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hundred_streams_echo_two_megabytes_each_on_several_threads() {
    check_echo(over_unix().await).await;
}

async fn round_trip(tunnel: &Tunnel) {
    let mut stream = tunnel.open(ECHO).await.unwrap();
    stream.write_all(b"are you there?").await.unwrap();
    let mut answer = [0; 14];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"are you there?");
}

#[tokio::test]
async fn hundred_stalled_readers_stop_nobody() {
    let ends = over_unix().await;
    let mut stalled = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = bounded(ends.controller.open(SOURCE)).await.unwrap();
        // It has begun to send; from here on nobody reads.
        bounded(stream.read_exact(&mut [0])).await.unwrap();
        stalled.push(stream);
    }
    bounded(async {
        for _ in 0..200 {
            round_trip(&ends.controller).await;
        }
        let (sent, received) = echo_hashes(ends.controller.clone(), 0).await;
        assert_eq!(sent.as_ref(), received.as_ref());
    })
    .await;
    let mut late = stalled.pop().unwrap();
    let mut rest = vec![0; 1024 * 1024];
    bounded(late.read_exact(&mut rest)).await.unwrap();
    drop(late);
    drop(stalled);
    ends.finish().await;
}

#[tokio::test]
async fn downloads_leave_room_for_small_requests() {
    let ends = over_unix().await;
    let mut downloads = JoinSet::new();
    for _ in 0..4 {
        let tunnel = ends.controller.clone();
        downloads.spawn(async move {
            let mut stream = tunnel.open(SOURCE).await.unwrap();
            let mut buffer = vec![0; 64 * 1024];
            while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
        });
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let began = Instant::now();
        bounded(round_trip(&ends.controller)).await;
        slowest = slowest.max(began.elapsed());
    }
    // Starved, they would not come through at all; the bound is for a machine under load.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    downloads.shutdown().await;
    ends.finish().await;
}
