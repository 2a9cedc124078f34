//! Service hosts: every form of the name, and the answers of the table for each case.

use serde_json::json;
use testkit::{Launch, Wharf};

#[test]
fn every_form_of_the_name_reaches_the_app() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let (request, container) = (&service.request, &service.container);
    let plain = format!("{request}-8080.containers.localhost:{}", wharf.port());
    let dotted = format!("{request}-8080.containers.localhost.:{}", wharf.port());
    let hosts = [
        plain.clone(),
        plain.to_uppercase(),
        dotted,
        wharf.host(&format!("{container}-8080")),
        // 80 is not published and exactly one port is.
        wharf.host(request),
        wharf.host(container),
    ];
    for host in hosts {
        let reply = wharf.request(&host, "GET", "/a").bearer(wharf.token()).send();
        assert_eq!(reply.status(), 200, "{host}: {}", reply.text());
        // The app sees the Host that the client sent.
        assert!(reply.text().to_ascii_lowercase().contains(&host.to_ascii_lowercase()), "{host}");
    }
    wharf.finish();
}

#[test]
fn a_bare_uuid_with_several_ports_means_port_80() {
    let wharf = Wharf::start();
    let ports = vec![(8080, "public", ""), (9000, "public", "")];
    let service = wharf.launch(&Launch { ports, ..Launch::default() });
    let reply = wharf.request(&wharf.host(&service.request), "GET", "/").bearer(wharf.token());
    // Port 80 was never published and nothing listens there.
    let _refused = reply.send().expect(502);
    wharf.finish();
}

#[test]
fn unknown_names_are_404_and_impossible_ones_400() {
    let wharf = Wharf::start();
    let unknown = "wharf-xvhdp-000000000000000";
    for label in [unknown, &format!("{unknown}-80"), "wharf-dz642-000000000000000-80", "nobody"] {
        let reply = wharf.request(&wharf.host(label), "GET", "/").bearer(wharf.token()).send();
        assert_eq!(reply.status(), 404, "{label}: {}", reply.text());
        assert!(reply.json()["errors"][0].is_string(), "{label}");
    }
    let too_long = "a".repeat(64);
    for label in [&format!("{unknown}-0"), &format!("{unknown}-70000"), &too_long] {
        let reply = wharf.request(&wharf.host(label), "GET", "/").bearer(wharf.token()).send();
        assert_eq!(reply.status(), 400, "{label}: {}", reply.text());
    }
    wharf.finish();
}

#[test]
fn ports_that_nobody_published_are_private_and_reachable() {
    let wharf = Wharf::start();
    let service = wharf.launch(&Launch::default().public());
    let host = service.host_of(9000);
    let ask = || wharf.request(&host, "GET", "/x").bearer(wharf.token()).send();
    // Never published and refuses.
    let _refused = ask().expect(502);
    let _stranger = wharf.request(&host, "GET", "/x").send().expect(403);
    let _open = service.get("/listen?port=9000").expect(200);
    assert!(ask().expect(200).text().starts_with("GET /x"), "the port that was opened later");
    let _stranger = wharf.request(&host, "GET", "/x").send().expect(403);
    wharf.finish();
}

#[test]
fn a_site_can_keep_unpublished_ports_closed() {
    let wharf = Wharf::start_configured(
        "Services: {ContainerWebServices: {AllowUnpublishedPorts: false}}\n",
    );
    let service = wharf.app();
    let _open = service.get("/listen?port=9000").expect(200);
    let reply = wharf.request(&service.host_of(9000), "GET", "/").bearer(wharf.token()).send();
    assert!(matches!(reply.status(), 403 | 404), "{} {}", reply.status(), reply.text());
    wharf.finish();
}

#[test]
fn apps_on_any_loopback_or_wildcard_address_are_reached() {
    let wharf = Wharf::start();
    let service = wharf.app();
    for (port, bind) in [(9001, "127.0.0.1"), (9002, "::1"), (9003, "0.0.0.0"), (9004, "::")] {
        let opened = service.get(&format!("/listen?port={port}&bind={bind}")).expect(200);
        assert_eq!(opened.text(), "open\n", "{bind}");
        let host = service.host_of(port);
        let reply = wharf.request(&host, "GET", "/x").bearer(wharf.token()).send();
        assert_eq!(reply.status(), 200, "{bind}: {}", reply.text());
    }
    wharf.finish();
}

#[test]
fn a_port_that_was_ready_and_refuses_now_is_502() {
    let wharf = Wharf::start();
    let ports = vec![(8080, "private", ""), (9000, "private", "")];
    let service = wharf.launch(&Launch { ports, ..Launch::default() });
    let host = service.host_of(9000);
    let ask = || wharf.request(&host, "GET", "/").bearer(wharf.token()).send();
    let waiting = ask().expect(503);
    assert!(waiting.header("Retry-After").is_some(), "{:?}", waiting.head.headers);
    assert!(waiting.json()["errors"][0].is_string());
    let _open = service.get("/listen?port=9000").expect(200);
    let ready = |record: &serde_json::Value| record["published_ports"]["9000"]["ready"] == true;
    let _record = service.wait(&wharf, "the second port to be ready", ready);
    let _answered = ask().expect(200);
    let _closed = service.get("/unlisten?port=9000").expect(200);
    let refused = ask().expect(502);
    assert!(refused.text().contains("9000"), "names the port: {}", refused.text());
    wharf.finish();
}

#[test]
fn a_container_that_is_over_is_410_in_words() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let _gone = service.ask("POST", "/sh").body("kill -9 $PPID").try_send();
    let _record = service.wait_over(&wharf);
    let program = service.get("/").expect(410);
    assert!(program.json()["errors"][0].is_string());
    let page = service.ask("GET", "/").navigating().send().expect(410);
    assert!(page.header("Content-Type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(page.text().contains("SIGKILL") || page.text().contains("signal 9"), "{}", page.text());
    let _stranger = service.bare("GET", "/").send().expect(403);
    wharf.finish();
}

#[test]
fn pages_are_html_only_for_who_asks_for_html() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let json_error = service.bare("GET", "/lab?x=1").send().expect(403);
    assert!(json_error.json()["errors"][0].is_string());
    let page = service.bare("GET", "/lab?x=1").navigating().send().expect(403);
    assert!(page.header("Content-Type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(page.text().contains("<h1"), "{}", page.text());
    assert!(page.text().contains(&format!("http://localhost:{}/", wharf.port())), "sign-in link");
    assert!(page.header("Cache-Control").is_some_and(|value| value.contains("no-store")));
    wharf.finish();
}

#[test]
fn a_double_dash_suffix_is_a_service_domain_too() {
    // The listen port is known only later, so the name goes without one.
    let wharf = Wharf::start_configured(
        "Services: {ContainerWebServices: {ExternalURL: 'http://*--containers.example.com/'}}\n",
    );
    let service = wharf.app();
    let host = format!("{}-8080--containers.example.com", service.request);
    let reply = wharf.request(&host, "GET", "/x").bearer(wharf.token()).send().expect(200);
    assert!(reply.text().starts_with("GET /x"), "{}", reply.text());
    let base = service.record(&wharf)["published_ports"]["8080"]["base_url"].clone();
    let base = base.as_str().expect("a base_url").to_owned();
    assert!(base.ends_with("--containers.example.com/"), "{base}");
    let other = format!("{}-8080.containers.example.com", service.request);
    let reply = wharf.request(&other, "GET", "/x").bearer(wharf.token()).send();
    assert_ne!(reply.status(), 200, "another suffix is another site");
    wharf.finish();
}

#[test]
fn without_a_wildcard_each_port_gets_one_of_the_range() {
    // Below the ports that the kernel gives to outgoing connections.
    let wharf = Wharf::start_configured(
        "Services: {ContainerWebServices: {ExternalURL: 'http://localhost/', \
         ExternalPortMin: 27600, ExternalPortMax: 27609}}\n",
    );
    let service = wharf.app();
    let port = service.record(&wharf)["published_ports"]["8080"]["external_port"].clone();
    let port = port.as_u64().and_then(|port| u16::try_from(port).ok()).expect("an external port");
    assert!((27_600..=27_609).contains(&port), "{port}");
    let host = format!("localhost:{port}");
    let ask = testkit::http::Request::new(port, &host, "GET", "/x");
    let reply = ask.clone().bearer(wharf.token()).send().expect(200);
    assert!(reply.text().starts_with("GET /x"), "{}", reply.text());
    let _stranger = ask.send().expect(403);
    wharf.finish();
}

#[test]
fn a_link_made_by_the_api_opens_once_and_carries_no_token() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let body = json!({"uuid": service.request, "port": 8080, "path": "/lab?x=1"});
    let made = wharf.api("POST", "/wharf/v1/handoff", Some(&body)).expect(200).json();
    let url = made["url"].as_str().expect("a link").to_owned();
    assert!(url.contains("api_token=wc1_"), "a single-use code: {url}");
    let rest = url.trim_start_matches("http://");
    let (host, target) = rest.split_at(rest.find('/').expect("a path"));
    let opened = wharf.request(host, "GET", target).navigating().send().expect(303);
    let location = opened.header("Location").expect("a redirect").to_owned();
    assert!(location.ends_with("/lab?x=1"), "{location}");
    let cookie = opened.header("Set-Cookie").expect("a session").to_owned();
    let pair = cookie.split(';').next().unwrap_or_default();
    let page = wharf.request(host, "GET", "/lab?x=1").header("Cookie", pair).send().expect(200);
    assert!(page.text().starts_with("GET /lab?x=1"), "{}", page.text());
    let again = wharf.request(host, "GET", target).navigating().send();
    assert!(again.header("Set-Cookie").is_none_or(|cookie| cookie.contains("Max-Age=0")), "once");
    wharf.finish();
}
