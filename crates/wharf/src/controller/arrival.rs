//! Coming up in the place of a process that runs.

use super::options::{ControllerOptions, Role};
use crate::data_dir::DataDir;
use crate::replace::{Inherited, Predecessor};
use anyhow::{Result, bail};
use config::Config;
use model::ContainerUuid;
use std::net::SocketAddr;
use std::time::Duration;
use store::Store;
use tokio::time::Instant;
use tunnel::Registry;

/// So long nothing is asked of the records: supervisors that were told by a knock are there in milliseconds.
const PATIENCE: Duration = Duration::from_millis(200);

/// By what name a process is asked for its place.
pub(super) fn door_name(role: Role, address: SocketAddr) -> String {
    match role {
        Role::Everything => "up".to_owned(),
        Role::Controller => address.to_string(),
    }
}

/// The process whose place we are to take, and what it hands over; nothing where none runs, or we are not asked to.
pub(super) async fn predecessor(
    options: &ControllerOptions,
    data: &DataDir,
    wanted: &Config,
) -> Result<(Option<Predecessor>, Inherited)> {
    if !options.replace {
        return Ok((None, Inherited::default()));
    }
    if options.role == Role::Controller && wanted.listen.port() == 0 {
        bail!(
            "--replace needs the address of the controller whose place is to be taken: name it with --listen"
        );
    }
    let name = door_name(options.role, wanted.listen);
    match Predecessor::ask(&data.doors(), &name).await? {
        Some((predecessor, inherited)) => Ok((Some(predecessor), inherited)),
        None => {
            tracing::info!("nothing runs that could be replaced: starting afresh");
            Ok((None, Inherited::default()))
        }
    }
}

/// Waits, at most `bound`, for tunnels to the containers that the other process has tunnels to, but for those that are
/// over meanwhile.
pub(super) async fn wait_for_tunnels(
    expected: &[String],
    registry: &Registry,
    store: &Store,
    bound: Duration,
) {
    let begin = Instant::now();
    let mut missing: Vec<&String> = expected.iter().collect();
    let waited = lifecycle::wait_for("the supervisors' tunnels", bound, || {
        missing.retain(|uuid| registry.get(uuid).is_none());
        let still = missing.clone();
        async move {
            if begin.elapsed() < PATIENCE {
                return still.is_empty().then_some(());
            }
            for uuid in still {
                if is_live(store, uuid).await {
                    return None;
                }
            }
            Some(())
        }
    });
    if waited.await.is_err() {
        tracing::warn!(n = missing.len(), ?bound, "serving without the tunnels of some containers");
    } else {
        tracing::debug!(n = expected.len(), took = ?begin.elapsed(), "supervisors are connected");
    }
}

async fn is_live(store: &Store, uuid: &str) -> bool {
    let Ok(uuid) = ContainerUuid::parse(uuid) else { return false };
    match store.container(uuid).await {
        Ok(container) => container.is_some_and(|container| !container.state.is_over()),
        Err(_unknown) => true,
    }
}
