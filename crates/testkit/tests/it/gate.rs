//! Who gets through, by which credential, over which protocol.

use serde_json::json;
use testkit::http::Request;
use testkit::{Launch, Service, Wharf, websocket};
use websocket::tungstenite;

#[test]
fn public_means_no_check() {
    let wharf = Wharf::start();
    let service = wharf.launch(&Launch::default().public());
    let _page = service.bare("GET", "/").send().expect(200);
    let _page = service.bare("POST", "/x").body("y").send().expect(200);
    wharf.finish();
}

#[test]
fn only_the_submitter_and_administrators_pass() {
    let wharf = Wharf::start();
    let (ada_uuid, ada) = wharf.new_user("ada");
    let (_, bob) = wharf.new_user("bob");
    wharf.import("testapp.docker.tar");
    let service = wharf.submit(&Launch { token: Some(ada.clone()), ..Launch::default() });
    service.wait_ready(&wharf);
    let scoped = wharf.new_token(&ada_uuid, &json!({"scopes": ["GET /arvados/v1/users/current"]}));
    let expired = expired_token(&wharf, &ada_uuid);
    let forged = format!("{}x", &ada[..ada.len() - 1]);
    let cases = [
        ("the submitter", ada.as_str(), 200),
        ("an administrator", wharf.token(), 200),
        ("another user", &bob, 403),
        ("a scoped token", &scoped, 403),
        ("an expired token", &expired, 403),
        ("a wrong secret", &forged, 403),
        ("nonsense of our form", "v2/wharf-gj3su-000000000000000/abc", 403),
    ];
    for (who, token, status) in cases {
        let reply = service.bare("GET", "/").bearer(token).send();
        assert_eq!(reply.status(), status, "{who}: {}", reply.text());
        let scheme = format!("OAuth2 {token}");
        let reply = service.bare("GET", "/").header("Authorization", &scheme).send();
        assert_eq!(reply.status(), status, "{who} with OAuth2");
        let target = format!("/?api_token={}", token.replace('/', "%2F"));
        let reply = service.bare("POST", &target).body("x").send();
        assert_eq!(reply.status(), status, "{who} with a parameter");
    }
    let _nobody = service.bare("GET", "/").send().expect(403);
    let own = service.bare("GET", "/").header("Authorization", "Basic dXNlcjpwYXNz").send();
    let _not_ours = own.expect(403);
    wharf.finish();
}

/// A token whose time is over: the API makes none, so this waits for the end of a short one.
fn expired_token(wharf: &Wharf, user: &str) -> String {
    let words = ["--utc", "--date=+2 seconds", "+%Y-%m-%dT%H:%M:%SZ"];
    let soon = std::process::Command::new("date").args(words).output().expect("date runs");
    let soon = String::from_utf8_lossy(&soon.stdout).trim().to_owned();
    let token = wharf.new_token(user, &json!({"expires_at": soon}));
    testkit::wait_for("the token to expire", testkit::BOUND, || {
        wharf.api_as(&token, "GET", "/arvados/v1/users/current", None).status() == 401
    });
    token
}

#[test]
fn a_revoked_token_is_out_within_a_second_also_on_open_streams() {
    let wharf = Wharf::start();
    let (ada_uuid, ada) = wharf.new_user("ada");
    wharf.import("testapp.docker.tar");
    let service = wharf.submit(&Launch { token: Some(ada), ..Launch::default() });
    service.wait_ready(&wharf);
    let second = wharf.new_token(&ada_uuid, &json!({}));
    let mut stream = service.bare("GET", "/events").bearer(&second).start();
    let head = stream.read_head();
    assert_eq!(head.status, 200);
    let uuid = second.split('/').nth(1).expect("v2/UUID/SECRET");
    let path = format!("/arvados/v1/api_client_authorizations/{uuid}");
    let _deleted = wharf.api("DELETE", &path, None).expect(200);
    let begin = std::time::Instant::now();
    let _rest = stream.read_rest(&head);
    let took = begin.elapsed();
    assert!(took.as_millis() < 1_500, "the stream lived on for {took:?}");
    let _refused = service.bare("GET", "/").bearer(&second).send().expect(403);
    wharf.finish();
}

/// Every way in, without credentials: each must be refused before the app sees a byte.
#[test]
fn t11_no_method_or_protocol_skips_the_gate() {
    let wharf = Wharf::start();
    let service = wharf.app();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        let reply = service.bare(method, "/secret").send();
        assert_eq!(reply.status(), 403, "{method}");
    }
    for method in ["TRACE", "CONNECT"] {
        let reply = service.bare(method, "/secret").try_send();
        let refused = is_closed_or_client_error(&reply);
        assert!(refused, "{method}");
    }
    let events = service.bare("GET", "/events").header("Accept", "text/event-stream").send();
    let _refused = events.expect(403);
    let upgrade = websocket::connect(wharf.port(), websocket::request(&service.host(), "/ws"));
    assert!(is_refused(upgrade, 403), "a WebSocket without credentials");
    let grpc = service.bare("POST", "/a.B/C").header("Content-Type", "application/grpc").send();
    let _refused = grpc.expect(403);
    let curl = std::process::Command::new("curl")
        .args(["--silent", "--http2-prior-knowledge", "--output", "/dev/null"])
        .args(["--write-out", "%{http_code} %{http_version}", "--header"])
        .arg(format!("Host: {}", service.host()))
        .arg(format!("http://127.0.0.1:{}/secret", wharf.port()))
        .output()
        .expect("curl runs");
    assert_eq!(String::from_utf8_lossy(&curl.stdout), "403 2");
    let seen = service.logs(&wharf);
    assert!(!seen.contains("/secret"), "{seen}");
    wharf.finish();
}

/// A 4xx, or a connection that was closed instead.
fn is_closed_or_client_error(reply: &std::io::Result<testkit::http::Reply>) -> bool {
    reply.as_ref().map_or(true, |reply| (400..500).contains(&reply.status()))
}

fn is_refused(outcome: Result<websocket::Open, Box<tungstenite::Error>>, status: u16) -> bool {
    match outcome {
        Ok(_) => false,
        Err(error) => match *error {
            tungstenite::Error::Http(reply) => reply.status().as_u16() == status,
            other => panic!("{other}"),
        },
    }
}

fn open_with(wharf: &Wharf, service: &Service, headers: &[(&'static str, String)]) -> bool {
    let mut request = websocket::request(&service.host(), "/ws");
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("a header value"));
    }
    match websocket::connect(wharf.port(), request) {
        Ok(_) => true,
        Err(error) => match *error {
            tungstenite::Error::Http(reply) => {
                assert_eq!(reply.status().as_u16(), 403, "{headers:?}");
                false
            }
            other => panic!("{headers:?}: {other}"),
        },
    }
}

#[test]
fn t10_websockets_with_a_cookie_need_our_own_origin() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let cookie = service.sign_in();
    let own = format!("http://{}", service.host());
    let sibling = format!("http://{}", wharf.host(&format!("{}-8080", service.container)));
    let foreign = [
        "null".to_owned(),
        sibling,
        own.replace("http://", "https://"),
        format!("http://{}", service.host().split(':').next().unwrap_or_default()),
        format!("{own}.evil.example"),
        "http://evil.example".to_owned(),
        format!("http://localhost:{}", wharf.port()),
    ];
    for origin in foreign {
        let headers = [("Cookie", cookie.clone()), ("Origin", origin.clone())];
        assert!(!open_with(&wharf, &service, &headers), "{origin}");
    }
    assert!(!open_with(&wharf, &service, &[("Cookie", cookie.clone())]), "no Origin with a cookie");
    assert!(open_with(&wharf, &service, &[("Cookie", cookie), ("Origin", own)]), "our own origin");
    let bearer = format!("Bearer {}", wharf.token());
    assert!(open_with(&wharf, &service, &[("Authorization", bearer)]), "no Origin with a bearer");
    wharf.finish();
}

#[test]
fn t02_a_session_of_one_service_is_worth_nothing_at_another() {
    let wharf = Wharf::start();
    let first = wharf.app();
    let second = wharf.launch(&Launch::default());
    let cookie = first.sign_in();
    let with = |request: Request| request.header("Cookie", &cookie).send();
    let _own = with(first.bare("GET", "/")).expect(200);
    let _other = with(second.bare("GET", "/")).expect(403);
    // The same service under another name is another host, and so is another port.
    let _alias = with(wharf.request(&wharf.host(&first.container), "GET", "/")).expect(403);
    let _port = with(wharf.request(&first.host_of(9000), "GET", "/")).expect(403);
    // A session is no API token.
    let value = cookie.split_once('=').map_or("", |(_, value)| value);
    let reply = wharf.api_as(value, "GET", "/arvados/v1/users/current", None);
    assert_eq!(reply.status(), 401, "{}", reply.text());
    let forged = format!("{}A", &cookie[..cookie.len() - 1]);
    let reply = first.bare("GET", "/").header("Cookie", &forged).send();
    assert!(cookie.ends_with('A') || reply.status() == 403, "a changed cookie");
    wharf.finish();
}

#[test]
fn t01_two_sessions_at_once_are_refused_and_cleared() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let cookie = service.sign_in();
    let name = cookie.split_once('=').map_or("", |(name, _)| name);
    let both = format!("{name}=tossed; {cookie}");
    let reply = service.bare("GET", "/").navigating().header("Cookie", &both).send();
    assert_eq!(reply.status(), 403, "{}", reply.text());
    let cleared = reply.header("Set-Cookie").unwrap_or_default().to_owned();
    assert!(
        cleared.starts_with(&format!("{name}=;")) || cleared.contains("Max-Age=0"),
        "{cleared}"
    );
    wharf.finish();
}

#[test]
fn t03_only_the_host_header_chooses_the_service() {
    let wharf = Wharf::start();
    let public = wharf.launch(&Launch::default().public());
    let private = wharf.launch(&Launch::default());
    let marks = [
        "X-Forwarded-Host",
        "X-Host",
        "X-Original-Host",
        "X-Forwarded-Server",
        "X-HTTP-Host-Override",
        "Forwarded",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
        "X-Real-Host",
        "X-ProxyUser-Ip",
        "X-Original-Forwarded-Host",
        "Via",
        "X-Envoy-Original-Path",
    ];
    for mark in marks {
        let value = if mark == "Forwarded" {
            format!("host=\"{}\"", private.host())
        } else {
            private.host()
        };
        let reply = public.bare("GET", "/x").header(mark, &value).send().expect(200);
        assert!(
            reply.text().contains(&format!("{}\r\n", public.host())),
            "{mark}: {}",
            reply.text()
        );
        let reply = private.bare("GET", "/x").header(mark, &public.host()).send();
        assert_eq!(reply.status(), 403, "{mark}");
    }
    wharf.finish();
}

#[test]
fn t45_an_initial_path_cannot_lead_elsewhere() {
    let wharf = Wharf::start();
    wharf.import("testapp.docker.tar");
    for path in ["javascript:alert(1)", "//evil.example/", "/\\evil.example", "@evil.example/"] {
        let launch = Launch { ports: vec![(8080, "public", path)], ..Launch::default() };
        let made = wharf.api("POST", "/arvados/v1/container_requests", Some(&launch.request()));
        if made.status() == 422 {
            assert!(made.text().contains("initial_path"), "{path}: {}", made.text());
            continue;
        }
        let made = made.expect(200).json();
        let container = made["container_uuid"].as_str().expect("a container").to_owned();
        let url = testkit::wait_for_some("an address", testkit::BOUND, || {
            let about = wharf.api("GET", &format!("/arvados/v1/containers/{container}"), None);
            about.json()["published_ports"]["8080"]["initial_url"].as_str().map(str::to_owned)
        });
        let base = format!("http://{container}-8080.containers.localhost:{}/", wharf.port());
        assert!(url.starts_with(&base), "{path}: {url}");
    }
    wharf.finish();
}

#[test]
fn t50_nothing_of_ours_is_reachable_on_a_service_host() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let paths = [
        "/arvados/v1/users/current",
        "/discovery/v1/apis/arvados/v1/rest",
        "/wharf/v1/status",
        "/wharf/v1/healthz",
        "/wharf/v1/images",
        "/wharf/v1/events",
        "/sign-in",
        "/services",
        "/metrics",
        "/debug/pprof",
        "/_health",
        "/.wharf",
        "/_wharf/status",
        "/login",
    ];
    for path in paths {
        let reply = service.get(path);
        let from_app = reply.text().starts_with(&format!("GET {path} HTTP/1.1"));
        assert!(from_app || reply.status() == 404, "{path}: {} {}", reply.status(), reply.text());
    }
    wharf.finish();
}
