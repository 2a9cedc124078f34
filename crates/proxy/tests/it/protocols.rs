//! HTTP/1.1 in all its forms: lengths, chunks, trailers, ranges, waiting, streams.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::app::{App, Conn, Reply, Seen};
use crate::world::{BOUND, PUBLIC, World};

async fn world_with(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (World, App) {
    let world = World::start().await;
    let app = App::start(handler).await;
    world.serve_everywhere(&app);
    (world, app)
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {PUBLIC}\r\n{more}\r\n")
}

#[tokio::test]
async fn a_keep_alive_connection_serves_many_requests() {
    let (world, app) = World::with_echo().await;
    let mut client = world.connect().await;
    for number in 0..50 {
        let answer = client.send(get(&format!("/{number}"), "")).await;
        assert!(answer.text().starts_with(&format!("GET /{number} ")));
    }
    assert!(
        app.seen().iter().all(|seen| seen.connection == 0),
        "one connection to the app is enough"
    );
}

#[tokio::test]
async fn bodies_pass_with_length_in_chunks_and_with_trailers_both_ways() {
    let (world, app) = world_with(|seen| {
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        Reply::Bytes(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n{:x}\r\n{body}\r\n0\r\nX-Sum: 42\r\n\r\n", body.len()).into_bytes())
    })
    .await;
    let chunked = format!(
        "POST /c HTTP/1.1\r\nHost: {PUBLIC}\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-In\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-In: 7\r\n\r\n"
    );
    let answer = world.send(&chunked).await;
    assert_eq!(
        (answer.body.as_slice(), answer.trailers.to_lowercase().as_str()),
        (&b"abcde"[..], "x-sum: 42\n")
    );
    let seen = app.last();
    assert_eq!(
        (seen.body.as_slice(), seen.trailers.to_lowercase().as_str()),
        (&b"abcde"[..], "x-in: 7\n")
    );
    assert_eq!(
        (seen.headers("te"), seen.headers("transfer-encoding"), seen.headers("trailer")),
        (vec!["trailers".to_owned()], vec!["chunked".to_owned()], vec!["X-In".to_owned()])
    );
    let sized = format!("PUT /l HTTP/1.1\r\nHost: {PUBLIC}\r\nContent-Length: 5\r\n\r\nabcde");
    let answer = world.send(&sized).await;
    assert_eq!(
        (answer.body.as_slice(), answer.trailers.as_str()),
        (&b"abcde"[..], ""),
        "nobody asked for trailers"
    );
    assert_eq!(
        (app.last().headers("content-length"), app.last().headers("te").len()),
        (vec!["5".to_owned()], 0)
    );
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_its_connection() {
    let (world, _app) =
        world_with(|_seen| Reply::Last(b"HTTP/1.1 200 OK\r\n\r\nuntil the end".to_vec())).await;
    assert_eq!(world.send(&get("/", "")).await.body, b"until the end");
    let old = format!("GET / HTTP/1.0\r\nHost: {PUBLIC}\r\n\r\n");
    assert_eq!(world.send(&old).await.body, b"until the end");
}

#[tokio::test]
async fn heads_and_empty_answers_keep_their_lengths() {
    let (world, _app) = world_with(|seen| {
        let status = if seen.line().contains("/304") {
            "304 Not Modified"
        } else if seen.line().contains("/204") {
            "204 No Content"
        } else {
            "200 OK"
        };
        let length = if status.starts_with("204") { "" } else { "Content-Length: 1234\r\n" };
        Reply::Bytes(format!("HTTP/1.1 {status}\r\n{length}ETag: \"x\"\r\n\r\n").into_bytes())
    })
    .await;
    let mut client = world.connect().await;
    for _twice in 0..2 {
        let head = client.send(format!("HEAD / HTTP/1.1\r\nHost: {PUBLIC}\r\n\r\n")).await;
        assert_eq!((head.status, head.header("content-length").as_deref()), (200, Some("1234")));
        assert_eq!(client.send(get("/304", "If-None-Match: \"x\"\r\n")).await.status, 304);
        let empty = client.send(get("/204", "")).await;
        assert_eq!(
            (empty.status, empty.header("content-length"), empty.header("transfer-encoding")),
            (204, None, None)
        );
    }
}

#[tokio::test]
async fn ranges_and_reason_phrases_and_repeated_headers_pass() {
    let (world, app) = world_with(|_seen| Reply::Bytes(b"HTTP/1.1 206 Just A Part\r\nContent-Range: bytes 1-2/9\r\nContent-Length: 2\r\nX-A: 1\r\nX-A: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nbc".to_vec())).await;
    let answer = world.send(&get("/", "Range: bytes=1-2\r\nIf-Range: \"x\"\r\n")).await;
    assert!(answer.head.starts_with("HTTP/1.1 206 Just A Part\r\n"));
    assert_eq!(
        (
            answer.header("content-range").as_deref(),
            answer.headers("x-a"),
            answer.headers("set-cookie")
        ),
        (
            Some("bytes 1-2/9"),
            vec!["1".to_owned(), "2".to_owned()],
            vec!["a=1".to_owned(), "b=2".to_owned()]
        )
    );
    assert_eq!(
        (app.last().headers("range"), app.last().headers("if-range")),
        (vec!["bytes=1-2".to_owned()], vec!["\"x\"".to_owned()])
    );
}

#[tokio::test]
async fn events_arrive_one_by_one_as_they_are_sent() {
    let world = World::start().await;
    let (next, mut asked) = tokio::sync::mpsc::channel::<()>(1);
    let (out, _) = tokio::sync::broadcast::channel::<()>(1);
    let ticks = out.clone();
    let app = App::start(move |_seen| {
        let mut ticks = ticks.subscribe();
        let next = next.clone();
        Reply::take(async move |mut conn: Conn| {
            conn.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            for number in 0..3 {
                next.send(()).await.unwrap();
                ticks.recv().await.unwrap();
                conn.write(format!("9\r\ndata: {number}\n\n\r\n")).await;
            }
        })
    })
    .await;
    world.serve_everywhere(&app);
    let mut client = world.connect().await;
    client.write(get("/events", "Accept: text/event-stream\r\n")).await;
    assert_eq!(client.head().await.status, 200);
    for number in 0..3 {
        // The app sends an event only when asked, so each one came through before the next existed.
        asked.recv().await.unwrap();
        out.send(()).unwrap();
        let chunk = timeout(BOUND, client.chunk()).await.unwrap().unwrap().unwrap();
        assert_eq!(chunk, format!("data: {number}\n\n").as_bytes());
    }
}

#[tokio::test]
async fn a_body_that_waits_for_continue_is_not_asked_for_before_the_app_does() {
    let world = World::start().await;
    let app = App::of_heads(|seen| {
        let mut seen = seen.clone();
        Reply::take(async move |mut conn: Conn| {
            if seen.line().contains("/refused") {
                conn.write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno").await;
                return;
            }
            assert!(conn.ahead.is_empty(), "the body came before it was asked for");
            conn.write("HTTP/1.1 100 Continue\r\n\r\n").await;
            conn.body(&mut seen).await.unwrap();
            conn.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.body.len()))
                .await;
            conn.write(&seen.body).await;
        })
    })
    .await;
    world.serve_everywhere(&app);
    let head = |path: &str| {
        format!(
            "PUT {path} HTTP/1.1\r\nHost: {PUBLIC}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
    };
    let mut client = world.connect().await;
    client.write(head("/asked")).await;
    assert_eq!(client.head().await.status, 100);
    assert_eq!(client.send("abcde").await.body, b"abcde");
    // The app says no: the client never has to send.
    let mut client = world.connect().await;
    client.write(head("/refused")).await;
    let answer = client.head().await;
    assert_eq!(answer.status, 413);
    // The gate says no: nothing is asked for either, and the app hears nothing.
    let n_seen = app.seen().len();
    let mut client = world.connect().await;
    client.write(head("/x").replace("-81.", "-80.")).await;
    assert_eq!(client.head().await.status, 403);
    assert_eq!(app.seen().len(), n_seen);
}

#[tokio::test]
async fn an_app_that_never_says_continue_gets_the_body_after_a_moment() {
    let world = World::start().await;
    let app = App::echo().await;
    world.serve_everywhere(&app);
    let mut client = world.connect().await;
    client
        .write(format!(
            "PUT / HTTP/1.1\r\nHost: {PUBLIC}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        ))
        .await;
    assert_eq!(client.head().await.status, 100);
    assert_eq!(client.send("abcde").await.status, 200);
    assert_eq!(app.last().body, b"abcde");
}

#[tokio::test]
async fn hints_before_the_answer_do_no_harm() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".repeat(3)
        + "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (world, _app) = world_with(move |_seen| Reply::Bytes(hints.clone().into_bytes())).await;
    assert_eq!(world.send(&get("/", "")).await.body, b"ok");
}

#[tokio::test]
async fn a_body_of_a_hundred_mebibytes_streams_both_ways() {
    const SIZE: usize = 100 << 20;
    let world = World::start().await;
    let app = App::of_heads(|_seen| {
        Reply::take(async move |mut conn: Conn| {
            conn.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n")).await;
            let mut left = SIZE;
            while left > 0 {
                let part = conn.exactly(left.min(1 << 16)).await.unwrap();
                left -= part.len();
                conn.write(part).await;
            }
        })
    })
    .await;
    world.serve_everywhere(&app);
    let client = world.connect().await;
    let (mut reader, mut writer) = tokio::io::split(client.stream);
    let sending = async move {
        use tokio::io::AsyncWriteExt;
        writer
            .write_all(
                format!("POST / HTTP/1.1\r\nHost: {PUBLIC}\r\nContent-Length: {SIZE}\r\n\r\n")
                    .as_bytes(),
            )
            .await
            .unwrap();
        let part: Vec<u8> = (0..1u32 << 16).map(|n| n.to_le_bytes()[0]).collect();
        for _ in 0..SIZE >> 16 {
            writer.write_all(&part).await.unwrap();
        }
        writer
    };
    let reading = async move {
        use tokio::io::AsyncReadExt;
        let mut got = vec![0; 1 << 16];
        let mut n_read = 0;
        while n_read < SIZE {
            let n = reader.read(&mut got).await.unwrap();
            assert!(n > 0, "ended after {n_read}");
            n_read += n;
        }
    };
    let both = async { tokio::join!(sending, reading) };
    timeout(Duration::from_secs(60), both).await.unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_apps_connection() {
    let world = World::start().await;
    let (gone, ended) = oneshot::channel::<()>();
    let gone = std::sync::Mutex::new(Some(gone));
    let app = App::start(move |_seen| {
        let gone = gone.lock().unwrap().take();
        Reply::take(async move |mut conn: Conn| {
            conn.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n").await;
            assert!(conn.exactly(1).await.is_none());
            gone.unwrap().send(()).unwrap();
        })
    })
    .await;
    world.serve_everywhere(&app);
    let mut client = world.connect().await;
    client.write(get("/", "")).await;
    assert_eq!(client.head().await.status, 200);
    drop(client);
    timeout(BOUND, ended).await.expect("the app hears of it").unwrap();
}

#[tokio::test]
async fn an_app_that_takes_longer_than_the_site_allows_is_504() {
    let world =
        World::with(|config| config.first_byte_timeout = Some(Duration::from_millis(50))).await;
    let app =
        App::start(|_seen| Reply::take(async |mut conn: Conn| drop(conn.exactly(1).await))).await;
    world.serve_everywhere(&app);
    assert_eq!(world.send(&get("/", "")).await.status, 504);
}
