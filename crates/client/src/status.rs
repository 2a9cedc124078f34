//! What the server says about itself.

use std::collections::BTreeMap;

use model::site::{Capacity, Site};
use model::{ContainerUuid, ServiceDomain};
use serde::{Deserialize, Serialize};

use crate::call::Client;
use crate::error::ClientError;

/// Version, counts and the queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Of the server.
    pub version: String,
    /// First five characters of its identifiers.
    pub cluster_id: String,
    /// Containers by state.
    #[serde(default)]
    pub containers: BTreeMap<String, u64>,
    /// Requests by state.
    #[serde(default)]
    pub requests: BTreeMap<String, u64>,
    /// Who waits and why, first in line first.
    #[serde(default)]
    pub queue: Vec<QueueEntry>,
    /// What there is for containers; nothing of servers that do not say.
    #[serde(default)]
    pub capacity: Capacity,
}

/// One container that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEntry {
    /// Which.
    pub container_uuid: ContainerUuid,
    /// 1 is next.
    #[serde(default)]
    pub place: Option<u64>,
    /// In words.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What the cluster's exported config says that a client needs.
#[derive(Deserialize)]
struct ExportedConfig {
    #[serde(rename = "Services", default)]
    services: BTreeMap<String, ExportedService>,
}

#[derive(Deserialize)]
struct ExportedService {
    #[serde(rename = "ExternalURL", default)]
    external_url: String,
}

impl Client {
    /// Where service hosts live; `None` for a server that has none.
    pub async fn service_domain(&self) -> Result<Option<ServiceDomain>, ClientError> {
        let config: ExportedConfig = self.get("/arvados/v1/config").await?;
        let service = config.services.get("ContainerWebServices");
        Ok(service.and_then(|service| ServiceDomain::parse(&service.external_url).ok()))
    }

    /// Machines, volumes, the proxy and the config, for administrators.
    pub async fn site(&self) -> Result<Site, ClientError> {
        self.get("/wharf/v1/site").await
    }

    /// Asks the server how it is.
    pub async fn status(&self) -> Result<ServerStatus, ClientError> {
        self.get("/wharf/v1/status").await
    }
}
