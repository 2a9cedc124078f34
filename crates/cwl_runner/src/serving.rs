//! Services that run while steps use them.
//!
//! A [`Hold`] stands for one running service. Whatever may still use it has a reference: values in a workflow's state that a
//! waiting step takes, and steps that run on them. When the last one is dropped, the service is asked to end. Holds go with
//! values by the links of the document ([`Tags`] beside each value), never by what a value looks like.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cwl::service::{OnExit, Service};
use cwl::{Object, Value};
use model::ContainerUuid;
use runtime::Dialer;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// Longest wait for a service that is started again.
const RESTART_MAX: Duration = Duration::from_secs(60);

/// A service that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    /// Ways to its ports, for programs that use it.
    pub(crate) ways: Vec<Way>,
    /// Dropped with this, which is how its runner hears of it.
    _release: oneshot::Sender<()>,
}

/// A way to a port of a service.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// Where programs that use it find it, on their own loopback.
    pub(crate) address: SocketAddrV4,
    /// The port of the service's program.
    pub(crate) port: u16,
    /// Whose port.
    pub(crate) to: Whereabouts,
}

/// Where a service is now: one that is started again is somewhere else then, and nowhere meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Whereabouts(Arc<watch::Sender<Option<Reach>>>);

impl Whereabouts {
    /// Nowhere yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// It is here, or nowhere, from now on.
    pub(crate) fn set(&self, reach: Option<Reach>) {
        self.0.send_replace(reach);
    }

    /// Where it is; waits for one that is being started again. In words, why it is nowhere.
    pub(crate) async fn find(&self) -> Result<Reach, String> {
        let mut now = self.0.subscribe();
        let found = timeout(RESTART_MAX, now.wait_for(Option::is_some)).await;
        let found = found.ok().and_then(Result::ok).and_then(|reach| reach.clone());
        found.ok_or_else(|| "the service that it uses does not run".to_owned())
    }
}

/// How a service is reached.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// By the instance that runs it.
    Container(ContainerUuid),
    /// By this process, which runs it.
    Here(Dialer),
}

/// What a backend says of a service that is ready.
#[derive(Debug)]
pub(crate) struct Ready {
    /// Addresses for people, by port, as far as there are some.
    pub(crate) outside: Vec<(u16, String)>,
}

/// What a backend needs to run a service.
pub(crate) struct Serving<'r> {
    /// How it serves.
    pub(crate) service: Service,
    /// Told by the backend, before it says that it is ready and whenever it was started again.
    pub(crate) place: Whereabouts,
    /// To be called once it is ready.
    pub(crate) ready: Option<Box<dyn FnOnce(Ready) + 'r>>,
    /// Closed when nobody uses it any more.
    pub(crate) released: oneshot::Receiver<()>,
    /// Starts so far, after the first one.
    pub(crate) restarts: u32,
}

impl Serving<'_> {
    /// Whether it was ready once.
    pub(crate) fn was_ready(&self) -> bool {
        self.ready.is_none()
    }

    /// Where it is from now on; the first time it is what others wait for.
    pub(crate) fn is_ready_at(&mut self, reach: Reach, outside: Vec<(u16, String)>) {
        self.place.set(Some(reach));
        if let Some(ready) = self.ready.take() {
            ready(Ready { outside });
        }
    }

    /// Whether it is to be started again after it ended by itself; counts that.
    pub(crate) fn starts_again(&mut self) -> bool {
        let OnExit::Restart(max) = self.service.on_exit else { return false };
        if !self.was_ready() || self.restarts >= max {
            return false;
        }
        self.restarts += 1;
        self.place.set(None);
        true
    }
}

impl std::fmt::Debug for Serving<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Hold {
    pub(crate) fn new(ways: Vec<Way>, release: oneshot::Sender<()>) -> Rc<Self> {
        Rc::new(Self { ways, _release: release })
    }
}

/// Services that a value leads to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tags {
    /// Of the whole value.
    pub(crate) whole: Vec<Rc<Hold>>,
    /// Of each item, where the value is a list that a scatter made.
    pub(crate) items: Vec<Tags>,
}

impl Tags {
    pub(crate) fn of(holds: Vec<Rc<Hold>>) -> Self {
        Self { whole: holds, items: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.items.iter().all(Self::is_empty)
    }

    /// All of them, each once.
    pub(crate) fn all(&self) -> Vec<Rc<Hold>> {
        let mut all = self.whole.clone();
        for item in &self.items {
            add(&mut all, item.all());
        }
        all
    }

    /// Those of one item of the value.
    pub(crate) fn item(&self, n: usize) -> Self {
        let mut whole = self.whole.clone();
        match self.items.get(n) {
            Some(item) => add(&mut whole, item.all()),
            None => add(&mut whole, self.all()),
        }
        Self::of(whole)
    }

    /// As of a value that was made of several.
    pub(crate) fn merged<'t>(tags: impl IntoIterator<Item = &'t Self>) -> Self {
        let mut whole = Vec::new();
        for tag in tags {
            add(&mut whole, tag.all());
        }
        Self::of(whole)
    }
}

fn add(all: &mut Vec<Rc<Hold>>, more: Vec<Rc<Hold>>) {
    for hold in more {
        if !all.iter().any(|known| Rc::ptr_eq(known, &hold)) {
            all.push(hold);
        }
    }
}

/// Services of each value of an object, by its key.
pub(crate) type TagsByName = HashMap<String, Tags>;

/// An object, and the services that its values lead to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tagged {
    pub(crate) values: Object,
    pub(crate) tags: TagsByName,
    /// Services that live as long as the workflow that they stand in.
    pub(crate) kept: Vec<Rc<Hold>>,
}

impl Tagged {
    pub(crate) fn plain(values: Object) -> Self {
        Self { values, ..Self::default() }
    }

    /// One value and its services, taken out.
    pub(crate) fn take(&mut self, name: &str) -> Option<(Value, Tags)> {
        let value = self.values.swap_remove(name)?;
        Some((value, self.tags.remove(name).unwrap_or_default()))
    }
}

/// Receives outputs that are there before a step ends.
pub(crate) type Early<'e> = dyn Fn(Tagged) + 'e;
