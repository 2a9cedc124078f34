//! Committing a request: finding the container that satisfies it, or making one.

use model::{
    Container, ContainerRequest, ContainerState, JsonMap, RequestState, RuntimeConstraints,
    UserUuid,
};

use crate::containers;
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
    by: UserUuid,
) -> Result<(), StoreError> {
    let wanted = container_of(tx, request, by)?;
    let container = match find_equal(tx, request, &wanted).await? {
        Some(equal) => {
            // Who may open it depends on all its requests.
            containers::announce(tx, equal.uuid).await?;
            equal
        }
        None => {
            containers::insert(tx, &wanted).await?;
            wanted
        }
    };
    request.container_uuid = Some(container.uuid);
    request.container_count = 1;
    if container.state.is_over() {
        request.state = RequestState::Final;
    }
    Ok(())
}

/// The container that a request describes, Queued. Its priority is computed once the request is
/// written.
fn container_of(
    tx: &Tx,
    request: &ContainerRequest,
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
        container_image: request.container_image.clone(),
        cwd: request.cwd.clone(),
        environment: request.environment.clone(),
        exit_code: None,
        started_at: None,
        finished_at: None,
        locked_by_uuid: None,
        lock_count: 0,
        log: None,
        output: None,
        mounts: request.mounts.clone(),
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
/// own. Only the same user's: whoever opens a container must have submitted all its requests.
async fn find_equal(
    tx: &mut Tx,
    request: &ContainerRequest,
    wanted: &Container,
) -> Result<Option<Container>, StoreError> {
    if request.service || !request.use_existing || !request.secret_mounts.is_empty() {
        return Ok(None);
    }
    let user = wanted.runtime_user_uuid.map(|user| user.to_string()).unwrap_or_default();
    // Finished ones first, then running, then waiting, as Arvados chooses.
    let candidates: Vec<Container> = sql::select_where(
        tx.conn(),
        &CONTAINERS,
        "WHERE container_image = $1 AND runtime_user_uuid = $2 AND cwd = $3 \
         AND output_path = $4 AND service = FALSE AND ( \
            (state = 'Complete' AND exit_code = 0 AND log IS NOT NULL AND output IS NOT NULL) \
            OR (state IN ('Queued', 'Locked', 'Running') AND priority > 0)) \
         ORDER BY CASE state WHEN 'Complete' THEN 1 WHEN 'Running' THEN 2 WHEN 'Locked' THEN 3 \
            ELSE 4 END, COALESCE(finished_at, ''), started_at, created_at LIMIT 1000",
        &[&wanted.container_image, &user, &wanted.cwd, &wanted.output_path],
    )
    .await?;
    Ok(candidates.into_iter().find(|candidate| is_equal(candidate, wanted)))
}

fn is_equal(one: &Container, other: &Container) -> bool {
    let constraints = |container: &Container| {
        let RuntimeConstraints { api, ref gpu, ram, vcpus, .. } = container.runtime_constraints;
        let gpu = gpu.get("device_count").and_then(serde_json::Value::as_u64).unwrap_or(0);
        (api, gpu, ram, vcpus)
    };
    one.command == other.command
        && one.environment == other.environment
        && one.mounts == other.mounts
        && one.output_glob == other.output_glob
        && constraints(one) == constraints(other)
        && one.error_words().is_none()
}
