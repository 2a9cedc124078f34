//! Attacks over HTTP/1.1, and what every protocol begins with.

use super::*;

const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const ASK_SERVICE: &[u8] = b"GET / HTTP/1.1\r\nHost: x.containers.localhost\r\n\r\n";

/// Writes a byte now and then until the other side has had enough.
async fn drip(mut stream: TcpStream, begin: &[u8]) {
    stream.write_all(begin).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let dripping = async {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SOON / 10).await;
        }
    };
    let mut got = Vec::new();
    tokio::select! {
        _end = reading.read_to_end(&mut got) => {}
        () = dripping => {}
    }
}

#[tokio::test]
async fn t41_a_head_that_is_dripped_ends_and_a_connection_that_is_idle_stays() {
    let edge = Edge::start(|limits| limits.header_timeout = SOON).await;
    let mut idle = edge.connect().await;
    idle.write_all(ASK).await.unwrap();
    let mut answer = vec![0; 1000];
    assert!(idle.read(&mut answer).await.unwrap() > 0);
    for begin in [&b"GET / HTTP/1.1\r\nX: "[..], b"P"] {
        let begun = std::time::Instant::now();
        timeout(BOUND, drip(edge.connect().await, begin)).await.expect("cut off in time");
        assert!(begun.elapsed() >= SOON / 2, "it had its time: {begin:?}");
    }
    let mut half_a_preface = edge.connect().await;
    half_a_preface.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r").await.unwrap();
    assert_eq!(rest(&mut half_a_preface).await, b"");
    // A second request on a connection that was used before.
    for ask in [ASK, ASK_SERVICE] {
        let mut used = edge.connect().await;
        used.write_all(ask).await.unwrap();
        assert!(used.read(&mut answer).await.unwrap() > 0);
        timeout(BOUND, drip(used, b"GET / HTTP/1.1\r\nX: ")).await.expect("cut off in time");
    }
    idle.write_all(ASK).await.unwrap();
    assert!(timeout(BOUND, idle.read(&mut answer)).await.unwrap().unwrap() > 0);
    assert!(edge.serves_others().await);
}

#[tokio::test]
async fn requests_of_one_connection_go_each_to_its_room_and_are_answered_in_order() {
    let edge = Edge::start(|_limits| {}).await;
    let to = |host: &str, more: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n{more}\r\n");
    let (service, api, close) = ("x.containers.localhost", "localhost", "Connection: close\r\n");
    for (hosts, statuses) in [
        ([service, api, service], ["404", "200", "404"]),
        ([api, service, api], ["200", "404", "200"]),
        ([service, service, api], ["404", "404", "200"]),
    ] {
        let together = [to(hosts[0], ""), to(hosts[1], ""), to(hosts[2], close)].concat();
        let answers = edge.ask(&together).await;
        let found: Vec<&str> =
            answers.match_indices("HTTP/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect();
        assert_eq!(found, statuses, "{answers}");
    }
}

#[tokio::test]
async fn t19_what_is_no_plain_request_for_a_service_is_refused_or_read_as_ever() {
    let edge = Edge::start(|_limits| {}).await;
    let host = "x.containers.localhost";
    for (request, status) in [
        (format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n"), "404"),
        (
            format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            "404",
        ),
        (format!("\r\nGET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), "404"),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: {host}\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            ),
            "400",
        ),
        (format!("GET / HTTP/1.1\r\nHost : {host}\r\n\r\n"), "400"),
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: a\0b\r\n\r\n"), "400"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = edge.ask(&request).await;
        let found = answer.split(' ').nth(1);
        assert_eq!(found, Some(status), "{request}: {answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{request}: {answer}");
    }
    assert!(edge.serves_others().await);
}

#[tokio::test]
async fn t41_who_connects_and_says_nothing_is_cut_off() {
    let edge = Edge::start(|limits| limits.handshake_timeout = SOON).await;
    assert_eq!(rest(&mut edge.connect().await).await, b"");
    let mut tls = edge.connect().await;
    tls.write_all(&[22, 3, 1]).await.unwrap();
    rest(&mut tls).await;
    assert!(edge.serves_others().await);
}

#[tokio::test]
async fn t41_a_head_of_more_than_may_be_is_refused_by_the_api_and_by_services() {
    let edge = Edge::start(|_limits| {}).await;
    for host in ["localhost", "x.containers.localhost"] {
        let large = "x".repeat(20_000);
        let many = "X-A: b\r\n".repeat(200);
        for more in [format!("X: {large}\r\n"), many] {
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{more}\r\n");
            let answer = edge.ask(&request).await;
            assert!(answer.starts_with("HTTP/1.1 431 "), "{host}: {answer}");
        }
    }
    assert!(edge.serves_others().await);
}

#[tokio::test]
async fn t41_a_reader_that_stalls_is_let_go_of() {
    let mut edge = Edge::start(|limits| limits.stall_timeout = SOON).await;
    let mut stalled = edge.connect().await;
    stalled.write_all(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    timeout(BOUND, edge.given_up.recv()).await.expect("given up in time").unwrap();
    rest(&mut stalled).await;
    assert!(edge.serves_others().await);
}

#[tokio::test]
async fn t41_the_body_of_a_call_that_does_not_go_on_ends_the_call() {
    let edge = Edge::start(|limits| limits.stall_timeout = SOON).await;
    let mut stalled = edge.connect().await;
    let begin = b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf";
    stalled.write_all(begin).await.unwrap();
    let said = String::from_utf8(rest(&mut stalled).await).unwrap();
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    assert!(edge.serves_others().await);
}

async fn open_socket(edge: &Edge) -> Option<TcpStream> {
    let mut socket = edge.connect().await;
    let request =
        b"GET /switch HTTP/1.1\r\nHost: localhost\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n";
    // A refused connection may be gone already.
    let _sent = socket.write_all(request).await;
    let mut answer = [0; 1000];
    let n = timeout(BOUND, socket.read(&mut answer)).await.unwrap().unwrap_or(0);
    answer[..n].starts_with(b"HTTP/1.1 101").then_some(socket)
}

#[tokio::test]
async fn t41_sockets_that_left_http_behind_still_count_as_connections() {
    let edge = Edge::start(|limits| {
        limits.places.n_max = 4;
        limits.header_timeout = SOON;
    })
    .await;
    let mut one = open_socket(&edge).await.unwrap();
    let two = open_socket(&edge).await.unwrap();
    assert!(open_socket(&edge).await.is_none(), "an address has no more than are free");
    // Bytes of a socket are no head of a request, however slow they are.
    let mut echoed = [0];
    for _ in 0..3 {
        tokio::time::sleep(SOON / 2).await;
        one.write_all(b"x").await.unwrap();
        timeout(BOUND, one.read_exact(&mut echoed)).await.unwrap().unwrap();
    }
    drop(two);
    let again = async {
        while open_socket(&edge).await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(BOUND, again).await.expect("the place of a closed socket is free");
}

#[tokio::test]
async fn t41_a_flood_of_calls_is_told_to_wait_and_services_answer() {
    let edge = Edge::start(|limits| limits.calls.n_per_second = 1).await;
    let ask = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for _ in 0..2 {
        assert!(edge.ask(ask).await.starts_with("HTTP/1.1 200"));
    }
    let refused = edge.ask(ask).await;
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: ") && refused.contains("(API.RequestsPerSecond)"));
    let service = "GET / HTTP/1.1\r\nHost: x.containers.localhost\r\nConnection: close\r\n\r\n";
    assert!(edge.ask(service).await.starts_with("HTTP/1.1 404"), "the proxy's own answer");
}

#[tokio::test]
async fn t47_guesses_at_the_api_are_told_to_wait_and_whoever_is_known_is_served() {
    let edge = Edge::start(|limits| limits.calls.n_misses_per_second = 1).await;
    let guess = "GET /guess HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n";
    for _ in 0..10 {
        assert!(edge.ask(guess).await.starts_with("HTTP/1.1 401"));
    }
    let refused = edge.ask(guess).await;
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("(API.MissesPerSecond)"));
    assert!(edge.serves_others().await, "from the same address");
}
