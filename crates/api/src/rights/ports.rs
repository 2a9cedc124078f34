//! Query and fragment of a private port's initial path often hold a token of the app (`?token=…`). Whoever reads a
//! request that was shared, and may not open its ports, sees the path without them (SECURITY row 43).

use model::{JsonMap, Level};
use serde_json::Value;
use store::Resource;

use crate::call::Call;
use crate::error::ApiError;
use crate::router::Api;

/// Cuts them off where the caller may neither write the request nor has submitted the container.
pub(super) async fn cut_secrets(
    resource: Resource,
    api: &Api,
    call: &Call,
    items: &mut [JsonMap],
) -> Result<(), ApiError> {
    if call.caller.user.is_admin {
        return Ok(());
    }
    for item in items {
        // Few have any, so that each of these may cost a look-up.
        if has_secrets(item) && !may_see(resource, api, call, item).await? {
            cut(item);
        }
    }
    Ok(())
}

fn has_secrets(item: &JsonMap) -> bool {
    let Some(Value::Object(ports)) = item.get("published_ports") else { return false };
    let has = |port: &Value, name: &str| {
        port[name].as_str().is_some_and(|path| path.contains(['?', '#']))
    };
    ports.values().any(|port| {
        port["access"] != "public" && (has(port, "initial_path") || has(port, "initial_url"))
    })
}

async fn may_see(
    resource: Resource,
    api: &Api,
    call: &Call,
    item: &JsonMap,
) -> Result<bool, ApiError> {
    let user = call.caller.user.uuid;
    let text = |name: &str| item.get(name).and_then(Value::as_str);
    if resource == Resource::Containers {
        return Ok(text("runtime_user_uuid") == Some(user.as_str()));
    }
    let Some(uuid) = text("uuid") else { return Ok(false) };
    let rights = api.store().rights(&call.reader()?, uuid).await?;
    Ok(rights.is_some_and(|rights| rights.level >= Level::Write))
}

fn cut(item: &mut JsonMap) {
    let Some(Value::Object(ports)) = item.get_mut("published_ports") else { return };
    for port in ports.values_mut().filter(|port| port["access"] != "public") {
        for name in ["initial_path", "initial_url"] {
            if let Some(Value::String(path)) = port.get_mut(name) {
                let end = path.find(['?', '#']).unwrap_or(path.len());
                path.truncate(end);
            }
        }
    }
}
