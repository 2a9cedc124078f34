//! What of a request and of an answer passes as it is, and what of ours cannot be forged.

use crate::app::{App, Reply};
use crate::client::request;
use crate::world::{HOST, PUBLIC, World};

#[tokio::test]
async fn t16_headers_that_pass_for_ours_are_dropped() {
    let (world, app) = World::with_echo().await;
    let mut aliases = Vec::new();
    for name in [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Request-Id",
        "X-Real-Ip",
        "X-Forwarded-User",
    ] {
        for separator in ["-", "_", "."] {
            aliases.push(name.replace('-', separator));
            aliases.push(name.to_uppercase().replace('-', separator));
        }
        aliases.push(name.replacen('-', "_", 1));
    }
    let headers: String = aliases.iter().map(|name| format!("{name}: evil\r\n")).collect();
    let answer = world
        .send(&request(
            "GET",
            PUBLIC,
            "/",
            &format!("{headers}Forwarded: for=evil\r\nX-Mine: stays\r\n"),
        ))
        .await;
    assert_eq!(answer.status, 200);
    let seen = app.last();
    assert!(!seen.head.contains("evil"), "{}", seen.head);
    assert_eq!(seen.headers("x-mine"), ["stays"]);
    assert_eq!(seen.headers("x-forwarded-host"), [PUBLIC]);
    assert!(seen.headers("x-request-id")[0].starts_with("req-"));
}

#[tokio::test]
async fn t17_connection_removes_no_header_of_ours() {
    let (world, app) = World::with_echo().await;
    for name in ["x-forwarded-for", "X-Forwarded-Proto", "x-forwarded-host", "X-Request-Id", "host"]
    {
        let more = format!("Connection: close, {name}, x-hop\r\nX-Hop: 1\r\nX-Stays: 1\r\n");
        assert_eq!(world.send(&request("GET", PUBLIC, "/", &more)).await.status, 200);
        let seen = app.last();
        assert_eq!(seen.headers(name).len(), 1, "{name}: {}", seen.head);
        assert_eq!((seen.headers("x-hop").len(), seen.headers("x-stays").len()), (0, 1));
    }
    // Nor our cookie's removal: it is gone before anything is asked.
    let ours = world.sign_in(HOST).await;
    world
        .send(&request("GET", HOST, "/", &format!("Connection: cookie\r\nCookie: {ours}\r\n")))
        .await;
    assert!(!app.last().head.contains(&ours));
}

#[tokio::test]
async fn t30_a_location_of_the_app_is_passed_on_and_never_followed() {
    let world = World::start().await;
    let app = App::start(|_seen| {
        Reply::Bytes(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nRefresh: 0; url=http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_vec())
    })
    .await;
    world.serve_everywhere(&app);
    let answer = world.send(&request("GET", PUBLIC, "/", "")).await;
    assert_eq!(
        (answer.status, answer.header("location").as_deref()),
        (302, Some("http://169.254.169.254/latest"))
    );
    assert_eq!(answer.header("refresh").as_deref(), Some("0; url=http://127.0.0.1:1/"));
    assert_eq!((app.seen().len(), world.apps.n_dials()), (1, 1));
}

#[tokio::test]
async fn t49_the_target_reaches_the_app_byte_for_byte() {
    let (world, app) = World::with_echo().await;
    let mut targets: Vec<String> = [
        "/a/../b",
        "/a/./b",
        "/..",
        "/../..",
        "//",
        "//a//b",
        "/a/",
        "/a;b=c",
        "/a;/b",
        "/%2e%2e/",
        "/%2E/",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/%00",
        "/%",
        "/%zz",
        "/a+b",
        "/a%20b",
        "/a?b?c",
        "/a?",
        "/?",
        "/a?b=//c/..",
        "/a?%",
        "/~",
        "/!$&'()*,:@",
        "/a=b",
        "/é",
        "/a|b",
        "/[x]",
        "/{x}",
        "/^",
        "/`",
        "/a\"b",
        "/<x>",
        "/a?b=%2526",
        "/a?q=\"x\"",
        "/a&b",
        "/a:b@c",
    ]
    .map(str::to_owned)
    .to_vec();
    targets.extend((0x21..0x7f).filter(|byte| *byte != b'#').map(|byte| {
        format!("/x{}y?z{}", byte as char, if byte == b'?' { '!' } else { byte as char })
    }));
    let mut client = world.connect().await;
    let mut n_unchanged = 0;
    for target in targets {
        let answer = client.send(request("GET", PUBLIC, &target, "")).await;
        if answer.status == 400 {
            // Not a valid target (RFC 3986); refused is fine, changed is not.
            client = world.connect().await;
            continue;
        }
        n_unchanged += 1;
        assert_eq!(app.last().line(), format!("GET {target} HTTP/1.1"));
    }
    assert!(n_unchanged >= 100, "{n_unchanged}");
    // An asterisk is the server itself.
    client.send(request("OPTIONS", PUBLIC, "*", "")).await;
    assert_eq!(app.last().line(), "OPTIONS * HTTP/1.1");
}
