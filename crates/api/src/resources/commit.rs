//! What committing a request checks and resolves: paths of the host, collections, the image.
//!
//! Names become contents here, with the caller's own rights; only the container's record has the contents. What a
//! request says stays as it was sent.

use std::path::PathBuf;

use model::request_rules::{self, BindPolicy};
use model::{ApiToken, BindMount, CollectionUuid, ContainerRequest, JsonMap, ServicePort};
use serde_json::Value;
use store::{Resolved, Resource, TargetKey};

use crate::call::Call;
use crate::config::BindMounts;
use crate::error::ApiError;
use crate::router::Api;

/// Checks a request that becomes Committed, and answers what its container is made of.
///
/// # Errors
/// 422 naming every field that cannot be.
pub(super) async fn resolve(
    api: &Api,
    call: &Call,
    request: &mut ContainerRequest,
) -> Result<Resolved, ApiError> {
    let binds = match (api.config().bind_mounts, call.caller.user.is_admin) {
        (BindMounts::Everyone, _) | (BindMounts::AdminsOnly, true) => {
            BindPolicy::Below(&api.config().bind_directories)
        }
        (BindMounts::AdminsOnly, false) => {
            BindPolicy::Refused("only administrators may mount paths of the host here")
        }
        (BindMounts::Nobody, _) => {
            BindPolicy::Refused("this site does not let containers see paths of the host")
        }
    };
    request_rules::check_commit(request, binds)?;
    request_rules::limit_life(request, &api.config().lives.of_services)?;
    if let Some(token) = request.runtime_token.clone() {
        check_runtime_token(api, call, &token).await?;
    }
    resolve_binds(&api.config().bind_directories, request).await?;
    check_connections(api, call, request).await?;
    request_rules::mark_supervisor(request);
    let mounts = resolve_collections(api, call, &request.mounts).await?;
    let container_image = resolve_image(api, call, &request.container_image).await?;
    Ok(Resolved { container_image, mounts })
}

/// A token that a request brings is one of the caller's own, or an administrator's gift, and may do everything.
async fn check_runtime_token(api: &Api, call: &Call, text: &str) -> Result<(), ApiError> {
    let refuse = |problem: &str| Err(ApiError::field("runtime_token", problem));
    let Ok(token) = ApiToken::parse(text) else {
        return refuse("must be a token of the form v2/<uuid>/<secret>");
    };
    let Some(found) = api.store().authenticate(&token).await? else {
        return refuse("is unknown, revoked or expired");
    };
    if !found.token.is_unscoped() {
        return refuse("has scopes: a program needs one that may do everything");
    }
    if found.user.uuid != call.caller.user.uuid && !call.caller.user.is_admin {
        return refuse("is another user's");
    }
    Ok(())
}

/// A program reaches services of other containers without any credential, so whoever submits it must be one who may
/// open them: who submitted them, or an administrator.
async fn check_connections(
    api: &Api,
    call: &Call,
    request: &ContainerRequest,
) -> Result<(), ApiError> {
    let connect = &request.runtime_constraints.connect;
    if !connect.is_empty() {
        call.caller.require_unscoped("connect a program to a service")?;
    }
    let user = &call.caller.user;
    for ServicePort { container: uuid, port } in connect.values() {
        let refuse = |problem: &str| {
            let problem = format!("{uuid} {problem}");
            Err(ApiError::field("runtime_constraints.connect", problem))
        };
        let target = api.store().find_target(&TargetKey::Container(*uuid)).await?;
        let target = target.filter(|it| user.is_admin || it.submitters.contains(&user.uuid));
        let Some(container) = target.and_then(|target| target.container) else {
            return refuse("is no container whose services you may open");
        };
        if container.state.is_over() {
            return refuse("is over");
        }
        if container.published_ports.get(*port).is_none() {
            return refuse(&format!("does not publish port {port}"));
        }
    }
    Ok(())
}

/// Replaces each path of the host by what it leads to, which has to be below an allowed directory
/// too: a link that somebody put there must not lead out.
async fn resolve_binds(
    directories: &[PathBuf],
    request: &mut ContainerRequest,
) -> Result<(), ApiError> {
    let mut allowed = Vec::with_capacity(directories.len());
    for directory in directories {
        allowed.extend(tokio::fs::canonicalize(directory).await.ok());
    }
    for BindMount { source, target, .. } in request_rules::bind_mounts(&request.mounts) {
        let field = format!("mounts[{target:?}].path");
        let shown = source.display();
        let path = tokio::fs::canonicalize(&source).await.map_err(|error| {
            ApiError::field(&field, format!("{shown} cannot be used on this machine: {error}"))
        })?;
        if !allowed.iter().any(|directory| path.starts_with(directory)) {
            let problem = format!("{shown} leads out of the directories that may be mounted");
            return Err(ApiError::field(&field, problem));
        }
        let path = path.to_str().ok_or_else(|| {
            ApiError::field(&field, format!("{shown} leads to a path that is no UTF-8"))
        })?;
        if let Some(mount) = request.mounts.get_mut(&target) {
            mount["path"] = path.into();
        }
    }
    Ok(())
}

/// The mounts with every collection by its content.
async fn resolve_collections(
    api: &Api,
    call: &Call,
    mounts: &JsonMap,
) -> Result<JsonMap, ApiError> {
    let mut resolved = mounts.clone();
    for (target, mount) in &mut resolved {
        let Value::Object(mount) = mount else { continue };
        if mount.get("kind").and_then(Value::as_str) != Some("collection") {
            continue;
        }
        let field = format!("mounts[{target:?}]");
        let uuid = mount.shift_remove("uuid");
        let text =
            |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let (uuid, hash) = (text(uuid.as_ref()), text(mount.get("portable_data_hash")));
        let found = match (uuid.as_str(), hash.as_str()) {
            ("", "") => continue,
            ("", hash) => is_readable(api, call, hash).await?.then(|| hash.to_owned()),
            (uuid, _) => hash_of(api, call, uuid).await?,
        };
        let Some(found) = found else {
            let named = if uuid.is_empty() { &hash } else { &uuid };
            let problem = format!("there is no collection {named} that you may read");
            return Err(ApiError::field(&field, problem));
        };
        if !hash.is_empty() && hash != found {
            let problem = format!("the collection {uuid} has the content {found}, not {hash}");
            return Err(ApiError::field(&field, problem));
        }
        mount.insert("portable_data_hash".to_owned(), found.into());
    }
    Ok(resolved)
}

async fn is_readable(api: &Api, call: &Call, hash: &str) -> Result<bool, ApiError> {
    Ok(api.store().is_content_readable(hash, &call.caller.reader()).await?)
}

/// The content of a collection that the caller may read.
async fn hash_of(api: &Api, call: &Call, uuid: &str) -> Result<Option<String>, ApiError> {
    let Ok(parsed) = CollectionUuid::parse(uuid) else { return Ok(None) };
    let reader = call.caller.reader();
    if api.store().get(Resource::Collections, uuid, &reader).await?.is_none() {
        return Ok(None);
    }
    let collection = api.store().collection(parsed).await?;
    Ok(collection.map(|collection| collection.portable_data_hash))
}

/// The content of the image's collection; where the image has none, its id on this machine.
async fn resolve_image(api: &Api, call: &Call, name: &str) -> Result<String, ApiError> {
    let reader = call.caller.reader();
    if let Some(image) = api.store().find_image(name, &reader).await? {
        return Ok(image.portable_data_hash);
    }
    match api.images().resolve(name).await {
        Ok(Some(image)) => match api.store().find_image(&image.id, &reader).await? {
            Some(stored) => Ok(stored.portable_data_hash),
            None => Ok(image.id),
        },
        Ok(None) => Err(ApiError::Unprocessable(vec![format!(
            "container_image: docker image {name:?} not found; import it with `wharf image import`, or upload it with \
             arv-keepdocker"
        )])),
        Err(words) => Err(ApiError::Failed(format!("cannot look up the image {name}: {words}"))),
    }
}
