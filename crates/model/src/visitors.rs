//! Who uses a service: what each controller sees, and what all of them saw together.

use crate::timestamp::Timestamp;
use crate::uuid::{GuestSessionUuid, UserUuid};
use serde::{Deserialize, Serialize};

/// What was seen of a service since each controller started, the latest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visitors {
    /// Who came in.
    pub visits: Vec<Visit>,
    /// Who did not.
    pub refused: Vec<Refused>,
    /// WebSockets and raw connections that are open now.
    #[serde(default)]
    pub sockets: u64,
    /// Controllers that did not say in time what they saw.
    #[serde(default)]
    pub n_silent: u64,
}

/// One caller at one port; neither user nor guest where the port is public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// A user.
    pub user_uuid: Option<UserUuid>,
    /// Somebody who was invited.
    pub guest_uuid: Option<GuestSessionUuid>,
    /// The port.
    pub port: u16,
    /// From where.
    pub address: String,
    /// Since when.
    pub since: Timestamp,
    /// When the last request came.
    pub last: Timestamp,
    /// Requests so far.
    pub n_requests: u64,
    /// Those that are open now.
    pub n_open: u64,
}

/// Attempts that were refused alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The port.
    pub port: u16,
    /// From where.
    pub address: String,
    /// Why, a fragment of a sentence.
    pub why: String,
    /// When the last one was.
    pub last: Timestamp,
    /// How many.
    pub n: u64,
}

impl Visitors {
    /// Takes up what another controller saw: the same caller at the same port is one visitor.
    pub fn take_up(&mut self, other: Self) {
        for visit in other.visits {
            match self.visits.iter_mut().find(|known| known.is_of_the_same(&visit)) {
                Some(known) => known.take_up(&visit),
                None => self.visits.push(visit),
            }
        }
        for refused in other.refused {
            match self.refused.iter_mut().find(|known| known.is_alike(&refused)) {
                Some(known) => known.take_up(&refused),
                None => self.refused.push(refused),
            }
        }
        self.visits.sort_by_key(|visit| std::cmp::Reverse((visit.n_open > 0, visit.last)));
        self.refused.sort_by_key(|refused| std::cmp::Reverse(refused.last));
        self.sockets = self.sockets.saturating_add(other.sockets);
        self.n_silent = self.n_silent.saturating_add(other.n_silent);
    }
}

impl Visit {
    fn is_of_the_same(&self, other: &Self) -> bool {
        let key = |it: &Self| (it.user_uuid, it.guest_uuid, it.port);
        key(self) == key(other) && self.address == other.address
    }

    fn take_up(&mut self, other: &Self) {
        self.since = self.since.min(other.since);
        self.last = self.last.max(other.last);
        self.n_requests = self.n_requests.saturating_add(other.n_requests);
        self.n_open = self.n_open.saturating_add(other.n_open);
    }
}

impl Refused {
    fn is_alike(&self, other: &Self) -> bool {
        self.port == other.port && self.address == other.address && self.why == other.why
    }

    fn take_up(&mut self, other: &Self) {
        self.last = self.last.max(other.last);
        self.n = self.n.saturating_add(other.n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u8) -> Timestamp {
        format!("2026-11-29T02:00:{second:02}Z").parse().unwrap()
    }

    fn visit(address: &str, from: u8, to: u8, n_open: u64) -> Visit {
        Visit {
            user_uuid: None,
            guest_uuid: None,
            port: 8080,
            address: address.to_owned(),
            since: at(from),
            last: at(to),
            n_requests: 3,
            n_open,
        }
    }

    fn refused(why: &str, last: u8) -> Refused {
        let (address, why) = ("192.0.2.1".to_owned(), why.to_owned());
        Refused { port: 8080, address, why, last: at(last), n: 2 }
    }

    #[test]
    fn the_same_caller_at_two_controllers_is_one_visitor() {
        let mut seen = Visitors {
            visits: vec![visit("192.0.2.1", 5, 9, 0)],
            refused: vec![refused("not signed in", 3)],
            sockets: 1,
            n_silent: 0,
        };
        seen.take_up(Visitors {
            visits: vec![visit("192.0.2.2", 1, 2, 1), visit("192.0.2.1", 4, 6, 2)],
            refused: vec![refused("not signed in", 8), refused("not allowed", 9)],
            sockets: 2,
            n_silent: 1,
        });
        let n_requests = |mut visit: Visit, n| {
            visit.n_requests = n;
            visit
        };
        let expected = [n_requests(visit("192.0.2.1", 4, 9, 2), 6), visit("192.0.2.2", 1, 2, 1)];
        assert_eq!(seen.visits, expected);
        let told: Vec<(&str, u64)> = seen.refused.iter().map(|it| (&*it.why, it.n)).collect();
        assert_eq!(told, [("not allowed", 2), ("not signed in", 4)]);
        assert_eq!((seen.sockets, seen.n_silent), (3, 1));
    }
}
