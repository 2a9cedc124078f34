//! Connections to apps: made on demand, kept while idle, never shared between callers.
//!
//! A pooled connection belongs to one (container, port, caller): what one caller's bytes may have done to an app's
//! parser cannot reach another's (T19). The pool is bounded in all and per key, and idle connections end in time.
//! Owner of mutable state: [`Pool`], one short lock, never held across an await.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use model::{ContainerUuid, UserUuid};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::config::ProxyConfig;
use crate::dial::{Dial, DialError, Io};
use crate::request_body::RequestBody;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub(crate) container: ContainerUuid,
    pub(crate) port: u16,
    pub(crate) owner: Owner,
}

/// One caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    User(UserUuid),
    /// Callers of public ports have no name; an address is the nearest thing.
    Address(IpAddr),
}

/// One HTTP/1.1 connection to an app. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: http1::SendRequest<RequestBody>,
    _driver: Task,
}

/// A task that ends with its owner.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Speaks HTTP/1.1 over a stream. The connection can switch protocols when the app answers 101.
    pub(crate) async fn over(io: Box<dyn Io>) -> Result<Self, hyper::Error> {
        let (sender, connection) = http1::handshake(TokioIo::new(io)).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(error = %error, "connection to the app ended early");
            }
        });
        Ok(Self { sender, _driver: Task(driver) })
    }

    /// Sends a request; a request that was not begun comes back in the error.
    pub(crate) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<>
    {
        self.sender.try_send_request(request)
    }
}

/// A connection on loan; given back once its answer was read to the end, closed otherwise.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) connection: Connection,
    pool: Arc<Pool>,
    key: PoolKey,
}

impl Lease {
    /// Ends the loan: the answer was read to its end.
    pub(crate) fn give_back(self) {
        Pool::put(&self.pool, self.key, self.connection);
    }
}

/// Idle connections.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
    idle_timeout: Duration,
    n_per_key_max: usize,
    n_max: usize,
}

#[derive(Debug, Default)]
struct Idle {
    by_key: HashMap<PoolKey, Vec<Waiting>>,
    n: usize,
    reaper: Option<Task>,
}

#[derive(Debug)]
struct Waiting {
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(config: &ProxyConfig) -> Arc<Self> {
        Arc::new(Self {
            idle: Mutex::default(),
            idle_timeout: config.pool_idle_timeout,
            n_per_key_max: config.pool_idle_max_per_key,
            n_max: config.pool_idle_max,
        })
    }

    /// An idle connection that was used within `age_max`, the last used first.
    pub(crate) fn take(self: &Arc<Self>, key: &PoolKey, age_max: Duration) -> Option<Lease> {
        let mut idle = self.lock();
        let waiting = idle.by_key.get_mut(key)?;
        let mut at = waiting.len();
        let mut found = None;
        let mut n_taken = 0;
        while let Some(index) = at.checked_sub(1) {
            at = index;
            let sender = &waiting[index].connection.sender;
            if sender.is_closed() {
                waiting.swap_remove(index);
                n_taken += 1;
            } else if sender.is_ready() && waiting[index].since.elapsed() < age_max {
                found = Some(waiting.remove(index).connection);
                n_taken += 1;
                break;
            }
        }
        idle.n -= n_taken;
        drop(idle);
        found.map(|connection| self.lend(*key, connection))
    }

    /// Puts a new connection on loan.
    pub(crate) fn lend(self: &Arc<Self>, key: PoolKey, connection: Connection) -> Lease {
        Lease { connection, pool: Arc::clone(self), key }
    }

    fn put(pool: &Arc<Self>, key: PoolKey, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = pool.lock();
        if idle.n >= pool.n_max || !ensure_reaper(&mut idle, pool) {
            return;
        }
        let waiting = idle.by_key.entry(key).or_default();
        if waiting.len() < pool.n_per_key_max {
            waiting.push(Waiting { connection, since: Instant::now() });
            idle.n += 1;
        }
    }

    /// Closes what has been idle for too long; returns whether anything is left.
    fn prune(&self) -> bool {
        let mut idle = self.lock();
        idle.by_key.retain(|_key, waiting| {
            waiting.retain(|one| {
                !one.connection.sender.is_closed() && one.since.elapsed() < self.idle_timeout
            });
            !waiting.is_empty()
        });
        idle.n = idle.by_key.values().map(Vec::len).sum();
        idle.n > 0
    }

    /// A poisoned lock is taken as is: no step above can leave the map half changed.
    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees to it that a task prunes the pool while anything is in it; false outside a runtime.
fn ensure_reaper(idle: &mut Idle, pool: &Arc<Pool>) -> bool {
    if idle.reaper.as_ref().is_some_and(|task| !task.0.is_finished()) {
        return true;
    }
    let Ok(runtime) = Handle::try_current() else { return false };
    let pool: Weak<Pool> = Arc::downgrade(pool);
    idle.reaper = Some(Task(runtime.spawn(async move {
        while let Some(period) = pool.upgrade().map(|pool| pool.idle_timeout / 2) {
            tokio::time::sleep(period.max(Duration::from_millis(10))).await;
            if !pool.upgrade().is_some_and(|pool| pool.prune()) {
                break;
            }
        }
    })));
    true
}

/// Dials a port within the time allowed and speaks HTTP/1.1 on the stream.
pub(crate) async fn connect(
    dial: &dyn Dial,
    key: &PoolKey,
    connect_timeout: Duration,
) -> Result<Connection, DialError> {
    let dialled = tokio::time::timeout(connect_timeout, dial.dial(&key.container, key.port));
    let io = dialled.await.map_err(|_elapsed| DialError::Timeout)??;
    Connection::over(io).await.map_err(|error| DialError::Other(error.to_string()))
}
