//! Open: a code and never a token, to our own service hosts and nowhere else.

use axum::http::StatusCode;
use serde_json::json;

use crate::fake_api::{REQUEST, TOKEN};
use crate::site::one_service;

/// As a service host gives it.
const DIGEST: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

#[tokio::test]
async fn t06_a_port_opens_with_a_code_in_the_address_and_no_token() {
    let site = one_service();
    let cookie = site.sign_in().await;
    // First to the service host, which marks the browser; then with the mark's digest for a code.
    let entered = site.get(&format!("/open/{REQUEST}/8888")).cookie(&cookie).send().await;
    assert_eq!(entered.status, StatusCode::SEE_OTHER);
    let host = format!("{REQUEST}-8888.containers.localhost:8000");
    assert_eq!(entered.header("location"), format!("http://{host}/.wharf/enter?path=%2F"));
    let back = format!("/open?host={host}&path=%2F&browser={DIGEST}");
    let answer = site.get(&back).cookie(&cookie).send().await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let location = answer.header("location");
    let base = format!("http://{host}/?api_token=wc1_");
    assert!(location.starts_with(&base), "{location}");
    assert!(!location.contains("v2/") && !location.contains("v2%2F"), "{location}");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn t44_whatever_the_api_says_open_leads_only_to_our_service_hosts() {
    let site = one_service();
    let cookie = site.sign_in().await;
    for url in [
        "http://evil.example/?api_token=wc1_x",
        "javascript:alert(1)",
        "https://a.containers.localhost:8000/",
        "http://a.containers.localhost:8000@evil.example/",
        "http://a.containers.localhost:8000\\@evil.example/",
        "//evil.example/",
        "/account",
    ] {
        site.api.records().hand_off = Some(url.to_owned());
        let back = format!("/open?host=a.containers.localhost:8000&path=%2F&browser={DIGEST}");
        let answer = site.get(&back).cookie(&cookie).send().await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{url}");
        assert_eq!(answer.header("location"), "");
        answer.lacks(url);
    }
}

#[tokio::test]
async fn a_service_host_that_asked_to_sign_in_is_come_back_to() {
    let site = one_service();
    let back = "/open?host=jupyter.containers.localhost:8000&path=%2Flab%3Fa%3Db&browser=";
    let back = &format!("{back}{DIGEST}");
    let asked = site.get(back).send().await;
    let sign_in = asked.header("location");
    let (_, next) = sign_in.split_once("next=").unwrap();
    let next =
        form_urlencoded::parse(format!("n={next}").as_bytes()).next().unwrap().1.into_owned();
    assert_eq!(&next, back);

    let form = [("token", TOKEN), ("next", &*next)];
    let signed_in = site.post("/sign-in", &form).send().await;
    // Not by redirect: `form-action` covers those, and would stop it at the service host.
    assert_eq!(signed_in.status, StatusCode::OK);
    assert_eq!(signed_in.header("refresh"), format!("0; url={back}"));
    let cookie = signed_in.cookie();
    let led = site.get(back).cookie(&cookie).send().await;
    let location = led.header("location");
    assert!(location.starts_with("http://jupyter.containers.localhost:8000/lab?a=b"), "{location}");
    let asked = site.api.records().handed_off[0].clone();
    let host = "jupyter.containers.localhost:8000";
    assert_eq!(asked, json!({ "host": host, "path": "/lab?a=b", "browser": DIGEST }));
    // Without a mark there is no code: the host is asked to leave one.
    let bare = "/open?host=jupyter.containers.localhost:8000&path=%2Flab";
    let led = site.get(bare).cookie(&cookie).send().await;
    assert_eq!(led.header("location"), format!("http://{host}/.wharf/enter?path=%2Flab"));
    assert_eq!(site.api.records().handed_off.len(), 1);
}

#[tokio::test]
async fn a_host_that_is_none_of_ours_is_refused_before_the_api_is_asked() {
    let site = one_service();
    let cookie = site.sign_in().await;
    for query in [
        "host=evil.example",
        "host=evil.example%2F.containers.localhost%3A8000",
        "host=a.containers.localhost%3A8000%40evil.example",
        "host=a.containers.localhost%3A9000",
        "host=a.containers.localhost%3A8000&path=%40evil.example%2F",
        "host=a.containers.localhost%3A8000&path=.evil.example%2F",
        "host=a.containers.localhost%3A8000&path=%2F%0d%0aX%3A%20y",
        "host=",
    ] {
        let answer = site.get(&format!("/open?{query}")).cookie(&cookie).send().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{query}");
    }
    assert!(site.api.records().handed_off.is_empty());
}

#[tokio::test]
async fn a_prefetch_mints_no_code() {
    let site = one_service();
    let cookie = site.sign_in().await;
    let ask = site.get(&format!("/open/{REQUEST}/8888")).header("sec-purpose", "prefetch");
    assert_eq!(ask.cookie(&cookie).send().await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(site.api.records().handed_off.is_empty());
}

#[tokio::test]
async fn nonsense_ports_and_services_are_not_found() {
    let site = one_service();
    let cookie = site.sign_in().await;
    for path in [
        format!("/open/{REQUEST}/0"),
        format!("/open/{REQUEST}/70000"),
        format!("/open/{REQUEST}/080"),
        "/open/nonsense/80".to_owned(),
    ] {
        let answer = site.get(&path).cookie(&cookie).send().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}
