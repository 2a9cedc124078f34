//! Places for connections: how many there are, how many of them are one address's, how many have said nothing yet.

use super::refusal_lines::{RefusedLines, TooMany};
use limits::{AddressKey, Bucket, Count, Forget, Rate, Shares, Table, Tick};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Addresses that are kept apart; each takes some 100 bytes.
const ADDRESSES_MAX: usize = 100_000;
/// What may come at once of new connections: all of an office's come back after a break.
const BURST: Duration = Duration::from_secs(10);

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlaceLimits {
    pub(crate) n_max: u32,
    pub(crate) n_per_address_max: u32,
    pub(crate) n_handshakes_max: u32,
    /// New ones of an address; 0 is no limit.
    pub(crate) n_per_second: u32,
}

/// What one address has.
#[derive(Debug, Default)]
struct Address {
    open: Count,
    handshakes: Count,
    begun: Bucket,
}

impl Forget for Address {
    fn is_idle(&self, now: Tick) -> bool {
        self.open.get() == 0 && self.begun.is_full(now)
    }
}

/// All places of the edge.
#[derive(Debug)]
pub(super) struct Places {
    addresses: Table<AddressKey, Address>,
    open: Shares,
    handshakes: Shares,
    rate: Rate,
}

impl Places {
    pub(super) fn new(limits: PlaceLimits) -> Self {
        Self {
            addresses: Table::new(ADDRESSES_MAX),
            open: Shares::new(limits.n_max, limits.n_per_address_max),
            handshakes: Shares::new(limits.n_handshakes_max, u32::MAX),
            rate: Rate::per_second(limits.n_per_second, BURST),
        }
    }

    /// A place for a connection that has just been accepted, which counts as a handshake until it is
    /// [`settled`](Place::settle). `is_front`: it stands for many clients.
    pub(super) fn take(self: &Arc<Self>, ip: IpAddr, is_front: bool) -> Result<Place, TooMany> {
        let now = Tick::now();
        let address = self.addresses.get(ip.into(), now);
        let fits = |shares: &Shares, own| {
            if is_front { shares.take_any(own) } else { shares.take(own) }
        };
        if !is_front && address.begun.take(self.rate, now).is_err() {
            return Err(TooMany::NewConnections);
        }
        if !fits(&self.handshakes, &address.handshakes) {
            return Err(TooMany::Handshakes);
        }
        if !fits(&self.open, &address.open) {
            self.handshakes.give_back(&address.handshakes);
            return Err(TooMany::Connections);
        }
        Ok(Place { places: Arc::clone(self), address, is_settled: false })
    }
}

/// A connection's place, given back when it closes.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: Arc<Address>,
    is_settled: bool,
}

impl Place {
    /// Its handshake is over.
    pub(super) fn settle(&mut self) {
        if !std::mem::replace(&mut self.is_settled, true) {
            self.places.handshakes.give_back(&self.address.handshakes);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.settle();
        self.places.open.give_back(&self.address.open);
    }
}

/// Says that a connection was refused, not too often.
pub(super) fn tell(lines: &RefusedLines, refused: TooMany, ip: IpAddr) {
    if lines.may_write(refused, Tick::now()) {
        tracing::warn!({ client.address = %ip }, "connection refused: {} ({})", refused.words(), refused.key());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(n_max: u32, n_handshakes_max: u32, n_per_second: u32) -> Arc<Places> {
        let n_per_address_max = u32::MAX;
        let limits = PlaceLimits { n_max, n_per_address_max, n_handshakes_max, n_per_second };
        Arc::new(Places::new(limits))
    }

    fn ip(n: u8) -> IpAddr {
        [10, 0, 0, n].into()
    }

    fn take_all(places: &Arc<Places>, n: u8) -> (Vec<Place>, TooMany) {
        let mut taken = Vec::new();
        loop {
            match places.take(ip(n), false) {
                Ok(mut place) => {
                    place.settle();
                    taken.push(place);
                }
                Err(refused) => return (taken, refused),
            }
        }
    }

    #[test]
    fn t41_one_address_gets_half_of_all_connections_and_others_the_rest() {
        let places = places(100, 100, 0);
        let (greedy, refused) = take_all(&places, 1);
        assert_eq!((greedy.len(), refused), (50, TooMany::Connections));
        assert_eq!(take_all(&places, 2).0.len(), 25);
        drop(greedy);
        assert!(places.take(ip(1), false).is_ok(), "what was given back can be had again");
    }

    #[test]
    fn t41_connections_that_say_nothing_leave_places_for_others() {
        let places = places(1000, 10, 0);
        let silent: Vec<_> = (0..5).map(|_| places.take(ip(1), false).unwrap()).collect();
        assert_eq!(places.take(ip(1), false).unwrap_err(), TooMany::Handshakes);
        assert_eq!(take_all(&places, 2).0.len(), 498, "whoever finishes is not held up");
        drop(silent);
        assert!(places.take(ip(1), false).is_ok());
    }

    #[test]
    fn t41_new_connections_come_at_a_rate_but_for_a_proxy_in_front() {
        let places = places(1000, 1000, 10);
        let (taken, refused) = take_all(&places, 1);
        assert_eq!((taken.len(), refused), (100, TooMany::NewConnections));
        assert!((0..100).all(|_| places.take(ip(1), true).is_ok()));
    }
}
