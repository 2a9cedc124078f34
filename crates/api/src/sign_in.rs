//! Signing in with a name and a password.

use std::time::Duration;

use limits::{Bucket, Forget, Rate, Table, Tick};
use model::{ApiToken, TokenRecord, User};
use store::NewToken;
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::ours::login::after;
use crate::password;
use crate::router::Api;

/// Users whose tries are counted apart; each takes some 100 bytes, and those who rest are forgotten.
const USERS_MAX: usize = 100_000;
/// Hashes that are computed at once; each takes 19 MiB and a core.
const AT_ONCE_MAX: usize = 2;
/// How long a sign-in waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest name that is looked at.
const NAME_BYTES_MAX: usize = 255;

/// Who tries passwords, and how often.
#[derive(Debug)]
pub(crate) struct Passwords {
    tries: Table<String, Tries>,
    turns: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { tries: Table::new(USERS_MAX), turns: Semaphore::new(AT_ONCE_MAX) }
    }
}

/// What is left of one user's tries.
#[derive(Debug, Default)]
struct Tries(Bucket);

impl Forget for Tries {
    fn is_idle(&self, now: Tick) -> bool {
        self.0.is_full(now)
    }
}

/// A token for whoever knows the password of this user: short name or address.
///
/// # Errors
/// 401 where the two do not fit, the same for users who do not exist; 429 after too many tries for one user, whoever
/// makes them; 403 where passwords are not taken.
pub(crate) async fn sign_in(
    api: &Api,
    name: &str,
    password: &str,
) -> Result<(User, ApiToken, TokenRecord), ApiError> {
    if !api.config().sign_in.passwords {
        let words = "nobody signs in with a password at this site (Login.Passwords)";
        return Err(ApiError::Forbidden(words.to_owned()));
    }
    count(api, name)?;
    let found = if name.len() <= NAME_BYTES_MAX && !name.is_empty() {
        api.store().password_hash(name).await?
    } else {
        None
    };
    let is_right = verify(api, password, found.as_ref().map(|(_, hash)| hash.clone())).await?;
    let Some((user, _)) = found.filter(|_| is_right) else {
        return Err(ApiError::Unauthorized("name and password do not fit"));
    };
    let new = NewToken {
        owner: user.uuid,
        scopes: vec!["all".to_owned()],
        expires_at: Some(after(api, api.config().password_ttl)),
        made_by: user.uuid,
    };
    let (token, record) = api.store().create_token(new).await?;
    Ok((user, token, record))
}

fn count(api: &Api, name: &str) -> Result<(), ApiError> {
    let minute = Duration::from_secs(60);
    let per_minute = api.config().password_tries_per_minute.max(1);
    let rate = Rate::one_every(minute / per_minute, minute);
    let key: String = name.chars().take(64).flat_map(char::to_lowercase).collect();
    let now = Tick::now();
    api.passwords().tries.get(key, now).0.take(rate, now).map_err(|wait| {
        ApiError::TooMany(format!(
            "too many tries of a password for this user (Sessions.PasswordTriesPerMinute): try \
             again in {} s",
            wait.as_secs() + 1
        ))
    })
}

/// Off the threads that serve.
async fn verify(api: &Api, password: &str, hash: Option<String>) -> Result<bool, ApiError> {
    let password = password.to_owned();
    if password.len() > password::BYTES_MAX {
        return Ok(false);
    }
    in_turn(api, move || password::is_right(&password, hash.as_deref())).await
}

/// Computes hashes a few at a time.
pub(crate) async fn in_turn<T: Send + 'static>(
    api: &Api,
    compute: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let turn = tokio::time::timeout(TURN_TIMEOUT, api.passwords().turns.acquire()).await;
    let _turn = turn
        .ok()
        .and_then(Result::ok)
        .ok_or_else(|| ApiError::TooMany("many people sign in right now: try again".to_owned()))?;
    let computed = tokio::task::spawn_blocking(compute).await;
    computed.map_err(|_going_down| ApiError::Failed("the password was not looked at".to_owned()))
}
