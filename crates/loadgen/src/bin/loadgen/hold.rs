//! Thousands of sockets, held open: idle WebSockets, event streams, or readers that stall.
//!
//! Prints `{"open": N}` once all are open, then obeys lines on stdin until that ends:
//! `check` echoes a message over every WebSocket and prints `{"alive": N}`;
//! `closed SECONDS` waits until the far side has closed all, and prints when the last one ended.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use loadgen::clock::monotonic_ns;
use loadgen::websocket::{Frame, Opcode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::time::{Instant, timeout_at};

use crate::echo::Message;
use crate::http2;
use crate::print;
use crate::target::{Io, Target, TargetArgs, send};

/// Sockets opened or checked at the same time; more would only queue up at the far side.
const AT_ONCE: usize = 64;
/// Kernel buffer of a reader that stalls, in bytes: small, so that what is not read waits at the proxy.
const STALLED_RECEIVE_BYTES: u32 = 16 * 1024;
/// A body that no buffer on the way holds, in bytes.
const STALLED_BODY_BYTES: u64 = 1 << 40;

#[derive(Debug, Args)]
pub(crate) struct HoldArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// What sort
    #[arg(value_enum)]
    sort: Sort,
    /// How many
    #[arg(long)]
    sockets: usize,
    /// WebSockets over HTTP/2
    #[arg(long)]
    http2: bool,
    /// Time between two events of an event stream
    #[arg(long, default_value_t = 1000)]
    period_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// WebSockets without a message
    Websockets,
    /// Server-sent events
    Events,
    /// Downloads that are not read
    Stalled,
}

pub(crate) async fn run(args: HoldArgs) -> Result<()> {
    ensure!(!args.http2 || args.sort == Sort::Websockets, "--http2 is for WebSockets");
    let protocol = if args.http2 { "h2" } else { "http/1.1" };
    let target = Target::new(args.target, protocol)?;
    let mut sockets = if args.http2 {
        http2::websockets(&target, "/echo", args.sockets).await?
    } else {
        let opening = (0..args.sockets).map(|_socket| open(&target, args.sort, args.period_ms));
        stream::iter(opening).buffer_unordered(AT_ONCE).try_collect().await?
    };
    print(&json!({ "open": sockets.len() }));
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await? {
        match order.split_once(' ') {
            None if order == "check" => print(&check(&mut sockets).await?),
            Some(("closed", seconds)) => {
                let seconds = seconds.parse().context("closed SECONDS")?;
                print(&closed(&mut sockets, Duration::from_secs(seconds)).await);
            }
            _ => bail!("unknown order {order:?}"),
        }
    }
    Ok(())
}

async fn open(target: &Target, sort: Sort, period_ms: u64) -> Result<Box<dyn Io>> {
    match sort {
        Sort::Websockets => target.websocket("/echo").await,
        Sort::Events => Ok(target.get(&format!("/events/{period_ms}")).await?.io),
        Sort::Stalled => {
            let mut io = target.connect(Some(STALLED_RECEIVE_BYTES)).await?;
            let path = format!("/down/{STALLED_BODY_BYTES}");
            send(&mut *io, &target.request("GET", &path, "")).await?;
            let mut status = [0; 12];
            io.read_exact(&mut status).await?;
            ensure!(status == *b"HTTP/1.1 200", "a download was refused");
            Ok(io)
        }
    }
}

async fn check(sockets: &mut [Box<dyn Io>]) -> Result<Value> {
    let message = Message::of(16);
    let n = sockets.len();
    let echoing = sockets.iter_mut().map(|socket| message.echo(&mut **socket));
    stream::iter(echoing).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(json!({ "alive": n }))
}

/// `{"closed": N, "left": N, "last_ns": …, "how": {"1008": N, "end": N, "reset": N}}`; the time is monotonic.
async fn closed(sockets: &mut [Box<dyn Io>], patience: Duration) -> Value {
    let deadline = Instant::now() + patience;
    let waiting = sockets.iter_mut().map(|socket| timeout_at(deadline, end_of(&mut **socket)));
    let mut how = BTreeMap::<String, usize>::new();
    let (mut n_closed, mut last_ns) = (0, 0);
    for (words, at_ns) in join_all(waiting).await.into_iter().flatten() {
        *how.entry(words).or_default() += 1;
        n_closed += 1;
        last_ns = last_ns.max(at_ns);
    }
    json!({ "closed": n_closed, "left": sockets.len() - n_closed, "last_ns": last_ns, "how": how })
}

/// Reads until the far side ends the socket; how it did that, and when.
async fn end_of(io: &mut dyn Io) -> (String, u64) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let how = match io.read(&mut bytes).await {
            Ok(0) => "end".to_owned(),
            Ok(read) => match Frame::decode(&bytes[..read]) {
                Ok(Some((frame, _length))) if frame.opcode == Opcode::Close => {
                    frame.close_code().to_string()
                }
                // An event, or another frame: it lives.
                _ => continue,
            },
            Err(_broken) => "reset".to_owned(),
        };
        return (how, monotonic_ns());
    }
}
