//! Who uses a service, and who was refused.

use model::RequestUuid;
use model::visitors::Visitors;

use crate::call::Client;
use crate::error::ClientError;

impl Client {
    /// Who uses a service and who was refused, as all controllers have seen it.
    pub async fn visitors(&self, request: RequestUuid) -> Result<Visitors, ClientError> {
        self.get(&format!("/wharf/v1/visitors/{request}")).await
    }
}
