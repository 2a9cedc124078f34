//! What each service, user and address may still ask for.
//!
//! An address is asked before anything is known of a request, its service and user once the gate has let it pass. Each
//! is looked up once, for a connection or a grant, and then counted without a lock. A request counts as open until its
//! answer has ended, and a socket until it closes ([`Open`]).
//!
//! Rates hold while others want something too: whoever is alone may have all there is ([`Contest`]).
//!
//! Owner of mutable state: [`Budgets`], one short lock for each table.

mod limit;
mod open;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use limits::{AddressKey, Bucket, Count, Forget, Rate, Rivals, Table, Tick};
use model::{ContainerUuid, UserUuid};

use crate::authorize::Caller;
use crate::config::ProxyLimits;
use crate::uses::{Use, Uses};
pub(crate) use limit::{Exceeded, Limit};
pub(crate) use open::{Open, SocketPlace};

/// Entries of one table; each takes some 100 bytes.
const ENTRIES_MAX: usize = 100_000;
/// Whoever wants something that is no service; no budget lies there.
const OTHER: u64 = 1;
/// Misses are rare and come in waves: what may come at once.
const MISS_BURST: Duration = Duration::from_secs(10);

/// What one service or user, or one address, has used of its share.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    requests: Bucket,
    open: Count,
}

impl Forget for Budget {
    fn is_idle(&self, now: Tick) -> bool {
        self.open.get() == 0 && self.requests.is_full(now)
    }
}

/// What one address has used of its share.
#[derive(Debug, Default)]
pub(crate) struct Address {
    budget: Budget,
    /// Credentials that opened nothing, and hosts that are none.
    misses: Bucket,
}

impl Forget for Address {
    fn is_idle(&self, now: Tick) -> bool {
        self.budget.is_idle(now) && self.misses.is_full(now)
    }
}

/// Whose shares a grant's requests are counted in.
#[derive(Debug)]
pub(crate) struct GrantBudgets {
    service: Arc<Budget>,
    /// Callers of public ports have no name.
    user: Option<Arc<Budget>>,
    /// Where the container's use is noted.
    pub(crate) used: Arc<Use>,
}

/// All of one proxy.
#[derive(Debug)]
pub(crate) struct Budgets {
    services: Table<ContainerUuid, Budget>,
    users: Table<UserUuid, Budget>,
    addresses: Table<AddressKey, Address>,
    of_services: Contest,
    of_users: Contest,
    of_addresses: Contest,
    pub(crate) uses: Uses,
    miss_rate: Rate,
    service_open_max: u32,
    user_open_max: u32,
    address_open_max: u32,
    /// How long a refusal is held back.
    refusal_delay: Duration,
}

impl Budgets {
    pub(crate) fn new(limits: &ProxyLimits) -> Self {
        let contest = |per_second| Contest {
            rate: Rate::per_second(per_second, limits.request_burst),
            rivals: Rivals::default(),
            wait_max: limits.refusal_delay,
        };
        Self {
            services: Table::new(ENTRIES_MAX),
            users: Table::new(ENTRIES_MAX),
            addresses: Table::new(ENTRIES_MAX),
            of_services: contest(limits.service_requests_per_second),
            of_users: contest(limits.user_requests_per_second),
            of_addresses: contest(limits.address_requests_per_second),
            uses: Uses::default(),
            miss_rate: Rate::per_second(limits.misses_per_second, MISS_BURST),
            service_open_max: limits.service_open_max,
            user_open_max: limits.user_open_max,
            address_open_max: limits.address_open_max,
            refusal_delay: limits.refusal_delay,
        }
    }

    /// The share of an address.
    pub(crate) fn address(&self, ip: IpAddr) -> Arc<Address> {
        self.addresses.get(ip.into(), Tick::now())
    }

    /// The shares of whoever a grant is for.
    pub(crate) fn of_grant(&self, container: ContainerUuid, caller: &Caller) -> GrantBudgets {
        let now = Tick::now();
        let user = match caller {
            Caller::Anyone | Caller::Guest(_) => None,
            Caller::User { user, .. } => Some(self.users.get(*user, now)),
        };
        let used = self.uses.of(container);
        GrantBudgets { service: self.services.get(container, now), user, used }
    }

    /// Counts a request of an address; answers how long it must wait for its turn.
    pub(crate) fn take_request(&self, address: &Address, now: Tick) -> Result<Duration, Exceeded> {
        self.of_addresses.take(&address.budget, now, Limit::RequestsOfAddress)
    }

    /// Somebody wants something that is no service.
    pub(crate) fn see_other(&self, now: Tick) {
        let _alone = self.of_services.rivals.see(OTHER, now);
    }

    /// Counts a credential that opened nothing, or a host that is none.
    pub(crate) fn take_miss(&self, address: &Address, now: Tick) -> Result<(), Exceeded> {
        let taken = address.misses.take(self.miss_rate, now);
        taken.map_err(|wait| Exceeded { limit: Limit::Misses, wait })
    }

    /// Waits for as long as a refusal is held back: at once it would cost us as much as it costs who asks. Meanwhile
    /// the request counts as open, so that nobody has many of these.
    pub(crate) async fn hold_back(&self) {
        tokio::time::sleep(self.refusal_delay).await;
    }
}

/// Requests that many make of one proxy: as long as several want something, none may have more than its rate.
#[derive(Debug)]
struct Contest {
    rate: Rate,
    rivals: Rivals,
    wait_max: Duration,
}

impl Contest {
    /// Counts a request of one of them; answers how long it must wait for its turn. What one took while it was alone
    /// counts once it is not.
    fn take(&self, budget: &Budget, now: Tick, limit: Limit) -> Result<Duration, Exceeded> {
        // Where it lies in memory is its own as long as there are requests of it.
        let is_contested = self.rivals.see(std::ptr::from_ref(budget).addr() as u64, now);
        if is_contested {
            let taken = budget.requests.take_within(self.rate, now, self.wait_max);
            return taken.map_err(|wait| Exceeded { limit, wait });
        }
        let _left = budget.requests.take(self.rate, now);
        Ok(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests;
