//! `runtime_constraints.connect`: addresses on the container's own loopback that lead to ports of other containers.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use serde_json::Value;

use super::values::as_integer;
use crate::ContainerPort;
use crate::records::{JsonMap, ServicePort};
use crate::uuid::ContainerUuid;

/// Services of other containers that one container may reach: what its supervisor listens for, less the API. As many as
/// one scatter of a workflow has under way, so that a step may use all services of a scattered one.
pub const CONNECTIONS_MAX: usize = 64;

/// Ways to services of other containers: `{"127.1.0.1:80": {"container": UUID, "port": 8080}}`.
pub(super) fn connections(sent: &JsonMap) -> Result<BTreeMap<SocketAddrV4, ServicePort>, String> {
    if sent.len() > CONNECTIONS_MAX {
        return Err(format!("has {} addresses: at most {CONNECTIONS_MAX}", sent.len()));
    }
    let mut found = BTreeMap::new();
    for (name, to) in sent {
        let shown: String = name.chars().take(60).collect();
        let address = name.parse::<SocketAddrV4>().ok();
        let address = address.filter(|it| it.ip().is_loopback() && it.port() > 0);
        let Some(address) = address else {
            return Err(format!("{shown:?} is no address on loopback, such as \"127.1.0.1:80\""));
        };
        let Value::Object(fields) = to else {
            return Err(format!("{shown:?} must be {{\"container\": UUID, \"port\": NUMBER}}"));
        };
        if let Some(other) =
            fields.keys().find(|key| !["container", "port"].contains(&key.as_str()))
        {
            let other: String = other.chars().take(60).collect();
            return Err(format!("{shown:?} has {other:?}: there are container and port"));
        }
        let container = fields.get("container").and_then(Value::as_str);
        let container = container.and_then(|uuid| ContainerUuid::parse(uuid).ok());
        let port = fields.get("port").and_then(as_integer);
        let port = port.and_then(|port| u16::try_from(port).ok()).and_then(ContainerPort::new);
        let (Some(container), Some(port)) = (container, port) else {
            return Err(format!("{shown:?} must name a container by its UUID, and a port of it"));
        };
        found.insert(address, ServicePort { container, port });
    }
    Ok(found)
}
