//! API tokens: only the hash of the secret is kept.

use model::filter::Schema;
use model::{ApiToken, Timestamp, TokenHash, TokenRecord, TokenUuid, User, UserUuid};
use sea_query::{Alias, Expr, ExprTrait as _};

use crate::changes::ChangeKind;
use crate::connection::{Connection, query};
use crate::database::Store;
use crate::error::StoreError;
use crate::links::later;
use crate::schema::{Resource, TOKENS, USERS};
use crate::sql;
use crate::writer::Tx;
use crate::{list, random};

/// How long expired tokens stay listed, in seconds: a week, to find out which one it was.
const EXPIRED_KEPT_S: i64 = 7 * 24 * 3600;

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The user it acts for.
    pub owner: UserUuid,
    /// What it may do: `["all"]`, or entries such as `GET /arvados/v1/containers/`.
    pub scopes: Vec<String>,
    /// When it lapses; none means never.
    pub expires_at: Option<Timestamp>,
    /// Who makes it.
    pub made_by: UserUuid,
}

/// Who acts, and by which token.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The user, who is active.
    pub user: User,
    /// The token, which has not expired.
    pub token: TokenRecord,
}

impl Identity {
    /// Itself, where the token holds at this time and its user is active.
    fn at(self, now: Timestamp) -> Option<Self> {
        let holds = self.token.expires_at.is_none_or(|at| at > now);
        (holds && self.user.is_active).then_some(self)
    }
}

impl Store {
    /// Makes a token. The answer is the only place where its secret ever is.
    ///
    /// # Errors
    /// When the owner does not exist, or the database fails.
    pub async fn create_token(&self, new: NewToken) -> Result<(ApiToken, TokenRecord), StoreError> {
        let token = ApiToken::new(random::uuid(&self.options.cluster)?, random::secret()?);
        let (uuid, hash) = (token.uuid(), TokenHash::of(token.secret()));
        let record = self
            .write(move |tx| {
                Box::pin(async move {
                    let record = TokenRecord {
                        uuid,
                        owner_uuid: new.owner,
                        created_at: tx.now,
                        modified_at: tx.now,
                        modified_by_user_uuid: new.made_by,
                        scopes: new.scopes,
                        expires_at: new.expires_at,
                    };
                    let owner: Option<User> =
                        sql::by_uuid(tx.conn(), &USERS, new.owner.as_str()).await?;
                    if owner.is_none() {
                        return Err(StoreError::NotFound(format!("user {}", new.owner)));
                    }
                    forget_expired(tx).await?;
                    let hidden = vec![("secret_hash", hash.hex().into())];
                    sql::insert(&TOKENS, &record, hidden)?.execute(tx.conn()).await?;
                    tx.changed(ChangeKind::Token, &uuid, vec![new.owner]);
                    Ok(record)
                })
            })
            .await?;
        Ok((token, record))
    }

    /// Who presents this token; none where it is unknown, wrong, expired, or its user inactive.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authenticate(&self, token: &ApiToken) -> Result<Option<Identity>, StoreError> {
        let found = find(&mut self.reader().await?, "uuid", token.uuid().as_str()).await?;
        // Compared in constant time; an unknown identifier costs the same computation.
        let hash = found.as_ref().map_or(TokenHash::of(""), |(_, hash)| *hash);
        let found = found.filter(|_| hash.matches(token.secret()));
        Ok(found.and_then(|(identity, _)| identity.at(self.now())))
    }

    /// Who presents this secret alone (Arvados's v1 form).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authenticate_secret(&self, secret: &str) -> Result<Option<Identity>, StoreError> {
        // Looked up by its hash, so that timing tells nothing about the secret.
        let hash = TokenHash::of(secret).hex();
        let found = find(&mut self.reader().await?, "secret_hash", &hash).await?;
        Ok(found.and_then(|(identity, _)| identity.at(self.now())))
    }

    /// Who acts by the token with this identifier, for sealed cookies that carry no secret.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn token_by_uuid(&self, uuid: TokenUuid) -> Result<Option<Identity>, StoreError> {
        identity(&mut self.reader().await?, uuid, self.now()).await
    }

    /// Replaces `before`, as it was read, by `after`. Its secret stays, and what goes on by it is asked anew through the
    /// change event.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Changed`] where the token is not as it was read.
    pub async fn update_token(
        &self,
        before: TokenRecord,
        mut after: TokenRecord,
        by: UserUuid,
    ) -> Result<TokenRecord, StoreError> {
        let ends = after.expires_at.is_some_and(|at| at <= self.now());
        self.write_ending_if(ends, move |tx| {
            Box::pin(async move {
                let uuid = before.uuid;
                let as_read = before.modified_at;
                sql::require_as_read(tx.conn(), &TOKENS, "token", uuid.as_str(), as_read).await?;
                after.modified_at = later(tx.now, before.modified_at);
                after.modified_by_user_uuid = by;
                let statement = sql::update(&TOKENS, uuid.as_str(), &after, Vec::new())?;
                statement.execute(tx.conn()).await?;
                tx.changed(ChangeKind::Token, &uuid, vec![after.owner_uuid]);
                Ok(after)
            })
        })
        .await
    }

    /// Revokes a token; false where there was none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_token(&self, uuid: TokenUuid) -> Result<bool, StoreError> {
        self.write_ending(move |tx| {
            Box::pin(async move {
                let token: Option<TokenRecord> =
                    sql::by_uuid(tx.conn(), &TOKENS, uuid.as_str()).await?;
                let Some(token) = token else { return Ok(false) };
                query("DELETE FROM api_client_authorizations WHERE uuid = $1")
                    .bind(uuid.to_string())
                    .execute(&mut *tx.conn())
                    .await?;
                query("DELETE FROM one_time_codes WHERE token_uuid = $1")
                    .bind(uuid.to_string())
                    .execute(&mut *tx.conn())
                    .await?;
                tx.changed(ChangeKind::Token, &uuid, vec![token.owner_uuid]);
                Ok(true)
            })
        })
        .await
    }
}

/// Sessions leave a token each: those that expired long ago go when another one comes.
async fn forget_expired(tx: &mut Tx) -> Result<(), StoreError> {
    let kept = jiff::SignedDuration::from_secs(EXPIRED_KEPT_S);
    let before = tx.now.as_jiff().checked_sub(kept).unwrap_or(jiff::Timestamp::MIN);
    query("DELETE FROM api_client_authorizations WHERE expires_at < $1")
        .bind(Timestamp::from_jiff(before).to_string())
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// The user behind a token that holds at `now`.
pub(crate) async fn identity(
    conn: &mut Connection,
    uuid: TokenUuid,
    now: Timestamp,
) -> Result<Option<Identity>, StoreError> {
    let found = find(conn, "uuid", uuid.as_str()).await?;
    Ok(found.and_then(|(identity, _)| identity.at(now)))
}

/// The token with this value, its user, and the hash of its secret: all that every call to the API begins with, in
/// one query.
async fn find(
    conn: &mut Connection,
    column: &'static str,
    value: &str,
) -> Result<Option<(Identity, TokenHash)>, StoreError> {
    let built = {
        let of = |schema: &Schema, name| Expr::col((Alias::new(schema.table), Alias::new(name)));
        let mut statement = list::select_of(Resource::Tokens, None);
        for attribute in USERS.attributes {
            statement.expr(of(&USERS, attribute.name));
        }
        statement
            .expr(of(&TOKENS, "secret_hash"))
            .inner_join(Alias::new(USERS.table), of(&USERS, "uuid").eq(of(&TOKENS, "owner_uuid")))
            .and_where(of(&TOKENS, column).eq(value));
        sql::build(conn.dialect(), &statement)
    };
    let rows = built.fetch_all(conn).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (user, hash) = (TOKENS.attributes.len(), TOKENS.attributes.len() + USERS.attributes.len());
    let token: TokenRecord = sql::row_to_record(&TOKENS, row)?;
    let user: User = sql::record_from(&USERS, row, user)?;
    let hash: String = row.try_get(hash)?;
    Ok(TokenHash::from_hex(&hash).map(|hash| (Identity { user, token }, hash)))
}
