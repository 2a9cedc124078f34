//! Invitations: links that let guests in to ports of a request, without an account.
//!
//! The secret is kept as a hash. Redeeming counts a use and makes a session, in one transaction, so that of any number
//! of guests at the same time only as many get in as there are uses left. Each port counts its own. An invitation holds while who made it may
//! open the service: as its submitter, or as an administrator.

mod ports;

use std::net::IpAddr;
use std::time::Duration;

use model::{
    ContainerPort, ContainerUuid, GuestSessionUuid, InvitationUuid, RequestUuid, Timestamp,
    TokenHash, User, UserUuid,
};
use serde::Serialize;

use crate::changes::ChangeKind;
use crate::connection::{Connection, Row, query};
use crate::database::Store;
use crate::error::StoreError;
use crate::random;
use crate::schema::USERS;
use crate::sql;

pub use ports::InvitedPort;

/// How long expired invitations stay listed, to find out what became of one.
const EXPIRED_KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// An invitation to be made.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Of which request.
    pub request: RequestUuid,
    /// To which of its ports.
    pub port: ContainerPort,
    /// To which others, each once.
    pub further_ports: Vec<ContainerPort>,
    /// Who makes it.
    pub made_by: UserUuid,
    /// What it is for, in words; may be empty.
    pub note: String,
    /// How long it holds, and the sessions made with it.
    pub lifetime: Duration,
    /// How often it can be used, at each port.
    pub uses_max: u32,
}

/// An invitation, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invitation {
    /// Its identifier.
    pub uuid: InvitationUuid,
    /// Of which request.
    pub request_uuid: RequestUuid,
    /// To which of its ports.
    pub port: ContainerPort,
    /// Who made it.
    pub made_by: UserUuid,
    /// What it is for; may be empty.
    pub note: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, and with it the sessions made with it.
    pub expires_at: Timestamp,
    /// How often it can be used, at each port.
    pub uses_max: i64,
    /// How often it was, at the first port.
    pub n_used: i64,
    /// The other ports.
    pub further_ports: Vec<InvitedPort>,
}

/// Somebody who came in by an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GuestSession {
    /// The session.
    pub uuid: GuestSessionUuid,
    /// By which invitation.
    pub invitation_uuid: InvitationUuid,
    /// Since when.
    pub created_at: Timestamp,
    /// From which address the invitation was redeemed.
    pub address: String,
}

/// A guest who is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admittance {
    /// The guest's session.
    pub session: GuestSessionUuid,
    /// By which invitation.
    pub invitation: InvitationUuid,
    /// When that ends.
    pub expires_at: Timestamp,
    /// Identifiers of the records that it rests on, besides those of the service.
    pub rests_on: Vec<String>,
}

/// What a guest wants to enter.
#[derive(Debug, Clone)]
pub struct Door {
    /// The container, where there is one.
    pub container: Option<ContainerUuid>,
    /// The request.
    pub request: Option<RequestUuid>,
    /// The port.
    pub port: ContainerPort,
    /// Who may open it as its submitter ([`crate::TargetRecord::submitters`]).
    pub submitters: Vec<UserUuid>,
}

/// A question for invitations, in the columns that [`invitation`] reads.
macro_rules! invitations {
    ($rest:literal) => {
        concat!(
            "SELECT uuid, request_uuid, port, made_by, note, created_at, expires_at, uses_max, n_used \
             FROM invitations ",
            $rest
        )
    };
}

impl Store {
    /// Makes an invitation; the text is the only place where its secret ever is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the request is gone.
    pub async fn create_invitation(
        &self,
        new: NewInvitation,
    ) -> Result<(String, Invitation), StoreError> {
        let secret = random::code()?;
        let hash = TokenHash::of(&secret).hex();
        let uuid: InvitationUuid = random::uuid(&self.options.cluster)?;
        let made = self
            .write(move |tx| {
                Box::pin(async move {
                    let now = tx.now;
                    let found = query("SELECT 1 FROM container_requests WHERE uuid = $1")
                        .bind(new.request.to_string())
                        .fetch_optional(tx.conn())
                        .await?;
                    if found.is_none() {
                        return Err(StoreError::NotFound(format!("container request {}", new.request)));
                    }
                    query("DELETE FROM invitations WHERE expires_at <= $1")
                        .bind(before(now).to_string())
                        .execute(tx.conn())
                        .await?;
                    let invitation = Invitation {
                        uuid,
                        request_uuid: new.request,
                        port: new.port,
                        made_by: new.made_by,
                        note: new.note,
                        created_at: now,
                        expires_at: after(now, new.lifetime),
                        uses_max: i64::from(new.uses_max),
                        n_used: 0,
                        further_ports: invited(&new.further_ports),
                    };
                    query(
                        "INSERT INTO invitations (uuid, request_uuid, port, made_by, secret_hash, note, \
                         created_at, expires_at, uses_max, n_used) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)",
                    )
                    .bind(uuid.to_string())
                    .bind(invitation.request_uuid.to_string())
                    .bind(i64::from(invitation.port.get()))
                    .bind(invitation.made_by.to_string())
                    .bind(hash)
                    .bind(invitation.note.clone())
                    .bind(now.to_string())
                    .bind(invitation.expires_at.to_string())
                    .bind(invitation.uses_max)
                    .execute(tx.conn())
                    .await?;
                    ports::write(tx.conn(), uuid, &new.further_ports).await?;
                    tx.changed(ChangeKind::Invitation, &uuid, [invitation.made_by]);
                    Ok(invitation)
                })
            })
            .await?;
        Ok((secret, made))
    }

    /// The invitations to a request's ports, oldest first; lately expired ones among them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invitations_of(
        &self,
        request: RequestUuid,
    ) -> Result<Vec<Invitation>, StoreError> {
        let mut reader = self.reader().await?;
        let rows = query(invitations!("WHERE request_uuid = $1 ORDER BY created_at, uuid"))
            .bind(request.to_string())
            .fetch_all(&mut reader)
            .await?;
        let mut further = ports::of_request(&mut reader, request).await?;
        let whole = |row: &Row| {
            let found = invitation(row)?;
            let further_ports = further.remove(&found.uuid.to_string()).unwrap_or_default();
            Ok(Invitation { further_ports, ..found })
        };
        rows.iter().map(whole).collect()
    }

    /// One invitation.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invitation(&self, uuid: InvitationUuid) -> Result<Option<Invitation>, StoreError> {
        let mut reader = self.reader().await?;
        let row = query(invitations!("WHERE uuid = $1"))
            .bind(uuid.to_string())
            .fetch_optional(&mut reader)
            .await?;
        match row {
            Some(row) => ports::whole(&mut reader, &row).await.map(Some),
            None => Ok(None),
        }
    }

    /// Who came in to a request's ports by an invitation, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn guests_of(&self, request: RequestUuid) -> Result<Vec<GuestSession>, StoreError> {
        let rows = query(
            "SELECT guest_sessions.uuid, invitation_uuid, guest_sessions.created_at, address \
             FROM guest_sessions JOIN invitations ON invitations.uuid = invitation_uuid \
             WHERE request_uuid = $1 ORDER BY guest_sessions.created_at, guest_sessions.uuid",
        )
        .bind(request.to_string())
        .fetch_all(&mut self.reader().await?)
        .await?;
        rows.iter().map(guest_session).collect()
    }

    /// The invitation behind a guest's session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invitation_of_guest(
        &self,
        session: GuestSessionUuid,
    ) -> Result<Option<Invitation>, StoreError> {
        let row = query("SELECT invitation_uuid FROM guest_sessions WHERE uuid = $1")
            .bind(session.to_string())
            .fetch_optional(&mut self.reader().await?)
            .await?;
        let Some(row) = row else { return Ok(None) };
        match InvitationUuid::parse(&row.try_get::<String, _>(0)?) {
            Ok(uuid) => self.invitation(uuid).await,
            Err(_unreadable) => Ok(None),
        }
    }

    /// Takes an invitation back, and ends the sessions made with it; false where there was none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_invitation(&self, uuid: InvitationUuid) -> Result<bool, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let n_gone = query("DELETE FROM invitations WHERE uuid = $1")
                    .bind(uuid.to_string())
                    .execute(tx.conn())
                    .await?;
                tx.changed(ChangeKind::Invitation, &uuid, Vec::<UserUuid>::new());
                Ok(n_gone > 0)
            })
        })
        .await
    }

    /// Ends one guest's session; false where there was none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_guest(&self, session: GuestSessionUuid) -> Result<bool, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let n_gone = query("DELETE FROM guest_sessions WHERE uuid = $1")
                    .bind(session.to_string())
                    .execute(tx.conn())
                    .await?;
                tx.changed(ChangeKind::Invitation, &session, Vec::<UserUuid>::new());
                Ok(n_gone > 0)
            })
        })
        .await
    }

    /// Redeems an invitation at a door, and counts the use. None where there is no such invitation, it is for another
    /// door, is over, or who made it may not enter any more; nothing is counted then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn redeem_invitation(
        &self,
        secret: &str,
        door: Door,
        from: IpAddr,
    ) -> Result<Option<Admittance>, StoreError> {
        let hash = TokenHash::of(secret).hex();
        // Guesses come from anybody: they shall not take the writer's place.
        let known = query("SELECT 1 FROM invitations WHERE secret_hash = $1")
            .bind(&hash)
            .fetch_optional(&mut self.reader().await?)
            .await?;
        if known.is_none() {
            return Ok(None);
        }
        let session: GuestSessionUuid = random::uuid(&self.options.cluster)?;
        self.write(move |tx| {
            Box::pin(async move {
                let now = tx.now;
                let row = query(invitations!("WHERE secret_hash = $1"))
                    .bind(hash)
                    .fetch_optional(tx.conn())
                    .await?;
                let Some(row) = row else { return Ok(None) };
                let found = ports::whole(tx.conn(), &row).await?;
                let is_left = found.n_used_of(door.port).is_some_and(|n| n < found.uses_max);
                if !is_left || !opens(tx.conn(), &found, &door, now).await? {
                    return Ok(None);
                }
                ports::count_use(tx.conn(), &found, door.port).await?;
                query(
                    "INSERT INTO guest_sessions (uuid, invitation_uuid, created_at, address) \
                     VALUES ($1, $2, $3, $4)",
                )
                .bind(session.to_string())
                .bind(found.uuid.to_string())
                .bind(now.to_string())
                .bind(from.to_string())
                .execute(tx.conn())
                .await?;
                tx.changed(ChangeKind::Invitation, &found.uuid, [found.made_by]);
                Ok(Some(admittance(session, &found)))
            })
        })
        .await
    }

    /// Whether a guest's session still opens a door.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn admit_guest(
        &self,
        session: GuestSessionUuid,
        door: &Door,
    ) -> Result<Option<Admittance>, StoreError> {
        let Some(found) = self.invitation_of_guest(session).await? else { return Ok(None) };
        let opens = opens(&mut self.reader().await?, &found, door, self.now()).await?;
        Ok(opens.then(|| admittance(session, &found)))
    }
}

/// Whether an invitation is for this door and holds, whatever its uses.
async fn opens(
    conn: &mut Connection,
    invitation: &Invitation,
    door: &Door,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let is_for_it = invitation.n_used_of(door.port).is_some();
    if !is_for_it || invitation.expires_at <= now || door.submitters.is_empty() {
        return Ok(false);
    }
    let behind = query(
        "SELECT 1 FROM container_requests WHERE uuid = $1 AND (container_uuid = $2 OR uuid = $3)",
    )
    .bind(invitation.request_uuid.to_string())
    .bind(door.container.map(|uuid| uuid.to_string()).unwrap_or_default())
    .bind(door.request.map(|uuid| uuid.to_string()).unwrap_or_default())
    .fetch_optional(&mut *conn)
    .await?;
    if behind.is_none() {
        return Ok(false);
    }
    let maker: Option<User> = sql::by_uuid(conn, &USERS, invitation.made_by.as_str()).await?;
    Ok(maker.is_some_and(|maker| {
        maker.is_active && (maker.is_admin || door.submitters.contains(&maker.uuid))
    }))
}

fn admittance(session: GuestSessionUuid, invitation: &Invitation) -> Admittance {
    let rests_on =
        vec![session.to_string(), invitation.uuid.to_string(), invitation.made_by.to_string()];
    Admittance { session, invitation: invitation.uuid, expires_at: invitation.expires_at, rests_on }
}

fn before(now: Timestamp) -> Timestamp {
    Timestamp::from_jiff(now.as_jiff().checked_sub(EXPIRED_KEPT).unwrap_or(now.as_jiff()))
}

/// In whole seconds, as sessions end: the invitation is over when its guests are.
fn after(now: Timestamp, lifetime: Duration) -> Timestamp {
    let lifetime = jiff::SignedDuration::try_from(lifetime).unwrap_or_default();
    let then = now.as_jiff().checked_add(lifetime).unwrap_or(now.as_jiff());
    Timestamp::from_jiff(jiff::Timestamp::from_second(then.as_second()).unwrap_or(then))
}

fn unreadable(error: impl std::fmt::Display) -> StoreError {
    let source = serde::de::Error::custom(error);
    StoreError::Corrupt { what: "invitation".to_owned(), source }
}

/// Without its further ports.
fn invitation(row: &Row) -> Result<Invitation, StoreError> {
    let text = |name: &str| row.try_get::<String, _>(name);
    Ok(Invitation {
        uuid: InvitationUuid::parse(&text("uuid")?).map_err(unreadable)?,
        request_uuid: RequestUuid::parse(&text("request_uuid")?).map_err(unreadable)?,
        port: port_of(row)?,
        made_by: UserUuid::parse(&text("made_by")?).map_err(unreadable)?,
        note: text("note")?,
        created_at: text("created_at")?.parse().map_err(unreadable)?,
        expires_at: text("expires_at")?.parse().map_err(unreadable)?,
        uses_max: row.try_get("uses_max")?,
        n_used: row.try_get("n_used")?,
        further_ports: Vec::new(),
    })
}

fn port_of(row: &Row) -> Result<ContainerPort, StoreError> {
    let port = u16::try_from(row.try_get::<i64, _>("port")?).ok().and_then(ContainerPort::new);
    port.ok_or_else(|| unreadable("the port of an invitation"))
}

fn invited(ports: &[ContainerPort]) -> Vec<InvitedPort> {
    ports.iter().map(|port| InvitedPort { port: *port, n_used: 0 }).collect()
}

fn guest_session(row: &Row) -> Result<GuestSession, StoreError> {
    let text = |name: &str| row.try_get::<String, _>(name);
    Ok(GuestSession {
        uuid: GuestSessionUuid::parse(&text("uuid")?).map_err(unreadable)?,
        invitation_uuid: InvitationUuid::parse(&text("invitation_uuid")?).map_err(unreadable)?,
        created_at: text("created_at")?.parse().map_err(unreadable)?,
        address: text("address")?,
    })
}
