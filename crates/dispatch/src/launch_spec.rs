//! From a container's record and its image to what the supervisor is told. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use model::{BindMount, Container, JsonMap, SuperviseSpec};
use serde_json::Value;

use crate::config::DispatchConfig;
use crate::images::LaunchImage;
use crate::layout;

/// Why a record cannot be run, in words for its owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpecError {
    /// A mount of a kind that is not built yet, or broken.
    #[error("mounts[{target:?}] {problem}")]
    Mount {
        /// Its place in the container.
        target: String,
        /// What is wrong.
        problem: String,
    },
    /// An environment value that is no text.
    #[error("environment[{name:?}] must be a string")]
    Environment {
        /// Its name.
        name: String,
    },
}

/// Puts together what the supervisor needs; it holds no secret.
pub(crate) fn build(
    container: &Container,
    image: LaunchImage,
    config: &DispatchConfig,
) -> Result<SuperviseSpec, SpecError> {
    let (mounts, tmp_mounts) = mounts_of(&container.mounts)?;
    Ok(SuperviseSpec {
        container_uuid: container.uuid,
        command: container.command.clone(),
        environment: environment_of(&container.environment)?,
        cwd: Some(container.cwd.clone()).filter(|cwd| !cwd.is_empty() && cwd != "."),
        user: None,
        layers: image.layers,
        image_config: image.config,
        published_ports: container.published_ports.iter().map(|(port, _)| port).collect(),
        ram_bytes: container.runtime_constraints.ram,
        vcpus: container.runtime_constraints.vcpus,
        mounts,
        tmp_mounts,
        output_path: Some(container.output_path.clone()).filter(|path| !path.is_empty()),
        tunnels: layout::tunnels_dir(&config.data_dir),
        stop_grace_ms: u64::try_from(config.stop_grace.as_millis()).unwrap_or(u64::MAX),
        log_bytes_max: config.log_bytes_max,
        service: container.service,
    })
}

fn environment_of(environment: &JsonMap) -> Result<BTreeMap<String, String>, SpecError> {
    let entry = |(name, value): (&String, &Value)| match value {
        Value::String(text) => Ok((name.clone(), text.clone())),
        _ => Err(SpecError::Environment { name: name.clone() }),
    };
    environment.iter().map(entry).collect()
}

/// `tmp` and `bind` are understood; anything else is refused rather than silently left out.
fn mounts_of(mounts: &JsonMap) -> Result<(Vec<BindMount>, Vec<String>), SpecError> {
    let (mut binds, mut tmps) = (Vec::new(), Vec::new());
    for (target, mount) in mounts {
        let refuse = |problem: String| SpecError::Mount { target: target.clone(), problem };
        if !target.starts_with('/') {
            return Err(refuse("is not supported yet: only absolute paths are".to_owned()));
        }
        match mount.get("kind").and_then(Value::as_str) {
            Some("tmp") => tmps.push(target.clone()),
            Some("bind") => {
                let source = mount.get("path").and_then(Value::as_str).map(PathBuf::from);
                let Some(source) = source.filter(|path| path.is_absolute()) else {
                    return Err(refuse("must have an absolute `path` on this machine".to_owned()));
                };
                let writable = mount.get("writable").and_then(Value::as_bool).unwrap_or(false);
                binds.push(BindMount { source, target: target.clone(), writable });
            }
            Some(kind) => {
                return Err(refuse(format!(
                    "has kind {kind:?}, which is not supported yet: use \"tmp\" or \"bind\""
                )));
            }
            None => return Err(refuse("has no `kind`".to_owned())),
        }
    }
    Ok((binds, tmps))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mounts: &Value, expected: &str) {
        let map = mounts.as_object().unwrap().clone();
        let words = match mounts_of(&map) {
            Ok((binds, tmps)) => format!("{binds:?} {tmps:?}"),
            Err(error) => error.to_string(),
        };
        assert!(words.contains(expected), "{words:?} lacks {expected:?}");
    }

    #[test]
    fn mounts_are_understood_or_refused_by_name() {
        check(&serde_json::json!({"/tmp": {"kind": "tmp", "capacity": 1}}), "[] [\"/tmp\"]");
        let bind = serde_json::json!({"/d": {"kind": "bind", "path": "/srv/d"}});
        check(&bind, "source: \"/srv/d\", target: \"/d\", writable: false");
        check(&serde_json::json!({"/d": {"kind": "bind", "path": "d"}}), "absolute `path`");
        check(&serde_json::json!({"/k": {"kind": "collection"}}), "mounts[\"/k\"] has kind");
        check(&serde_json::json!({"stdout": {"kind": "file"}}), "mounts[\"stdout\"] is not");
        check(&serde_json::json!({"/k": {}}), "has no `kind`");
    }
}
