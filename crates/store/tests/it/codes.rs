//! Single-use codes (SECURITY row 7).

use std::time::Duration;

use store::{NewCode, Purpose};

use crate::fixture::{Fixture, contains};

const HOST: &str = "lab.s.localhost:8000";

async fn code(fixture: &Fixture, ttl: u64) -> (String, store::Identity) {
    let identity = fixture.token(&fixture.ada, None).await;
    let new = NewCode {
        purpose: Purpose::Handoff,
        user: identity.user.uuid,
        token: identity.token.uuid,
        container: None,
        request: None,
        port: model::ContainerPort::new(80),
        service_host: HOST.to_owned(),
        ttl: Duration::from_secs(ttl),
    };
    (fixture.store.create_code(new).await.unwrap(), identity)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t07_of_50_redeems_at_once_exactly_one_succeeds() {
    let fixture = Fixture::new().await;
    let (code, identity) = code(&fixture, 60).await;
    let redeems = (0..50).map(|_| {
        let (store, code) = (fixture.store.clone(), code.clone());
        tokio::spawn(async move { store.redeem_code(&code, Purpose::Handoff, HOST).await })
    });
    let mut grants = Vec::new();
    for redeem in redeems.collect::<Vec<_>>() {
        grants.extend(redeem.await.unwrap().unwrap());
    }
    assert_eq!(grants.len(), 1);
    assert_eq!(grants[0].identity, identity);
    assert_eq!(grants[0].port, model::ContainerPort::new(80));
}

#[tokio::test]
async fn t07_a_code_opens_nothing_else_and_is_gone_after_the_try() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    for (purpose, host) in
        [(Purpose::Login, HOST), (Purpose::Handoff, "other.s.localhost:8000"), (Purpose::Login, "")]
    {
        let (code, _) = code(&fixture, 60).await;
        assert!(store.redeem_code(&code, purpose, host).await.unwrap().is_none());
        assert!(store.redeem_code(&code, Purpose::Handoff, HOST).await.unwrap().is_none());
    }
    assert!(store.redeem_code("wc1_guess", Purpose::Handoff, HOST).await.unwrap().is_none());
}

#[tokio::test]
async fn t07_a_code_expires_after_its_time() {
    let fixture = Fixture::new().await;
    let (code, _) = code(&fixture, 60).await;
    fixture.advance(61);
    let redeemed = fixture.store.redeem_code(&code, Purpose::Handoff, HOST).await.unwrap();
    assert!(redeemed.is_none());
}

#[tokio::test]
async fn revoking_the_token_voids_its_codes() {
    let fixture = Fixture::new().await;
    let (code, identity) = code(&fixture, 60).await;
    assert!(fixture.store.delete_token(identity.token.uuid).await.unwrap());
    let redeemed = fixture.store.redeem_code(&code, Purpose::Handoff, HOST).await.unwrap();
    assert!(redeemed.is_none());
}

#[tokio::test]
async fn t47_neither_codes_nor_tokens_are_on_disk_in_the_clear() {
    let fixture = Fixture::new().await;
    let new = store::NewToken {
        owner: fixture.ada.uuid,
        scopes: vec!["all".to_owned()],
        expires_at: None,
        made_by: fixture.ada.uuid,
    };
    let (token, record) = fixture.store.create_token(new).await.unwrap();
    let (code, _) = code(&fixture, 60).await;
    let bytes = fixture.bytes_on_disk().await;
    // The search itself works: the identifier is there.
    assert!(contains(&bytes, record.uuid.as_str()));
    assert!(!contains(&bytes, token.secret()) && !contains(&bytes, &code));
    assert!(token.secret().len() == 50 && code.len() == 47 && code.starts_with("wc1_"));
}
