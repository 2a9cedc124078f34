//! How long containers live: when they were last used, what was told of their end, and ending them when it has come.

use std::collections::BTreeMap;

use model::life::{IDLE_TIME, MAX_RUN_TIME};
use model::{ContainerUuid, Due, JsonMap, LifeLimits, LifeNotes, LifePolicy, Timestamp};

use super::{finish, load, open_requests, priority, save};
use crate::connection::{Connection, Query, Row, query};
use crate::database::Store;
use crate::error::StoreError;
use crate::writer::Tx;

/// The last use, unless a later one is known.
const USED_AT: &str = "UPDATE container_lives SET used_at = $2 \
     WHERE container_uuid = $1 AND (used_at IS NULL OR used_at < $2)";
/// Until when it is kept, unless longer anyway.
const KEPT_UNTIL: &str = "UPDATE container_lives SET kept_until = $2 \
     WHERE container_uuid = $1 AND (kept_until IS NULL OR kept_until < $2)";

/// Identifiers in one question, as many as both databases take.
const ASKED_MAX: usize = 500;

impl Store {
    /// What is known of each of these containers that is not over; nothing of those that nobody has used yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lives(
        &self,
        uuids: &[ContainerUuid],
    ) -> Result<BTreeMap<ContainerUuid, LifeNotes>, StoreError> {
        let mut lives = BTreeMap::new();
        let mut conn = self.reader().await?;
        for uuids in uuids.chunks(ASKED_MAX) {
            let places: Vec<String> = (1..=uuids.len()).map(|n| format!("${n}")).collect();
            let text = format!(
                "SELECT container_uuid, used_at, kept_until, warned_at FROM container_lives \
                 WHERE container_uuid IN ({})",
                places.join(", ")
            );
            let uuids = uuids.iter().map(|uuid| uuid.to_string().into()).collect();
            for row in Query::made(text, uuids).fetch_all(&mut conn).await? {
                if let Ok(uuid) = ContainerUuid::parse(&row.try_get::<String, _>(0)?) {
                    lives.insert(uuid, notes_of(&row, 1)?);
                }
            }
        }
        Ok(lives)
    }

    /// Running containers were used at these times. Those that are over, and earlier times than what is known, change
    /// nothing; nor does it count as a change of the container.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_use(&self, uses: Vec<(ContainerUuid, Timestamp)>) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                for (uuid, at) in uses {
                    note(tx, uuid, USED_AT, at).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Keeps a running container from being ended for want of use until then, or as long as was said before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_until(&self, uuid: ContainerUuid, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { note(tx, uuid, KEPT_UNTIL, at).await })).await
    }

    /// Tells the end of a running container, or takes back what was told: its runtime status becomes `status`.
    /// `warned_at` is when it was told; none where it is taken back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tell_end(
        &self,
        uuid: ContainerUuid,
        status: JsonMap,
        warned_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let Some(mut container) = load(tx.conn(), uuid).await? else { return Ok(()) };
                if container.state.is_over() {
                    return Ok(());
                }
                begin(tx, uuid).await?;
                query("UPDATE container_lives SET warned_at = $2 WHERE container_uuid = $1")
                    .bind(uuid.to_string())
                    .bind(warned_at.map(|at| at.to_string()))
                    .execute(tx.conn())
                    .await?;
                if container.runtime_status == status {
                    return Ok(());
                }
                container.runtime_status = status;
                save(tx, container).await
            })
        })
        .await
    }

    /// Ends a running container whose end has come: nobody wants it any more, as if all who had asked for it had
    /// cancelled, and the record will say why. False where it has not come after all: it was used or extended just now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_life(
        &self,
        uuid: ContainerUuid,
        policy: LifePolicy,
    ) -> Result<bool, StoreError> {
        self.write_ending(move |tx| {
            Box::pin(async move {
                let Some(container) = load(tx.conn(), uuid).await? else { return Ok(false) };
                let notes = notes_in(tx.conn(), uuid).await?;
                let due = notes.life_of(&container).map(|life| life.due(policy, tx.now));
                let (Some(Due::End(why)), true) = (due, container.priority > 0) else {
                    return Ok(false);
                };
                begin(tx, uuid).await?;
                query("UPDATE container_lives SET ending = $2 WHERE container_uuid = $1")
                    .bind(uuid.to_string())
                    .bind(why.words())
                    .execute(tx.conn())
                    .await?;
                for mut request in open_requests(tx, uuid).await? {
                    request.priority = 0;
                    finish::save_request(tx, request, false).await?;
                }
                priority::recompute(tx, uuid).await.map(|()| true)
            })
        })
        .await
    }
}

/// Why a container is being ended, where it is because its end has come. What is known of its life goes with it.
pub(super) async fn take_ending(tx: &mut Tx, uuid: ContainerUuid) -> Result<String, StoreError> {
    let row = query("SELECT ending FROM container_lives WHERE container_uuid = $1")
        .bind(uuid.to_string())
        .fetch_optional(tx.conn())
        .await?;
    query("DELETE FROM container_lives WHERE container_uuid = $1")
        .bind(uuid.to_string())
        .execute(tx.conn())
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
}

/// Brings the limits of a container that is not over in line with those of the requests that wait for it.
pub(crate) async fn take_limits(tx: &mut Tx, uuid: ContainerUuid) -> Result<(), StoreError> {
    let Some(mut container) = load(tx.conn(), uuid).await? else { return Ok(()) };
    let requests = open_requests(tx, uuid).await?;
    if container.state.is_over() || requests.is_empty() {
        return Ok(());
    }
    let limits = LifeLimits::of_all(
        requests.iter().map(|request| LifeLimits::of(&request.scheduling_parameters)),
    );
    if limits == LifeLimits::of(&container.scheduling_parameters) {
        return Ok(());
    }
    let parameters = &mut container.scheduling_parameters;
    let seconds = |limit: Option<std::time::Duration>| limit.map_or(0, |limit| limit.as_secs());
    parameters.insert(MAX_RUN_TIME.to_owned(), seconds(limits.max_run).into());
    match limits.idle {
        Some(_) => drop(parameters.insert(IDLE_TIME.to_owned(), seconds(limits.idle).into())),
        None => drop(parameters.shift_remove(IDLE_TIME)),
    }
    save(tx, container).await
}

/// Enters a time unless a later one is known.
async fn note(
    tx: &mut Tx,
    uuid: ContainerUuid,
    update: &'static str,
    at: Timestamp,
) -> Result<(), StoreError> {
    begin(tx, uuid).await?;
    query(update).bind(uuid.to_string()).bind(at.to_string()).execute(tx.conn()).await.map(drop)
}

/// A place for what is known of a container that is not over.
async fn begin(tx: &mut Tx, uuid: ContainerUuid) -> Result<(), StoreError> {
    query(
        "INSERT INTO container_lives (container_uuid) \
         SELECT uuid FROM containers WHERE uuid = $1 AND state IN ('Locked', 'Running') \
         ON CONFLICT (container_uuid) DO NOTHING",
    )
    .bind(uuid.to_string())
    .execute(tx.conn())
    .await
    .map(drop)
}

async fn notes_in(conn: &mut Connection, uuid: ContainerUuid) -> Result<LifeNotes, StoreError> {
    let row = query(
        "SELECT used_at, kept_until, warned_at FROM container_lives WHERE container_uuid = $1",
    )
    .bind(uuid.to_string())
    .fetch_optional(conn)
    .await?;
    row.map_or_else(|| Ok(LifeNotes::default()), |row| notes_of(&row, 0))
}

fn notes_of(row: &Row, first: usize) -> Result<LifeNotes, StoreError> {
    let time = |at: usize| -> Result<Option<Timestamp>, StoreError> {
        let text: Option<String> = row.try_get(at)?;
        Ok(text.and_then(|text| text.parse().ok()))
    };
    Ok(LifeNotes {
        used_at: time(first)?,
        kept_until: time(first + 1)?,
        warned_at: time(first + 2)?,
    })
}
