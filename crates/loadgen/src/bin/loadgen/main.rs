//! The load generator: one verb per sort of load, one line of JSON as its result.
//!
//! ```text
//! loadgen echo    WebSocket messages there and back, as many as fit into some seconds
//! loadgen bulk    large bodies down or up
//! loadgen events  the age of server-sent events at their receipt
//! loadgen hold    thousands of sockets, open until told otherwise: idle, streaming or stalled
//! ```
//!
//! Where it connects to is the same for all: see [`target::TargetArgs`].

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its result goes to its caller")]

mod bulk;
mod durations;
mod echo;
mod events;
mod hold;
mod http2;
mod target;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "The load generator of the benchmarks; each verb prints one line of JSON")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Echo WebSocket messages, one at a time on each socket
    Echo(echo::EchoArgs),
    /// Move large bodies
    Bulk(bulk::BulkArgs),
    /// Measure how old server-sent events are when they arrive
    Events(events::EventsArgs),
    /// Open sockets and keep them; obeys `check` and `closed` on stdin, ends with it
    Hold(hold::HoldArgs),
}

fn main() -> ExitCode {
    match run(Args::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    lifecycle::descriptors::raise_limit().context("raise the limit on open files")?;
    // One thread: the load must not take more of the machine than it has to.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match verb {
            Verb::Echo(args) => print(&echo::run(args).await?),
            Verb::Bulk(args) => print(&bulk::run(args).await?),
            Verb::Events(args) => print(&events::run(args).await?),
            Verb::Hold(args) => hold::run(args).await?,
        }
        Ok(())
    })
}

/// One line on stdout.
fn print(result: &serde_json::Value) {
    println!("{result}");
}
