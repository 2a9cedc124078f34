//! The ports of an invitation beside its first, and how often each was used.

use std::collections::HashMap;

use model::{ContainerPort, InvitationUuid, RequestUuid};
use serde::Serialize;

use super::{Invitation, invitation, port_of};
use crate::connection::{Connection, Row, query};
use crate::error::StoreError;

/// A port that an invitation opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InvitedPort {
    /// Which.
    pub port: ContainerPort,
    /// How often somebody came in to it by the invitation.
    pub n_used: i64,
}

impl Invitation {
    /// How often somebody came in to this port by it; none where it is not for that port.
    pub fn n_used_of(&self, port: ContainerPort) -> Option<i64> {
        if port == self.port {
            return Some(self.n_used);
        }
        self.further_ports.iter().find(|further| further.port == port).map(|it| it.n_used)
    }
}

/// Notes the ports beside the first.
pub(super) async fn write(
    conn: &mut Connection,
    uuid: InvitationUuid,
    ports: &[ContainerPort],
) -> Result<(), StoreError> {
    for port in ports {
        query("INSERT INTO invitation_ports (invitation_uuid, port, n_used) VALUES ($1, $2, 0)")
            .bind(uuid.to_string())
            .bind(i64::from(port.get()))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// The invitation of a row, with all its ports.
pub(super) async fn whole(conn: &mut Connection, row: &Row) -> Result<Invitation, StoreError> {
    let found = invitation(row)?;
    let rows =
        query("SELECT port, n_used FROM invitation_ports WHERE invitation_uuid = $1 ORDER BY port")
            .bind(found.uuid.to_string())
            .fetch_all(conn)
            .await?;
    let further_ports = rows.iter().map(invited_port).collect::<Result<_, _>>()?;
    Ok(Invitation { further_ports, ..found })
}

/// The ports beside the first of each invitation to a request, by the invitation.
pub(super) async fn of_request(
    conn: &mut Connection,
    request: RequestUuid,
) -> Result<HashMap<String, Vec<InvitedPort>>, StoreError> {
    let rows = query(
        "SELECT invitation_ports.invitation_uuid, invitation_ports.port, invitation_ports.n_used \
         FROM invitation_ports JOIN invitations ON invitations.uuid = invitation_ports.invitation_uuid \
         WHERE invitations.request_uuid = $1 ORDER BY invitation_ports.port",
    )
    .bind(request.to_string())
    .fetch_all(conn)
    .await?;
    let mut all = HashMap::<String, Vec<InvitedPort>>::new();
    for row in &rows {
        all.entry(row.try_get("invitation_uuid")?).or_default().push(invited_port(row)?);
    }
    Ok(all)
}

fn invited_port(row: &Row) -> Result<InvitedPort, StoreError> {
    Ok(InvitedPort { port: port_of(row)?, n_used: row.try_get("n_used")? })
}

/// Counts a use of one of its ports.
pub(super) async fn count_use(
    conn: &mut Connection,
    invitation: &Invitation,
    port: ContainerPort,
) -> Result<(), StoreError> {
    let statement = if port == invitation.port {
        query("UPDATE invitations SET n_used = n_used + 1 WHERE uuid = $1 AND port = $2")
    } else {
        query(
            "UPDATE invitation_ports SET n_used = n_used + 1 WHERE invitation_uuid = $1 AND port = $2",
        )
    };
    statement.bind(invitation.uuid.to_string()).bind(i64::from(port.get())).execute(conn).await?;
    Ok(())
}
