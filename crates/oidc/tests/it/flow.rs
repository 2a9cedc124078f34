//! The two steps of a sign-in, with a provider that is honest, changes its keys, lies, is slow or gone.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use oidc::{IdTokenFault, Person, Provider, ProviderError, Returned};
use serde_json::{Value, json};

use crate::fake_provider::{CODE, FakeProvider, Fault, provider};
use crate::signer::Signer;

const RETURNED: Returned<'static> = Returned { code: CODE, issuer: None };

async fn sign_in(fake: &FakeProvider, provider: &Provider) -> Result<Person, ProviderError> {
    let (attempt, _url) = fake.begin(provider).await;
    provider.finish(&attempt, RETURNED).await
}

#[tokio::test]
async fn a_person_comes_back_with_what_the_provider_says() {
    let fake = FakeProvider::start().await;
    let provider = provider(fake.config());
    let (attempt, url) = fake.begin(&provider).await;
    let (place, query) = url.split_once('?').unwrap();
    assert_eq!(place, format!("{}/auth", fake.issuer));
    let query: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let value = |name: &str| {
        let mut found = query.iter().filter(|(it, _)| it == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice");
        value
    };
    assert_eq!(value("tenant"), Some("a"), "the endpoint's own query stays");
    assert_eq!(value("response_type"), Some("code"));
    assert_eq!(value("redirect_uri"), Some("https://wharf/login"));
    assert_eq!(value("scope"), Some("openid profile email"));
    assert_eq!(value("state"), Some(attempt.state.as_str()));
    assert_eq!(value("nonce"), Some(attempt.nonce.as_str()));
    assert_eq!(value("code_challenge_method"), Some("S256"));
    assert!(!url.contains(&attempt.verifier), "the verifier is not shown before the code");

    let person = provider.finish(&attempt, RETURNED).await.unwrap();
    assert_eq!((person.subject.as_str(), person.email.as_str()), ("1234", "ada@example.com"));
    assert!(person.is_email_verified && person.issuer == fake.issuer);
    let (authorization, form) = fake.behave().redeemed.clone().unwrap();
    // wharf:s%26cret, encoded as RFC 6749 says.
    assert_eq!(authorization, "Basic d2hhcmY6cyUyNmNyZXQ=");
    assert!(form.contains(&("code_verifier".to_owned(), attempt.verifier.clone())));
    assert!(form.contains(&("redirect_uri".to_owned(), "https://wharf/login".to_owned())));
    assert!(!form.iter().any(|(name, _)| name == "client_secret"));
}

#[tokio::test]
async fn a_provider_that_wants_the_secret_in_the_form_gets_it_there() {
    let fake = FakeProvider::start().await;
    let methods = json!(["client_secret_post"]);
    fake.behave().document = json!({ "token_endpoint_auth_methods_supported": methods });
    sign_in(&fake, &provider(fake.config())).await.unwrap();
    let (authorization, form) = fake.behave().redeemed.clone().unwrap();
    assert_eq!(authorization, "");
    assert!(form.contains(&("client_secret".to_owned(), "s&cret".to_owned())));
}

#[tokio::test]
async fn an_id_token_of_another_attempt_or_client_gives_nobody() {
    let fake = FakeProvider::start().await;
    let provider = provider(fake.config());
    let check = async |claims: Value, fault: IdTokenFault| {
        fake.behave().claims = claims;
        match sign_in(&fake, &provider).await {
            Err(ProviderError::IdToken(found)) => assert_eq!(found, fault),
            other => panic!("{fault:?}: {other:?}"),
        }
    };
    check(json!({"nonce": "of another browser"}), IdTokenFault::Nonce).await;
    check(json!({"aud": "another client"}), IdTokenFault::Audience).await;
    check(json!({"iss": "https://evil.example"}), IdTokenFault::Issuer).await;
    check(json!({"exp": 1}), IdTokenFault::Expired).await;
}

#[tokio::test]
async fn a_code_that_the_provider_does_not_know_is_the_persons_to_try_again() {
    let fake = FakeProvider::start().await;
    let provider = provider(fake.config());
    let (attempt, _url) = fake.begin(&provider).await;
    let spent = Returned { code: "code-2", issuer: None };
    let error = provider.finish(&attempt, spent).await.unwrap_err();
    assert!(matches!(&error, ProviderError::Code(why) if why.contains("no such code")), "{error}");
}

#[tokio::test]
async fn an_answer_of_another_provider_is_not_redeemed() {
    let fake = FakeProvider::start().await;
    fake.behave().document = json!({"authorization_response_iss_parameter_supported": true});
    let provider = provider(fake.config());
    for issuer in [None, Some("https://evil.example")] {
        let (attempt, _url) = fake.begin(&provider).await;
        let mixed_up = Returned { code: CODE, issuer };
        let error = provider.finish(&attempt, mixed_up).await.unwrap_err();
        assert!(matches!(error, ProviderError::OtherIssuer), "{error}");
    }
    assert!(fake.behave().redeemed.is_none(), "the code was shown to nobody");
    let (attempt, _url) = fake.begin(&provider).await;
    let issuer = fake.issuer.clone();
    let right = Returned { code: CODE, issuer: Some(&issuer) };
    assert!(provider.finish(&attempt, right).await.is_ok());
}

#[tokio::test]
async fn what_the_id_token_lacks_comes_from_userinfo_of_the_same_person() {
    let fake = FakeProvider::start().await;
    fake.behave().claims = json!({"name": "Ada Lovelace"});
    let provider = provider(fake.config());
    let person = sign_in(&fake, &provider).await.unwrap();
    assert_eq!((person.email.as_str(), person.last_name.as_str()), ("by@userinfo", "Lovelace"));
    fake.behave().userinfo = json!({"sub": "somebody else"});
    let error = sign_in(&fake, &provider).await.unwrap_err();
    assert!(matches!(error, ProviderError::IdToken(IdTokenFault::Subject)), "{error}");
}

#[tokio::test]
async fn a_new_key_is_found_and_an_unknown_one_costs_one_look() {
    let fake = FakeProvider::start().await;
    let provider = provider(fake.config());
    sign_in(&fake, &provider).await.unwrap();
    assert_eq!(fake.n_keys.load(Ordering::SeqCst), 1);
    {
        let mut behaviour = fake.behave();
        behaviour.signer = Signer::eddsa();
        behaviour.kid = "second";
    }
    sign_in(&fake, &provider).await.unwrap();
    sign_in(&fake, &provider).await.unwrap();
    assert_eq!(fake.n_keys.load(Ordering::SeqCst), 2);
    // One that the provider does not have.
    fake.behave().keys = Some(json!([Signer::es256().jwk("third")]));
    fake.behave().kid = "nobody's";
    let error = sign_in(&fake, &provider).await.unwrap_err();
    assert!(matches!(error, ProviderError::IdToken(IdTokenFault::UnknownKey)), "{error}");
    assert_eq!(fake.n_keys.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn looks_for_unknown_keys_come_at_a_rate() {
    let fake = FakeProvider::start().await;
    let mut config = fake.config();
    config.key_refresh_min = Duration::from_secs(600);
    let provider = provider(config);
    sign_in(&fake, &provider).await.unwrap();
    fake.behave().kid = "nobody's";
    for _try in 0..5 {
        assert!(sign_in(&fake, &provider).await.is_err());
    }
    assert_eq!(fake.n_keys.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_provider_that_is_gone_slow_or_no_provider_is_said_within_the_deadline() {
    let faults =
        [Fault::Status(StatusCode::BAD_GATEWAY), Fault::Silence, Fault::Endless, Fault::Redirect];
    for fault in faults {
        let fake = FakeProvider::start().await;
        fake.behave().fault = Some(fault);
        let provider = provider(fake.config());
        let begin = Instant::now();
        let error = provider.begin().await.unwrap_err();
        assert!(matches!(error, ProviderError::Unavailable(_)), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        // Who comes next hears the same at once, and the provider is left alone.
        assert!(provider.begin().await.is_err());
        assert_eq!(fake.n_documents.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn what_was_known_serves_while_the_provider_does_not_answer() {
    let fake = FakeProvider::start().await;
    let mut config = fake.config();
    config.discovery_age_max = Duration::ZERO;
    let provider = provider(config);
    sign_in(&fake, &provider).await.unwrap();
    fake.behave().fault = Some(Fault::Status(StatusCode::SERVICE_UNAVAILABLE));
    sign_in(&fake, &provider).await.unwrap();
}

#[tokio::test]
async fn a_document_of_another_issuer_is_not_used() {
    let fake = FakeProvider::start().await;
    fake.behave().document = json!({"issuer": "https://evil.example"});
    let error = provider(fake.config()).begin().await.unwrap_err();
    assert!(error.to_string().contains("to the letter"), "{error}");
}

#[tokio::test]
async fn signing_out_leads_to_the_provider_where_it_has_a_place_for_that() {
    let fake = FakeProvider::start().await;
    let found = provider(fake.config()).sign_out_url().await.unwrap();
    let back = "post_logout_redirect_uri=https%3A%2F%2Fwharf%2Flogin";
    assert_eq!(found, format!("{}/end?client_id=wharf&{back}", fake.issuer));
    fake.behave().document = json!({"end_session_endpoint": null});
    assert_eq!(provider(fake.config()).sign_out_url().await, None);
}
