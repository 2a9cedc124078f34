//! A user is deleted for good: only one that nothing belongs to, since records without an owner would be nobody's.

use model::{User, UserUuid};

use super::system_user;
use crate::changes::ChangeKind;
use crate::connection::query;
use crate::database::Store;
use crate::error::StoreError;
use crate::links;
use crate::schema::USERS;
use crate::sql;
use crate::writer::Tx;

/// What keeps a user: whether it has these records, and what they are in words.
const KEPT_BY: &[(&str, &str)] = &[
    ("SELECT 1 FROM groups WHERE owner_uuid = $1 LIMIT 1", "projects"),
    ("SELECT 1 FROM collections WHERE owner_uuid = $1 LIMIT 1", "collections"),
    ("SELECT 1 FROM workflows WHERE owner_uuid = $1 LIMIT 1", "workflows"),
    ("SELECT 1 FROM container_requests WHERE owner_uuid = $1 LIMIT 1", "container requests"),
    ("SELECT 1 FROM links WHERE owner_uuid = $1 AND link_class = 'hostname' LIMIT 1", "host names"),
    (
        "SELECT 1 FROM containers WHERE runtime_user_uuid = $1 \
         AND state IN ('Queued', 'Locked', 'Running') LIMIT 1",
        "containers that are not over",
    ),
];

/// What a user is the only one to use, as it is found and as it goes.
const BELONGINGS: &[(ChangeKind, &str, &str)] = &[
    (
        ChangeKind::Token,
        "SELECT uuid FROM api_client_authorizations WHERE owner_uuid = $1",
        "DELETE FROM api_client_authorizations WHERE owner_uuid = $1",
    ),
    (
        ChangeKind::Invitation,
        "SELECT uuid FROM invitations WHERE made_by = $1",
        "DELETE FROM invitations WHERE made_by = $1",
    ),
];

impl Store {
    /// Deletes a user with its tokens, password, ways to sign in, invitations, and the links from and to it; false where there is
    /// none.
    ///
    /// # Errors
    /// [`StoreError::StillUsed`] where something belongs to it, or it is the system user.
    pub async fn delete_user(&self, uuid: UserUuid) -> Result<bool, StoreError> {
        self.write_ending(move |tx| Box::pin(delete(tx, uuid))).await
    }
}

async fn delete(tx: &mut Tx, uuid: UserUuid) -> Result<bool, StoreError> {
    if uuid == system_user(&tx.options) {
        return Err(StoreError::StillUsed("the system user is there for good".to_owned()));
    }
    let user: Option<User> = sql::by_uuid(tx.conn(), &USERS, uuid.as_str()).await?;
    if user.is_none() {
        return Ok(false);
    }
    require_nothing_left(tx, uuid).await?;
    for link in links::of_user(tx, uuid).await? {
        links::delete(tx, &link).await?;
    }
    delete_belongings(tx, uuid).await?;
    for statement in [
        "DELETE FROM one_time_codes WHERE user_uuid = $1",
        // Who was merged into this account has one of their own again, which may not act.
        "UPDATE users SET redirect_user_uuid = NULL WHERE redirect_user_uuid = $1",
        // Password and ways to sign in go with it.
        "DELETE FROM users WHERE uuid = $1",
    ] {
        query(statement).bind(uuid.to_string()).execute(tx.conn()).await?;
    }
    tx.changed(ChangeKind::User, &uuid, [uuid]);
    Ok(true)
}

async fn require_nothing_left(tx: &mut Tx, uuid: UserUuid) -> Result<(), StoreError> {
    let mut left = Vec::new();
    for (records, words) in KEPT_BY {
        if query(records).bind(uuid.to_string()).fetch_optional(tx.conn()).await?.is_some() {
            left.push(*words);
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(StoreError::StillUsed(format!(
        "user {uuid} has {} still: merge the account into another one, or set is_active to false",
        left.join(", ")
    )))
}

async fn delete_belongings(tx: &mut Tx, uuid: UserUuid) -> Result<(), StoreError> {
    for (kind, find, delete) in BELONGINGS {
        for row in query(find).bind(uuid.to_string()).fetch_all(tx.conn()).await? {
            let row: String = row.try_get(0)?;
            tx.changed(*kind, &row, [uuid]);
        }
        query(delete).bind(uuid.to_string()).execute(tx.conn()).await?;
    }
    Ok(())
}
