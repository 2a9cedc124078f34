//! The application over a real socket, with a WebSocket client that is not ours.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

const BOUND: Duration = Duration::from_secs(10);

/// A running demo, gone when dropped.
struct Demo {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Demo {
    async fn start() -> Self {
        let listener = TcpListener::bind(demo::app::default_listen(0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { demo::app::serve(listener).await.unwrap() });
        Self { address, task }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> http::Response<Incoming> {
        let io = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        timeout(BOUND, sender.send_request(request)).await.unwrap().unwrap()
    }
}

fn get(target: &str) -> Request<Full<Bytes>> {
    Request::get(target).header("host", "demo").body(Full::default()).unwrap()
}

async fn text(response: http::Response<Incoming>) -> String {
    let body = timeout(BOUND, response.into_body().collect()).await.unwrap().unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn the_page_and_its_files_are_served_without_anything_inline() {
    let demo = Demo::start().await;
    let response = demo.send(get("/")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let page = text(response).await;
    assert!(page.contains("<h1>") && !page.contains("<style") && !page.contains(" style="));
    for path in ["/demo.css", "/demo.js", "/icon.svg", "/healthz"] {
        assert_eq!(demo.send(get(path)).await.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn echo_answers_the_request_as_it_was_sent() {
    let demo = Demo::start().await;
    let request = Request::post("/echo/a%2Fb%20c?x=1&y=%26&x=2&empty=")
        .header("host", "demo")
        .header("x-twice", "one")
        .header("x-twice", "two")
        .body(Full::from("ahoy"))
        .unwrap();
    let answer: serde_json::Value =
        serde_json::from_str(&text(demo.send(request).await).await).unwrap();
    assert_eq!(answer["method"], "POST");
    assert_eq!(answer["target"], "/echo/a%2Fb%20c?x=1&y=%26&x=2&empty=");
    assert_eq!(answer["body"], "ahoy");
    assert_eq!(answer["body_bytes"], 4);
    let twice: Vec<_> = answer["headers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|pair| pair[0] == "x-twice")
        .map(|pair| pair[1].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(twice, ["one", "two"]);
}

#[tokio::test]
async fn events_come_one_by_one_on_the_beat() {
    let demo = Demo::start().await;
    let mut body = demo.send(get("/events?count=4")).await.into_body();
    let (mut arrivals, mut all) = (Vec::new(), String::new());
    while let Some(frame) = timeout(BOUND, body.frame()).await.unwrap() {
        if let Ok(data) = frame.unwrap().into_data() {
            arrivals.push(Instant::now());
            all.push_str(std::str::from_utf8(&data).unwrap());
        }
    }
    assert_eq!(all.matches("event: tick").count(), 4, "{all}");
    assert_eq!(arrivals.len(), 4, "each event in a chunk of its own: {all}");
    assert!(arrivals[3] - arrivals[0] >= Duration::from_millis(500));
}

#[tokio::test]
async fn the_websocket_sends_text_and_binary_back_and_agrees_on_a_subprotocol() {
    let demo = Demo::start().await;
    let mut request = format!("ws://{}/ws", demo.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "nonsense, echo".parse().unwrap());
    let (mut socket, response) =
        timeout(BOUND, tokio_tungstenite::connect_async(request)).await.unwrap().unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "echo");
    for message in [Message::text("ahoy"), Message::binary(vec![0, 255, 7])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(timeout(BOUND, socket.next()).await.unwrap().unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    while let Some(rest) = timeout(BOUND, socket.next()).await.unwrap() {
        assert!(rest.unwrap().is_close());
    }
}

#[tokio::test]
async fn upload_counts_and_hashes_the_whole_body() {
    let demo = Demo::start().await;
    let body = Bytes::from(vec![b'w'; 3 * 1024 * 1024 + 1]);
    let hash = ring::digest::digest(&ring::digest::SHA256, &body);
    let request = Request::put("/upload").header("host", "demo").body(Full::from(body)).unwrap();
    let answer: serde_json::Value =
        serde_json::from_str(&text(demo.send(request).await).await).unwrap();
    assert_eq!(answer["bytes"], 3 * 1024 * 1024 + 1);
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(answer["sha256"], hex);
}
