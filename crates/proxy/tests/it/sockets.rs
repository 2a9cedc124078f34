//! WebSockets with a client that is not ours, and the handshakes that are none.

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Message, http};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::app::{App, Conn, Reply, Seen};
use crate::world::{HOST, PUBLIC, World};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn upgrade(host: &str, more: &str) -> String {
    format!(
        "GET /ws?a=1 HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

fn accept(seen: &Seen, more: &str) -> String {
    let key = derive_accept_key(seen.headers("sec-websocket-key")[0].as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {key}\r\n{more}\r\n"
    )
}

/// Echoes messages until the client closes.
async fn echo_app() -> App {
    App::start(|seen| {
        let head = accept(seen, "Sec-WebSocket-Protocol: chat\r\n");
        Reply::take(async move |mut conn: Conn| {
            conn.write(head).await;
            let Conn { stream, ahead } = conn;
            let mut socket =
                WebSocketStream::from_partially_read(stream, ahead, Role::Server, None).await;
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() || message.is_binary() {
                    socket.send(message).await.unwrap();
                }
            }
        })
    })
    .await
}

async fn open(
    world: &World,
    host: &str,
    headers: &[(&str, String)],
) -> Result<
    (WebSocketStream<TcpStream>, http::Response<Option<Vec<u8>>>),
    tokio_tungstenite::tungstenite::Error,
> {
    let mut request = format!("ws://{host}/ws?a=1").into_client_request().unwrap();
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let stream = TcpStream::connect(world.address).await.unwrap();
    client_async(request, stream).await
}

#[tokio::test]
async fn text_binary_ping_subprotocol_and_close_codes_pass() {
    let world = World::start().await;
    let app = echo_app().await;
    world.serve_everywhere(&app);
    let protocol = ("sec-websocket-protocol", "chat".to_owned());
    let token = ("authorization", format!("Bearer {}", world.records.token("alice")));
    let (mut socket, answer) = open(&world, HOST, &[protocol, token]).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    assert_eq!(app.last().line(), "GET /ws?a=1 HTTP/1.1");
    assert_eq!(app.last().headers("authorization"), Vec::<String>::new());
    let big: Vec<u8> = (0..1_000_000u32).map(|n| n.to_le_bytes()[0]).collect();
    for message in [
        Message::text("hello"),
        Message::binary(vec![0u8, 1, 2]),
        Message::binary(big),
        Message::text(""),
    ] {
        socket.send(message.clone()).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap() == message);
    }
    socket.send(Message::Ping(b"p".to_vec().into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong(b"p".to_vec().into()));
    let frame = CloseFrame { code: CloseCode::Library(4001), reason: "done".into() };
    socket.close(Some(frame.clone())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Close(Some(frame)));
}

#[tokio::test]
async fn a_socket_is_counted_while_it_is_open_and_so_are_its_bytes() {
    let world = World::start().await;
    let app = echo_app().await;
    world.serve_everywhere(&app);
    let protocol = ("sec-websocket-protocol", "chat".to_owned());
    let (mut socket, _answer) = open(&world, PUBLIC, &[protocol]).await.unwrap();
    socket.send(Message::binary(vec![7; 10_000])).await.unwrap();
    socket.next().await.unwrap().unwrap();
    let is_seen = |it: &proxy::PortCounted| it.bytes_in > 10_000 && it.bytes_out > 10_000;
    let counted = world.counted_so(81, is_seen).await;
    assert_eq!((counted.n_open, counted.n_sockets, counted.by_class[0]), (1, 1, 1));
    socket.close(None).await.unwrap();
    drop(socket);
    let counted = world.counted_so(81, |it| it.n_open == 0).await;
    assert_eq!((counted.n_sockets, counted.whole.buckets.iter().sum::<u64>()), (0, 1));
}

#[tokio::test]
async fn a_browser_with_a_cookie_opens_a_socket_from_its_own_page() {
    let world = World::start().await;
    let app = echo_app().await;
    world.serve_everywhere(&app);
    let cookie = ("cookie", world.sign_in(HOST).await);
    let own = ("origin", format!("http://{HOST}"));
    let protocol = ("sec-websocket-protocol", "chat".to_owned());
    assert!(open(&world, HOST, &[cookie.clone(), own, protocol.clone()]).await.is_ok());
    assert!(app.last().headers("cookie").is_empty());
    let foreign = ("origin", "http://evil.example".to_owned());
    assert!(open(&world, HOST, &[cookie, foreign, protocol.clone()]).await.is_err());
    // A token in the address works for sockets, which cannot follow a redirect.
    let path = format!("/ws?api_token={}&a=1", world.records.token("alice"));
    let raw = upgrade(HOST, "").replace("/ws?a=1", &path);
    assert_eq!(world.send(&raw).await.status, 101);
    assert_eq!(app.last().line(), "GET /ws?a=1 HTTP/1.1");
}

#[tokio::test]
async fn a_half_close_passes_and_the_other_direction_goes_on() {
    let world = World::start().await;
    let app = App::start(|seen| {
        let head = accept(seen, "");
        Reply::take(async move |mut conn: Conn| {
            conn.write(head).await;
            let mut all = std::mem::take(&mut conn.ahead);
            conn.stream.read_to_end(&mut all).await.unwrap();
            conn.write(format!("got {} bytes", all.len())).await;
        })
    })
    .await;
    world.serve_everywhere(&app);
    let mut client = world.connect().await;
    assert_eq!(client.send(upgrade(PUBLIC, "")).await.status, 101);
    client.write(vec![7; 300_000]).await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.rest().await, b"got 300000 bytes");
}

#[tokio::test]
async fn t20_an_answer_that_is_no_switch_stays_http() {
    let world = World::start().await;
    let app = App::start(|seen| {
        if seen.line().starts_with("GET /ws") {
            Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil".to_vec())
        } else {
            Reply::ok("next")
        }
    })
    .await;
    world.serve_everywhere(&app);
    let mut client = world.connect().await;
    // What was pipelined behind the request is the next request, gate and all, and no raw bytes.
    let next = format!("GET /next HTTP/1.1\r\nHost: {PUBLIC}\r\n\r\n");
    let denied = format!("GET /denied HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    client.write(upgrade(PUBLIC, "") + &next + &denied).await;
    let first = client.answer(false).await;
    assert_eq!((first.status, first.text().as_str()), (200, "ok"));
    assert_eq!(client.answer(false).await.text(), "next");
    assert_eq!(client.answer(false).await.status, 403);
}

#[tokio::test]
async fn a_connection_whose_switch_was_refused_is_not_used_again() {
    let world = World::start().await;
    let app = App::start(|seen| {
        if seen.line().starts_with("GET /ws") {
            // As servers do that have given the socket to their WebSocket part: one answer, and no HTTP after it.
            Reply::take(async move |mut conn: Conn| {
                conn.write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").await;
                while conn.exactly(1).await.is_some() {}
            })
        } else {
            Reply::ok("next")
        }
    })
    .await;
    world.serve_everywhere(&app);
    for _ in 0..3 {
        assert_eq!(world.send(&upgrade(PUBLIC, "")).await.status, 401);
        let next = format!("GET /next HTTP/1.1\r\nHost: {PUBLIC}\r\n\r\n");
        assert_eq!(world.send(&next).await.text(), "next");
    }
}

#[tokio::test]
async fn t20_a_switch_without_the_right_proof_is_502() {
    let proofs = [
        "",
        "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Accept: x\r\n",
    ];
    let heads: Vec<String> = proofs
        .iter()
        .map(|proof| format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{proof}\r\nraw"))
        .chain([
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nraw".to_owned(),
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nraw".to_owned(),
        ])
        .collect();
    for head in heads {
        let world = World::start().await;
        let bytes = head.clone().into_bytes();
        let app = App::start(move |_seen| Reply::Last(bytes.clone())).await;
        world.serve_everywhere(&app);
        let answer = world.send(&upgrade(PUBLIC, "")).await;
        assert_eq!(answer.status, 502, "{head}");
        assert!(!answer.text().contains("raw"));
    }
}

#[tokio::test]
async fn t20_bytes_sent_ahead_reach_the_app_only_after_its_101() {
    let world = World::start().await;
    let app = App::start(|seen| {
        let head = accept(seen, "");
        Reply::take(async move |mut conn: Conn| {
            // Nothing was sent before the switch.
            assert!(conn.ahead.is_empty());
            conn.write(head).await;
            let early = conn.exactly(5).await.unwrap();
            conn.write(early).await;
        })
    })
    .await;
    world.serve_everywhere(&app);
    let mut client = world.connect().await;
    client.write(upgrade(PUBLIC, "") + "early").await;
    assert_eq!(client.answer(false).await.status, 101);
    assert_eq!(client.rest().await, b"early");
}

#[tokio::test]
async fn requests_that_ask_for_half_a_websocket_stay_http() {
    let (world, app) = World::with_echo().await;
    for broken in [
        upgrade(PUBLIC, "").replace("Sec-WebSocket-Version: 13\r\n", ""),
        upgrade(PUBLIC, "").replace(&format!("Sec-WebSocket-Key: {KEY}\r\n"), ""),
        upgrade(PUBLIC, &format!("Sec-WebSocket-Key: {KEY}\r\n")),
        upgrade(PUBLIC, "").replace("keep-alive, Upgrade", "keep-alive"),
        upgrade(PUBLIC, "").replace("GET", "POST"),
    ] {
        assert_eq!(world.send(&broken).await.status, 200);
        assert!(app.last().headers("upgrade").is_empty(), "{broken}");
    }
}

#[tokio::test]
async fn a_shutdown_closes_open_sockets() {
    let world = World::start().await;
    let app = echo_app().await;
    world.serve_everywhere(&app);
    let mut client = world.connect().await;
    assert_eq!(client.send(upgrade(PUBLIC, "")).await.status, 101);
    let left = world.proxy.shutdown(crate::world::BOUND).await;
    assert!(left.is_clean(), "{left:?}");
    assert_eq!(client.rest().await, b"");
}
