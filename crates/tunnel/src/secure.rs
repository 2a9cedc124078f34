//! From a bare connection to one that both ends trust: TLS 1.3, then the proofs of the handshake.
//!
//! TLS gives secrecy and integrity, the launch secret says who is who. So the controller's
//! certificate is made for this process and nobody vouches for it; what keeps an interposer out is
//! the channel binding (RFC 9266, `tls-exporter`): a value that only the two ends of one TLS
//! session can derive goes into both proofs. Whoever terminates TLS in between has two sessions
//! with two values, and can pass no proof on.
//!
//! Always on, also over a Unix socket: at load it costs about a microsecond a request, and there is
//! one way to keep right.

mod read_ahead;
mod verifier;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring as provider};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::handshake::{self, ChannelBinding};
use crate::{HandshakeError, LaunchSecret};
use read_ahead::ReadAhead;
use verifier::AnyCertificate;

/// How long either end waits for the other, for TLS and proofs together.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// The protocol that both ends name in their TLS handshake (RFC 7301).
const PROTOCOL: &[u8] = b"wharf-tunnel";

/// The certificate's name. Nobody checks it: the proofs say who is who.
const NAME: &str = "tunnel.invalid";

/// Label of the channel binding (RFC 9266 section 2); its context is empty.
const BINDING_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// Bytes that a TLS session may hold unsent: what the tunnel hands over in one write.
const UNSENT_BYTES_MAX: usize = 512 * 1024;

/// A bare connection between supervisor and controller: a Unix socket, TCP.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A connection that the handshake was done on, ready for [`crate::start`].
pub type SecureIo<IO> = TlsStream<ReadAhead<IO>>;

/// The key and certificate of one controller process. Clones are the same.
#[derive(Clone)]
pub struct Identity(TlsAcceptor);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

impl Identity {
    /// Makes a new key, which never leaves the process.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> io::Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]);
        let made = made.map_err(io::Error::other)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(ciphers())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map(|config| config.with_no_client_auth())
            .and_then(|config| config.with_single_cert(vec![made.cert.der().clone()], key));
        let mut config = config.map_err(io::Error::other)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        // A lost tunnel is a new session with new proofs; nothing is resumed.
        config.send_tls13_tickets = 0;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// The supervisor's side, on a connection it has just dialled.
///
/// # Errors
/// See [`HandshakeError`]; bounded by [`HANDSHAKE_DEADLINE`].
pub async fn dial<IO>(
    io: IO,
    container_uuid: &str,
    secret: &LaunchSecret,
) -> Result<SecureIo<IO>, HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    within_deadline(async {
        let connector = TlsConnector::from(Arc::new(client_config()?));
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        let tls = connector.connect(name, ReadAhead::new(io)).await.map_err(tls_error)?;
        let mut tls = TlsStream::Client(tls);
        let binding = prepare(&mut tls)?;
        handshake::prove_as_supervisor(&mut tls, &binding, container_uuid, secret).await?;
        Ok(tls)
    })
    .await
}

/// The controller's side, on a connection it has just accepted. `lookup` gives the secret of a
/// container's live launch. Answers the connection and the uuid it now stands for.
///
/// # Errors
/// See [`HandshakeError`]; bounded by [`HANDSHAKE_DEADLINE`], `lookup` included.
pub async fn accept<IO, Lookup, Found>(
    io: IO,
    identity: &Identity,
    lookup: Lookup,
) -> Result<(SecureIo<IO>, String), HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    Lookup: FnOnce(String) -> Found,
    Found: Future<Output = Option<LaunchSecret>>,
{
    within_deadline(async {
        let tls = identity.0.accept(ReadAhead::new(io)).await.map_err(tls_error)?;
        let mut tls = TlsStream::Server(tls);
        let binding = prepare(&mut tls)?;
        let uuid = handshake::prove_as_controller(&mut tls, &binding, lookup).await?;
        Ok((tls, uuid))
    })
    .await
}

async fn within_deadline<T>(
    shaking: impl Future<Output = Result<T, HandshakeError>>,
) -> Result<T, HandshakeError> {
    let shaken = timeout(HANDSHAKE_DEADLINE, shaking).await;
    shaken.map_err(|_elapsed| HandshakeError::TimedOut)?
}

fn client_config() -> Result<ClientConfig, HandshakeError> {
    let ciphers = ciphers();
    let verifier = Arc::new(AnyCertificate::new(&ciphers));
    let mut config = ClientConfig::builder_with_provider(ciphers)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(HandshakeError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// AES-128 before AES-256: as safe here, and a tenth less work.
fn ciphers() -> Arc<CryptoProvider> {
    let cipher_suites = vec![
        provider::cipher_suite::TLS13_AES_128_GCM_SHA256,
        provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    Arc::new(CryptoProvider { cipher_suites, ..provider::default_provider() })
}

/// Sets the session up for a tunnel; answers its channel binding.
fn prepare<IO>(tls: &mut SecureIo<IO>) -> Result<ChannelBinding, HandshakeError> {
    let binding = match tls {
        TlsStream::Client(tls) => {
            let session = tls.get_mut().1;
            session.set_buffer_limit(Some(UNSENT_BYTES_MAX));
            session.export_keying_material(ChannelBinding::default(), BINDING_LABEL, Some(&[]))
        }
        TlsStream::Server(tls) => {
            let session = tls.get_mut().1;
            session.set_buffer_limit(Some(UNSENT_BYTES_MAX));
            session.export_keying_material(ChannelBinding::default(), BINDING_LABEL, Some(&[]))
        }
    };
    binding.map_err(HandshakeError::Tls)
}

/// A peer that talks something else is told from a connection that broke.
fn tls_error(error: io::Error) -> HandshakeError {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(cause) => HandshakeError::Tls(cause.clone()),
        None => HandshakeError::Io(error),
    }
}

#[cfg(test)]
mod tests;
