//! `GET status` and `GET healthz`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::{Value, json};
use store::{Resource, StoreError};

use crate::call::Call;
use crate::error::ApiError;
use crate::router::Api;

/// Whether we can serve: the database answers. Public, says nothing else.
pub(crate) async fn healthz(State(api): State<Api>) -> Response {
    match api.store().ping().await {
        Ok(()) => "ok\n".into_response(),
        Err(error) => {
            tracing::error!(?error, "not healthy");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response()
        }
    }
}

/// Version, counts, what is free for containers, and why each waiting container waits (one's own; all for administrators).
pub(crate) async fn status(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    let store = api.store();
    let mut queue = Vec::new();
    for (place, (uuid, reason)) in (1_u64..).zip(store.queue().await?) {
        let mine = call.caller.user.is_admin || is_visible(&api, &call, uuid.as_str()).await?;
        if mine {
            let reason = Some(reason).filter(|reason| !reason.is_empty());
            queue.push(json!({ "container_uuid": uuid, "place": place, "reason": reason }));
        }
    }
    Ok(Json(json!({
        "version": api.config().version,
        "cluster_id": store.cluster().as_str(),
        "containers": store.count_containers().await?,
        "requests": store.count_requests().await?,
        "queue": queue,
        "capacity": api.site().capacity().await?,
    })))
}

async fn is_visible(api: &Api, call: &Call, uuid: &str) -> Result<bool, StoreError> {
    let found = api.store().get(Resource::Containers, uuid, &call.caller.reader()).await?;
    Ok(found.is_some())
}
