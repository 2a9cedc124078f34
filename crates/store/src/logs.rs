//! Log entries: what happened to records, and what users write about them.
//!
//! Every change of every record gets an entry in the transaction that makes it, and in one place: triggers of the write
//! connection note which records a transaction touches and how they were before ([`touched`]); before the commit
//! [`write_entries`] compares that with how they are now. So no step of this crate can forget its entry, a step that
//! changes a record twice has one, and one that changes nothing has none.
//!
//! Entries hold the attributes of the schemas: what is kept beside those (secret mounts, hashes of secrets, passwords)
//! is never in them. Manifests and attributes larger than [`touched::ATTRIBUTE_CHARS_MAX`] are left out.
//!
//! A change of a container is an entry of its requests too, although they have not changed: who watches a request (a
//! page of it, say) follows its container by that.

mod touched;
mod triggers;

use std::collections::BTreeMap;
use std::time::Duration;

use model::{JsonMap, LogUuid, Timestamp, UserUuid};
use ring::digest;
use serde_json::{Value, json};

use crate::changes::ChangeKind;
use crate::connection::query;
use crate::database::Store;
use crate::error::StoreError;
use crate::random;
use crate::schema::Resource;
use crate::users::system_user;
use crate::writer::Tx;

use touched::TouchedRecord;
pub(crate) use triggers::{Touched, make_permanent};

/// An entry that a user writes.
#[derive(Debug, Clone, Default)]
pub struct NewLog {
    /// What happened: any word.
    pub event_type: String,
    /// When, where that is not now.
    pub event_at: Option<Timestamp>,
    /// The record it happened to.
    pub object_uuid: Option<String>,
    /// Whose that is.
    pub object_owner_uuid: Option<String>,
    /// In a few words.
    pub summary: Option<String>,
    /// Everything else.
    pub properties: JsonMap,
}

impl Store {
    /// Keeps an entry that a user wrote; answers its identifier.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_log(&self, new: NewLog, by: UserUuid) -> Result<LogUuid, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let entry = Entry {
                    owner_uuid: by.to_string(),
                    by: by.to_string(),
                    object_uuid: new.object_uuid,
                    object_owner_uuid: new.object_owner_uuid.clone(),
                    event_type: new.event_type,
                    event_at: new.event_at.unwrap_or(tx.now),
                    summary: new.summary,
                    properties: new.properties.into(),
                };
                let uuid = entry.insert(tx).await?;
                let owners = [Some(by.to_string()), new.object_owner_uuid];
                tx.changed(ChangeKind::Log, &uuid, owners.into_iter().flatten());
                Ok(uuid)
            })
        })
        .await
    }

    /// The number of the newest entry, 0 where there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_log(&self) -> Result<i64, StoreError> {
        let row = query("SELECT COALESCE(MAX(id), 0) FROM logs")
            .fetch_one(&mut self.reader().await?)
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Deletes entries that are older than `age_max`, the oldest first, `rows_max` at most; answers how many. The newest
    /// one stays whatever its age, so that no number is given twice.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune_logs(&self, age_max: Duration, rows_max: u32) -> Result<u64, StoreError> {
        let age = jiff::SignedDuration::try_from(age_max).unwrap_or(jiff::SignedDuration::MAX);
        let Ok(before) = self.now().as_jiff().checked_sub(age) else { return Ok(0) };
        let before = Timestamp::from_jiff(before).to_string();
        // Mostly there is nothing to do: that costs no write.
        let oldest = query("SELECT created_at FROM logs ORDER BY id LIMIT 1")
            .fetch_optional(&mut self.reader().await?)
            .await?;
        let oldest: Option<String> = oldest.map(|row| row.try_get(0)).transpose()?;
        if oldest.is_none_or(|oldest| oldest >= before) {
            return Ok(0);
        }
        self.write(move |tx| {
            Box::pin(async move {
                query(
                    "DELETE FROM logs WHERE id IN (SELECT id FROM logs ORDER BY id LIMIT $2) \
                     AND created_at < $1 AND id < (SELECT MAX(id) FROM logs)",
                )
                .bind(before)
                .bind(i64::from(rows_max))
                .execute(tx.conn())
                .await
            })
        })
        .await
    }
}

/// Changes whenever an attribute does: 25 digits of base 36 of a digest.
pub fn etag(attributes: &JsonMap) -> String {
    // A record read as a row and one in its own type have their attributes in another order.
    let sorted: BTreeMap<_, _> = attributes.iter().collect();
    let text = serde_json::to_string(&sorted).unwrap_or_default();
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    let mut number = u128::from_be_bytes(bytes);
    let mut digits = Vec::with_capacity(25);
    while digits.len() < 25 {
        let digit = u32::try_from(number % 36).unwrap_or(0);
        digits.push(char::from_digit(digit, 36).unwrap_or('0'));
        number /= 36;
    }
    digits.into_iter().collect()
}

/// Writes an entry for each record that the transaction has changed.
pub(crate) async fn write_entries(tx: &mut Tx) -> Result<(), StoreError> {
    let touched = touched::take(tx.conn()).await?;
    let mut followed = Vec::new();
    for record in &touched {
        let TouchedRecord { resource, uuid, before } = record;
        let after = touched::attributes(tx.conn(), *resource, uuid).await?;
        if *before == after {
            continue;
        }
        if *resource == Resource::Containers && before.is_some() && after.is_some() {
            followed.push(uuid.clone());
        }
        about(tx, uuid, before.as_ref(), after.as_ref()).insert(tx).await?;
    }
    for container in followed {
        for request in requests_of(tx, &container).await? {
            if touched.iter().any(|record| record.uuid == request) {
                continue;
            }
            let same =
                touched::attributes(tx.conn(), Resource::ContainerRequests, &request).await?;
            about(tx, &request, same.as_ref(), same.as_ref()).insert(tx).await?;
        }
    }
    Ok(())
}

/// The requests whose watchers follow a container.
async fn requests_of(tx: &mut Tx, container: &str) -> Result<Vec<String>, StoreError> {
    let rows = query("SELECT uuid FROM container_requests WHERE container_uuid = $1")
        .bind(container.to_owned())
        .fetch_all(tx.conn())
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Writes an entry about something that is no record.
pub(crate) async fn note(
    tx: &mut Tx,
    by: UserUuid,
    event_type: &str,
    summary: String,
    properties: Value,
) -> Result<(), StoreError> {
    let entry = Entry {
        owner_uuid: system_user(&tx.options).to_string(),
        by: by.to_string(),
        object_uuid: None,
        object_owner_uuid: None,
        event_type: event_type.to_owned(),
        event_at: tx.now,
        summary: Some(summary),
        properties,
    };
    entry.insert(tx).await.map(drop)
}

/// The entry about a record that was like this and is like that.
fn about(tx: &Tx, uuid: &str, before: Option<&JsonMap>, after: Option<&JsonMap>) -> Entry {
    let event_type = match (before, after) {
        (None, _) => "create",
        (Some(_), Some(_)) => "update",
        (Some(_), None) => "delete",
    };
    let text = |name: &str| {
        let value = after.or(before).and_then(|attributes| attributes.get(name));
        value.and_then(Value::as_str).map(str::to_owned)
    };
    let system = system_user(&tx.options).to_string();
    // The record tells who changed it last, and of its end nothing.
    let by = match (after, tx.deleter) {
        (None, Some(deleter)) => Some(deleter.to_string()),
        _ => text("modified_by_user_uuid"),
    };
    Entry {
        by: by.unwrap_or_else(|| system.clone()),
        owner_uuid: system,
        object_uuid: Some(uuid.to_owned()),
        object_owner_uuid: text("owner_uuid"),
        event_type: event_type.to_owned(),
        event_at: tx.now,
        summary: Some(format!("{event_type} of {uuid}")),
        properties: json!({
            "old_etag": before.map(etag),
            "old_attributes": before,
            "new_etag": after.map(etag),
            "new_attributes": after,
        }),
    }
}

/// An entry to be written.
struct Entry {
    owner_uuid: String,
    by: String,
    object_uuid: Option<String>,
    object_owner_uuid: Option<String>,
    event_type: String,
    event_at: Timestamp,
    summary: Option<String>,
    properties: Value,
}

impl Entry {
    async fn insert(self, tx: &mut Tx) -> Result<LogUuid, StoreError> {
        let uuid: LogUuid = random::uuid(&tx.options.cluster)?;
        let now = tx.now.to_string();
        query(
            "INSERT INTO logs (uuid, owner_uuid, created_at, modified_at, modified_by_user_uuid, \
             object_uuid, object_owner_uuid, event_type, event_at, summary, properties) \
             VALUES ($1, $2, $3, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(uuid.to_string())
        .bind(self.owner_uuid)
        .bind(now)
        .bind(self.by)
        .bind(self.object_uuid)
        .bind(self.object_owner_uuid)
        .bind(self.event_type)
        .bind(self.event_at.to_string())
        .bind(self.summary)
        .bind(self.properties.to_string())
        .execute(tx.conn())
        .await?;
        Ok(uuid)
    }
}
