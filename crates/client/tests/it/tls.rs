//! Whom the client believes over https.

use std::io::Write;
use std::sync::Arc;

use client::{Client, ClientError, TlsTrust};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::api::token;

/// Serves one fixed answer per connection over TLS, with a certificate of its own for `localhost`.
struct TlsServer {
    base_url: String,
    certificate: tempfile::NamedTempFile,
    _tasks: JoinSet<()>,
}

impl TlsServer {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::from(key))
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let mut certificate = tempfile::NamedTempFile::new().unwrap();
        certificate.write_all(made.cert.pem().as_bytes()).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                // A client that does not believe us hangs up here.
                let Ok(mut socket) = acceptor.accept(socket).await else { continue };
                let mut head = [0; 4096];
                let Ok(_) = socket.read(&mut head).await else { continue };
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"items\":[]}";
                let _gone = socket.write_all(answer).await;
                let _gone = socket.shutdown().await;
            }
        });
        Self { base_url, certificate, _tasks: tasks }
    }

    fn client(&self, trust: &TlsTrust) -> Result<Client, ClientError> {
        Client::http(&self.base_url, token(), trust)
    }
}

#[tokio::test]
async fn a_certificate_of_the_named_authority_is_believed() {
    let server = TlsServer::start().await;
    let client = server.client(&TlsTrust::File(server.certificate.path().to_owned())).unwrap();
    assert_eq!(client.list_images().await.unwrap(), []);
}

#[tokio::test]
async fn any_certificate_is_believed_when_told_so() {
    let server = TlsServer::start().await;
    let client = server.client(&TlsTrust::Insecure).unwrap();
    assert_eq!(client.list_images().await.unwrap(), []);
}

#[tokio::test]
async fn a_stranger_is_refused_and_the_error_says_what_to_set() {
    let server = TlsServer::start().await;
    let other = TlsServer::start().await;
    let client = server.client(&TlsTrust::File(other.certificate.path().to_owned())).unwrap();
    let error = client.list_images().await.unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }), "{error}");
    assert!(error.to_string().contains("ARVADOS_API_HOST_INSECURE"), "{error}");
}

#[tokio::test]
async fn roots_that_are_none_are_named() {
    let server = TlsServer::start().await;
    let empty = tempfile::NamedTempFile::new().unwrap();
    for path in [empty.path().to_owned(), "/no/such/file".into()] {
        let error = server.client(&TlsTrust::File(path.clone())).unwrap_err();
        let name = path.display().to_string();
        assert!(matches!(&error, ClientError::Roots { .. }) && error.to_string().contains(&name));
    }
}
