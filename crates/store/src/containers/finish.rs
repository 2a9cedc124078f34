//! The end of a container: its record, its requests, its token, and what its program had asked for.

use futures_util::future::BoxFuture;
use model::{
    Container, ContainerEnd, ContainerRequest, ContainerState, ContainerUuid, JsonMap, Outcome,
    RequestState,
};

use super::{insert, life, load, open_requests, priority, results, save, token};
use crate::changes::ChangeKind;
use crate::connection::query;
use crate::error::StoreError;
use crate::links::later;
use crate::random;
use crate::schema::CONTAINER_REQUESTS;
use crate::sql;
use crate::writer::Tx;

/// What a container leaves: manifests without signatures, whose blocks are kept already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leavings {
    /// Its logs.
    pub log: Option<String>,
    /// What it made.
    pub output: Option<String>,
}

/// Ends a container that nobody wants and that was not taken yet. Its end may bring about that of others, which come
/// back here.
pub(crate) fn cancel_if_queued(
    tx: &mut Tx,
    uuid: Option<ContainerUuid>,
) -> BoxFuture<'_, Result<(), StoreError>> {
    Box::pin(async move {
        let Some(uuid) = uuid else { return Ok(()) };
        let Some(container) = load(tx.conn(), uuid).await? else { return Ok(()) };
        if container.state != ContainerState::Queued || container.priority > 0 {
            return Ok(());
        }
        let end = ContainerEnd {
            outcome: Outcome::Stopped { code: None },
            finished_at: tx.now,
            reason: "cancelled before it was started".to_owned(),
            oom_killed: false,
        };
        finish(tx, container, &end, &Leavings::default()).await.map(drop)
    })
}

/// The end of a container and of its requests. False where it was over already.
pub(super) async fn finish(
    tx: &mut Tx,
    mut container: Container,
    end: &ContainerEnd,
    leavings: &Leavings,
) -> Result<bool, StoreError> {
    if container.state.is_over() {
        return Ok(false);
    }
    let uuid = container.uuid;
    (container.state, container.exit_code) = ended_as(end, container.state);
    container.finished_at = Some(end.finished_at);
    container.locked_by_uuid = None;
    container.gateway_address = None;
    let reason = reason_of(end, &life::take_ending(tx, uuid).await?);
    if !reason.is_empty() {
        // A cancellation that was asked for is no error; its words are still on the record.
        let key = match end.outcome {
            Outcome::Stopped { .. } => "activity",
            _ => "error",
        };
        container.runtime_status.insert(key.to_owned(), reason.into());
    }
    take_back_notice(&mut container);
    for (_, port) in container.published_ports.iter_mut() {
        port.silent_since = None;
    }
    let manifests = results::settle(tx, &mut container, leavings).await?;
    save(tx, container.clone()).await?;
    token::expire(tx, &container).await?;
    let requests = open_requests(tx, uuid).await?;
    let (again, over): (Vec<_>, Vec<_>) =
        requests.into_iter().partition(|request| is_to_be_retried(end, &container, request));
    retry(tx, &container, &manifests, again).await?;
    for mut request in over {
        request.state = RequestState::Final;
        results::give(tx, &mut request, &container, &manifests).await?;
        save_request(tx, request, true).await?;
    }
    end_children(tx, uuid).await?;
    query("DELETE FROM external_ports WHERE container_uuid = $1")
        .bind(uuid.to_string())
        .execute(tx.conn())
        .await?;
    Ok(true)
}

/// Why it ended. Who stops it does not know whose wish that was: `ending` is the site's, where it had one.
fn reason_of(end: &ContainerEnd, ending: &str) -> String {
    const ASKED: &str = "stopped on request";
    match end.reason.strip_prefix(ASKED) {
        Some(rest) if !ending.is_empty() => format!("{ending}{rest}"),
        _ => end.reason.clone(),
    }
}

/// An end that was told beforehand has come, or will not come.
fn take_back_notice(container: &mut Container) {
    let is_notice = |value: &serde_json::Value| {
        value.as_str().is_some_and(|words| words.starts_with(model::life::NOTICE))
    };
    if container.runtime_status.get("warning").is_some_and(is_notice) {
        container.runtime_status.shift_remove("warning");
    }
}

/// What the machine did to a container is worth another try; what the program or its user did is not.
fn is_to_be_retried(end: &ContainerEnd, container: &Container, request: &ContainerRequest) -> bool {
    matches!(end.outcome, Outcome::Lost | Outcome::NotSaved)
        && container.priority > 0
        && request.priority > 0
        && request.container_count < request.container_count_max
}

/// Gives requests another container like the one that was lost, ports and all.
async fn retry(
    tx: &mut Tx,
    lost: &Container,
    manifests: &results::Manifests,
    requests: Vec<ContainerRequest>,
) -> Result<(), StoreError> {
    let Some(first) = requests.first() else { return Ok(()) };
    let next = Container {
        uuid: random::uuid(&tx.options.cluster)?,
        created_at: tx.now,
        modified_at: tx.now,
        state: ContainerState::Queued,
        exit_code: None,
        started_at: None,
        finished_at: None,
        locked_by_uuid: None,
        lock_count: 0,
        log: None,
        output: None,
        priority: 0,
        progress: None,
        runtime_status: JsonMap::new(),
        auth_uuid: None,
        gateway_address: None,
        interactive_session_started: false,
        output_properties: JsonMap::new(),
        cost: 0.0,
        subrequests_cost: 0.0,
        // As submitted: the lost one's have its addresses.
        published_ports: first.published_ports.clone(),
        ..lost.clone()
    };
    insert(tx, &next).await?;
    query(
        "UPDATE containers SET secret_mounts_digest = \
         (SELECT secret_mounts_digest FROM containers WHERE uuid = $1) WHERE uuid = $2",
    )
    .bind(lost.uuid.to_string())
    .bind(next.uuid.to_string())
    .execute(tx.conn())
    .await?;
    for mut request in requests {
        results::give_log(tx, &mut request, lost, manifests).await?;
        request.container_uuid = Some(next.uuid);
        request.container_count += 1;
        save_request(tx, request, false).await?;
    }
    priority::recompute(tx, next.uuid).await
}

/// Writes a request; one that is over loses what nobody may see.
pub(super) async fn save_request(
    tx: &mut Tx,
    mut request: ContainerRequest,
    is_over: bool,
) -> Result<(), StoreError> {
    request.modified_at = later(tx.now, request.modified_at);
    let hidden = if is_over {
        vec![("secret_mounts", "{}".into()), ("runtime_token", sea_query::Value::String(None))]
    } else {
        Vec::new()
    };
    let statement = sql::update(&CONTAINER_REQUESTS, request.uuid.as_str(), &request, hidden)?;
    statement.execute(tx.conn()).await?;
    tx.changed(ChangeKind::Request, &request.uuid, [&request.owner_uuid]);
    Ok(())
}

/// What a program asked for is not wanted without it.
async fn end_children(tx: &mut Tx, uuid: ContainerUuid) -> Result<(), StoreError> {
    for mut child in priority::children(tx, uuid).await? {
        if child.priority == 0 {
            continue;
        }
        child.priority = 0;
        let container = child.container_uuid;
        save_request(tx, child, false).await?;
        if let Some(container) = container {
            priority::recompute(tx, container).await?;
        }
    }
    Ok(())
}

/// State and exit code after an end. Only a container that ran can be Complete; a program killed
/// by a signal has 128 + the signal's number, as shells and Arvados say it.
fn ended_as(end: &ContainerEnd, before: ContainerState) -> (ContainerState, Option<i32>) {
    match end.outcome {
        Outcome::Exited { code } if before == ContainerState::Running => {
            (ContainerState::Complete, Some(code))
        }
        Outcome::Signalled { signal } if before == ContainerState::Running => {
            (ContainerState::Complete, Some(128 + signal))
        }
        _ => (ContainerState::Cancelled, None),
    }
}
