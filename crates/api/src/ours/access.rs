//! Who may open services: what was opened to the caller, and what another user would get.

use axum::Json;
use axum::extract::State;
use model::{Access, ContainerPort, RequestUuid, UserUuid};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Rights, TargetKey};

use crate::call::Call;
use crate::error::ApiError;
use crate::extract::{Path, Query};
use crate::resources::{ByUuid, service_access};
use crate::router::Api;

/// Requests that are asked about at a time.
const ASKED_MAX: usize = 100;

/// `GET opened_ports`: `{"items": [{"request_uuid", "every_port", "ports": [8888]}]}`, what others opened to the caller.
pub(crate) async fn opened(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    let opened = api.store().opened_ports(call.reader()?.user).await?;
    let items: Vec<Value> = opened
        .into_iter()
        .map(|(request, opened)| {
            let ports: Vec<u16> = opened.ports.iter().map(|port| port.get()).collect();
            json!({ "request_uuid": request, "every_port": opened.every_port, "ports": ports })
        })
        .collect();
    Ok(Json(json!({ "items": items })))
}

#[derive(Deserialize)]
pub(crate) struct AskedRequests {
    uuids: String,
}

/// `GET writable_requests?uuids=A,B`: `{"items": ["A"]}`, those of these requests that the caller may write, and so stop. At
/// most 100 are looked at.
pub(crate) async fn writable(
    State(api): State<Api>,
    Query(asked): Query<AskedRequests>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    let reader = call.reader()?;
    let asked = asked.uuids.split(',').take(ASKED_MAX);
    let mut items: Vec<_> = asked.filter_map(|uuid| RequestUuid::parse(uuid).ok()).collect();
    let uuids: Vec<&str> = items.iter().map(RequestUuid::as_str).collect();
    let rights = api.store().rights_on_requests(&reader, &uuids).await?;
    items.retain(|uuid| rights.get(uuid.as_str()).copied().is_some_and(Rights::can_write));
    Ok(Json(json!({ "items": items })))
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    port: u16,
    user_uuid: String,
}

/// `GET service_access/{uuid}?port=&user_uuid=`: whether a user may open a port of a request and why, for who manages
/// it: `{"may_open": false, "why": "…"}`.
pub(crate) async fn of_user(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    Query(asked): Query<Asked>,
    call: Call,
) -> Result<Json<Value>, ApiError> {
    call.caller.require_unscoped("ask who may open a service")?;
    let no_such = || ApiError::no_such("container request", &path.uuid);
    let request = RequestUuid::parse(&path.uuid).map_err(|_not_one| no_such())?;
    service_access::manageable(&api, &call, request).await?;
    let port = ContainerPort::new(asked.port)
        .ok_or_else(|| ApiError::field("port", "must be a port from 1 to 65535"))?;
    let user = UserUuid::parse(&asked.user_uuid)
        .map_err(|_not_one| ApiError::field("user_uuid", "must be a user"))?;
    let user = api.store().user(user).await?;
    let user = user.ok_or_else(|| ApiError::field("user_uuid", "is no user"))?;
    let target =
        api.store().find_target(&TargetKey::Request(request)).await?.ok_or_else(no_such)?;
    let ports = target
        .container
        .as_ref()
        .map(|container| &container.published_ports)
        .or_else(|| target.request.as_ref().map(|request| &request.published_ports));
    let is_public =
        ports.and_then(|ports| ports.get(port)).is_some_and(|it| it.access == Access::Public);
    let container = target.container.as_ref().map(|container| container.uuid);
    let (may_open, why) = if is_public {
        (true, "the port is public")
    } else if !user.is_active {
        (false, "the user is not active")
    } else if user.is_admin {
        (true, "administrators open every service")
    } else if target.submitters.contains(&user.uuid) {
        (true, "the user started the service")
    } else if target.submitters.is_empty() {
        (false, "the service belongs to nobody who started it, so it opens to administrators alone")
    } else {
        let service = (container, Some(request));
        match api.store().opened_to(service, port, user.uuid).await? {
            Some(_) => (true, "the port was opened to the user, or to a group that the user is in"),
            None => (false, "the port was not opened to the user"),
        }
    };
    Ok(Json(json!({ "may_open": may_open, "why": why })))
}
