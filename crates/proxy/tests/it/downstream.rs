//! What clients see of our own HTTP/1.1: order, writes, ends, and what is left to others.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use proxy::{Downstream, Rewound};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::app::{App, Conn, Reply};
use crate::world::{BOUND, HOST as PRIVATE, PUBLIC, World, downstream};

/// What is waited for on purpose.
const SOON: Duration = Duration::from_millis(200);

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {PUBLIC}\r\n{more}\r\n")
}

/// A client's end in memory, and what becomes of the server's.
struct Session {
    client: DuplexStream,
    served: JoinHandle<Option<Rewound<Counted>>>,
    n_writes: Arc<AtomicUsize>,
}

/// The server's end, whose writes are counted.
#[derive(Debug)]
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl Session {
    fn begin(world: &World, change: impl FnOnce(&mut Downstream<Counted>)) -> Self {
        let (client, server) = duplex(256 * 1024);
        let n_writes = Arc::<AtomicUsize>::default();
        let peer = world.proxy.peer(([127, 0, 0, 1], 1).into(), false);
        let mut connection = downstream(Counted(server, Arc::clone(&n_writes)), peer);
        change(&mut connection);
        let proxy = world.proxy.clone();
        let served = tokio::spawn(async move { proxy.serve_http1(connection).await });
        Self { client, served, n_writes }
    }

    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.write_all(bytes.as_ref()).await.unwrap();
    }

    /// What comes until the text stands in it.
    async fn read_until(&mut self, text: &str) -> String {
        let mut got = Vec::new();
        while !String::from_utf8_lossy(&got).contains(text) {
            let read = timeout(BOUND, self.client.read_buf(&mut got)).await.expect("in time");
            assert!(read.unwrap() > 0, "{}", String::from_utf8_lossy(&got));
        }
        String::from_utf8(got).unwrap()
    }

    /// What comes until the end.
    async fn rest(&mut self) -> String {
        let mut got = Vec::new();
        timeout(BOUND, self.client.read_to_end(&mut got)).await.expect("in time").unwrap();
        String::from_utf8(got).unwrap()
    }
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_their_order() {
    let (world, app) = World::with_echo().await;
    let mut session = Session::begin(&world, |_connection| {});
    let body = "POST /b HTTP/1.1\r\nHost: {}\r\nContent-Length: 3\r\n\r\nabc".replace("{}", PUBLIC);
    let all = [get("/a", ""), body, get("/c", "Connection: close\r\n"), get("/d", "")].concat();
    session.write(all).await;
    let got = session.rest().await;
    let paths: Vec<usize> =
        ["GET /a ", "POST /b ", "GET /c "].iter().map(|path| got.find(path).unwrap()).collect();
    assert!(paths.is_sorted(), "{got}");
    assert_eq!(got.matches("HTTP/1.1 200 OK\r\n").count(), 3, "{got}");
    assert_eq!(got.matches("\r\nconnection: close\r\n").count(), 1, "{got}");
    assert!(!got.contains("GET /d") && app.seen().len() == 3, "nothing follows the last one");
    assert!(session.served.await.unwrap().is_none());
}

#[tokio::test]
async fn a_small_answer_leaves_in_one_write() {
    let world = World::start().await;
    let app = App::start(|seen| {
        if seen.line().contains("/chunked") {
            Reply::Bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".to_vec())
        } else {
            Reply::ok(vec![b'x'; 1024])
        }
    })
    .await;
    world.serve_everywhere(&app);
    let mut session = Session::begin(&world, |_connection| {});
    session.write(get("/", "")).await;
    assert!(session.read_until("xxxx").await.contains("\r\ncontent-length: 1024\r\n"));
    assert_eq!(session.n_writes.load(Ordering::Relaxed), 1);
    session.write(get("/chunked", "")).await;
    let got = session.read_until("0\r\n\r\n").await;
    assert!(got.ends_with("\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "{got}");
    assert_eq!(session.n_writes.load(Ordering::Relaxed), 2);
    // Ours, too.
    session.write(format!("GET / HTTP/1.1\r\nHost: {PRIVATE}\r\n\r\n")).await;
    assert!(session.read_until("}").await.starts_with("HTTP/1.1 403 Forbidden\r\n"));
    assert_eq!(session.n_writes.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn what_is_for_others_is_given_back_with_every_byte_that_was_not_served() {
    let (world, app) = World::with_echo().await;
    for other in [
        "GET /api HTTP/1.1\r\nHost: localhost\r\n\r\nand what follows".to_owned(),
        format!("GET http://{PUBLIC}/ HTTP/1.1\r\nHost: {PUBLIC}\r\n\r\n"),
        format!("GET / HTTP/1.0\r\nHost: {PUBLIC}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {PUBLIC}\r\nHost: {PUBLIC}\r\n\r\n"),
        format!("GET / HTTP/1.1\nHost: {PUBLIC}\n\n"),
        format!(
            "POST / HTTP/1.1\r\nHost: {PUBLIC}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        "\r\n\r\n".to_owned(),
        "x".repeat(100_000),
    ] {
        for first in ["", &get("/first", "")] {
            let mut session = Session::begin(&world, |_connection| {});
            session.write(first).await;
            if !first.is_empty() {
                session.read_until("GET /first").await;
            }
            session.write(&other).await;
            let mut unserved =
                timeout(BOUND, session.served).await.expect("in time").unwrap().unwrap();
            session.client.shutdown().await.unwrap();
            let mut rest = Vec::new();
            unserved.read_to_end(&mut rest).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&rest), other);
        }
    }
    assert!(app.seen().iter().all(|seen| seen.line() == "GET /first HTTP/1.1"));
}

#[tokio::test]
async fn t19_http2_begins_a_connection_or_not_at_all() {
    let (world, _app) = World::with_echo().await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut session = Session::begin(&world, |_connection| {});
    session.write(preface).await;
    assert!(session.served.await.unwrap().is_some());
    let mut session = Session::begin(&world, |_connection| {});
    session.write([&get("/", ""), preface].concat()).await;
    assert!(session.rest().await.contains("GET / HTTP/1.1"));
    assert!(session.served.await.unwrap().is_none());
}

#[tokio::test]
async fn a_body_is_asked_for_when_the_app_wants_it() {
    let world = World::start().await;
    let app = App::of_heads(|_seen| {
        Reply::take(async move |mut conn: Conn| {
            conn.write("HTTP/1.1 100 Continue\r\n\r\n").await;
            let body = conn.exactly(5).await.unwrap();
            assert_eq!(body, b"hello");
            conn.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        })
    })
    .await;
    world.serve_everywhere(&app);
    let ask = |host: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut session = Session::begin(&world, |_connection| {});
    session.write(ask(PUBLIC)).await;
    assert_eq!(session.read_until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    session.write("hello").await;
    assert!(session.read_until("ok").await.starts_with("HTTP/1.1 200 OK\r\n"));
    // Whoever is refused is not asked, and the connection ends: the body may be on its way or not.
    session.write(ask(PRIVATE)).await;
    let refused = session.rest().await;
    assert!(refused.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{refused}");
    assert!(refused.contains("\r\nconnection: close\r\n"), "{refused}");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_over_is_heard() {
    let world = World::start().await;
    let app = App::of_heads(|_seen| {
        Reply::Last(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 7\r\n\r\ntoo big".to_vec())
    })
    .await;
    world.serve_everywhere(&app);
    let mut client = world.connect().await;
    let head = format!("POST / HTTP/1.1\r\nHost: {PUBLIC}\r\nContent-Length: 100000000\r\n\r\n");
    client.write(head).await;
    // More than any buffer on the way holds.
    let writing = async { while client.stream.write_all(&[0; 64 * 1024]).await.is_ok() {} };
    let _some_of_it = timeout(SOON, writing).await;
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.text().as_str()), (413, "too big"));
}

#[tokio::test]
async fn a_client_that_leaves_while_an_app_thinks_ends_the_request() {
    let world = World::start().await;
    let (ended, mut ends) = mpsc::channel(1);
    let app = App::start(move |_seen| {
        let ended = ended.clone();
        Reply::take(async move |mut conn: Conn| {
            assert!(conn.exactly(1).await.is_none());
            ended.send(()).await.unwrap();
        })
    })
    .await;
    world.serve_everywhere(&app);
    let posted = format!("POST / HTTP/1.1\r\nHost: {PUBLIC}\r\nContent-Length: 3\r\n\r\nabc");
    for (n_before, request) in [get("/", ""), posted].iter().enumerate() {
        let mut client = world.connect().await;
        client.write(request).await;
        let arrived = async {
            while app.seen().len() == n_before {
                tokio::task::yield_now().await;
            }
        };
        timeout(BOUND, arrived).await.expect("it arrives");
        drop(client);
        timeout(BOUND, ends.recv()).await.expect("the app is told").unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_whole_one() {
    let world = World::start().await;
    let app = App::start(|seen| {
        let head = if seen.line().contains("/chunked") {
            "Transfer-Encoding: chunked\r\n\r\n5\r\nab"
        } else {
            "Content-Length: 5\r\n\r\nab"
        };
        Reply::Last(format!("HTTP/1.1 200 OK\r\n{head}").into_bytes())
    })
    .await;
    world.serve_everywhere(&app);
    for (path, end) in [("/", "\r\n\r\nab"), ("/chunked", "\r\n\r\n2\r\nab\r\n")] {
        let mut session = Session::begin(&world, |_connection| {});
        session.write(get(path, "")).await;
        let got = session.rest().await;
        assert!(got.ends_with(end), "{got}");
    }
}

#[tokio::test]
async fn an_edge_that_leaves_says_so_with_the_next_answer_and_one_that_closes_ends_what_is_idle() {
    let (world, _app) = World::with_echo().await;
    let mut tokens = None;
    let mut session = Session::begin(&world, |connection| {
        tokens = Some((connection.leaving.clone(), connection.closing.clone()));
    });
    let (leaving, closing) = tokens.unwrap();
    session.write(get("/a", "")).await;
    assert!(!session.read_until("\n\n").await.contains("connection: close"));
    leaving.cancel();
    // Idle, and a request may be on its way.
    assert!(timeout(SOON, session.client.read_u8()).await.is_err());
    session.write(get("/b", "")).await;
    assert!(session.rest().await.contains("\r\nconnection: close\r\n"));
    let mut idle = Session::begin(&world, |connection| connection.closing = closing.clone());
    idle.write(get("/c", "")).await;
    idle.read_until("\n\n").await;
    closing.cancel();
    assert_eq!(idle.rest().await, "");
}

#[tokio::test]
async fn t41_heads_come_in_time_and_nobody_idles_for_ever() {
    let (world, _app) = World::with_echo().await;
    let change = |connection: &mut Downstream<Counted>| {
        connection.limits.idle_timeout = SOON;
        connection.limits.head_timeout = SOON;
    };
    let mut silent = Session::begin(&world, change);
    assert_eq!(silent.rest().await, "");
    let mut dripping = Session::begin(&world, change);
    dripping.write(get("/", "")).await;
    dripping.read_until("GET / HTTP/1.1").await;
    let (mut reading, mut writing) = tokio::io::split(dripping.client);
    let drip = async {
        while writing.write_all(b"G").await.is_ok() {
            tokio::time::sleep(SOON / 10).await;
        }
    };
    let mut got = Vec::new();
    let (end, ()) = timeout(BOUND, async { tokio::join!(reading.read_to_end(&mut got), drip) })
        .await
        .expect("cut off in time");
    end.unwrap();
}

#[tokio::test]
async fn t41_a_client_that_takes_nothing_is_let_go_of() {
    let world = World::start().await;
    let app = App::start(|_seen| Reply::ok(vec![b'x'; 8 << 20])).await;
    world.serve_everywhere(&app);
    let mut stalled = Session::begin(&world, |connection| connection.limits.stall_timeout = SOON);
    stalled.write(get("/", "")).await;
    let served = timeout(BOUND, stalled.served).await.expect("let go of in time");
    assert!(served.unwrap().is_none());
}

#[tokio::test]
async fn a_word_of_the_status_line_and_a_date_pass_as_the_app_said_them() {
    let world = World::start().await;
    let app = App::start(|seen| {
        let more = if seen.line().contains("/dated") { "Date: yesterday\r\n" } else { "" };
        Reply::Bytes(
            format!("HTTP/1.1 299 Quite Well\r\n{more}Content-Length: 0\r\n\r\n").into_bytes(),
        )
    })
    .await;
    world.serve_everywhere(&app);
    let answer = world.send(&get("/dated", "")).await;
    assert!(answer.head.starts_with("HTTP/1.1 299 Quite Well"), "{}", answer.head);
    assert_eq!(answer.headers("date"), ["yesterday"]);
    assert_eq!(world.send(&get("/", "")).await.headers("date").len(), 1);
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
