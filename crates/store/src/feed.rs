//! Change events between processes on one database.
//!
//! A transaction writes a row into `changes` for each record that it changed, so nobody can see a change without its
//! row. With the commit a [`bell`] is rung; whoever follows reads the rows after the last one it knows, and
//! tells its own listeners of those that others wrote.
//!
//! Invariant: rows are numbered in the order of commits and without gaps (there is one writer at a time, and the
//! newest row is never deleted). So a follower that still finds the row it read last has missed nothing; one that does
//! not is too far behind, and tells its listeners to look at everything.

mod bell;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Notify};

use crate::changes::{ChangeKind, Pending};
use crate::connection::{Connection, Row, query};
use crate::database::Store;
use crate::error::StoreError;
use crate::random;
use crate::writer::Tx;
pub(crate) use bell::Bell;

/// A bell that was not heard costs this much time; looking costs one query by primary key.
const PERIOD: Duration = Duration::from_millis(500);
/// Rows read at a time.
const BATCH: usize = 1000;

/// One process's end of the feed.
#[derive(Debug)]
pub(crate) struct Feed {
    origin: i64,
    bell: Bell,
    /// Where the bell is heard.
    rung: Notify,
    /// The last row read; held while reading, so that two followers tell nothing twice.
    last: Mutex<i64>,
    begun: Instant,
    /// Nanoseconds from `begun` to the last moment of which it is sure that every change was heard.
    heard_ns: AtomicU64,
}

impl Feed {
    /// Begins behind the rows that there are: nobody listens yet, and nothing was read.
    pub(crate) async fn begin(conn: &mut Connection, bell: Bell) -> Result<Self, StoreError> {
        let begun = Instant::now();
        let last = newest(conn).await?;
        Ok(Self {
            origin: random::origin()?,
            bell,
            rung: Notify::new(),
            last: Mutex::new(last),
            begun,
            heard_ns: AtomicU64::new(0),
        })
    }

    /// Wakes the followers in all processes, where the commit did not do it.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    fn heard_at(&self) -> Instant {
        self.begun + Duration::from_nanos(self.heard_ns.load(Ordering::Acquire))
    }

    fn is_sure_at(&self, moment: Instant) {
        let since = moment.saturating_duration_since(self.begun).as_nanos();
        self.heard_ns.fetch_max(u64::try_from(since).unwrap_or(u64::MAX), Ordering::AcqRel);
    }
}

/// Writes the rows of a transaction's changes, and deletes the oldest from time to time.
pub(crate) async fn write(tx: &mut Tx, feed: &Feed, changes: &[Pending]) -> Result<(), StoreError> {
    let mut newest = 0;
    for change in changes {
        let owners = serde_json::Value::from_iter(change.owners.iter().map(String::as_str));
        // Numbered here and not by a sequence, which leaves gaps where a transaction is rolled back.
        newest = query(
            "INSERT INTO changes (seq, origin, kind, uuid, owners) \
             SELECT COALESCE(MAX(seq), 0) + 1, $1, $2, $3, $4 FROM changes RETURNING seq",
        )
        .bind(feed.origin)
        .bind(change.kind.as_str())
        .bind(change.uuid.as_str())
        .bind(owners.to_string())
        .fetch_count(tx.conn())
        .await?;
    }
    let kept = i64::from(tx.options.changes_kept.max(1));
    let n_written = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    // Each time would cost every commit one more page.
    let step = kept / 16 + 1;
    if newest / step > newest.saturating_sub(n_written) / step {
        query("DELETE FROM changes WHERE seq <= $1").bind(newest - kept).execute(tx.conn()).await?;
    }
    Ok(())
}

impl Store {
    /// Tells this process's listeners what other processes change, until the store is closed.
    ///
    /// A process runs it once, as long as it has listeners; without it only its own changes are told.
    pub async fn follow_changes(&self) {
        tokio::select! {
            () = self.feed.bell.listen(&self.feed.rung) => {}
            () = self.follow_rings() => {}
        }
    }

    async fn follow_rings(&self) {
        let mut was_deaf = false;
        while !self.is_closed() {
            let heard = self.hear().await;
            match &heard {
                Err(error) if !was_deaf => tracing::warn!(
                    %error, "changes of other processes cannot be read now; trying again"
                ),
                Ok(()) if was_deaf => tracing::info!("changes of other processes are heard again"),
                _ => {}
            }
            was_deaf = heard.is_err();
            tokio::select! {
                () = self.feed.rung.notified() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    /// The last moment up to which this process has surely heard of every change, those of other
    /// processes included. Stands still while [`Store::follow_changes`] does not run or cannot read.
    pub fn heard_at(&self) -> Instant {
        self.feed.heard_at()
    }

    /// Reads what is new and tells it.
    async fn hear(&self) -> Result<(), StoreError> {
        let mut last = self.feed.last.lock().await;
        loop {
            let began = Instant::now();
            let rows = self.rows_from(*last).await?;
            let seqs = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
            if !follows(*last, seqs.first().copied()) {
                *last = newest(&mut self.reader().await?).await?;
                self.announcer.announce_everything();
                continue;
            }
            for (row, _) in rows.iter().zip(&seqs).filter(|(_, seq)| **seq > *last) {
                self.tell(row);
            }
            *last = seqs.last().copied().unwrap_or(*last);
            if rows.len() <= BATCH {
                self.feed.is_sure_at(began);
                return Ok(());
            }
        }
    }

    /// That row and those after it, at most one more than a batch.
    async fn rows_from(&self, seq: i64) -> Result<Vec<Row>, StoreError> {
        let rows = query(
            "SELECT seq, origin, kind, uuid, owners FROM changes WHERE seq >= $1 \
             ORDER BY seq LIMIT $2",
        )
        .bind(seq)
        .bind(i64::try_from(BATCH + 1).unwrap_or(i64::MAX))
        .fetch_all(&mut self.reader().await?)
        .await?;
        Ok(rows)
    }

    /// Announces another process's change; our own were announced at their commit.
    fn tell(&self, row: &Row) {
        match change_of(row) {
            Some((origin, _)) if origin == self.feed.origin => {}
            Some((_, change)) => self.announcer.announce(vec![change]),
            // Of a newer version that runs beside us.
            None => self.announcer.announce_everything(),
        }
    }
}

/// Whether rows that begin with `first`, read from `last` on, are all that came after it.
fn follows(last: i64, first: Option<i64>) -> bool {
    match last {
        0 => first.is_none_or(|first| first == 1),
        last => first == Some(last),
    }
}

/// Who wrote a row, and what it says; none where we do not understand it.
fn change_of(row: &Row) -> Option<(i64, Pending)> {
    let kind = ChangeKind::parse(row.try_get("kind").ok()?)?;
    let owners = serde_json::from_str(row.try_get("owners").ok()?).ok()?;
    let uuid = row.try_get("uuid").ok()?;
    Some((row.try_get("origin").ok()?, Pending { kind, uuid, owners }))
}

/// The number of the newest row, 0 where there is none.
async fn newest(conn: &mut Connection) -> Result<i64, StoreError> {
    let row = query("SELECT COALESCE(MAX(seq), 0) FROM changes").fetch_one(conn).await?;
    Ok(row.try_get(0)?)
}

#[cfg(test)]
mod tests;
