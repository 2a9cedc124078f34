//! Committing a request: finding the container that satisfies it, or making one.

use std::collections::BTreeSet;

use model::{
    Container, ContainerRequest, ContainerState, ContainerUuid, JsonMap, RequestState,
    RuntimeConstraints, UserUuid,
};

use super::Resolved;
use crate::connection::query;
use crate::containers;
use crate::containers::results;
use crate::error::StoreError;
use crate::random;
use crate::schema::CONTAINERS;
use crate::sql;
use crate::users::system_user;
use crate::writer::Tx;

/// Bounds of the cache a container gets where it asks for none (Arvados: its memory, within these).
const KEEP_CACHE_BYTES: (u64, u64) = (2 << 30, 32 << 30);

/// Gives the request a container and sets what follows from that. The request is not written.
pub(super) async fn commit(
    tx: &mut Tx,
    request: &mut ContainerRequest,
    resolved: Option<Resolved>,
    by: UserUuid,
) -> Result<(), StoreError> {
    let resolved = resolved.unwrap_or_else(|| Resolved::as_asked(request));
    let wanted = container_of(tx, request, resolved, by)?;
    let container = match find_equal(tx, request, &wanted).await? {
        Some(equal) => {
            // Who may open it depends on all its requests.
            containers::announce(tx, equal.uuid).await?;
            equal
        }
        None => {
            containers::insert(tx, &wanted).await?;
            let digest = digest_of(&request.secret_mounts);
            query("UPDATE containers SET secret_mounts_digest = $2 WHERE uuid = $1")
                .bind(wanted.uuid.to_string())
                .bind(digest)
                .execute(tx.conn())
                .await?;
            wanted
        }
    };
    request.container_uuid = Some(container.uuid);
    request.container_count = 1;
    if container.state.is_over() {
        request.state = RequestState::Final;
        results::give_found(tx, request, &container).await?;
    } else if container.state == ContainerState::Running {
        results::begin_log(tx, request).await?;
    }
    Ok(())
}

/// What equal secret mounts have in common; empty where there are none.
fn digest_of(secret_mounts: &JsonMap) -> String {
    if secret_mounts.is_empty() {
        return String::new();
    }
    let sorted: std::collections::BTreeMap<_, _> = secret_mounts.iter().collect();
    let text = serde_json::to_string(&sorted).unwrap_or_default();
    model::TokenHash::of(&text).hex()
}

/// The container that a request describes, Queued. Its priority is computed once the request is
/// written.
fn container_of(
    tx: &Tx,
    request: &ContainerRequest,
    resolved: Resolved,
    by: UserUuid,
) -> Result<Container, StoreError> {
    let system = system_user(&tx.options);
    Ok(Container {
        uuid: random::uuid(&tx.options.cluster)?,
        owner_uuid: system.to_string(),
        created_at: tx.now,
        modified_at: tx.now,
        modified_by_user_uuid: system,
        state: ContainerState::Queued,
        command: request.command.clone(),
        container_image: resolved.container_image,
        cwd: request.cwd.clone(),
        environment: request.environment.clone(),
        exit_code: None,
        started_at: None,
        finished_at: None,
        locked_by_uuid: None,
        lock_count: 0,
        log: None,
        output: None,
        mounts: resolved.mounts,
        output_path: request.output_path.clone(),
        output_glob: request.output_glob.clone(),
        priority: 0,
        progress: None,
        runtime_constraints: with_cache(&request.runtime_constraints),
        runtime_status: JsonMap::new(),
        scheduling_parameters: request.scheduling_parameters.clone(),
        auth_uuid: None,
        runtime_user_uuid: Some(by),
        runtime_auth_scopes: vec!["all".to_owned()],
        gateway_address: None,
        interactive_session_started: false,
        output_storage_classes: request.output_storage_classes.clone(),
        output_properties: JsonMap::new(),
        cost: 0.0,
        subrequests_cost: 0.0,
        service: request.service,
        published_ports: request.published_ports.clone(),
    })
}

fn with_cache(constraints: &RuntimeConstraints) -> RuntimeConstraints {
    let mut constraints = constraints.clone();
    if constraints.keep_cache_disk == 0 && constraints.keep_cache_ram == 0 {
        let (least, most) = KEEP_CACHE_BYTES;
        constraints.keep_cache_disk = constraints.ram.clamp(least, most);
    }
    constraints
}

/// A container that already does, or did, the same. Never for a service: it is a thing of its
/// own. Only the same user's: whoever opens a container must have submitted all its requests. Never one that asks for
/// itself.
async fn find_equal(
    tx: &mut Tx,
    request: &ContainerRequest,
    wanted: &Container,
) -> Result<Option<Container>, StoreError> {
    if request.service || !request.use_existing {
        return Ok(None);
    }
    let user = wanted.runtime_user_uuid.map(|user| user.to_string()).unwrap_or_default();
    // Finished ones first, then running, then waiting, as Arvados chooses.
    let candidates: Vec<Container> = sql::select_where(
        tx.conn(),
        &CONTAINERS,
        "WHERE container_image = $1 AND runtime_user_uuid = $2 AND cwd = $3 \
         AND output_path = $4 AND secret_mounts_digest = $5 AND command = $6 AND service = FALSE AND ( \
            (state = 'Complete' AND exit_code = 0 AND log IS NOT NULL AND output IS NOT NULL) \
            OR (state IN ('Queued', 'Locked', 'Running') AND priority > 0)) \
         ORDER BY CASE state WHEN 'Complete' THEN 1 WHEN 'Running' THEN 2 WHEN 'Locked' THEN 3 \
            ELSE 4 END, COALESCE(finished_at, ''), COALESCE(started_at, ''), created_at LIMIT 1000",
        &[
            &wanted.container_image,
            &user,
            &wanted.cwd,
            &wanted.output_path,
            &digest_of(&request.secret_mounts),
            // As it is stored: most of an image's containers differ in it, and need not be read.
            &serde_json::to_string(&wanted.command).unwrap_or_default(),
        ],
    )
    .await?;
    let ancestors = ancestors(tx, request.requesting_container_uuid).await?;
    for candidate in candidates {
        if is_equal(&candidate, wanted)
            && !ancestors.contains(&candidate.uuid)
            && (!candidate.state.is_over() || results::are_kept(tx, &candidate).await?)
        {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

/// The container whose program makes a request, the one that asked for that, and so on.
async fn ancestors(
    tx: &mut Tx,
    parent: Option<ContainerUuid>,
) -> Result<BTreeSet<ContainerUuid>, StoreError> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<ContainerUuid> = parent.into_iter().collect();
    while let Some(uuid) = waiting.pop() {
        if !found.insert(uuid) {
            continue;
        }
        let rows = query(
            "SELECT DISTINCT requesting_container_uuid FROM container_requests \
             WHERE container_uuid = $1 AND requesting_container_uuid IS NOT NULL",
        )
        .bind(uuid.to_string())
        .fetch_all(tx.conn())
        .await?;
        for row in rows {
            waiting.extend(ContainerUuid::parse(row.try_get(0)?).ok());
        }
    }
    Ok(found)
}

fn is_equal(one: &Container, other: &Container) -> bool {
    let constraints = |container: &Container| {
        let RuntimeConstraints { api, ref gpu, ram, vcpus, ref connect, .. } =
            container.runtime_constraints;
        let gpu = gpu.get("device_count").and_then(serde_json::Value::as_u64).unwrap_or(0);
        (api, gpu, ram, vcpus, connect.clone())
    };
    let mounts = |container: &Container| model::mounts::without_zeroes(&container.mounts);
    one.command == other.command
        && one.environment == other.environment
        && mounts(one) == mounts(other)
        && one.output_glob == other.output_glob
        && constraints(one) == constraints(other)
        && one.error_words().is_none()
}
