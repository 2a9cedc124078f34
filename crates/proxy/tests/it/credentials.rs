//! Cookies and tokens: what opens a service, what reaches the app, what an answer may set.

use crate::app::{App, Reply};
use crate::client::request;
use crate::world::{BOBS, CONTAINER, HOST, PUBLIC, World, target};

#[tokio::test]
async fn t01_cookies_for_the_whole_domain_and_under_our_names_are_dropped() {
    let world = World::start().await;
    let app = App::start(|_seen| {
        let cookies = [
            "ok=1; Path=/",
            "a=1; Domain=containers.localhost",
            "b=1; domain=.localhost",
            "c=1;DOMAIN = localhost",
            "d=1; Path=/; dOmAin=x",
            "wharf_session=evil",
            "WHARF_SESSION=evil; Path=/",
            " wharf_session =evil",
            "__Host-wharf_session=evil; Secure; Path=/",
            "=wharf_session=evil",
            "wharf_session_9001=evil",
            "wharf_dashboard=evil",
            "wharf_tenant=evil",
            "also=2; HttpOnly",
        ];
        let lines: String =
            cookies.iter().map(|cookie| format!("Set-Cookie: {cookie}\r\n")).collect();
        Reply::Bytes(format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n").into_bytes())
    })
    .await;
    world.serve_everywhere(&app);
    let answer = world.send(&request("GET", PUBLIC, "/", "")).await;
    assert_eq!(answer.headers("set-cookie"), ["ok=1; Path=/", "also=2; HttpOnly"]);
}

#[tokio::test]
async fn t01_two_session_cookies_count_as_none_and_are_cleared() {
    let (world, app) = World::with_echo().await;
    let cookie = world.sign_in(HOST).await;
    for sent in [
        format!("{cookie}; wharf_session=evil"),
        format!("wharf_session=evil; a=1; {cookie}"),
        format!("{cookie}; {cookie}"),
    ] {
        let answer = world.send(&request("GET", HOST, "/", &format!("Cookie: {sent}\r\n"))).await;
        assert_eq!(answer.status, 403);
        let cleared = answer.headers("set-cookie");
        assert_eq!(
            cleared,
            [
                "wharf_session=; Path=/; Max-Age=0",
                "wharf_session=; Path=/; Max-Age=0; Domain=containers.localhost"
            ]
        );
    }
    assert!(app.seen().is_empty());
    // A fresh sign-in works: there is no loop.
    let cookie = world.sign_in(HOST).await;
    assert_eq!(
        world.send(&request("GET", HOST, "/", &format!("Cookie: {cookie}\r\n"))).await.status,
        200
    );
}

#[tokio::test]
async fn t01_on_https_the_session_cookie_is_bound_to_the_host_by_its_name() {
    let world = World::over(true, |_config| {}).await;
    let cookie = world.sign_in(HOST).await;
    assert!(cookie.starts_with("__Host-wharf_session="));
    let token = world.records.token("alice");
    let answer = world.send(&request("GET", HOST, &format!("/?api_token={token}"), "")).await;
    let set = answer.header("set-cookie").unwrap();
    assert!(
        set.contains("; Path=/")
            && set.contains("; Secure")
            && set.contains("; HttpOnly")
            && !set.contains("Domain")
    );
    assert!(answer.header("location").unwrap().starts_with("https://"));
    // Without the prefix it is nobody's.
    let plain = cookie.trim_start_matches("__Host-");
    assert_eq!(
        world.send(&request("GET", HOST, "/", &format!("Cookie: {plain}\r\n"))).await.status,
        403
    );
}

#[tokio::test]
async fn t02_a_session_of_one_service_opens_no_other() {
    let (world, app) = World::with_echo().await;
    world.records.add(CONTAINER, 82, target(CONTAINER, "alice", 82));
    let other_port = format!("{CONTAINER}-82.containers.localhost");
    let cookie = format!("Cookie: {}\r\n", world.sign_in(HOST).await);
    assert_eq!(world.send(&request("GET", HOST, "/", &cookie)).await.status, 200);
    let n_seen = app.seen().len();
    for host in
        [BOBS, &other_port, &format!("{HOST}:8000"), &format!("{CONTAINER}.containers.localhost")]
    {
        assert!(
            matches!(world.send(&request("GET", host, "/", &cookie)).await.status, 403 | 404),
            "{host}"
        );
    }
    assert_eq!(app.seen().len(), n_seen);
    // Alice's own token would open those of hers, so it was the binding that held.
    assert_eq!(
        world.send(&request("GET", &other_port, "/", &world.bearer("alice"))).await.status,
        502
    );
}

#[tokio::test]
async fn t05_one_connection_carries_no_identity() {
    let (world, app) = World::with_echo().await;
    let cookie = format!("Cookie: {}\r\n", world.sign_in(HOST).await);
    let mut client = world.connect().await;
    for (host, more, status) in [
        (HOST, cookie.as_str(), 200),
        (HOST, "", 403),
        (BOBS, cookie.as_str(), 403),
        (PUBLIC, "", 200),
        (HOST, "", 403),
        (BOBS, &world.bearer("bob"), 200),
        (BOBS, "", 403),
        (HOST, &world.bearer("bob"), 403),
        (HOST, cookie.as_str(), 200),
    ] {
        assert_eq!(client.send(request("GET", host, "/", more)).await.status, status, "{host}");
    }
    assert_eq!(app.seen().len(), 4);
}

#[tokio::test]
async fn t06_a_token_in_the_address_is_in_no_answer_and_reaches_no_app() {
    let (world, app) = World::with_echo().await;
    let token = world.records.token("alice");
    let secret = token.rsplit('/').next().unwrap();
    let html = "Accept: text/html\r\n";
    for (method, host, path) in [
        ("GET", HOST, format!("/?api_token={token}")),
        ("GET", PUBLIC, format!("/?api_token={token}")),
        ("GET", BOBS, format!("/?api_token={token}&x=1")),
        ("HEAD", HOST, format!("/?arvados_api_token={token}")),
        ("POST", BOBS, format!("/?api_token={token}")),
        ("POST", HOST, format!("/?api_token={token}")),
        ("POST", PUBLIC, format!("/?x=1&api_token={token}")),
        ("OPTIONS", PUBLIC, format!("/?api%5ftoken={token}")),
        ("GET", "nobody.containers.localhost", format!("/?api_token={token}")),
        ("GET", HOST, format!("/.wharf/status?api_token={token}")),
    ] {
        let answer = world.send(&request(method, host, &path, html)).await;
        assert!(
            !answer.head.contains(secret) && !answer.text().contains(secret),
            "{method} {path}: {answer:?}"
        );
    }
    assert!(app.seen().iter().all(|seen| !seen.head.contains(secret)));
}

#[tokio::test]
async fn t15_our_cookie_never_reaches_the_app() {
    let (world, app) = World::with_echo().await;
    let ours = world.sign_in(HOST).await;
    let many = (0..100).map(|n| format!("c{n}=v{n}")).collect::<Vec<_>>().join("; ");
    for (sent, reaches) in [
        (vec![format!("{ours}; a=1; b=2")], vec!["a=1; b=2"]),
        (vec![format!("a=1; {ours}; b=2")], vec!["a=1; b=2"]),
        (vec![format!("a=1; b=2; {ours}")], vec!["a=1; b=2"]),
        (vec![ours.clone()], vec![]),
        (vec!["a=\"1 2\"".to_owned(), ours.clone()], vec!["a=\"1 2\""]),
        (vec![format!("{ours}; a=1"), "b=2".to_owned()], vec!["a=1", "b=2"]),
        (vec![format!("{many}; {ours}")], vec![many.as_str()]),
        (
            vec![format!("wharf_sessions=1; {ours}; Xwharf_session=2")],
            vec!["wharf_sessions=1; Xwharf_session=2"],
        ),
        (vec![format!("a=1;{ours};b=2")], vec!["a=1;b=2"]),
    ] {
        let headers: String = sent.iter().map(|value| format!("Cookie: {value}\r\n")).collect();
        assert_eq!(world.send(&request("GET", HOST, "/", &headers)).await.status, 200, "{sent:?}");
        assert_eq!(app.last().headers("cookie"), reaches, "{sent:?}");
    }
    // Neither twice, nor on a public port, nor in a name of another scheme.
    for sent in [
        format!("{ours}; a=1; {ours}"),
        format!("__Host-{ours}; a=1"),
        "a=1; WHARF_session=x".to_owned(),
    ] {
        world.send(&request("GET", PUBLIC, "/", &format!("Cookie: {sent}\r\n"))).await;
        assert_eq!(app.last().headers("cookie"), ["a=1"]);
    }
    assert!(app.seen().iter().all(|seen| !seen.head.contains(&ours)));
}

#[tokio::test]
async fn t15_our_bearer_never_reaches_the_app_and_the_apps_own_does() {
    let (world, app) = World::with_echo().await;
    let token = world.records.token("alice");
    for host in [HOST, PUBLIC] {
        for scheme in ["Bearer", "bearer", "OAuth2", "OAUTH2"] {
            assert_eq!(
                world
                    .send(&request(
                        "GET",
                        host,
                        "/",
                        &format!("Authorization: {scheme} {token}\r\n")
                    ))
                    .await
                    .status,
                200
            );
            assert_eq!(app.last().headers("authorization"), Vec::<String>::new());
        }
    }
    let cookie = format!("Cookie: {}\r\n", world.sign_in(HOST).await);
    for own in ["Bearer abc", "token 123", "Basic dXNlcjpwYXNz", "Digest x"] {
        assert_eq!(
            world
                .send(&request("GET", HOST, "/", &format!("{cookie}Authorization: {own}\r\n")))
                .await
                .status,
            200
        );
        assert_eq!(app.last().headers("authorization"), [own]);
    }
}
