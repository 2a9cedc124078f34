//! `wharf forward`: local TCP ports that lead to ports of a service, until interrupted or until the service is over.
//!
//! Each connection is one of its own through the service host, so that the gate sees it and can end it.

mod listen;

use anyhow::Context as _;
use client::{Client, ClientError};
use futures_util::future::join_all;
use lifecycle::{Signals, TaskScope};
use model::ContainerUuid;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::args::ForwardArgs;
use crate::context::Context;
use crate::output;
use crate::service::Service;
use crate::wait;

/// Connections at once; further ones wait until the system gives up on them. A pool of a program has some hundred.
const CONNECTIONS_MAX: usize = 1000;
/// Read at a time and way: few calls for bulk.
const BUFFER_BYTES: usize = 64 * 1024;

/// One port of the service, and where it can be reached here.
#[derive(Debug, Serialize)]
struct Forwarded {
    port: u16,
    local_port: u16,
    addresses: Vec<SocketAddr>,
    #[serde(skip)]
    way: Arc<Way>,
    #[serde(skip)]
    listeners: Vec<TcpListener>,
}

/// Where connections go.
#[derive(Debug)]
struct Way {
    client: Client,
    url: String,
    /// `port 5432 of db`, for messages.
    title: String,
}

pub(crate) async fn forward(context: &Context, args: &ForwardArgs) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let service = context.find(&args.id).await?;
    let container = service.live_container("nothing runs that could be reached")?;
    let forwarded = prepare(context, args, &service).await?;
    announce(args, &forwarded)?;
    let scope = TaskScope::new("forwarded connections");
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accepting = forwarded.iter().flat_map(|forwarded| {
        let each = forwarded.listeners.iter();
        each.map(|listener| accept(listener, &forwarded.way, &scope, &places))
    });
    let ended = tokio::select! {
        _signal = signals.next() => Ok(()),
        over = until_over(&context.client, container) => Err(over?),
        _never = join_all(accepting) => Ok(()),
    };
    let _cut = scope.shutdown(Duration::ZERO).await;
    ended.map_err(|words| anyhow::anyhow!("{} is over{words}", service.title()))
}

/// Takes the local ports and tries each way once, so that what can't work is said before anyone connects.
async fn prepare(
    context: &Context,
    args: &ForwardArgs,
    service: &Service,
) -> anyhow::Result<Vec<Forwarded>> {
    let domain = context.client.service_domain().await?;
    let mut all = Vec::new();
    for wanted in &args.ports {
        let title = format!("port {} of {}", wanted.port, service.title());
        let url = service.own_url(wanted.port, domain.as_ref());
        let url = url.with_context(|| format!("{title} has no address on this site"))?;
        let listeners = listen::bind(wanted.local, wanted.port).await?;
        let addresses: Vec<SocketAddr> =
            listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
        let way = Arc::new(Way { client: context.client.clone(), url, title });
        let tried = way.client.open_tcp(&way.url).await;
        drop(tried.with_context(|| format!("cannot reach {}", way.title))?);
        let local_port = addresses.first().map_or(wanted.local, SocketAddr::port);
        all.push(Forwarded { port: wanted.port.get(), local_port, addresses, way, listeners });
    }
    Ok(all)
}

fn announce(args: &ForwardArgs, forwarded: &[Forwarded]) -> anyhow::Result<()> {
    if args.json {
        return output::print_json(&forwarded);
    }
    for one in forwarded {
        let addresses: Vec<String> = one.addresses.iter().map(ToString::to_string).collect();
        output::print_line(&format!("{} leads to {}", addresses.join(" and "), one.way.title))?;
    }
    output::remark("Ctrl-C ends it.");
    Ok(())
}

/// Waits for the container's end; how it ended, in words.
async fn until_over(client: &Client, container: ContainerUuid) -> Result<String, ClientError> {
    let look = async || {
        let container = client.get_container(container).await?;
        let words = container.error_words().map(|words| format!(": {words}"));
        Ok(container.state.is_over().then(|| words.unwrap_or_default()))
    };
    wait::forever(client, look).await
}

/// Accepts on one listener, for ever.
async fn accept(
    listener: &TcpListener,
    way: &Arc<Way>,
    scope: &TaskScope,
    places: &Arc<Semaphore>,
) {
    while let Ok(place) = Arc::clone(places).acquire_owned().await {
        match listener.accept().await {
            Ok((socket, _peer)) => {
                let way = Arc::clone(way);
                let carrying = async move {
                    carry(&way, socket).await;
                    drop(place);
                };
                scope.spawn_cancellable("connection", carrying);
            }
            // Out of descriptors, or a peer that left already: give way for a moment, go on.
            Err(_passing) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// One connection, to the end of both its ways. Where it breaks, the local program hears of it as a reset.
async fn carry(way: &Way, mut socket: TcpStream) {
    let _best_effort = socket.set_nodelay(true);
    let broke = match way.client.open_tcp(&way.url).await {
        Ok(mut app) => {
            let copying = tokio::io::copy_bidirectional_with_sizes(
                &mut socket,
                &mut app,
                BUFFER_BYTES,
                BUFFER_BYTES,
            );
            copying.await.is_err()
        }
        Err(error) => {
            output::remark(&format!("wharf: cannot reach {}: {error}", way.title));
            true
        }
    };
    if broke {
        let _best_effort = socket.set_zero_linger();
    }
}
