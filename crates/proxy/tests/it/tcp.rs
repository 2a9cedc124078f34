//! Raw TCP under the reserved prefix: bytes of one port, for who shows a token, as long as they may.

use std::time::{Duration, Instant};

use proxy::{DialError, TargetState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::client::Client;
use crate::world::{BOBS, BOUND, CONTAINER, HOST, OTHER, PUBLIC, Way, World};

fn ask(host: &str, more: &str) -> String {
    ask_at("/.wharf/tcp", host, more)
}

fn ask_at(path: &str, host: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n{more}\r\n"
    )
}

/// A world, and what listens on all its ports.
async fn world() -> (World, TcpListener) {
    let world = World::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for (container, port) in [(CONTAINER, 80), (CONTAINER, 81), (OTHER, 80)] {
        world.apps.set(container, port, Way::At(address));
    }
    (world, listener)
}

async fn open(world: &World, host: &str, user: &str) -> Client {
    let mut client = world.connect().await;
    client.write(ask(host, &world.bearer(user))).await;
    let head = client.head().await;
    assert_eq!((head.status, head.header("upgrade").as_deref()), (101, Some("tcp")), "{head:?}");
    client
}

#[tokio::test]
async fn bytes_of_any_kind_go_both_ways_and_each_way_ends_by_itself() {
    let (world, listener) = world().await;
    let mut client = world.connect().await;
    // What follows the request at once is the app's already.
    client.write(ask(HOST, &world.bearer("alice")) + "GET / nonsense\r\n\r\n\0").await;
    let (mut app, _) = listener.accept().await.unwrap();
    let mut first = [0; 19];
    app.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"GET / nonsense\r\n\r\n\0");
    assert_eq!(client.head().await.status, 101);
    let sent: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let (mut reader, mut writer) = tokio::io::split(client.stream);
    let writing = async {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let answering = async {
        let mut got = Vec::new();
        app.read_to_end(&mut got).await.unwrap();
        // The client's way has ended, the app's goes on.
        app.write_all(&got).await.unwrap();
        app.shutdown().await.unwrap();
    };
    let reading = async {
        let mut back = Vec::new();
        reader.read_to_end(&mut back).await.unwrap();
        back
    };
    let ((), (), back) =
        timeout(BOUND, async { tokio::join!(writing, answering, reading) }).await.unwrap();
    assert!(back == sent);
}

#[tokio::test]
async fn a_bearer_alone_opens_one() {
    let (world, _listener) = world().await;
    let cookie = format!("Cookie: {}\r\nOrigin: http://{HOST}\r\n", world.sign_in(HOST).await);
    let alice = world.bearer("alice");
    let cases = [
        (HOST, String::new(), 403),
        (HOST, cookie, 403),
        (HOST, world.bearer("bob"), 403),
        (HOST, world.bearer("scoped"), 403),
        (HOST, world.bearer("expired"), 403),
        (BOBS, alice.clone(), 403),
        // Public is public for HTTP; bytes need a name, though anybody's will do.
        (PUBLIC, String::new(), 403),
        (PUBLIC, world.bearer("scoped"), 403),
        (PUBLIC, world.bearer("bob"), 101),
        (HOST, world.bearer("admin"), 101),
        // Pages do not open them, not even the service's own.
        (HOST, format!("{alice}Origin: http://{HOST}\r\n"), 403),
        (HOST, format!("{alice}Origin: null\r\n"), 403),
        (HOST, alice, 101),
    ];
    for (host, headers, status) in cases {
        let mut client = world.connect().await;
        client.write(ask(host, &headers)).await;
        assert_eq!(client.head().await.status, status, "{host} {headers}");
    }
    let token = world.records.token("alice");
    let mut client = world.connect().await;
    client.write(ask_at(&format!("/.wharf/tcp?api_token={token}"), HOST, "")).await;
    assert_eq!(client.head().await.status, 403, "a token in an address");
}

#[tokio::test]
async fn t18_nothing_in_the_request_chooses_anything_but_the_hosts_port() {
    let (world, listener) = world().await;
    let alice = world.bearer("alice");
    let n_dials = world.apps.n_dials();
    for (path, more) in [
        ("/.wharf/tcp?port=22", ""),
        ("/.wharf/tcp", "X-Port: 22\r\nX-Forwarded-Host: other\r\nX-Wharf-Kind: shell\r\n"),
    ] {
        let mut client = world.connect().await;
        client.write(ask_at(path, HOST, &format!("{alice}{more}")) + "hello").await;
        let (mut app, _) = listener.accept().await.unwrap();
        let mut got = [0; 5];
        app.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
    }
    assert_eq!(world.apps.n_dials(), n_dials + 2);
    for other in ["/.wharf/tcp/22", "/.wharf/shell", "/.wharf/tcp/", "/.wharf/TCP"] {
        assert_eq!(world.send(&ask_at(other, HOST, &alice)).await.status, 404, "{other}");
    }
    let plain = format!("GET /.wharf/tcp HTTP/1.1\r\nHost: {HOST}\r\n{alice}\r\n");
    assert_eq!(world.send(&plain).await.status, 404, "no upgrade");
    assert_eq!(world.apps.n_dials(), n_dials + 2);
}

#[tokio::test]
async fn what_stands_in_the_way_is_an_answer_in_http() {
    let (world, _listener) = world().await;
    let alice = world.bearer("alice");
    let status = async |host: &str| {
        let answer = world.send(&ask(host, &alice)).await;
        assert!(!answer.error().is_empty());
        answer.status
    };
    world.apps.set(CONTAINER, 80, Way::Fails(DialError::Refused));
    assert_eq!(status(HOST).await, 502, "was ready and refuses now");
    world.apps.set(CONTAINER, 80, Way::Fails(DialError::NoTunnel));
    assert_eq!(status(HOST).await, 503, "no supervisor");
    assert_eq!(status("nobody.containers.localhost").await, 404);
    world.records.change(|target| target.state = TargetState::Locked);
    assert_eq!(status(HOST).await, 503, "not yet");
    world.records.change(|target| target.state = TargetState::Complete);
    assert_eq!(status(HOST).await, 410, "over");
}

#[tokio::test]
async fn withdrawn_access_ends_it_within_a_second_on_both_sides() {
    for host in [HOST, PUBLIC] {
        let (world, listener) = world().await;
        let mut client = open(&world, host, "alice").await;
        let (mut app, _) = listener.accept().await.unwrap();
        let since = Instant::now();
        world.records.revoke("alice");
        assert_eq!(client.rest().await, b"");
        let mut rest = Vec::new();
        let _reset = timeout(BOUND, app.read_to_end(&mut rest)).await.expect("the app hears of it");
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    }
}
