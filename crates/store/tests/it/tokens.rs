//! Who presents a token, and when it stops holding.

use model::{ApiToken, User};
use store::{ChangeKind, NewToken, Notice};

use crate::fixture::Fixture;

#[tokio::test]
async fn only_the_right_secret_of_the_right_token_authenticates() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let new = |user: &User| NewToken {
        owner: user.uuid,
        scopes: vec!["all".to_owned()],
        expires_at: None,
        made_by: user.uuid,
    };
    let (hers, _) = store.create_token(new(&fixture.ada)).await.unwrap();
    let (his, _) = store.create_token(new(&fixture.bob)).await.unwrap();
    let mixed = ApiToken::new(hers.uuid(), his.secret().to_owned());
    assert_eq!(store.authenticate(&hers).await.unwrap().unwrap().user, fixture.ada);
    assert_eq!(store.authenticate_secret(his.secret()).await.unwrap().unwrap().user, fixture.bob);
    assert!(store.authenticate(&mixed).await.unwrap().is_none());
    let unknown = ApiToken::new(
        model::TokenUuid::parse("wharf-gj3su-000000000000000").unwrap(),
        String::new(),
    );
    assert!(store.authenticate(&unknown).await.unwrap().is_none());
}

#[tokio::test]
async fn an_expired_token_and_an_inactive_user_are_nobody() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let (short, long) =
        (fixture.token(&fixture.ada, Some(10)).await, fixture.token(&fixture.ada, Some(99)).await);
    fixture.advance(11);
    assert!(store.token_by_uuid(short.token.uuid).await.unwrap().is_none());
    assert!(store.token_by_uuid(long.token.uuid).await.unwrap().is_some());
    let mut changes = store.changes();
    let before = fixture.ada.clone();
    let after = User { is_active: false, ..before.clone() };
    store.update_user(before, after, fixture.ada.uuid).await.unwrap();
    assert!(store.token_by_uuid(long.token.uuid).await.unwrap().is_none());
    let Some(Notice::Changed(change)) = changes.next().await else { panic!("no change") };
    assert_eq!((change.kind, change.uuid.as_str()), (ChangeKind::User, fixture.ada.uuid.as_str()));
}

#[tokio::test]
async fn expired_tokens_stay_listed_for_a_week() {
    let fixture = Fixture::new().await;
    let reader = store::Reader::new(fixture.ada.uuid, false);
    fixture.token(&fixture.ada, Some(10)).await;
    for (days, listed) in [(6, 2), (2, 2)] {
        fixture.advance(days * 24 * 3600);
        fixture.token(&fixture.ada, Some(10)).await;
        let query = model::filter::ListQuery::all(store::Resource::Tokens.schema());
        let page = fixture.store.list(store::Resource::Tokens, &query, &reader).await.unwrap();
        assert_eq!(page.items.len(), listed, "after {days} days");
    }
}

#[tokio::test]
async fn user_names_are_unique_and_the_system_user_is_made_once() {
    let fixture = Fixture::new().await;
    let again = fixture.store.ensure_system_user().await.unwrap();
    assert_eq!(again, fixture.store.ensure_system_user().await.unwrap());
    assert_eq!(again.uuid.as_str(), "wharf-tpzed-000000000000000");
    let new = store::NewUser { username: "ada".to_owned(), ..store::NewUser::default() };
    let refused = fixture.store.create_user(new).await;
    assert!(matches!(refused, Err(store::StoreError::UsernameTaken(_))), "{refused:?}");
}
