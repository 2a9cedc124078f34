//! Connections to apps: kept, bounded, and replaced when they died.

use std::time::Duration;

use proxy::DialError;

use crate::app::{App, Reply};
use crate::world::{CONTAINER, PUBLIC, Way, World};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {PUBLIC}\r\n\r\n")
}

#[tokio::test]
async fn a_harmless_request_on_a_connection_that_died_is_sent_once_more() {
    let world = World::start().await;
    // Each connection answers one request and dies on the second without a word.
    let app = App::start(|seen| {
        if seen.line().contains("/first") {
            Reply::ok("1")
        } else if seen.connection == 0 {
            Reply::Last(Vec::new())
        } else {
            Reply::ok("again")
        }
    })
    .await;
    world.serve_everywhere(&app);
    assert_eq!(world.send(&get("/first")).await.status, 200);
    assert_eq!(world.send(&get("/second")).await.text(), "again");
    let connections: Vec<usize> = app.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
}

#[tokio::test]
async fn a_request_that_may_do_harm_twice_is_not() {
    let world = World::start().await;
    let app = App::start(|seen| {
        if seen.line().contains("/first") { Reply::ok("1") } else { Reply::Last(Vec::new()) }
    })
    .await;
    world.serve_everywhere(&app);
    for request in [
        format!("POST /second HTTP/1.1\r\nHost: {PUBLIC}\r\nContent-Length: 1\r\n\r\nx"),
        format!("POST /second HTTP/1.1\r\nHost: {PUBLIC}\r\nContent-Length: 0\r\n\r\n"),
        format!("PUT /second HTTP/1.1\r\nHost: {PUBLIC}\r\nContent-Length: 1\r\n\r\nx"),
    ] {
        assert_eq!(world.send(&get("/first")).await.status, 200);
        let before = app.seen().len();
        assert_eq!(world.send(&request).await.status, 502);
        assert_eq!(app.seen().len(), before + 1);
    }
    // A new connection that dies is no reason to try again either.
    let before = app.seen().len();
    assert_eq!(world.send(&get("/second")).await.status, 502);
    assert_eq!(app.seen().len(), before + 1);
}

#[tokio::test]
async fn a_request_that_never_left_is_sent_once_more() {
    let (world, app) = World::with_echo().await;
    world.apps.set(CONTAINER, 81, Way::Brittle(app.address));
    let head = |method: &str| format!("{method} /second HTTP/1.1\r\nHost: {PUBLIC}\r\n");
    for request in [
        head("GET") + "\r\n",
        head("DELETE") + "\r\n",
        // A request that changes things has changed nothing where no byte of it left.
        head("POST") + "Content-Length: 0\r\n\r\n",
    ] {
        assert_eq!(world.send(&get("/first")).await.status, 200);
        let n_before = app.seen().len();
        assert_eq!(world.send(&request).await.status, 200, "{request}");
        assert_eq!(app.seen().len(), n_before + 1, "{request}");
    }
}

#[tokio::test]
async fn a_request_that_never_left_is_503_where_the_supervisor_is_gone() {
    let (world, app) = World::with_echo().await;
    world.apps.set(CONTAINER, 81, Way::Brittle(app.address));
    assert_eq!(world.send(&get("/first")).await.status, 200);
    world.apps.set(CONTAINER, 81, Way::Fails(DialError::NoTunnel));
    let answer = world.send(&get("/second")).await;
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true));
    assert_eq!(
        (app.seen().len(), world.apps.n_dials()),
        (1, 2),
        "it is tried once more, not for ever"
    );
}

#[tokio::test]
async fn a_body_that_was_taken_is_not_sent_again() {
    let (world, app) = World::with_echo().await;
    world.apps.set(CONTAINER, 81, Way::Brittle(app.address));
    assert_eq!(world.send(&get("/first")).await.status, 200);
    let request = format!("POST / HTTP/1.1\r\nHost: {PUBLIC}\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(world.send(&request).await.status, 502);
    assert_eq!((app.seen().len(), world.apps.n_dials()), (1, 1));
}

#[tokio::test]
async fn a_connection_that_the_app_closed_while_idle_is_not_used() {
    let world = World::start().await;
    let app =
        App::start(|_seen| Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()))
            .await;
    world.serve_everywhere(&app);
    for _ in 0..20 {
        assert_eq!(world.send(&get("/")).await.text(), "ok");
    }
}

#[tokio::test]
async fn an_answer_that_was_not_read_to_its_end_leaves_no_connection_behind() {
    let world = World::start().await;
    let app = App::start(|seen| {
        if seen.line().contains("/big") {
            Reply::ok(vec![b'x'; 8 << 20])
        } else {
            Reply::ok("small")
        }
    })
    .await;
    world.serve_everywhere(&app);
    let mut client = world.connect().await;
    client.write(get("/big")).await;
    assert_eq!(client.head().await.status, 200);
    drop(client);
    for _ in 0..5 {
        assert_eq!(world.send(&get("/small")).await.text(), "small");
    }
}

#[tokio::test]
async fn idle_connections_end_in_time() {
    let world = World::with(|config| config.pool_idle_timeout = Duration::from_millis(40)).await;
    let (ended, mut ends) = tokio::sync::mpsc::channel(1);
    let app = App::start(move |_seen| {
        let ended = ended.clone();
        Reply::take(async move |mut conn: crate::app::Conn| {
            conn.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            assert!(conn.exactly(1).await.is_none());
            ended.send(()).await.unwrap();
        })
    })
    .await;
    world.serve_everywhere(&app);
    assert_eq!(world.send(&get("/")).await.status, 200);
    tokio::time::timeout(crate::world::BOUND, ends.recv()).await.expect("closed in time").unwrap();
}
