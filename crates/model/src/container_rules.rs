//! What may be said about a container over the API, and by whom.
//!
//! The rules are those of Arvados 3.2: while it runs, a container's own program may tell how it is and what it made;
//! a dispatcher takes it through its states. Pure: the record and the attributes go in, the record as it shall be or
//! every problem comes out.

use serde_json::Value;

use crate::records::{Container, JsonMap, is_read_only};
use crate::{ContainerState, FieldError};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The container's own program, by the token it was given.
    Program,
    /// A dispatcher: an administrator.
    Dispatcher,
}

/// Attributes that clients send back as they got them, and that only we set.
const READ_ONLY: &[&str] = &["owner_uuid"];

/// Texts in a container's `runtime_status`.
const STATUS_TEXTS: &[&str] = &[
    "error",
    "errorDetail",
    "warning",
    "warningDetail",
    "activity",
    "activityDetail",
    "preemptionNotice",
];

/// `before` with the attributes that were sent.
///
/// # Errors
/// Every problem, each naming its field.
pub fn change_container(
    before: &Container,
    attributes: &JsonMap,
    speaker: Speaker,
) -> Result<Container, Vec<FieldError>> {
    let mut after = before.clone();
    let mut problems = Vec::new();
    for (name, value) in attributes {
        if let Err(problem) = set(&mut after, name, value, speaker) {
            problems.push(FieldError::new(name.chars().take(60).collect::<String>(), problem));
        }
    }
    if !before.state.can_become(after.state) {
        let problem = format!("cannot go from {} to {}", before.state, after.state);
        problems.push(FieldError::new("state", problem));
    }
    if before.state.is_over() && after != *before {
        let problem = "cannot change: the container is over";
        problems.push(FieldError::new("state", problem));
    }
    if speaker == Speaker::Program && before.state != ContainerState::Running {
        problems.push(FieldError::new("state", "the program may speak only while it is Running"));
    }
    if after.state != ContainerState::Complete && after.exit_code.is_some() {
        problems.push(FieldError::new("exit_code", "belongs to a container that is Complete"));
    }
    if problems.is_empty() { Ok(after) } else { Err(problems) }
}

fn set(
    container: &mut Container,
    name: &str,
    value: &Value,
    speaker: Speaker,
) -> Result<(), String> {
    if is_read_only(name, READ_ONLY) {
        return Ok(());
    }
    match name {
        "runtime_status" => container.runtime_status = runtime_status(value)?,
        "output" => container.output = content_hash(value)?,
        "output_properties" => container.output_properties = object(value)?,
        "progress" => container.progress = number(value)?,
        "cost" => container.cost = number(value)?.unwrap_or(0.0),
        "subrequests_cost" => container.subrequests_cost = number(value)?.unwrap_or(0.0),
        _ if speaker == Speaker::Program => {
            return Err("cannot be set by a container's own program".to_owned());
        }
        "state" => {
            let state = value.as_str().and_then(|text| text.parse().ok());
            container.state =
                state.ok_or("must be Queued, Locked, Running, Complete or Cancelled")?;
        }
        "exit_code" => {
            let code = value.as_i64().and_then(|code| i32::try_from(code).ok());
            if code.is_none() && !value.is_null() {
                return Err("must be a number".to_owned());
            }
            container.exit_code = code;
        }
        "log" => container.log = content_hash(value)?,
        "gateway_address" => container.gateway_address = text(value)?,
        "interactive_session_started" => {
            container.interactive_session_started =
                value.as_bool().ok_or("must be true or false")?;
        }
        _ => return Err("is no attribute of containers that can be set".to_owned()),
    }
    Ok(())
}

fn text(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        _ => Err("must be text".to_owned()),
    }
}

/// A portable data hash: 32 hexadecimal digits, `+`, and a number. Whether there is such a collection, the caller asks.
fn content_hash(value: &Value) -> Result<Option<String>, String> {
    let Some(hash) = text(value)? else { return Ok(None) };
    if is_content_hash(&hash) {
        Ok(Some(hash))
    } else {
        Err("must be the portable data hash of a collection".to_owned())
    }
}

/// Whether a text has the form of a portable data hash.
pub fn is_content_hash(text: &str) -> bool {
    let Some((digest, size)) = text.split_once('+') else { return false };
    digest.len() == 32
        && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && !size.is_empty()
        && size.len() <= 20
        && size.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(value: &Value) -> Result<Option<f64>, String> {
    match value {
        Value::Null => Ok(None),
        value => value.as_f64().map(Some).ok_or_else(|| "must be a number".to_owned()),
    }
}

fn object(value: &Value) -> Result<JsonMap, String> {
    match value {
        Value::Null => Ok(JsonMap::new()),
        Value::Object(map) => Ok(map.clone()),
        _ => Err("must be an object".to_owned()),
    }
}

fn runtime_status(value: &Value) -> Result<JsonMap, String> {
    let status = object(value)?;
    match STATUS_TEXTS.iter().find(|name| status.get(**name).is_some_and(|it| !it.is_string())) {
        Some(name) => Err(format!("must have text at {name:?}")),
        None => Ok(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn container(state: &str) -> Container {
        let value = json!({
            "uuid": "wharf-dz642-000000000000001", "owner_uuid": "x",
            "created_at": "2026-11-23T20:58:45Z", "modified_at": "2026-11-23T20:58:45Z",
            "modified_by_user_uuid": "wharf-tpzed-000000000000000", "state": state,
            "command": [], "container_image": "", "cwd": ".", "environment": {},
            "exit_code": null, "started_at": null, "finished_at": null, "locked_by_uuid": null,
            "lock_count": 0, "log": null, "output": null, "mounts": {}, "output_path": "/out",
            "output_glob": [], "priority": 1, "progress": null, "runtime_constraints": {},
            "runtime_status": {}, "scheduling_parameters": {}, "auth_uuid": null,
            "runtime_user_uuid": null, "runtime_auth_scopes": [], "gateway_address": null,
            "interactive_session_started": false, "output_storage_classes": [],
            "output_properties": {}, "cost": 0.0, "subrequests_cost": 0.0, "service": false,
            "published_ports": {},
        });
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn check(state: &str, speaker: Speaker, attributes: Value, refused: &str) {
        let Value::Object(attributes) = attributes else { panic!("no object") };
        let changed = change_container(&container(state), &attributes, speaker);
        let words = match &changed {
            Ok(_) => String::new(),
            Err(problems) => {
                problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            }
        };
        assert!(words.contains(refused) && (refused.is_empty() == changed.is_ok()), "{words:?}");
    }

    #[test]
    fn a_program_tells_how_it_is_and_nothing_else() {
        use Speaker::Program;
        let hash = "1f4b0bc7583c2a7f9102c395f4ffc5e3+45";
        check("Running", Program, json!({"runtime_status": {"activity": "step 2"}}), "");
        check("Running", Program, json!({"output": hash, "output_properties": {"a": 1}}), "");
        check("Running", Program, json!({"progress": 0.5, "cost": 1, "uuid": "x"}), "");
        check("Running", Program, json!({"output": "x"}), "output must be the portable data hash");
        check("Running", Program, json!({"runtime_status": {"error": 7}}), "text at \"error\"");
        check("Running", Program, json!({"log": hash}), "log cannot be set by a container's own");
        check("Running", Program, json!({"priority": 0}), "priority cannot be set");
        check("Running", Program, json!({"state": "Complete"}), "state cannot be set");
        check("Locked", Program, json!({"progress": 0.5}), "only while it is Running");
        check("Complete", Program, json!({"progress": 0.5}), "the container is over");
    }

    #[test]
    fn a_dispatcher_takes_it_through_its_states() {
        use Speaker::Dispatcher;
        check("Locked", Dispatcher, json!({"state": "Running"}), "");
        check("Running", Dispatcher, json!({"state": "Complete", "exit_code": 0}), "");
        check("Queued", Dispatcher, json!({"state": "Running"}), "cannot go from Queued");
        check("Running", Dispatcher, json!({"exit_code": 1}), "belongs to a container that is");
        check("Complete", Dispatcher, json!({"state": "Running"}), "cannot go from Complete");
        check("Running", Dispatcher, json!({"command": []}), "is no attribute");
    }
}
