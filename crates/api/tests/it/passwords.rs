//! Signing in with a name and a password.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::fixture::{Answer, Fixture, Person, request, token};

const PASSWORD: &str = "correct horse";

async fn set(fixture: &Fixture, by: &Person, of: &Person, password: Value) -> Answer {
    let path = format!("/wharf/v1/users/{}/password", of.user.uuid);
    fixture.post(by, &path, json!({"password": password})).await
}

async fn sign_in(fixture: &Fixture, name: &str, password: &str) -> Answer {
    let body = json!({"username": name, "password": password}).to_string();
    fixture.exchange(request(Method::POST, "/arvados/v1/users/authenticate", None, body)).await
}

#[tokio::test]
async fn name_and_password_are_worth_a_token_until_they_are_taken_away() {
    let fixture = Fixture::new().await;
    set(&fixture, &fixture.admin, &fixture.ada, json!(PASSWORD)).await.ok();
    let made = sign_in(&fixture, "ada", PASSWORD).await.ok();
    assert_eq!(made["owner_uuid"], fixture.ada.user.uuid.as_str());
    assert!(made["expires_at"].is_string(), "{made}");
    let bearer = format!(
        "Bearer v2/{}/{}",
        made["uuid"].as_str().unwrap(),
        made["api_token"].as_str().unwrap()
    );
    let ask = Request::builder().uri("/arvados/v1/users/current").header("authorization", bearer);
    let me = fixture.exchange(ask.body(Body::empty()).unwrap()).await.ok();
    assert_eq!(me["username"], "ada");
    // As pages send it.
    let form = Request::builder()
        .method(Method::POST)
        .uri("/arvados/v1/users/authenticate")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("username=ada&password=correct+horse"));
    fixture.exchange(form.unwrap()).await.ok();
    set(&fixture, &fixture.ada, &fixture.ada, Value::Null).await.ok();
    sign_in(&fixture, "ada", PASSWORD).await.refused(401);
}

#[tokio::test]
async fn wrong_ones_are_told_the_same_and_too_many_are_refused() {
    let fixture = Fixture::new().await;
    set(&fixture, &fixture.admin, &fixture.ada, json!(PASSWORD)).await.ok();
    let wrong = sign_in(&fixture, "ada", "wrong horse").await.refused(401);
    for (name, password) in [("nobody", PASSWORD), ("", ""), ("bob", PASSWORD)] {
        assert_eq!(sign_in(&fixture, name, password).await.refused(401), wrong, "{name}");
    }
    for _ in 0..9 {
        sign_in(&fixture, "ADA", "wrong horse").await.refused(401);
    }
    let answer = sign_in(&fixture, "ada", PASSWORD).await;
    assert!(answer.refused(429).contains("Sessions.PasswordTriesPerMinute"));
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn passwords_are_set_by_their_users_and_by_administrators() {
    let fixture = Fixture::new().await;
    set(&fixture, &fixture.ada, &fixture.ada, json!(PASSWORD)).await.ok();
    set(&fixture, &fixture.ada, &fixture.bob, json!(PASSWORD)).await.refused(403);
    for (password, words) in [
        (json!("short"), "8 characters"),
        (json!("x".repeat(2000)), "1024 bytes"),
        (json!(1), "text"),
    ] {
        let refused = set(&fixture, &fixture.ada, &fixture.ada, password).await.refused(422);
        assert!(refused.contains(words), "{refused}");
    }
    let scoped = Person {
        user: fixture.ada.user.clone(),
        token: token(&fixture.store, &fixture.ada.user, &["POST /wharf/v1/users/"]).await,
    };
    set(&fixture, &scoped, &fixture.ada, json!(PASSWORD)).await.refused(403);
    fixture
        .exchange(request(Method::POST, "/arvados/v1/users/authenticate", None, "{}"))
        .await
        .refused(422);
}
