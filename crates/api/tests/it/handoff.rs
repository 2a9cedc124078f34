//! Addresses with single-use codes (SECURITY rows 6 and 7).

use serde_json::{Value, json};
use store::Purpose;

use crate::fixture::{Fixture, attributes};

const PATH: &str = "/wharf/v1/handoff";

#[tokio::test]
async fn the_url_carries_a_code_bound_to_its_host_and_never_the_token() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    let uuid = made["uuid"].as_str().unwrap();
    let body = json!({"uuid": uuid, "port": 80, "path": "/x?y#z"});
    let answer = fixture.post(&fixture.ada, PATH, body).await.ok();
    let url = answer["url"].as_str().unwrap();
    let host = format!("{uuid}-80.s.localhost:8000");
    let code = url.strip_prefix(&format!("http://{host}/x?y&api_token=")).unwrap();
    let code = code.strip_suffix("#z").unwrap();
    assert!(code.starts_with("wc1_") && code.len() == 47);
    assert!(!url.contains(fixture.ada.token.secret()) && answer["expires_at"].is_string());
    let grant = fixture.store.redeem_code(code, Purpose::Handoff, &host).await.unwrap().unwrap();
    assert_eq!(grant.identity.token.uuid, fixture.ada.token.uuid());
    assert_eq!(grant.port, model::ContainerPort::new(80));
    assert_eq!(json!(grant.request), made["uuid"]);
    assert_eq!(json!(grant.container), made["container_uuid"]);
}

#[tokio::test]
async fn a_host_name_is_preferred_and_a_given_host_kept() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    let link = json!({"link_class": "hostname", "name": "lab", "head_uuid": made["uuid"], "properties": {"port": 80}});
    fixture.post(&fixture.ada, "/arvados/v1/links", link).await.ok();
    let container = made["container_uuid"].as_str().unwrap();
    for (body, start) in [
        (json!({"uuid": made["uuid"]}), "http://lab.s.localhost:8000/?api_token=wc1_".to_owned()),
        (
            json!({"uuid": container, "path": "x"}),
            "http://lab.s.localhost:8000/x?api_token=wc1_".to_owned(),
        ),
        (
            json!({"host": "LAB.s.localhost:8000", "path": "/a?b"}),
            "http://lab.s.localhost:8000/a?b&api_token=wc1_".to_owned(),
        ),
        (
            json!({"host": format!("{container}-80.s.localhost.:8000")}),
            format!("http://{container}-80.s.localhost:8000/?api_token=wc1_"),
        ),
        (
            json!({"host": format!("{container}.s.localhost:8000")}),
            format!("http://{container}.s.localhost:8000/?api_token=wc1_"),
        ),
        (
            json!({"uuid": made["uuid"], "port": 81}),
            format!(
                "http://{}-81.s.localhost:8000/?api_token=wc1_",
                made["uuid"].as_str().unwrap()
            ),
        ),
    ] {
        let url = fixture.post(&fixture.ada, PATH, body.clone()).await.ok()["url"].clone();
        assert!(url.as_str().unwrap().starts_with(&start), "{body}: {url}");
    }
}

#[tokio::test]
async fn only_who_may_enter_gets_a_code() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    let body = json!({"uuid": made["uuid"]});
    fixture.post(&fixture.bob, PATH, body.clone()).await.refused(404);
    fixture.post(&fixture.admin, PATH, body.clone()).await.ok();
    // Given away: the new owner did not submit it, the old one does not own it.
    let path = format!("/arvados/v1/container_requests/{}", made["uuid"].as_str().unwrap());
    fixture.put(&fixture.admin, &path, json!({"owner_uuid": fixture.bob.user.uuid})).await.ok();
    fixture.post(&fixture.bob, PATH, body.clone()).await.refused(403);
    fixture.post(&fixture.ada, PATH, body).await.refused(404);
}

#[tokio::test]
async fn a_public_port_needs_no_code_and_its_initial_path_is_the_default() {
    let fixture = Fixture::new().await;
    let ports = json!({
        "8080": {"access": "public", "label": "x", "initial_path": "start?a#b"},
        "9090": {"access": "private", "label": "y"},
    });
    let body = attributes(json!({"state": "Committed", "published_ports": ports}));
    let made = fixture.post(&fixture.ada, "/arvados/v1/container_requests", body).await.ok();
    let uuid = made["uuid"].as_str().unwrap();
    let answer = fixture.post(&fixture.ada, PATH, json!({"uuid": uuid, "port": "8080"})).await.ok();
    let expected = format!("http://{uuid}-8080.s.localhost:8000/start?a#b");
    assert_eq!(answer, json!({"url": expected, "expires_at": Value::Null}));
    let words = fixture.post(&fixture.ada, PATH, json!({"uuid": uuid})).await.refused(422);
    assert_eq!(words, "port must be given: one of 8080, 9090");
}

#[tokio::test]
async fn every_bad_member_is_named() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    let uuid = &made["uuid"];
    for (body, status, words) in [
        (json!({}), 422, "uuid must be"),
        (json!({"uuid": uuid, "host": "x"}), 422, "uuid must be"),
        (json!({"uuid": "x"}), 404, "no request or container \"x\""),
        (json!({"uuid": "wharf-xvhdp-000000000000000"}), 404, "no such service"),
        (json!({"uuid": uuid, "port": 0}), 422, "port "),
        (json!({"uuid": uuid, "port": 70000}), 422, "port "),
        (json!({"uuid": uuid, "port": true}), 422, "port "),
        (json!({"uuid": uuid, "path": "/a b"}), 422, "path must be"),
        (json!({"uuid": uuid, "path": "/a\r\nSet-Cookie: x"}), 422, "path must be"),
        (json!({"uuid": uuid, "path": "\\\\evil.example"}), 422, "path must be"),
        (json!({"uuid": uuid, "path": 1}), 422, "path must be"),
        (json!({"host": "lab.example.com"}), 404, "no service host"),
        (json!({"host": "lab.s.localhost:8000"}), 404, "no such service"),
    ] {
        let refused = fixture.post(&fixture.ada, PATH, body.clone()).await.refused(status);
        assert!(refused.contains(words), "{body}: {refused}");
    }
    let away = json!({"uuid": uuid, "path": "//evil.example/x"});
    let url = fixture.post(&fixture.ada, PATH, away).await.ok()["url"].clone();
    assert!(url.as_str().unwrap().contains(".s.localhost:8000/evil.example/x?"), "{url}");
}
