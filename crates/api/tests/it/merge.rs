//! `users/merge` over the wire: who may, and what is asked for.

use http::Method;
use serde_json::{Value, json};

use crate::fixture::{Fixture, Person, request, token};

const PATH: &str = "/arvados/v1/users/merge";

/// Of ada's into bob's, by her token and his, with these parameters over them.
fn of_both(fixture: &Fixture, over: Value) -> Value {
    let mut body = json!({
        "new_owner_uuid": fixture.bob.user.uuid,
        "new_user_token": fixture.bob.token.expose(),
    });
    for (name, value) in over.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_person_merges_two_accounts_with_a_token_of_each() {
    let fixture = Fixture::new().await;
    let project = fixture.project(&fixture.ada, json!({})).await;
    // As clients of the discovery document send it: all in the query, and no body.
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("new_owner_uuid", fixture.bob.user.uuid.as_str())
        .append_pair("new_user_token", &fixture.bob.token.expose())
        .append_pair("redirect_to_new_user", "true")
        .finish();
    let old = fixture.post(&fixture.ada, &format!("{PATH}?{query}"), Value::Null).await.ok();
    assert_eq!(old["uuid"], fixture.ada.user.uuid.as_str());
    assert_eq!((&old["is_active"], &old["kind"]), (&json!(false), &json!("arvados#user")));
    let path = format!("/arvados/v1/groups/{project}");
    let moved = fixture.get(&fixture.bob, &path).await.ok();
    assert_eq!(moved["owner_uuid"], fixture.bob.user.uuid.as_str());
    // Her token is his by now.
    let me = fixture.get(&fixture.ada, "/arvados/v1/users/current").await.ok();
    assert_eq!(me["username"], "bob");
    // The account that is merged cannot be again.
    fixture.post(&fixture.ada, PATH, of_both(&fixture, json!({}))).await.refused(422);
}

#[tokio::test]
async fn without_redirection_the_old_tokens_hold_no_more() {
    let fixture = Fixture::new().await;
    let old = fixture.post(&fixture.ada, PATH, of_both(&fixture, json!({}))).await.ok();
    assert_eq!(old["is_active"], true);
    fixture.get(&fixture.ada, "/arvados/v1/users/current").await.refused(401);
}

#[tokio::test]
async fn an_administrator_names_both_and_nobody_else_does() {
    let fixture = Fixture::new().await;
    let archive = fixture.project(&fixture.bob, json!({})).await;
    let body = json!({
        "old_user_uuid": fixture.ada.user.uuid, "new_user_uuid": fixture.bob.user.uuid,
        "new_owner_uuid": archive, "redirect_to_new_user": false,
    });
    fixture.post(&fixture.ada, PATH, body.clone()).await.refused(403);
    let project = fixture.project(&fixture.ada, json!({})).await;
    fixture.post(&fixture.admin, PATH, body).await.ok();
    let moved = fixture.get(&fixture.bob, &format!("/arvados/v1/groups/{project}")).await.ok();
    assert_eq!(moved["owner_uuid"], archive);
}

#[tokio::test]
async fn what_is_not_enough_is_refused_and_named() {
    let fixture = Fixture::new().await;
    let scoped = |person: &Person| {
        let (store, user) = (fixture.store.clone(), person.user.clone());
        async move { token(&store, &user, &[&format!("POST {PATH}")]).await }
    };
    let hers = fixture.project(&fixture.ada, json!({})).await;
    let theirs = fixture.project(&fixture.admin, json!({})).await;
    let wrong = fixture.bob.token.expose().replace(fixture.bob.token.secret(), &"x".repeat(50));
    for (over, status, words) in [
        (json!({"new_owner_uuid": null}), 422, "new_owner_uuid must be sent"),
        (json!({"new_user_token": null}), 422, "new_user_token must be sent"),
        (json!({"new_user_token": wrong}), 401, "the token is unknown"),
        (
            json!({"new_user_token": scoped(&fixture.bob).await.expose()}),
            403,
            "a token with scopes",
        ),
        (json!({"new_user_token": fixture.ada.token.expose()}), 403, "new_owner_uuid"),
        (json!({"new_owner_uuid": theirs}), 403, "new_owner_uuid"),
        (json!({"new_owner_uuid": hers}), 403, "new_owner_uuid"),
        (json!({"old_user_uuid": fixture.bob.user.uuid}), 422, "new_user_token cannot be sent"),
        (json!({"redirect_to_new_user": "yes"}), 422, "redirect_to_new_user must be"),
    ] {
        let refused =
            fixture.post(&fixture.ada, PATH, of_both(&fixture, over)).await.refused(status);
        assert!(refused.starts_with(words), "{refused}");
    }
    let by_scoped = request(
        Method::POST,
        PATH,
        Some(&scoped(&fixture.ada).await),
        of_both(&fixture, json!({})).to_string(),
    );
    fixture.exchange(by_scoped).await.refused(403);
    // A program in one of her containers may not give her account away.
    let made = fixture.service(&fixture.ada).await;
    let uuid = made["container_uuid"].as_str().unwrap();
    let uuid = model::ContainerUuid::parse(uuid).unwrap();
    fixture.store.lock_container(uuid, "a dispatcher").await.unwrap();
    let its = fixture.store.container_token(uuid).await.unwrap().unwrap();
    let bearer = format!("Bearer {}", its.text);
    let mut by_program =
        request(Method::POST, PATH, None, of_both(&fixture, json!({})).to_string());
    by_program.headers_mut().insert("authorization", bearer.parse().unwrap());
    assert!(
        fixture.exchange(by_program).await.refused(403).starts_with("a program in a container")
    );
    fixture.get(&fixture.ada, "/arvados/v1/users/current").await.ok();
}
