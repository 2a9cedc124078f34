//! Server-sent events that say when they were written.

use std::io;
use std::time::Duration;

use loadgen::clock::monotonic_ns;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

use crate::connection::Next;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";

/// One event every `period_ms` until the peer leaves.
pub(crate) async fn serve(stream: &mut TcpStream, period_ms: u64) -> io::Result<Next> {
    stream.write_all(HEAD).await?;
    let mut ticks = interval(Duration::from_millis(period_ms.max(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ignored = [0; 64];
    loop {
        tokio::select! {
            _ = ticks.tick() => stream.write_all(&event()).await?,
            read = stream.read(&mut ignored) => if read? == 0 {
                return Ok(Next::Close);
            }
        }
    }
}

/// An event in a chunk of its own.
fn event() -> Vec<u8> {
    let text = format!("data: {}\n\n", monotonic_ns());
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}
