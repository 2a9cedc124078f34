//! Large bodies, counted to the byte, in constant memory.

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use futures_util::future::try_join_all;
use loadgen::BULK_CHUNK_BYTES;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::target::{Target, TargetArgs, read_head, send};

static ZEROS: [u8; BULK_CHUNK_BYTES] = [0; BULK_CHUNK_BYTES];

#[derive(Debug, Args)]
pub(crate) struct BulkArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Which way
    #[arg(value_enum)]
    way: Way,
    /// Bodies at the same time
    #[arg(long, default_value_t = 1)]
    streams: u64,
    /// Bytes of each body
    #[arg(long)]
    bytes: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Way {
    /// From the app to us
    Down,
    /// From us to the app
    Up,
}

/// `{"bytes": N, "seconds": …}`, over all streams.
pub(crate) async fn run(args: BulkArgs) -> Result<Value> {
    let target = Target::new(args.target, "http/1.1")?;
    let begin = Instant::now();
    match args.way {
        Way::Down => {
            let streams = (0..args.streams).map(|_stream| down(&target, args.bytes));
            try_join_all(streams).await?;
        }
        Way::Up => {
            let streams = (0..args.streams).map(|_stream| up(&target, args.bytes));
            try_join_all(streams).await?;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    Ok(json!({ "bytes": args.streams * args.bytes, "seconds": seconds }))
}

async fn down(target: &Target, n_bytes: u64) -> Result<()> {
    let mut answer = target.get(&format!("/down/{n_bytes}")).await?;
    ensure!(answer.content_length == Some(n_bytes), "the answer promises another length");
    let mut left = n_bytes - answer.early.len() as u64;
    let mut scratch = vec![0; BULK_CHUNK_BYTES];
    while left > 0 {
        let read = answer.io.read(&mut scratch).await?;
        ensure!(read > 0, "a download ended {left} bytes early");
        ensure!(read as u64 <= left, "a download went on beyond its length");
        ensure!(scratch[read - 1] == 0, "a download came changed");
        left -= read as u64;
    }
    Ok(())
}

async fn up(target: &Target, n_bytes: u64) -> Result<()> {
    let mut io = target.connect(None).await?;
    let length = format!("Content-Length: {n_bytes}\r\n");
    send(&mut *io, &target.request("POST", "/up", &length)).await?;
    let mut left = n_bytes;
    while left > 0 {
        let piece = usize::try_from(left).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        left -= io.write(&ZEROS[..piece]).await? as u64;
    }
    io.flush().await?;
    let mut answer = read_head(io, 200).await?;
    let mut body = answer.early;
    let n_body = usize::try_from(answer.content_length.unwrap_or_default())?;
    while body.len() < n_body {
        ensure!(answer.io.read_buf(&mut body).await? > 0, "an answer ended early");
    }
    ensure!(body == n_bytes.to_string().as_bytes(), "the app got another number of bytes");
    Ok(())
}
