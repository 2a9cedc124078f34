//! The clients over TLS: hyper's, with HTTP/1.1 and HTTP/2.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{BODY_BYTES, Client, Tally, Target};

type Problem = Box<dyn Error + Send + Sync>;
type Body = Full<Bytes>;

/// Requests that one HTTP/2 connection has under way at a time.
const STREAMS: usize = 4;

/// Asks until it is stopped, or has failed.
pub(super) fn run(client: Client, target: &Target, tally: &Tally, stop: &AtomicBool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime for a client");
    let outcome = runtime.block_on(async {
        let connector = connector(&target.ca_file, client == Client::Http2)?;
        match client {
            Client::Http2 => ask_http2(&connector, target, tally, stop).await,
            _ => ask_http1(&connector, target, tally, stop).await,
        }
    });
    if let Err(problem) = outcome {
        tally.count(Err(words_of(&*problem)));
    }
}

async fn ask_http1(
    connector: &TlsConnector,
    target: &Target,
    tally: &Tally,
    stop: &AtomicBool,
) -> Result<(), Problem> {
    let mut kept: Option<http1::SendRequest<Body>> = None;
    while !stop.load(Ordering::Relaxed) {
        let mut sender = match kept.take() {
            Some(sender) => sender,
            None => {
                let stream = connect(connector, target, tally).await?;
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                sender
            }
        };
        let response = sender.send_request(request(target, "GET", 0)?).await?;
        let is_over = response.headers().get("connection").is_some_and(|value| value == "close");
        check(response, 0).await?;
        tally.count(Ok(()));
        kept = (!is_over).then_some(sender);
        tokio::time::sleep(Client::Tls.pause()).await;
    }
    Ok(())
}

async fn ask_http2(
    connector: &TlsConnector,
    target: &Target,
    tally: &Tally,
    stop: &AtomicBool,
) -> Result<(), Problem> {
    let mut kept: Option<http2::SendRequest<Body>> = None;
    while !stop.load(Ordering::Relaxed) {
        let mut sender = match kept.take() {
            Some(sender) => sender,
            None => {
                let stream = connect(connector, target, tally).await?;
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                sender
            }
        };
        // After GOAWAY it takes no more: what was not sent goes over a new connection.
        if sender.ready().await.is_err() {
            continue;
        }
        let mut answers = Vec::new();
        for n in 0..STREAMS {
            let n_bytes = if n == 0 { BODY_BYTES } else { 0 };
            let method = if n == 0 { "POST" } else { "GET" };
            answers.push((n_bytes, sender.try_send_request(request(target, method, n_bytes)?)));
        }
        let mut was_told = false;
        for (n_bytes, answer) in answers {
            match answer.await {
                Ok(response) => {
                    check(response, n_bytes).await?;
                    tally.count(Ok(()));
                }
                Err(mut failed) => {
                    // Not sent at all: the connection was told to end in this moment.
                    was_told = true;
                    if failed.take_message().is_none() {
                        return Err(failed.into_error().into());
                    }
                }
            }
        }
        kept = (!was_told).then_some(sender);
        tokio::time::sleep(Client::Http2.pause()).await;
    }
    Ok(())
}

fn request(target: &Target, method: &str, n_bytes: usize) -> Result<Request<Body>, Problem> {
    let path = if n_bytes == 0 { "/load" } else { "/upload" };
    Ok(Request::builder()
        .method(method)
        .uri(format!("https://{}{path}", target.service_host))
        .header("Host", &target.service_host)
        .header("Authorization", &target.bearer)
        .body(Full::from(vec![7; n_bytes]))?)
}

async fn check(response: Response<hyper::body::Incoming>, n_bytes: usize) -> Result<(), Problem> {
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    let is_right = status == 200
        && if n_bytes == 0 {
            body.starts_with(b"GET ")
        } else {
            serde_json::from_slice::<serde_json::Value>(&body)?["bytes"] == n_bytes
        };
    if is_right {
        return Ok(());
    }
    Err(format!("status {status}: {}", String::from_utf8_lossy(&body)).into())
}

async fn connect(
    connector: &TlsConnector,
    target: &Target,
    tally: &Tally,
) -> Result<TlsStream<TcpStream>, Problem> {
    tally.n_connections.fetch_add(1, Ordering::Relaxed);
    let stream = TcpStream::connect(("127.0.0.1", target.port)).await?;
    stream.set_nodelay(true)?;
    let name = target.service_host.split(':').next().unwrap_or_default().to_owned();
    Ok(connector.connect(ServerName::try_from(name)?, stream).await?)
}

fn connector(ca_file: &Path, is_http2: bool) -> Result<TlsConnector, Problem> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let protocol = if is_http2 { "h2" } else { "http/1.1" };
    config.alpn_protocols = vec![protocol.into()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// An error with its causes, in one line.
fn words_of(problem: &(dyn Error + 'static)) -> String {
    let mut words = problem.to_string();
    let mut cause = problem.source();
    while let Some(next) = cause {
        words = format!("{words}: {next}");
        cause = next.source();
    }
    words
}
