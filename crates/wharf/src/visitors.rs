//! Tells the API what the proxy has seen of those who use services.

use std::sync::Arc;

use model::{ContainerUuid, Timestamp};
use proxy::{Proxy, Refused, Visit, Who};
use serde_json::{Value, json};

/// The proxy, as the API asks it.
pub(crate) struct SeenVisitors(pub(crate) Arc<Proxy>);

impl api::Visitors for SeenVisitors {
    fn of(&self, container: ContainerUuid) -> Value {
        let seen = self.0.seen(container);
        let visits: Vec<Value> = seen.visits.iter().map(visit).collect();
        let refused: Vec<Value> = seen.refused.iter().map(refused).collect();
        json!({ "visits": visits, "refused": refused })
    }
}

fn visit(visit: &Visit) -> Value {
    let (user, guest) = match visit.who {
        Who::Anyone => (None, None),
        Who::User(user) => (Some(user), None),
        Who::Guest(session) => (None, Some(session)),
    };
    json!({
        "user_uuid": user, "guest_uuid": guest, "port": visit.port, "address": visit.address,
        "since": time(visit.since_s), "last": time(visit.last_s),
        "n_requests": visit.n_requests, "n_open": visit.n_open,
    })
}

fn refused(refused: &Refused) -> Value {
    json!({
        "port": refused.port, "address": refused.address, "why": refused.why,
        "last": time(refused.last_s), "n": refused.n,
    })
}

fn time(seconds: u64) -> Option<Timestamp> {
    let seconds = i64::try_from(seconds).ok()?;
    jiff::Timestamp::from_second(seconds).ok().map(Timestamp::from_jiff)
}
