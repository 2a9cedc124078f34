//! The loop: look at records and supervisors, plan, act, wait for the next reason to look.
//!
//! It owns all mutable state of dispatching: what it is busy with, how often it launched what, and
//! since when it wants whom stopped. None of that must survive a restart: the records and the
//! containers' directories say everything that matters.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use lifecycle::{CancellationToken, Pace, TaskScope};
use model::{Container, ContainerState, ContainerUuid, ServiceDomain};
use store::Store;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tunnel::Registry;

use crate::backend::{Backend, Found};
use crate::config::DispatchConfig;
use crate::images::ImageResolver;
use crate::lives;
use crate::queue::QueueReport;
use crate::reconcile::{self, Action, Actual, Life, Plan, Wanted, World};
use crate::recorder::Recorder;
use crate::silence;
use crate::starts::Starts;
use crate::stops::Stops;
use crate::turn::Turn;
use crate::wakes;

mod work;

/// Launches and sweeps at a time; more would only take the processors from each other.
const WORK_AT_A_TIME: usize = 8;

/// While somebody is to be stopped, look this often whether it needs more than words.
const STOPPING_PERIOD: Duration = Duration::from_secs(1);

/// Longer than any work's own deadline: until it is done, no other process may begin to dispatch.
const WORK_TIMEOUT: Duration = Duration::from_secs(120);
/// Between tries for a lock file that cannot be made.
const TURN_RETRY: Duration = Duration::from_secs(5);

/// Turns queued containers into supervisors; see [`Dispatcher::run`].
#[derive(Debug)]
pub struct Dispatcher {
    parts: Parts,
    queue: watch::Sender<Arc<QueueReport>>,
    scope: TaskScope,
    stops: Stops,
    /// How long it is until something is due in a container's life.
    next_due: Option<Duration>,
}

/// What the loop and its tasks share.
#[derive(Clone, Debug)]
struct Parts {
    store: Store,
    config: Arc<DispatchConfig>,
    backend: Arc<dyn Backend>,
    images: Arc<dyn ImageResolver>,
    registry: Registry,
    recorder: Recorder,
    book: Arc<Mutex<Book>>,
    /// A task has ended: look again.
    nudge: Arc<Notify>,
    places: Arc<Semaphore>,
}

/// What is being done and was tried.
#[derive(Debug, Default)]
struct Book {
    /// Containers that a task works on, or that rest after a failure until the time.
    busy: BTreeMap<ContainerUuid, Option<Instant>>,
    /// Of containers that are not over.
    n_launches: BTreeMap<ContainerUuid, u32>,
}

impl Dispatcher {
    /// Touches nothing yet. `registry` holds this process's tunnels, where it has any.
    pub fn new(
        store: Store,
        config: DispatchConfig,
        backend: Arc<dyn Backend>,
        images: Arc<dyn ImageResolver>,
        domain: ServiceDomain,
        registry: Registry,
    ) -> Self {
        let recorder = Recorder::new(store.clone(), config.clone(), domain, Starts::default());
        let stops = Stops::new(config.stop_grace);
        let parts = Parts {
            store,
            config: Arc::new(config),
            backend,
            images,
            registry,
            recorder,
            book: Arc::default(),
            nudge: Arc::default(),
            places: Arc::new(Semaphore::new(WORK_AT_A_TIME)),
        };
        let queue = watch::Sender::new(Arc::default());
        Self { parts, queue, scope: TaskScope::new("dispatch"), stops, next_due: None }
    }

    /// The same, counting how starts went where others do.
    #[must_use]
    pub fn counting(mut self, starts: Starts) -> Self {
        self.parts.recorder = self.parts.recorder.counting(starts);
        self
    }

    /// Who waits and why, after each look.
    pub fn queue(&self) -> watch::Receiver<Arc<QueueReport>> {
        self.queue.subscribe()
    }

    /// Waits until no other process dispatches for this data directory, then reconciles until cancelled. Containers
    /// go on without it. When it returns, another process may have begun.
    pub async fn run(self, cancel: CancellationToken) {
        let turn = cancel.run_until_cancelled(wait_for_turn(&self.parts.config.data_dir)).await;
        if let Some(turn) = turn {
            self.reconcile(&turn, cancel).await;
            drop(turn);
        }
    }

    async fn reconcile(mut self, turn: &Turn, cancel: CancellationToken) {
        let mut changes = self.parts.store.changes();
        let mut deaths = self.parts.backend.changes();
        let mut tunnels = self.parts.registry.events();
        let nudge = Arc::clone(&self.parts.nudge);
        while !cancel.is_cancelled() {
            let pace = Pace::begin();
            match self.look().await {
                Ok(()) => turn.beat(),
                Err(error) => {
                    tracing::warn!(%error, "cannot look after containers now; trying again");
                }
            }
            let rest = pace.rest();
            let pause = self.pause();
            tokio::select! {
                () = cancel.cancelled() => break,
                () = wakes::changed(&mut changes, wakes::of_containers) => {}
                // The backend outlives us, so an error cannot be; the period covers it.
                _ = deaths.changed() => {}
                _ = tunnels.next() => {}
                () = nudge.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
            let _cancelled = cancel.run_until_cancelled(rest.over()).await;
            // One look for all that came meanwhile; those told by a flag and a number keep no backlog.
            while wakes::changed(&mut changes, wakes::of_containers).now_or_never().is_some() {}
            while tunnels.next().now_or_never().is_some() {}
        }
        self.scope.shutdown(WORK_TIMEOUT).await;
    }

    fn pause(&self) -> Duration {
        let period = self.parts.config.period;
        let period = if self.stops.is_empty() { period } else { period.min(STOPPING_PERIOD) };
        self.next_due.map_or(period, |due| period.min(due))
    }

    /// One round. Takes no hint of why: a restart and an event run the same code.
    async fn look(&mut self) -> Result<(), LookError> {
        // This order, because each later look may only be newer: a task that ends meanwhile still
        // counts as busy, and a supervisor leaves only after its record is over.
        let busy = self.parts.book().busy_now();
        let found = self.parts.backend.list().await?;
        let records = self.parts.store.live_containers().await?;
        // Last: who was told that a machine is cordoned sees no container of later begin.
        let node = &self.parts.config.node;
        let cordon = self.parts.store.cordon_of(node).await?.map(|cordon| cordon.words(node));
        let world = self.world(&busy, found, &records, cordon);
        let plan = reconcile::plan(&world);
        self.tell_queue(&plan).await?;
        self.stop(&plan).await;
        let records: BTreeMap<ContainerUuid, &Container> =
            records.iter().map(|record| (record.uuid, record)).collect();
        let dead = world.actual.iter().filter(|it| it.life == Life::Dead);
        let dead: BTreeSet<ContainerUuid> = dead.map(|it| it.uuid).collect();
        for (uuid, action) in plan.actions {
            self.act(uuid, action, records.get(&uuid).copied(), dead.contains(&uuid)).await?;
        }
        self.parts.book().n_launches.retain(|uuid, _| records.contains_key(uuid));
        let records: Vec<&Container> = records.into_values().collect();
        let changed = self.name_silent_ports(&records).await?;
        let (store, policy) = (&self.parts.store, self.parts.config.life_policy());
        self.next_due = lives::mind(store, policy, &records, &changed).await?;
        Ok(())
    }

    /// A look comes at least every period, so a port is named at most that late.
    async fn name_silent_ports(
        &self,
        records: &[&Container],
    ) -> Result<BTreeSet<ContainerUuid>, LookError> {
        let now = self.parts.store.now();
        let mut changed = BTreeSet::new();
        for record in records {
            if let Some(status) = silence::status_of(record, now) {
                self.parts.store.set_runtime_status(record.uuid, status).await?;
                changed.insert(record.uuid);
            }
        }
        Ok(changed)
    }

    fn world(
        &self,
        busy: &BTreeSet<ContainerUuid>,
        found: Vec<Found>,
        records: &[Container],
        cordon: Option<String>,
    ) -> World {
        let mut actual: Vec<Actual> = found
            .into_iter()
            .map(|found| {
                let life = match (busy.contains(&found.container), found.is_alive) {
                    (true, _) => Life::Busy,
                    (false, true) => Life::Alive,
                    (false, false) => Life::Dead,
                };
                Actual { uuid: found.container, life, said: found.said }
            })
            .collect();
        // Being launched, but with no directory yet.
        let seen: BTreeSet<ContainerUuid> = actual.iter().map(|it| it.uuid).collect();
        let unseen = busy.difference(&seen);
        actual.extend(unseen.map(|uuid| Actual { uuid: *uuid, life: Life::Busy, said: None }));
        let book = self.parts.book();
        let wanted = records.iter().map(|record| wanted_of(record, &book)).collect();
        World {
            wanted,
            actual,
            capacity: self.parts.config.capacity(),
            cordon,
            now: self.parts.store.now(),
        }
    }

    async fn tell_queue(&self, plan: &Plan) -> Result<(), LookError> {
        for one in &plan.waiting {
            self.parts.store.set_scheduling_status(one.uuid, &one.reason).await?;
        }
        let report = QueueReport::from_plan(&plan.waiting);
        self.queue.send_if_modified(|now| {
            let is_news = **now != report;
            if is_news {
                *now = Arc::new(report);
            }
            is_news
        });
        Ok(())
    }

    /// Signals, where the controllers' orders through the tunnels do not help.
    async fn stop(&mut self, plan: &Plan) {
        let wanted: BTreeSet<ContainerUuid> = plan
            .actions
            .iter()
            .filter(|(_, action)| *action == Action::Stop)
            .map(|(uuid, _)| *uuid)
            .collect();
        let registry = &self.parts.registry;
        let is_connected = |uuid: ContainerUuid| registry.get(uuid.as_str()).is_some();
        for (uuid, how) in self.stops.next(&wanted, Instant::now(), is_connected) {
            tracing::info!(container.uuid = %uuid, ?how, "signalling a supervisor");
            if let Err(error) = self.parts.backend.end(uuid, how).await {
                tracing::warn!(container.uuid = %uuid, %error, "cannot signal a supervisor");
            }
        }
    }

    async fn act(
        &mut self,
        uuid: ContainerUuid,
        action: Action,
        record: Option<&Container>,
        is_dead: bool,
    ) -> Result<(), LookError> {
        match action {
            // Done by `stop`, together.
            Action::Stop => {}
            Action::Launch => {
                if let Some(record) = record {
                    self.spawn_work(uuid, work::launch(self.parts.clone(), record.clone()));
                }
            }
            Action::Adopt => {
                self.parts.store.lock_container(uuid, &self.parts.config.name).await?;
            }
            Action::Unlock => {
                self.parts.store.unlock_container(uuid).await?;
            }
            Action::Settle { started_at, end } if is_dead => {
                self.spawn_work(uuid, work::bury(self.parts.clone(), uuid, started_at, end));
            }
            Action::Settle { started_at, end } => {
                tracing::info!(container.uuid = %uuid, reason = %end.reason, "container is over");
                self.parts.recorder.end(uuid, started_at, &end).await?;
            }
            Action::Sweep => self.spawn_work(uuid, work::sweep(self.parts.clone(), uuid)),
        }
        Ok(())
    }

    /// The container is busy until the work is done, and longer if it failed.
    fn spawn_work(
        &self,
        uuid: ContainerUuid,
        work: impl Future<Output = work::Outcome> + Send + 'static,
    ) {
        self.parts.book().busy.insert(uuid, None);
        let parts = self.parts.clone();
        self.scope.spawn("work", async move {
            // Lives as long as the work, also when that panics: nothing may stay busy for ever.
            let mut release = work::Release::new(parts.clone(), uuid);
            // Closed never: the semaphore is ours.
            let _place = parts.places.acquire().await;
            release.outcome = work.await;
        });
    }
}

impl Parts {
    /// A poisoned lock is taken as is: each entry is whole.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Who is worked on, or rests; ends rests that are over.
    fn busy_now(&mut self) -> BTreeSet<ContainerUuid> {
        let now = Instant::now();
        self.busy.retain(|_, rest| rest.is_none_or(|until| until > now));
        self.busy.keys().copied().collect()
    }
}

fn wanted_of(record: &Container, book: &Book) -> Wanted {
    Wanted {
        uuid: record.uuid,
        state: record.state,
        priority: record.priority,
        created_at: record.created_at,
        needs: crate::admission::Needs {
            ram_bytes: record.runtime_constraints.ram,
            vcpus: record.runtime_constraints.vcpus,
            scratch_bytes: match record.state {
                // What it wrote is not free any more.
                ContainerState::Running => 0,
                _ => model::mounts::scratch_bytes(&record.mounts),
            },
            is_runner: record.scheduling_parameters.get("supervisor") == Some(&true.into()),
        },
        n_launches: match record.state {
            ContainerState::Queued => 0,
            _ => book.n_launches.get(&record.uuid).copied().unwrap_or(0),
        },
    }
}

async fn wait_for_turn(data_dir: &Path) -> Turn {
    loop {
        match Turn::wait(data_dir).await {
            Ok(turn) => return turn,
            Err(error) => {
                tracing::warn!(%error, "cannot lock the place of the dispatcher; trying again");
                tokio::time::sleep(TURN_RETRY).await;
            }
        }
    }
}

/// Why a round was cut short; the next one begins anew.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error(transparent)]
    Backend(#[from] crate::backend::BackendError),
}

#[cfg(test)]
pub(crate) mod tests;
