//! The clients over plain HTTP/1.1, on sockets of our own.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{BODY_BYTES, Client, Tally, Target};
use crate::http::{Connection, Reply, Request};

/// Asks until it is stopped, or has failed.
pub(super) fn run(client: Client, target: &Target, tally: &Tally, stop: &AtomicBool) {
    let request = request_of(client, target);
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) {
        let asked = ask(&request, target.port, kept.take(), tally);
        let outcome = asked.and_then(|(reply, connection)| {
            check(client, &reply)?;
            let is_over =
                reply.header("Connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
            kept = (client != Client::Fresh && !is_over).then_some(connection);
            Ok(())
        });
        let has_failed = outcome.is_err();
        tally.count(outcome);
        if has_failed {
            return;
        }
        std::thread::sleep(client.pause());
    }
}

fn request_of(client: Client, target: &Target) -> Request {
    let (host, method, path) = match client {
        Client::Api => (&target.api_host, "GET", "/arvados/v1/users/current"),
        Client::Upload => (&target.service_host, "POST", "/upload"),
        _ => (&target.service_host, "GET", "/load"),
    };
    let request = Request::new(target.port, host, method, path);
    let request = request.header("Authorization", &target.bearer);
    if client == Client::Upload { request.body(vec![7; BODY_BYTES]) } else { request }
}

fn ask(
    request: &Request,
    port: u16,
    kept: Option<Connection>,
    tally: &Tally,
) -> Result<(Reply, Connection), String> {
    let was_kept = kept.is_some();
    let said = |step: &'static str| {
        move |error: std::io::Error| format!("{step} (connection kept: {was_kept}): {error}")
    };
    let mut connection = match kept {
        Some(connection) => connection,
        None => {
            tally.n_connections.fetch_add(1, Ordering::Relaxed);
            Connection::try_open(port).map_err(said("connecting"))?
        }
    };
    connection.try_send(&request.bytes()).map_err(said("sending"))?;
    let reply = connection.try_read_reply(false).map_err(said("reading the answer"))?;
    Ok((reply, connection))
}

fn check(client: Client, reply: &Reply) -> Result<(), String> {
    let is_right = reply.status() == 200
        && match client {
            Client::Api => reply.json()["uuid"].is_string(),
            Client::Upload => reply.json()["bytes"] == BODY_BYTES,
            _ => reply.body.starts_with(b"GET /load"),
        };
    if is_right { Ok(()) } else { Err(format!("status {}: {}", reply.status(), reply.text())) }
}
