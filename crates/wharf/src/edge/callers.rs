//! What each address may still ask of the API and the pages.

use super::refusal_lines::TooMany;
use limits::{AddressKey, Bucket, Count, Forget, Rate, Shares, Table, Tick};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Addresses that are kept apart; each takes some 100 bytes.
const ADDRESSES_MAX: usize = 100_000;
/// What may come at once of calls.
const BURST: Duration = Duration::from_secs(2);
/// Misses are rare and come in waves.
const MISS_BURST: Duration = Duration::from_secs(10);

/// How much may be asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallLimits {
    /// Calls open at once, of all addresses; none gets more than are still free.
    pub(crate) n_open_max: u32,
    /// Of one address; 0 is no limit, as below.
    pub(crate) n_per_second: u32,
    /// Wrong credentials of one address.
    pub(crate) n_misses_per_second: u32,
    /// How long a refusal over a rate is held back.
    pub(crate) refusal_delay: Duration,
}

/// What one address has asked.
#[derive(Debug, Default)]
pub(super) struct Caller {
    open: Count,
    calls: Bucket,
    misses: Bucket,
}

impl Forget for Caller {
    fn is_idle(&self, now: Tick) -> bool {
        self.open.get() == 0 && self.calls.is_full(now) && self.misses.is_full(now)
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Callers {
    addresses: Table<AddressKey, Caller>,
    open: Shares,
    call_rate: Rate,
    miss_rate: Rate,
    refusal_delay: Duration,
}

/// A call that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallRefused {
    pub(super) reason: TooMany,
    /// Until one more would fit; zero where nobody knows.
    pub(super) wait: Duration,
}

impl CallRefused {
    /// What to tell the client to wait, in whole seconds; at least one.
    pub(super) fn retry_after_s(self) -> u64 {
        self.wait.as_secs() + 1
    }

    /// One sentence.
    pub(super) fn message(self) -> String {
        format!("{} ({}): try again in a moment", self.reason.words(), self.reason.key())
    }
}

impl Callers {
    pub(super) fn new(limits: CallLimits) -> Self {
        Self {
            addresses: Table::new(ADDRESSES_MAX),
            open: Shares::new(limits.n_open_max, u32::MAX),
            call_rate: Rate::per_second(limits.n_per_second, BURST),
            miss_rate: Rate::per_second(limits.n_misses_per_second, MISS_BURST),
            refusal_delay: limits.refusal_delay,
        }
    }

    /// A call from an address; open until its answer has ended.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Result<OpenCall, CallRefused> {
        let caller = self.addresses.get(ip.into(), Tick::now());
        if !self.open.take(&caller.open) {
            let reason = TooMany::OpenCalls;
            return Err(CallRefused { reason, wait: Duration::ZERO });
        }
        Ok(OpenCall { callers: Arc::clone(self), caller })
    }
}

/// A call's place among the open ones.
#[derive(Debug)]
pub(super) struct OpenCall {
    callers: Arc<Callers>,
    caller: Arc<Caller>,
}

impl OpenCall {
    /// Counts the call. A refusal is held back: at once it would cost us as much as it costs who asks.
    pub(super) async fn count(&self) -> Result<(), CallRefused> {
        let counted = self.caller.calls.take(self.callers.call_rate, Tick::now());
        self.hold_back(counted, TooMany::Calls).await
    }

    /// Counts credentials that are none.
    pub(super) async fn count_miss(&self) -> Result<(), CallRefused> {
        let counted = self.caller.misses.take(self.callers.miss_rate, Tick::now());
        self.hold_back(counted, TooMany::Misses).await
    }

    async fn hold_back(
        &self,
        counted: Result<(), Duration>,
        reason: TooMany,
    ) -> Result<(), CallRefused> {
        let Err(wait) = counted else { return Ok(()) };
        tokio::time::sleep(self.callers.refusal_delay).await;
        Err(CallRefused { reason, wait })
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.callers.open.give_back(&self.caller.open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callers() -> Arc<Callers> {
        Arc::new(Callers::new(CallLimits {
            n_open_max: 10,
            n_per_second: 5,
            n_misses_per_second: 1,
            refusal_delay: Duration::from_secs(1),
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn t47_guesses_of_one_address_come_at_a_rate_and_the_rest_is_held_back() {
        let callers = callers();
        let (guesser, honest) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let begun = tokio::time::Instant::now();
        let call = callers.enter(guesser).unwrap();
        for _ in 0..10 {
            assert_eq!(call.count_miss().await, Ok(()));
        }
        let refused = call.count_miss().await.unwrap_err();
        assert_eq!(refused.reason, TooMany::Misses);
        assert!(refused.message().contains("API.MissesPerSecond") && refused.retry_after_s() >= 1);
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        assert_eq!(callers.enter(honest).unwrap().count_miss().await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn t41_calls_come_at_a_rate_and_one_address_has_half_of_the_open_ones() {
        let callers = callers();
        let (greedy, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let open: Vec<_> = (0..5).map(|_| callers.enter(greedy).unwrap()).collect();
        assert_eq!(callers.enter(greedy).unwrap_err().reason, TooMany::OpenCalls);
        assert!(callers.enter(other).is_ok());
        for _ in 0..10 {
            assert_eq!(open[0].count().await, Ok(()));
        }
        assert_eq!(open[0].count().await.unwrap_err().reason, TooMany::Calls);
        assert_eq!(callers.enter(other).unwrap().count().await, Ok(()));
    }
}
