//! The app inside the containers of the system tests: a small HTTP/1.1 server that shows what it
//! received and misbehaves on request.
//!
//! It is made by hand over blocking sockets, one thread per connection, because a well-kept server
//! would hide what a test wants to see: the raw head, chunk borders, trailers, half-closed sockets.
//! It runs only inside containers: `/sh` runs any command.
//!
//! `testkit-app [--port 8080] [--bind 127.0.0.1]`; the paths are in `routes.rs`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is what logs are made of"
)]

mod listeners;
mod request;
mod routes;
mod site;
mod websocket;

use std::process::ExitCode;

fn main() -> ExitCode {
    let (mut port, mut bind) = (8080, "127.0.0.1".to_owned());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match (word.as_str(), words.next()) {
            ("--port", Some(value)) => match value.parse() {
                Ok(number) => port = number,
                Err(error) => return complain(&format!("port {value:?}: {error}")),
            },
            ("--bind", Some(value)) => bind = value,
            _ => return complain("usage: testkit-app [--port PORT] [--bind ADDRESS]"),
        }
    }
    if let Err(error) = listeners::open(&bind, port) {
        return complain(&format!("listening on {bind} port {port}: {error}"));
    }
    println!("testkit-app listens on {bind} port {port}");
    loop {
        std::thread::park();
    }
}

fn complain(problem: &str) -> ExitCode {
    eprintln!("testkit-app: {problem}");
    ExitCode::FAILURE
}
