//! Active WebSockets: each sends a message, waits for its echo, sends the next.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures_util::future::try_join_all;
use loadgen::websocket::{Frame, Opcode, PAYLOAD_BYTES_MAX, Sender};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::durations::Durations;
use crate::target::{Io, Target, TargetArgs, send};

/// An echo that takes longer is taken for lost.
const ECHO_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct EchoArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// WebSockets at work
    #[arg(long, default_value_t = 1)]
    sockets: usize,
    /// How long they work, once all are open
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Payload of a message
    #[arg(long, default_value_t = 64)]
    bytes: usize,
}

/// One message and the bytes of it on either way.
pub(crate) struct Message {
    sent: Vec<u8>,
    echoed: Vec<u8>,
}

impl Message {
    pub(crate) fn of(n_bytes: usize) -> Self {
        let frame = Frame { opcode: Opcode::Binary, payload: vec![b'm'; n_bytes] };
        Self { sent: frame.encode(Sender::Client), echoed: frame.encode(Sender::Server) }
    }

    /// Sends it and reads its echo; the bytes must be the same.
    pub(crate) async fn echo(&self, io: &mut dyn Io) -> Result<()> {
        let exchanged = timeout(ECHO_TIMEOUT, async {
            send(io, &self.sent).await?;
            let mut reply = vec![0; self.echoed.len()];
            io.read_exact(&mut reply).await?;
            ensure!(reply == self.echoed, "an echo came back changed");
            Ok(())
        });
        exchanged.await.context("an echo was lost")?
    }
}

/// `{"messages": N, "p50_us": …, …}`.
pub(crate) async fn run(args: EchoArgs) -> Result<Value> {
    ensure!(args.bytes <= PAYLOAD_BYTES_MAX, "--bytes is at most {PAYLOAD_BYTES_MAX}");
    let target = Target::new(args.target, "http/1.1")?;
    let opening = (0..args.sockets).map(|_socket| target.websocket("/echo"));
    let sockets = try_join_all(opening).await.context("open the WebSockets")?;
    let message = Message::of(args.bytes);
    let end = Instant::now() + Duration::from_secs_f64(args.seconds);
    let working = sockets.into_iter().map(|socket| work(socket, &message, end));
    let mut all = Durations::default();
    for durations in try_join_all(working).await? {
        all.merge(durations);
    }
    let mut result = json!({ "messages": all.n() });
    merge(&mut result, all.summary());
    Ok(result)
}

async fn work(mut socket: Box<dyn Io>, message: &Message, end: Instant) -> Result<Durations> {
    let mut durations = Durations::default();
    let mut begin = Instant::now();
    while begin < end {
        message.echo(&mut *socket).await?;
        let now = Instant::now();
        durations.add(u64::try_from((now - begin).as_nanos()).unwrap_or(u64::MAX));
        begin = now;
    }
    Ok(durations)
}

/// Adds the fields of one object to another.
pub(crate) fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
