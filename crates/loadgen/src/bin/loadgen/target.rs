//! Where load goes, and how a stream to there is opened.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use loadgen::head::Head;
use loadgen::websocket;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest wait for a connection with its handshakes; a machine at work takes its time.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);

/// Where to, as whom, and over what.
#[derive(Debug, Clone, Args)]
pub(crate) struct TargetArgs {
    /// Where to connect to
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// The `Host` of requests, and the name in TLS
    #[arg(long, default_value = "localhost")]
    pub(crate) host: String,
    /// A further field of each request, as `Name: value`
    #[arg(long)]
    pub(crate) header: Vec<String>,
    /// Speak TLS, and believe the authorities of this PEM file
    #[arg(long)]
    pub(crate) ca: Option<PathBuf>,
}

/// What carries bytes both ways: a TCP connection, one in TLS, or a stream of HTTP/2.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Opens streams to one place. Clones are the same.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) args: Arc<TargetArgs>,
    tls: Option<TlsConnector>,
}

/// An answered request: its stream, and what of the body came with the head.
pub(crate) struct Answer {
    pub(crate) io: Box<dyn Io>,
    pub(crate) early: Vec<u8>,
    pub(crate) content_length: Option<u64>,
}

impl Target {
    /// `protocol` is what TLS agrees on: `http/1.1` or `h2`.
    pub(crate) fn new(args: TargetArgs, protocol: &str) -> Result<Self> {
        let tls = args.ca.as_ref().map(|path| {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path)? {
                roots.add(certificate?)?;
            }
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let mut config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
            config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
            anyhow::Ok(TlsConnector::from(Arc::new(config)))
        });
        let tls = tls.transpose().context("read the authorities of --ca")?;
        Ok(Self { args: Arc::new(args), tls })
    }

    /// A connection, in TLS where that is asked for. `receive_bytes`: the kernel's buffer for it.
    pub(crate) async fn connect(&self, receive_bytes: Option<u32>) -> Result<Box<dyn Io>> {
        let opened = timeout(OPEN_TIMEOUT, async {
            let stream = self.tcp(receive_bytes).await?;
            let Some(tls) = &self.tls else { return Ok(Box::new(stream) as Box<dyn Io>) };
            let name = self.args.host.split(':').next().unwrap_or_default().to_owned();
            let stream = tls.connect(ServerName::try_from(name)?, stream).await?;
            Ok(Box::new(stream) as Box<dyn Io>)
        });
        opened.await.with_context(|| format!("no connection within {OPEN_TIMEOUT:?}"))?
    }

    async fn tcp(&self, receive_bytes: Option<u32>) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        let stream = socket.connect(self.args.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The bytes of a request's head. `fields` end in a line break each.
    pub(crate) fn request(&self, method: &str, path: &str, fields: &str) -> Vec<u8> {
        let own: String = self.args.header.iter().flat_map(|line| [line, "\r\n"]).collect();
        format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{own}{fields}\r\n", self.args.host)
            .into_bytes()
    }

    /// Asks with GET on a new connection and reads the head of the answer, which must be 200.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        let mut io = self.connect(None).await?;
        send(&mut *io, &self.request("GET", path, "")).await?;
        read_head(io, 200).await
    }

    /// Opens a WebSocket over HTTP/1.1 on a connection of its own.
    pub(crate) async fn websocket(&self, path: &str) -> Result<Box<dyn Io>> {
        let mut io = self.connect(None).await?;
        let fields = format!(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {}\r\n",
            websocket::KEY
        );
        send(&mut *io, &self.request("GET", path, &fields)).await?;
        let answer = timeout(OPEN_TIMEOUT, read_head(io, 101)).await;
        let answer = answer.context("no answer to a WebSocket handshake")??;
        ensure!(answer.early.is_empty(), "an echo spoke first");
        Ok(answer.io)
    }
}

/// Writes all of it. TLS may keep back what it took, so it is flushed.
pub(crate) async fn send(io: &mut dyn Io, bytes: &[u8]) -> Result<()> {
    io.write_all(bytes).await?;
    Ok(io.flush().await?)
}

/// Reads a head with this status.
pub(crate) async fn read_head(mut io: Box<dyn Io>, status: u16) -> Result<Answer> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let found = Head::find(&bytes).map_err(anyhow::Error::msg)?;
        if let Some((head, length)) = found {
            if head.status() != Some(status) {
                bail!("wanted {status}, got {:?}", head.first_line().collect::<Vec<_>>());
            }
            let content_length = head.content_length();
            return Ok(Answer { io, early: bytes.split_off(length), content_length });
        }
        ensure!(io.read_buf(&mut bytes).await? > 0, "closed before its answer");
    }
}
