//! Which servers are believed to be who they say.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Where distributions keep the roots that they trust.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The certificates to trust could not be loaded.
#[derive(Debug, thiserror::Error)]
#[error("cannot load the certificates to trust from {}", path.display())]
pub struct RootsError {
    /// The file, or where one was looked for.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub source: io::Error,
}

/// What an https server must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsTrust {
    /// A certificate that the distribution's roots vouch for.
    System,
    /// A certificate that a root of this PEM file vouches for.
    File(PathBuf),
    /// Anything: for a test machine whose operator said so (`ARVADOS_API_HOST_INSECURE`).
    Insecure,
}

impl TlsTrust {
    /// What TLS is told: HTTP/1.1, and these roots.
    ///
    /// # Errors
    /// When the roots cannot be read, or there are none.
    pub fn client_config(&self) -> Result<ClientConfig, RootsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring serves the default protocol versions");
        let mut config = match self {
            Self::Insecure => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptAny { algorithms }))
                .with_no_client_auth(),
            Self::File(path) => {
                builder.with_root_certificates(load_roots(path)?).with_no_client_auth()
            }
            Self::System => {
                let found = SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.is_file());
                let roots = load_roots(found.unwrap_or(Path::new(SYSTEM_BUNDLES[0])))?;
                builder.with_root_certificates(roots).with_no_client_auth()
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn load_roots(path: &Path) -> Result<RootCertStore, RootsError> {
    let wrong = |source: io::Error| RootsError { path: path.to_owned(), source };
    let pem = std::fs::read(path).map_err(wrong)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| wrong(io::Error::other(error)))?;
        // Distributions ship roots that ring cannot read; one bad root must not lock out the rest.
        let _skipped = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(wrong(io::Error::new(io::ErrorKind::InvalidData, "no certificate in it")));
    }
    Ok(roots)
}

/// Checks that the server holds the key of the certificate it shows, and nothing else.
#[derive(Debug)]
struct AcceptAny {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
