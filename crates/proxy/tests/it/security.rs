//! Rows of the threat list, each as a test named after it.

use model::ContainerPort;
use proxy::TargetState;

use crate::app::{App, Reply};
use crate::world::{BOBS, CONTAINER, HOST, PUBLIC, World, target};

fn request(method: &str, host: &str, path: &str, more: &str) -> String {
    let length = if matches!(method, "GET" | "HEAD" | "TRACE" | "OPTIONS") {
        ""
    } else {
        "Content-Length: 0\r\n"
    };
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}{more}\r\n")
}

fn bearer(world: &World, name: &str) -> String {
    format!("Authorization: Bearer {}\r\n", world.records.token(name))
}

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
        world.send(&request("GET", &other_port, "/", &bearer(&world, "alice"))).await.status,
        502
    );
}

#[tokio::test]
async fn t03_no_header_overrides_the_host() {
    let (world, app) = World::with_echo().await;
    for header in [
        "X-Forwarded-Host",
        "X-Forwarded-Server",
        "X-Host",
        "X-Original-Host",
        "X-HTTP-Host-Override",
        "X-Rewrite-Host",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Forwarded-Host",
        "X_Forwarded_Host",
        "X.Forwarded.Host",
        "Base-URL",
        "Destination",
        "Proxy-Host",
        "Request-URI",
        "X-Proxy-URL",
        "X-Forwarded-Port",
        "X-Real-Host",
        "Host-Override",
        "CF-Connecting-Host",
    ] {
        let answer =
            world.send(&request("GET", PUBLIC, "/", &format!("{header}: {HOST}\r\n"))).await;
        assert_eq!(
            (answer.status, app.last().headers("host")),
            (200, vec![PUBLIC.to_owned()]),
            "{header}"
        );
        let answer =
            world.send(&request("GET", HOST, "/", &format!("{header}: {PUBLIC}\r\n"))).await;
        assert_eq!(answer.status, 403, "{header}");
    }
    let forwarded = format!("Forwarded: host={PUBLIC};for=127.0.0.1;proto=https\r\n");
    assert_eq!(world.send(&request("GET", HOST, "/", &forwarded)).await.status, 403);
}

#[tokio::test]
async fn t03_addresses_and_scheme_are_the_sockets_unless_the_peer_is_a_listed_front() {
    let (world, app) = World::with_echo().await;
    let spoof = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n";
    world.send(&request("GET", PUBLIC, "/", spoof)).await;
    let seen = app.last();
    assert_eq!(
        (seen.headers("x-forwarded-for"), seen.headers("x-forwarded-proto")),
        (vec!["127.0.0.1".to_owned()], vec!["http".to_owned()])
    );

    let world =
        World::with(|config| config.front_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    world.serve_everywhere(&app);
    world.send(&request("GET", PUBLIC, "/", spoof)).await;
    let seen = app.last();
    assert_eq!(
        (seen.headers("x-forwarded-for"), seen.headers("x-forwarded-proto")),
        (vec!["203.0.113.9, 127.0.0.1".to_owned()], vec!["https".to_owned()])
    );
    // Also from a front, only Host says where a request goes.
    let other = format!("X-Forwarded-Host: {PUBLIC}\r\n");
    assert_eq!(world.send(&request("GET", HOST, "/", &other)).await.status, 403);
}

#[tokio::test]
async fn t04_hosts_with_two_readings_are_refused() {
    let (world, app) = World::with_echo().await;
    let raw = |line: &str, hosts: &[&str]| {
        let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        format!("{line} HTTP/1.1\r\n{hosts}\r\n")
    };
    let long = format!("{}.containers.localhost", "a".repeat(64));
    let user = format!("user@{PUBLIC}");
    let bad_port = format!("{PUBLIC}:99999");
    for (line, hosts) in [
        ("GET /", vec![]),
        ("GET /", vec![PUBLIC, PUBLIC]),
        ("GET /", vec![PUBLIC, HOST]),
        ("GET /", vec![user.as_str()]),
        ("GET /", vec![bad_port.as_str()]),
        ("GET /", vec![long.as_str()]),
        ("GET /", vec!["xn--e1afmkfd..containers.localhost"]),
        ("GET /", vec!["a b.containers.localhost"]),
        ("GET /", vec!["[::1]"]),
        ("GET /", vec![""]),
        (&format!("GET http://{PUBLIC}/"), vec![HOST]),
        (&format!("GET http://{HOST}/"), vec![PUBLIC]),
        (&format!("GET http://u:p@{PUBLIC}/"), vec![PUBLIC]),
        (&format!("GET http://u:p@{PUBLIC}/"), vec![]),
    ] {
        assert_eq!(world.send(&raw(line, &hosts)).await.status, 400, "{line} {hosts:?}");
    }
    assert!(app.seen().is_empty());
    for (line, hosts) in [
        (format!("GET http://{PUBLIC}/x"), vec![PUBLIC]),
        (format!("GET http://{PUBLIC}/x"), vec![]),
    ] {
        assert_eq!(
            (world.send(&raw(&line, &hosts)).await.status, app.last().line()),
            (200, "GET /x HTTP/1.1")
        );
    }
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
        (BOBS, &bearer(&world, "bob"), 200),
        (BOBS, "", 403),
        (HOST, &bearer(&world, "bob"), 403),
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
async fn t09_a_redirect_stays_on_the_service_host() {
    let (world, _app) = World::with_echo().await;
    let token = world.records.token("alice");
    for path in [
        "//evil.example/",
        "/\\evil.example",
        "//evil.example%2f..",
        "///evil",
        "/@evil.example",
        "/%09/evil",
        "/;@evil",
        "/.//evil",
    ] {
        let answer =
            world.send(&request("GET", HOST, &format!("{path}?api_token={token}"), "")).await;
        if answer.status == 400 {
            continue;
        }
        assert_eq!(answer.header("location"), Some(format!("http://{HOST}{path}")), "{path}");
    }
    let absolute = format!(
        "GET http://{HOST}//evil.example/?api_token={token} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    );
    assert_eq!(
        world.send(&absolute).await.header("location"),
        Some(format!("http://{HOST}//evil.example/"))
    );
}

#[tokio::test]
async fn t10_a_cookie_opens_sockets_and_changes_things_only_from_our_own_origin() {
    let (world, app) = World::with_echo().await;
    let cookie = format!("Cookie: {}\r\n", world.sign_in(HOST).await);
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let foreign = [
        "null".to_owned(),
        format!("http://{BOBS}"),
        format!("https://{HOST}"),
        format!("http://{HOST}:8000"),
        format!("http://{HOST}.evil.example"),
        "http://containers.localhost".to_owned(),
        format!("http://x{HOST}"),
        String::new(),
    ];
    for (method, more) in
        [("GET", upgrade), ("POST", ""), ("PUT", ""), ("DELETE", ""), ("PATCH", "")]
    {
        for origin in &foreign {
            let answer = world
                .send(&request(method, HOST, "/", &format!("{cookie}{more}Origin: {origin}\r\n")))
                .await;
            assert_eq!(answer.status, 403, "{method} from {origin}");
        }
        assert_eq!(
            world.send(&request(method, HOST, "/", &format!("{cookie}{more}"))).await.status,
            403,
            "{method} without Origin"
        );
        assert!(app.seen().is_empty());
    }
    for method in ["POST", "GET"] {
        let more = if method == "GET" { upgrade } else { "" };
        let own = format!("{cookie}{more}Origin: http://{HOST}\r\n");
        assert_eq!(
            world.send(&request(method, HOST, "/", &own)).await.status,
            200,
            "{method} from our own origin"
        );
        let token = format!("{}{more}", bearer(&world, "alice"));
        assert_eq!(
            world.send(&request(method, HOST, "/", &token)).await.status,
            200,
            "{method} with a token"
        );
    }
}

#[tokio::test]
async fn t11_the_gate_is_the_same_for_every_method_and_protocol() {
    let (world, app) = World::with_echo().await;
    let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let extras = [
        String::new(),
        format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{key}"),
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n".to_owned(),
        "Accept: text/event-stream\r\n".to_owned(),
        "Content-Type: application/grpc\r\nTE: trailers\r\n".to_owned(),
        "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n".to_owned(),
    ];
    for method in [
        "GET", "POST", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "PROPFIND", "get",
        "CONNECT",
    ] {
        for extra in &extras {
            for credential in
                [String::new(), bearer(&world, "bob"), "Cookie: wharf_session=x\r\n".to_owned()]
            {
                let path = if method == "CONNECT" { format!("{HOST}:80") } else { "/".to_owned() };
                let host = if method == "CONNECT" { format!("{HOST}:80") } else { HOST.to_owned() };
                let answer = world
                    .send(&request(method, &host, &path, &format!("{extra}{credential}")))
                    .await;
                assert_eq!(answer.status, 403, "{method} {extra}");
            }
        }
    }
    assert!(app.seen().is_empty());
    let connect =
        request("CONNECT", &format!("{HOST}:80"), &format!("{HOST}:80"), &bearer(&world, "alice"));
    assert_eq!(world.send(&connect).await.status, 501);
    assert_eq!(world.apps.n_dials(), 0);
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
async fn t18_nothing_in_a_request_reaches_anything_but_the_apps_port() {
    let (world, app) = World::with_echo().await;
    for more in [
        "X-Arvados-Target-Uuid: x\r\n",
        "X-Wharf-Stream: log\r\n",
        "Upgrade: ssh\r\nConnection: Upgrade\r\n",
        "Upgrade: tunnel\r\nConnection: upgrade\r\n",
        "X-Webdav-Prefix: /\r\nX-Webdav-Source: /log\r\n",
    ] {
        for method in ["GET", "POST", "OPTIONS", "PROPFIND", "SHELL"] {
            let answer =
                world.send(&request(method, PUBLIC, "/arvados/v1/containers/log", more)).await;
            assert_eq!(
                (answer.status, app.last().line()),
                (200, &*format!("{method} /arvados/v1/containers/log HTTP/1.1"))
            );
            assert!(answer.text().starts_with(&format!("{method} /arvados")));
        }
    }
}

#[tokio::test]
async fn t24_uuid_forms_never_name_a_link() {
    let (world, _app) = World::with_echo().await;
    let bobs = target(crate::world::OTHER, "bob", 81);
    for name in [CONTAINER.to_owned(), format!("{CONTAINER}-80"), format!("{CONTAINER}-82")] {
        world.records.add_as(proxy::HostTarget::Name(name), bobs.clone());
    }
    let stolen = format!("{CONTAINER}-82.containers.localhost");
    assert_eq!(world.send(&request("GET", &stolen, "/", "")).await.status, 404);
    assert_eq!(world.send(&request("GET", HOST, "/", &bearer(&world, "bob"))).await.status, 403);
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
async fn t46_no_agent_path_or_query_goes_around_the_gate() {
    let (world, app) = World::with_echo().await;
    for more in [
        "User-Agent: kube-probe/1.30\r\n",
        "User-Agent: GoogleHC/1.0\r\n",
        "User-Agent: ELB-HealthChecker/2.0\r\n",
        "X-Health-Check: 1\r\n",
        "Purpose: prefetch\r\n",
    ] {
        assert_eq!(world.send(&request("GET", HOST, "/", more)).await.status, 403);
    }
    for path in [
        "/healthz",
        "/ping",
        "/robots.txt",
        "/favicon.ico",
        "/.well-known/acme-challenge/x",
        "/oauth2/sign_in",
        "/public/../x",
        "/x?/ping",
        "/x%3f/healthz",
        "/;/healthz",
        "/static/app.css",
        "/.wharf",
        "/x?allow=/ping",
    ] {
        assert_eq!(world.send(&request("GET", HOST, path, "")).await.status, 403, "{path}");
    }
    assert!(app.seen().is_empty());
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

#[tokio::test]
async fn t50_a_service_host_serves_the_app_and_one_path_of_ours() {
    let (world, app) = World::with_echo().await;
    for path in [
        "/arvados/v1/containers",
        "/wharf/v1/status",
        "/wharf/v1/healthz",
        "/discovery/v1/apis/arvados/v1/rest",
        "/metrics",
        "/_health",
        "/debug/pprof",
        "/admin",
        "/sign-in",
        "/login",
        "/open?host=x",
    ] {
        let answer = world.send(&request("GET", PUBLIC, path, "")).await;
        assert!(
            answer.status == 200 && answer.text().starts_with(&format!("GET {path} ")),
            "{path}"
        );
    }
    let n_seen = app.seen().len();
    for (method, path) in [
        ("GET", "/.wharf/"),
        ("GET", "/.wharf/admin"),
        ("GET", "/.wharf/status/x"),
        ("POST", "/.wharf/status"),
        ("GET", "/.wharf/../x"),
        ("DELETE", "/.wharf/x"),
    ] {
        assert_eq!(
            world.send(&request(method, PUBLIC, path, "")).await.status,
            404,
            "{method} {path}"
        );
    }
    assert_eq!(app.seen().len(), n_seen);
    let status = world.send(&request("GET", PUBLIC, "/.wharf/status", "")).await;
    assert_eq!((status.status, status.header("cache-control").as_deref()), (200, Some("no-store")));
    world.records.change(|target| {
        target.state = TargetState::Queued;
        target.ports.get_mut(ContainerPort::HTTP).unwrap().ready = None;
    });
    let status = world.send(&request("GET", PUBLIC, "/.wharf/status", "")).await.text();
    assert!(
        status.contains("\"ready\":false")
            && status.contains("\"queue_place\":2")
            && status.contains("number 2 in the queue"),
        "{status}"
    );
}
