//! Figures of containers over time: `GET containers/{uuid}/metrics` for one, `GET usage` for all that run.

use axum::Json;
use axum::extract::State;
use history::Span;
use model::ContainerUuid;
use model::filter::{self, ListQuery};
use model::metrics::ContainerMetrics;
use serde_json::{Value, json};
use store::Resource;

use super::logs;
use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::figures;
use crate::resources::ByUuid;
use crate::router::Api;

/// Running containers that are told of at once, those that started last.
const RUNNING_MAX: u32 = 1000;

/// Of a container, named itself or by a request, over `range` (15m, 1h, 24h or 7d; 15m where it is not said). Whoever
/// may read its logs may read these.
pub(crate) async fn of_container(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<ContainerMetrics>, ApiError> {
    let span = match call.parameters.text("range") {
        None => Span::Quarter,
        Some(word) => Span::parse(word)
            .ok_or_else(|| ApiError::field("range", "must be 15m, 1h, 24h or 7d"))?,
    };
    let uuid = logs::find(&api, &call, &path.uuid).await?;
    let container = api.store().container(uuid).await?;
    let container = container.ok_or_else(|| ApiError::no_such("container", uuid.as_str()))?;
    let figures = api.figures().of(&uuid, span).await.map_err(|words| failed(&words))?;
    Ok(Json(figures::metrics_of(&container, span, &figures)))
}

/// What each running container that the caller may read used in the last 15 minutes.
pub(crate) async fn running(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    let schema = Resource::Containers.schema();
    let query = ListQuery {
        filters: filter::parse_filters(schema, &json!([["state", "=", "Running"]]))?,
        select: Some(vec!["uuid"]),
        limit: RUNNING_MAX,
        count: false,
        ..ListQuery::all(schema)
    };
    let page = api.store().list(Resource::Containers, &query, &call.caller.reader()).await?;
    let uuid = |item: &Value| ContainerUuid::parse(item.as_str()?).ok();
    let uuids: Vec<ContainerUuid> =
        page.items.iter().filter_map(|item| item.get("uuid").and_then(uuid)).collect();
    let usages = api.figures().usages(uuids.clone(), Span::Quarter).await;
    let usages = usages.map_err(|words| failed(&words))?;
    let items = uuids.into_iter().zip(&usages);
    let items: Vec<_> = items.map(|(uuid, usage)| figures::recent_of(uuid, usage)).collect();
    Ok(Json(json!({ "items": items })))
}

fn failed(words: &str) -> ApiError {
    ApiError::Failed(format!("cannot read what was measured: {words}"))
}
