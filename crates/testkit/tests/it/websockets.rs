//! WebSockets through the service host, with clients that are not ours.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::Command;

use testkit::websocket::tungstenite::protocol::frame::coding::CloseCode;
use testkit::websocket::tungstenite::{Message, protocol::CloseFrame};
use testkit::{Launch, Service, Wharf, images, websocket};

#[test]
fn text_binary_ping_and_close_codes_pass() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let mut socket = service.websocket("/ws");
    let big: Vec<u8> = testkit::pattern::block(7).repeat(16);
    let messages = [
        Message::text("hällo"),
        Message::binary(vec![0, 255, 10]),
        Message::binary(big),
        Message::text(""),
    ];
    for message in messages {
        socket.send(message.clone()).expect("sent");
        assert_eq!(socket.read().expect("echoed"), message);
    }
    socket.send(Message::Ping(b"mine".to_vec().into())).expect("sent");
    assert_eq!(socket.read().expect("a pong"), Message::Pong(b"mine".to_vec().into()));
    // The app pings; our library answers with a pong that the app reports.
    socket.send(Message::text("ping theirs")).expect("sent");
    assert_eq!(socket.read().expect("a ping"), Message::Ping(b"theirs".to_vec().into()));
    assert_eq!(socket.read().expect("what the app saw"), Message::text("pong theirs"));
    socket.send(Message::text("close 4001 enough for today")).expect("sent");
    let closed = Message::Close(Some(CloseFrame {
        code: CloseCode::from(4001),
        reason: "enough for today".into(),
    }));
    assert_eq!(socket.read().expect("the app's close"), closed);
    wharf.finish();
}

#[test]
fn the_apps_choice_of_subprotocol_and_its_first_words_arrive() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let mut request = websocket::request(&service.host(), "/ws?greet=1");
    let bearer = format!("Bearer {}", wharf.token());
    request.headers_mut().insert("Authorization", bearer.parse().expect("a header value"));
    let offered = "chat.v2, chat.v1".parse().expect("a header value");
    request.headers_mut().insert("Sec-WebSocket-Protocol", offered);
    let (mut socket, answer) = websocket::connect(wharf.port(), request).expect("opens");
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat.v2");
    // Sent by the app in the same write as its 101.
    assert_eq!(socket.read().expect("a greeting"), Message::text("hi"));
    socket.send(Message::text("head")).expect("sent");
    let head = socket.read().expect("the handshake").into_text().expect("text").to_string();
    let lower = head.to_ascii_lowercase();
    assert!(
        lower.contains("upgrade: websocket") && lower.contains("connection: upgrade"),
        "{head}"
    );
    assert!(!head.contains(wharf.token()), "{head}");
    wharf.finish();
}

#[test]
fn a_half_closed_websocket_still_delivers_the_answer() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let request = service.ask("GET", "/ws-half-close");
    let mut connection = request
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .start();
    let head = connection.read_head();
    assert_eq!(head.status, 101);
    assert_eq!(head.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    let mut stream = connection.into_stream();
    stream.write_all(&[7; 100_000]).expect("sent");
    stream.shutdown(Shutdown::Write).expect("half-closed");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer after our end");
    assert_eq!(answer, "read 100000");
    wharf.finish();
}

#[test]
fn bytes_sent_right_behind_the_handshake_are_not_lost() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let request = service
        .ask("GET", "/ws-half-close")
        .header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let mut connection = testkit::http::Connection::open(wharf.port());
    connection.send(&[request.head_bytes(), b"early".to_vec()].concat());
    connection.finish_sending();
    assert_eq!(connection.read_head().status, 101);
    assert_eq!(String::from_utf8_lossy(&connection.read_to_end()), "read 5");
    wharf.finish();
}

fn is_content(script: &str, wharf: &Wharf, service: &Service) {
    let output = Command::new(images::python())
        .args(["-c", script, &service.host(), &wharf.port().to_string(), wharf.token()])
        .output()
        .expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "content", "{}", String::from_utf8_lossy(&output.stderr));
}

/// The reference client of Python, with fragments, compression offers and its own checks.
#[test]
fn pythons_websockets_client_is_content() {
    const SCRIPT: &str = r#"
import socket as sockets, sys, websockets.sync.client as client
host, port, token = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with client.connect(f"ws://{host}/ws", sock=sockets.create_connection(("127.0.0.1", port)), max_size=None,
                    additional_headers={"Authorization": "Bearer " + token},
                    subprotocols=["a", "b"], proxy=None) as socket:
    assert socket.subprotocol == "a", socket.subprotocol
    socket.send("text"); assert socket.recv() == "text"
    socket.send(["frag", "men", "ted"]); assert socket.recv() == "fragmented"
    big = bytes(range(256)) * 20000
    socket.send(big); assert socket.recv() == big
    assert socket.ping().wait(10)
    socket.send("close 3000 bye")
    try:
        socket.recv(); raise SystemExit("still open")
    except Exception as closed:
        assert closed.rcvd.code == 3000 and closed.rcvd.reason == "bye", closed
print("content")
"#;
    let wharf = Wharf::start();
    let service = wharf.app();
    is_content(SCRIPT, &wharf, &service);
    wharf.finish();
}

/// Extensions are between client and app (RFC 7692): offered, chosen and used without us.
#[test]
fn compressed_messages_pass_as_client_and_app_agreed() {
    const SERVER: &str = r#"
from websockets.sync.server import serve
def answer(socket):
    for message in socket:
        agreed = [extension.name for extension in socket.protocol.extensions]
        socket.send(repr(agreed) if message == "extensions" else message)
serve(answer, "127.0.0.1", 8080, max_size=None).serve_forever()
"#;
    const CLIENT: &str = r#"
import socket as sockets, sys, websockets.sync.client as client
host, port, token = sys.argv[1], int(sys.argv[2]), sys.argv[3]
for compression, agreed in ("deflate", ["permessage-deflate"]), (None, []):
    with client.connect(f"ws://{host}/", sock=sockets.create_connection(("127.0.0.1", port)), max_size=None,
                        additional_headers={"Authorization": "Bearer " + token}, proxy=None,
                        compression=compression) as socket:
        assert [extension.name for extension in socket.protocol.extensions] == agreed
        socket.send("extensions"); assert socket.recv() == repr(agreed)
        for message in "", "again and again " * 100_000, bytes(range(256)) * 4000:
            socket.send(message); assert socket.recv() == message
        socket.send(["frag", "men", "ted"]); assert socket.recv() == "fragmented"
print("content")
"#;
    let wharf = Wharf::start();
    wharf.import("python.docker.tar");
    let service = wharf.launch(&Launch {
        image: "python:latest".to_owned(),
        command: ["python3", "-c", SERVER].map(str::to_owned).to_vec(),
        more: serde_json::json!({"cwd": "/home/user"}),
        ..Launch::default()
    });
    is_content(CLIENT, &wharf, &service);
    wharf.finish();
}

#[test]
fn a_quiet_websocket_costs_nobody_anything_and_stays() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let mut sockets: Vec<_> = (0..50).map(|_| service.websocket("/ws")).collect();
    for (number, socket) in sockets.iter_mut().enumerate().rev() {
        socket.send(Message::text(number.to_string())).expect("sent");
        assert_eq!(socket.read().expect("echoed"), Message::text(number.to_string()));
    }
    wharf.finish();
}
