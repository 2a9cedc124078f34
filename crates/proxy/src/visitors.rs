//! Who uses services, and who was refused: what this process has seen, in memory and bounded.
//!
//! A visitor is one caller at one port. It is entered when a grant is made, which asks the records anyway; requests
//! then only count on it. Refusals that are alike share an entry, so that a flood of them drives no other one out.
//!
//! Owner of mutable state: [`Visitors`], one short lock, never taken by a request whose grant is known.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::{ContainerUuid, GuestSessionUuid, UserUuid};

use crate::authorize::{Caller, now_s};

/// Services that are remembered; the one that was quiet for longest goes first.
const SERVICES_MAX: usize = 4096;
/// Visitors of one service that are remembered.
const VISITORS_MAX: usize = 200;
/// Kinds of refusals of one service that are remembered.
const REFUSALS_MAX: usize = 100;

/// Who somebody was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Nobody in particular: the port is public.
    Anyone,
    /// A user.
    User(UserUuid),
    /// A guest, by session.
    Guest(GuestSessionUuid),
}

/// One caller at one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// Who.
    pub who: Who,
    /// The container's port.
    pub port: u16,
    /// From where, when it began.
    pub address: IpAddr,
    /// When it began, in seconds since 1970.
    pub since_s: u64,
    /// When the last request came.
    pub last_s: u64,
    /// Requests, sockets and calls so far.
    pub n_requests: u64,
    /// Those of them that are open now.
    pub n_open: u32,
}

/// Attempts that were refused alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The container's port.
    pub port: u16,
    /// From where.
    pub address: IpAddr,
    /// Why, a fragment of a sentence.
    pub why: &'static str,
    /// When the last one was, in seconds since 1970.
    pub last_s: u64,
    /// How many.
    pub n: u64,
}

/// What was seen of one service, the latest first.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Who came in.
    pub visits: Vec<Visit>,
    /// Who did not.
    pub refused: Vec<Refused>,
}

/// A visitor while grants are made for it.
#[derive(Debug)]
pub(crate) struct Visitor {
    who: Who,
    port: u16,
    address: IpAddr,
    since_s: u64,
    last_s: AtomicU64,
    n_requests: AtomicU64,
    n_open: AtomicU32,
}

impl Visitor {
    fn new(who: Who, port: u16, address: IpAddr, now_s: u64) -> Self {
        Self {
            who,
            port,
            address,
            since_s: now_s,
            last_s: AtomicU64::new(now_s),
            n_requests: AtomicU64::new(0),
            n_open: AtomicU32::new(0),
        }
    }

    /// A request begins.
    pub(crate) fn enter(&self) {
        self.n_requests.fetch_add(1, Ordering::Relaxed);
        self.n_open.fetch_add(1, Ordering::Relaxed);
        self.last_s.store(now_s(), Ordering::Relaxed);
    }

    /// It is over.
    pub(crate) fn leave(&self) {
        self.n_open.fetch_sub(1, Ordering::Relaxed);
    }

    fn visit(&self) -> Visit {
        Visit {
            who: self.who,
            port: self.port,
            address: self.address,
            since_s: self.since_s,
            last_s: self.last_s.load(Ordering::Relaxed),
            n_requests: self.n_requests.load(Ordering::Relaxed),
            n_open: self.n_open.load(Ordering::Relaxed),
        }
    }

    fn is_open(&self) -> bool {
        self.n_open.load(Ordering::Relaxed) > 0
    }
}

#[derive(Debug, Default)]
struct Service {
    last_s: u64,
    visitors: VecDeque<Arc<Visitor>>,
    refused: VecDeque<Refused>,
}

/// All that was seen.
#[derive(Debug, Default)]
pub(crate) struct Visitors {
    services: Mutex<HashMap<ContainerUuid, Service>>,
}

impl Visitors {
    /// The visitor that a grant is made for: the one who is there already, or a new one.
    pub(crate) fn enter(
        &self,
        container: ContainerUuid,
        port: u16,
        caller: &Caller,
        address: IpAddr,
    ) -> Arc<Visitor> {
        let who = match caller {
            Caller::Anyone => Who::Anyone,
            Caller::User { user, .. } => Who::User(*user),
            Caller::Guest(guest) => Who::Guest(guest.session),
        };
        let now_s = now_s();
        self.with(container, now_s, |service| {
            let same =
                |it: &&Arc<Visitor>| it.who == who && it.port == port && it.address == address;
            if let Some(known) = service.visitors.iter().find(same) {
                return Arc::clone(known);
            }
            if service.visitors.len() >= VISITORS_MAX {
                // Whoever is connected is told last to be forgotten.
                let gone = service.visitors.iter().position(|it| !it.is_open()).unwrap_or(0);
                drop(service.visitors.remove(gone));
            }
            let new = Arc::new(Visitor::new(who, port, address, now_s));
            service.visitors.push_back(Arc::clone(&new));
            new
        })
    }

    /// Somebody was refused.
    pub(crate) fn refuse(
        &self,
        container: ContainerUuid,
        port: u16,
        address: IpAddr,
        why: &'static str,
    ) {
        let now_s = now_s();
        self.with(container, now_s, |service| {
            let same = |it: &Refused| it.port == port && it.address == address && it.why == why;
            let known = service.refused.iter().position(same);
            let n = known.and_then(|at| service.refused.remove(at)).map_or(0, |known| known.n);
            if service.refused.len() >= REFUSALS_MAX {
                let _oldest = service.refused.pop_front();
            }
            service.refused.push_back(Refused { port, address, why, last_s: now_s, n: n + 1 });
        });
    }

    /// What was seen of a service.
    pub(crate) fn of(&self, container: ContainerUuid) -> Seen {
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(service) = services.get(&container) else { return Seen::default() };
        let mut visits: Vec<Visit> = service.visitors.iter().map(|it| it.visit()).collect();
        visits.sort_by_key(|visit| std::cmp::Reverse((visit.n_open > 0, visit.last_s)));
        Seen { visits, refused: service.refused.iter().rev().copied().collect() }
    }

    /// A poisoned lock is taken as is: every step leaves whole entries.
    fn with<T>(
        &self,
        container: ContainerUuid,
        now_s: u64,
        change: impl FnOnce(&mut Service) -> T,
    ) -> T {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        if services.len() >= SERVICES_MAX && !services.contains_key(&container) {
            let quiet = services.iter().min_by_key(|(_, service)| service.last_s);
            if let Some(quiet) = quiet.map(|(uuid, _)| *uuid) {
                services.remove(&quiet);
            }
        }
        let service = services.entry(container).or_default();
        service.last_s = now_s;
        change(service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(number: usize) -> ContainerUuid {
        ContainerUuid::parse(&format!("wharf-dz642-{number:015}")).unwrap()
    }

    fn address(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    #[test]
    fn requests_count_on_the_visitor_that_is_there_already() {
        let visitors = Visitors::default();
        let first = visitors.enter(container(1), 80, &Caller::Anyone, address(1));
        first.enter();
        first.enter();
        first.leave();
        let again = visitors.enter(container(1), 80, &Caller::Anyone, address(1));
        assert!(Arc::ptr_eq(&first, &again));
        let _other = visitors.enter(container(1), 81, &Caller::Anyone, address(1));
        let seen = visitors.of(container(1));
        assert_eq!(seen.visits.len(), 2);
        assert_eq!((seen.visits[0].n_requests, seen.visits[0].n_open), (2, 1));
        assert!(visitors.of(container(2)).visits.is_empty());
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_who_is_connected() {
        let visitors = Visitors::default();
        let connected = visitors.enter(container(1), 80, &Caller::Anyone, address(1));
        connected.enter();
        for port in 1000..1000 + 2 * u16::try_from(VISITORS_MAX).unwrap() {
            let _visitor = visitors.enter(container(1), port, &Caller::Anyone, address(2));
        }
        let seen = visitors.of(container(1));
        assert_eq!(seen.visits.len(), VISITORS_MAX);
        assert_eq!(seen.visits[0].address, address(1));
        for number in 2..SERVICES_MAX + 10 {
            let _visitor = visitors.enter(container(number), 80, &Caller::Anyone, address(2));
        }
        assert_eq!(visitors.services.lock().unwrap().len(), SERVICES_MAX);
    }

    #[test]
    fn refusals_that_are_alike_share_an_entry() {
        let visitors = Visitors::default();
        for _ in 0..1000 {
            visitors.refuse(container(1), 80, address(1), "no credentials");
        }
        visitors.refuse(container(1), 80, address(2), "no credentials");
        let seen = visitors.of(container(1));
        let counts: Vec<u64> = seen.refused.iter().map(|refused| refused.n).collect();
        assert_eq!(counts, [1, 1000]);
        for port in 1..1000 {
            visitors.refuse(container(1), port, address(3), "no credentials");
        }
        assert_eq!(visitors.of(container(1)).refused.len(), REFUSALS_MAX);
    }
}
