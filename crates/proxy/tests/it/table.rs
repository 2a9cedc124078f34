//! One test for each row of the contract's table of answers (section 3).

use model::{ContainerPort, RequestUuid};
use proxy::{DialError, HostTarget, TargetState};

use crate::app::App;
use crate::world::{CONTAINER, HOST, OTHER, PUBLIC, REQUEST, Way, World, target};

fn get(host: &str, path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")
}

const HTML: &str = "Accept: text/html\r\n";

#[tokio::test]
async fn unknown_containers_requests_and_names_are_404() {
    let (world, app) = World::with_echo().await;
    for host in [
        "wharf-dz642-zzzzzzzzzzzzzzz.containers.localhost",
        "wharf-xvhdp-zzzzzzzzzzzzzzz-80.containers.localhost",
        "nobody.containers.localhost",
        "a.b.containers.localhost",
    ] {
        let answer = world.send(&get(host, "/", "")).await;
        assert_eq!(answer.status, 404, "{host}");
        assert!(
            answer.error().contains("no such service")
                || answer.error().contains("not the address")
        );
        let page = world.send(&get(host, "/", HTML)).await;
        assert!(page.status == 404 && page.text().contains("<h1>No such service</h1>"));
    }
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn names_that_cannot_be_parsed_are_400() {
    let (world, app) = World::with_echo().await;
    for label in ["-0", "-70000", "-080", "-http", "-"] {
        let answer =
            world.send(&get(&format!("{CONTAINER}{label}.containers.localhost"), "/", "")).await;
        assert_eq!(answer.status, 400, "{label}");
    }
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn a_query_token_on_get_and_head_becomes_a_cookie_and_a_clean_address() {
    let (world, app) = World::with_echo().await;
    let token = world.records.token("alice").replace('/', "%2F");
    for (method, path, clean) in [
        ("GET", format!("/a//b?x=%201&api_token={token}&y=2&x="), "/a//b?x=%201&y=2&x="),
        ("HEAD", format!("/?arvados_api_token={token}"), "/"),
        ("GET", format!("//evil.example/?api_token={token}"), "//evil.example/"),
        ("GET", format!("/p?api_token={}", world.records.code(HOST)), "/p"),
    ] {
        let answer = world
            .send(&format!(
                "{method} {path} HTTP/1.1\r\nHost: {HOST}:{}\r\n\r\n",
                world.address.port()
            ))
            .await;
        assert_eq!(answer.status, 303, "{path}");
        let location = format!("http://{HOST}:{}{clean}", world.address.port());
        let expected =
            (Some(location), Some("no-store".to_owned()), Some("no-referrer".to_owned()));
        assert_eq!(
            (
                answer.header("location"),
                answer.header("cache-control"),
                answer.header("referrer-policy")
            ),
            expected,
            "{path}"
        );
        // A code was made for the host without a port, so it is none for this one.
        if path.contains("wc1_") {
            assert_eq!(answer.header("set-cookie"), None);
            continue;
        }
        let cookie = answer.header("set-cookie").unwrap();
        assert!(
            cookie.starts_with("wharf_session=")
                && cookie.contains("; Path=/; HttpOnly; SameSite=Lax; Max-Age="),
            "{cookie}"
        );
        assert!(
            !cookie.contains("Domain") && !cookie.contains("Secure") && !cookie.contains("alice")
        );
    }
    assert!(app.seen().is_empty());
    let cookie = world.sign_in(HOST).await;
    assert_eq!(world.send(&get(HOST, "/", &format!("Cookie: {cookie}\r\n"))).await.status, 200);
}

#[tokio::test]
async fn a_wrong_query_token_leaves_the_address_too_but_sets_no_cookie() {
    let (world, app) = World::with_echo().await;
    let of = |name: &str| world.records.token(name);
    let revoked = of("alice").replace("alices", "aliceX");
    for token in ["", "nonsense", "wc1_x", &revoked, &of("bob"), &of("scoped"), &of("expired")] {
        let answer = world.send(&get(HOST, &format!("/p?api_token={token}&a=1"), "")).await;
        let location = format!("http://{HOST}/p?a=1");
        assert_eq!(
            (answer.status, answer.header("location"), answer.header("set-cookie")),
            (303, Some(location), None),
            "{token}"
        );
    }
    // Also where there is nothing: the token leaves the address bar first.
    let answer = world
        .send(&get("nobody.containers.localhost", &format!("/?api_token={}", of("alice")), ""))
        .await;
    assert_eq!((answer.status, answer.header("set-cookie")), (303, None));
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn a_query_token_on_other_methods_is_used_and_removed() {
    let (world, app) = World::with_echo().await;
    let token = world.records.token("alice");
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let body = format!("api_token={token}");
        let request = format!(
            "{method} /p?a=1&api_token={token}&b=2 HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = world.send(&request).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (200, None), "{method}");
        let seen = app.last();
        assert_eq!(seen.line(), format!("{method} /p?a=1&b=2 HTTP/1.1"));
        // Bodies are the app's, whatever is in them.
        assert_eq!(seen.body, body.as_bytes());
    }
    let wrong = world
        .send(&format!("POST /?api_token=x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n"))
        .await;
    assert_eq!(wrong.status, 403);
}

#[tokio::test]
async fn private_without_credentials_is_403_with_a_way_to_sign_in() {
    let (world, app) = World::with_echo().await;
    let answer = world.send(&get(HOST, "/", "")).await;
    assert_eq!((answer.status, answer.error().contains("private")), (403, true));
    let page = world.send(&get(HOST, "/lab?x=1", HTML)).await;
    assert_eq!(page.status, 403);
    assert!(
        page.text()
            .contains(&format!("http://localhost:8000/open?host={HOST}&amp;path=%2Flab%3Fx%3D1")),
        "{}",
        page.text()
    );
    assert_eq!(page.header("cache-control").as_deref(), Some("no-store"));
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn private_with_credentials_that_do_not_open_it_is_403() {
    let (world, app) = World::with_echo().await;
    let garbled = world.bearer("alice").replace("alices", "aliceX");
    for header in [
        world.bearer("bob"),
        world.bearer("scoped"),
        world.bearer("expired"),
        garbled,
        "Authorization: Bearer abc\r\n".to_owned(),
        "Cookie: wharf_session=abc\r\n".to_owned(),
    ] {
        assert_eq!(world.send(&get(HOST, "/", &header)).await.status, 403, "{header}");
    }
    world.records.change(|target| target.submitters.push(crate::world::user_uuid("bob")));
    assert_eq!(
        world.send(&get(HOST, "/", &world.bearer("alice"))).await.status,
        403,
        "one of two submitters"
    );
    assert!(app.seen().is_empty());
    assert_eq!(
        world.send(&get(HOST, "/", &world.bearer("admin"))).await.status,
        200,
        "an administrator"
    );
}

#[tokio::test]
async fn credentials_count_as_bearer_as_oauth2_and_as_cookie() {
    let (world, app) = World::with_echo().await;
    let oauth = world.bearer("alice").replace("Bearer", "OAuth2");
    let cookie = format!("Cookie: {}\r\n", world.sign_in(HOST).await);
    for header in [world.bearer("alice"), oauth, cookie.clone()] {
        assert_eq!(world.send(&get(HOST, "/", &header)).await.status, 200, "{header}");
    }
    world.records.revoke("alice");
    for header in [bearer_text(), cookie] {
        assert_eq!(world.send(&get(HOST, "/", &header)).await.status, 403, "revoked: {header}");
    }
    assert_eq!(app.seen().len(), 3);
}

fn bearer_text() -> String {
    format!("Authorization: Bearer v2/wharf-gj3su-{:0>15}/alice{}\r\n", "alice", "s".repeat(40))
}

#[tokio::test]
async fn public_needs_no_one() {
    let (world, app) = World::with_echo().await;
    assert_eq!(world.send(&get(PUBLIC, "/", "")).await.status, 200);
    assert_eq!(
        world.send(&get(PUBLIC, "/", "Authorization: Bearer of-the-app\r\n")).await.status,
        200
    );
    assert_eq!(app.last().headers("authorization"), ["Bearer of-the-app"]);
}

#[tokio::test]
async fn waiting_and_starting_is_503_and_a_page_that_goes_on_by_itself() {
    let world = World::start().await;
    for state in [TargetState::Uncommitted, TargetState::Queued, TargetState::Locked] {
        world.records.change(|target| target.state = state);
        let answer = world.send(&get(HOST, "/", &world.bearer("alice"))).await;
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, Some("2".to_owned())),
            "{state:?}"
        );
        assert!(answer.error().contains(state.as_str()));
        let page = world.send(&get(HOST, "/lab", &(world.bearer("alice") + HTML))).await;
        assert_eq!((page.status, page.header("retry-after")), (503, Some("2".to_owned())));
        assert!(
            page.text().contains("Starting My service") && page.text().contains("listening soon")
        );
        assert!(page.text().contains("&lt;b&gt;first line"));
        // A stranger learns nothing of it.
        assert_eq!(world.send(&get(HOST, "/", HTML)).await.status, 403);
    }
    assert_eq!(world.apps.n_dials(), 0);
}

#[tokio::test]
async fn running_with_a_port_that_never_listened_is_503_until_it_does() {
    let world = World::start().await;
    world
        .records
        .change(|target| target.ports.get_mut(ContainerPort::HTTP).unwrap().ready = Some(false));
    let request = get(HOST, "/", &world.bearer("alice"));
    let answer = world.send(&request).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2".to_owned())));
    assert!(answer.error().contains("nothing listens on port 80 yet"));
    let page = world.send(&get(HOST, "/", &(world.bearer("alice") + HTML))).await;
    assert!(page.text().contains("does not answer on port 80 yet"));
    let status = world.send(&get(HOST, "/.wharf/status", &world.bearer("alice"))).await;
    assert!(status.text().contains("\"ready\":false"), "{}", status.text());
    let app = App::echo().await;
    world.serve_everywhere(&app);
    // The records still say "not ready": asking the app is what counts.
    assert_eq!(world.send(&request).await.status, 200);
    let status = world.send(&get(HOST, "/.wharf/status", &world.bearer("alice"))).await;
    assert!(status.text().contains("\"ready\":true"));
    assert_eq!(world.send(&get(HOST, "/.wharf/status", "")).await.status, 403);
}

#[tokio::test]
async fn a_port_that_was_ready_and_refuses_is_502() {
    let world = World::start().await;
    let answer = world.send(&get(HOST, "/", &world.bearer("alice"))).await;
    assert_eq!((answer.status, answer.error().contains("port 80")), (502, true));
    let page = world.send(&get(HOST, "/", &(world.bearer("alice") + HTML))).await;
    assert!(page.status == 502 && page.text().contains("The application does not answer"));
}

#[tokio::test]
async fn an_unpublished_port_is_private_and_502_when_it_refuses() {
    let world = World::start().await;
    world.records.add(CONTAINER, 9999, target(CONTAINER, "alice", 9999));
    let host = format!("{CONTAINER}-9999.containers.localhost");
    assert_eq!(world.send(&get(&host, "/", "")).await.status, 403);
    assert_eq!(world.send(&get(&host, "/", &world.bearer("alice"))).await.status, 502);
    let app = App::echo().await;
    world.apps.set(CONTAINER, 9999, Way::At(app.address));
    assert_eq!(world.send(&get(&host, "/", &world.bearer("alice"))).await.status, 200);
}

#[tokio::test]
async fn unpublished_ports_are_404_where_the_site_says_so() {
    let world = World::with(|config| config.allow_unpublished_ports = false).await;
    world.records.add(CONTAINER, 9999, target(CONTAINER, "alice", 9999));
    let host = format!("{CONTAINER}-9999.containers.localhost");
    assert_eq!(world.send(&get(&host, "/", &world.bearer("alice"))).await.status, 404);
    assert_eq!(world.apps.n_dials(), 0);
}

#[tokio::test]
async fn a_supervisor_that_is_gone_is_503() {
    let world = World::start().await;
    for error in [DialError::NoTunnel, DialError::Timeout] {
        world.apps.set(CONTAINER, 80, Way::Fails(error));
        let answer = world.send(&get(HOST, "/", &world.bearer("alice"))).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2".to_owned())));
        let page = world.send(&get(HOST, "/", &(world.bearer("alice") + HTML))).await;
        assert!(page.status == 503 && page.text().contains("reconnecting to the machine"));
    }
}

#[tokio::test]
async fn a_dial_that_hangs_is_503_after_the_time_allowed() {
    let world =
        World::with(|config| config.connect_timeout = std::time::Duration::from_millis(50)).await;
    world.apps.set(CONTAINER, 80, Way::Hangs);
    assert_eq!(world.send(&get(HOST, "/", &world.bearer("alice"))).await.status, 503);
}

#[tokio::test]
async fn a_service_that_is_over_is_410_and_says_how_it_ended() {
    let world = World::start().await;
    for state in [TargetState::Complete, TargetState::Cancelled] {
        world.records.change(|target| {
            target.state = state;
            target.exit_words = "exited with code 3".to_owned();
        });
        let answer = world.send(&get(HOST, "/", &world.bearer("alice"))).await;
        assert_eq!((answer.status, answer.error().contains("exited with code 3")), (410, true));
        let page = world.send(&get(HOST, "/", &(world.bearer("alice") + HTML))).await.text();
        assert!(
            page.contains("exited with code 3")
                && page.contains("Run again")
                && page.contains("Logs")
        );
        assert!(page.contains(&format!("http://localhost:8000/services/{REQUEST}")));
        assert_eq!(world.send(&get(HOST, "/", "")).await.status, 403);
    }
}

#[tokio::test]
async fn records_that_cannot_be_read_are_503() {
    let world = World::start().await;
    world.records.go_down();
    let answer = world.send(&get(HOST, "/", "")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2".to_owned())));
}

#[tokio::test]
async fn every_spelling_of_a_host_leads_to_its_service() {
    let (world, app) = World::with_echo().await;
    let request = RequestUuid::parse(REQUEST).unwrap();
    for port in [None, ContainerPort::new(80)] {
        world
            .records
            .add_as(HostTarget::Request { uuid: request, port }, target(CONTAINER, "alice", 80));
    }
    world.records.add_as(HostTarget::Name("jupyter".to_owned()), target(OTHER, "alice", 80));
    let port = world.address.port();
    for host in [
        format!("{REQUEST}.containers.localhost"),
        format!("{REQUEST}-80.containers.localhost:{port}"),
        format!("{}-80.CONTAINERS.localhost.", CONTAINER.to_uppercase()),
        format!("Jupyter.containers.localhost.:{port}"),
    ] {
        let answer = world.send(&get(&host, "/", &world.bearer("alice"))).await;
        assert_eq!(
            (answer.status, app.last().headers("host")),
            (200, vec![host.clone()]),
            "{host}"
        );
        let absolute = format!(
            "GET http://{host}/x HTTP/1.1\r\nHost: {host}\r\n{}\r\n",
            world.bearer("alice")
        );
        assert_eq!(
            (world.send(&absolute).await.status, app.last().line()),
            (200, "GET /x HTTP/1.1"),
            "{host}"
        );
    }
}
