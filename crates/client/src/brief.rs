//! Requests and containers for lists: asked for without what only their own pages show, which is two thirds of them.

use std::sync::LazyLock;

use model::{Container, ContainerRequest, JsonMap};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::call::{Client, not_understood};
use crate::error::ClientError;
use crate::list::{ListQuery, Page};

const REQUEST: [&str; 11] = [
    "uuid",
    "owner_uuid",
    "created_at",
    "modified_at",
    "modified_by_user_uuid",
    "name",
    "state",
    "container_uuid",
    "priority",
    "service",
    "published_ports",
];
const CONTAINER: [&str; 10] = [
    "uuid",
    "created_at",
    "modified_at",
    "modified_by_user_uuid",
    "state",
    "exit_code",
    "started_at",
    "finished_at",
    "runtime_status",
    "published_ports",
];

/// What the attributes that were not asked for are.
static BLANK_REQUEST: LazyLock<JsonMap> = LazyLock::new(|| {
    blank(json!({
        "description": null, "properties": {}, "requesting_container_uuid": null, "container_count": 0,
        "container_count_max": 0, "mounts": {}, "runtime_constraints": {}, "scheduling_parameters": {},
        "container_image": "", "environment": {}, "cwd": "", "command": [], "output_path": "",
        "output_glob": [], "output_name": null, "output_ttl": 0, "use_existing": false, "log_uuid": null,
        "output_uuid": null, "expires_at": null, "filters": null, "output_storage_classes": [],
        "output_properties": {}, "cumulative_cost": 0.0,
    }))
});
static BLANK_CONTAINER: LazyLock<JsonMap> = LazyLock::new(|| {
    blank(json!({
        "owner_uuid": "", "command": [], "container_image": "", "cwd": "", "environment": {},
        "locked_by_uuid": null, "lock_count": 0, "log": null, "output": null, "mounts": {},
        "output_path": "", "output_glob": [], "priority": 0, "progress": null,
        "runtime_constraints": {}, "scheduling_parameters": {}, "auth_uuid": null,
        "runtime_user_uuid": null, "runtime_auth_scopes": [], "gateway_address": null,
        "interactive_session_started": false, "output_storage_classes": [], "output_properties": {},
        "cost": 0.0, "subrequests_cost": 0.0, "service": false,
    }))
});

fn blank(value: Value) -> JsonMap {
    match value {
        Value::Object(map) => map,
        _ => JsonMap::new(),
    }
}

impl Client {
    /// Requests with name, state, owner, times, container and ports; everything else is blank.
    pub async fn list_requests_briefly(
        &self,
        query: ListQuery,
    ) -> Result<Vec<ContainerRequest>, ClientError> {
        let path = query.select(&REQUEST).path("/arvados/v1/container_requests");
        self.briefly(&path, &BLANK_REQUEST).await
    }

    /// Containers with state, times, end and ports; everything else is blank.
    pub async fn list_containers_briefly(
        &self,
        query: ListQuery,
    ) -> Result<Vec<Container>, ClientError> {
        let path = query.select(&CONTAINER).path("/arvados/v1/containers");
        self.briefly(&path, &BLANK_CONTAINER).await
    }

    async fn briefly<T: DeserializeOwned>(
        &self,
        path: &str,
        blank: &JsonMap,
    ) -> Result<Vec<T>, ClientError> {
        let page: Page<JsonMap> = self.get(path).await?;
        let whole = |item: JsonMap| {
            let mut whole = blank.clone();
            whole.extend(item);
            serde_json::from_value(whole.into())
        };
        let items: Result<Vec<T>, _> = page.items.into_iter().map(whole).collect();
        items.map_err(|source| not_understood("a list", source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is neither asked for nor blank would be missing, and each list fail.
    fn check<T: DeserializeOwned>(asked: &[&str], blank: &JsonMap, record: &Value) {
        let mut whole = blank.clone();
        for name in asked {
            assert!(!blank.contains_key(*name), "{name} is asked for");
            whole.insert((*name).to_owned(), record[*name].clone());
        }
        assert!(serde_json::from_value::<T>(whole.into()).is_ok());
    }

    #[test]
    fn what_is_asked_for_and_what_is_blank_make_a_whole_record() {
        let time = "2026-11-23T20:58:45.123456789Z";
        let record = json!({
            "uuid": "wharf-xvhdp-000000000000001", "owner_uuid": "x", "created_at": time,
            "modified_at": time, "modified_by_user_uuid": "wharf-tpzed-000000000000001",
            "name": "n", "state": "Committed", "container_uuid": null, "priority": 1,
            "service": true, "published_ports": {},
        });
        check::<ContainerRequest>(&REQUEST, &BLANK_REQUEST, &record);
        let record = json!({
            "uuid": "wharf-dz642-000000000000001", "created_at": time, "modified_at": time,
            "modified_by_user_uuid": "wharf-tpzed-000000000000001", "state": "Running",
            "exit_code": null, "started_at": null, "finished_at": null, "runtime_status": {},
            "published_ports": {},
        });
        check::<Container>(&CONTAINER, &BLANK_CONTAINER, &record);
    }
}
