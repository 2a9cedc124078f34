//! An API of a few routes, and servers that behave in known ways.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::{Query, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use client::{Client, TlsTrust};
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode};
use model::ApiToken;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub(crate) const USER: &str = "wharf-tpzed-0123456789abcde";
const TOKEN: &str = "v2/wharf-gj3su-0123456789abcde/0123456789abcdefghijklmnopqrstuvwxyz";
const TIME: &str = "2026-11-23T20:00:00.000000000Z";

pub(crate) fn token() -> ApiToken {
    ApiToken::parse(TOKEN).unwrap()
}

/// The user's record, for the right token only.
async fn current(headers: HeaderMap) -> Response {
    let expected = format!("Bearer {TOKEN}");
    if headers.get("authorization").is_none_or(|value| value.as_bytes() != expected.as_bytes()) {
        let body = json!({ "errors": ["Not logged in", "(req-123)"] });
        return (StatusCode::UNAUTHORIZED, [("x-request-id", "req-123")], Json(body))
            .into_response();
    }
    Json(json!({
        "uuid": USER, "owner_uuid": USER, "created_at": TIME, "modified_at": TIME,
        "modified_by_user_uuid": USER, "email": "e", "username": "u", "first_name": "",
        "last_name": "", "identity_url": null, "is_active": true, "is_admin": true, "prefs": {},
        "kind": "arvados#user", "etag": "x",
    }))
    .into_response()
}

async fn import(Query(query): Query<Value>, request: Request) -> Response {
    if query["name"] == "refused" {
        // As for a token that may not: the archive is not looked at.
        let body = json!({ "errors": ["only administrators import images"] });
        return (StatusCode::FORBIDDEN, Json(body)).into_response();
    }
    let mut n_bytes: u64 = 0;
    let mut body = request.into_body().into_data_stream();
    while let Some(piece) = body.next().await {
        n_bytes += piece.unwrap().len() as u64;
    }
    let name = query["name"].as_str().unwrap_or("none");
    Json(json!({ "id": "sha256:x", "names": [name], "size_bytes": n_bytes, "layers": 1 }))
        .into_response()
}

/// A body that gives one piece at once and the other when told to.
fn in_two_parts(first: &'static str, second: &'static str, go_on: Arc<Notify>) -> Body {
    let later = async move {
        go_on.notified().await;
        Ok::<_, Infallible>(Bytes::from(second))
    };
    let first = futures_util::stream::iter([Ok(Bytes::from(first))]);
    Body::from_stream(first.chain(futures_util::stream::once(later)))
}

/// The API. Its streams give their second part once `go_on` is notified.
pub(crate) fn router(go_on: &Arc<Notify>) -> Router {
    let (log_go_on, event_go_on) = (Arc::clone(go_on), Arc::clone(go_on));
    let logs = move |request: Request| async move {
        assert_eq!(request.uri().query(), Some("stream=all&follow=true&tail=7"));
        in_two_parts("one\ntw", "o\n", log_go_on)
    };
    let events = || async move {
        let first = ": hello\n\nevent: change\ndata: {\"kind\":\"link\",\"uuid\":\"a\"}\n\n";
        let body = in_two_parts(first, "event: everything\ndata: {}\n\n", event_go_on);
        ([("content-type", "text/event-stream")], body)
    };
    let silly = || async { (StatusCode::BAD_GATEWAY, "<html>nginx</html>") };
    let list = |Query(query): Query<Value>| async move {
        assert_eq!(query["filters"], r#"[["name","=","a&b"]]"#);
        Json(json!({ "items": [], "items_available": 7 }))
    };
    Router::new()
        .route("/arvados/v1/users/current", get(current))
        .route("/arvados/v1/container_requests", get(list))
        .route("/arvados/v1/api_client_authorizations", get(silly))
        .route("/wharf/v1/status", get(|| async { "this is no JSON" }))
        .route("/wharf/v1/images", post(import))
        .route("/wharf/v1/logs/{uuid}", get(logs))
        .route("/wharf/v1/events", get(events))
}

/// The API on a port of its own, until dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) n_connections: Arc<AtomicUsize>,
    pub(crate) go_on: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let n_connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&n_connections);
        let go_on = Arc::new(Notify::new());
        let router = router(&go_on);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            use axum::serve::ListenerExt;
            let counted = listener.tap_io(move |_socket| {
                counter.fetch_add(1, Ordering::Relaxed);
            });
            axum::serve(counted, router).await.unwrap();
        });
        Self { address, n_connections, go_on, _tasks: tasks }
    }

    pub(crate) fn client(&self) -> Client {
        let base_url = format!("http://{}/", self.address);
        Client::http(&base_url, token(), &TlsTrust::System).unwrap()
    }
}
