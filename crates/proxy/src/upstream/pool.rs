//! Idle connections to apps, bounded in all and per key, ended in time.
//!
//! Owner of mutable state: [`Pool`], one short lock, never held across an await.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::http1::Connection;
use super::{PoolKey, Task, reaper};
use crate::config::ProxyConfig;

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
    /// By a quick hash: there are no more keys than connections are kept.
    by_key: HashMap<PoolKey, Vec<Waiting>, RandomState>,
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
    pub(crate) fn take(&self, key: &PoolKey, age_max: Duration) -> Option<Connection> {
        let mut idle = self.lock();
        let waiting = idle.by_key.get_mut(key)?;
        let (mut found, mut n_taken) = (None, 0);
        while let Some(mut last) = waiting.pop() {
            n_taken += 1;
            if last.since.elapsed() >= age_max {
                // Those before it are older still; whoever trusts them takes them.
                n_taken -= 1;
                waiting.push(last);
                break;
            }
            if last.connection.is_usable() {
                found = Some(last.connection);
                break;
            }
        }
        idle.n -= n_taken;
        found
    }

    /// Keeps a connection for the next request of its key, if there is room.
    pub(crate) fn put(pool: &Arc<Self>, key: PoolKey, connection: Connection) {
        let mut idle = pool.lock();
        let kept = reaper::ensure(&mut idle.reaper, pool, pool.idle_timeout, Self::prune);
        if idle.n >= pool.n_max || !kept {
            return;
        }
        let waiting = idle.by_key.entry(key).or_default();
        if waiting.len() < pool.n_per_key_max {
            waiting.push(Waiting { connection, since: Instant::now() });
            idle.n += 1;
        }
    }

    /// Closes what has been idle for too long or was closed by the app; returns whether anything is left.
    fn prune(&self) -> bool {
        let mut idle = self.lock();
        idle.by_key.retain(|_key, waiting| {
            waiting.retain_mut(|one| {
                one.since.elapsed() < self.idle_timeout && one.connection.is_usable()
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
