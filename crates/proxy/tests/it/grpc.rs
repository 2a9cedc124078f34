//! gRPC: HTTP/2 on both sides, the same gate, and every end reaches the other side.

use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use http::Request;
use proxy::{DialError, TargetState};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::app::App;
use crate::h2c::{Call, H2cApp, H2cClient, head_of, piece, reset_of, rest, trailers};
use crate::world::{BOBS, BOUND, CONTAINER, HOST, OTHER, PUBLIC, Way, World};

async fn world_with(app: &H2cApp) -> World {
    let world = World::start().await;
    serve(&world, app);
    world
}

fn serve(world: &World, app: &H2cApp) {
    for (container, port) in [(CONTAINER, 80), (CONTAINER, 81), (OTHER, 80)] {
        world.apps.set(container, port, Way::At(app.address));
    }
}

/// Alice's call to her private port, and its stream at the app.
async fn open(
    world: &World,
    app: &mut H2cApp,
    client: &H2cClient,
) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>, Call) {
    let token = world.records.token("alice");
    let (answer, body) = client.call(HOST, Some(&token)).await;
    (answer, body, app.next().await)
}

#[tokio::test]
async fn a_call_reaches_its_app_as_http2_with_trailers_both_ways() {
    let mut app = H2cApp::start().await;
    let world = world_with(&app).await;
    let client = H2cClient::new(&world).await;
    let (answer, mut body, mut call) = open(&world, &mut app, &client).await;
    let uri = call.head.uri.to_string();
    assert_eq!(uri, format!("http://{HOST}/pkg.Service/Method"));
    let header = |name: &str| call.head.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(
        ["te", "grpc-timeout", "content-type", "x-forwarded-host", "x-forwarded-for"].map(header),
        [
            Some("trailers"),
            Some("20S"),
            Some("application/grpc+proto"),
            Some(HOST),
            Some("127.0.0.1")
        ]
    );
    assert_eq!(["authorization", "connection", "host"].map(header), [None; 3]);
    body.send_data(Bytes::from_static(b"hello"), false).unwrap();
    body.send_trailers(trailers(&[("x-sum", "5"), ("authorization", "Bearer x")])).unwrap();
    let (sent, after) = rest(&mut call.body).await;
    assert_eq!(
        (sent.as_slice(), after.len(), &after["x-sum"]),
        (&b"hello"[..], 1, &"5".parse().unwrap())
    );
    let mut reply = call.answer();
    reply.send_data(Bytes::from_static(b"world"), false).unwrap();
    let end =
        [("grpc-status", "0"), ("grpc-message", "fine"), ("set-cookie", "a=1; Domain=localhost")];
    reply.send_trailers(trailers(&end)).unwrap();
    let (head, mut body) = head_of(answer).await;
    assert_eq!(
        (head.status.as_u16(), &head.headers["content-type"]),
        (200, &"application/grpc".parse().unwrap())
    );
    let (got, after) = rest(&mut body).await;
    assert_eq!(
        (got.as_slice(), &after["grpc-status"], &after["grpc-message"]),
        (&b"world"[..], &"0".parse().unwrap(), &"fine".parse().unwrap())
    );
    assert!(!after.contains_key("set-cookie"), "{after:?}");
}

#[tokio::test]
async fn an_answer_that_is_only_trailers_stays_one() {
    let mut app = H2cApp::start().await;
    let world = world_with(&app).await;
    let client = H2cClient::new(&world).await;
    let (answer, mut body, mut call) = open(&world, &mut app, &client).await;
    body.send_data(Bytes::new(), true).unwrap();
    let head =
        http::Response::builder().header("grpc-status", "5").header("grpc-message", "no%20such");
    call.reply.send_response(head.body(()).unwrap(), true).unwrap();
    let (head, body) = head_of(answer).await;
    assert!(body.is_end_stream());
    assert_eq!(
        (&head.headers["grpc-status"], &head.headers["grpc-message"]),
        (&"5".parse().unwrap(), &"no%20such".parse().unwrap())
    );
}

#[tokio::test]
async fn messages_go_both_ways_one_by_one() {
    let mut app = H2cApp::start().await;
    let world = world_with(&app).await;
    let client = H2cClient::new(&world).await;
    let (answer, mut up, mut call) = open(&world, &mut app, &client).await;
    let mut down = call.answer();
    let (_head, mut body) = head_of(answer).await;
    // Each message is there before the next is sent: nothing on the way collects.
    for number in 0..5u8 {
        up.send_data(Bytes::from(vec![number]), false).unwrap();
        assert_eq!(piece(&mut call.body).await.unwrap().unwrap(), vec![number]);
        down.send_data(Bytes::from(vec![number, number]), false).unwrap();
        assert_eq!(piece(&mut body).await.unwrap().unwrap(), vec![number, number]);
    }
    // Either side may end first: here the client's, and the app goes on.
    up.send_data(Bytes::new(), true).unwrap();
    assert_eq!(piece(&mut call.body).await.unwrap(), None);
    down.send_data(Bytes::from_static(b"more"), false).unwrap();
    down.send_trailers(trailers(&[("grpc-status", "0")])).unwrap();
    assert_eq!(rest(&mut body).await.0, b"more");
}

#[tokio::test]
async fn a_client_that_cancels_resets_the_apps_stream() {
    let mut app = H2cApp::start().await;
    let world = world_with(&app).await;
    let client = H2cClient::new(&world).await;
    for (begun, up_is_open) in [(false, true), (true, true), (true, false), (false, false)] {
        let (answer, mut up, mut call) = open(&world, &mut app, &client).await;
        if !up_is_open {
            up.send_data(Bytes::new(), true).unwrap();
            assert_eq!(piece(&mut call.body).await.unwrap(), None);
        }
        let mut down = None;
        if begun {
            down = Some(call.answer());
            drop(head_of(answer).await);
        } else {
            drop(answer);
        }
        up.send_reset(Reason::CANCEL);
        let reset = async {
            match &mut down {
                Some(down) => std::future::poll_fn(|cx| down.poll_reset(cx)).await,
                None => std::future::poll_fn(|cx| call.reply.poll_reset(cx)).await,
            }
        };
        let reason = timeout(BOUND, reset).await.expect("a reset in time").unwrap();
        assert_eq!(reason, Reason::CANCEL, "begun: {begun}, up: {up_is_open}");
    }
    // Its neighbours on the same connection go on.
    let (answer, _up, mut call) = open(&world, &mut app, &client).await;
    assert_eq!(call.connection, 0);
    call.finish();
    assert_eq!(head_of(answer).await.0.status, 200);
}

#[tokio::test]
async fn an_app_that_breaks_a_call_off_is_heard() {
    let mut app = H2cApp::start().await;
    let world = world_with(&app).await;
    let client = H2cClient::new(&world).await;
    // In the middle of its answer: the same reset.
    let (answer, _up, mut call) = open(&world, &mut app, &client).await;
    let mut down = call.answer();
    down.send_data(Bytes::from_static(b"half"), false).unwrap();
    let (_head, mut body) = head_of(answer).await;
    assert_eq!(piece(&mut body).await.unwrap().unwrap(), "half");
    down.send_reset(Reason::ENHANCE_YOUR_CALM);
    assert_eq!(reset_of(&mut body).await, Some(Reason::ENHANCE_YOUR_CALM));
    // Before it: the status that the protocol gives to this reset.
    for (reason, status) in
        [(Reason::REFUSED_STREAM, "14"), (Reason::CANCEL, "1"), (Reason::PROTOCOL_ERROR, "13")]
    {
        let (answer, _up, mut call) = open(&world, &mut app, &client).await;
        call.reply.send_reset(reason);
        let (head, _empty) = head_of(answer).await;
        assert_eq!(
            (head.status.as_u16(), &head.headers["grpc-status"]),
            (200, &status.parse().unwrap()),
            "{reason:?}"
        );
    }
}

#[tokio::test]
async fn an_app_that_dies_fails_its_calls_at_once() {
    let mut app = H2cApp::start().await;
    let world = world_with(&app).await;
    let client = H2cClient::new(&world).await;
    let (begun, _up, mut call) = open(&world, &mut app, &client).await;
    let _down = call.answer();
    let (_head, mut body) = head_of(begun).await;
    let (waiting, _up, _call) = open(&world, &mut app, &client).await;
    app.die().await;
    assert!(piece(&mut body).await.is_err());
    assert_eq!(head_of(waiting).await.0.headers["grpc-status"], "14");
}

#[tokio::test]
async fn withdrawn_access_resets_both_sides_within_a_second() {
    for begun in [true, false] {
        let mut app = H2cApp::start().await;
        let world = world_with(&app).await;
        let client = H2cClient::new(&world).await;
        let (answer, _up, mut call) = open(&world, &mut app, &client).await;
        let mut body = None;
        let mut down = None;
        let mut answer = Some(answer);
        if begun {
            down = Some(call.answer());
            body = Some(head_of(answer.take().unwrap()).await.1);
        }
        let since = Instant::now();
        world.records.revoke("alice");
        match (&mut body, answer) {
            (Some(body), _) => drop(reset_of(body).await),
            (None, Some(answer)) => {
                assert_eq!(head_of(answer).await.0.headers["grpc-status"], "7");
            }
            (None, None) => unreachable!(),
        }
        let gone = async {
            match &mut down {
                Some(down) => std::future::poll_fn(|cx| down.poll_reset(cx)).await.is_ok(),
                None => std::future::poll_fn(|cx| call.reply.poll_reset(cx)).await.is_ok(),
            }
        };
        assert!(timeout(BOUND, gone).await.expect("the app hears of it"));
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    }
}

#[tokio::test]
async fn calls_of_one_caller_share_a_connection_and_of_two_never() {
    let mut app = H2cApp::start().await;
    let world = world_with(&app).await;
    let client = H2cClient::new(&world).await;
    let mut calls = Vec::new();
    for _ in 0..50 {
        calls.push(open(&world, &mut app, &client).await);
    }
    assert!(calls.iter().all(|(_, _, call)| call.connection == 0));
    let bob = world.records.token("bob");
    for (host, token) in [(BOBS, Some(bob.as_str())), (PUBLIC, None)] {
        let (_answer, _up) = client.call(host, token).await;
        assert_ne!(app.next().await.connection, 0, "{host}");
    }
    assert_eq!(world.apps.n_dials(), 3);
}

#[tokio::test]
async fn calls_that_come_at_once_wait_for_one_connection() {
    let mut app = H2cApp::start().await;
    let world = world_with(&app).await;
    let client = H2cClient::new(&world).await;
    let starting = (0..60).map(|_| client.call(PUBLIC, None));
    let calls = futures_util::future::join_all(starting).await;
    for _ in &calls {
        assert_eq!(app.next().await.connection, 0);
    }
    assert_eq!(world.apps.n_dials(), 1);
}

#[tokio::test]
async fn more_calls_than_an_app_takes_on_a_connection_get_another() {
    let mut app = H2cApp::with(|builder| _ = builder.max_concurrent_streams(2)).await;
    let world = World::with(|config| config.http2_streams_max_per_key = 6).await;
    serve(&world, &app);
    let client = H2cClient::new(&world).await;
    let mut open = Vec::new();
    for _ in 0..6 {
        let (answer, up) = client.call(PUBLIC, None).await;
        open.push((answer, up, app.next().await));
    }
    let mut connections: Vec<usize> = open.iter().map(|(_, _, call)| call.connection).collect();
    connections.sort_unstable();
    assert_eq!(connections, [0, 0, 1, 1, 2, 2]);
    // One caller's calls are bounded; another's are not touched by that.
    let (refused, _up) = client.call(PUBLIC, None).await;
    let head = head_of(refused).await.0;
    assert_eq!(head.headers["grpc-status"], "8", "{head:?}");
    let bob = world.records.token("bob");
    let (_answer, _up) = client.call(BOBS, Some(&bob)).await;
    assert_eq!(app.next().await.connection, 3);
    // A place that comes free is taken again, on the connection that there is.
    let (answer, _up, mut call) = open.swap_remove(3);
    call.finish();
    rest(&mut head_of(answer).await.1).await;
    let (_answer, _up) = client.call(PUBLIC, None).await;
    assert!(app.next().await.connection < 3);
}

#[tokio::test]
async fn an_app_that_takes_no_calls_is_not_dialled_for_ever() {
    let app = H2cApp::with(|builder| _ = builder.max_concurrent_streams(0)).await;
    let world = World::with(|config| {
        config.pool_idle_max_per_key = 3;
        config.first_byte_timeout = Some(Duration::from_millis(300));
    })
    .await;
    serve(&world, &app);
    let client = H2cClient::new(&world).await;
    for _ in 0..8 {
        let (answer, _up) = client.call(PUBLIC, None).await;
        let status = head_of(answer).await.0.headers["grpc-status"].clone();
        assert!(["4", "8", "14"].contains(&status.to_str().unwrap()), "{status:?}");
    }
    assert!(world.apps.n_dials() <= 4, "{}", world.apps.n_dials());
}

#[tokio::test]
async fn idle_connections_end_in_time_and_dead_ones_are_replaced() {
    let mut app = H2cApp::start().await;
    let world = World::with(|config| config.pool_idle_timeout = Duration::from_millis(60)).await;
    serve(&world, &app);
    let client = H2cClient::new(&world).await;
    for number in 0..2 {
        let (answer, mut up) = client.call(PUBLIC, None).await;
        let mut call = app.next().await;
        assert_eq!(call.connection, number);
        up.send_data(Bytes::new(), true).unwrap();
        call.finish();
        assert_eq!(rest(&mut head_of(answer).await.1).await.0, b"ok");
        assert_eq!(app.next_end().await, number);
    }
    // A call that lasts is no idle connection.
    let (answer, _up) = client.call(PUBLIC, None).await;
    let mut call = app.next().await;
    let silence = timeout(Duration::from_millis(400), app.next_end()).await;
    assert!(silence.is_err(), "ended under a call");
    call.finish();
    assert_eq!(rest(&mut head_of(answer).await.1).await.0, b"ok");
    // An app that was started anew gets a new connection.
    app.die().await;
    let mut app = H2cApp::start().await;
    serve(&world, &app);
    let (answer, _up) = client.call(PUBLIC, None).await;
    app.next().await.finish();
    assert_eq!(head_of(answer).await.0.status, 200);
}

#[tokio::test]
async fn a_reader_that_stalls_slows_no_other_call() {
    const PIECE: usize = 64 * 1024;
    let mut app = H2cApp::start().await;
    let world = world_with(&app).await;
    let stalled = H2cClient::new(&world).await;
    let mut held = Vec::new();
    for _ in 0..60 {
        let (answer, up, mut call) = open(&world, &mut app, &stalled).await;
        let mut down = call.answer();
        // More than any window on the way, and nobody reads it.
        down.send_data(Bytes::from(vec![0; 4 << 20]), false).unwrap();
        held.push((head_of(answer).await, up, call, down));
    }
    let client = H2cClient::new(&world).await;
    let (answer, _up, mut call) = open(&world, &mut app, &client).await;
    assert_eq!(call.connection, 0, "the same connection to the app");
    let mut down = call.answer();
    let (_head, mut body) = head_of(answer).await;
    for _ in 0..64 {
        down.send_data(Bytes::from(vec![1; PIECE]), false).unwrap();
        let mut n_read = 0;
        while n_read < PIECE {
            n_read += piece(&mut body).await.unwrap().unwrap().len();
        }
    }
}

#[tokio::test]
async fn t11_calls_pass_the_same_gate_and_are_refused_in_their_own_words() {
    let app = H2cApp::start().await;
    let world = world_with(&app).await;
    let client = H2cClient::new(&world).await;
    let token = |name: &str| Some(world.records.token(name));
    let cases = [
        (HOST, None, "16", "private"),
        (HOST, token("bob"), "7", "somebody%20else"),
        (HOST, token("scoped"), "7", "private"),
        (HOST, Some("nonsense".to_owned()), "16", "private"),
        ("nobody.containers.localhost", None, "5", "no such service"),
        ("wharf-dz642-0123456789abcde-0.containers.localhost", None, "3", "no port"),
    ];
    for (host, token, status, words) in cases {
        let (answer, _up) = client.call(host, token.as_deref()).await;
        let (head, body) = head_of(answer).await;
        assert_eq!((head.status.as_u16(), body.is_end_stream()), (200, true), "{host}");
        assert_eq!(head.headers["content-type"], "application/grpc");
        let message = head.headers["grpc-message"].to_str().unwrap();
        assert_eq!(head.headers["grpc-status"], status, "{host}: {message}");
        assert!(message.contains(&words.replace("%20", " ")), "{message}");
        assert!(head.headers.contains_key("x-request-id"));
    }
    // A cookie opens it for pages of its own origin alone.
    let cookie = world.sign_in(HOST).await;
    let with_cookie = |origin: Option<&str>| {
        let mut request = Request::post(format!("http://{HOST}/m"))
            .header("content-type", "application/grpc")
            .header("cookie", &cookie);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.body(()).unwrap()
    };
    for foreign in [None, Some("http://b.containers.localhost")] {
        let (answer, _up) = client.send(with_cookie(foreign), true).await;
        assert_eq!(head_of(answer).await.0.headers["grpc-status"], "7");
    }
    assert_eq!(world.apps.n_dials(), 0);
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_call_has_a_status_of_its_own() {
    let world = World::start().await;
    let client = H2cClient::new(&world).await;
    let status = async || {
        let (answer, _up) = client.call(PUBLIC, None).await;
        let head = head_of(answer).await.0;
        head.headers["grpc-status"].to_str().unwrap().parse::<u8>().unwrap()
    };
    assert_eq!(status().await, 14, "was ready and refuses now");
    world.apps.set(CONTAINER, 81, Way::Fails(DialError::NoTunnel));
    assert_eq!(status().await, 14, "no supervisor");
    // An app that speaks HTTP/1.1 only, and one that is none.
    let http1 = App::echo().await;
    world.apps.set(CONTAINER, 81, Way::At(http1.address));
    assert_eq!(status().await, 12, "no HTTP/2");
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.apps.set(CONTAINER, 81, Way::At(mute.local_addr().unwrap()));
    let (answer, _up) = client.call(PUBLIC, None).await;
    let (mut socket, _) = mute.accept().await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut socket, b"220 smtp.example ESMTP\r\n").await.unwrap();
    assert_eq!(head_of(answer).await.0.headers["grpc-status"], "12");
    world.records.change(|target| target.state = TargetState::Queued);
    assert_eq!(status().await, 14, "not yet");
    world.records.change(|target| target.state = TargetState::Complete);
    assert_eq!(status().await, 9, "over");
    world.records.go_down();
    assert_eq!(status().await, 14, "no records");
}

#[tokio::test]
async fn requests_that_only_look_like_calls_go_to_http1_apps() {
    let (world, app) = World::with_echo().await;
    let client = H2cClient::new(&world).await;
    for kind in ["application/grpc-web+proto", "application/json"] {
        let request = Request::post(format!("http://{PUBLIC}/x")).header("content-type", kind);
        let (answer, _up) = client.send(request.body(()).unwrap(), true).await;
        assert_eq!(head_of(answer).await.0.status, 200);
        assert_eq!(app.last().line(), "POST /x HTTP/1.1");
    }
    let over_http1 = format!(
        "POST /y HTTP/1.1\r\nHost: {PUBLIC}\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(world.send(&over_http1).await.status, 200);
    assert_eq!(app.last().line(), "POST /y HTTP/1.1");
}
