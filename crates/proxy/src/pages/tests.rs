use std::sync::Arc;

use http::Request;
use http_body_util::BodyExt;
use model::{ClusterId, ContainerPort, PublishedPorts, RequestUuid, ServiceDomain};

use super::*;
use crate::authorize::Denied;
use crate::budgets::Budgets;
use crate::config::SessionKey;
use crate::directory::TargetState;
use crate::exchange::RequestIds;
use crate::peer::Peer;

fn target(state: TargetState) -> Arc<Target> {
    Arc::new(Target {
        records: Vec::new(),
        container: None,
        request: Some(RequestUuid::parse("wharf-xvhdp-0123456789abcde").unwrap()),
        name: "<img src=x onerror=alert(1)>".to_owned(),
        state,
        ports: PublishedPorts::default(),
        port: ContainerPort::HTTP,
        submitters: Vec::new(),
        exit_words: "exited with code 3".to_owned(),
        is_service: true,
    })
}

async fn shown(refusal: &Refusal, accept: &str) -> (Response<()>, String) {
    let domain = ServiceDomain::parse("http://*.containers.localhost:8000/").unwrap();
    let dashboard = "http://localhost:8000/".to_owned();
    let config =
        ProxyConfig::new(ClusterId::default(), domain, SessionKey::new([0; 32]), dashboard);
    let request = Request::get("/a?b=c&d").header("accept", accept).body(()).unwrap();
    let ip = "127.0.0.1".parse().unwrap();
    let peer = Peer::new(ip, false, false, Budgets::new(&config.limits).address(ip));
    let exchange = Exchange::begin(&request, peer, None, &RequestIds::new());
    let asked =
        Asked { exchange: &exchange, host: "x.containers.localhost:8000", path: "/a?b=c&d" };
    let (head, body) = Pages::new(&config).refuse(refusal, asked).into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(head, ()), String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn people_get_a_page_and_programs_get_json() {
    let (head, page) = shown(&Refusal::NotFound, "text/html").await;
    assert_eq!(
        (head.status().as_u16(), head.headers()["cache-control"].to_str().unwrap()),
        (404, "no-store")
    );
    assert!(page.contains("<h1>No such service</h1>") && page.contains("req-"));
    let (head, body) = shown(&Refusal::NotFound, "*/*").await;
    assert_eq!(head.headers()["content-type"], "application/json; charset=utf-8");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(body["errors"][0].as_str().unwrap().contains("no such service"));
}

#[tokio::test]
async fn the_sign_in_link_comes_back_to_the_same_address() {
    let (_, page) = shown(&Refusal::Denied(Denied::NoCredentials), "text/html").await;
    let link =
        "http://localhost:8000/open?host=x.containers.localhost%3A8000&amp;path=%2Fa%3Fb%3Dc%26d";
    assert!(page.contains(link), "{page}");
}

#[tokio::test]
async fn the_start_page_shows_state_place_and_log_as_text() {
    let info = StartInfo {
        queue_place: Some(3),
        detail: "no memory free".to_owned(),
        log_lines: vec!["<script>alert(2)</script>".to_owned()],
    };
    let (head, page) =
        shown(&Refusal::Starting(target(TargetState::Queued), Box::new(info)), "text/html").await;
    assert_eq!(
        (head.status().as_u16(), head.headers()["retry-after"].to_str().unwrap()),
        (503, "2")
    );
    assert!(page.contains("number 3 in the queue") && page.contains("no memory free"));
    assert!(page.contains("&lt;script&gt;alert(2)") && !page.contains("<img"));
    assert!(page.contains("http-equiv=\"refresh\" content=\"2\""));
    assert!(
        page.contains("href=\"http://localhost:8000/services/wharf-xvhdp-0123456789abcde/logs\"")
    );
}

#[tokio::test]
async fn a_stopped_service_says_how_it_ended_and_leads_on() {
    let (head, page) = shown(&Refusal::Stopped(target(TargetState::Complete)), "text/html").await;
    assert_eq!(head.status(), 410);
    assert!(page.contains("exited with code 3"));
    assert!(page.contains("http://localhost:8000/services/wharf-xvhdp-0123456789abcde"));
}

#[tokio::test]
async fn the_policy_names_exactly_our_style_and_script() {
    let info = Box::<StartInfo>::default();
    let (head, page) =
        shown(&Refusal::Starting(target(TargetState::Running), info), "text/html").await;
    let policy = head.headers()["content-security-policy"].to_str().unwrap();
    for (open, close) in [("<style>", "</style>"), ("<script>", "</script>")] {
        let text = page.split(open).nth(1).unwrap().split(close).next().unwrap();
        let hash = STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
        assert!(policy.contains(&hash), "{open}");
    }
    assert!(policy.starts_with("default-src 'none'"));
}
