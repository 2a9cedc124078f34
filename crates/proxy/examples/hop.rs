//! The proxy alone in front of one upstream, for measuring what a request costs:
//!
//! ```text
//! cargo run --release -p proxy --example hop -- 127.0.0.1:8100 127.0.0.1:8101      (listen, upstream)
//! cargo run --release -p proxy --example hop -- 127.0.0.1:8100 127.0.0.1:8101 hyper      (not by our own server)
//! wrk -c 64 -H 'Host: public.test.localhost' http://127.0.0.1:8100/                (or wharf-dz642-0123456789abcde.…)
//! wrk -c 64 -H 'Host: private.test.localhost' -H 'Authorization: Bearer v2/…' …    (the token is printed)
//! ```

#![expect(clippy::print_stdout, reason = "a tool for a terminal")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use model::{
    Access, ApiToken, ClusterId, ContainerPort, ContainerUuid, PublishedPort, PublishedPorts,
    ServiceDomain, TokenUuid, UserUuid,
};
use proxy::{
    Credential, Dial, DialError, Directory, DirectoryError, Downstream, DownstreamLimits,
    HostTarget, Io, Peer, Principal, Proxy, ProxyConfig, SessionKey, StartInfo, Target,
    TargetState,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const MINUTE: Duration = Duration::from_secs(60);

type Problem = Box<dyn std::error::Error>;

/// One service under two names, and one user.
struct Fixed {
    public: Arc<Target>,
    private: Arc<Target>,
    token: ApiToken,
    principal: Principal,
}

impl Directory for Fixed {
    fn find<'a>(
        &'a self,
        target: &'a HostTarget,
    ) -> BoxFuture<'a, Result<Option<Arc<Target>>, DirectoryError>> {
        let found = match target {
            HostTarget::Name(name) if name == "public" => Some(Arc::clone(&self.public)),
            HostTarget::Name(name) if name == "private" => Some(Arc::clone(&self.private)),
            HostTarget::Container { .. } => Some(Arc::clone(&self.public)),
            _ => None,
        };
        async move { Ok(found) }.boxed()
    }

    fn principal(
        &self,
        credential: Credential,
    ) -> BoxFuture<'_, Result<Option<Principal>, DirectoryError>> {
        let known = match credential {
            Credential::Token(token) => token == self.token,
            Credential::Session { token_uuid, .. } => token_uuid == self.principal.token,
            Credential::Code { .. } => false,
        };
        async move { Ok(known.then(|| self.principal.clone())) }.boxed()
    }

    fn start_info<'a>(&'a self, _target: &'a Target) -> BoxFuture<'a, StartInfo> {
        async { StartInfo::default() }.boxed()
    }
}

struct To(SocketAddr);

impl Dial for To {
    fn dial<'a>(
        &'a self,
        _container: &'a ContainerUuid,
        _port: u16,
    ) -> BoxFuture<'a, Result<Box<dyn Io>, DialError>> {
        async move {
            let stream = TcpStream::connect(self.0).await.map_err(|_closed| DialError::Refused)?;
            stream.set_nodelay(true).map_err(|error| DialError::Other(error.to_string()))?;
            Ok(Box::new(stream) as Box<dyn Io>)
        }
        .boxed()
    }
}

fn target(access: Access, user: UserUuid) -> Result<Arc<Target>, Problem> {
    let mut ports = PublishedPorts::default();
    let mut entry = PublishedPort::new(access, "App", "");
    entry.ready = Some(true);
    ports.insert(ContainerPort::HTTP, entry);
    Ok(Arc::new(Target {
        container: Some(ContainerUuid::parse("wharf-dz642-0123456789abcde")?),
        request: None,
        name: "bench".to_owned(),
        state: TargetState::Running,
        ports,
        port: ContainerPort::HTTP,
        submitters: vec![user],
        exit_words: String::new(),
        is_service: true,
        records: Vec::new(),
    }))
}

fn fixed() -> Result<Fixed, Problem> {
    let user = UserUuid::parse("wharf-tpzed-0123456789abcde")?;
    let uuid = TokenUuid::parse("wharf-gj3su-0123456789abcde")?;
    let token = ApiToken::new(uuid, "s".repeat(50));
    Ok(Fixed {
        public: target(Access::Public, user)?,
        private: target(Access::Private, user)?,
        token,
        principal: Principal {
            user,
            token: uuid,
            is_admin: false,
            unscoped: true,
            expires_at: None,
        },
    })
}

/// A connection with limits that nobody reaches.
fn downstream(io: TcpStream, peer: Peer) -> Downstream<TcpStream> {
    let limits = DownstreamLimits {
        head_bytes_max: 64 * 1024,
        head_timeout: MINUTE,
        idle_timeout: MINUTE,
        stall_timeout: MINUTE,
    };
    let (leaving, closing) = Default::default();
    Downstream { io, peer, limits, leaving, closing }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Problem> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: hop LISTEN UPSTREAM [hyper] (both as ADDRESS:PORT)";
    let listen: SocketAddr = arguments.next().ok_or(usage)?.parse()?;
    let upstream: SocketAddr = arguments.next().ok_or(usage)?.parse()?;
    let by_hyper = arguments.next().as_deref() == Some("hyper");
    let records = fixed()?;
    println!("bearer {}", records.token.expose());
    let domain = ServiceDomain::parse("http://*.test.localhost/")?;
    let key = SessionKey::new([1; 32]);
    let mut config = ProxyConfig::new(ClusterId::default(), domain, key, String::new());
    // Never reached, and counted all the same.
    config.limits.service_requests_per_second = 1_000_000;
    config.limits.user_requests_per_second = 1_000_000;
    config.limits.address_requests_per_second = 1_000_000;
    let proxy = Proxy::new(config, Arc::new(records), Arc::new(To(upstream)));
    let listener = TcpListener::bind(listen).await?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, addr) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let proxy = proxy.clone();
        connections.spawn(async move {
            let peer = proxy.peer(addr, false);
            let stream: Box<dyn Io> = if by_hyper {
                Box::new(stream)
            } else {
                match proxy.serve_http1(downstream(stream, peer.clone())).await {
                    Some(rest) => Box::new(rest),
                    None => return,
                }
            };
            let service = service_fn(move |request| {
                let (proxy, peer) = (proxy.clone(), peer.clone());
                async move { Ok::<_, std::convert::Infallible>(proxy.serve(request, peer).await) }
            });
            let mut server = auto::Builder::new(TokioExecutor::new());
            // As the edge has it, whose clients are strangers.
            server.http1().timer(TokioTimer::new()).header_read_timeout(MINUTE);
            let io = TokioIo::new(stream);
            let _ended = server.serve_connection_with_upgrades(io, service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
