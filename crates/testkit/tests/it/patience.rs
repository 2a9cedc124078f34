//! Silence is nobody's fault: what is open stays open, however short the time limits are.
//!
//! The limits bound heads, handshakes, dialling and connections without a request. Nothing bounds what an app and its
//! client have agreed on, over the direct way and through a tunnel.

use std::process::{Child, Command, Stdio};

use testkit::http::Connection;
use testkit::websocket::tungstenite::Message;
use testkit::{Service, Wharf};

/// How often the limit of a second passes, shown by a connection that it ends.
const N_LIMITS: usize = 4;

const STALLED_BYTES: u64 = 20_000_000;

/// Waits as long as the limits on idle connections ask for, again and again.
fn let_the_limits_pass(service: &Service) {
    for _ in 0..N_LIMITS {
        let mut idle = service.ask("GET", "/").start();
        let _answer = idle.read_reply().expect(200);
        assert_eq!(idle.read_to_end(), b"", "an idle connection is closed");
    }
}

/// A long poll over HTTP/2, by curl: a stream that says nothing.
fn poll_over_http2(service: &Service) -> Child {
    let host = service.host();
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--max-time", "60", "--http2-prior-knowledge"])
        .args(["--resolve", &format!("{host}:127.0.0.1")])
        .args(["-H", &format!("Authorization: Bearer {}", service.token())])
        .arg(format!("http://{host}/poll?tick=1"));
    command.stdout(Stdio::piped()).spawn().expect("curl runs")
}

/// The app's port itself.
fn raw_connection(service: &Service) -> Connection {
    let request = service.ask("GET", "/.wharf/tcp").header("Connection", "Upgrade");
    let mut raw = request.header("Upgrade", "tcp").start();
    assert_eq!(raw.read_head().status, 101);
    raw
}

fn what_says_nothing_stays_open(direct_sockets: bool) {
    let wharf = Wharf::start_configured(&format!(
        "Proxy: {{HeaderTimeout: 1s, HandshakeTimeout: 1s, IdleTimeout: 1s, UpstreamIdleTimeout: 1s, \
         ConnectTimeout: 2s, DirectSockets: {direct_sockets}}}\n"
    ));
    let service = wharf.app();
    let mut polls =
        ["/poll?tick=1", "/poll?tick=1&begin=now"].map(|target| service.ask("GET", target).start());
    let http2 = poll_over_http2(&service);
    let mut upload = service.ask("POST", "/upload").header("Content-Length", "4").start();
    upload.send(b"ab");
    let mut download = service.ask("GET", &format!("/download?bytes={STALLED_BYTES}")).start();
    let head = download.read_head();
    let mut socket = service.websocket("/ws");
    let mut raw = raw_connection(&service);

    let_the_limits_pass(&service);

    socket.send(Message::text("still here")).expect("sent");
    assert_eq!(socket.read().expect("echoed"), Message::text("still here"));
    upload.send(b"cd");
    assert_eq!(upload.read_reply().expect(200).json()["bytes"], 4);
    assert_eq!(download.read_rest(&head).len() as u64, STALLED_BYTES);
    raw.send(b"GET /raw-way HTTP/1.1\r\n\r\n");
    assert!(raw.read_reply().expect(200).text().starts_with("GET /raw-way "));
    let _ticked = service.ask("POST", "/tick").send().expect(200);
    for poll in &mut polls {
        assert_eq!(poll.read_reply().expect(200).text(), "ticked\n");
    }
    let said = http2.wait_with_output().expect("curl ends");
    assert_eq!(String::from_utf8_lossy(&said.stdout), "ticked\n");
    wharf.finish();
}

#[test]
fn what_says_nothing_outlives_every_time_limit() {
    what_says_nothing_stays_open(true);
}

#[test]
fn what_says_nothing_outlives_every_time_limit_in_a_tunnel() {
    what_says_nothing_stays_open(false);
}
