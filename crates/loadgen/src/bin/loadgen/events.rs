//! Server-sent events: how old each one is when it arrives.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures_util::future::try_join_all;
use loadgen::clock::monotonic_ns;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

use crate::durations::Durations;
use crate::echo::merge;
use crate::target::{Target, TargetArgs};

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Event streams open at the same time
    #[arg(long, default_value_t = 1)]
    streams: usize,
    /// Time between two events of a stream
    #[arg(long, default_value_t = 20)]
    period_ms: u64,
    /// How long to listen
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

/// `{"events": N, "p50_us": …, "p99_us": …, "max_us": …}`.
pub(crate) async fn run(args: EventsArgs) -> Result<Value> {
    let target = Target::new(args.target, "http/1.1")?;
    let path = format!("/events/{}", args.period_ms);
    let end = Instant::now() + Duration::from_secs_f64(args.seconds);
    let listening = (0..args.streams).map(|_stream| listen(&target, &path, end));
    let mut all = Durations::default();
    for durations in try_join_all(listening).await? {
        ensure!(durations.n() > 0, "an event stream was silent");
        all.merge(durations);
    }
    let mut result = json!({ "events": all.n() });
    merge(&mut result, all.summary());
    Ok(result)
}

async fn listen(target: &Target, path: &str, end: Instant) -> Result<Durations> {
    let mut answer = target.get(path).await?;
    let mut bytes = answer.early;
    let mut durations = Durations::default();
    while let Ok(read) = timeout_at(end, answer.io.read_buf(&mut bytes)).await {
        let received = monotonic_ns();
        ensure!(read? > 0, "an event stream ended");
        let whole = take_events(&mut bytes)?;
        whole.into_iter().for_each(|written| durations.add(received.saturating_sub(written)));
    }
    Ok(durations)
}

/// Takes the whole lines out of `bytes`; of those, the times in `data: TIME`. Lines that belong to
/// the chunked coding are passed over: proxies set chunks anew, but never in the middle of our lines.
fn take_events(bytes: &mut Vec<u8>) -> Result<Vec<u64>> {
    let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else { return Ok(Vec::new()) };
    let whole = bytes.drain(..=end).collect();
    let text = String::from_utf8(whole).context("an event is no text")?;
    let times = text.lines().filter_map(|line| line.strip_prefix("data: "));
    times.map(|time| time.parse().with_context(|| format!("event {time:?}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_events_are_taken_and_begun_ones_left() {
        let mut bytes = b"9\r\ndata: 12\n\n\r\n9\r\ndata: 13\n\n\r\n9\r\nda".to_vec();
        assert_eq!(take_events(&mut bytes).unwrap(), [12, 13]);
        assert_eq!(bytes, b"da");
        assert!(take_events(&mut b"data: x\n".to_vec()).is_err());
    }
}
