//! Figures of containers over time.

use model::metrics::{ContainerMetrics, RecentUsage};
use serde::Deserialize;

use crate::call::Client;
use crate::error::ClientError;

#[derive(Deserialize)]
struct Running {
    items: Vec<RecentUsage>,
}

impl Client {
    /// Of a container, named itself or by a request, over `15m`, `1h`, `24h` or `7d`.
    pub async fn container_metrics(
        &self,
        uuid: &str,
        range: &str,
    ) -> Result<ContainerMetrics, ClientError> {
        self.get(&format!("/wharf/v1/containers/{uuid}/metrics?range={range}")).await
    }

    /// What running containers used in the last 15 minutes.
    pub async fn recent_usage(&self) -> Result<Vec<RecentUsage>, ClientError> {
        Ok(self.get::<Running>("/wharf/v1/usage").await?.items)
    }
}
