//! What the server says about itself.

use std::collections::BTreeMap;

use model::site::{Capacity, Cordon, Site};
use model::{ContainerUuid, ServiceDomain};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
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

/// What the server says of a machine that is let work again.
#[derive(Deserialize)]
struct Uncordoned {
    was_cordoned: bool,
}

fn cordon_path(node: &str) -> String {
    let node = utf8_percent_encode(node, NON_ALPHANUMERIC);
    format!("/wharf/v1/nodes/{node}/cordon")
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

    /// Keeps new containers from a machine, for administrators; what runs there goes on.
    pub async fn cordon(&self, node: &str) -> Result<Cordon, ClientError> {
        self.post(&cordon_path(node), &serde_json::json!({})).await
    }

    /// Lets new containers onto a machine again, for administrators; false where it was not cordoned.
    pub async fn uncordon(&self, node: &str) -> Result<bool, ClientError> {
        let Uncordoned { was_cordoned } = self.delete(&cordon_path(node)).await?;
        Ok(was_cordoned)
    }

    /// Asks the server how it is.
    pub async fn status(&self) -> Result<ServerStatus, ClientError> {
        self.get("/wharf/v1/status").await
    }
}
