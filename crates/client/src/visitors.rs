//! Who uses a service, and who was refused.

use model::{GuestSessionUuid, RequestUuid, Timestamp, UserUuid};
use serde::Deserialize;

use crate::call::Client;
use crate::error::ClientError;

/// What one controller has seen of a service, the latest first.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Visitors {
    /// Who came in.
    pub visits: Vec<Visit>,
    /// Who did not.
    pub refused: Vec<Refused>,
}

/// One caller at one port; neither user nor guest where the port is public.
#[derive(Debug, Clone, Deserialize)]
pub struct Visit {
    /// A user.
    pub user_uuid: Option<UserUuid>,
    /// Somebody who was invited.
    pub guest_uuid: Option<GuestSessionUuid>,
    /// The port.
    pub port: u16,
    /// From where.
    pub address: String,
    /// Since when.
    pub since: Timestamp,
    /// When the last request came.
    pub last: Timestamp,
    /// Requests so far.
    pub n_requests: u64,
    /// Those that are open now.
    pub n_open: u64,
}

/// Attempts that were refused alike.
#[derive(Debug, Clone, Deserialize)]
pub struct Refused {
    /// The port.
    pub port: u16,
    /// From where.
    pub address: String,
    /// Why, a fragment of a sentence.
    pub why: String,
    /// When the last one was.
    pub last: Timestamp,
    /// How many.
    pub n: u64,
}

impl Client {
    /// Who uses a service and who was refused, as the controller that answers has seen it.
    pub async fn visitors(&self, request: RequestUuid) -> Result<Visitors, ClientError> {
        self.get(&format!("/wharf/v1/visitors/{request}")).await
    }
}
