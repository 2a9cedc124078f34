//! Records as tests make them.

use model::{Container, ContainerRequest, Link, User};
use serde_json::{Value, json};

use super::{TIME, USER};

pub(crate) fn user() -> User {
    serde_json::from_value(json!({
        "uuid": USER, "owner_uuid": "wharf-tpzed-000000000000000", "created_at": TIME,
        "modified_at": TIME, "modified_by_user_uuid": USER, "email": "ada@example.com",
        "username": "ada", "first_name": "Ada", "last_name": "Lovelace", "identity_url": null,
        "is_active": true, "is_admin": true, "prefs": {},
    }))
    .unwrap()
}

/// A committed service request named `name` with `ports`, container number `number`.
pub(crate) fn request(number: u32, name: &str, ports: &Value) -> ContainerRequest {
    serde_json::from_value(json!({
        "uuid": format!("wharf-xvhdp-{number:015}"), "owner_uuid": USER, "created_at": TIME,
        "modified_at": TIME, "modified_by_user_uuid": USER, "name": name, "description": null,
        "properties": {}, "state": "Committed", "requesting_container_uuid": null,
        "container_uuid": format!("wharf-dz642-{number:015}"), "container_count": 1,
        "container_count_max": 1, "mounts": {},
        "runtime_constraints": { "API": false, "gpu": {}, "keep_cache_disk": 0,
            "keep_cache_ram": 0, "ram": 1_073_741_824_u64, "vcpus": 1 },
        "scheduling_parameters": {}, "container_image": "sha256:0a1b2c3d4e5f", "environment": {},
        "cwd": ".", "command": ["jupyter", "lab", "--ip=127.0.0.1"], "output_path": "/out",
        "output_glob": [], "output_name": null, "output_ttl": 0, "priority": 500,
        "use_existing": false, "log_uuid": null, "output_uuid": null, "expires_at": null,
        "filters": null, "output_storage_classes": [], "output_properties": {},
        "cumulative_cost": 0.0, "service": true, "published_ports": ports,
    }))
    .unwrap()
}

/// The container of [`request`] in `state`; `ready` is when its ports answered.
pub(crate) fn container(of: &ContainerRequest, state: &str, ready: Option<&str>) -> Container {
    let mut ports = serde_json::to_value(&of.published_ports).unwrap();
    let started = matches!(state, "Running" | "Complete");
    if started {
        for entry in ports.as_object_mut().unwrap().values_mut() {
            entry["base_url"] = "http://ignored.example/".into();
            entry["initial_url"] = "javascript:alert(1)".into();
            entry["external_port"] = Value::Null;
            entry["ready"] = ready.is_some().into();
            entry["ready_at"] = ready.into();
        }
    }
    let over = matches!(state, "Complete" | "Cancelled");
    serde_json::from_value(json!({
        "uuid": of.container_uuid, "owner_uuid": USER, "created_at": of.created_at,
        "modified_at": of.modified_at, "modified_by_user_uuid": USER, "state": state,
        "command": of.command, "container_image": of.container_image, "cwd": ".",
        "environment": {}, "exit_code": null,
        "started_at": started.then_some(of.created_at), "finished_at": over.then_some(of.modified_at),
        "locked_by_uuid": null, "lock_count": 1, "log": null, "output": null, "mounts": {},
        "output_path": "/out", "output_glob": [], "priority": 500, "progress": null,
        "runtime_constraints": of.runtime_constraints, "runtime_status": {},
        "scheduling_parameters": {}, "auth_uuid": null, "runtime_user_uuid": null,
        "runtime_auth_scopes": [], "gateway_address": null, "interactive_session_started": false,
        "output_storage_classes": [], "output_properties": {}, "cost": 0.0,
        "subrequests_cost": 0.0, "service": true, "published_ports": ports,
    }))
    .unwrap()
}

/// A host name link.
pub(crate) fn link(number: u32, name: &str, head: &str, port: u16) -> Link {
    serde_json::from_value(json!({
        "uuid": format!("wharf-o0j2j-{number:015}"), "owner_uuid": USER, "created_at": TIME,
        "modified_at": TIME, "modified_by_user_uuid": USER, "link_class": "hostname",
        "name": name, "tail_uuid": null, "head_uuid": head, "properties": { "port": port },
    }))
    .unwrap()
}

/// A collection of this manifest.
pub(crate) fn collection(number: u32, name: &str, manifest_text: &str) -> Value {
    json!({
        "uuid": format!("wharf-4zz18-{number:015}"), "owner_uuid": USER, "name": name,
        "modified_at": TIME, "portable_data_hash": "d41d8cd98f00b204e9800998ecf8427e+0",
        "file_count": manifest_text.matches(':').count() / 2, "file_size_total": 33,
        "manifest_text": manifest_text,
    })
}
