//! What the pages show, and what every answer carries.

use std::time::Duration;

use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::time::timeout;

use crate::fake_api::{REQUEST, TIME, container, link, request};
use crate::site::Site;

const BOUND: Duration = Duration::from_secs(10);

/// One ready service with a private and a public port, and one that is over.
fn two_services() -> Site {
    let site = Site::new();
    let ports = json!({
        "8888": { "label": "Lab", "access": "private", "initial_path": "/lab?a=b#c" },
        "80": { "label": "Shop", "access": "public", "initial_path": "front#top" },
    });
    let running = request(1, "notebook", &ports);
    let mut over = request(2, "old one", &ports);
    over.state = model::RequestState::Final;
    let mut failed = container(&over, "Complete", Some(TIME));
    failed.exit_code = Some(137);
    {
        let mut records = site.api.records();
        records.containers = vec![container(&running, "Running", Some(TIME)), failed];
        records.requests = vec![over, running];
        records.links = vec![link(1, "jupyter", REQUEST, 8888)];
        records.log = "stdout 2026-11-23T20:58:45.000000000Z hello from inside\n".to_owned();
    }
    site
}

#[tokio::test]
async fn running_services_come_first_with_their_ports_to_click() {
    let site = two_services();
    let cookie = site.sign_in().await;
    let page = site.get("/").cookie(&cookie).send().await;
    let at =
        |text: &str| page.text.find(text).unwrap_or_else(|| panic!("no {text}: {}", page.text));
    assert!(at("notebook") < at("old one"));
    assert!(at("Open Shop") < at("Open Lab"), "in order of port");
    page.has("Ready");
    page.has("jupyter.<wbr>containers.<wbr>localhost<wbr>:8000");
    page.has("Private: only you");
    page.has("Public: everyone with the address");
    page.has("the program ended with exit code 137");
}

#[tokio::test]
async fn a_private_port_opens_through_us_and_a_public_one_directly() {
    let site = two_services();
    let cookie = site.sign_in().await;
    let page = site.get("/").cookie(&cookie).send().await;
    page.has(&format!(
        "href=\"/open/{REQUEST}/8888\" target=\"_blank\" rel=\"noopener noreferrer\""
    ));
    page.has(&format!(
        "href=\"http://{REQUEST}-80.containers.localhost:8000/front#top\" target=\"_blank\" rel=\"noopener noreferrer\""
    ));
    page.lacks("ignored.example");
    page.lacks("javascript:");
    page.lacks("api_token");
}

#[tokio::test]
async fn a_port_that_does_not_answer_yet_says_so_and_is_no_link() {
    let site = two_services();
    let waiting = container(&site.api.records().requests[1], "Running", None);
    site.api.records().containers[0] = waiting;
    let cookie = site.sign_in().await;
    let page = site.get("/").cookie(&cookie).send().await;
    page.has("Starting");
    page.has("opens as soon as port 8888 answers");
    page.lacks("/open/");
}

#[tokio::test]
async fn the_service_page_shows_ports_facts_start_and_log() {
    let site = two_services();
    let cookie = site.sign_in().await;
    let page = site.get(&format!("/services/{REQUEST}")).cookie(&cookie).send().await;
    for text in [
        "Open Lab",
        "jupyter lab --ip=127.0.0.1",
        "sha256:0a1b2c3d4e5f",
        "1 GiB memory",
        "Port 8888 answered",
        "hello from inside",
        "/stop\" data-dialog=",
        "Restart",
    ] {
        page.has(text);
    }
    let access = site.get(&format!("/services/{REQUEST}/access")).cookie(&cookie).send().await;
    access.has("leads to port 8888");
    let other = site.get("/services/wharf-xvhdp-000000000000002").cookie(&cookie).send().await;
    other.has("Why it failed: ");
    other.has("exit code 137");
    other.lacks("data-dialog=");
    other.has("Run it again");
}

#[tokio::test]
async fn an_unknown_service_and_nonsense_get_the_same_page_with_a_way_back() {
    let site = two_services();
    let cookie = site.sign_in().await;
    let mut texts = Vec::new();
    for path in ["/services/wharf-xvhdp-000000000000009", "/services/nonsense", "/services/..%2f"] {
        let page = site.get(path).cookie(&cookie).send().await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        page.has("Go to Services");
        texts.push(page.text);
    }
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test]
async fn an_empty_home_page_teaches() {
    let site = Site::new();
    let cookie = site.sign_in().await;
    let page = site.get("/").cookie(&cookie).send().await;
    page.has("wharf image import");
    page.has("wharf run");
}

#[tokio::test]
async fn without_wildcard_names_the_external_port_is_the_address() {
    let site = Site::with_domain("https://host.example/");
    let ports = json!({ "80": { "label": "Shop", "access": "public" } });
    let running = request(1, "shop", &ports);
    let mut run = container(&running, "Running", Some(TIME));
    run.published_ports.iter_mut().for_each(|(_, entry)| entry.external_port = Some(Some(2001)));
    site.api.records().requests = vec![running];
    site.api.records().containers = vec![run];
    let cookie = site.sign_in().await;
    let page = site.get("/").cookie(&cookie).send().await;
    page.has("href=\"https://host.example:2001/\"");
}

#[tokio::test]
async fn every_answer_carries_the_headers_and_nothing_inline() {
    let site = two_services();
    let cookie = site.sign_in().await;
    let paths = [
        "/",
        "/account",
        "/host-names",
        "/sign-in?over=1",
        "/services/nonsense",
        "/sign-in?code=x",
    ];
    let service = format!("/services/{REQUEST}");
    let stop = format!("/services/{REQUEST}/stop");
    for path in paths.into_iter().chain([&*service, &*stop]) {
        let page = site.get(path).cookie(&cookie).send().await;
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert!(matches!(page.header("referrer-policy"), "no-referrer" | "same-origin"), "{path}");
        for inline in ["<style", " style=", "<script>", " onclick=", " onload=", "javascript:"] {
            page.lacks(inline);
        }
        for sound in ["<html lang=\"en\">", "href=\"#main\"", "<main id=\"main\"", "</h1>"] {
            page.has(sound);
        }
        assert_eq!(page.text.matches("</h1>").count(), 1, "{path}");
        page.has("role=\"status\"");
    }
}

#[tokio::test]
async fn assets_are_kept_by_browsers_and_named_by_content() {
    let site = Site::new();
    let page = site.get("/sign-in").send().await;
    for name in ["wharf.css", "wharf.js", "icon.svg"] {
        let (_, rest) = page.text.split_once(&format!("/assets/{name}?")).expect(name);
        let digest = &rest[..12];
        let asset = site.get(&format!("/assets/{name}?{digest}")).send().await;
        assert_eq!(asset.status, StatusCode::OK);
        assert!(asset.header("cache-control").contains("immutable"));
    }
    assert_eq!(site.get("/assets/../lib.rs").send().await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.get("/assets/nothing").send().await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_open_page_hears_of_a_change() {
    let site = two_services();
    let cookie = site.sign_in().await;
    let answer = site.get("/events").cookie(&cookie).head().await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body();
    let mut heard = String::new();
    while !heard.contains("event: hello") {
        let frame = timeout(BOUND, body.frame()).await.unwrap().unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
    site.api.change();
    while !heard.contains("event: change") {
        let frame = timeout(BOUND, body.frame()).await.unwrap().unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
    assert!(heard.matches("data: {}").count() >= 2, "browsers drop events without data: {heard}");
    assert!(!heard.contains("dz642"), "it says that something changed, not what: {heard}");
}

#[tokio::test]
async fn a_revoked_session_is_told_so_on_the_next_page() {
    let site = two_services();
    let cookie = site.sign_in().await;
    site.api.records().tokens.clear();
    let answer = site.get("/account").cookie(&cookie).send().await;
    assert_eq!(answer.header("location"), "/sign-in?over=1");
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    site.get("/sign-in?over=1").send().await.has("Your session is over");
}
