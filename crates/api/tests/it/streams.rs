//! Logs, events and images: bodies that are never whole.

use api::ApiConfig;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::time::timeout;

use crate::fixture::{Fixture, SOON, request};

#[tokio::test]
async fn logs_come_alone_or_together_in_order_of_time() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    let uuid = made["uuid"].as_str().unwrap();
    let container = made["container_uuid"].as_str().unwrap();
    let logs =
        async |query: &str| fixture.get(&fixture.ada, &format!("/wharf/v1/logs/{query}")).await;
    let all = logs(uuid).await;
    assert_eq!(
        all.text,
        "stdout 2026-01-01T00:00:01Z one\nstderr 2026-01-01T00:00:02Z two\n\
         stdout 2026-01-01T00:00:03Z three\nstderr 2026-01-01T00:00:04Z four\n"
    );
    assert_eq!(all.headers["x-content-type-options"], "nosniff");
    assert_eq!(logs(&format!("{container}?stream=all&follow=true")).await.text, all.text);
    let tail = logs(&format!("{uuid}?tail=1")).await;
    assert_eq!(tail.text, "stderr 2026-01-01T00:00:04Z four\n");
    let one = logs(&format!("{uuid}?stream=stdout")).await;
    assert_eq!(one.text, "2026-01-01T00:00:01Z one\n2026-01-01T00:00:03Z three\n");
    assert_eq!(logs(&format!("{uuid}?stream=crunch-run")).await.text, "");
    for (query, status, words) in [
        ("?stream=x", 422, "stream must be"),
        ("?tail=x", 422, "tail must be a number"),
        ("?tail=100001", 422, "tail is more than"),
        ("?follow=x", 422, "follow must be true or false"),
    ] {
        let refused = logs(&format!("{uuid}{query}")).await.refused(status);
        assert!(refused.contains(words), "{refused}");
    }
    let draft = crate::fixture::attributes(json!({}));
    let draft = fixture.post(&fixture.ada, "/arvados/v1/container_requests", draft).await.ok();
    logs(draft["uuid"].as_str().unwrap()).await.refused(404);
}

#[tokio::test]
async fn events_tell_each_user_of_what_is_theirs_and_end_with_the_token() {
    let fixture = Fixture::new().await;
    let open = request(Method::GET, "/wharf/v1/events", Some(&fixture.ada.token), "");
    let response = fixture.send(open).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    fixture.service(&fixture.bob).await;
    let made = fixture.service(&fixture.ada).await;
    let mut text = String::new();
    while !text.contains(made["container_uuid"].as_str().unwrap()) {
        let frame = timeout(SOON, body.frame()).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    // The first container event says so before anything of bob's: that was filtered.
    assert!(text.starts_with("event: change\ndata: {\"kind\":\"container"), "{text}");
    fixture.store.delete_token(fixture.ada.token.uuid()).await.unwrap();
    let rest = timeout(SOON, body.collect()).await.expect("the stream ends").unwrap();
    assert!(!String::from_utf8_lossy(&rest.to_bytes()).contains("\"token\""));
}

#[tokio::test]
async fn events_end_when_the_scopes_of_the_token_do_not_cover_them_any_more_or_its_time_passes() {
    let fixture = Fixture::new().await;
    let soon = fixture.store.now().as_jiff() + std::time::Duration::from_secs(1);
    for (attributes, ends) in [
        (json!({"scopes": ["GET /wharf/v1/"]}), false),
        (json!({"scopes": ["GET /arvados/v1/"]}), true),
        (json!({"expires_at": "2001-01-01T00:00:00Z"}), true),
        (json!({"expires_at": soon.to_string()}), true),
    ] {
        let token = crate::fixture::token(&fixture.store, &fixture.ada.user, &["all"]).await;
        let open = request(Method::GET, "/wharf/v1/events", Some(&token), "");
        let mut body = fixture.send(open).await.into_body();
        let path = format!("/arvados/v1/api_client_authorizations/{}", token.uuid());
        fixture.put(&fixture.ada, &path, attributes.clone()).await.ok();
        if ends {
            let rest = timeout(SOON, body.collect()).await;
            rest.unwrap_or_else(|_| panic!("goes on after {attributes}")).unwrap();
            continue;
        }
        fixture.service(&fixture.ada).await;
        let frame = timeout(SOON, body.frame()).await.unwrap();
        assert!(frame.is_some(), "ended after {attributes}");
    }
}

#[tokio::test]
async fn an_archive_streams_in_up_to_the_limit_it_names() {
    let fixture = Fixture::with(|config| ApiConfig { image_bytes_max: 1000, ..config }).await;
    let upload = async |person: &crate::fixture::Person, name: &str, n_pieces: usize| {
        let pieces = (0..n_pieces).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 100])));
        let body = Body::from_stream(stream::iter(pieces));
        let path = format!("/wharf/v1/images?name={name}");
        fixture.exchange(request(Method::POST, &path, Some(&person.token), body)).await
    };
    let image = upload(&fixture.admin, "app:1", 10).await.ok();
    assert_eq!((&image["names"], &image["size_bytes"]), (&json!(["app:1"]), &json!(1000)));
    let words = upload(&fixture.admin, "app:2", 11).await.refused(422);
    assert!(words.contains("image_bytes_max (1000 bytes)"), "{words}");
    upload(&fixture.ada, "app:3", 1).await.refused(403);
    assert!(upload(&fixture.admin, "a%20b", 1).await.refused(422).starts_with("name must be"));
    let list = fixture.get(&fixture.ada, "/wharf/v1/images").await.ok();
    assert_eq!(list["items"][0]["names"], json!(["app:1"]));
    fixture.delete(&fixture.ada, "/wharf/v1/images?name=app:1").await.refused(403);
    fixture.delete(&fixture.admin, "/wharf/v1/images?name=app:1").await.ok();
    fixture.delete(&fixture.admin, "/wharf/v1/images?name=app:1").await.refused(404);
    fixture.delete(&fixture.admin, "/wharf/v1/images").await.refused(422);
}

#[tokio::test]
async fn the_status_counts_and_says_why_things_wait() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    fixture.service(&fixture.bob).await;
    let uuid = model::ContainerUuid::parse(made["container_uuid"].as_str().unwrap()).unwrap();
    fixture.store.set_scheduling_status(uuid, "needs 1 GiB more").await.unwrap();
    let status = fixture.get(&fixture.ada, "/wharf/v1/status").await.ok();
    assert_eq!(
        (&status["cluster_id"], &status["containers"]),
        (&json!("wharf"), &json!({"Queued": 2}))
    );
    let expected = json!([{"container_uuid": uuid, "place": 1, "reason": "needs 1 GiB more"}]);
    assert_eq!(status["queue"], expected);
    let all = fixture.get(&fixture.admin, "/wharf/v1/status").await.ok();
    assert_eq!(all["queue"].as_array().unwrap().len(), 2);
    let path = format!(
        "/arvados/v1/container_requests/{}/container_status",
        made["uuid"].as_str().unwrap()
    );
    assert_eq!(
        fixture.get(&fixture.ada, &path).await.ok()["scheduling_status"],
        "needs 1 GiB more"
    );
}
