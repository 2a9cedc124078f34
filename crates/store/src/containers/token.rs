//! The token by which a container's program acts for the user who submitted it, while it runs.

use model::{
    ApiToken, Container, ContainerState, ContainerUuid, TokenHash, TokenRecord, TokenUuid,
};

use super::{load, not_found, save};
use crate::changes::ChangeKind;
use crate::connection::query;
use crate::database::Store;
use crate::error::StoreError;
use crate::random;
use crate::schema::{CONTAINERS, TOKENS};
use crate::sql;
use crate::writer::Tx;

/// A token in the clear, for the one program that gets it.
#[derive(Clone, PartialEq)]
pub struct ContainerToken {
    /// `v2/<uuid>/<secret>/<container uuid>`.
    pub text: String,
    /// Its record.
    pub record: TokenRecord,
}

impl std::fmt::Debug for ContainerToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContainerToken").field("uuid", &self.record.uuid).finish_non_exhaustive()
    }
}

impl Store {
    /// The token of a container that is taken or runs: the one that its request brought, or a new one, after which no
    /// earlier one holds. None where the container is neither, or the token that was brought does not hold any more.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database fails.
    pub async fn container_token(
        &self,
        uuid: ContainerUuid,
    ) -> Result<Option<ContainerToken>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let container = load(tx.conn(), uuid).await?.ok_or_else(|| not_found(uuid))?;
                if !matches!(container.state, ContainerState::Locked | ContainerState::Running) {
                    return Ok(None);
                }
                match brought(tx, uuid).await? {
                    Some(token) => of_user(tx, uuid, &token).await,
                    None => of_our_own(tx, container).await.map(Some),
                }
            })
        })
        .await
    }

    /// The container whose program presents this token, while it is taken or runs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn container_of_token(
        &self,
        token: &ApiToken,
    ) -> Result<Option<Container>, StoreError> {
        let mut conn = self.reader().await?;
        let uuid = token.uuid().to_string();
        let own: Vec<Container> = sql::select_where(
            &mut conn,
            &CONTAINERS,
            "WHERE auth_uuid = $1 AND state IN ('Locked', 'Running')",
            &[&uuid],
        )
        .await?;
        let (None, Some(container)) = (own.first(), token.container()) else {
            return Ok(own.into_iter().next());
        };
        let brought: Vec<Container> = sql::select_where(
            &mut conn,
            &CONTAINERS,
            "WHERE uuid = $1 AND state IN ('Locked', 'Running') AND EXISTS \
             (SELECT 1 FROM container_requests \
              WHERE container_uuid = containers.uuid AND runtime_token = $2)",
            &[container.as_str(), &token.expose()],
        )
        .await?;
        Ok(brought.into_iter().next())
    }
}

/// The token that a request of the container brought.
async fn brought(tx: &mut Tx, uuid: ContainerUuid) -> Result<Option<ApiToken>, StoreError> {
    let row = query(
        "SELECT runtime_token FROM container_requests \
         WHERE container_uuid = $1 AND state = 'Committed' AND runtime_token IS NOT NULL LIMIT 1",
    )
    .bind(uuid.to_string())
    .fetch_optional(tx.conn())
    .await?;
    let text: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
    Ok(text.and_then(|text| ApiToken::parse(&text).ok()))
}

async fn of_user(
    tx: &mut Tx,
    uuid: ContainerUuid,
    token: &ApiToken,
) -> Result<Option<ContainerToken>, StoreError> {
    let now = tx.now;
    let found = crate::tokens::identity(tx.conn(), token.uuid(), now).await?;
    Ok(found.map(|found| ContainerToken {
        text: format!("{}/{uuid}", token.expose()),
        record: found.token,
    }))
}

async fn of_our_own(tx: &mut Tx, mut container: Container) -> Result<ContainerToken, StoreError> {
    let uuid = container.uuid;
    expire(tx, &container).await?;
    let token = ApiToken::new(random::uuid(&tx.options.cluster)?, random::secret()?);
    let system = crate::users::system_user(&tx.options);
    let record = TokenRecord {
        uuid: token.uuid(),
        owner_uuid: container.runtime_user_uuid.unwrap_or(system),
        created_at: tx.now,
        modified_at: tx.now,
        modified_by_user_uuid: system,
        scopes: container.runtime_auth_scopes.clone(),
        expires_at: None,
    };
    let hidden = vec![("secret_hash", TokenHash::of(token.secret()).hex().into())];
    sql::insert(&TOKENS, &record, hidden)?.execute(tx.conn()).await?;
    tx.changed(ChangeKind::Token, &record.uuid, vec![record.owner_uuid]);
    container.auth_uuid = Some(record.uuid);
    save(tx, container).await?;
    Ok(ContainerToken { text: format!("{}/{uuid}", token.expose()), record })
}

/// The container's own token does not hold any more; one that its request brought is its user's.
pub(super) async fn expire(tx: &mut Tx, container: &Container) -> Result<(), StoreError> {
    let Some(uuid): Option<TokenUuid> = container.auth_uuid else { return Ok(()) };
    let now = tx.now.to_string();
    query("UPDATE api_client_authorizations SET expires_at = $2 WHERE uuid = $1")
        .bind(uuid.to_string())
        .bind(now)
        .execute(tx.conn())
        .await?;
    tx.changed(ChangeKind::Token, &uuid, container.runtime_user_uuid);
    Ok(())
}
