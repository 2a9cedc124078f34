//! ID tokens that must be refused, each made by somebody who could try.

use oidc::{Expected, IdTokenFault, KeySet, check};
use ring::hmac;
use serde_json::{Value, json};

use crate::signer::{Signer, encode};

const NOW: i64 = 1_800_000_000;
const EXPECTED: Expected<'static> = Expected {
    issuer: "https://id.example.com",
    client_id: "wharf",
    nonce: "of-this-attempt",
    now: NOW,
    skew: 60,
};

fn claims() -> Value {
    json!({"iss": "https://id.example.com", "aud": "wharf", "sub": "ada", "iat": NOW - 5,
        "exp": NOW + 300, "nonce": "of-this-attempt"})
}

fn keys(list: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": list }).to_string().as_bytes()).unwrap()
}

/// What comes of a sound token with one claim changed.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "what is written in a table reads better so")]
fn changed(name: &str, value: Value, fault: Option<IdTokenFault>) {
    let signer = Signer::es256();
    let mut claims = claims();
    claims[name] = value.clone();
    let found = check(&signer.sign("k", &claims), &keys(&[signer.jwk("k")]), &EXPECTED);
    assert_eq!(found.err(), fault, "{name}: {value}");
}

#[test]
fn sound_tokens_of_every_kind_of_key_hold() {
    for signer in [Signer::es256(), Signer::eddsa(), Signer::rs256()] {
        let set = keys(&[Signer::es256().jwk("other"), signer.jwk("k")]);
        let found = check(&signer.sign("k", &claims()), &set, &EXPECTED).unwrap();
        assert_eq!(found["sub"], "ada", "{}", signer.alg());
        // A provider with one key of a kind need not name it.
        let nameless = signer.token(&json!({"alg": signer.alg()}), &claims());
        assert!(check(&nameless, &set, &EXPECTED).is_ok(), "{}", signer.alg());
    }
}

#[test]
fn a_token_for_somebody_else_is_refused() {
    changed("aud", json!("other"), Some(IdTokenFault::Audience));
    changed("aud", json!(["other"]), Some(IdTokenFault::Audience));
    changed("aud", json!([]), Some(IdTokenFault::Audience));
    changed("aud", json!({"wharf": true}), Some(IdTokenFault::Audience));
    changed("aud", Value::Null, Some(IdTokenFault::Audience));
    changed("aud", json!(["wharf"]), None);
    changed("aud", json!(["wharf", "other"]), Some(IdTokenFault::AuthorizedParty));
    changed("azp", json!("wharf"), None);
    changed("azp", json!("other"), Some(IdTokenFault::AuthorizedParty));
    changed("azp", json!(["wharf"]), Some(IdTokenFault::AuthorizedParty));
}

#[test]
fn a_token_of_another_issuer_is_refused() {
    for issuer in ["https://id.example.com/", "https://evil.example", "http://id.example.com", ""] {
        changed("iss", json!(issuer), Some(IdTokenFault::Issuer));
    }
    changed("iss", json!(["https://id.example.com"]), Some(IdTokenFault::Issuer));
}

#[test]
fn a_token_of_another_time_is_refused() {
    changed("exp", json!(NOW - 61), Some(IdTokenFault::Expired));
    changed("exp", json!(NOW - 59), None);
    changed("exp", Value::Null, Some(IdTokenFault::Expired));
    changed("exp", json!("4000000000"), Some(IdTokenFault::Expired));
    changed("exp", json!(1e300), None);
    changed("iat", json!(NOW + 61), Some(IdTokenFault::Future));
    changed("iat", json!(NOW + 59), None);
    changed("nbf", json!(NOW + 3600), Some(IdTokenFault::Future));
}

#[test]
fn a_token_of_another_attempt_is_refused() {
    changed("nonce", json!("of-another"), Some(IdTokenFault::Nonce));
    changed("nonce", json!(""), Some(IdTokenFault::Nonce));
    changed("nonce", Value::Null, Some(IdTokenFault::Nonce));
    // Where nobody expects one, none is right either.
    let signer = Signer::es256();
    let mut claims = claims();
    claims["nonce"] = json!("");
    let token = signer.sign("k", &claims);
    let nothing = Expected { nonce: "", ..EXPECTED };
    let found = check(&token, &keys(&[signer.jwk("k")]), &nothing);
    assert_eq!(found, Err(IdTokenFault::Nonce));
}

#[test]
fn a_token_about_nobody_is_refused() {
    changed("sub", json!(""), Some(IdTokenFault::Subject));
    changed("sub", json!(7), Some(IdTokenFault::Subject));
    changed("sub", json!("x".repeat(256)), Some(IdTokenFault::Subject));
}

#[test]
fn nothing_but_the_providers_key_signs() {
    let (provider, other) = (Signer::es256(), Signer::es256());
    let set = keys(&[provider.jwk("k")]);
    let refused = |token: &str| check(token, &set, &EXPECTED).unwrap_err();
    assert_eq!(refused(&other.sign("k", &claims())), IdTokenFault::Signature);
    assert_eq!(refused(&other.sign("new", &claims())), IdTokenFault::UnknownKey);
    // Another kind of key under the same name.
    assert_eq!(refused(&Signer::eddsa().sign("k", &claims())), IdTokenFault::UnknownKey);
    assert_eq!(refused(&Signer::rs256().sign("k", &claims())), IdTokenFault::UnknownKey);
    // A key that the token brings along.
    let header = json!({"alg": "ES256", "kid": "k", "jwk": other.jwk("k"),
        "jku": "https://evil.example/keys"});
    assert_eq!(refused(&other.token(&header, &claims())), IdTokenFault::Signature);
    // Claims and header that were changed after signing.
    let sound = provider.sign("k", &claims());
    let parts: Vec<&str> = sound.split('.').collect();
    let mut admin = claims();
    admin["sub"] = json!("root");
    let swapped = format!("{}.{}.{}", parts[0], encode(admin.to_string()), parts[2]);
    assert_eq!(refused(&swapped), IdTokenFault::Signature);
    let short = format!("{}.{}.", parts[0], parts[1]);
    assert_eq!(refused(&short), IdTokenFault::Signature);
}

#[test]
fn no_signature_and_shared_secrets_are_no_signatures() {
    let provider = Signer::rs256();
    // A key set that even has the secret in it.
    let public = provider.jwk("k");
    let shared = json!({"kty": "oct", "kid": "k", "k": public["n"]});
    let set = keys(&[public.clone(), shared]);
    for alg in ["none", "None", "NONE", "", "HS256", "HS384", "HS512", "rs256", "ES256K", "dir"] {
        let header = encode(json!({"alg": alg, "kid": "k"}).to_string());
        let message = format!("{header}.{}", encode(claims().to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, public["n"].as_str().unwrap().as_bytes());
        let signed = encode(hmac::sign(&key, message.as_bytes()));
        for token in [format!("{message}."), format!("{message}.{signed}")] {
            let found = check(&token, &set, &EXPECTED);
            assert_eq!(found, Err(IdTokenFault::Algorithm(alg.to_owned())), "{alg}");
        }
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let provider = Signer::es256();
    let set = keys(&[provider.jwk("k")]);
    let sound = provider.sign("k", &claims());
    let long = "x".repeat(1 << 20);
    let five = format!("{sound}.a.b");
    for text in ["", ".", "..", "a.b.c", "e30.e30.", &long, &five, &format!("{sound}=")] {
        assert!(check(text, &set, &EXPECTED).is_err(), "{text:.40}");
    }
    let critical = json!({"alg": "ES256", "kid": "k", "crit": ["exp"]});
    let found = check(&provider.token(&critical, &claims()), &set, &EXPECTED);
    assert_eq!(found, Err(IdTokenFault::Critical));
}

#[test]
fn keys_for_encryption_and_broken_keys_are_passed_over() {
    let provider = Signer::es256();
    let mut for_encryption = provider.jwk("k");
    for_encryption["use"] = json!("enc");
    let token = provider.sign("k", &claims());
    let broken = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": "AA", "y": "AA"});
    let set = keys(&[for_encryption, broken.clone(), json!("nonsense"), json!({"kty": "RSA"})]);
    assert_eq!(check(&token, &set, &EXPECTED), Err(IdTokenFault::UnknownKey));
    assert!(check(&token, &keys(&[broken, provider.jwk("k")]), &EXPECTED).is_ok());
}
