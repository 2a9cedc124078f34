//! Who uses services, as this process and the other controllers saw it.

use crate::peers::Peers;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::visitors::{Refused, Visit, Visitors};
use model::{ContainerUuid, Timestamp};
use proxy::{Proxy, Who};
use std::sync::Arc;

/// All of them, as the API asks.
pub(crate) struct SeenVisitors {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) peers: Peers,
}

impl api::Visitors for SeenVisitors {
    fn of(&self, container: ContainerUuid) -> BoxFuture<'_, Visitors> {
        async move {
            let mut seen = seen_here(&self.proxy, container);
            for told in self.peers.ask(container).await {
                seen.take_up(told);
            }
            seen
        }
        .boxed()
    }
}

/// What this process has seen of a container.
pub(crate) fn seen_here(proxy: &Proxy, container: ContainerUuid) -> Visitors {
    let seen = proxy.seen(container);
    Visitors {
        visits: seen.visits.iter().map(visit).collect(),
        refused: seen.refused.iter().map(refused).collect(),
        sockets: proxy.uses().n_sockets(container).into(),
        n_silent: 0,
    }
}

fn visit(visit: &proxy::Visit) -> Visit {
    let (user_uuid, guest_uuid) = match visit.who {
        Who::Anyone => (None, None),
        Who::User(user) => (Some(user), None),
        Who::Guest(session) => (None, Some(session)),
    };
    Visit {
        user_uuid,
        guest_uuid,
        port: visit.port,
        address: visit.address.to_string(),
        since: time(visit.since_s),
        last: time(visit.last_s),
        n_requests: visit.n_requests,
        n_open: visit.n_open.into(),
    }
}

fn refused(refused: &proxy::Refused) -> Refused {
    Refused {
        port: refused.port,
        address: refused.address.to_string(),
        why: refused.why.to_owned(),
        last: time(refused.last_s),
        n: refused.n,
    }
}

/// Our own clock said it, so it is a time.
fn time(seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or_default();
    Timestamp::from_jiff(jiff::Timestamp::from_second(seconds).unwrap_or_default())
}
