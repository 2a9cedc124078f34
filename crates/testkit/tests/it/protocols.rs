//! HTTP through the proxy, byte for byte and event by event.

use testkit::http::Connection;
use testkit::{Launch, Wharf, pattern};

#[test]
fn the_app_sees_the_request_as_it_was_sent() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let reply = service
        .ask("POST", "/A%2fb/../c;d=1//e?x=%20&y=+&z")
        .header("X-Custom", "  spaced value ")
        .header("X-Custom", "second")
        .header("Accept-Encoding", "br, gzip")
        .header("X-Request-Id", "req-aaaaaaaaaaaaaaaaaaaa")
        .body("the body")
        .send()
        .expect(200);
    let text = reply.text();
    assert!(text.starts_with("POST /A%2fb/../c;d=1//e?x=%20&y=+&z HTTP/1.1\r\n"), "{text}");
    let lower = text.to_ascii_lowercase();
    for line in [
        format!("host: {}", service.host()),
        "x-custom: spaced value".to_owned(),
        "x-custom: second".to_owned(),
        "accept-encoding: br, gzip".to_owned(),
        "content-length: 8".to_owned(),
        "x-forwarded-for: 127.0.0.1".to_owned(),
        "x-forwarded-proto: http".to_owned(),
        format!("x-forwarded-host: {}", service.host()),
    ] {
        assert!(lower.contains(&format!("\r\n{line}\r\n")), "{line} in:\n{text}");
    }
    assert!(text.contains("--body--\r\nthe body\r\n"), "{text}");
    // The id is ours, the same for the app and in the log.
    let id = lower.split("x-request-id: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let id = id.expect("an id");
    assert!(id.starts_with("req-") && !id.ends_with("aaaa"), "{id}");
    assert!(wharf.output().contains(id), "{id}");
    wharf.finish();
}

#[test]
fn t49_no_form_of_a_path_is_changed_on_its_way() {
    let wharf = Wharf::start();
    let service = wharf.launch(&Launch::default().public());
    let pieces = [
        "/..", "/.", "//", "/%2f", "/%2F", "/%2e%2e", "/;a=b", "/a;", "/%00", "/%", "/%zz", "/~",
        "/a+b", "/%20", "/:", "/@", "/a=b&c", "/!$'()*", "/,", "/%E4%F6", "/%c3%a4", "/\"", "/|",
        "/^", "/`",
    ];
    let mut checked = 0;
    for piece in pieces {
        for around in [
            piece.to_owned(),
            format!("/x{piece}"),
            format!("{piece}/y"),
            format!("/x?q={}", &piece[1..]),
        ] {
            let reply = service.bare("GET", &around).send();
            if reply.status() == 400 && piece.contains(['"', '|', '^', '`']) {
                continue; // No client may send these raw; refusing them changes nothing.
            }
            let wanted = format!("GET {around} HTTP/1.1\r\n");
            assert!(
                reply.text().starts_with(&wanted),
                "{around}: {} {}",
                reply.status(),
                reply.text()
            );
            checked += 1;
        }
    }
    assert!(checked >= 84, "{checked} forms");
    wharf.finish();
}

#[test]
fn methods_and_statuses_pass_as_they_are() {
    let wharf = Wharf::start();
    let service = wharf.app();
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT"] {
        let text = service.ask(method, "/m").send().expect(200).text();
        assert!(text.starts_with(&format!("{method} /m HTTP/1.1")), "{text}");
    }
    let head = service.ask("HEAD", "/m").send().expect(200);
    assert_eq!(head.header("X-App"), Some("echo"));
    assert!(head.header("Content-Length").is_some_and(|length| length != "0"));
    for status in [201, 204, 304, 404, 418, 451, 500, 503] {
        // The app closes after a raw answer; unsaid, the next request could race with that.
        let raw = format!(
            "HTTP/1.1 {status} Word\r\nConnection: close\r\nContent-Length: 0\r\nX-App: yes\r\n\r\n"
        );
        let raw = if matches!(status, 204 | 304) {
            raw.replace("Content-Length: 0\r\n", "")
        } else {
            raw
        };
        let reply = service.ask("POST", "/raw").body(raw).send().expect(status);
        assert_eq!(reply.header("X-App"), Some("yes"), "{status}");
    }
    wharf.finish();
}

#[test]
fn one_connection_serves_many_requests() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let mut connection = Connection::open(wharf.port());
    for number in 0..20 {
        connection.send(&service.ask("GET", &format!("/{number}")).head_bytes());
        let reply = connection.read_reply();
        assert!(reply.text().starts_with(&format!("GET /{number} ")), "{}", reply.text());
    }
    // Pipelined: answers come in the order of the requests.
    let both = [service.ask("GET", "/a").head_bytes(), service.ask("GET", "/b").head_bytes()];
    connection.send(&both.concat());
    for path in ["/a", "/b"] {
        assert!(connection.read_reply().text().starts_with(&format!("GET {path} ")));
    }
    wharf.finish();
}

#[test]
fn chunks_go_both_ways_at_the_same_time() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let mut connection =
        service.ask("POST", "/duplex").header("Transfer-Encoding", "chunked").start();
    connection.send_chunk(b"first");
    let head = connection.read_head();
    assert_eq!(head.status, 200);
    let mut next = || connection.read_chunk().expect("a chunk").expect("no end yet");
    // Each piece is back before the next is sent: nothing on the way collects.
    assert_eq!(next(), b"first");
    for piece in ["second", "third"] {
        connection.send_chunk(piece.as_bytes());
        let back = connection.read_chunk().expect("a chunk").expect("no end yet");
        assert_eq!(back, piece.as_bytes());
    }
    connection.send_chunk(b"");
    assert_eq!(connection.read_chunk().expect("the last chunk"), None);
    wharf.finish();
}

#[test]
fn trailers_arrive_in_both_directions() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let mut connection = service
        .ask("POST", "/upload")
        .header("Transfer-Encoding", "chunked")
        .header("Trailer", "X-Sum")
        .start();
    connection.send(b"3\r\nabc\r\n0\r\nX-Sum: abc-sum\r\n\r\n");
    let said = connection.read_reply().expect(200).json();
    assert_eq!(said["bytes"], 3);
    let trailers = said["trailers"].as_str().unwrap_or_default().to_ascii_lowercase();
    assert!(trailers.contains("x-sum: abc-sum"), "{said}");
    let reply =
        service.ask("GET", "/download?bytes=100000&chunked=1").header("TE", "trailers").send();
    assert_eq!(reply.body.len(), 100_000);
    let digest = reply.trailers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-digest"));
    assert_eq!(digest.map(|(_, value)| value.clone()), Some(pattern::digest(100_000)));
    wharf.finish();
}

#[test]
fn expect_continue_is_answered_before_the_body_is_sent() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let request = service.ask("POST", "/upload").header("Expect", "100-continue");
    let mut connection = request.header("Content-Length", "5").start();
    assert_eq!(connection.read_head().status, 100);
    connection.send(b"hello");
    assert_eq!(connection.read_reply().expect(200).json()["bytes"], 5);
    // The gate says no without asking for the body.
    let refused = service.bare("POST", "/upload").header("Expect", "100-continue");
    let mut connection = refused.header("Content-Length", "5").start();
    assert_eq!(connection.read_head().status, 403);
    wharf.finish();
}

#[test]
fn an_app_that_refuses_a_body_is_heard() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let request = service.ask("POST", "/refuse-body").header("Content-Length", "100000000");
    let mut connection = request.start();
    connection.send(&vec![b'x'; 10_000]);
    let reply = connection.read_reply().expect(413);
    assert_eq!(reply.text(), "too big\n");
    wharf.finish();
}

#[test]
fn ranges_are_the_apps_business() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let reply = service.ask("GET", "/range").header("Range", "bytes=8-12").send().expect(206);
    assert_eq!(reply.text(), "89012");
    assert_eq!(reply.header("Content-Range"), Some("bytes 8-12/1000"));
    let _beyond =
        service.ask("GET", "/range").header("Range", "bytes=2000-2001").send().expect(416);
    wharf.finish();
}

#[test]
fn events_arrive_one_by_one_as_they_happen() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let mut stream = service.ask("GET", "/events").header("Accept", "text/event-stream").start();
    let head = stream.read_head();
    assert_eq!(head.header("Content-Type"), Some("text/event-stream"));
    let mut seen = String::new();
    let mut read_until = |wanted: &str| {
        while !seen.contains(wanted) {
            let piece = stream.read_some().expect("the stream goes on");
            assert!(!piece.is_empty(), "the stream ended after {seen:?}");
            seen.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    read_until("data: hello\n\n");
    for number in 1..=5 {
        // The event is read before the next one is caused: a buffer anywhere would hang here.
        let _ticked = service.ask("POST", "/tick").send().expect(200);
        read_until(&format!("data: tick {number}\n\n"));
    }
    wharf.finish();
}

#[test]
fn long_polls_are_answered_by_their_event_and_hold_nobody_up() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let mut polls: Vec<_> = (1..=20)
        .flat_map(|tick| ["", "&begin=now"].map(|begin| format!("/poll?tick={tick}{begin}")))
        .map(|target| service.ask("GET", &target).start())
        .collect();
    for pair in polls.chunks_mut(2) {
        // Those of later ticks still wait: each is answered by its own event, and others are served meanwhile.
        let _ticked = service.ask("POST", "/tick").send().expect(200);
        for poll in pair {
            assert_eq!(poll.read_reply().expect(200).text(), "ticked\n");
        }
    }
    wharf.finish();
}

#[test]
fn a_client_that_leaves_ends_the_apps_stream() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let count =
        || service.shell("ls /proc/$PPID/task | wc -l").trim().parse::<u32>().expect("a count");
    let before = count();
    let streams: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = service.ask("GET", "/events").start();
            assert_eq!(stream.read_head().status, 200);
            stream
        })
        .collect();
    assert!(count() >= before + 8, "eight streams hold eight threads of the app");
    drop(streams);
    testkit::wait_for("the app to notice", testkit::BOUND, || count() < before + 4);
    wharf.finish();
}

#[test]
fn a_client_of_http_1_0_gets_its_answer() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let mut connection = Connection::open(wharf.port());
    let head = String::from_utf8_lossy(&service.ask("GET", "/old").head_bytes()).into_owned();
    connection.send(head.replace("HTTP/1.1", "HTTP/1.0").as_bytes());
    let reply = connection.read_reply().expect(200);
    assert!(reply.text().starts_with("GET /old HTTP/1."), "{}", reply.text());
    wharf.finish();
}
