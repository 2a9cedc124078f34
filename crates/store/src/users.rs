//! Users.

mod delete;

use model::{JsonMap, User, UserUuid};

use crate::changes::ChangeKind;
use crate::database::Store;
use crate::error::StoreError;
use crate::groups;
use crate::links::later;
use crate::random;
use crate::schema::USERS;
use crate::sql;
use crate::writer::Tx;

/// Last part of the system user's identifier, in every cluster.
const SYSTEM_USER: &str = "000000000000000";

/// A user to be made.
#[derive(Debug, Clone, Default)]
pub struct NewUser {
    /// Address, may be empty.
    pub email: String,
    /// Unique short name.
    pub username: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Whether it may do everything.
    pub is_admin: bool,
    /// Whether it may act at all.
    pub is_active: bool,
}

impl Store {
    /// The identifier of the system user, who owns containers and users.
    pub fn system_user(&self) -> UserUuid {
        system_user(&self.options)
    }

    /// The system user, made where it is missing: an active administrator. So are the groups that every cluster has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ensure_system_user(&self) -> Result<User, StoreError> {
        let new = NewUser {
            username: "root".to_owned(),
            first_name: "System".to_owned(),
            last_name: "User".to_owned(),
            is_admin: true,
            is_active: true,
            ..NewUser::default()
        };
        self.write(move |tx| {
            Box::pin(async move {
                let uuid = system_user(&tx.options);
                let user = match sql::by_uuid(tx.conn(), &USERS, uuid.as_str()).await? {
                    Some(user) => user,
                    None => insert(tx, uuid, new).await?,
                };
                groups::ensure_well_known(tx).await?;
                Ok(user)
            })
        })
        .await
    }

    /// Makes a user.
    ///
    /// # Errors
    /// [`StoreError::UsernameTaken`], or when the database fails.
    pub async fn create_user(&self, new: NewUser) -> Result<User, StoreError> {
        let uuid = random::uuid(&self.options.cluster)?;
        self.write(move |tx| Box::pin(insert(tx, uuid, new))).await
    }

    /// The user with this identifier.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user(&self, uuid: UserUuid) -> Result<Option<User>, StoreError> {
        sql::by_uuid(&mut self.reader().await?, &USERS, uuid.as_str()).await
    }

    /// The user with this short name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user_by_username(&self, name: &str) -> Result<Option<User>, StoreError> {
        let mut conn = self.reader().await?;
        Ok(sql::select_where(&mut conn, &USERS, "WHERE username = $1", &[name]).await?.pop())
    }

    /// Replaces `before`, as it was read, by `after`; who may not act any more loses open streams
    /// through the change event.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where the user is not as it was read; [`StoreError::UsernameTaken`].
    pub async fn update_user(
        &self,
        before: User,
        mut after: User,
        by: UserUuid,
    ) -> Result<User, StoreError> {
        let takes_away = before.is_active && !after.is_active;
        self.write_ending_if(takes_away, move |tx| {
            Box::pin(async move {
                let uuid = before.uuid;
                let as_read = before.modified_at;
                sql::require_as_read(tx.conn(), &USERS, "user", uuid.as_str(), as_read).await?;
                after.modified_at = later(tx.now, before.modified_at);
                after.modified_by_user_uuid = by;
                // An account that may act again is one of its own.
                let hidden = match !before.is_active && after.is_active {
                    true => vec![("redirect_user_uuid", sea_query::Value::String(None))],
                    false => Vec::new(),
                };
                let statement = sql::update(&USERS, uuid.as_str(), &after, hidden)?;
                match statement.execute(tx.conn()).await {
                    Err(error) if error.is_unique_violation() => {
                        return Err(StoreError::UsernameTaken(after.username));
                    }
                    other => other?,
                };
                tx.changed(ChangeKind::User, &uuid, vec![uuid]);
                Ok(after)
            })
        })
        .await
    }
}

pub(crate) fn system_user(options: &crate::StoreOptions) -> UserUuid {
    UserUuid::well_known(&options.cluster, SYSTEM_USER).expect("fifteen zeroes are base 36")
}

pub(crate) async fn insert(tx: &mut Tx, uuid: UserUuid, new: NewUser) -> Result<User, StoreError> {
    let system = system_user(&tx.options);
    let user = User {
        uuid,
        owner_uuid: system.to_string(),
        created_at: tx.now,
        modified_at: tx.now,
        modified_by_user_uuid: system,
        email: new.email,
        username: new.username,
        first_name: new.first_name,
        last_name: new.last_name,
        identity_url: None,
        is_active: new.is_active,
        is_admin: new.is_admin,
        prefs: JsonMap::new(),
    };
    let inserted = sql::insert(&USERS, &user, Vec::new())?.execute(tx.conn()).await;
    match inserted {
        Err(error) if error.is_unique_violation() => Err(StoreError::UsernameTaken(user.username)),
        Err(error) => Err(error),
        Ok(_) => {
            tx.changed(ChangeKind::User, &uuid, vec![uuid]);
            Ok(user)
        }
    }
}
