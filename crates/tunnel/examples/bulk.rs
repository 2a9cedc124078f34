//! What a GiB costs at either end of a tunnel, apart from all else:
//!
//! ```text
//! cargo run --release -p tunnel --example bulk -- 4      (GiB)
//! ```
//!
//! A source writes into a TCP connection, one end of the tunnel relays that to the other, which
//! writes it into a TCP connection to a sink; each of the four has a thread.

#![expect(clippy::print_stdout, reason = "a tool for a terminal")]

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::io::AsyncWriteExt;
use tokio::runtime;
use tunnel::{Identity, LaunchSecret, Limits, Role, StreamKind, secure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const UUID: &str = "wharf-dz642-0123456789abcde";
const PIECE_BYTES: usize = 256 * 1024;

type Problem = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Problem> {
    let n_gib: u32 = std::env::args().nth(1).map_or(Ok(1), |n| n.parse())?;
    let n_bytes = u64::from(n_gib) << 30;
    let (source, from_source) = tcp_pair()?;
    let (to_sink, sink) = tcp_pair()?;
    let (near, far) = UnixStream::pair()?;
    from_source.set_nonblocking(true)?;
    to_sink.set_nonblocking(true)?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    let secret = LaunchSecret::generate()?;
    let known = secret.clone();
    let begin = Instant::now();
    let feeding = thread::spawn(move || feed(source, n_bytes));
    let sending = measured(move || send(near, &secret, from_source));
    let receiving = measured(move || receive(far, known, to_sink));
    let arrived = drain(sink)?;
    feeding.join().map_err(|_panic| "the source failed")??;
    let mb_per_second = n_bytes as f64 / 1e6 / begin.elapsed().as_secs_f64();
    for (name, thread) in [("sender", sending), ("receiver", receiving)] {
        let cpu = thread.join().map_err(|_panic| "an end of the tunnel failed")??;
        println!("{name:8} {:5.0} ms/GiB", cpu.as_secs_f64() * 1e3 / f64::from(n_gib));
    }
    println!("speed    {mb_per_second:5.0} MB/s");
    if arrived == n_bytes { Ok(()) } else { Err(format!("{arrived} bytes arrived").into()) }
}

/// Runs one end in a thread of its own; answers the CPU time that the thread took.
fn measured(
    end: impl FnOnce() -> Result<(), Problem> + Send + 'static,
) -> JoinHandle<Result<Duration, Problem>> {
    thread::spawn(move || {
        end()?;
        Ok(Duration::try_from(clock_gettime(ClockId::ThreadCPUTime))?)
    })
}

fn send(near: UnixStream, secret: &LaunchSecret, source: TcpStream) -> Result<(), Problem> {
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let io = tokio::net::UnixStream::from_std(near)?;
        let io = secure::dial(io, UUID, secret).await?;
        let (_tunnel, mut incoming, driver) =
            tunnel::start(io, Role::Supervisor, Limits::supervisor());
        let driving = tokio::spawn(driver);
        let request = incoming.next().await.ok_or("no stream was asked for")?;
        let source = tokio::net::TcpStream::from_std(source)?;
        tunnel::relay(request.accept(), source).await?;
        driving.await?;
        Ok(())
    })
}

fn receive(far: UnixStream, secret: LaunchSecret, sink: TcpStream) -> Result<(), Problem> {
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let io = tokio::net::UnixStream::from_std(far)?;
        let found = |_uuid| async move { Some(secret) };
        let (io, _uuid) = secure::accept(io, &Identity::generate()?, found).await?;
        let (tunnel, _incoming, driver) = tunnel::start(io, Role::Controller, Limits::controller());
        let driving = tokio::spawn(driver);
        let mut stream = tunnel.open(StreamKind::App(80)).await?;
        stream.shutdown().await?;
        let mut sink = tokio::net::TcpStream::from_std(sink)?;
        tokio::io::copy_buf(&mut stream, &mut sink).await?;
        tunnel.close();
        driving.await?;
        Ok(())
    })
}

fn tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    Ok((near, listener.accept()?.0))
}

fn feed(mut source: TcpStream, n_bytes: u64) -> io::Result<()> {
    let piece = vec![7; PIECE_BYTES];
    let n_pieces = n_bytes / PIECE_BYTES as u64;
    (0..n_pieces).try_for_each(|_n| source.write_all(&piece))
}

fn drain(mut sink: TcpStream) -> io::Result<u64> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut n_bytes = 0;
    loop {
        match sink.read(&mut piece)? {
            0 => return Ok(n_bytes),
            n => n_bytes += n as u64,
        }
    }
}
