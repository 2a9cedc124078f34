//! The edge over real sockets, with clients that mean it ill. Every test also asks somebody else, who must be served.

mod http1;
mod http2;

use super::*;
use crate::certificates;
use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use limits::Rate;
use model::{ClusterId, ContainerUuid, ServiceDomain};
use proxy::{
    Credential, Dial, DialError, Directory, DirectoryError, HostTarget, Io, Principal, Proxy,
    ProxyConfig, SessionKey, StartInfo, Target,
};
use std::convert::Infallible;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long anything in a test may take.
const BOUND: Duration = Duration::from_secs(20);
/// What is waited for on purpose.
const SOON: Duration = Duration::from_millis(300);

/// A listening edge; it goes away with the test.
struct Edge {
    address: SocketAddr,
    /// Says when an endless answer was given up.
    given_up: mpsc::UnboundedReceiver<()>,
    _tasks: JoinSet<()>,
}

impl Edge {
    async fn start(change: impl FnOnce(&mut EdgeLimits)) -> Self {
        let mut edge_limits = limits();
        change(&mut edge_limits);
        let data = tempfile::tempdir().unwrap();
        let tls = certificates::server_config(data.path(), vec!["localhost".to_owned()]).unwrap();
        let (giving_up, given_up) = mpsc::unbounded_channel();
        let rooms = Rooms {
            proxy: Arc::new(no_services()),
            router: router(giving_up),
            router_hsts: None,
            router_runtime: Handle::current(),
        };
        let around = Surroundings::new(Arc::new(rooms), tls, edge_limits, Descent::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(vec![listener], around, Duration::ZERO));
        Self { address, given_up, _tasks: tasks }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What a request gets on a connection of its own.
    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        String::from_utf8(rest(&mut stream).await).unwrap()
    }

    /// Somebody else asks for something plain.
    async fn serves_others(&self) -> bool {
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        self.ask(request).await.starts_with("HTTP/1.1 200")
    }
}

/// What comes until the connection ends, which it must. A reset is an end, too.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut got = Vec::new();
    let _end_or_reset = timeout(BOUND, stream.read_to_end(&mut got)).await.expect("an end in time");
    got
}

pub(super) fn limits() -> EdgeLimits {
    let endless = FrameLimits { control: Rate::ENDLESS, resets: Rate::ENDLESS };
    EdgeLimits {
        places: PlaceLimits {
            n_max: 1000,
            n_per_address_max: 1000,
            n_handshakes_max: 1000,
            n_per_second: 0,
        },
        calls: CallLimits {
            n_open_max: 1000,
            n_per_second: 0,
            n_misses_per_second: 0,
            refusal_delay: Duration::ZERO,
        },
        handshake_timeout: BOUND,
        header_timeout: BOUND,
        idle_timeout: BOUND,
        stall_timeout: BOUND,
        header_bytes_max: 8192,
        http2: Http2Limits {
            n_streams_max: 100,
            frames: endless,
            stream_window: 65_535,
            connection_window: 65_535,
            keep_alive_interval: BOUND,
            keep_alive_timeout: BOUND,
        },
        refusal_lines_per_second: 1,
    }
}

/// `/` answers, `/endless` never ends, `/upload` reads a body, `/guess` knows nobody, `/switch` echoes bytes.
fn router(giving_up: mpsc::UnboundedSender<()>) -> Router {
    Router::new()
        .route("/", get(async || "here"))
        .route("/endless", get(move || std::future::ready(endless(giving_up.clone()))))
        .route("/upload", post(async |_body: axum::body::Bytes| "taken"))
        .route("/guess", get(async || http::StatusCode::UNAUTHORIZED))
        .route("/switch", get(switch))
}

fn endless(giving_up: mpsc::UnboundedSender<()>) -> Body {
    struct Tells(mpsc::UnboundedSender<()>);
    impl Drop for Tells {
        fn drop(&mut self) {
            let _test_is_over = self.0.send(());
        }
    }
    let chunks = futures_util::stream::repeat_with(|| Ok::<_, Infallible>(vec![b'x'; 64 * 1024]));
    let tells = Tells(giving_up);
    Body::from_stream(futures_util::StreamExt::inspect(chunks, move |_chunk| {
        let _held = &tells;
    }))
}

async fn switch(mut request: axum::extract::Request) -> axum::response::Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut socket = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
        let mut byte = [0];
        while let Ok(1..) = socket.read(&mut byte).await {
            socket.write_all(&byte).await.unwrap();
        }
    });
    let switching = http::Response::builder().status(101).header("upgrade", "echo");
    switching.header("connection", "upgrade").body(Body::empty()).unwrap()
}

fn no_services() -> Proxy {
    let domain = ServiceDomain::parse("http://*.containers.localhost/").unwrap();
    let config =
        ProxyConfig::new(ClusterId::default(), domain, SessionKey::new([7; 32]), String::new());
    Proxy::new(config, Arc::new(Nothing), Arc::new(Nothing))
}

/// Records without a service, and a way to none.
struct Nothing;

impl Directory for Nothing {
    fn find<'a>(
        &'a self,
        _target: &'a HostTarget,
    ) -> BoxFuture<'a, Result<Option<Arc<Target>>, DirectoryError>> {
        std::future::ready(Ok(None)).boxed()
    }

    fn principal(
        &self,
        _credential: Credential,
    ) -> BoxFuture<'_, Result<Option<Principal>, DirectoryError>> {
        std::future::ready(Ok(None)).boxed()
    }

    fn start_info<'a>(&'a self, _target: &'a Target) -> BoxFuture<'a, StartInfo> {
        std::future::pending().boxed()
    }
}

impl Dial for Nothing {
    fn dial<'a>(
        &'a self,
        _container: &'a ContainerUuid,
        _port: u16,
    ) -> BoxFuture<'a, Result<Box<dyn Io>, DialError>> {
        std::future::ready(Err(DialError::Refused)).boxed()
    }
}
