//! Containers: the queue, and each step of a container's life.
//!
//! Steps are idempotent and answer whether they changed something, so that the dispatcher can
//! repeat them after any crash. Users never write containers; only the dispatcher does.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use model::{
    Container, ContainerEnd, ContainerPort, ContainerRequest, ContainerState, ContainerUuid,
    JsonMap, PublishedPorts, Timestamp,
};

use crate::changes::ChangeKind;
use crate::connection::{Connection, query};
use crate::database::Store;
use crate::error::StoreError;
use crate::links::later;
use crate::schema::{CONTAINER_REQUESTS, CONTAINERS};
use crate::sql;
use crate::writer::Tx;
pub use finish::Leavings;
pub use token::ContainerToken;

pub(crate) mod finish;
pub(crate) mod life;
pub(crate) mod priority;
pub(crate) mod results;
mod token;
mod update;

impl Store {
    /// What there is to do, most urgent first: Queued containers that somebody wants, and all
    /// that are Locked or Running. One of those with priority 0 is to be stopped.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_containers(&self) -> Result<Vec<Container>, StoreError> {
        sql::select_where(
            &mut self.reader().await?,
            &CONTAINERS,
            "WHERE (state = 'Queued' AND priority > 0) OR state IN ('Locked', 'Running') \
             ORDER BY priority DESC, created_at, uuid",
            &[],
        )
        .await
    }

    /// Those that somebody wants to run, waiting or running.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wanted_containers(&self) -> Result<BTreeSet<ContainerUuid>, StoreError> {
        let rows = query(
            "SELECT uuid FROM containers \
             WHERE state IN ('Queued', 'Locked', 'Running') AND priority > 0",
        )
        .fetch_all(&mut self.reader().await?)
        .await?;
        let uuids = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<&str>, _>>()?;
        Ok(uuids.into_iter().filter_map(|uuid| ContainerUuid::parse(uuid).ok()).collect())
    }

    /// The container with this identifier.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn container(&self, uuid: ContainerUuid) -> Result<Option<Container>, StoreError> {
        load(&mut self.reader().await?, uuid).await
    }

    /// Takes a Queued container that somebody wants; false where it is not (any more).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_container(&self, uuid: ContainerUuid, by: &str) -> Result<bool, StoreError> {
        let by = by.to_owned();
        self.change(uuid, move |container| {
            if container.state != ContainerState::Queued || container.priority == 0 {
                return false;
            }
            container.state = ContainerState::Locked;
            container.locked_by_uuid = Some(by);
            container.lock_count += 1;
            true
        })
        .await
    }

    /// Puts a Locked container back into the queue, or ends it where nobody wants it any more; false where it is not
    /// Locked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unlock_container(&self, uuid: ContainerUuid) -> Result<bool, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let mut container = load(tx.conn(), uuid).await?.ok_or_else(|| not_found(uuid))?;
                if container.state != ContainerState::Locked {
                    return Ok(false);
                }
                token::expire(tx, &container).await?;
                container.state = ContainerState::Queued;
                container.locked_by_uuid = None;
                container.auth_uuid = None;
                save(tx, container).await?;
                finish::cancel_if_queued(tx, Some(uuid)).await.map(|()| true)
            })
        })
        .await
    }

    /// A Locked container runs; `ports` have their addresses filled in. False where it is not
    /// Locked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start_container(
        &self,
        uuid: ContainerUuid,
        started_at: Timestamp,
        ports: PublishedPorts,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let mut container = load(tx.conn(), uuid).await?.ok_or_else(|| not_found(uuid))?;
                if container.state != ContainerState::Locked {
                    return Ok(false);
                }
                container.state = ContainerState::Running;
                container.started_at = Some(started_at);
                container.published_ports = ports;
                save(tx, container).await?;
                results::begin_logs(tx, uuid).await.map(|()| true)
            })
        })
        .await
    }

    /// A published port of a Running container accepted its first connection; false where that
    /// was known, or the port is not published.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_ready(
        &self,
        uuid: ContainerUuid,
        port: ContainerPort,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(uuid, move |container| {
            if container.state != ContainerState::Running {
                return false;
            }
            match container.published_ports.get_mut(port) {
                Some(entry) if !entry.is_ready() => {
                    entry.ready = Some(true);
                    entry.ready_at = Some(Some(at));
                    true
                }
                _ => false,
            }
        })
        .await
    }

    /// Of the published ports of a Running container that were ready, nothing listens any more on these, and something
    /// does on the others; false where that was known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_silent(
        &self,
        uuid: ContainerUuid,
        silent: BTreeMap<ContainerPort, Timestamp>,
    ) -> Result<bool, StoreError> {
        self.change(uuid, move |container| {
            let mut is_news = false;
            for (port, entry) in container.published_ports.iter_mut() {
                let since = silent.get(&port).copied().filter(|_| entry.is_ready());
                is_news |= entry.silent_since != since;
                entry.silent_since = since;
            }
            is_news && container.state == ContainerState::Running
        })
        .await
    }

    /// Notes what the program or the dispatcher says about a live container; false where nothing
    /// changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_runtime_status(
        &self,
        uuid: ContainerUuid,
        status: JsonMap,
    ) -> Result<bool, StoreError> {
        self.change(uuid, move |container| {
            let news = !container.state.is_over() && container.runtime_status != status;
            if news {
                container.runtime_status = status;
            }
            news
        })
        .await
    }

    /// Ends a container for good and finalises its requests, in one transaction, with collections of what it leaves;
    /// those of one that the machine lost get another container, as long as they may. False where it was over already;
    /// repeating it changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database fails.
    pub async fn end_container(
        &self,
        uuid: ContainerUuid,
        end: &ContainerEnd,
        leavings: Leavings,
    ) -> Result<bool, StoreError> {
        let end = end.clone();
        self.write_ending(move |tx| {
            Box::pin(async move {
                let container = load(tx.conn(), uuid).await?.ok_or_else(|| not_found(uuid))?;
                finish::finish(tx, container, &end, &leavings).await
            })
        })
        .await
    }

    /// Why a container waits, in the dispatcher's words. Empty: it does not, or nobody said.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn scheduling_status(&self, uuid: ContainerUuid) -> Result<String, StoreError> {
        let row = query("SELECT scheduling_status FROM containers WHERE uuid = $1")
            .bind(uuid.to_string())
            .fetch_optional(&mut self.reader().await?)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
    }

    /// Notes why a container waits; listeners hear of it where the words are new.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_scheduling_status(
        &self,
        uuid: ContainerUuid,
        words: &str,
    ) -> Result<(), StoreError> {
        // The dispatcher says it on every round: mostly it is known, and costs no write.
        if self.scheduling_status(uuid).await? == words {
            return Ok(());
        }
        let words = words.to_owned();
        self.write(move |tx| {
            Box::pin(async move {
                query("UPDATE containers SET scheduling_status = $2 WHERE uuid = $1")
                    .bind(uuid.to_string())
                    .bind(words)
                    .execute(tx.conn())
                    .await?;
                announce(tx, uuid).await
            })
        })
        .await
    }

    /// The waiting containers in order, each with the dispatcher's words.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue(&self) -> Result<Vec<(ContainerUuid, String)>, StoreError> {
        let rows = query(
            "SELECT uuid, scheduling_status FROM containers \
             WHERE state = 'Queued' AND priority > 0 ORDER BY priority DESC, created_at, uuid",
        )
        .fetch_all(&mut self.reader().await?)
        .await?;
        let mut queue = Vec::with_capacity(rows.len());
        for row in rows {
            if let Ok(uuid) = ContainerUuid::parse(&row.try_get::<String, _>(0)?) {
                queue.push((uuid, row.try_get(1)?));
            }
        }
        Ok(queue)
    }

    /// How many containers there are in each state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_containers(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let rows = query("SELECT state, COUNT(*) FROM containers GROUP BY state")
            .fetch_all(&mut self.reader().await?)
            .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Gives each of a container's ports the lowest free port of the controller's host, on sites
    /// without a wildcard name. A port for which none is free is left out. Repeating it answers
    /// the same; [`Store::end_container`] takes them back, and one that is over gets none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn assign_external_ports(
        &self,
        uuid: ContainerUuid,
        ports: Vec<ContainerPort>,
        range: RangeInclusive<u16>,
    ) -> Result<BTreeMap<ContainerPort, u16>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                // Ended meanwhile, by another controller's hand: nobody would take them back.
                let container = load(tx.conn(), uuid).await?.ok_or_else(|| not_found(uuid))?;
                if container.state.is_over() {
                    return Ok(BTreeMap::new());
                }
                let rows = query("SELECT port, container_uuid, container_port FROM external_ports")
                    .fetch_all(tx.conn())
                    .await?;
                let mut taken: BTreeMap<i64, (String, i64)> = BTreeMap::new();
                for row in rows {
                    taken.insert(row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?));
                }
                let mut assigned = BTreeMap::new();
                for port in ports {
                    let mine = (uuid.to_string(), i64::from(port.get()));
                    let had =
                        taken.iter().find(|(_, owner)| **owner == mine).map(|(port, _)| *port);
                    let free = || range.clone().map(i64::from).find(|p| !taken.contains_key(p));
                    let Some(external) = had.or_else(free) else { continue };
                    if had.is_none() {
                        query("INSERT INTO external_ports VALUES ($1, $2, $3)")
                            .bind(external)
                            .bind(&mine.0)
                            .bind(mine.1)
                            .execute(tx.conn())
                            .await?;
                        taken.insert(external, mine);
                    }
                    assigned.extend(u16::try_from(external).ok().map(|external| (port, external)));
                }
                Ok(assigned)
            })
        })
        .await
    }

    /// Changes a container where `change` says so.
    async fn change(
        &self,
        uuid: ContainerUuid,
        change: impl FnOnce(&mut Container) -> bool + Send + 'static,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let mut container = load(tx.conn(), uuid).await?.ok_or_else(|| not_found(uuid))?;
                if !change(&mut container) {
                    return Ok(false);
                }
                save(tx, container).await.map(|()| true)
            })
        })
        .await
    }
}

fn not_found(uuid: ContainerUuid) -> StoreError {
    StoreError::NotFound(format!("container {uuid}"))
}

pub(crate) async fn load(
    conn: &mut Connection,
    uuid: ContainerUuid,
) -> Result<Option<Container>, StoreError> {
    sql::by_uuid(conn, &CONTAINERS, uuid.as_str()).await
}

pub(crate) async fn insert(tx: &mut Tx, container: &Container) -> Result<(), StoreError> {
    sql::insert(&CONTAINERS, container, Vec::new())?.execute(tx.conn()).await?;
    announce(tx, container.uuid).await
}

pub(crate) async fn save(tx: &mut Tx, mut container: Container) -> Result<(), StoreError> {
    container.modified_at = later(tx.now, container.modified_at);
    let statement = sql::update(&CONTAINERS, container.uuid.as_str(), &container, Vec::new())?;
    statement.execute(tx.conn()).await?;
    announce(tx, container.uuid).await
}

/// Notes that a container changed, for the owners of its requests.
pub(crate) async fn announce(tx: &mut Tx, uuid: ContainerUuid) -> Result<(), StoreError> {
    let owners =
        query("SELECT DISTINCT owner_uuid FROM container_requests WHERE container_uuid = $1")
            .bind(uuid.to_string())
            .fetch_all(tx.conn())
            .await?;
    let owners: Vec<String> = owners.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    tx.changed(ChangeKind::Container, &uuid, owners);
    Ok(())
}

/// The requests that wait for a container.
async fn open_requests(
    tx: &mut Tx,
    uuid: ContainerUuid,
) -> Result<Vec<ContainerRequest>, StoreError> {
    sql::select_where(
        tx.conn(),
        &CONTAINER_REQUESTS,
        "WHERE container_uuid = $1 AND state = 'Committed'",
        &[uuid.as_str()],
    )
    .await
}
