//! Every number a tunnel goes by, with its reason.

use std::time::Duration;

/// Which end of the tunnel this is. The supervisor dials, the controller accepts; each opens
/// streams with ids of its own parity, so that both can open at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Opens odd ids; accepts what supervisors open (their control stream).
    Controller,
    /// Opens even ids; accepts app, log and control streams.
    Supervisor,
}

impl Role {
    /// The first id this end opens.
    pub(crate) fn first_id(self) -> u32 {
        match self {
            Self::Controller => 1,
            Self::Supervisor => 2,
        }
    }
}

/// Largest DATA payload an end may send; larger is a violation.
pub const FRAME_BYTES_MAX: u32 = 128 * 1024;

/// Largest DATA payload we do send: small enough that another stream's frame never waits long
/// behind one, large enough that headers cost nothing.
pub const FRAME_BYTES_SENT: usize = 64 * 1024;

/// Largest OPEN payload; today's longest is 11 bytes.
pub const OPEN_BYTES_MAX: u32 = 1024;

/// Credit each direction of a stream starts with, a constant of the protocol.
pub const WINDOW_BYTES_START: u32 = 256 * 1024;

/// Largest credit a stream may ever hold; more is a violation.
pub const WINDOW_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// Limits of one end. The defaults are what the roles use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Streams this end may have open at a time; `open` beyond that fails with `TooMany`.
    pub outgoing_streams_max: usize,
    /// Streams the peer may have open here; beyond that they are refused as `Busy`.
    pub incoming_streams_max: usize,
    /// Peer's opens that wait for `Incoming::next`; beyond that they are refused as `Busy`.
    pub accept_backlog: usize,
    /// Unsent bulk bytes in the shared out-buffer; writers beyond that wait their turn.
    pub out_buffer_bytes: usize,
    /// Unsent small frames and answers. A peer that provokes more without reading is cut off.
    pub answer_bytes_max: usize,
    /// How far a stream's receive window may grow, at most [`WINDOW_BYTES_MAX`].
    pub window_bytes_max: u32,
    /// Sum over all streams of what their windows have grown beyond the start: the memory that a
    /// fast sender before slow readers can take beside the starting windows.
    pub window_growth_bytes_max: u64,
    /// Bytes read from the connection before other tasks get a turn.
    pub read_budget_bytes: usize,
    /// A ping is sent when nothing came in for this long.
    pub ping_interval: Duration,
    /// The tunnel ends when nothing came in for this long after a ping.
    pub ping_deadline: Duration,
    /// How long `Tunnel::is_answering` waits for a sign of life.
    pub life_deadline: Duration,
    /// `open` gives up when the peer has not answered by then. Longer than a supervisor tries to
    /// connect to an app.
    pub open_deadline: Duration,
    /// How long the last frames may take to leave when the tunnel is closed.
    pub close_deadline: Duration,
}

impl Limits {
    /// The limits of a controller. A supervisor is as trusted as its node, so it may open little.
    #[must_use]
    pub fn controller() -> Self {
        Self { incoming_streams_max: 16, accept_backlog: 16, ..Self::supervisor() }
    }

    /// The limits of a supervisor: room for tens of thousands of open WebSockets.
    #[must_use]
    pub fn supervisor() -> Self {
        Self {
            outgoing_streams_max: 65_536,
            incoming_streams_max: 65_536,
            accept_backlog: 1024,
            out_buffer_bytes: 256 * 1024,
            answer_bytes_max: 2 * 1024 * 1024,
            window_bytes_max: 4 * 1024 * 1024,
            window_growth_bytes_max: 64 * 1024 * 1024,
            read_budget_bytes: 512 * 1024,
            ping_interval: Duration::from_secs(15),
            ping_deadline: Duration::from_secs(10),
            life_deadline: Duration::from_secs(2),
            open_deadline: Duration::from_secs(30),
            close_deadline: Duration::from_secs(1),
        }
    }

    /// The defaults for a role.
    #[must_use]
    pub fn for_role(role: Role) -> Self {
        match role {
            Role::Controller => Self::controller(),
            Role::Supervisor => Self::supervisor(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::supervisor()
    }
}
