//! T19 and T20 on raw sockets: whatever is sent, the app sees whole requests, and nobody's bytes become another's.

use crate::app::{App, Reply};
use crate::client::Answer;
use crate::world::{HOST, PUBLIC, World};

/// Bodies that one parser ends earlier than another; each hides a request for `/smuggled`.
#[expect(clippy::too_many_lines, reason = "a table")]
fn corpus() -> Vec<(&'static str, String)> {
    let hidden = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let chunked = format!("0\r\n\r\n{hidden}");
    let post = |headers: &str, body: &str| {
        format!("POST /first HTTP/1.1\r\nHost: {PUBLIC}\r\n{headers}\r\n{body}")
    };
    vec![
        (
            "length and chunked",
            post(
                &format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", chunked.len()),
                &chunked,
            ),
        ),
        (
            "chunked and length",
            post(
                &format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", chunked.len()),
                &chunked,
            ),
        ),
        (
            "chunked, short length",
            post(
                "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
                "5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n",
            ),
        ),
        (
            "two lengths",
            post(&format!("Content-Length: 0\r\nContent-Length: {}\r\n", hidden.len()), hidden),
        ),
        ("a list of lengths", post(&format!("Content-Length: 0, {}\r\n", hidden.len()), hidden)),
        ("signed length", post(&format!("Content-Length: +{}\r\n", hidden.len()), hidden)),
        ("hexadecimal length", post("Content-Length: 0x10\r\n", hidden)),
        ("negative length", post("Content-Length: -1\r\n", hidden)),
        ("huge length", post("Content-Length: 99999999999999999999999\r\n", hidden)),
        ("unknown coding", post("Transfer-Encoding: xchunked\r\n", &chunked)),
        ("two codings", post("Transfer-Encoding: chunked, identity\r\n", &chunked)),
        (
            "coding twice",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", &chunked),
        ),
        (
            "coding with a tab",
            post("Transfer-Encoding:\tchunked\r\nContent-Length: 3\r\n", &chunked),
        ),
        (
            "space before the colon",
            post("Transfer-Encoding : chunked\r\nContent-Length: 3\r\n", &chunked),
        ),
        (
            "folded coding",
            post("Transfer-Encoding:\r\n chunked\r\nContent-Length: 3\r\n", &chunked),
        ),
        ("folded header", post("X-A: b\r\n Content-Length: 50\r\n", hidden)),
        (
            "control in the coding",
            post("Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n", &chunked),
        ),
        (
            "quoted coding",
            post("Transfer-Encoding: \"chunked\"\r\nContent-Length: 3\r\n", &chunked),
        ),
        (
            "chunk extension with a line end",
            post("Transfer-Encoding: chunked\r\n", &format!("0;a\nb\r\n\r\n{hidden}")),
        ),
        (
            "chunk size that overflows",
            post("Transfer-Encoding: chunked\r\n", &format!("ffffffffffffffff1\r\nx\r\n{chunked}")),
        ),
        (
            "chunk size with a sign",
            post("Transfer-Encoding: chunked\r\n", &format!("+0\r\n\r\n{hidden}")),
        ),
        (
            "chunk without its end",
            post("Transfer-Encoding: chunked\r\n", &format!("1\r\nab\r\n{chunked}")),
        ),
        (
            "bare line feeds",
            format!(
                "POST /first HTTP/1.1\nHost: {PUBLIC}\nContent-Length: 0\nTransfer-Encoding: chunked\n\n{chunked}"
            ),
        ),
        ("bare carriage return", post("X-A: b\rContent-Length: 50\r\n", hidden)),
        ("header without a name", post(": x\r\n", hidden)),
        ("header without a colon", post("Content-Length\r\n", hidden)),
        (
            "length in a trailer",
            post(
                "Transfer-Encoding: chunked\r\nTrailer: Content-Length, Host, Cookie, X-Forwarded-For\r\n",
                "1\r\nx\r\n0\r\nContent-Length: 50\r\nHost: evil\r\nCookie: evil=1\r\nX-Forwarded-For: evil\r\n\r\n",
            ),
        ),
        (
            "coding in HTTP/1.0",
            format!(
                "POST /first HTTP/1.0\r\nHost: {PUBLIC}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"
            ),
        ),
        ("version that is none", format!("GET /first HTTP/1.9\r\nHost: {PUBLIC}\r\n\r\n{hidden}")),
        ("space in the target", format!("GET /first HTTP/1.1 HTTP/1.1\r\nHost: {PUBLIC}\r\n\r\n")),
        ("line end in the target", format!("GET /fi\rrst HTTP/1.1\r\nHost: {PUBLIC}\r\n\r\n")),
        ("null in a header", post("X-A: b\0c\r\nContent-Length: 50\r\n", hidden)),
    ]
}

#[tokio::test]
async fn t19_ambiguous_requests_are_refused_or_sent_on_unambiguous() {
    for (what, bytes) in corpus() {
        let (world, app) = World::with_echo().await;
        let mut attacker = world.connect().await;
        attacker.write(&bytes).await;
        tokio::io::AsyncWriteExt::shutdown(&mut attacker.stream).await.unwrap();
        let answers = attacker.rest().await;
        // The same app connection, if any is kept, then serves another's request: it gets its own answer.
        let canary = format!("GET /canary HTTP/1.1\r\nHost: {PUBLIC}\r\n\r\n");
        let answer: Answer = world.send(&canary).await;
        assert!(
            answer.status == 200 && answer.text().starts_with("GET /canary "),
            "{what}: {answer:?}"
        );
        for seen in app.seen() {
            let lengths = seen.headers("content-length").len();
            let codings = seen.headers("transfer-encoding");
            assert!(lengths + codings.len() <= 1, "{what}: {}", seen.head);
            assert!(codings.iter().all(|coding| coding == "chunked"), "{what}");
            assert!(
                !seen.trailers.contains("evil")
                    && !seen.trailers.to_lowercase().contains("content-length"),
                "{what}: {}",
                seen.trailers
            );
            assert!(
                seen.head.lines().skip(1).all(|line| line.contains(": ") || line.ends_with(':')),
                "{what}: {}",
                seen.head
            );
            // A pipelined request is its sender's own and names its own host, which is no service here.
            assert!(
                seen.line() != "GET /smuggled HTTP/1.1",
                "{what}: {}",
                String::from_utf8_lossy(&answers)
            );
        }
    }
}

#[tokio::test]
async fn t19_connections_to_an_app_are_not_shared_between_callers() {
    let (world, app) = World::with_echo().await;
    world.records.change(|target| target.submitters = vec![crate::world::user_uuid("alice")]);
    let send = |name: &str| {
        format!(
            "GET /{name} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {}\r\n\r\n",
            world.records.token(name)
        )
    };
    for name in ["alice", "admin", "alice", "admin"] {
        assert_eq!(world.send(&send(name)).await.status, 200);
    }
    let connections: Vec<usize> = app.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(
        (
            connections[0] == connections[1],
            connections[0] == connections[2],
            connections[1] == connections[3]
        ),
        (false, true, true)
    );
}

#[tokio::test]
async fn t19_answers_that_are_ambiguous_or_no_http_are_502() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX-A: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"",
    ] {
        let world = World::start().await;
        let reply = answer.to_vec();
        let app = App::start(move |_seen| Reply::Last(reply.clone())).await;
        world.serve_everywhere(&app);
        let got = world.send(&format!("GET / HTTP/1.1\r\nHost: {PUBLIC}\r\n\r\n")).await;
        assert_eq!(got.status, 502, "{}", String::from_utf8_lossy(answer));
        assert!(got.error().contains("application"));
    }
    // Both framings: the coding counts, the length goes.
    let world = World::start().await;
    let app = App::start(|_seen| Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n".to_vec())).await;
    world.serve_everywhere(&app);
    let got = world.send(&format!("GET / HTTP/1.1\r\nHost: {PUBLIC}\r\n\r\n")).await;
    assert!(got.header("content-length").is_none() && got.body == b"ab", "{got:?}");
}

#[tokio::test]
async fn t20_a_switch_that_nobody_asked_for_is_502() {
    let world = World::start().await;
    let app = App::start(|_seen| Reply::Last(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nraw bytes".to_vec())).await;
    world.serve_everywhere(&app);
    for more in [
        "",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ] {
        let answer = world.send(&format!("GET / HTTP/1.1\r\nHost: {PUBLIC}\r\n{more}\r\n")).await;
        assert_eq!(answer.status, 502);
        assert!(
            app.last().headers("upgrade").is_empty()
                && app.last().headers("http2-settings").is_empty()
        );
    }
}
