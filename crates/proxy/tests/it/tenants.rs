//! Addresses that are used again: nothing of one tenant is left for the next (T23).

use model::ServiceDomain;
use proxy::HostTarget;

use crate::app::{App, Reply};
use crate::client::Answer;
use crate::world::{CONTAINER, OTHER, Way, World, target};

const NAME: &str = "lab.containers.localhost";
const PORT: &str = "services.example:9001";
const CLEAR: &str = "\"cache\", \"storage\"";
/// What a browser says of a page that its user opens, and of a part that a page fetches.
const OPENED: &str =
    "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
const FETCHED: &str =
    "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n";

/// An app behind every port of both containers.
async fn with_app(world: World) -> (World, App) {
    let app = App::start(|_seen| {
        Reply::Bytes(
            b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 0\r\n\r\n".to_vec(),
        )
    })
    .await;
    for container in [CONTAINER, OTHER] {
        for port in [80, 81] {
            world.apps.set(container, port, Way::At(app.address));
        }
    }
    (world, app)
}

/// A site with names; `lab` is a public port of Alice's.
async fn with_name() -> (World, App) {
    let (world, app) = with_app(World::start().await).await;
    give_name(&world, CONTAINER, "alice", 81);
    (world, app)
}

fn give_name(world: &World, container: &str, user: &str, port: u16) {
    world.records.add_as(HostTarget::Name("lab".to_owned()), target(container, user, port));
}

/// A site without a wildcard name; 9001 is a public port of Alice's.
async fn with_ports() -> (World, App) {
    let world = World::with(|config| {
        config.service_domain = ServiceDomain::parse("http://services.example/").unwrap();
        config.external_ports = Some(9000..=9009);
    });
    let (world, app) = with_app(world.await).await;
    give_port(&world, CONTAINER, "alice");
    (world, app)
}

fn give_port(world: &World, container: &str, user: &str) {
    world.records.add_as(HostTarget::ExternalPort(9001), target(container, user, 81));
}

fn request(method: &str, host: &str, more: &str) -> String {
    let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
    format!("{method} /x?y=1 HTTP/1.1\r\nHost: {host}\r\n{length}{more}\r\n")
}

/// The marker that an answer sets, as `name=value`.
fn marker(answer: &Answer) -> String {
    let cookies = answer.headers("set-cookie");
    let marker = cookies.iter().find(|cookie| cookie.starts_with("wharf_tenant"));
    let marker = marker.unwrap_or_else(|| panic!("a marker: {answer:?}"));
    assert!(marker.contains("; HttpOnly") && !marker.contains("Domain"), "{marker}");
    marker.split(';').next().unwrap().to_owned()
}

fn forgets(answer: &Answer) -> bool {
    answer.header("clear-site-data").as_deref() == Some(CLEAR)
}

/// A first visit, a second one, another tenant, and what is left of the old one's pages.
async fn another_tenant_begins_clean(world: &World, app: &App, host: &str, change: impl Fn()) {
    let first = world.send(&request("GET", host, OPENED)).await;
    assert_eq!((first.status, forgets(&first)), (200, true), "{first:?}");
    let marker = marker(&first);
    assert!(!marker.contains("wharf-"), "it names nobody: {marker}");
    let kept = format!("Cookie: {marker}; app=1; other=2\r\n");
    let again = world.send(&request("GET", host, &format!("{OPENED}{kept}"))).await;
    assert_eq!((again.status, again.header("set-cookie"), forgets(&again)), (200, None, false));
    assert_eq!(app.last().headers("cookie"), ["app=1; other=2"]);

    change();
    let n_seen = app.seen().len();
    let changed = world.send(&request("GET", host, &format!("{OPENED}{kept}"))).await;
    let here = Some(format!("http://{host}/x?y=1"));
    assert_eq!((changed.status, changed.header("location")), (303, here), "{changed:?}");
    assert!(forgets(&changed));
    let cookies = changed.headers("set-cookie");
    for gone in ["app=; ", "other=; "] {
        let cookie = cookies.iter().find(|cookie| cookie.starts_with(gone));
        assert!(cookie.is_some_and(|cookie| cookie.contains("Max-Age=0")), "{cookies:?}");
    }
    // Pages of the old tenant that are still open, and its service worker.
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (method, more) in [
        ("POST", OPENED),
        ("POST", ""),
        ("GET", FETCHED),
        ("GET", upgrade),
        ("GET", "Service-Worker: script\r\nSec-Fetch-Mode: same-origin\r\n"),
    ] {
        let refused = world.send(&request(method, host, &format!("{more}{kept}"))).await;
        assert_eq!((refused.status, forgets(&refused)), (410, true), "{method} {more}");
        assert_eq!(refused.header("set-cookie"), None, "they do not become the new one's");
    }
    assert_eq!(app.seen().len(), n_seen, "the new tenant saw nothing of it");

    let renewed = self::marker(&changed);
    assert_ne!(renewed, marker);
    let welcome = format!("Cookie: {renewed}\r\n");
    let after = world.send(&request("POST", host, &format!("{FETCHED}{welcome}"))).await;
    assert_eq!((after.status, forgets(&after)), (200, false));
}

#[tokio::test]
async fn t23_another_users_service_under_a_name_begins_with_a_clean_site() {
    let (world, app) = with_name().await;
    let change = || give_name(&world, OTHER, "bob", 81);
    another_tenant_begins_clean(&world, &app, NAME, change).await;
}

#[tokio::test]
async fn t23_another_container_on_a_port_begins_with_a_clean_site() {
    let (world, app) = with_ports().await;
    let change = || give_port(&world, OTHER, "alice");
    another_tenant_begins_clean(&world, &app, PORT, change).await;
}

#[tokio::test]
async fn t23_a_name_that_its_owner_moves_keeps_its_site() {
    let (world, _app) = with_name().await;
    let marker = marker(&world.send(&request("GET", NAME, OPENED)).await);
    give_name(&world, OTHER, "alice", 81);
    let kept = format!("{OPENED}Cookie: {marker}\r\n");
    let moved = world.send(&request("GET", NAME, &kept)).await;
    assert_eq!((moved.status, forgets(&moved)), (200, false));
}

#[tokio::test]
async fn t23_a_marker_that_was_pushed_out_or_planted_changes_nothing() {
    let (world, _app) = with_name().await;
    let own = marker(&world.send(&request("GET", NAME, OPENED)).await);
    // Pushed out of the jar by the old tenant: whatever is kept goes all the same.
    give_name(&world, OTHER, "bob", 81);
    let pushed = world.send(&request("GET", NAME, OPENED)).await;
    assert_eq!((pushed.status, forgets(&pushed)), (200, true));
    // Planted by a neighbour beside ours, before or after it: no redirect without end.
    give_name(&world, CONTAINER, "alice", 81);
    for cookies in [format!("wharf_tenant=evil; {own}"), format!("{own}; wharf_tenant=evil")] {
        let planted = format!("{OPENED}Cookie: {cookies}\r\n");
        assert_eq!(world.send(&request("GET", NAME, &planted)).await.status, 200, "{cookies}");
    }
}

#[tokio::test]
async fn t23_no_page_elsewhere_empties_a_services_storage() {
    let (world, _app) = with_name().await;
    // Without our cookie, as browsers send what other sites ask for.
    for (method, site, mode, dest) in [
        ("GET", "cross-site", "no-cors", "image"),
        ("GET", "cross-site", "navigate", "iframe"),
        ("POST", "cross-site", "navigate", "document"),
        ("GET", "same-site", "cors", "empty"),
    ] {
        let said = format!(
            "Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}\r\n"
        );
        let answer = world.send(&request(method, NAME, &said)).await;
        assert_eq!((answer.status, forgets(&answer)), (200, false), "{said}");
    }
    give_name(&world, CONTAINER, "alice", 80);
    let refused = world
        .send(&request("GET", NAME, "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n"))
        .await;
    assert_eq!((refused.status, forgets(&refused)), (403, false));
}

#[tokio::test]
async fn t23_signing_in_to_a_private_name_cleans_before_anything_is_shown() {
    let (world, _app) = with_name().await;
    let old = marker(&world.send(&request("GET", NAME, OPENED)).await);
    give_name(&world, OTHER, "bob", 80);
    let token = world.records.token("admin");
    let kept = format!("{OPENED}Cookie: {old}; theirs=1\r\n");
    let refused = world.send(&request("GET", NAME, &kept)).await;
    assert_eq!(
        (refused.status, forgets(&refused), refused.header("set-cookie")),
        (403, true, None)
    );
    let sign_in = format!("GET /?api_token={token} HTTP/1.1\r\nHost: {NAME}\r\n{kept}\r\n");
    let signed_in = world.send(&sign_in).await;
    assert_eq!((signed_in.status, forgets(&signed_in)), (303, true));
    let cookies: Vec<String> = signed_in.headers("set-cookie");
    assert!(cookies.iter().any(|it| it == "theirs=; Path=/; Max-Age=0"), "{cookies:?}");
    let kept = cookies.iter().filter(|it| !it.contains("Max-Age=0"));
    let pairs: Vec<&str> = kept.filter_map(|it| it.split(';').next()).collect();
    assert_ne!(marker(&signed_in), old);
    let welcome = format!("{OPENED}Cookie: {}\r\n", pairs.join("; "));
    let page = world.send(&request("GET", NAME, &welcome)).await;
    assert_eq!((page.status, forgets(&page)), (200, false));
}

#[tokio::test]
async fn t23_a_service_workers_script_lies_in_no_cache_where_the_tenant_may_change() {
    let (world, _app) = with_name().await;
    let script = "Service-Worker: script\r\nSec-Fetch-Site: same-origin\r\n";
    let answer = world.send(&request("GET", NAME, script)).await;
    assert_eq!(answer.header("cache-control").as_deref(), Some("private, no-cache"));
    let fixed = world.send(&request("GET", crate::world::PUBLIC, script)).await;
    assert_eq!(fixed.header("cache-control").as_deref(), Some("max-age=60"));
}

#[tokio::test]
async fn programs_and_addresses_of_one_tenant_meet_no_marker() {
    let (world, _app) = with_name().await;
    let token = format!("Authorization: Bearer {}\r\n", world.records.token("alice"));
    give_name(&world, CONTAINER, "alice", 80);
    for (host, more) in [(NAME, token.as_str()), (crate::world::PUBLIC, OPENED)] {
        let answer = world.send(&request("GET", host, more)).await;
        assert_eq!(
            (answer.status, answer.header("set-cookie"), forgets(&answer)),
            (200, None, false)
        );
    }
}
