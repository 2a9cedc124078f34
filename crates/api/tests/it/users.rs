//! Accounts that are deleted, over the wire.

use serde_json::json;

use crate::fixture::Fixture;

#[tokio::test]
async fn an_account_that_nothing_belongs_to_is_deleted_by_another_administrator() {
    let fixture = Fixture::new().await;
    let ada = format!("/arvados/v1/users/{}", fixture.ada.user.uuid);
    let admin = format!("/arvados/v1/users/{}", fixture.admin.user.uuid);
    fixture
        .grant(
            &fixture.admin,
            fixture.bob.user.uuid.as_str(),
            "can_manage",
            fixture.ada.user.uuid.as_str(),
        )
        .await
        .ok();
    fixture.delete(&fixture.bob, &ada).await.refused(403);
    let own = fixture.delete(&fixture.admin, &admin).await.refused(403);
    assert!(own.starts_with("nobody deletes their own account"), "{own}");
    let project = fixture.project(&fixture.ada, json!({})).await;
    let kept = fixture.delete(&fixture.admin, &ada).await.refused(422);
    assert!(kept.contains("has projects still: merge the account into another one"), "{kept}");
    let given = json!({"group": {"owner_uuid": fixture.bob.user.uuid}});
    fixture.put(&fixture.admin, &format!("/arvados/v1/groups/{project}"), given).await.ok();
    let gone = fixture.delete(&fixture.admin, &ada).await.ok();
    assert_eq!((&gone["kind"], &gone["username"]), (&json!("arvados#user"), &json!("ada")));
    fixture.get(&fixture.admin, &ada).await.refused(404);
    fixture.delete(&fixture.admin, &ada).await.refused(404);
    fixture.get(&fixture.ada, "/arvados/v1/users/current").await.refused(401);
    let again = json!({"user": {"username": "ada"}});
    fixture.post(&fixture.admin, "/arvados/v1/users", again).await.ok();
}
