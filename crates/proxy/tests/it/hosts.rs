//! What chooses the service: its host and nothing else.

use crate::client::request;
use crate::world::{CONTAINER, HOST, PUBLIC, World, target};

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
    assert_eq!(world.send(&request("GET", HOST, "/", &world.bearer("bob"))).await.status, 403);
}
