//! HTTP/2 from the client: many authorities and methods on one connection, crumbs, WebSocket by RFC 8441.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::app::{App, Conn, Reply};
use crate::world::{BOBS, HOST, PUBLIC, World};

struct Client {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Client {
    async fn new(world: &World) -> Self {
        let io = TokioIo::new(TcpStream::connect(world.address).await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(async move { connection.await.unwrap() });
        Self { sender, _driver: driver }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let mut sender = self.sender.clone();
        sender.ready().await.unwrap();
        sender.send_request(request).await.unwrap()
    }

    async fn get(&self, host: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::get(format!("http://{host}/p"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.send(request.body(Full::default()).unwrap()).await;
        let status = answer.status().as_u16();
        answer.into_body().collect().await.unwrap();
        status
    }
}

#[tokio::test]
async fn t05_streams_of_one_http2_connection_are_authorised_one_by_one() {
    let (world, app) = World::with_echo().await;
    let cookie = world.sign_in(HOST).await;
    let bob = format!("Bearer {}", world.records.token("bob"));
    let client = Client::new(&world).await;
    let (cookie, bob) = ([("cookie", cookie.as_str())], [("authorization", bob.as_str())]);
    for _ in 0..5 {
        let (own, stranger, reused, public, bobs, wrong) = tokio::join!(
            client.get(HOST, &cookie),
            client.get(HOST, &[]),
            client.get(BOBS, &cookie),
            client.get(PUBLIC, &[]),
            client.get(BOBS, &bob),
            client.get(HOST, &bob),
        );
        assert_eq!([own, stranger, reused, public, bobs, wrong], [200, 403, 403, 200, 200, 403]);
    }
    assert_eq!(app.seen().len(), 15);
}

#[tokio::test]
async fn t15_crumbs_become_one_cookie_header_without_ours() {
    let (world, app) = World::with_echo().await;
    let cookie = world.sign_in(HOST).await;
    let client = Client::new(&world).await;
    let crumbs = [("cookie", "a=1"), ("cookie", cookie.as_str()), ("cookie", "b=2; c=3")];
    assert_eq!(client.get(HOST, &crumbs).await, 200);
    let seen = app.last();
    assert_eq!(
        (seen.headers("cookie"), seen.headers("host")),
        (vec!["a=1; b=2; c=3".to_owned()], vec![HOST.to_owned()])
    );
    assert_eq!(seen.line(), "GET /p HTTP/1.1");
}

#[tokio::test]
async fn t11_methods_over_http2_pass_the_same_gate() {
    let (world, app) = World::with_echo().await;
    let client = Client::new(&world).await;
    for method in ["GET", "POST", "HEAD", "OPTIONS", "TRACE", "DELETE"] {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{HOST}/"))
            .body(Full::default())
            .unwrap();
        assert_eq!(client.send(request).await.status(), 403, "{method}");
    }
    for protocol in ["websocket", "connect-udp"] {
        let mut request = Request::builder()
            .method("CONNECT")
            .uri(format!("http://{HOST}/ws"))
            .body(Full::default())
            .unwrap();
        request.extensions_mut().insert(hyper::ext::Protocol::from_static(protocol));
        assert_eq!(client.send(request).await.status(), 403, "{protocol}");
    }
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn bodies_and_trailers_pass_from_http2_to_http1_and_back() {
    let world = World::start().await;
    let app = App::start(|seen| {
        let n = seen.body.len();
        Reply::Bytes(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-N\r\n\r\n2\r\nok\r\n0\r\nX-N: {n}\r\n\r\n").into_bytes())
    })
    .await;
    world.serve_everywhere(&app);
    let client = Client::new(&world).await;
    let request = Request::post(format!("http://{PUBLIC}/up"))
        .header("te", "trailers")
        .body(Full::from("hello"))
        .unwrap();
    let body = client.send(request).await.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-n"], "5");
    assert_eq!(body.to_bytes(), "ok");
    assert_eq!(app.last().body, b"hello");
}

#[tokio::test]
async fn a_websocket_over_http2_reaches_an_http1_app() {
    let world = World::start().await;
    let app = App::start(|seen| {
        let key = tokio_tungstenite::tungstenite::handshake::derive_accept_key(seen.headers("sec-websocket-key")[0].as_bytes());
        Reply::take(async move |mut conn: Conn| {
            conn.write(format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\nSec-WebSocket-Protocol: chat\r\n\r\n")).await;
            let got = conn.exactly(5).await.unwrap();
            conn.write(got).await;
        })
    })
    .await;
    world.serve_everywhere(&app);
    // hyper's client only makes extended CONNECT once the server's settings allow it.
    let io = TokioIo::new(TcpStream::connect(world.address).await.unwrap());
    let (mut sender, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), io).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let probe = Request::get(format!("http://{HOST}/")).body(Empty::new()).unwrap();
    assert_eq!(sender.send_request(probe).await.unwrap().status(), 403);
    let mut request = Request::builder()
        .method("CONNECT")
        .uri(format!("http://{HOST}/ws"))
        .header("authorization", format!("Bearer {}", world.records.token("alice")))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .body(Empty::new())
        .unwrap();
    request.extensions_mut().insert(hyper::ext::Protocol::from_static("websocket"));
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["sec-websocket-protocol"].to_str().unwrap()),
        (200, "chat")
    );
    assert!(!answer.headers().contains_key("sec-websocket-accept"));
    assert_eq!(app.last().line(), "GET /ws HTTP/1.1");
    let mut socket = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    socket.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    socket.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
}
