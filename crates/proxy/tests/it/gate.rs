//! One gate for whatever is asked for, and where it sends whom.

use model::ContainerPort;
use proxy::TargetState;

use crate::client::request;
use crate::world::{BOBS, HOST, PUBLIC, World};

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
        let token = format!("{}{more}", world.bearer("alice"));
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
                [String::new(), world.bearer("bob"), "Cookie: wharf_session=x\r\n".to_owned()]
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
        request("CONNECT", &format!("{HOST}:80"), &format!("{HOST}:80"), &world.bearer("alice"));
    assert_eq!(world.send(&connect).await.status, 501);
    assert_eq!(world.apps.n_dials(), 0);
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
