//! Who we are, and tokens.

use std::fmt;

use model::{ApiToken, Timestamp, TokenRecord, TokenUuid, User, UserUuid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::{Client, Ignored, not_understood};
use crate::error::ClientError;
use crate::list::{ListQuery, Page};

const TOKENS: &str = "/arvados/v1/api_client_authorizations";

/// A token to make.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NewToken {
    /// When it lapses; the config's default if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What it may do; everything if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Whom it acts for, where that is another one than who asks; administrators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_uuid: Option<UserUuid>,
}

/// The answer to making a token: the only one that shows the secret.
#[derive(Deserialize)]
struct MadeToken {
    api_token: Option<String>,
    #[serde(flatten)]
    record: Value,
}

impl fmt::Debug for MadeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MadeToken")
    }
}

impl MadeToken {
    fn into_token(self, what: &str) -> Result<(ApiToken, TokenRecord), ClientError> {
        let record: TokenRecord =
            serde_json::from_value(self.record).map_err(|source| not_understood(what, source))?;
        // Arvados answers with the bare secret; the v2 form is put together by the client.
        let text = self.api_token.ok_or_else(|| not_understood(what, "no api_token in it"))?;
        let token = ApiToken::parse(&text)
            .or_else(|_bare| ApiToken::parse(&format!("v2/{}/{text}", record.uuid)))
            .map_err(|source| not_understood(what, source))?;
        Ok((token, record))
    }
}

/// A user to make, by an administrator.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NewUser {
    /// Unique short name.
    pub username: String,
    /// Address, may be empty.
    pub email: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Whether it may do everything.
    pub is_admin: bool,
}

/// What is to become of a user, by an administrator; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UserChange {
    /// Whether they may act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
    /// Whether they may do everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_admin: Option<bool>,
}

/// Whom a user is at a provider that they sign in with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserIdentity {
    /// The provider.
    pub issuer: String,
    /// Whom it means.
    pub subject: String,
    /// Since when.
    pub created_at: Timestamp,
}

#[derive(Deserialize)]
struct Identities {
    items: Vec<UserIdentity>,
}

#[derive(Deserialize)]
struct Forgotten {
    n_forgotten: u64,
}

const USERS: &str = "/arvados/v1/users";

fn identities_path(user: UserUuid) -> String {
    format!("/wharf/v1/users/{user}/identities")
}

impl Client {
    /// Users, oldest first.
    pub async fn list_users(&self) -> Result<Vec<User>, ClientError> {
        let query = ListQuery::default().order("created_at asc").limit(1000);
        let page: Page<User> = self.get(&query.path(USERS)).await?;
        Ok(page.items)
    }

    /// The user with this short name.
    pub async fn find_user(&self, username: &str) -> Result<Option<User>, ClientError> {
        let query = ListQuery::default().filter("username", "=", username).limit(1);
        let mut page: Page<User> = self.get(&query.path(USERS)).await?;
        Ok(page.items.pop())
    }

    /// The user with this identifier.
    pub async fn get_user(&self, uuid: UserUuid) -> Result<User, ClientError> {
        self.get(&format!("{USERS}/{uuid}")).await
    }

    /// Users with this address, two at most: several may have it.
    pub async fn find_users_by_email(&self, email: &str) -> Result<Vec<User>, ClientError> {
        let query = ListQuery::default().filter("email", "=", email).limit(2);
        let page: Page<User> = self.get(&query.path(USERS)).await?;
        Ok(page.items)
    }

    /// Changes a user.
    pub async fn change_user(
        &self,
        uuid: UserUuid,
        change: &UserChange,
    ) -> Result<User, ClientError> {
        self.patch(&format!("{USERS}/{uuid}"), &json!({ "user": change })).await
    }

    /// Whom a user is at providers that they sign in with.
    pub async fn identities_of(&self, user: UserUuid) -> Result<Vec<UserIdentity>, ClientError> {
        let Identities { items } = self.get(&identities_path(user)).await?;
        Ok(items)
    }

    /// Forgets whom a user is at providers; how many there were.
    pub async fn forget_identities(&self, user: UserUuid) -> Result<u64, ClientError> {
        let Forgotten { n_forgotten } = self.delete(&identities_path(user)).await?;
        Ok(n_forgotten)
    }

    /// Makes a user, who is active at once.
    pub async fn create_user(&self, new: &NewUser) -> Result<User, ClientError> {
        self.post(USERS, &json!({ "user": new })).await
    }

    /// Deletes a user that nothing belongs to.
    pub async fn delete_user(&self, uuid: UserUuid) -> Result<(), ClientError> {
        let Ignored {} = self.delete(&format!("{USERS}/{uuid}")).await?;
        Ok(())
    }

    /// Sets a user's password, or takes it away.
    pub async fn set_password(
        &self,
        user: UserUuid,
        password: Option<&str>,
    ) -> Result<(), ClientError> {
        let path = format!("/wharf/v1/users/{user}/password");
        let Ignored {} = self.post(&path, &json!({ "password": password })).await?;
        Ok(())
    }

    /// A token for a name and a password; needs none itself. They do not fit: 401.
    pub async fn sign_in(
        &self,
        username: &str,
        password: &str,
    ) -> Result<(ApiToken, TokenRecord), ClientError> {
        let body = json!({ "username": username, "password": password });
        let path = format!("{USERS}/authenticate");
        let made: MadeToken = self.without_token().post(&path, &body).await?;
        made.into_token("POST users/authenticate")
    }

    /// The user that the token acts for.
    pub async fn current_user(&self) -> Result<User, ClientError> {
        self.get("/arvados/v1/users/current").await
    }

    /// The record of the token in use.
    pub async fn current_token(&self) -> Result<TokenRecord, ClientError> {
        self.get(&format!("{TOKENS}/current")).await
    }

    /// Tokens of the user, or of everybody for an administrator, newest first.
    pub async fn list_tokens(&self) -> Result<Vec<TokenRecord>, ClientError> {
        let query = ListQuery::newest_first().limit(1000);
        let page: Page<TokenRecord> = self.get(&query.path(TOKENS)).await?;
        Ok(page.items)
    }

    /// Makes a token; its secret is shown this once.
    pub async fn create_token(
        &self,
        new: &NewToken,
    ) -> Result<(ApiToken, TokenRecord), ClientError> {
        let made: MadeToken =
            self.post(TOKENS, &json!({ "api_client_authorization": new })).await?;
        made.into_token("POST api_client_authorizations")
    }

    /// Revokes a token: open streams of its sessions end within a second.
    pub async fn delete_token(&self, uuid: TokenUuid) -> Result<(), ClientError> {
        let Ignored {} = self.delete(&format!("{TOKENS}/{uuid}")).await?;
        Ok(())
    }
}
