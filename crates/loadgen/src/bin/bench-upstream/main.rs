//! The app of the benchmarks: HTTP/1.1 by hand on one thread, as cheap as it gets.
//!
//! `bench-upstream [ADDRESS:PORT]`, 127.0.0.1:8080 where nothing is said; it prints where it listens.
//! What it serves is the list in `route.rs`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is the container's log")]

mod bulk;
mod connection;
mod echo;
mod events;
mod route;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted; thousands are opened at once.
const BACKLOG: u32 = 4096;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-upstream: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    lifecycle::descriptors::raise_limit().context("raise the limit on open files")?;
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let address: SocketAddr = address.parse().context("usage: bench-upstream [ADDRESS:PORT]")?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address).with_context(|| format!("listen on {address}"))?;
        let listener = socket.listen(BACKLOG)?;
        println!("bench-upstream listens on {}", listener.local_addr()?);
        accept(&listener).await
    })
}

/// Accepts until it is killed. Connections have no owner: they end with the process.
async fn accept(listener: &TcpListener) -> Result<()> {
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => {
                stream.set_nodelay(true)?;
                tokio::spawn(connection::serve(stream));
            }
            Err(error) => {
                eprintln!("bench-upstream: accept: {error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
