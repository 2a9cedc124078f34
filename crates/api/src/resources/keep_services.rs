//! Keep services: there is one, ourselves. Public, as in Arvados.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::Uri;
use serde_json::{Value, json};

use super::ByUuid;
use crate::error::ApiError;
use crate::extract::Path;
use crate::public_url::PublicUrl;
use crate::router::Api;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/keep_services", get(list))
        .route("/arvados/v1/keep_services/accessible", get(list))
        .route("/arvados/v1/keep_services/{uuid}", get(read))
}

async fn list(State(api): State<Api>, public: PublicUrl) -> Json<Value> {
    Json(json!({
        "kind": "arvados#keepServiceList",
        "etag": "",
        "self_link": "",
        "offset": 0,
        "limit": 100,
        "items_available": 1,
        "items": [ourselves(&api, &public)],
    }))
}

async fn read(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    public: PublicUrl,
) -> Result<Response, ApiError> {
    let service = ourselves(&api, &public);
    if service["uuid"] == path.uuid.as_str() {
        Ok(Json(service).into_response())
    } else {
        Err(ApiError::no_such("keep service", &path.uuid))
    }
}

/// At the address that the caller used.
fn ourselves(api: &Api, public: &PublicUrl) -> Value {
    let cluster = api.store().cluster();
    let uri: Uri = public.0.parse().unwrap_or_default();
    let is_tls = uri.scheme_str() == Some("https");
    let usual = if is_tls { 443 } else { 80 };
    json!({
        "kind": "arvados#keepService",
        "etag": "",
        "uuid": format!("{cluster}-bi6l4-000000000000000"),
        "owner_uuid": format!("{cluster}-tpzed-000000000000000"),
        "created_at": null,
        "modified_at": null,
        "modified_by_user_uuid": null,
        "service_host": uri.host().unwrap_or("localhost").trim_matches(['[', ']']),
        "service_port": uri.port_u16().unwrap_or(usual),
        "service_ssl_flag": is_tls,
        "service_type": "disk",
        "read_only": false,
    })
}
