//! Invitations to ports of a service, and guests.

use std::fmt;

use model::{ContainerPort, GuestSessionUuid, InvitationUuid, RequestUuid, Timestamp, UserUuid};
use serde::{Deserialize, Serialize};

use crate::call::{Client, Ignored};
use crate::error::ClientError;

const INVITATIONS: &str = "/wharf/v1/invitations";

/// An invitation to make.
#[derive(Clone, Debug, Serialize)]
pub struct NewInvitation {
    /// To which request.
    pub request_uuid: RequestUuid,
    /// To which of its ports; none where it is plain which one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ContainerPort>,
    /// To every private port, instead.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all_ports: bool,
    /// How many seconds it holds; the site's default if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// How often it can be used, at each port.
    pub uses: u32,
    /// What it is for.
    pub note: String,
}

/// An invitation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Invitation {
    /// Its identifier.
    pub uuid: InvitationUuid,
    /// To which ports.
    pub ports: Vec<InvitedPort>,
    /// Who made it.
    pub made_by: UserUuid,
    /// What it is for; may be empty.
    pub note: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, and the sessions made with it.
    pub expires_at: Timestamp,
    /// How often it can be used, at each port.
    pub uses_max: u64,
    /// Who came in by it.
    #[serde(default)]
    pub guests: Vec<GuestSession>,
}

/// Somebody who came in by an invitation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct GuestSession {
    /// The session.
    pub uuid: GuestSessionUuid,
    /// Since when.
    pub created_at: Timestamp,
    /// From which address.
    pub address: String,
}

/// A port that an invitation is for.
#[derive(Clone, Deserialize, Serialize)]
pub struct InvitedPort {
    /// Which.
    pub port: u16,
    /// How often somebody came in to it.
    pub n_used: u64,
    /// To be given to who is invited; only in the answer to making it, as it has the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl fmt::Debug for InvitedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, n_used, url: _ } = self;
        write!(f, "port {port}, used {n_used}")
    }
}

#[derive(Deserialize)]
struct Items {
    items: Vec<Invitation>,
}

impl Client {
    /// Invites to ports; the answer has an address for each.
    pub async fn invite(&self, new: &NewInvitation) -> Result<Invitation, ClientError> {
        self.post(INVITATIONS, new).await
    }

    /// The invitations to a request's ports, oldest first.
    pub async fn list_invitations(
        &self,
        request: RequestUuid,
    ) -> Result<Vec<Invitation>, ClientError> {
        let Items { items } = self.get(&format!("{INVITATIONS}?request_uuid={request}")).await?;
        Ok(items)
    }

    /// Takes an invitation back: its guests are out within a second.
    pub async fn delete_invitation(&self, uuid: InvitationUuid) -> Result<(), ClientError> {
        let Ignored {} = self.delete(&format!("{INVITATIONS}/{uuid}")).await?;
        Ok(())
    }

    /// Signs one guest out.
    pub async fn delete_guest(&self, uuid: GuestSessionUuid) -> Result<(), ClientError> {
        let Ignored {} = self.delete(&format!("/wharf/v1/guest_sessions/{uuid}")).await?;
        Ok(())
    }
}
