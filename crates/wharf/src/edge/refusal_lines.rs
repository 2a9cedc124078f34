//! Log lines about what was refused before any room saw it: so many a second for each reason.

use limits::{Lines, Rate, Tick};
use std::time::Duration;

/// What may come at once of one reason.
const BURST: Duration = Duration::from_secs(10);
/// Counts of what has no line of its own are told this often.
const LEFT_OUT_PERIOD: Duration = Duration::from_secs(10);

/// What there is too much of, so that a connection or a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooMany {
    NewConnections,
    Handshakes,
    Connections,
    Calls,
    OpenCalls,
    Misses,
}

const ALL: [TooMany; 6] = [
    TooMany::NewConnections,
    TooMany::Handshakes,
    TooMany::Connections,
    TooMany::Calls,
    TooMany::OpenCalls,
    TooMany::Misses,
];

impl TooMany {
    /// The limit's key in the config.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::NewConnections => "Proxy.ConnectionsPerSecond",
            Self::Handshakes => "Proxy.MaxHandshakes",
            Self::Connections => "Proxy.MaxConnections, Proxy.MaxConnectionsPerAddress",
            Self::Calls => "API.RequestsPerSecond",
            Self::OpenCalls => "API.MaxOpenRequests",
            Self::Misses => "API.MissesPerSecond",
        }
    }

    /// What there is too much of.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::NewConnections => "your address opens more connections than is allowed",
            Self::Handshakes => "your address has too many unfinished handshakes",
            Self::Connections => "your address has more connections than are free for it",
            Self::Calls => "your address sends more requests than is allowed",
            Self::OpenCalls => "your address has more requests open than are free for it",
            Self::Misses => "your address tries more wrong credentials than is allowed",
        }
    }
}

/// How many lines there may be of each.
#[derive(Debug)]
pub(super) struct RefusedLines(Lines<{ ALL.len() }>);

impl RefusedLines {
    pub(super) fn new(per_second: u32) -> Self {
        Self(Lines::new(Rate::per_second(per_second, BURST)))
    }

    /// Whether a line of this reason may be written; one that may not is counted.
    pub(super) fn may_write(&self, reason: TooMany, now: Tick) -> bool {
        self.0.may_write(reason as usize, now)
    }

    /// Tells for ever what was left out.
    pub(super) async fn tell_left_out(&self) {
        loop {
            tokio::time::sleep(LEFT_OUT_PERIOD).await;
            for (reason, n) in self.0.take_left_out() {
                let reason = ALL[reason].words();
                tracing::warn!(reason, n, "refusals without a line (Log.RefusalLinesPerSecond)");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_told_under_its_own_words() {
        for (n, reason) in ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, n);
        }
    }
}
