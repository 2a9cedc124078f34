//! Open streams end when access does, within a second.

use std::time::{Duration, Instant};

use proxy::TargetState;

use crate::app::{App, Conn, Reply};
use crate::client::Client;
use crate::world::{HOST, World};

/// A stream that sends one byte and then nothing, and one open WebSocket.
async fn open_streams(world: &World) -> Vec<Client> {
    let token = format!("Authorization: Bearer {}\r\n", world.records.token("alice"));
    let mut stream = world.connect().await;
    stream.write(format!("GET /stream HTTP/1.1\r\nHost: {HOST}\r\n{token}\r\n")).await;
    assert_eq!(stream.head().await.status, 200);
    assert_eq!(stream.chunk().await.unwrap().unwrap(), b"x");
    let mut socket = world.connect().await;
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let answer =
        socket.send(format!("GET /ws HTTP/1.1\r\nHost: {HOST}\r\n{token}{upgrade}\r\n")).await;
    assert_eq!(answer.status, 101);
    vec![stream, socket]
}

async fn app() -> App {
    App::start(|seen| {
        let head = if seen.line().contains("/ws") {
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        } else if seen.line().contains("/wait") {
            ""
        } else {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
        };
        Reply::take(async move |mut conn: Conn| {
            conn.write(head).await;
            let _until_closed = conn.exactly(1).await;
        })
    })
    .await
}

async fn streams_end_after(change: impl FnOnce(&World)) {
    let world = World::start().await;
    let app = app().await;
    world.serve_everywhere(&app);
    let streams = open_streams(&world).await;
    let begun = Instant::now();
    change(&world);
    // The stream breaks off, the socket is told why (RFC 6455 §7.4.1).
    let [mut stream, mut socket] = <[Client; 2]>::try_from(streams).ok().unwrap();
    assert_eq!(stream.rest().await, b"");
    let goodbye = socket.rest().await;
    assert_eq!((goodbye[0], &goodbye[2..4]), (0x88, &1008_u16.to_be_bytes()[..]), "{goodbye:?}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_revoked_token_ends_open_streams_within_a_second() {
    streams_end_after(|world| world.records.revoke("alice")).await;
}

#[tokio::test]
async fn another_owner_ends_open_streams_within_a_second() {
    streams_end_after(|world| {
        world.records.change(|target| target.submitters = vec![crate::world::user_uuid("bob")])
    })
    .await;
}

#[tokio::test]
async fn a_stopped_container_ends_open_streams_within_a_second() {
    streams_end_after(|world| world.records.change(|target| target.state = TargetState::Cancelled))
        .await;
}

#[tokio::test]
async fn a_change_of_something_else_ends_nothing() {
    let world = World::start().await;
    let app = app().await;
    world.serve_everywhere(&app);
    let mut streams = open_streams(&world).await;
    world.records.revoke("bob");
    world.records.change(|target| target.name = "another name".to_owned());
    for stream in &mut streams {
        let ended = tokio::time::timeout(Duration::from_millis(500), stream.rest()).await;
        assert!(ended.is_err(), "a stream ended");
    }
}

/// What a request is answered that waited for the app when something changed.
async fn answered_after(change: impl FnOnce(&World)) -> u16 {
    let world = World::start().await;
    let app = app().await;
    world.serve_everywhere(&app);
    let token = world.records.token("alice");
    let mut client = world.connect().await;
    client
        .write(format!(
            "GET /wait HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n\r\n"
        ))
        .await;
    while app.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    change(&world);
    client.answer(false).await.status
}

#[tokio::test]
async fn a_request_that_still_waits_for_its_answer_ends_too() {
    assert_eq!(answered_after(|world| world.records.revoke("alice")).await, 403);
}

#[tokio::test]
async fn a_request_that_waits_while_its_service_ends_is_told_so() {
    let stop = |world: &World| world.records.change(|it| it.state = TargetState::Cancelled);
    assert_eq!(answered_after(stop).await, 410);
}
