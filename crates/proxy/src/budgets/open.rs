//! What is open, counted for as long as it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use limits::Tick;

use super::{Address, Budgets, Exceeded, GrantBudgets, Limit};
use crate::grants::Grant;
use crate::peer::Peer;
use crate::traffic::PortTraffic;
use crate::uses::Use;

/// A request's place among the open ones of its address, and of its service and user once they are known. Goes where
/// the answer goes, and is given up with it.
#[derive(Debug)]
pub(crate) struct Open {
    address: Arc<Address>,
    grant: Option<Arc<Grant>>,
    begun: Option<Instant>,
    /// Whether it is use of the service for as long as it is open.
    is_use: bool,
}

impl Open {
    /// A place among those of an address.
    pub(crate) fn at(address: &Arc<Address>, budgets: &Budgets) -> Result<Self, Exceeded> {
        if !address.budget.open.enter(budgets.address_open_max) {
            return Err(full(Limit::OpenOfAddress));
        }
        Ok(Self { address: Arc::clone(address), grant: None, begun: None, is_use: false })
    }

    /// Counts the request for its user and service, and takes a place among their open ones; answers how long it must
    /// wait for its turn. `begun`: when the request came; `now`: when its address had its turn.
    pub(crate) fn enter(
        &mut self,
        grant: &Arc<Grant>,
        budgets: &Budgets,
        begun: Instant,
        now: Tick,
    ) -> Result<Duration, Exceeded> {
        let GrantBudgets { service, user, used: _ } = &grant.budgets;
        let mut turn = Duration::ZERO;
        if let Some(user) = user {
            turn = budgets.of_users.take(user, now, Limit::RequestsOfUser)?;
            if !user.open.enter(budgets.user_open_max) {
                return Err(full(Limit::OpenOfUser));
            }
        }
        let counted = budgets.of_services.take(service, now, Limit::RequestsOfService);
        let entered = counted.and_then(|turn| {
            let entered = service.open.enter(budgets.service_open_max);
            if entered { Ok(turn) } else { Err(full(Limit::OpenOfService)) }
        });
        match (&entered, user) {
            (Ok(_), _) => {
                grant.traffic.opened();
                grant.visitor.enter();
                self.grant = Some(Arc::clone(grant));
                self.begun = Some(begun);
            }
            (Err(_), Some(user)) => user.open.leave(),
            (Err(_), None) => {}
        }
        entered.map(|of_service| turn.max(of_service))
    }

    /// The service is used for as long as it is open.
    pub(crate) fn count_as_use(&mut self) {
        if let Some(grant) = self.grant.as_ref().filter(|_| !self.is_use) {
            grant.budgets.used.begin_request();
            self.is_use = true;
        }
    }

    fn used(&self) -> Option<&Use> {
        self.grant.as_ref().map(|grant| &*grant.budgets.used)
    }
}

impl Open {
    /// Where what it carries is counted, once it is known for whom.
    pub(crate) fn traffic(&self) -> Option<&PortTraffic> {
        self.grant.as_ref().map(|grant| &*grant.traffic)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.address.budget.open.leave();
        let Some(grant) = &self.grant else { return };
        let now = Instant::now();
        let begun = self.begun.unwrap_or(now);
        grant.traffic.closed(now.saturating_duration_since(begun));
        grant.visitor.leave();
        if self.is_use {
            grant.budgets.used.end_request(now);
        }
        grant.budgets.service.open.leave();
        if let Some(user) = &grant.budgets.user {
            user.open.leave();
        }
    }
}

/// What a socket occupies while it is open: its place, and the connection that it lives in.
#[derive(Debug)]
pub(crate) struct SocketPlace {
    pub(crate) open: Open,
    pub(crate) peer: Peer,
}

impl SocketPlace {
    pub(crate) fn new(open: Open, peer: &Peer) -> Self {
        // Bounded by the open ones of the address.
        let _entered = peer.sockets().enter(u32::MAX);
        if let Some(traffic) = open.traffic() {
            traffic.socket_opened();
        }
        if let Some(used) = open.used() {
            used.open_socket();
        }
        Self { open, peer: peer.clone() }
    }

    /// Its service is used now.
    pub(crate) fn note_use(&self) {
        if let Some(used) = self.open.used() {
            used.note();
        }
    }
}

impl Drop for SocketPlace {
    fn drop(&mut self) {
        if let Some(used) = self.open.used() {
            used.close_socket();
        }
        self.peer.sockets().leave();
        if let Some(traffic) = self.open.traffic() {
            traffic.socket_closed();
        }
    }
}

/// Nobody knows when one of the open ones ends.
fn full(limit: Limit) -> Exceeded {
    Exceeded { limit, wait: Duration::ZERO }
}
