//! Requests with an end of their own: after `expires_at` a request's priority is 0 (Arvados), as if somebody had cancelled
//! it then. Who submits and stays renews it; what its submitter left behind ends by itself.

use std::time::Duration;

use model::RequestUuid;

use super::{load, saved, secrets};
use crate::connection::query;
use crate::containers;
use crate::database::Store;
use crate::error::StoreError;
use crate::links::later;
use crate::schema::CONTAINER_REQUESTS;
use crate::sql;
use crate::writer::Tx;

/// Between looks; each is one query by an index.
const PERIOD: Duration = Duration::from_secs(1);
/// Before the first one: whoever waited for a controller to come back renews first.
const FIRST: Duration = Duration::from_secs(10);
/// Most requests of one transaction.
const BATCH: i64 = 100;

impl Store {
    /// Ends requests when their time is over, until the store is closed.
    pub async fn keep_expiry(&self) {
        tokio::time::sleep(FIRST).await;
        while !self.is_closed() {
            if let Err(error) = self.end_expired_requests().await {
                tracing::warn!(%error, "requests whose time is over cannot be ended now; trying again");
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Takes the priority of requests whose time is over; how many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_expired_requests(&self) -> Result<usize, StoreError> {
        let now = self.now().to_string();
        let rows = query(
            // By way of containers that are not over: those are few.
            "SELECT r.uuid FROM containers c JOIN container_requests r ON r.container_uuid = c.uuid \
             WHERE c.state IN ('Queued', 'Locked', 'Running') AND r.state = 'Committed' \
             AND r.priority > 0 AND r.expires_at <= $1 ORDER BY r.expires_at LIMIT $2",
        )
        .bind(now)
        .bind(BATCH)
        .fetch_all(&mut self.reader().await?)
        .await?;
        let mut due = Vec::new();
        for row in rows {
            due.extend(RequestUuid::parse(row.try_get(0)?).ok());
        }
        let n_due = due.len();
        for uuid in due {
            self.write_ending(move |tx| Box::pin(expire(tx, uuid))).await?;
        }
        Ok(n_due)
    }
}

/// Looked at again: it may have been renewed meanwhile.
async fn expire(tx: &mut Tx, uuid: RequestUuid) -> Result<(), StoreError> {
    let Some(mut request) = load(tx.conn(), uuid).await? else { return Ok(()) };
    let is_due = request.expires_at.is_some_and(|end| end <= tx.now);
    if !is_due || request.priority == 0 || request.state != model::RequestState::Committed {
        return Ok(());
    }
    request.priority = 0;
    request.modified_at = later(tx.now, request.modified_at);
    let hidden = secrets(&request);
    sql::update(&CONTAINER_REQUESTS, uuid.as_str(), &request, hidden)?.execute(tx.conn()).await?;
    saved(tx, &request, &[]).await?;
    containers::finish::cancel_if_queued(tx, request.container_uuid).await
}
