//! What the API says of a running container's life: when it was last used, when it ends by itself, and why. Computed, as
//! it changes with the clock.

use model::{Container, ContainerUuid, JsonMap, LifeNotes, Timestamp};
use serde_json::Value;
use store::StoreError;

use crate::call::Call;
use crate::error::ApiError;
use crate::router::Api;

/// Attributes of containers; null where there is nothing to say.
pub(crate) const ATTRIBUTES: &[&str] = &["last_used_at", "stops_at", "stops_because"];

/// Adds them to containers as they were read, unless other attributes alone were selected.
pub(crate) async fn add(api: &Api, call: &Call, items: &mut [JsonMap]) -> Result<(), ApiError> {
    if let Value::Array(selected) = call.parameters.texts("select")?
        && !selected.iter().any(|name| ATTRIBUTES.iter().any(|ours| name == ours))
    {
        return Ok(());
    }
    let running = |item: &JsonMap| item.get("state").is_none_or(|state| state == "Running");
    let uuids: Vec<ContainerUuid> =
        items.iter().filter(|item| running(item)).filter_map(uuid_of).collect();
    if uuids.is_empty() {
        return Ok(());
    }
    let lives = api.store().lives(&uuids).await?;
    let now = api.store().now();
    for item in items.iter_mut().filter(|item| running(item)) {
        let Some(container) = whole(api, item).await? else { continue };
        let notes = lives.get(&container.uuid).copied().unwrap_or_default();
        item.extend(said(api, &container, &notes, now));
    }
    Ok(())
}

/// The attributes of one.
pub(crate) fn said(api: &Api, container: &Container, notes: &LifeNotes, now: Timestamp) -> JsonMap {
    let life = notes.life_of(container);
    let end = life
        .filter(|_| container.priority > 0)
        .and_then(|life| life.planned_end(api.config().lives.policy, now));
    let values = [
        life.map_or(Value::Null, |life| life.used_at.to_string().into()),
        end.map_or(Value::Null, |end| end.at.to_string().into()),
        end.map_or(Value::Null, |end| end.why.as_str().into()),
    ];
    ATTRIBUTES.iter().map(|name| (*name).to_owned()).zip(values).collect()
}

fn uuid_of(item: &JsonMap) -> Option<ContainerUuid> {
    ContainerUuid::parse(item.get("uuid")?.as_str()?).ok()
}

/// The record: the item itself, or read again where only some attributes were selected.
async fn whole(api: &Api, item: &JsonMap) -> Result<Option<Container>, StoreError> {
    match serde_json::from_value(Value::Object(item.clone())) {
        Ok(container) => Ok(Some(container)),
        Err(_selected) => match uuid_of(item) {
            Some(uuid) => api.store().container(uuid).await,
            None => Ok(None),
        },
    }
}
