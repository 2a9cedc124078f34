//! Single-use codes: what links carry instead of tokens.
//!
//! A code is kept as a hash, holds for seconds, and is deleted by whoever presents it first, at
//! the right place or not. It stands for the token it was minted from: revoking that voids it.

use std::time::Duration;

use model::{ContainerPort, ContainerUuid, RequestUuid, TokenHash, TokenUuid, UserUuid};

use crate::connection::{Row, query};
use crate::database::Store;
use crate::error::StoreError;
use crate::random;
use crate::tokens::{Identity, identity};

/// What a code opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// One service host.
    Handoff,
    /// The dashboard.
    Login,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Handoff => "handoff",
            Self::Login => "login",
        }
    }
}

/// A code to be made.
#[derive(Debug, Clone)]
pub struct NewCode {
    /// What it opens.
    pub purpose: Purpose,
    /// For whom.
    pub user: UserUuid,
    /// The token it is minted from.
    pub token: TokenUuid,
    /// The container, where there is one already.
    pub container: Option<ContainerUuid>,
    /// The request.
    pub request: Option<RequestUuid>,
    /// The port.
    pub port: Option<ContainerPort>,
    /// The service host it is bound to, lower case, with its port (`a.localhost:8000`); empty
    /// for [`Purpose::Login`].
    pub service_host: String,
    /// How long it holds.
    pub ttl: Duration,
}

/// What a redeemed code stood for.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeGrant {
    /// Who acts, by which token.
    pub identity: Identity,
    /// The container, where there was one.
    pub container: Option<ContainerUuid>,
    /// The request.
    pub request: Option<RequestUuid>,
    /// The port.
    pub port: Option<ContainerPort>,
}

/// Whether a credential is a single-use code and no token.
pub fn is_code(text: &str) -> bool {
    text.starts_with(random::CODE_PREFIX)
}

impl Store {
    /// Makes a code: `wc1_` and 43 characters. Kept as a hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_code(&self, new: NewCode) -> Result<String, StoreError> {
        let code = random::code()?;
        let hash = TokenHash::of(&code).hex();
        self.write(move |tx| {
            Box::pin(async move {
                let now = tx.now;
                let ttl = jiff::SignedDuration::try_from(new.ttl).unwrap_or_default();
                let expires = now.as_jiff().checked_add(ttl).unwrap_or(now.as_jiff());
                // Codes nobody redeemed are swept by the next one made.
                query("DELETE FROM one_time_codes WHERE expires_at <= $1")
                    .bind(now.to_string())
                    .execute(&mut *tx.conn())
                    .await?;
                query(
                    "INSERT INTO one_time_codes (hash, purpose, user_uuid, token_uuid, \
                     container_uuid, request_uuid, port, service_host, created_at, expires_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                )
                .bind(hash)
                .bind(new.purpose.as_str())
                .bind(new.user.to_string())
                .bind(new.token.to_string())
                .bind(new.container.map(|uuid| uuid.to_string()))
                .bind(new.request.map(|uuid| uuid.to_string()))
                .bind(new.port.map(|port| i64::from(port.get())))
                .bind(new.service_host)
                .bind(now.to_string())
                .bind(model::Timestamp::from_jiff(expires).to_string())
                .execute(&mut *tx.conn())
                .await?;
                Ok(())
            })
        })
        .await?;
        Ok(code)
    }

    /// Redeems a code, once. None where it is unknown, used, expired, of another purpose or
    /// service host, or where its token does not hold any more; it is gone in each case.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn redeem_code(
        &self,
        code: &str,
        purpose: Purpose,
        service_host: &str,
    ) -> Result<Option<CodeGrant>, StoreError> {
        if !is_code(code) {
            return Ok(None);
        }
        let hash = TokenHash::of(code).hex();
        let service_host = service_host.to_owned();
        // Guesses come from anybody: they shall not take the writer's place.
        let known = query("SELECT 1 FROM one_time_codes WHERE hash = $1")
            .bind(&hash)
            .fetch_optional(&mut self.reader().await?)
            .await?;
        if known.is_none() {
            return Ok(None);
        }
        self.write(move |tx| {
            Box::pin(async move {
                let row = query(
                    "DELETE FROM one_time_codes WHERE hash = $1 RETURNING purpose, token_uuid, \
                     container_uuid, request_uuid, port, service_host, expires_at",
                )
                .bind(hash)
                .fetch_optional(&mut *tx.conn())
                .await?;
                let Some(row) = row else { return Ok(None) };
                let right = row.try_get::<String, _>("purpose")? == purpose.as_str()
                    && row.try_get::<String, _>("service_host")? == service_host
                    && row.try_get::<String, _>("expires_at")? > tx.now.to_string();
                let token = TokenUuid::parse(&row.try_get::<String, _>("token_uuid")?);
                let (true, Ok(token)) = (right, token) else { return Ok(None) };
                let now = tx.now;
                let Some(identity) = identity(tx.conn(), token, now).await? else {
                    return Ok(None);
                };
                grant(identity, &row).map(Some)
            })
        })
        .await
    }
}

fn grant(identity: Identity, row: &Row) -> Result<CodeGrant, StoreError> {
    let text = |name| row.try_get::<Option<String>, _>(name);
    let port = row.try_get::<Option<i64>, _>("port")?;
    Ok(CodeGrant {
        identity,
        container: text("container_uuid")?.and_then(|uuid| ContainerUuid::parse(&uuid).ok()),
        request: text("request_uuid")?.and_then(|uuid| RequestUuid::parse(&uuid).ok()),
        port: port.and_then(|port| ContainerPort::new(u16::try_from(port).ok()?)),
    })
}
