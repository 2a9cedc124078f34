//! Who we are, and tokens.

use std::fmt;

use model::{ApiToken, Timestamp, TokenRecord, TokenUuid, User};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::{Client, Ignored, not_understood};
use crate::error::ClientError;
use crate::list::{ListQuery, Page};

const TOKENS: &str = "/arvados/v1/api_client_authorizations";

/// A token to make; its user is the one who asks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NewToken {
    /// When it lapses; the config's default if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What it may do; everything if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
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

impl Client {
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
        let what = "POST api_client_authorizations";
        let record: TokenRecord =
            serde_json::from_value(made.record).map_err(|source| not_understood(what, source))?;
        // Arvados answers with the bare secret; the v2 form is put together by the client.
        let text = made.api_token.ok_or_else(|| not_understood(what, "no api_token in it"))?;
        let token = ApiToken::parse(&text)
            .or_else(|_bare| ApiToken::parse(&format!("v2/{}/{text}", record.uuid)))
            .map_err(|source| not_understood(what, source))?;
        Ok((token, record))
    }

    /// Revokes a token: open streams of its sessions end within a second.
    pub async fn delete_token(&self, uuid: TokenUuid) -> Result<(), ClientError> {
        let Ignored {} = self.delete(&format!("{TOKENS}/{uuid}")).await?;
        Ok(())
    }
}
