//! Decisions of the gate, kept until something they rest on changes.
//!
//! A [`Grant`] says that one credential opens one service host, and everything that follows from it. A request that
//! finds its grant asks nobody anything. Every grant knows the records it was read from; when one of them changes,
//! the grant is taken out at once, so that the next request asks anew, and the same question is asked for those that
//! streams are open under. Who may not go on any more is told at once ([`Revoked`]), however many streams there are:
//! one question for all streams of one credential at one host.
//!
//! Invariant: a grant that can be found was read after the last change of its records that this process has heard of,
//! or is in the keeper's hands. Grants made while records changed are asked about once more.
//!
//! Owner of mutable state: [`Grants`], one short lock, never held across an await. [`Grants::keep`] is the keeper.

mod end;
mod key;
mod table;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use model::ContainerUuid;
use tokio::sync::Notify;

use crate::authorize::{self, Caller, Found};
use crate::budgets::GrantBudgets;
use crate::directory::{Changed, Directory, HostTarget, Target};
use crate::headers::Kept;
use crate::origin::Origin;
use crate::route::{self, Reach};
use crate::tenant::Tenant;
use crate::traffic::PortTraffic;
use crate::visitors::Visitor;
use end::End;
pub(crate) use end::Revoked;
use key::KeyMaker;
pub(crate) use key::{GrantKey, Presented, Rule};
use table::Table;

/// Tokens and sessions end in whole seconds; looked at this often, a stream outlives its own by less than one.
const EXPIRY_PERIOD: Duration = Duration::from_millis(500);

/// Questions that a change of one record brings, asked at the same time.
const QUESTIONS_MAX: usize = 8;

/// One decision: this caller may use this service, as the records stand.
#[derive(Debug)]
pub(crate) struct Grant {
    /// Where it can be found; one made of a credential that is used up cannot.
    key: Option<GrantKey>,
    /// As the request named it.
    pub(crate) host: HostTarget,
    pub(crate) origin: Origin,
    /// Who is served there, where the host may have been another's.
    pub(crate) tenant: Option<Tenant>,
    pub(crate) target: Arc<Target>,
    /// Where the target's container runs.
    pub(crate) container: ContainerUuid,
    pub(crate) caller: Caller,
    /// When the credential ends, in seconds since 1970.
    pub(crate) expires_at_s: Option<u64>,
    /// Whose shares its requests are counted in.
    pub(crate) budgets: GrantBudgets,
    /// Where its requests are counted.
    pub(crate) traffic: Arc<PortTraffic>,
    /// On whom its requests count.
    pub(crate) visitor: Arc<Visitor>,
    /// Records that let the caller in, besides its own and the target's.
    rests_on: Vec<String>,
    end: End,
}

/// Where the requests of a grant are counted.
#[derive(Debug)]
pub(crate) struct Counted {
    /// With those of everybody to the port.
    pub(crate) traffic: Arc<PortTraffic>,
    /// With those of the same visitor.
    pub(crate) visitor: Arc<Visitor>,
}

/// Where a grant is served.
#[derive(Debug)]
pub(crate) struct Site {
    /// What its host says.
    pub(crate) host: HostTarget,
    pub(crate) origin: Origin,
    /// Who is served there, where the host may have been another's.
    pub(crate) tenant: Option<Tenant>,
}

impl Grant {
    pub(crate) fn new(
        key: Option<GrantKey>,
        site: Site,
        target: Arc<Target>,
        container: ContainerUuid,
        found: Found,
        budgets: GrantBudgets,
        counted: Counted,
    ) -> Self {
        let Site { host, origin, tenant } = site;
        let Found { caller, expires_at_s, rests_on } = found;
        let Counted { traffic, visitor } = counted;
        Self {
            key,
            host,
            origin,
            tenant,
            target,
            container,
            caller,
            expires_at_s,
            budgets,
            traffic,
            visitor,
            rests_on,
            end: End::default(),
        }
    }

    /// Whether the port is open to everyone.
    pub(crate) fn is_public(&self) -> bool {
        matches!(self.caller, Caller::Anyone)
    }

    /// Who may keep what the app answers under it.
    pub(crate) fn kept(&self) -> Kept {
        match (&self.caller, &self.tenant) {
            (Caller::User { .. } | Caller::Guest(_), _) => Kept::ByTheCaller,
            (Caller::Anyone, Some(_)) => Kept::ByBrowsers,
            (Caller::Anyone, None) => Kept::AsTheAppSays,
        }
    }

    /// Whether it still says anything.
    fn is_good(&self, now_s: u64) -> bool {
        !self.end.has_come() && self.expires_at_s.is_none_or(|end| end > now_s)
    }

    /// The records that it rests on.
    fn records(&self) -> impl Iterator<Item = &str> {
        let caller = match &self.caller {
            // What a guest rests on came with the pass.
            Caller::Anyone | Caller::Guest(_) => [None, None],
            Caller::User { user, token, .. } => [Some(user.as_str()), Some(token.as_str())],
        };
        let read = self.target.records.iter().chain(&self.rests_on).map(String::as_str);
        read.chain(caller.into_iter().flatten())
    }

    /// The gate's question: none where it does not hold any more, else the records that it rests on by now. Records that
    /// cannot be read end no stream that was let in.
    async fn still_holds(
        &self,
        directory: &dyn Directory,
        allow_unpublished_ports: bool,
    ) -> Option<Vec<String>> {
        let target = match directory.find(&self.host).await {
            Ok(Some(target)) => target,
            Ok(None) => return None,
            Err(_unknown) => return Some(Vec::new()),
        };
        if route::reach(&target, allow_unpublished_ports) != Reach::Running(self.container) {
            return None;
        }
        let mut records = target.records.clone();
        match &self.caller {
            Caller::Anyone => target.is_public().then_some(records),
            Caller::Guest(guest) => match directory.guest(*guest, &target).await {
                Ok(pass) => {
                    records.extend(pass?.rests_on);
                    Some(records)
                }
                Err(_unknown) => Some(Vec::new()),
            },
            Caller::User { .. } => {
                let asked = authorize::allowed(directory, &target, self.caller.proof()?);
                match asked.await {
                    Ok(allowed) => {
                        records.extend(allowed?.rests_on);
                        Some(records)
                    }
                    Err(_unknown) => Some(Vec::new()),
                }
            }
        }
    }
}

/// All grants of one proxy.
#[derive(Debug)]
pub(crate) struct Grants {
    keys: KeyMaker,
    table: Mutex<Table>,
    /// Grants to be asked about again, though nothing is known to have changed.
    doubtful: Mutex<VecDeque<Arc<Grant>>>,
    doubt: Notify,
    allow_unpublished_ports: bool,
}

impl Grants {
    pub(crate) fn new(n_max: usize, allow_unpublished_ports: bool) -> Self {
        Self {
            keys: KeyMaker::new(),
            table: Mutex::new(Table::new(n_max)),
            doubtful: Mutex::default(),
            doubt: Notify::new(),
            allow_unpublished_ports,
        }
    }

    /// Under what the grant of a request is kept; `None` where none can be.
    pub(crate) fn key_of(&self, presented: Presented<'_>) -> Option<GrantKey> {
        self.keys.key_of(presented)
    }

    /// The grant of a credential at a host, if there is one.
    pub(crate) fn find(&self, key: &GrantKey, now_s: u64) -> Option<Arc<Grant>> {
        self.table().find(key).filter(|grant| grant.is_good(now_s))
    }

    /// Counts changes; to be asked for before the records are read for [`Grants::add`].
    pub(crate) fn version(&self) -> u64 {
        self.table().version()
    }

    /// Enters a grant that was read at `version` or later.
    pub(crate) fn add(&self, grant: Grant, version: u64) -> Arc<Grant> {
        let grant = Arc::new(grant);
        let mut table = self.table();
        table.watch(&grant);
        if table.version() == version {
            table.insert(Arc::clone(&grant));
            return grant;
        }
        drop(table);
        // What it rests on may have changed between reading and now: good for this request, and asked about again.
        self.doubtful().push_back(Arc::clone(&grant));
        self.doubt.notify_one();
        grant
    }

    /// Follows the records' changes and ends what does not hold any more; ends with the directory.
    pub(crate) async fn keep(
        &self,
        directory: &dyn Directory,
        mut changes: BoxStream<'static, Changed>,
    ) {
        let mut expiry = tokio::time::interval(EXPIRY_PERIOD);
        expiry.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = changes.next() => match changed {
                    Some(changed) => self.follow(&changed, directory).await,
                    // Nobody tells of changes any more: the process is on its way down.
                    None => return,
                },
                () = self.doubt.notified() => {
                    while let Some(grant) = self.take_doubtful() {
                        self.ask(&grant, directory).await;
                    }
                }
                _ = expiry.tick() => self.end_expired(),
            }
        }
    }

    async fn follow(&self, changed: &Changed, directory: &dyn Directory) {
        let concerned = match changed {
            Changed::Record(uuid) => self.table().take_concerned(uuid),
            Changed::Everything => self.table().take_all(),
        };
        let asking = |grant: Arc<Grant>| async move { self.ask(&grant, directory).await };
        stream::iter(concerned).for_each_concurrent(QUESTIONS_MAX, asking).await;
    }

    async fn ask(&self, grant: &Arc<Grant>, directory: &dyn Directory) {
        // Nobody else has it: there is no stream to end.
        if Arc::strong_count(grant) == 1 || grant.end.has_come() {
            return;
        }
        match grant.still_holds(directory, self.allow_unpublished_ports).await {
            // It may hold for another reason than before: that one's end must find it, too.
            Some(records) => self.table().watch_also(grant, &records),
            None => {
                tracing::debug!(container.uuid = %grant.container, "access was withdrawn");
                grant.end.come();
            }
        }
    }

    fn end_expired(&self) {
        let now_s = authorize::now_s();
        for grant in self.table().take_expired(now_s) {
            grant.end.come();
        }
    }

    fn take_doubtful(&self) -> Option<Arc<Grant>> {
        self.doubtful().pop_front()
    }

    /// A poisoned lock is taken as is: every step leaves whole entries.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubtful(&self) -> MutexGuard<'_, VecDeque<Arc<Grant>>> {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
