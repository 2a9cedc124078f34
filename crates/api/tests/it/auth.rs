//! Tokens, scopes, users, and what is open to everybody.

use http::Method;
use serde_json::{Value, json};

use crate::fixture::{Fixture, answer, request, token};

#[tokio::test]
async fn only_bearer_and_oauth2_with_a_token_that_holds_get_in() {
    let fixture = Fixture::new().await;
    let good = fixture.ada.token.expose();
    let wrong = good.replace(fixture.ada.token.secret(), fixture.bob.token.secret());
    let secret = fixture.ada.token.secret();
    for (header, status) in [
        (Some(format!("Bearer {good}")), 200),
        (Some(format!("OAuth2 {good}")), 200),
        (Some(format!("bearer {good}")), 200),
        (Some(format!("Bearer {good}/wharf-dz642-000000000000000")), 200),
        (Some(format!("Bearer {secret}")), 200),
        (Some(format!("Basic {good}")), 401),
        (Some(good.clone()), 401),
        (Some(format!("Bearer {wrong}")), 401),
        (Some("Bearer wc1_abc".to_owned()), 401),
        (Some(format!("Bearer {}", "x".repeat(5000))), 401),
        (Some("Bearer ".to_owned()), 401),
        (None, 401),
    ] {
        let mut request = request(Method::GET, "/arvados/v1/users/current", None, "");
        if let Some(header) = &header {
            request.headers_mut().insert("authorization", header.parse().unwrap());
        }
        let answer = fixture.exchange(request).await;
        assert_eq!(answer.status.as_u16(), status, "{header:?}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_revoked_or_expired_token_and_an_inactive_user_are_401() {
    let fixture = Fixture::new().await;
    let path = format!("/arvados/v1/api_client_authorizations/{}", fixture.ada.token.uuid());
    fixture.delete(&fixture.ada, &path).await.ok();
    fixture.get(&fixture.ada, "/arvados/v1/users/current").await.refused(401);
    let path = format!("/arvados/v1/users/{}", fixture.bob.user.uuid);
    fixture.put(&fixture.admin, &path, json!({"user": {"is_active": false}})).await.ok();
    fixture.get(&fixture.bob, "/arvados/v1/users/current").await.refused(401);
    let body = json!({"expires_at": "2001-01-01T00:00:00Z"});
    let words = fixture.post(&fixture.admin, "/arvados/v1/api_client_authorizations", body).await;
    assert_eq!(words.refused(422), "expires_at is in the past");
}

#[tokio::test]
async fn a_scoped_token_does_what_its_scopes_say_and_makes_no_other() {
    let fixture = Fixture::new().await;
    let scopes = [
        "GET /arvados/v1/container_requests",
        "POST /arvados/v1/api_client_authorizations",
        "POST /wharf/v1/",
    ];
    let token = token(&fixture.store, &fixture.ada.user, &scopes).await;
    for (method, path, status) in [
        (Method::GET, "/arvados/v1/container_requests", 200),
        (Method::HEAD, "/arvados/v1/container_requests", 200),
        (Method::GET, "/arvados/v1/api_client_authorizations/current", 200),
        (Method::GET, "/arvados/v1/container_requests/x", 403),
        (Method::GET, "/arvados/v1/links", 403),
        (Method::GET, "/arvados/v1/nothing", 403),
        (Method::POST, "/arvados/v1/container_requests", 403),
        // In scope, but these would give more than the scope.
        (Method::POST, "/arvados/v1/api_client_authorizations", 403),
        (Method::POST, "/wharf/v1/login_links", 403),
        (Method::POST, "/wharf/v1/handoff", 403),
    ] {
        let answer = fixture.exchange(request(method.clone(), path, Some(&token), "")).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_secret_is_answered_when_made_and_to_its_bearer_only() {
    let fixture = Fixture::new().await;
    let path = "/arvados/v1/api_client_authorizations";
    let body = json!({"api_client_authorization": {"scopes": ["GET /arvados/v1/links/"]}});
    let made = fixture.post(&fixture.ada, path, body).await.ok();
    assert_eq!(made["kind"], "arvados#apiClientAuthorization");
    let secret = made["api_token"].as_str().unwrap();
    assert_eq!(secret.len(), 50);
    let list = fixture.get(&fixture.ada, path).await;
    assert_eq!(list.ok()["items_available"], 2);
    assert!(!list.text.contains(secret));
    let current = fixture.get(&fixture.ada, &format!("{path}/current")).await.ok();
    assert_eq!(current["api_token"], fixture.ada.token.secret());
    let theirs = format!("{path}/{}", fixture.ada.token.uuid());
    fixture.get(&fixture.bob, &theirs).await.refused(404);
    fixture.delete(&fixture.bob, &theirs).await.refused(404);
    let body = json!({"owner_uuid": fixture.bob.user.uuid});
    fixture.post(&fixture.ada, path, body.clone()).await.refused(403);
    assert_eq!(
        fixture.post(&fixture.admin, path, body).await.ok()["owner_uuid"],
        json!(fixture.bob.user.uuid)
    );
    for (body, words) in [
        (json!({"scopes": "all"}), "scopes must be a list"),
        (json!({"scopes": ["GET arvados"]}), "scopes must be a list"),
        (json!({"expires_at": "soon"}), "expires_at must be a time"),
        (json!({"api_token": "mine"}), "api_token is no attribute"),
    ] {
        let refused = fixture.post(&fixture.ada, path, body).await.refused(422);
        assert!(refused.contains(words), "{refused}");
    }
}

#[tokio::test]
async fn a_token_is_narrowed_and_ended_by_its_user_and_never_revived() {
    let fixture = Fixture::new().await;
    let second = token(&fixture.store, &fixture.ada.user, &["all"]).await;
    let path = format!("/arvados/v1/api_client_authorizations/{}", second.uuid());
    let says = |attributes: Value| json!({"api_client_authorization": attributes});
    let reads = json!(["GET /arvados/v1/users/"]);
    let narrowed = fixture.put(&fixture.ada, &path, says(json!({"scopes": reads}))).await.ok();
    assert_eq!((&narrowed["scopes"], &narrowed["api_token"]), (&reads, &Value::Null));
    let me = async |path: &str, token| {
        fixture.exchange(request(Method::GET, path, Some(token), "")).await.status.as_u16()
    };
    let user = format!("/arvados/v1/users/{}", fixture.ada.user.uuid);
    assert_eq!(me(&user, &second).await, 200);
    assert_eq!(me("/arvados/v1/collections", &second).await, 403);
    // The whole record as it was read changes nothing; by PATCH, and its own form.
    let read = fixture.get(&fixture.ada, &path).await.ok();
    let patch = fixture.call(Method::PATCH, &fixture.ada, &path, read.clone()).await.ok();
    assert_eq!(patch["modified_at"], read["modified_at"]);
    for (body, words) in [
        (json!({"owner_uuid": fixture.bob.user.uuid}), "owner_uuid cannot change"),
        (json!({"api_token": "mine"}), "api_token is no attribute"),
        (json!({"scopes": ["everything"]}), "scopes must be a list"),
        (json!({"expires_at": "soon"}), "expires_at must be a time"),
    ] {
        let refused = fixture.put(&fixture.ada, &path, body).await.refused(422);
        assert!(refused.starts_with(words), "{refused}");
    }
    // Nobody else's, and no token that may do less than all gives itself more.
    fixture.put(&fixture.bob, &path, json!({"scopes": ["all"]})).await.refused(404);
    let scoped = token(&fixture.store, &fixture.ada.user, &[&format!("PUT {path}")]).await;
    let widen = request(Method::PUT, &path, Some(&scoped), json!({"scopes": ["all"]}).to_string());
    fixture.exchange(widen).await.refused(403);
    fixture.put(&fixture.admin, &path, json!({"scopes": ["all"]})).await.ok();
    assert_eq!(me("/arvados/v1/collections", &second).await, 200);
    let ended = json!({"expires_at": "2001-01-01T00:00:00Z"});
    let ended = fixture.put(&fixture.ada, &path, ended).await.ok();
    assert_eq!(ended["expires_at"], "2001-01-01T00:00:00.000000000Z");
    assert_eq!(me(&user, &second).await, 401);
    let refused = fixture.put(&fixture.admin, &path, json!({"expires_at": null})).await;
    assert!(refused.refused(422).starts_with("expires_at has passed"));
}

#[tokio::test]
async fn administrators_make_tokens_of_the_system_user() {
    let fixture = Fixture::new().await;
    let path = "/arvados/v1/api_client_authorizations/create_system_auth";
    fixture.post(&fixture.ada, path, json!({})).await.refused(403);
    let scopes = "?scopes=%5B%22GET%20/arvados/v1/users/%22%5D";
    let made = fixture.post(&fixture.admin, &format!("{path}{scopes}"), json!({})).await.ok();
    assert_eq!(made["owner_uuid"], json!(fixture.store.system_user()));
    assert_eq!(made["scopes"], json!(["GET /arvados/v1/users/"]));
    let secret = made["api_token"].as_str().unwrap();
    assert!(fixture.store.authenticate_secret(secret).await.unwrap().is_some());
    let all = fixture.post(&fixture.admin, path, json!({})).await.ok();
    assert_eq!(all["scopes"], json!(["all"]));
    fixture.post(&fixture.admin, path, json!({"scopes": ["x"]})).await.refused(422);
}

#[tokio::test]
async fn users_are_made_by_administrators_and_change_only_their_own() {
    let fixture = Fixture::new().await;
    let body = json!({"user": {"username": "eve", "email": "eve@example.com"}});
    fixture.post(&fixture.ada, "/arvados/v1/users", body.clone()).await.refused(403);
    let eve = fixture.post(&fixture.admin, "/arvados/v1/users", body.clone()).await.ok();
    assert_eq!((&eve["is_active"], &eve["is_admin"]), (&json!(true), &json!(false)));
    let again = fixture.post(&fixture.admin, "/arvados/v1/users", body).await.refused(422);
    assert!(again.contains("taken"), "{again}");
    let own = format!("/arvados/v1/users/{}", fixture.ada.user.uuid);
    let other = format!("/arvados/v1/users/{}", eve["uuid"].as_str().unwrap());
    let prefs = json!({"user": {"prefs": {"a": 1}, "first_name": "Ada", "full_name": "ignored"}});
    let changed = fixture.put(&fixture.ada, &own, prefs.clone()).await.ok();
    assert_eq!((&changed["prefs"]["a"], &changed["full_name"]), (&json!(1), &json!("Ada")));
    fixture.put(&fixture.ada, &own, json!({"is_admin": true})).await.refused(403);
    fixture.put(&fixture.ada, &other, prefs).await.refused(403);
    fixture.get(&fixture.ada, &other).await.ok();
    let system = "/arvados/v1/users/wharf-tpzed-000000000000000";
    fixture.put(&fixture.admin, system, json!({"is_active": false})).await.refused(403);
}

#[tokio::test]
async fn the_site_is_described_to_everybody_and_the_rest_to_nobody() {
    let fixture = Fixture::new().await;
    let anonymous = async |path: &str| fixture.exchange(request(Method::GET, path, None, "")).await;
    let config = anonymous("/arvados/v1/config").await.ok();
    assert_eq!(
        config["Services"]["ContainerWebServices"]["ExternalURL"],
        "http://*.s.localhost:8000/"
    );
    assert_eq!(config["Services"]["Controller"]["ExternalURL"], "http://localhost:8000/");
    assert_eq!(anonymous("/arvados/v1/vocabulary").await.ok()["strict_tags"], false);
    assert_eq!(anonymous("/wharf/v1/healthz").await.text, "ok\n");
    for path in [
        "/arvados/v1/container_requests",
        "/arvados/v1/groups",
        "/wharf/v1/status",
        "/wharf/v1/events",
        "/wharf/v1/images",
        "/wharf/v1/logs/wharf-dz642-000000000000000",
        "/wharf/v2/x",
        "/discovery/v1/x",
    ] {
        anonymous(path).await.refused(401);
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_and_a_wrong_method_405() {
    let fixture = Fixture::new().await;
    fixture.get(&fixture.ada, "/arvados/v1/nothing").await.refused(404);
    fixture.delete(&fixture.ada, "/arvados/v1/users/current").await.refused(405);
    // Exactly this tells runners that they are not inside a container.
    let words = fixture.get(&fixture.ada, "/arvados/v1/containers/current").await.refused(404);
    assert_eq!(words, "Token is not associated with a container.");
    fixture.post(&fixture.admin, "/arvados/v1/containers", json!({})).await.refused(403);
}

#[tokio::test]
async fn records_may_be_read_across_origins_without_cookies_and_ours_may_not() {
    let fixture = Fixture::new().await;
    let preflight = request(Method::OPTIONS, "/arvados/v1/container_requests", None, "");
    let answer = fixture.exchange(preflight).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    let ours = fixture.get(&fixture.ada, "/wharf/v1/status").await;
    assert!(!ours.headers.contains_key("access-control-allow-origin"));
    assert_eq!(ours.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn a_request_id_is_echoed_or_made() {
    let fixture = Fixture::new().await;
    for (sent, echoed) in
        [(Some("req-0123456789abcdefghij"), true), (Some("a b"), false), (None, false)]
    {
        let mut request = request(Method::GET, "/wharf/v1/healthz", None, "");
        if let Some(sent) = sent {
            request.headers_mut().insert("x-request-id", sent.parse().unwrap());
        }
        let answer = answer(fixture.send(request).await).await;
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert!(id.starts_with("req-") && id.len() == 24, "{id}");
        assert_eq!(Some(id) == sent, echoed);
    }
}

#[tokio::test]
async fn a_sign_in_link_works_once() {
    let fixture = Fixture::new().await;
    let link = fixture.post(&fixture.ada, "/wharf/v1/login_links", json!({})).await.ok();
    let url = link["url"].as_str().unwrap();
    let code = url.strip_prefix("http://localhost:8000/sign-in?code=").unwrap();
    assert!(code.starts_with("wc1_") && !url.contains(fixture.ada.token.secret()));
    let redeem = async || {
        let body = json!({"code": code}).to_string();
        fixture.exchange(request(Method::POST, "/wharf/v1/login_links/redeem", None, body)).await
    };
    let session = redeem().await.ok();
    assert_eq!(session["user"]["uuid"], json!(fixture.ada.user.uuid));
    assert!(session["expires_at"].is_string());
    let token = model::ApiToken::parse(session["token"].as_str().unwrap()).unwrap();
    let me = request(Method::GET, "/arvados/v1/users/current", Some(&token), "");
    assert_eq!(fixture.exchange(me).await.ok()["username"], "ada");
    redeem().await.refused(403);
    let none: Value = json!({});
    let bad = request(Method::POST, "/wharf/v1/login_links/redeem", None, none.to_string());
    assert!(fixture.exchange(bad).await.refused(422).starts_with("code "));
}

#[tokio::test]
async fn accounts_are_set_up_by_attributes_in_the_query_or_the_body() {
    let fixture = Fixture::new().await;
    let path = "/arvados/v1/users/setup";
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("user", &json!({"username": "eve"}).to_string())
        .append_pair("repo_name", "ignored")
        .append_pair("send_notification_email", "false")
        .finish();
    let eve = fixture.post(&fixture.admin, &format!("{path}?{query}"), Value::Null).await.ok();
    assert_eq!((&eve["username"], &eve["is_active"]), (&json!("eve"), &json!(true)));
    let joe = json!({"user": {"username": "joe"}});
    fixture.post(&fixture.admin, path, joe.clone()).await.ok();
    fixture.post(&fixture.ada, path, joe).await.refused(403);
    for (name, value) in [
        ("vm_uuid", json!("wharf-2x53u-000000000000000")),
        ("send_notification_email", json!(true)),
        ("user", json!(1)),
    ] {
        let mut body = json!({"user": {"username": "ann"}});
        body[name] = value;
        let refused = fixture.post(&fixture.admin, path, body).await.refused(422);
        assert!(refused.starts_with(name), "{refused}");
    }
}
