//! What the proxy is told at start: where service hosts live, the session key, and every limit by name.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use model::{ClusterId, ServiceDomain};

/// The key under which session cookies are sealed: 32 random bytes, kept in the data folder.
#[derive(Clone)]
pub struct SessionKey(pub(crate) [u8; 32]);

impl SessionKey {
    /// A key of 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

/// Everything that can be set. Make one with [`ProxyConfig::new`] and change the fields that differ.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// Tokens of this cluster are ours: an `Authorization` header with one never reaches an app.
    pub cluster: ClusterId,
    /// Where service hosts live: one wildcard, or one host with [`ProxyConfig::external_ports`].
    pub service_domain: ServiceDomain,
    /// The ports that are service hosts where there is no wildcard name. Default: none.
    pub external_ports: Option<RangeInclusive<u16>>,
    /// Seals session cookies.
    pub session_key: SessionKey,
    /// Where people sign in, read logs and run things again; ends with `/`.
    pub dashboard_url: String,
    /// Whether ports that are not in `published_ports` can be reached, as private ones. Default: yes, as in Arvados.
    pub allow_unpublished_ports: bool,
    /// Front proxies whose `X-Forwarded-For` and `-Proto` are believed, by the socket's address. Default: none.
    pub front_proxies: Vec<IpAddr>,
    /// Origins whose pages may use private ports with a bearer, as browsers write them. Default: none.
    pub cors_origins: Vec<String>,
    /// How long browsers are told to use https alone for a service host that they met over https, where service hosts
    /// have names of their own and https addresses; zero says nothing. Default: a year, as is usual.
    pub hsts_max_age: Duration,
    /// Longest life of a session cookie, where its token lives longer. Default: 7 days, a working week and its rest.
    pub session_lifetime_max: Duration,
    /// Ports that are counted apart from each other; those beyond are counted together. Default: 2000.
    pub ports_counted_max: usize,
    /// How long a new connection to an app may take. Default: 10 s; in the same machine it takes microseconds.
    pub connect_timeout: Duration,
    /// How long an app may take to begin its answer. Default: no limit, because of long polls.
    pub first_byte_timeout: Option<Duration>,
    /// What `Retry-After` says while a service starts; whole seconds are sent. Default: 2 s.
    pub retry_after: Duration,
    /// How long a connection to an app is kept without use. Default: 30 s, below most servers' own minute.
    pub pool_idle_timeout: Duration,
    /// Idle connections kept for one caller of one port. Default: 1024, as many as a load test
    /// of a thousand connections uses at once; with fewer, each request of the others costs a new socket.
    pub pool_idle_max_per_key: usize,
    /// Idle connections kept in all. Default: 4096, well below the usual limit of open files.
    pub pool_idle_max: usize,
    /// Decisions of the gate that are kept; each takes about 1 KiB. Default: 100,000, twice the services of a large site.
    pub grants_max: usize,
    /// How long kept decisions count while it is unknown whether records change. Default: 3 s; past that, every request
    /// asks the records.
    pub grant_age_max: Duration,
    /// gRPC calls that one caller may have open to one port. Default: 1000; who needs more forgets to end them.
    pub http2_streams_max_per_key: usize,
    /// What services, users and addresses may ask for.
    pub limits: ProxyLimits,
}

/// What one service, user or address may ask for, and for how long it may keep others waiting. The reasons for the
/// defaults stand in the config, where each has a key.
#[derive(Debug, Clone)]
pub struct ProxyLimits {
    /// Requests a second to one service (a container, with all its ports); 0 is no limit, as below.
    pub service_requests_per_second: u32,
    /// Requests a second of one user, to all services.
    pub user_requests_per_second: u32,
    /// Requests a second from one address, whatever becomes of them.
    pub address_requests_per_second: u32,
    /// What may come at once of these three.
    pub request_burst: Duration,
    /// Requests, sockets and streams open to one service.
    pub service_open_max: u32,
    /// The same of one user.
    pub user_open_max: u32,
    /// The same from one address.
    pub address_open_max: u32,
    /// Credentials that open nothing, and hosts that are none, from one address in a second.
    pub misses_per_second: u32,
    /// How long a refusal over a limit is held back.
    pub refusal_delay: Duration,
    /// How long a client may take nothing that is to be sent to it, or send nothing of a body that it began.
    pub stall_timeout: Duration,
    /// How long the head of an app's answer may take, from its first byte.
    pub head_timeout: Duration,
    /// Frames of HTTP/2 a second from an app that are neither answers nor data.
    pub control_frames_per_second: u32,
    /// Access lines a second of refused requests, for each reason.
    pub refusal_lines_per_second: u32,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        Self {
            service_requests_per_second: 2000,
            user_requests_per_second: 2000,
            address_requests_per_second: 2000,
            request_burst: Duration::from_millis(100),
            service_open_max: 32_768,
            user_open_max: 32_768,
            address_open_max: 32_768,
            misses_per_second: 20,
            refusal_delay: Duration::from_secs(1),
            stall_timeout: Duration::from_secs(120),
            head_timeout: Duration::from_secs(30),
            control_frames_per_second: 1000,
            refusal_lines_per_second: 5,
        }
    }
}

impl ProxyConfig {
    /// A configuration with the defaults.
    pub fn new(
        cluster: ClusterId,
        service_domain: ServiceDomain,
        session_key: SessionKey,
        dashboard_url: String,
    ) -> Self {
        Self {
            cluster,
            service_domain,
            external_ports: None,
            session_key,
            dashboard_url,
            allow_unpublished_ports: true,
            front_proxies: Vec::new(),
            cors_origins: Vec::new(),
            hsts_max_age: Duration::from_secs(365 * 24 * 3600),
            session_lifetime_max: Duration::from_secs(7 * 24 * 3600),
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: None,
            retry_after: Duration::from_secs(2),
            ports_counted_max: 2000,
            pool_idle_timeout: Duration::from_secs(30),
            pool_idle_max_per_key: 1024,
            pool_idle_max: 4096,
            grants_max: 100_000,
            grant_age_max: Duration::from_secs(3),
            http2_streams_max_per_key: 1000,
            limits: ProxyLimits::default(),
        }
    }
}
