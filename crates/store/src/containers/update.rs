//! Containers changed over the API: by their own programs, and by dispatchers that are not ours.

use model::{Container, ContainerEnd, ContainerState, ContainerUuid, JsonMap, Outcome, SecretPlan};

use super::finish::{self, Leavings};
use super::{load, not_found, save};
use crate::database::Store;
use crate::error::StoreError;
use crate::links::later;
use crate::schema::{CONTAINER_REQUESTS, CONTAINERS};
use crate::sql;

impl Store {
    /// Replaces `before`, as it was read, by `after`, whose changes the caller has checked. One that becomes Complete or
    /// Cancelled takes its requests along.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where the container is not as it was read; [`StoreError::NotFound`].
    pub async fn update_container(
        &self,
        before: Container,
        after: Container,
    ) -> Result<Container, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let uuid = before.uuid;
                let as_read = before.modified_at;
                sql::require_as_read(tx.conn(), &CONTAINERS, "container", uuid.as_str(), as_read)
                    .await?;
                if after.state.is_over() && !before.state.is_over() {
                    let end = end_of(&after, tx.now);
                    let live = Container {
                        state: before.state,
                        exit_code: before.exit_code,
                        modified_at: before.modified_at,
                        ..after
                    };
                    finish::finish(tx, live, &end, &Leavings::default()).await?;
                } else {
                    let started =
                        after.state == ContainerState::Running && after.started_at.is_none();
                    let started_at = if started { Some(tx.now) } else { after.started_at };
                    save(tx, Container { started_at, ..after }).await?;
                }
                load(tx.conn(), uuid).await?.ok_or_else(|| not_found(uuid))
            })
        })
        .await
    }

    /// The secret mounts of a container that is not over, as they are made.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn secret_mounts(&self, uuid: ContainerUuid) -> Result<SecretPlan, StoreError> {
        let mounts = self.secret_mounts_as_asked(uuid).await?;
        // Checked when the request was committed.
        Ok(SecretPlan::of(&mounts).unwrap_or_default())
    }

    /// The same as the request has them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn secret_mounts_as_asked(&self, uuid: ContainerUuid) -> Result<JsonMap, StoreError> {
        let mut conn = self.reader().await?;
        let requests: Vec<model::ContainerRequest> = sql::select_where(
            &mut conn,
            &CONTAINER_REQUESTS,
            "WHERE container_uuid = $1 AND state = 'Committed' ORDER BY created_at LIMIT 1",
            &[uuid.as_str()],
        )
        .await?;
        // All that share a container have the same.
        let Some(request) = requests.first() else { return Ok(JsonMap::new()) };
        let whole = crate::requests::load(&mut conn, request.uuid).await?;
        Ok(whole.map(|request| request.secret_mounts).unwrap_or_default())
    }
}

fn end_of(after: &Container, now: model::Timestamp) -> ContainerEnd {
    let outcome = match (after.state, after.exit_code) {
        (ContainerState::Complete, code) => Outcome::Exited { code: code.unwrap_or(0) },
        // A dispatcher that cancels what somebody still wants could not run it.
        _ if after.priority > 0 => Outcome::Lost,
        _ => Outcome::Stopped { code: None },
    };
    let finished_at = later(now, after.started_at.unwrap_or(now));
    ContainerEnd { outcome, finished_at, reason: String::new(), oom_killed: false }
}
