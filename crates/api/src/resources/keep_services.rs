//! Keep services: there is one, ourselves. Public, as in Arvados.

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::Uri;
use serde_json::{Value, json};

use super::ByUuid;
use crate::error::ApiError;
use crate::router::Api;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/arvados/v1/keep_services", get(list))
        .route("/arvados/v1/keep_services/accessible", get(list))
        .route("/arvados/v1/keep_services/{uuid}", get(read))
}

async fn list(State(api): State<Api>) -> Json<Value> {
    Json(json!({
        "kind": "arvados#keepServiceList",
        "etag": "",
        "self_link": "",
        "offset": 0,
        "limit": 100,
        "items_available": 1,
        "items": [ourselves(&api)],
    }))
}

async fn read(State(api): State<Api>, Path(path): Path<ByUuid>) -> Result<Response, ApiError> {
    let service = ourselves(&api);
    if service["uuid"] == path.uuid.as_str() {
        Ok(Json(service).into_response())
    } else {
        Err(ApiError::no_such("keep service", &path.uuid))
    }
}

fn ourselves(api: &Api) -> Value {
    let cluster = api.store().cluster();
    let uri: Uri = api.config().external_url.parse().unwrap_or_default();
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
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
        // The clients that ask for this reached us by TLS: they know no other way. Both are served on
        // one port.
        "service_ssl_flag": true,
        "service_type": "disk",
        "read_only": false,
    })
}
