//! What each service, user and address may still ask for.
//!
//! An address is asked before anything is known of a request, its service and user once the gate has let it pass. Each
//! is looked up once, for a connection or a grant, and then counted without a lock. A request counts as open until its
//! answer has ended, and a socket until it closes ([`Open`]).
//!
//! Owner of mutable state: [`Budgets`], one short lock for each table.

mod limit;
mod open;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use limits::{AddressKey, Bucket, Count, Forget, Rate, Table, Tick};
use model::{ContainerUuid, UserUuid};

use crate::authorize::Caller;
use crate::config::ProxyLimits;
pub(crate) use limit::{Exceeded, Limit};
pub(crate) use open::{Open, SocketPlace};

/// Entries of one table; each takes some 100 bytes.
const ENTRIES_MAX: usize = 100_000;
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
}

/// All of one proxy.
#[derive(Debug)]
pub(crate) struct Budgets {
    services: Table<ContainerUuid, Budget>,
    users: Table<UserUuid, Budget>,
    addresses: Table<AddressKey, Address>,
    service_rate: Rate,
    user_rate: Rate,
    address_rate: Rate,
    miss_rate: Rate,
    service_open_max: u32,
    user_open_max: u32,
    address_open_max: u32,
    /// How long a refusal is held back.
    refusal_delay: Duration,
}

impl Budgets {
    pub(crate) fn new(limits: &ProxyLimits) -> Self {
        let rate = |per_second| Rate::per_second(per_second, limits.request_burst);
        Self {
            services: Table::new(ENTRIES_MAX),
            users: Table::new(ENTRIES_MAX),
            addresses: Table::new(ENTRIES_MAX),
            service_rate: rate(limits.service_requests_per_second),
            user_rate: rate(limits.user_requests_per_second),
            address_rate: rate(limits.address_requests_per_second),
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
            Caller::Anyone => None,
            Caller::User { user, .. } => Some(self.users.get(*user, now)),
        };
        GrantBudgets { service: self.services.get(container, now), user }
    }

    /// Counts a request of an address.
    pub(crate) fn take_request(&self, address: &Address, now: Tick) -> Result<(), Exceeded> {
        take(&address.budget.requests, self.address_rate, now, Limit::RequestsOfAddress)
    }

    /// Counts a credential that opened nothing, or a host that is none.
    pub(crate) fn take_miss(&self, address: &Address, now: Tick) -> Result<(), Exceeded> {
        take(&address.misses, self.miss_rate, now, Limit::Misses)
    }

    /// Waits for as long as a refusal is held back: at once it would cost us as much as it costs who asks. Meanwhile
    /// the request counts as open, so that nobody has many of these.
    pub(crate) async fn hold_back(&self) {
        tokio::time::sleep(self.refusal_delay).await;
    }
}

fn take(bucket: &Bucket, rate: Rate, now: Tick, limit: Limit) -> Result<(), Exceeded> {
    bucket.take(rate, now).map_err(|wait| Exceeded { limit, wait })
}

#[cfg(test)]
mod tests;
