//! `GET containers/{uuid}/shell`: a WebSocket to a shell in a container, or to another command there.
//!
//! Frames are those of `model::shell`, one in each binary message; the first is the client's `Open`. Who may is who may
//! open a private port without anybody's invitation: the submitter of all requests behind the container, and
//! administrators, with a token without scopes. That is asked again with every change of a record that it was read from,
//! and where it does not hold any more the shell ends.

mod carry;
mod entries;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, Uri};
use model::shell::FRAME_BYTES_MAX;
use model::{ContainerState, ContainerUuid, RequestUuid};
use store::{TargetKey, TargetRecord};

use crate::caller::{Caller, authenticate};
use crate::config::TerminalsConfig;
use crate::error::ApiError;
use crate::extract::Path;
use crate::resources::ByUuid;
use crate::router::Api;
use crate::shells::OpenShell;
use carry::Carrier;

/// A shell that may be opened.
struct Entrance {
    caller: Caller,
    /// What was asked for.
    path: String,
    container: ContainerUuid,
    limits: TerminalsConfig,
    place: OpenShell,
}

pub(crate) async fn open(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let entrance = match enter(&api, &path.uuid, &uri, &headers).await {
        Ok(entrance) => entrance,
        Err(error) => return error.into_response(),
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            return ApiError::field("websocket", rejection.to_string()).into_response();
        }
    };
    upgrade.max_message_size(FRAME_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX).on_upgrade(
        move |socket| async move {
            Carrier::new(api, entrance).run(socket).await;
        },
    )
}

async fn enter(
    api: &Api,
    uuid: &str,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Entrance, ApiError> {
    // Over HTTP/2 the method is another one (RFC 8441).
    let caller = authenticate(api.store(), headers, &Method::GET, uri.path()).await?;
    caller.require_unscoped("open a shell")?;
    if caller.presented.container().is_some() {
        // Else one program that was taken over would lead into all that its owner runs.
        let words = "a program in a container cannot open a shell with its own token";
        return Err(ApiError::Forbidden(words.to_owned()));
    }
    let Some(limits) = api.config().terminals else {
        let words = "shells in containers are switched off on this site (Terminals.Enabled)";
        return Err(ApiError::Forbidden(words.to_owned()));
    };
    let key = RequestUuid::parse(uuid).map(TargetKey::Request);
    let key = key.or_else(|_other| ContainerUuid::parse(uuid).map(TargetKey::Container));
    let none = || ApiError::no_such("container or container request", uuid);
    let key = key.map_err(|_not_one| none())?;
    let target = api.store().find_target(&key).await?.ok_or_else(none)?;
    if !may_open(&target, &caller) {
        return Err(match may_see(api, &target, &caller).await? {
            true => ApiError::Forbidden(
                "only who submitted the request may open a shell in its container, and administrators"
                    .to_owned(),
            ),
            false => none(),
        });
    }
    let container = target.container.filter(|it| it.state == ContainerState::Running);
    let container = container.ok_or_else(|| {
        ApiError::field("container", "does not run: there is a shell only while it does")
    })?;
    let place = api.open_shells().enter(caller.user.uuid, limits.per_user_max);
    let place = place.ok_or_else(|| {
        ApiError::TooMany(format!(
            "you have {} shells open already (Terminals.MaxPerUser)",
            limits.per_user_max
        ))
    })?;
    let path = uri.path().to_owned();
    Ok(Entrance { caller, path, container: container.uuid, limits, place })
}

/// The rule.
fn may_open(target: &TargetRecord, caller: &Caller) -> bool {
    let user = &caller.user;
    caller.token.is_unscoped() && (user.is_admin || target.submitters.contains(&user.uuid))
}

async fn may_see(api: &Api, target: &TargetRecord, caller: &Caller) -> Result<bool, ApiError> {
    let Some(request) = &target.request else { return Ok(false) };
    Ok(api.store().rights(&caller.reader(), request.uuid.as_str()).await?.is_some())
}
