//! From a container's record and its image to what the supervisor is told. Pure.

use std::collections::BTreeMap;

use model::{
    ApiAccess, Container, ContainerPort, JsonMap, LifeLimits, MountPlan, MountProblem,
    ServiceAccess, SuperviseSpec,
};
use serde_json::Value;

use crate::config::DispatchConfig;
use crate::images::LaunchImage;
use crate::layout;

/// The port inside a container that leads to the API, or the first after it that the container does not publish: one
/// that nobody uses by habit, below those that the system gives out.
const API_PORT: u16 = 24_443;

/// Why a record cannot be run, in words for its owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpecError {
    /// A mount that cannot be made.
    #[error(transparent)]
    Mount(#[from] MountProblem),
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
    let mounts = MountPlan::of(&container.mounts, &container.output_path)
        .map_err(|mut problems| SpecError::Mount(problems.swap_remove(0)))?;
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
        output_path: Some(container.output_path.clone()).filter(|path| !path.is_empty()),
        output_glob: container.output_glob.clone(),
        blocks: config.blocks.clone(),
        api: container.runtime_constraints.api.then(|| api_access(container, config)),
        services: services_of(container, config),
        tunnels: layout::tunnels_dir(&config.data_dir),
        stop_grace_ms: u64::try_from(config.stop_grace.as_millis()).unwrap_or(u64::MAX),
        log_bytes_max: config.log_bytes_max,
        service: container.service,
        busy_period_ms: busy_period_ms(container, config),
    })
}

/// Often enough for the time that it may be unused; that can be changed later, and then counts from the next start on.
fn busy_period_ms(container: &Container, config: &DispatchConfig) -> u64 {
    let idle = LifeLimits::of(&container.scheduling_parameters).idle;
    let period = idle.map_or(config.use_interval, |idle| config.use_interval.min(idle / 10));
    u64::try_from(period.as_millis()).unwrap_or(u64::MAX)
}

fn environment_of(environment: &JsonMap) -> Result<BTreeMap<String, String>, SpecError> {
    let entry = |(name, value): (&String, &Value)| match value {
        Value::String(text) => Ok((name.clone(), text.clone())),
        _ => Err(SpecError::Environment { name: name.clone() }),
    };
    environment.iter().map(entry).collect()
}

/// Who may use them was asked when the request was committed.
fn services_of(container: &Container, config: &DispatchConfig) -> Vec<ServiceAccess> {
    let connect = container.runtime_constraints.connect.iter();
    connect
        .map(|(address, to)| ServiceAccess {
            address: *address,
            dir: layout::ContainerDir::of(&config.data_dir, to.container).path().to_owned(),
            port: to.port,
        })
        .collect()
}

/// A port that the container's own program does not publish.
fn api_access(container: &Container, config: &DispatchConfig) -> ApiAccess {
    let is_free = |port: &u16| {
        ContainerPort::new(*port).is_none_or(|port| container.published_ports.get(port).is_none())
    };
    ApiAccess {
        port: (API_PORT..u16::MAX).find(is_free).unwrap_or(API_PORT),
        controllers: layout::apis_dir(&config.data_dir),
    }
}

/// What Arvados's clients read from their environment inside a container.
pub(crate) fn api_environment(access: &ApiAccess, token: &str) -> BTreeMap<String, String> {
    let host = format!("127.0.0.1:{}", access.port);
    let entry = |name: &str, value: String| (name.to_owned(), value);
    [
        entry("ARVADOS_API_HOST", host.clone()),
        // The way there never leaves this machine, and the certificate is for the names of outside.
        entry("ARVADOS_API_HOST_INSECURE", "1".to_owned()),
        entry("ARVADOS_API_TOKEN", token.to_owned()),
        entry("ARVADOS_KEEP_SERVICES", format!("https://{host}/")),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_find_the_api_where_their_clients_look() {
        let environment =
            api_environment(&ApiAccess { port: 24443, controllers: "/x".into() }, "v2/a/b/c");
        assert_eq!(environment["ARVADOS_API_HOST"], "127.0.0.1:24443");
        assert_eq!(environment["ARVADOS_API_TOKEN"], "v2/a/b/c");
        assert_eq!(environment["ARVADOS_KEEP_SERVICES"], "https://127.0.0.1:24443/");
    }
}
