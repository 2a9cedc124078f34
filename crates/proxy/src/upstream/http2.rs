//! HTTP/2 connections to apps, for gRPC calls: shared by the calls of one caller, never between callers.
//!
//! A connection is made when a caller's others have no room, and calls that arrive meanwhile wait for the same one.
//! How many calls a connection takes is for the app to say, within [`STREAMS_PER_CONNECTION`]; how many a caller may
//! have open to one port is bounded, and idle connections end in time.
//! Owner of mutable state: [`Http2Pool`], one short lock, never held across an await.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::oneshot;

use super::metered::MeteredIo;
use super::{PoolKey, Task, reaper};
use crate::config::ProxyConfig;
use crate::dial::{Dial, DialError};
use crate::request_body::call::{CallBody, Gate};

/// Calls that one connection carries at most; the RFC's advice for the least that an app should allow (9113 §6.5.2).
const STREAMS_PER_CONNECTION: usize = 100;
/// What one call's answer may be ahead of its reader: a full pipe at 1 ms, a quarter of a large message.
const STREAM_WINDOW_BYTES: u32 = 512 * 1024;
/// So large that calls whose readers stall, all but one, cannot take the window from the last.
const CONNECTION_WINDOW_BYTES: u32 = STREAM_WINDOW_BYTES * 100;
/// Metadata of one answer; gRPC libraries stop at 8 to 16 KiB by themselves.
const HEADER_BYTES_MAX: u32 = 64 * 1024;

/// Why a call gets no connection.
#[derive(Debug)]
pub(crate) enum NoLease {
    /// The app could not be dialled.
    Dial(DialError),
    /// The caller has as many calls open to this port as one may have, or there are as many connections as may be.
    Full,
}

/// One HTTP/2 connection to an app; it ends with its last handle, once its calls are over.
#[derive(Debug)]
struct Connection {
    sender: http2::SendRequest<CallBody>,
    /// What the app allows, as far as it has said so.
    streams_max: Arc<AtomicUsize>,
    streams: Mutex<Streams>,
    _driver: Task,
}

#[derive(Debug)]
struct Streams {
    n_open: usize,
    last_used: Instant,
}

impl Connection {
    /// Speaks HTTP/2 with prior knowledge over a stream. Whether the app does too shows with the first call.
    async fn over(io: MeteredIo) -> Result<Self, hyper::Error> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEADER_BYTES_MAX);
        let (sender, connection) = builder.handshake(TokioIo::new(io)).await?;
        let streams_max = Arc::new(AtomicUsize::new(STREAMS_PER_CONNECTION));
        let told = Arc::clone(&streams_max);
        let driver = tokio::spawn(async move {
            let mut connection = pin!(connection);
            let driven = poll_fn(|cx| {
                let polled = connection.as_mut().poll(cx);
                told.store(connection.current_max_send_streams(), Ordering::Relaxed);
                polled
            });
            if let Err(error) = driven.await {
                tracing::debug!(error = %error, "HTTP/2 connection to the app ended early");
            }
        });
        let streams = Mutex::new(Streams { n_open: 0, last_used: Instant::now() });
        Ok(Self { sender, streams_max, streams, _driver: Task(driver) })
    }

    /// A place for one call, where there is room.
    fn lease(self: &Arc<Self>) -> Option<StreamLease> {
        let room = STREAMS_PER_CONNECTION.min(self.streams_max.load(Ordering::Relaxed));
        let mut streams = self.streams();
        if streams.n_open >= room {
            return None;
        }
        streams.n_open += 1;
        Some(StreamLease { connection: Arc::clone(self), over: Gate::default() })
    }

    fn is_idle_since(&self, age: Duration) -> bool {
        let streams = self.streams();
        streams.n_open == 0 && streams.last_used.elapsed() >= age
    }

    /// A poisoned lock is taken as is: two numbers cannot be half changed.
    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for one call on a connection, kept until its answer has ended. Then its request ends too.
#[derive(Debug)]
pub(crate) struct StreamLease {
    connection: Arc<Connection>,
    over: Gate,
}

impl StreamLease {
    /// Sends a call; one that was not begun comes back in the error.
    pub(crate) fn send(
        &self,
        mut request: Request<CallBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<CallBody>>>> + use<>
    {
        if let CallBody::Client { over, .. } = request.body_mut() {
            *over = self.over.clone();
        }
        self.connection.sender.clone().try_send_request(request)
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        self.over.open();
        let mut streams = self.connection.streams();
        streams.n_open -= 1;
        streams.last_used = Instant::now();
    }
}

/// A connection in the making, for all who wait for it.
type Connecting = Shared<BoxFuture<'static, Result<Arc<Connection>, DialError>>>;

/// What a caller has to one port.
#[derive(Debug, Default)]
struct Lines {
    open: Vec<Arc<Connection>>,
    connecting: Option<Connecting>,
}

impl Lines {
    /// The first with room, so that the later ones fall idle and end.
    fn lease(&mut self) -> Option<StreamLease> {
        self.open.retain(|connection| !connection.sender.is_closed());
        self.open.iter().find_map(Connection::lease)
    }

    fn n_streams(&self) -> usize {
        self.open.iter().map(|connection| connection.streams().n_open).sum()
    }
}

/// Open connections.
pub(crate) struct Http2Pool {
    dial: Arc<dyn Dial>,
    lines: Mutex<AllLines>,
    connect_timeout: Duration,
    idle_timeout: Duration,
    n_streams_max: usize,
    n_connections_per_key_max: usize,
    n_connections_max: usize,
    control_frames_per_second: u32,
}

/// Where a call finds its place.
enum Place {
    Now(StreamLease),
    Soon(Connecting),
}

#[derive(Debug, Default)]
struct AllLines {
    by_key: HashMap<PoolKey, Lines>,
    reaper: Option<Task>,
}

impl AllLines {
    fn close_idle(&mut self, age: Duration) {
        self.by_key.retain(|_key, lines| {
            lines.open.retain(|connection| {
                !connection.sender.is_closed() && !connection.is_idle_since(age)
            });
            !lines.open.is_empty() || lines.connecting.is_some()
        });
    }

    /// Those in the making count too.
    fn n_connections(&self) -> usize {
        let each = self.by_key.values();
        each.map(|lines| lines.open.len() + usize::from(lines.connecting.is_some())).sum()
    }
}

impl Http2Pool {
    pub(crate) fn new(config: &ProxyConfig, dial: Arc<dyn Dial>) -> Arc<Self> {
        Arc::new(Self {
            dial,
            lines: Mutex::default(),
            connect_timeout: config.connect_timeout,
            idle_timeout: config.pool_idle_timeout,
            n_streams_max: config.http2_streams_max_per_key,
            n_connections_per_key_max: config.pool_idle_max_per_key,
            n_connections_max: config.pool_idle_max,
            control_frames_per_second: config.limits.control_frames_per_second,
        })
    }

    /// A place for one call, on a connection that is open or on a new one.
    pub(crate) async fn lease(self: &Arc<Self>, key: &PoolKey) -> Result<StreamLease, NoLease> {
        loop {
            let connecting = match self.place(key)? {
                Place::Now(lease) => return Ok(lease),
                Place::Soon(connecting) => connecting,
            };
            let connection = connecting.await.map_err(NoLease::Dial)?;
            // Asked before the pool is: where the app has closed it again, the wait ends with that error.
            if let Some(lease) = connection.lease() {
                return Ok(lease);
            }
        }
    }

    fn place(self: &Arc<Self>, key: &PoolKey) -> Result<Place, NoLease> {
        let mut all = self.lock();
        let lines = all.by_key.entry(*key).or_default();
        if lines.n_streams() >= self.n_streams_max {
            return Err(NoLease::Full);
        }
        if let Some(lease) = lines.lease() {
            return Ok(Place::Now(lease));
        }
        if let Some(connecting) = &lines.connecting {
            return Ok(Place::Soon(connecting.clone()));
        }
        if lines.open.len() >= self.n_connections_per_key_max || !self.makes_room(&mut all) {
            return Err(NoLease::Full);
        }
        let connecting = self.connect(*key);
        all.by_key.entry(*key).or_default().connecting = Some(connecting.clone());
        reaper::ensure(&mut all.reaper, self, self.idle_timeout, Self::prune);
        Ok(Place::Soon(connecting))
    }

    /// Whether one more connection may be made; idle ones give way.
    fn makes_room(&self, all: &mut AllLines) -> bool {
        if all.n_connections() >= self.n_connections_max {
            all.close_idle(Duration::ZERO);
        }
        all.n_connections() < self.n_connections_max
    }

    /// Connects in a task of its own: a call that gives up waiting takes the connection from no other.
    fn connect(self: &Arc<Self>, key: PoolKey) -> Connecting {
        let (done, made) = oneshot::channel();
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let dialled = tokio::time::timeout(pool.connect_timeout, pool.dialled(&key)).await;
            let made = dialled.unwrap_or(Err(DialError::Timeout)).map(Arc::new);
            let mut all = pool.lock();
            let lines = all.by_key.entry(key).or_default();
            lines.connecting = None;
            lines.open.extend(made.iter().cloned());
            drop(all);
            // Nobody waits any more: the connection is there for the next call.
            let _nobody = done.send(made);
        });
        let lost = || DialError::Other("the connection was given up".to_owned());
        made.map(move |made| made.unwrap_or_else(|_dropped| Err(lost()))).boxed().shared()
    }

    async fn dialled(&self, key: &PoolKey) -> Result<Connection, DialError> {
        let io = self.dial.dial(&key.container, key.port).await?;
        let io = MeteredIo::new(io, self.control_frames_per_second);
        Connection::over(io).await.map_err(|error| DialError::Other(error.to_string()))
    }

    /// Closes what has been idle for too long; returns whether anything is left.
    fn prune(&self) -> bool {
        let mut all = self.lock();
        all.close_idle(self.idle_timeout);
        !all.by_key.is_empty()
    }

    /// A poisoned lock is taken as is: no step above can leave the map half changed.
    fn lock(&self) -> MutexGuard<'_, AllLines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
