//! Passwords of users who sign in with one: kept as hashes that the caller makes and checks, apart from the users.

use model::{User, UserUuid};

use crate::connection::query;
use crate::database::Store;
use crate::error::StoreError;
use crate::schema::USERS;
use crate::sql;

impl Store {
    /// Sets the hash of a user's password, or takes it away.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database fails.
    pub async fn set_password_hash(
        &self,
        user: UserUuid,
        hash: Option<String>,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let found: Option<User> = sql::by_uuid(tx.conn(), &USERS, user.as_str()).await?;
                if found.is_none() {
                    return Err(StoreError::NotFound(format!("user {user}")));
                }
                let now = tx.now.to_string();
                let query = match hash {
                    None => query("DELETE FROM user_passwords WHERE user_uuid = $1")
                        .bind(user.to_string()),
                    Some(hash) => query(
                        "INSERT INTO user_passwords (user_uuid, hash, modified_at) \
                         VALUES ($1, $2, $3) ON CONFLICT (user_uuid) DO UPDATE SET \
                         hash = excluded.hash, modified_at = excluded.modified_at",
                    )
                    .bind(user.to_string())
                    .bind(hash)
                    .bind(now),
                };
                query.execute(tx.conn()).await?;
                Ok(())
            })
        })
        .await
    }

    /// The active user with this short name or address, and the hash of their password; none where there is no such
    /// user, or one without a password. Where the account was merged, it is the user whom it leads to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn password_hash(&self, name: &str) -> Result<Option<(User, String)>, StoreError> {
        let mut conn = self.reader().await?;
        let mut users: Vec<User> = sql::select_where(
            &mut conn,
            &USERS,
            // A short name comes first, since no two users have the same.
            "WHERE (is_active OR redirect_user_uuid IS NOT NULL) \
             AND (username = $1 OR (email = $1 AND email <> '')) \
             ORDER BY username = $1 DESC, is_active DESC, created_at, uuid LIMIT 1",
            &[name],
        )
        .await?;
        let Some(user) = users.pop() else { return Ok(None) };
        let row = query("SELECT hash FROM user_passwords WHERE user_uuid = $1")
            .bind(user.uuid.to_string())
            .fetch_optional(&mut conn)
            .await?;
        let Some(hash) = row.map(|row| row.try_get(0)).transpose()? else { return Ok(None) };
        if user.is_active {
            return Ok(Some((user, hash)));
        }
        let mut leads_to: Vec<User> = sql::select_where(
            &mut conn,
            &USERS,
            "WHERE is_active AND uuid = (SELECT redirect_user_uuid FROM users WHERE uuid = $1)",
            &[user.uuid.as_str()],
        )
        .await?;
        Ok(leads_to.pop().map(|user| (user, hash)))
    }
}
