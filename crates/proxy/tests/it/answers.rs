//! What apps may say in the heads of their answers: for the whole site (T22), and to caches (T39).

use proxy::HostTarget;

use crate::app::{App, Reply};
use crate::world::{CONTAINER, HOST, PUBLIC, World, target};

fn get(host: &str, more: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")
}

/// An app that says these fields with every answer.
async fn saying(world: &World, fields: &str) -> App {
    let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
    let app = App::start(move |_seen| Reply::Bytes(head.clone().into_bytes())).await;
    world.serve_everywhere(&app);
    app
}

#[tokio::test]
async fn t22_what_an_app_says_for_the_whole_site_is_dropped_and_its_author_told() {
    let world = World::start().await;
    let dropped = [
        ("Clear-Site-Data", "\"cookies\""),
        ("Strict-Transport-Security", "max-age=9; includeSubDomains"),
        ("Alt-Svc", "h3=\":1\""),
        ("Alternate-Protocol", "443:quic"),
        ("NEL", "{\"report_to\":\"x\",\"max_age\":9,\"include_subdomains\":true}"),
        ("Report-To", "{\"group\":\"x\",\"max_age\":9,\"endpoints\":[]}"),
        ("Public-Key-Pins", "max-age=9; includeSubDomains"),
        ("Public-Key-Pins-Report-Only", "max-age=9"),
        ("Expect-CT", "max-age=9, enforce"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authentication-Info", "x=1"),
        ("X-Accel-Redirect", "/internal"),
        ("X-Sendfile", "/etc/passwd"),
        ("X-Lighttpd-Send-File", "/etc/passwd"),
        ("X-Reproxy-URL", "http://127.0.0.1/"),
    ];
    let kept = [
        ("X-Frame-Options", "DENY"),
        ("Access-Control-Allow-Origin", "*"),
        ("X-Accel-Buffering", "no"),
        ("Reporting-Endpoints", "x=\"/reports\""),
    ];
    let fields: String =
        dropped.iter().chain(&kept).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let app = saying(&world, &fields).await;
    let answer = world.send(&get(PUBLIC, "Origin: http://evil.example\r\n")).await;
    let told = answer.header("wharf-removed").unwrap();
    let told: Vec<&str> = told.split(", ").collect();
    for (name, _) in dropped {
        assert_eq!(answer.header(name), None, "{name}");
        assert!(told.contains(&name.to_lowercase().as_str()), "{name}: {told:?}");
    }
    assert_eq!(told.len(), dropped.len(), "{told:?}");
    for (name, value) in kept {
        assert_eq!(answer.header(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    drop(app);
    // Nothing to tell where nothing was taken out.
    let _app = saying(&world, "Connection: keep-alive\r\n").await;
    assert_eq!(world.send(&get(PUBLIC, "")).await.header("wharf-removed"), None);
}

#[tokio::test]
async fn t22_https_alone_is_said_by_us_where_the_site_is_https() {
    let said = "Strict-Transport-Security: max-age=1; includeSubDomains; preload\r\n";
    let https = "https://*.containers.localhost/";
    for (tls, url, expected) in [
        (true, https, Some("max-age=31536000")),
        (false, https, None),
        (true, "http://*.containers.localhost/", None),
    ] {
        let domain = model::ServiceDomain::parse(url).unwrap();
        let world = World::over(tls, |config| config.service_domain = domain).await;
        let _app = saying(&world, said).await;
        for (host, status) in [(PUBLIC, 200), (HOST, 403), ("nobody.containers.localhost", 404)] {
            let answer = world.send(&get(host, "")).await;
            assert_eq!(answer.status, status);
            assert_eq!(
                answer.header("strict-transport-security").as_deref(),
                expected,
                "{url} {host}"
            );
        }
    }
    let world = World::over(true, |config| config.hsts_max_age = std::time::Duration::ZERO).await;
    let _app = saying(&world, said).await;
    assert_eq!(world.send(&get(PUBLIC, "")).await.header("strict-transport-security"), None);
}

#[tokio::test]
async fn t39_no_shared_cache_may_keep_what_needs_a_credential() {
    let world = World::start().await;
    for (said, expected) in [
        ("", "private"),
        ("Cache-Control: public, s-maxage=9, max-age=60\r\n", "private, max-age=60"),
        (
            "Cache-Control: max-age=60\r\nCache-Control: immutable\r\n",
            "private, max-age=60, immutable",
        ),
        ("Cache-Control: no-store\r\n", "no-store"),
        ("Cache-Control: private, max-age=5\r\n", "private, max-age=5"),
    ] {
        let more = "Vary: Accept\r\nCDN-Cache-Control: max-age=9\r\nSurrogate-Control: max-age=9\r\nX-Accel-Expires: 9\r\n";
        let _app = saying(&world, &format!("{said}{more}")).await;
        let answer = world.send(&get(HOST, &world.bearer("alice"))).await;
        assert_eq!(answer.headers("cache-control"), [expected], "{said}");
        assert_eq!(answer.headers("vary"), ["Accept", "Cookie, Authorization"]);
        for name in ["cdn-cache-control", "surrogate-control", "x-accel-expires"] {
            assert_eq!(answer.header(name), None, "{name}");
        }
        // A public port of a host that stays what it is: the app's word.
        let public = world.send(&get(PUBLIC, "")).await;
        let as_said: Vec<String> = said
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(_, v)| v.to_owned())
            .collect();
        assert_eq!(public.headers("cache-control"), as_said);
        assert_eq!(public.headers("vary"), ["Accept"]);
        assert_eq!(public.header("cdn-cache-control").as_deref(), Some("max-age=9"));
    }
}

#[tokio::test]
async fn t39_no_shared_cache_may_keep_what_a_name_leads_to_today() {
    let world = World::start().await;
    let _app = saying(&world, "Cache-Control: public, max-age=60\r\n").await;
    world.records.add_as(HostTarget::Name("lab".to_owned()), target(CONTAINER, "alice", 81));
    let answer = world.send(&get("lab.containers.localhost", "")).await;
    assert_eq!(
        (answer.status, answer.headers("cache-control")),
        (200, vec!["private, max-age=60".to_owned()])
    );
    assert_eq!(answer.header("vary"), None, "it is the same for everyone");
}
