//! T19: requests whose end two parsers could see in different places.

use std::time::Duration;

use testkit::http::Connection;
use testkit::{Service, Wharf};

/// Sends raw bytes; the connection ends after the first answer or gives more.
fn answers(wharf: &Wharf, bytes: &[u8]) -> Vec<(u16, String)> {
    let mut connection = Connection::open(wharf.port());
    // Some of these leave the server waiting for more: that is as good as a refusal.
    connection.give_up_after(Duration::from_secs(3));
    let _sent = connection.try_send(bytes);
    let mut all = Vec::new();
    while let Ok(reply) = connection.try_read_reply(false) {
        all.push((reply.status(), reply.text()));
        // A second answer, if there is one, comes right behind the first.
        connection.give_up_after(Duration::from_millis(500));
    }
    all
}

fn request(service: &Service, wharf: &Wharf, lines: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /first HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{lines}\r\n{body}",
        service.host(),
        wharf.token()
    )
    .into_bytes()
}

#[test]
fn t19_ambiguous_framing_is_refused() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let inner = format!(
        "GET /smuggled HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        service.host(),
        wharf.token()
    );
    let zero_then_inner = format!("0\r\n\r\n{inner}");
    let n = zero_then_inner.len();
    let cases = [
        ("CL.TE", format!("Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n")),
        ("TE.CL", format!("Transfer-Encoding: chunked\r\nContent-Length: {n}\r\n")),
        ("two lengths", format!("Content-Length: {n}\r\nContent-Length: 0\r\n")),
        ("a list of lengths", format!("Content-Length: {n}, 0\r\n")),
        ("a signed length", "Content-Length: +0\r\n".to_owned()),
        ("a hex length", "Content-Length: 0x0\r\n".to_owned()),
        ("unknown coding", "Transfer-Encoding: xchunked\r\n".to_owned()),
        ("identity coding", "Transfer-Encoding: identity\r\n".to_owned()),
        ("chunked not last", "Transfer-Encoding: chunked, gzip\r\n".to_owned()),
        (
            "chunked twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        ),
        ("a space before the colon", "Transfer-Encoding : chunked\r\n".to_owned()),
        ("a folded line", "Transfer-Encoding:\r\n chunked\r\n".to_owned()),
        ("a tab in the name", "Transfer\tEncoding: chunked\r\n".to_owned()),
        ("an underscore alias", "Transfer_Encoding: chunked\r\nContent-Length: 0\r\n".to_owned()),
        ("a vertical tab", "Transfer-Encoding: \u{b}chunked\r\n".to_owned()),
        (
            "a bare carriage return",
            "X: a\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n".to_owned(),
        ),
    ];
    for (what, lines) in cases {
        let seen = answers(&wharf, &request(&service, &wharf, &lines, &zero_then_inner));
        let (status, text) = seen.first().cloned().unwrap_or((0, String::new()));
        // Refused, closed, or understood in one way only: as one request whose body is the rest,
        // or as one without a body followed by a second one that stood there in the open, with
        // one framing left of two (RFC 9112 6.1).
        let lower = text.to_ascii_lowercase();
        let one_way = status == 200 && text.starts_with("POST /first") && {
            let body_is_rest = text.contains("--body--\r\n0\r\n\r\nGET /smuggled")
                || (text.contains("--body--\r\n\r\n--trailers--")
                    && lower.contains("transfer-encoding: chunked")
                    && !lower.contains("content-length"));
            let plain = what == "an underscore alias"
                && !text.to_ascii_lowercase().contains("transfer_encoding: chunked");
            body_is_rest || plain
        };
        assert!(matches!(status, 0 | 400 | 411 | 501) || one_way, "{what}: {status} {text}");
        if matches!(status, 400 | 411 | 501) {
            assert_eq!(seen.len(), 1, "{what}: the connection goes on: {seen:?}");
        }
    }
    wharf.finish();
}

#[test]
fn t19_odd_chunks_are_refused_or_written_anew() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let chunked = "Transfer-Encoding: chunked\r\n";
    // What the app sees was framed by us: the odd forms must not be in it.
    for body in [
        "3;ext=\"a\r\n\"\r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcX\r\n0\r\n\r\n",
    ] {
        let seen = answers(&wharf, &request(&service, &wharf, chunked, body));
        let (status, text) = seen.first().cloned().unwrap_or((0, String::new()));
        let rewritten = status == 200 && text.contains("--body--\r\nabc\r\n");
        assert!(matches!(status, 0 | 400 | 502) || rewritten, "{body:?}: {status} {text}");
    }
    let fine = "3;name=value\r\nabc\r\n0\r\n\r\n";
    let seen = answers(&wharf, &request(&service, &wharf, chunked, fine));
    assert!(seen.first().is_some_and(|(status, _)| matches!(status, 200 | 400)), "{seen:?}");
    wharf.finish();
}

#[test]
fn t04_a_host_that_says_two_things_is_refused() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let host = service.host();
    let token = wharf.token();
    let cases = [
        ("two hosts", format!("GET / HTTP/1.1\r\nHost: {host}\r\nHost: localhost\r\n")),
        ("the same twice", format!("GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n")),
        ("no host", "GET / HTTP/1.1\r\n".to_owned()),
        ("userinfo", format!("GET / HTTP/1.1\r\nHost: a@{host}\r\n")),
        ("a path in it", format!("GET / HTTP/1.1\r\nHost: {host}/x\r\n")),
        ("a list", format!("GET / HTTP/1.1\r\nHost: {host}, localhost\r\n")),
        ("absolute and other", format!("GET http://evil.example/ HTTP/1.1\r\nHost: {host}\r\n")),
        ("absolute, userinfo", format!("GET http://u@{host}/ HTTP/1.1\r\nHost: {host}\r\n")),
        (
            "a bad port",
            format!(
                "GET / HTTP/1.1\r\nHost: {}:99999\r\n",
                host.split(':').next().unwrap_or_default()
            ),
        ),
        ("a letter that looks alike", "GET / HTTP/1.1\r\nHost: l\u{43e}calhost\r\n".to_owned()),
    ];
    for (what, head) in cases {
        let bytes = format!("{head}Authorization: Bearer {token}\r\n\r\n");
        let seen = answers(&wharf, bytes.as_bytes());
        let status = seen.first().map_or(0, |(status, _)| *status);
        assert!(matches!(status, 0 | 400 | 404 | 421), "{what}: {seen:?}");
    }
    // One absolute form that says one thing is fine (RFC 9112 3.2.2).
    let same = format!(
        "GET http://{host}/abs HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let seen = answers(&wharf, same.as_bytes());
    assert!(
        seen.first().is_some_and(|(status, text)| *status == 200 && text.starts_with("GET /abs ")),
        "{seen:?}"
    );
    wharf.finish();
}

#[test]
fn t19_a_strangers_request_never_gets_anothers_answer() {
    let wharf = Wharf::start();
    let service = wharf.app();
    // One client leaves a half request behind; a canary on another connection must see itself.
    for _round in 0..20 {
        let mut broken = service.ask("POST", "/half").header("Content-Length", "1000").start();
        broken.send(b"GET /smuggled HTTP/1.1\r\n");
        drop(broken);
        let canary = service.get("/canary").expect(200);
        assert!(canary.text().starts_with("GET /canary "), "{}", canary.text());
    }
    wharf.finish();
}
