//! Container requests: keeping them, committing them (which makes their container), and
//! cancelling them. Each is one transaction.

use std::collections::BTreeMap;

use model::{ContainerRequest, JsonMap, Link, RequestState, RequestUuid, UserUuid};

use crate::changes::ChangeKind;
use crate::connection::{Connection, query};
use crate::containers;
use crate::database::Store;
use crate::error::StoreError;
use crate::groups;
use crate::links::{self, later};
use crate::random;
use crate::schema::{CONTAINER_REQUESTS, LINKS};
use crate::sql::{self, Hidden};
use crate::writer::Tx;

mod commit;
mod expiry;

/// What committing made of names: only the container's record has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The portable data hash of the image's collection, or the image's id.
    pub container_image: String,
    /// The mounts, with collections by content alone.
    pub mounts: JsonMap,
}

impl Resolved {
    /// For a request that needs nothing resolved.
    pub fn as_asked(request: &ContainerRequest) -> Self {
        Self { container_image: request.container_image.clone(), mounts: request.mounts.clone() }
    }
}

impl Store {
    /// A new request's identifier.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new_request_uuid(&self) -> Result<RequestUuid, StoreError> {
        random::uuid(&self.options.cluster)
    }

    /// Keeps a new request, checked by the caller. One that is Committed gets its container in
    /// the same transaction, made of what was `resolved`, else of what the request says. One that a container's
    /// program makes has that container's priority.
    ///
    /// # Errors
    /// [`StoreError::BadOwner`], or when the database fails.
    pub async fn create_request(
        &self,
        mut request: ContainerRequest,
        resolved: Option<Resolved>,
        by: UserUuid,
    ) -> Result<ContainerRequest, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                (request.created_at, request.modified_at) = (tx.now, tx.now);
                request.modified_by_user_uuid = by;
                groups::check_owner(tx.conn(), &request.owner_uuid, None).await?;
                if let Some(parent) = request.requesting_container_uuid {
                    request.priority = containers::priority::inherited(tx, parent).await?;
                }
                let mut hidden: Hidden = secrets(&request);
                if request.state == RequestState::Committed {
                    commit::commit(tx, &mut request, resolved, by).await?;
                    hidden.push(("submitted_by_uuid", by.to_string().into()));
                }
                sql::insert(&CONTAINER_REQUESTS, &request, hidden)?.execute(tx.conn()).await?;
                saved(tx, &request, &[]).await?;
                if let Some(container) = request.container_uuid.filter(|_| request.use_existing) {
                    containers::life::take_limits(tx, container).await?;
                }
                Ok(request)
            })
        })
        .await
    }

    /// Replaces `before`, as it was read, by `after`, whose changes the caller has checked.
    ///
    /// A request that becomes Committed gets its container. One whose priority falls to 0 ends
    /// its container at once while that is Queued; the dispatcher stops one that runs.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where the request is not as it was read: read it again.
    pub async fn update_request(
        &self,
        before: ContainerRequest,
        mut after: ContainerRequest,
        resolved: Option<Resolved>,
        by: UserUuid,
    ) -> Result<ContainerRequest, StoreError> {
        let cancels = before.priority > 0 && after.priority == 0;
        self.write_ending_if(cancels, move |tx| {
            Box::pin(async move {
                let uuid = before.uuid;
                let as_read = before.modified_at;
                sql::require_as_read(
                    tx.conn(),
                    &CONTAINER_REQUESTS,
                    "container request",
                    uuid.as_str(),
                    as_read,
                )
                .await?;
                if after.owner_uuid != before.owner_uuid {
                    groups::check_owner(tx.conn(), &after.owner_uuid, None).await?;
                }
                after.modified_at = later(tx.now, before.modified_at);
                after.modified_by_user_uuid = by;
                let mut hidden: Hidden = secrets(&after);
                if before.state == RequestState::Uncommitted
                    && after.state == RequestState::Committed
                {
                    if let Some(parent) = after.requesting_container_uuid {
                        after.priority = containers::priority::inherited(tx, parent).await?;
                    }
                    commit::commit(tx, &mut after, resolved, by).await?;
                    hidden.push(("submitted_by_uuid", by.to_string().into()));
                }
                let statement = sql::update(&CONTAINER_REQUESTS, uuid.as_str(), &after, hidden)?;
                statement.execute(tx.conn()).await?;
                saved(tx, &after, &[before.owner_uuid.as_str()]).await?;
                let limits_change = before.scheduling_parameters != after.scheduling_parameters
                    || before.state != after.state;
                if let Some(container) = after.container_uuid.filter(|_| limits_change) {
                    containers::life::take_limits(tx, container).await?;
                }
                if cancels {
                    containers::finish::cancel_if_queued(tx, after.container_uuid).await?;
                }
                // What cancelling did to the request itself is part of the answer.
                load(tx.conn(), uuid).await?.ok_or_else(|| not_found(uuid))
            })
        })
        .await
    }

    /// The request with this identifier, its secret mounts included.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn request(&self, uuid: RequestUuid) -> Result<Option<ContainerRequest>, StoreError> {
        load(&mut self.reader().await?, uuid).await
    }

    /// Deletes a request and the links that lead to it; false where there was none. A container
    /// that nobody else wants is cancelled.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_request(&self, uuid: RequestUuid) -> Result<bool, StoreError> {
        self.write_ending(move |tx| {
            Box::pin(async move {
                let Some(request) = load(tx.conn(), uuid).await? else { return Ok(false) };
                delete(tx, &request).await.map(|()| true)
            })
        })
        .await
    }

    /// How many requests there are in each state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_requests(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let mut conn = self.reader().await?;
        let rows = query("SELECT state, COUNT(*) FROM container_requests GROUP BY state")
            .fetch_all(&mut conn)
            .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}

/// Deletes a request and the links that lead to it.
pub(crate) async fn delete(tx: &mut Tx, request: &ContainerRequest) -> Result<(), StoreError> {
    let uuid = request.uuid;
    let links: Vec<Link> =
        sql::select_where(tx.conn(), &LINKS, "WHERE head_uuid = $1", &[uuid.as_str()]).await?;
    let mut owners = vec![request.owner_uuid.clone()];
    for link in &links {
        // Whom it was shared with sees it go.
        owners.extend(links::audience(link));
        links::delete(tx, link).await?;
    }
    query("DELETE FROM container_requests WHERE uuid = $1")
        .bind(uuid.to_string())
        .execute(tx.conn())
        .await?;
    tx.changed(ChangeKind::Request, &uuid, owners);
    if let Some(container) = request.container_uuid {
        containers::priority::recompute(tx, container).await?;
        containers::finish::cancel_if_queued(tx, Some(container)).await?;
    }
    Ok(())
}

fn not_found(uuid: RequestUuid) -> StoreError {
    StoreError::NotFound(format!("container request {uuid}"))
}

/// After a request was written: its container's priority, and who hears of it.
async fn saved(
    tx: &mut Tx,
    request: &ContainerRequest,
    other_owners: &[&str],
) -> Result<(), StoreError> {
    let owners = other_owners.iter().copied().chain([request.owner_uuid.as_str()]);
    tx.changed(ChangeKind::Request, &request.uuid, owners);
    match request.container_uuid {
        Some(container) => containers::priority::recompute(tx, container).await,
        None => Ok(()),
    }
}

/// Secrets are written apart: they are no attributes. Final requests have none.
fn secrets(request: &ContainerRequest) -> Hidden {
    let (mounts, token) = if request.state == RequestState::Final {
        ("{}".to_owned(), None)
    } else {
        let mounts = serde_json::Value::Object(request.secret_mounts.clone()).to_string();
        (mounts, request.runtime_token.clone())
    };
    let token = sea_query::Value::String(token);
    vec![("secret_mounts", mounts.into()), ("runtime_token", token)]
}

/// The request with its secrets.
pub(crate) async fn load(
    conn: &mut Connection,
    uuid: RequestUuid,
) -> Result<Option<ContainerRequest>, StoreError> {
    let beside = ["secret_mounts", "runtime_token"];
    let row = sql::row_by_uuid(conn, &CONTAINER_REQUESTS, &beside, uuid.as_str()).await?;
    let Some(row) = row else { return Ok(None) };
    let mut request: ContainerRequest = sql::row_to_record(&CONTAINER_REQUESTS, &row)?;
    let secrets: String = row.try_get("secret_mounts")?;
    request.runtime_token = row.try_get("runtime_token")?;
    request.secret_mounts = serde_json::from_str::<JsonMap>(&secrets).map_err(|source| {
        StoreError::Corrupt { what: format!("container request {uuid}"), source }
    })?;
    Ok(Some(request))
}
