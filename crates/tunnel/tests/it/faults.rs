//! Ends of all kinds.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tunnel::{
    CloseReason, GoAway, Limits, OpenError, RefuseReason, Role, StreamKind, Violation, start,
};

use crate::ends::{CLOSED, ECHO, HOLD, bounded, over_unix};

#[tokio::test]
async fn half_close_is_heard_and_answered() {
    let ends = over_unix().await;
    let mut stream = bounded(ends.controller.open(ECHO)).await.unwrap();
    stream.write_all(b"and that is all").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    bounded(stream.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"and that is all");
    assert_eq!(stream.write_all(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    drop(stream);
    ends.finish().await;
}

#[tokio::test]
async fn refusal_says_why() {
    let ends = over_unix().await;
    let refused = bounded(ends.controller.open(CLOSED)).await.unwrap_err();
    assert_eq!(refused, OpenError::Refused { reason: RefuseReason::PortClosed });
    let refused = bounded(ends.controller.open(StreamKind::Control)).await.unwrap_err();
    assert_eq!(refused, OpenError::Refused { reason: RefuseReason::Unsupported });
    ends.finish().await;
}

#[tokio::test]
async fn dropped_stream_is_a_reset_to_the_peer() {
    let ends = over_unix().await;
    let mut incoming = ends._controller_incoming;
    let (opened, accepted) = bounded(async {
        tokio::join!(ends.supervisor.open(StreamKind::Control), async {
            incoming.next().await.unwrap().accept()
        })
    })
    .await;
    let mut accepted = accepted;
    drop(opened.unwrap());
    let error = bounded(accepted.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(accepted.write_u8(1).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn abrupt_cut_fails_every_stream_at_once() {
    let ends = over_unix().await;
    let mut reading = bounded(ends.controller.open(ECHO)).await.unwrap();
    let mut writing = bounded(ends.controller.open(HOLD)).await.unwrap();
    let read = tokio::spawn(async move { reading.read_u8().await });
    let write = tokio::spawn(async move {
        let piece = vec![0; 64 * 1024];
        loop {
            writing.write_all(&piece).await?;
        }
        #[expect(unreachable_code, reason = "names the type of the error")]
        std::io::Result::Ok(())
    });
    let [ours, theirs] = ends.drivers;
    theirs.abort();
    let error = bounded(read).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    let error = bounded(write).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    let reason = bounded(ours).await.unwrap();
    assert!(matches!(reason, CloseReason::ConnectionLost(_)), "{reason}");
    assert_eq!(bounded(ends.controller.closed()).await, reason);
    assert_eq!(ends.controller.open(ECHO).await.unwrap_err(), OpenError::Closed);
    bounded(ends.serving).await.unwrap();
}

#[tokio::test]
async fn goodbye_reaches_the_peer_behind_the_last_bytes() {
    let ends = over_unix().await;
    let mut incoming = ends._controller_incoming;
    let (opened, accepted) = bounded(async {
        tokio::join!(ends.supervisor.open(StreamKind::Control), async {
            incoming.next().await.unwrap().accept()
        })
    })
    .await;
    let (mut opened, mut accepted) = (opened.unwrap(), accepted);
    opened.write_all(&[5; 200_000]).await.unwrap();
    opened.shutdown().await.unwrap();
    ends.supervisor.close();
    let mut last = Vec::new();
    bounded(accepted.read_to_end(&mut last)).await.unwrap();
    assert_eq!(last.len(), 200_000);
    assert_eq!(bounded(ends.controller.closed()).await, CloseReason::PeerClosed(GoAway::Normal));
}

#[tokio::test]
async fn garbage_ends_the_tunnel_with_its_name() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let (tunnel, _incoming, driver) =
        start(BufReader::new(near), Role::Controller, Limits::controller());
    let driver = tokio::spawn(driver);
    far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let violation = CloseReason::Violation(Violation::UnknownFrameType(b'G'));
    assert_eq!(bounded(driver).await.unwrap(), violation);
    assert_eq!(tunnel.close_reason(), Some(violation));
    let mut told = Vec::new();
    bounded(far.read_to_end(&mut told)).await.unwrap();
    assert_eq!(told[told.len() - 8], 10, "a goodbye");
}

#[tokio::test(start_paused = true)]
async fn silent_peer_is_given_up() {
    let (near, _far) = UnixStream::pair().unwrap();
    let (tunnel, _incoming, driver) =
        start(BufReader::new(near), Role::Controller, Limits::controller());
    assert_eq!(driver.await, CloseReason::PeerSilent);
    assert!(tunnel.is_closed());
}

#[tokio::test]
async fn living_peer_answers_when_asked() {
    let ends = over_unix().await;
    assert!(bounded(ends.controller.is_answering()).await);
    assert!(bounded(ends.supervisor.is_answering()).await);
    let controller = ends.controller.clone();
    ends.finish().await;
    assert!(!controller.is_answering().await, "an ended tunnel has no peer");
}

#[tokio::test(start_paused = true)]
async fn frozen_peer_does_not_answer_when_asked() {
    let (near, _far) = UnixStream::pair().unwrap();
    let (tunnel, _incoming, driver) =
        start(BufReader::new(near), Role::Controller, Limits::controller());
    let driver = tokio::spawn(driver);
    assert!(!tunnel.is_answering().await);
    assert!(!tunnel.is_closed(), "asking ends nothing");
    driver.abort();
}

#[tokio::test(start_paused = true)]
async fn open_without_an_answer_times_out() {
    let (near, _far) = UnixStream::pair().unwrap();
    let limits =
        Limits { ping_interval: std::time::Duration::from_secs(600), ..Limits::controller() };
    let (tunnel, _incoming, driver) = start(BufReader::new(near), Role::Controller, limits);
    let driver = tokio::spawn(driver);
    assert_eq!(tunnel.open(ECHO).await.unwrap_err(), OpenError::TimedOut);
    tunnel.close();
    assert_eq!(driver.await.unwrap(), CloseReason::Closed);
}

#[tokio::test]
async fn stopped_driver_ends_both_ends() {
    let ends = over_unix().await;
    let [ours, theirs] = ends.drivers;
    ours.abort();
    assert_eq!(bounded(ends.controller.closed()).await, CloseReason::DriverStopped);
    assert!(matches!(bounded(theirs).await.unwrap(), CloseReason::ConnectionLost(_)));
    bounded(ends.serving).await.unwrap();
}
