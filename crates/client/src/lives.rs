//! How long services live, and who is connected to them now.

use std::time::Duration;

use model::{ContainerUuid, RequestUuid, Timestamp};
use serde::Deserialize;
use serde_json::json;

use crate::call::Client;
use crate::error::ClientError;

/// What is known of a running container's life; nothing of one that does not run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ContainerLife {
    /// When somebody, or its own work, last used it.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
    /// When it ends by itself; none is never.
    #[serde(default)]
    pub stops_at: Option<Timestamp>,
    /// The limit by which it does: `idle_time` or `max_run_time`.
    #[serde(default)]
    pub stops_because: Option<String>,
}

impl ContainerLife {
    /// Whether it ends unless it is used.
    pub fn ends_for_want_of_use(&self) -> bool {
        self.stops_because.as_deref() == Some(model::life::IDLE_TIME)
    }
}

/// What is open to a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Connections {
    /// WebSockets and raw connections.
    pub sockets: u64,
}

impl Client {
    /// The life of one container.
    pub async fn get_life(&self, uuid: ContainerUuid) -> Result<ContainerLife, ClientError> {
        // ["uuid","last_used_at","stops_at","stops_because"]
        const SELECT: &str =
            "%5B%22uuid%22%2C%22last_used_at%22%2C%22stops_at%22%2C%22stops_because%22%5D";
        self.get(&format!("/arvados/v1/containers/{uuid}?select={SELECT}")).await
    }

    /// Keeps a running service from ending by itself for so long from now on, in whole seconds.
    pub async fn extend(
        &self,
        uuid: RequestUuid,
        duration: Duration,
    ) -> Result<ContainerLife, ClientError> {
        let path = format!("/wharf/v1/container_requests/{uuid}/extend");
        self.post(&path, &json!({ "seconds": duration.as_secs() })).await
    }

    /// What is open to a service now.
    pub async fn connections(&self, uuid: RequestUuid) -> Result<Connections, ClientError> {
        self.get(&format!("/wharf/v1/container_requests/{uuid}/connections")).await
    }
}
