//! A provider on loopback: honest unless told otherwise.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use oidc::{Attempt, Provider, ProviderConfig};
use outbound::TlsTrust;
use serde_json::{Value, json};

use crate::signer::Signer;

pub(crate) const CODE: &str = "code-1";

pub(crate) struct Behaviour {
    pub(crate) signer: Signer,
    pub(crate) kid: &'static str,
    /// What the key set has, where that is not the signer's key.
    pub(crate) keys: Option<Value>,
    /// Put over the document, the ID token's claims and the answer of userinfo.
    pub(crate) document: Value,
    pub(crate) claims: Value,
    pub(crate) userinfo: Value,
    /// What the discovery endpoint does instead of answering.
    pub(crate) fault: Option<Fault>,
    /// What the token endpoint was last sent: the header, then the form.
    pub(crate) redeemed: Option<(String, Vec<(String, String)>)>,
    /// The nonce of the attempt under way.
    pub(crate) nonce: String,
}

#[derive(Clone, Copy)]
pub(crate) enum Fault {
    Status(StatusCode),
    Silence,
    Endless,
    Redirect,
}

#[derive(Clone)]
pub(crate) struct FakeProvider {
    pub(crate) issuer: String,
    behaviour: Arc<Mutex<Behaviour>>,
    pub(crate) n_documents: Arc<AtomicUsize>,
    pub(crate) n_keys: Arc<AtomicUsize>,
}

impl FakeProvider {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let behaviour = Behaviour {
            signer: Signer::es256(),
            kid: "first",
            keys: None,
            document: json!({}),
            claims: json!({"email": "ada@example.com", "email_verified": true}),
            userinfo: json!({}),
            fault: None,
            redeemed: None,
            nonce: String::new(),
        };
        let fake = Self {
            issuer,
            behaviour: Arc::new(Mutex::new(behaviour)),
            n_documents: Arc::default(),
            n_keys: Arc::default(),
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    pub(crate) fn behave(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().unwrap()
    }

    pub(crate) fn config(&self) -> ProviderConfig {
        let mut config = ProviderConfig::new(&self.issuer, "wharf", "https://wharf/login");
        config.client_secret = Some("s&cret".to_owned());
        config.timeout = Duration::from_millis(500);
        config.key_refresh_min = Duration::ZERO;
        config
    }

    /// An attempt as a browser begins it; the provider hears of its nonce.
    pub(crate) async fn begin(&self, provider: &Provider) -> (Attempt, String) {
        let (attempt, url) = provider.begin().await.unwrap();
        self.behave().nonce = attempt.nonce.clone();
        (attempt, url)
    }
}

/// Whom it believes does not matter: these providers speak http on loopback.
pub(crate) fn provider(config: ProviderConfig) -> Provider {
    Provider::new(config, &TlsTrust::Insecure).unwrap()
}

fn over(mut under: Value, over: &Value) -> Value {
    for (name, value) in over.as_object().unwrap() {
        under[name] = value.clone();
    }
    under
}

async fn document(State(fake): State<FakeProvider>) -> Response {
    fake.n_documents.fetch_add(1, Ordering::SeqCst);
    let fault = fake.behave().fault;
    match fault {
        Some(Fault::Status(status)) => return status.into_response(),
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Endless) => return " ".repeat(8 << 20).into_response(),
        Some(Fault::Redirect) => return Redirect::to("/keys").into_response(),
        None => {}
    }
    let at = |path: &str| format!("{}{path}", fake.issuer);
    let usual = json!({
        "issuer": fake.issuer, "authorization_endpoint": at("/auth?tenant=a"),
        "token_endpoint": at("/token"), "jwks_uri": at("/keys"),
        "userinfo_endpoint": at("/userinfo"), "end_session_endpoint": at("/end"),
    });
    Json(over(usual, &fake.behave().document)).into_response()
}

async fn keys(State(fake): State<FakeProvider>) -> Json<Value> {
    fake.n_keys.fetch_add(1, Ordering::SeqCst);
    let behaviour = fake.behave();
    let own = || json!([behaviour.signer.jwk(behaviour.kid)]);
    Json(json!({ "keys": behaviour.keys.clone().unwrap_or_else(own) }))
}

async fn token(State(fake): State<FakeProvider>, headers: HeaderMap, form: Bytes) -> Response {
    let form: Vec<(String, String)> = form_urlencoded::parse(&form).into_owned().collect();
    let value = |name: &str| form.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone());
    let is_right = value("code").as_deref() == Some(CODE);
    let authorization = headers.get(header::AUTHORIZATION).map(|it| it.to_str().unwrap());
    let mut behaviour = fake.behave();
    behaviour.redeemed = Some((authorization.unwrap_or_default().to_owned(), form));
    if !is_right {
        let words = json!({"error": "invalid_grant", "error_description": "no such code"});
        return (StatusCode::BAD_REQUEST, Json(words)).into_response();
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let usual = json!({"iss": fake.issuer, "aud": "wharf", "sub": "1234", "iat": now,
        "exp": now + 60, "nonce": behaviour.nonce});
    let claims = over(usual, &behaviour.claims);
    let id_token = behaviour.signer.sign(behaviour.kid, &claims);
    Json(json!({"access_token": "at-1", "token_type": "Bearer", "id_token": id_token}))
        .into_response()
}

async fn userinfo(State(fake): State<FakeProvider>, headers: HeaderMap) -> Response {
    if headers.get(header::AUTHORIZATION).is_none_or(|it| it != "Bearer at-1") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let usual = json!({"sub": "1234", "email": "by@userinfo", "email_verified": true});
    Json(over(usual, &fake.behave().userinfo)).into_response()
}
