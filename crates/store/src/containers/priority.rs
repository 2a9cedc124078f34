//! What a container's priority is, and how a change of it goes down to the containers that its program asked for.

use std::collections::{BTreeSet, VecDeque};

use model::{Container, ContainerRequest, ContainerState, ContainerUuid};

use super::{finish, load, open_requests, save};
use crate::error::StoreError;
use crate::schema::CONTAINER_REQUESTS;
use crate::sql;
use crate::writer::Tx;

/// Arvados scales a request's priority by this before it takes off the age.
const PRIORITY_SCALE: i64 = 1 << 50;

/// Brings a container's priority in line with its requests, and then those of the containers that its program asked
/// for. One whose priority falls to 0 while it waits is over.
pub(crate) async fn recompute(tx: &mut Tx, uuid: ContainerUuid) -> Result<(), StoreError> {
    let mut waiting = VecDeque::from([uuid]);
    let mut seen = BTreeSet::new();
    while let Some(uuid) = waiting.pop_front() {
        // A container cannot be its own ancestor; were the records to say so, this must end all the same.
        if !seen.insert(uuid) {
            continue;
        }
        let Some(mut container) = load(tx.conn(), uuid).await? else { continue };
        let priority = priority_of(tx, &container).await?;
        if container.state.is_over() || container.priority == priority {
            continue;
        }
        container.priority = priority;
        save(tx, container).await?;
        waiting.extend(children(tx, uuid).await?.iter().filter_map(|child| child.container_uuid));
        if priority == 0 {
            finish::cancel_if_queued(tx, Some(uuid)).await?;
        }
    }
    Ok(())
}

/// The requests that a container's program made and that are not over.
pub(super) async fn children(
    tx: &mut Tx,
    uuid: ContainerUuid,
) -> Result<Vec<ContainerRequest>, StoreError> {
    sql::select_where(
        tx.conn(),
        &CONTAINER_REQUESTS,
        "WHERE requesting_container_uuid = $1 AND state = 'Committed'",
        &[uuid.as_str()],
    )
    .await
}

/// The priority that a container has by its requests (Arvados): the greatest of each one's. That of a request which a
/// container's program made is that container's.
async fn priority_of(tx: &mut Tx, container: &Container) -> Result<i64, StoreError> {
    let mut greatest = 0;
    for request in open_requests(tx, container.uuid).await? {
        let priority = match request.requesting_container_uuid {
            _ if request.priority == 0 => 0,
            Some(parent) => load(tx.conn(), parent)
                .await?
                .filter(|parent| !parent.state.is_over())
                .map_or(0, |parent| parent.priority),
            None => own_priority(&request),
        };
        greatest = greatest.max(priority);
    }
    Ok(greatest)
}

/// Scaled, less the time of its beginning in milliseconds, so that the older goes first.
fn own_priority(request: &ContainerRequest) -> i64 {
    request.priority * PRIORITY_SCALE - request.created_at.as_jiff().as_millisecond()
}

/// What a request made by a container's program has for its priority, whatever it says: the greatest of the requests
/// that the container runs for. 0 where it is not wanted any more.
pub(crate) async fn inherited(tx: &mut Tx, parent: ContainerUuid) -> Result<i64, StoreError> {
    let Some(container) = load(tx.conn(), parent).await? else { return Ok(0) };
    if !matches!(container.state, ContainerState::Locked | ContainerState::Running) {
        return Ok(0);
    }
    Ok(open_requests(tx, parent).await?.iter().map(|request| request.priority).max().unwrap_or(0))
}
