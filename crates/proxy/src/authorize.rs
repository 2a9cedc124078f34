//! Who asks, and whether they may: the one place where a service is opened to somebody.
//!
//! A public port needs no one. A private one needs a user who submitted every request behind the container, one whom
//! that port was opened to, or an administrator, with a token for everything; or a guest who was invited to that port,
//! whose session is a cookie alone. The credentials count in their order: query, cookie, bearer.

use std::time::{SystemTime, UNIX_EPOCH};

use model::{Timestamp, TokenUuid, UserUuid};

use crate::directory::{Credential, Directory, DirectoryError, Guest, Principal, Target};
use crate::origin::Origin;
use crate::session::seal::{Holder, Seal, Session};
use crate::session::{Credentials, QueryCredential, browser};

/// Who a request is made for.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// Nobody in particular: the port is public.
    Anyone,
    /// A user who may open the service.
    User {
        user: UserUuid,
        /// What vouches for it.
        token: TokenUuid,
        /// A browser attached the credential by itself, so another site may be behind the request.
        by_cookie: bool,
    },
    /// Somebody who was invited; always by cookie.
    Guest(Guest),
}

impl Caller {
    /// Whether it is one that sends its token itself, and no browser's page.
    pub(crate) fn is_program(&self) -> bool {
        matches!(self, Self::User { by_cookie: false, .. })
    }

    /// What to ask with whether the user still may. From here on the token stands for itself: a code is used up, and a
    /// secret need not be kept.
    pub(crate) fn proof(&self) -> Option<Credential> {
        match self {
            Self::Anyone | Self::Guest(_) => None,
            Self::User { user, token, .. } => {
                Some(Credential::Session { token_uuid: *token, user_uuid: *user })
            }
        }
    }
}

/// A caller who may open the service, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) caller: Caller,
    /// When the credential ends, in seconds since 1970.
    pub(crate) expires_at_s: Option<u64>,
    /// Records that say so, besides those of the target and the credential.
    pub(crate) rests_on: Vec<String>,
}

/// A principal who may open a target.
#[derive(Debug)]
pub(crate) struct Allowed {
    pub(crate) principal: Principal,
    /// Records that say so, besides those of the target and the credential.
    pub(crate) rests_on: Vec<String>,
}

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No credential at all: signing in may help.
    NoCredentials,
    /// None that opens this service.
    NotAllowed,
    /// The same, of one that we sealed ourselves, so that nobody can have guessed it.
    Ended,
}

impl Denied {
    /// Why, for who may know of the service.
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::NoCredentials => "not signed in",
            Self::NotAllowed => "credentials that do not open it",
            Self::Ended => "a session that is over",
        }
    }
}

/// The gate's answer for one request.
pub(crate) async fn caller(
    directory: &dyn Directory,
    seal: &Seal,
    target: &Target,
    credentials: &Credentials,
    origin: &Origin,
) -> Result<Result<Found, Denied>, DirectoryError> {
    if target.is_public() {
        return Ok(Ok(Found { caller: Caller::Anyone, expires_at_s: None, rests_on: Vec::new() }));
    }
    if let Some(query) = &credentials.query {
        // Somebody put it there on purpose, so nothing else is tried when it is wrong.
        let Some(credential) = of_query(query, target, origin, &credentials.cookies.browsers)
        else {
            return Ok(Err(Denied::NotAllowed));
        };
        let user = allowed(directory, target, credential).await?;
        return Ok(user.ok_or(Denied::NotAllowed).map(by_token));
    }
    let mut denied = Denied::NoCredentials;
    if let Some(session) = opened(seal, credentials, origin) {
        denied = Denied::Ended;
        if let Some(found) = by_session(directory, target, &session).await? {
            return Ok(Ok(found));
        }
    }
    match by_bearer(directory, target, credentials).await? {
        Err(Denied::NoCredentials) => Ok(Err(denied)),
        found => Ok(found),
    }
}

/// The gate's answer where only a token that a program sends counts, on public ports too.
pub(crate) async fn by_bearer(
    directory: &dyn Directory,
    target: &Target,
    credentials: &Credentials,
) -> Result<Result<Found, Denied>, DirectoryError> {
    let Some(token) = &credentials.token else { return Ok(Err(Denied::NoCredentials)) };
    let found = allowed(directory, target, Credential::Token(token.clone())).await?;
    Ok(found.map(by_token).ok_or(Denied::NotAllowed))
}

/// What `?api_token=` stands for; a code is good for this service host alone, and where it was made for a browser, for
/// the one with its mark.
pub(crate) fn of_query(
    query: &QueryCredential,
    target: &Target,
    origin: &Origin,
    marks: &[String],
) -> Option<Credential> {
    match query {
        QueryCredential::Token(token) => Some(Credential::Token(token.clone())),
        QueryCredential::Code(code) => {
            let (code, place) = browser::presented(code, &origin.host, marks);
            Some(Credential::Code {
                code,
                place,
                container: target.container,
                request: target.request,
                port: target.port,
            })
        }
        QueryCredential::Nonsense => None,
    }
}

/// The principal of a credential, if that may open the target.
pub(crate) async fn allowed(
    directory: &dyn Directory,
    target: &Target,
    credential: Credential,
) -> Result<Option<Allowed>, DirectoryError> {
    let Some(principal) = directory.principal(credential).await? else { return Ok(None) };
    if !counts(&principal, now_s()) {
        return Ok(None);
    }
    if may_open(target, &principal) {
        return Ok(Some(Allowed { principal, rests_on: Vec::new() }));
    }
    let opened = directory.opened_to(target, principal.user).await?;
    Ok(opened.map(|rests_on| Allowed { principal, rests_on }))
}

/// Whether a credential is one for services, and has not ended.
fn counts(principal: &Principal, now_s: u64) -> bool {
    principal.unscoped && expires_at_s(principal).is_none_or(|at| at > now_s)
}

/// The rule, before anybody is asked whom it was opened to.
fn may_open(target: &Target, principal: &Principal) -> bool {
    let submitted_all = !target.submitters.is_empty()
        && target.submitters.iter().all(|submitter| *submitter == principal.user);
    target.is_public() || principal.is_admin || submitted_all
}

/// When a principal's token ends, in seconds since 1970.
pub(crate) fn expires_at_s(principal: &Principal) -> Option<u64> {
    principal.expires_at.map(seconds)
}

/// Seconds since 1970.
pub(crate) fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_jiff().as_second()).unwrap_or(0)
}

fn by_token(Allowed { principal, rests_on }: Allowed) -> Found {
    let caller = Caller::User { user: principal.user, token: principal.token, by_cookie: false };
    Found { caller, expires_at_s: expires_at_s(&principal), rests_on }
}

async fn by_session(
    directory: &dyn Directory,
    target: &Target,
    session: &Session,
) -> Result<Option<Found>, DirectoryError> {
    match session.holder {
        Holder::User { token, user } => {
            let proof = Credential::Session { token_uuid: token, user_uuid: user };
            let found = allowed(directory, target, proof).await?;
            let found = found.filter(|allowed| allowed.principal.user == user);
            Ok(found.map(|Allowed { principal, rests_on }| {
                let caller = Caller::User { user, token: principal.token, by_cookie: true };
                let ends = expires_at_s(&principal).unwrap_or(u64::MAX).min(session.expires_at_s);
                Found { caller, expires_at_s: Some(ends), rests_on }
            }))
        }
        Holder::Guest(guest) => {
            let pass = directory.guest(guest, target).await?;
            Ok(pass.map(|pass| Found {
                caller: Caller::Guest(guest),
                expires_at_s: Some(seconds(pass.expires_at).min(session.expires_at_s)),
                rests_on: pass.rests_on,
            }))
        }
    }
}

fn opened(seal: &Seal, credentials: &Credentials, origin: &Origin) -> Option<Session> {
    let text = credentials.cookies.session.as_deref()?;
    seal.open(text, &origin.text(), now_s())
}

/// Seconds since 1970.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
