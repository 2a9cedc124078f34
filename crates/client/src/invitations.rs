//! Invitations to a port of a service, and guests.

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
    /// To which of its ports; may be left out where it is plain which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<ContainerPort>,
    /// How many seconds it holds; the site's default if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// How often it can be used.
    pub uses: u32,
    /// What it is for.
    pub note: String,
}

/// An invitation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Invitation {
    /// Its identifier.
    pub uuid: InvitationUuid,
    /// To which port.
    pub port: u16,
    /// Who made it.
    pub made_by: UserUuid,
    /// What it is for; may be empty.
    pub note: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, and the sessions made with it.
    pub expires_at: Timestamp,
    /// How often it can be used.
    pub uses_max: u64,
    /// How often it was.
    pub n_used: u64,
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

/// The answer to making one: the only one that has the secret.
#[derive(Clone, Deserialize)]
pub struct MadeInvitation {
    /// To be given to who is invited.
    pub url: String,
    /// The invitation.
    #[serde(flatten)]
    pub invitation: Invitation,
}

impl fmt::Debug for MadeInvitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeInvitation")
            .field("invitation", &self.invitation)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Items {
    items: Vec<Invitation>,
}

impl Client {
    /// Invites to a port.
    pub async fn invite(&self, new: &NewInvitation) -> Result<MadeInvitation, ClientError> {
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
