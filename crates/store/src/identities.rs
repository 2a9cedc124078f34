//! Users who sign in with a provider: which of its people they are.

use model::{User, UserUuid};

use crate::connection::{Connection, Row, query};
use crate::database::Store;
use crate::error::StoreError;
use crate::random;
use crate::schema::USERS;
use crate::sql;
use crate::users::{NewUser, insert, system_user};
use crate::writer::Tx;

/// Numbers that are tried behind a name that is taken.
const NAME_TRIES_MAX: u32 = 1000;

/// Somebody whom a provider vouches for, and what may become of them here.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The provider.
    pub issuer: String,
    /// Whom it means.
    pub subject: String,
    /// Whether the one account that has the address of `new` becomes theirs: where the address is theirs for sure.
    pub links_by_email: bool,
    /// The account to be made for them, under this short name or one with a number behind it; none where none is.
    pub new: Option<NewUser>,
    /// The address to link by; empty for none.
    pub email: String,
}

/// How somebody came to their account.
#[derive(Debug, Clone, PartialEq)]
pub enum Admitted {
    /// It is the one of last time.
    Known(User),
    /// It was there, with their address, and is theirs from now on.
    Linked(User),
    /// It was made for them.
    Made(User),
    /// There is none, and none was to be made.
    Unknown,
}

/// Whom a user is at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserIdentity {
    /// The provider.
    pub issuer: String,
    /// Whom it means.
    pub subject: String,
    /// Since when, as in records.
    pub created_at: String,
}

impl Store {
    /// The account of somebody whom a provider vouches for, linked or made in the same transaction where it is their
    /// first time.
    ///
    /// # Errors
    /// [`StoreError::UsernameTaken`] where the name and all numbered ones are taken, or when the database fails.
    pub async fn admit(&self, admission: Admission) -> Result<Admitted, StoreError> {
        // Most come again: they shall not take the writer's place.
        if let Some(uuid) = known(&mut self.reader().await?, &admission).await?
            && let Some(user) = self.user(uuid).await?
        {
            return Ok(Admitted::Known(user));
        }
        let uuid = random::uuid(&self.options.cluster)?;
        self.write(move |tx| Box::pin(admit(tx, uuid, admission))).await
    }

    /// Whom a user is at providers, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn identities_of(&self, user: UserUuid) -> Result<Vec<UserIdentity>, StoreError> {
        let rows = query(
            "SELECT issuer, subject, created_at FROM user_identities WHERE user_uuid = $1 \
             ORDER BY created_at, issuer, subject",
        )
        .bind(user.to_string())
        .fetch_all(&mut self.reader().await?)
        .await?;
        let text = |row: &Row, name| row.try_get::<String, _>(name);
        rows.iter()
            .map(|row| {
                Ok(UserIdentity {
                    issuer: text(row, "issuer")?,
                    subject: text(row, "subject")?,
                    created_at: text(row, "created_at")?,
                })
            })
            .collect()
    }

    /// Forgets whom a user is at providers; how many there were. Who signs in there as before is somebody new.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_identities(&self, user: UserUuid) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                query("DELETE FROM user_identities WHERE user_uuid = $1")
                    .bind(user.to_string())
                    .execute(tx.conn())
                    .await
            })
        })
        .await
    }

    /// Whether anybody can sign in with a password.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_passwords(&self) -> Result<bool, StoreError> {
        let row = query(
            "SELECT 1 FROM user_passwords INNER JOIN users ON users.uuid = user_passwords.user_uuid \
             WHERE users.is_active LIMIT 1",
        )
        .fetch_optional(&mut self.reader().await?)
        .await?;
        Ok(row.is_some())
    }
}

async fn admit(tx: &mut Tx, uuid: UserUuid, admission: Admission) -> Result<Admitted, StoreError> {
    // Somebody may have come in at two windows at once.
    if let Some(uuid) = known(tx.conn(), &admission).await?
        && let Some(user) = sql::by_uuid(tx.conn(), &USERS, uuid.as_str()).await?
    {
        return Ok(Admitted::Known(user));
    }
    if admission.links_by_email
        && let Some(user) = of_email(tx, &admission).await?
    {
        tie(tx, &admission, user.uuid).await?;
        return Ok(Admitted::Linked(user));
    }
    let Some(mut new) = admission.new.clone() else { return Ok(Admitted::Unknown) };
    new.username = free_name(tx, &new.username).await?;
    let user = insert(tx, uuid, new).await?;
    tie(tx, &admission, user.uuid).await?;
    Ok(Admitted::Made(user))
}

/// The user whom this person signed in as before.
async fn known(
    conn: &mut Connection,
    admission: &Admission,
) -> Result<Option<UserUuid>, StoreError> {
    let row = query("SELECT user_uuid FROM user_identities WHERE issuer = $1 AND subject = $2")
        .bind(admission.issuer.clone())
        .bind(admission.subject.clone())
        .fetch_optional(conn)
        .await?;
    let uuid = row.map(|row| row.try_get::<String, _>(0)).transpose()?;
    Ok(uuid.and_then(|uuid| UserUuid::parse(&uuid).ok()))
}

/// The one user with the person's address who is nobody else at this provider. Several are none: which one would be a guess.
/// A merged account counts as the one it leads to.
async fn of_email(tx: &mut Tx, admission: &Admission) -> Result<Option<User>, StoreError> {
    if admission.email.is_empty() {
        return Ok(None);
    }
    let system = system_user(&tx.options);
    let mut users: Vec<User> = sql::select_where(
        tx.conn(),
        &USERS,
        "WHERE uuid IN (SELECT COALESCE(redirect_user_uuid, uuid) FROM users \
         WHERE LOWER(email) = LOWER($1)) AND uuid <> $2 LIMIT 2",
        &[&admission.email, system.as_str()],
    )
    .await?;
    let Some(user) = users.pop().filter(|_| users.is_empty()) else { return Ok(None) };
    let taken = query("SELECT 1 FROM user_identities WHERE user_uuid = $1 AND issuer = $2")
        .bind(user.uuid.to_string())
        .bind(admission.issuer.clone())
        .fetch_optional(tx.conn())
        .await?;
    Ok(Some(user).filter(|_| taken.is_none()))
}

/// This name, or the first free one of `name2`, `name3`, ….
async fn free_name(tx: &mut Tx, name: &str) -> Result<String, StoreError> {
    for number in 1..=NAME_TRIES_MAX {
        let tried = if number == 1 { name.to_owned() } else { format!("{name}{number}") };
        let taken = query("SELECT 1 FROM users WHERE username = $1")
            .bind(tried.clone())
            .fetch_optional(tx.conn())
            .await?;
        if taken.is_none() {
            return Ok(tried);
        }
    }
    Err(StoreError::UsernameTaken(name.to_owned()))
}

async fn tie(tx: &mut Tx, admission: &Admission, user: UserUuid) -> Result<(), StoreError> {
    let now = tx.now.to_string();
    query(
        "INSERT INTO user_identities (issuer, subject, user_uuid, created_at) \
         VALUES ($1, $2, $3, $4)",
    )
    .bind(admission.issuer.clone())
    .bind(admission.subject.clone())
    .bind(user.to_string())
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(())
}
