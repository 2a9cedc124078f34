//! What a link of class `service_access` must be: it opens a port of a request to a user or a role.
//!
//! Who makes one manages the request *and* may open it. Managing alone is not enough: a program may act with the
//! rights of who started it, and whoever is let in to the program has those, too.

use model::service_access::access_name;
use model::{ContainerRequest, FieldError, Link, RequestUuid, WellKnownGroup};
use serde_json::Value;
use store::{TargetKey, TargetRecord};

use super::links::port_of;
use super::permissions::is_holder;
use crate::call::Call;
use crate::error::ApiError;
use crate::router::Api;

/// Checks a link and brings its port and name into their normal form.
///
/// # Errors
/// 403 where the caller may not open the head to others.
pub(super) async fn check_link(
    api: &Api,
    call: &Call,
    link: &mut Link,
    problems: &mut Vec<FieldError>,
) -> Result<(), ApiError> {
    let mut refuse = |field: &str, problem: &str| problems.push(FieldError::new(field, problem));
    let port = match link.properties.get("port") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let port = port_of(value);
            if port.is_none() {
                refuse(
                    "properties.port",
                    "must be a port from 1 to 65535, or left out for every port",
                );
            }
            port
        }
    };
    match port {
        Some(port) => drop(link.properties.insert("port".to_owned(), port.get().into())),
        None => drop(link.properties.remove("port")),
    }
    link.name = access_name(port);
    let cluster = api.store().cluster();
    let tail = link.tail_uuid.as_deref();
    if tail == Some(WellKnownGroup::Anonymous.uuid(&cluster).as_str()) {
        refuse("tail_uuid", "is everybody: publish the port as public instead");
    } else if !is_holder(api, tail).await? {
        refuse("tail_uuid", "must be a user or a role");
    }
    let head = link.head_uuid.as_deref().unwrap_or_default();
    let Ok(request) = RequestUuid::parse(head) else {
        refuse("head_uuid", "must be a container request");
        return Ok(());
    };
    match sharable(api, call, request).await {
        Ok(_target) => {}
        Err(ApiError::NotFound(_)) => refuse("head_uuid", "is nothing that you may see"),
        Err(other) => return Err(other),
    }
    Ok(())
}

/// A request that the caller may open to others: it manages the request and started it, or is an administrator.
///
/// # Errors
/// 404 where the caller may not see it, else 403.
pub(crate) async fn sharable(
    api: &Api,
    call: &Call,
    uuid: RequestUuid,
) -> Result<(ContainerRequest, TargetRecord), ApiError> {
    let no_such = || ApiError::no_such("container request", uuid.as_str());
    manageable(api, call, uuid).await?;
    let target = api.store().find_target(&TargetKey::Request(uuid)).await?.ok_or_else(no_such)?;
    let user = &call.caller.user;
    if !user.is_admin && !target.submitters.contains(&user.uuid) {
        return Err(ApiError::Forbidden(format!(
            "opening {uuid} to others is for who started it, and for administrators"
        )));
    }
    let request = target.request.clone().ok_or_else(no_such)?;
    Ok((request, target))
}

/// Fails unless the caller manages the request.
///
/// # Errors
/// 404 where the caller may not see it, else 403.
pub(crate) async fn manageable(api: &Api, call: &Call, uuid: RequestUuid) -> Result<(), ApiError> {
    let rights = api.store().rights(&call.caller.reader(), uuid.as_str()).await?;
    let rights = rights.ok_or_else(|| ApiError::no_such("container request", uuid.as_str()))?;
    if rights.can_manage() {
        return Ok(());
    }
    Err(ApiError::Forbidden(format!("saying who may open {uuid} needs can_manage on it")))
}
