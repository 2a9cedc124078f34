//! `POST container_requests/{uuid}/extend`: a running service does not end by itself before so many seconds are over.

use axum::Json;
use axum::extract::State;
use model::life::{self, IDLE_TIME, MAX_RUN_TIME, NOTICE, duration_words};
use model::{Container, ContainerState, LifeLimits, Timestamp, request_rules};
use serde_json::Value;
use std::time::Duration;

use crate::call::Call;
use crate::error::ApiError;
use crate::extract::Path;
use crate::lives;
use crate::resources::{ByUuid, writable_request};
use crate::router::Api;
use crate::settle::settle;

/// A year: longer is a change of the request's limits.
const SECONDS_MAX: u64 = 366 * 86_400;

/// Answers `last_used_at`, `stops_at` and `stops_because` as they are then.
pub(crate) async fn extend(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let seconds = call.body().get("seconds").and_then(Value::as_u64).unwrap_or(0);
    if seconds == 0 || seconds > SECONDS_MAX {
        let problem = format!("must be an integer from 1 to {SECONDS_MAX}");
        return Err(ApiError::field("seconds", problem));
    }
    let until = life::after(api.store().now(), Duration::from_secs(seconds));
    let container = live_longer(&api, &call, &path.uuid, until).await?;
    let store = api.store();
    if LifeLimits::of(&container.scheduling_parameters).idle.is_some() {
        store.keep_until(container.uuid, until).await?;
    }
    // What was told of an end does not hold any more; the dispatcher tells it again where it does.
    let mut status = container.runtime_status.clone();
    let told = status.get("warning").and_then(Value::as_str);
    if told.is_some_and(|words| words.starts_with(NOTICE)) {
        status.shift_remove("warning");
        store.tell_end(container.uuid, status, None).await?;
    }
    let notes = store.lives(&[container.uuid]).await?.remove(&container.uuid).unwrap_or_default();
    Ok(Json(lives::said(&api, &container, &notes, store.now()).into()))
}

/// Raises `max_run_time` where it would end earlier. Answers the container that runs.
async fn live_longer(
    api: &Api,
    call: &Call,
    uuid: &str,
    until: Timestamp,
) -> Result<Container, ApiError> {
    settle(|| async {
        let before = writable_request(api, call, uuid).await?;
        let container = match before.container_uuid {
            Some(container) => api.store().container(container).await?,
            None => None,
        };
        let running = container.filter(|it| {
            it.state == ContainerState::Running && it.priority > 0 && it.started_at.is_some()
        });
        let Some(container) = running else {
            let problem = "can only be extended while it runs, and nobody has stopped it";
            return Err(ApiError::field("state", problem));
        };
        let Some(limit) = LifeLimits::of(&before.scheduling_parameters).max_run else {
            return Ok(container);
        };
        let started_at = container.started_at.unwrap_or(until);
        let age = until.as_jiff().duration_since(started_at.as_jiff());
        let age = Duration::try_from(age).unwrap_or_default();
        if age <= limit {
            return Ok(container);
        }
        let most = api.config().lives.of_services.max_run.max;
        if let Some(most) = most.filter(|most| before.service && age > *most) {
            let problem = format!(
                "is too long: it has run for {} then, and services of this site may run for {} at most",
                duration_words(age),
                duration_words(most)
            );
            return Err(ApiError::field("seconds", problem));
        }
        let seconds = age.as_secs() + u64::from(age.subsec_nanos() > 0);
        let mut after = before.clone();
        after.scheduling_parameters.insert(MAX_RUN_TIME.to_owned(), seconds.into());
        let _saved = api.store().update_request(before, after, None, call.caller.user.uuid).await?;
        // As it is now, with its new limit.
        let again = api.store().container(container.uuid).await?;
        again.ok_or_else(|| ApiError::no_such("container", uuid))
    })
    .await
}

/// Holds what is said of a running request's life to the site's limits, where it changes.
pub(crate) fn check_change(
    api: &Api,
    before: &model::ContainerRequest,
    after: &mut model::ContainerRequest,
) -> Result<(), ApiError> {
    let life_of = |request: &model::ContainerRequest| {
        let of = |name| request.scheduling_parameters.get(name).cloned();
        (of(MAX_RUN_TIME), of(IDLE_TIME))
    };
    if before.state == model::RequestState::Committed && life_of(before) != life_of(after) {
        request_rules::limit_life(after, &api.config().lives.of_services)?;
    }
    Ok(())
}
