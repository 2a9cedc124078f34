//! Each sort of load against the upstream, without a proxy between them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A running `bench-upstream`.
struct Upstream {
    process: Child,
    address: String,
}

impl Upstream {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_bench-upstream"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { process, address }
    }

    fn loadgen(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
        command.arg(words[0]).args(["--address", &self.address]).args(&words[1..]);
        command
    }

    /// Runs a verb to its end; its one line of JSON.
    fn figures(&self, words: &[&str]) -> Value {
        let output = self.loadgen(words).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A running `loadgen hold`; it ends with its stdin.
struct Held {
    process: Child,
    orders: Option<ChildStdin>,
    told: BufReader<ChildStdout>,
}

impl Held {
    fn open(upstream: &Upstream, sort: &str) -> Self {
        let mut command = upstream.loadgen(&["hold", sort, "--sockets", "20"]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let orders = process.stdin.take();
        let told = BufReader::new(process.stdout.take().unwrap());
        let mut held = Self { process, orders, told };
        assert_eq!(held.hear()["open"], 20, "{sort}");
        held
    }

    fn tell(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.orders.take());
        self.process.wait().ok();
    }
}

#[test]
fn messages_come_back_and_are_counted() {
    let upstream = Upstream::start();
    let figures = upstream.figures(&["echo", "--sockets", "3", "--seconds", "0.1"]);
    assert!(figures["messages"].as_u64().unwrap() >= 3, "{figures}");
    assert!(figures["p50_us"].as_f64().unwrap() > 0.0, "{figures}");
}

#[test]
fn bodies_are_counted_to_the_byte_both_ways() {
    let upstream = Upstream::start();
    for way in ["down", "up"] {
        // No multiple of the chunk, so that the last piece is a short one.
        let figures = upstream.figures(&["bulk", way, "--streams", "3", "--bytes", "10000001"]);
        assert_eq!(figures["bytes"], 30_000_003, "{way}: {figures}");
    }
}

#[test]
fn events_tell_their_age() {
    let upstream = Upstream::start();
    let figures =
        upstream.figures(&["events", "--streams", "2", "--period-ms", "5", "--seconds", "0.2"]);
    assert!(figures["events"].as_u64().unwrap() >= 2, "{figures}");
    assert!(figures["p99_us"].as_f64().unwrap() < 1e6, "{figures}");
}

#[test]
fn held_sockets_are_checked_and_their_end_is_told() {
    let upstream = Upstream::start();
    let mut sockets = Held::open(&upstream, "websockets");
    let mut events = Held::open(&upstream, "events");
    let mut stalled = Held::open(&upstream, "stalled");
    sockets.tell("check");
    assert_eq!(sockets.hear()["alive"], 20);
    stalled.tell("closed 0");
    assert_eq!(stalled.hear()["left"], 20);
    for held in [&mut sockets, &mut events] {
        held.tell("closed 20");
    }
    drop(upstream);
    for held in [&mut sockets, &mut events] {
        let told = held.hear();
        assert_eq!((&told["closed"], &told["left"]), (&20.into(), &0.into()), "{told}");
        assert!(told["last_ns"].as_u64().unwrap() > 0, "{told}");
    }
}
