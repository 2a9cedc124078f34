//! Container requests and containers.

use std::collections::BTreeMap;

use model::{
    Container, ContainerRequest, ContainerUuid, JsonMap, PublishedPorts, RequestUuid, Timestamp,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::call::{Client, Ignored};
use crate::error::ClientError;
use crate::list::{ListQuery, Page};

/// A container request to submit; what is left out takes the API's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NewRequest {
    /// What people call it.
    pub name: String,
    /// `Committed` starts it, `Uncommitted` keeps it as a draft.
    pub state: model::RequestState,
    /// 1 to 1000; 0 would not start it.
    pub priority: u32,
    /// Program and arguments; empty for the image's own.
    pub command: Vec<String>,
    /// Name or identifier of an image.
    pub container_image: String,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Working directory; `.` is the image's.
    pub cwd: String,
    /// Directory whose content is the output.
    pub output_path: String,
    /// Path to mount.
    pub mounts: JsonMap,
    /// Path to text that nobody is shown again.
    #[serde(skip_serializing_if = "JsonMap::is_empty")]
    pub secret_mounts: JsonMap,
    /// `ram` in bytes, `vcpus`; what is left out takes the default of the config.
    pub runtime_constraints: JsonMap,
    /// `max_run_time` in seconds and others; left out where there are none.
    #[serde(skip_serializing_if = "JsonMap::is_empty")]
    pub scheduling_parameters: JsonMap,
    /// Long-lived service, or once-through batch run.
    pub service: bool,
    /// Must be false for a service.
    pub use_existing: bool,
    /// Ports people may open.
    pub published_ports: PublishedPorts,
    /// Patterns of what is kept of the output; all of it where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_glob: Vec<String>,
    /// When it ends as if it were cancelled; never where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Free metadata.
    pub properties: JsonMap,
}

const REQUESTS: &str = "/arvados/v1/container_requests";
const CONTAINERS: &str = "/arvados/v1/containers";

impl Client {
    /// Submits a request.
    pub async fn create_request(&self, new: &NewRequest) -> Result<ContainerRequest, ClientError> {
        self.post(REQUESTS, &json!({ "container_request": new })).await
    }

    /// Submits a request of these attributes.
    pub async fn create_request_of(
        &self,
        attributes: &JsonMap,
    ) -> Result<ContainerRequest, ClientError> {
        self.post(REQUESTS, &json!({ "container_request": attributes })).await
    }

    /// One request.
    pub async fn get_request(&self, uuid: RequestUuid) -> Result<ContainerRequest, ClientError> {
        self.get(&format!("{REQUESTS}/{uuid}")).await
    }

    /// Requests that the token may see.
    pub async fn list_requests(
        &self,
        query: &ListQuery,
    ) -> Result<Page<ContainerRequest>, ClientError> {
        self.get(&query.path(REQUESTS)).await
    }

    /// Changes the given fields of a request.
    pub async fn update_request(
        &self,
        uuid: RequestUuid,
        fields: &Value,
    ) -> Result<ContainerRequest, ClientError> {
        self.patch(&format!("{REQUESTS}/{uuid}"), &json!({ "container_request": fields })).await
    }

    /// Says that a request is not wanted any more (priority 0); its container is stopped.
    pub async fn cancel_request(&self, uuid: RequestUuid) -> Result<ContainerRequest, ClientError> {
        self.update_request(uuid, &json!({ "priority": 0 })).await
    }

    /// Deletes a request; its host names become free.
    pub async fn delete_request(&self, uuid: RequestUuid) -> Result<(), ClientError> {
        let Ignored {} = self.delete(&format!("{REQUESTS}/{uuid}")).await?;
        Ok(())
    }

    /// One container.
    pub async fn get_container(&self, uuid: ContainerUuid) -> Result<Container, ClientError> {
        self.get(&format!("{CONTAINERS}/{uuid}")).await
    }

    /// The containers of these identifiers, in no order; unknown ones are left out.
    pub async fn list_containers(
        &self,
        uuids: &[ContainerUuid],
    ) -> Result<Vec<Container>, ClientError> {
        let mut found = Vec::with_capacity(uuids.len());
        // Small enough for the address line, as each identifier has 27 characters.
        for uuids in uuids.chunks(100) {
            let uuids: Vec<&str> = uuids.iter().map(ContainerUuid::as_str).collect();
            let query = ListQuery::default().filter("uuid", "in", uuids).limit(100);
            let page: Page<Container> = self.get(&query.path(CONTAINERS)).await?;
            found.extend(page.items);
        }
        Ok(found)
    }
}
