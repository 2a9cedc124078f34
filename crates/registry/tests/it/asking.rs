//! Challenges, redirects, and bytes that are not what they should be.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::TryStreamExt as _;
use outbound::{Bounds, Outbound, TlsTrust};
use registry::{Limits, Logins, Platform, PullError, Pulled};
use ring::digest::{SHA256, digest};
use serde_json::json;

use crate::server::{Answer, Server};

const LAYER: &[u8] = b"the bytes of a layer";

fn sha256(bytes: &[u8]) -> String {
    let digits: String =
        digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// An image of one layer: its configuration and manifest.
struct Image {
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Image {
    fn new() -> Self {
        let config = serde_json::to_vec(&Platform::here()).unwrap();
        let manifest = json!({
            "schemaVersion": 2,
            "config": {"digest": sha256(&config), "size": config.len()},
            "layers": [{"digest": sha256(LAYER), "size": LAYER.len()}],
        });
        Self { config, manifest: manifest.to_string().into_bytes() }
    }

    /// Puts all of it there, for those who show this.
    fn offer(&self, server: &Server, authorization: Option<&str>) {
        server.answer("/v2/app/manifests/1", authorization, Answer::ok(&*self.manifest));
        server.answer(&blob_path(&self.config), authorization, Answer::ok(&*self.config));
    }
}

fn blob_path(bytes: &[u8]) -> String {
    format!("/v2/app/blobs/{}", sha256(bytes))
}

async fn pull(server: &Server, logins: &Logins) -> Result<Pulled, PullError> {
    let bound = Duration::from_secs(20);
    let bounds = Bounds { connect: bound, answer: bound, silence: bound };
    let outbound = Outbound::new(&TlsTrust::Insecure, bounds).unwrap();
    let reference = format!("{}/app:1", server.host).parse().unwrap();
    let progress = Arc::new(|_n_bytes, _total| {});
    registry::pull(outbound, reference, logins, &Platform::here(), Limits::default(), progress)
        .await
}

#[tokio::test]
async fn a_token_is_got_from_the_realm_and_stays_with_the_registry() {
    let (server, store) = (Server::start().await, Server::start().await);
    let realm = format!("http://{}/token", server.host);
    let challenge = format!(
        "401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"{realm}\",service=\"here\",scope=\"repository:app:pull\""
    );
    server.answer("/v2/app/manifests/1", None, Answer::of(&challenge));
    let basic = format!("Basic {}", BASE64_STANDARD.encode("ada:secret"));
    let token = json!({"token": "abc"}).to_string();
    let asked = "/token?scope=repository%3Aapp%3Apull&service=here";
    server.answer(asked, Some(&basic), Answer::ok(token));
    let image = Image::new();
    image.offer(&server, Some("Bearer abc"));
    let elsewhere =
        format!("307 Temporary Redirect\r\nLocation: http://{}/layer?signed=x", store.host);
    server.answer(&blob_path(LAYER), Some("Bearer abc"), Answer::of(&elsewhere));
    store.answer("/layer?signed=x", None, Answer::ok(LAYER));
    let strangers = pull(&server, &Logins::default()).await;
    assert!(matches!(strangers, Err(PullError::Denied { .. })), "{strangers:?}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let auth = BASE64_STANDARD.encode("ada:secret");
    std::fs::write(file.path(), json!({"auths": {&server.host: {"auth": auth}}}).to_string())
        .unwrap();
    let pulled = pull(&server, &Logins::load(file.path()).unwrap()).await.unwrap();
    assert_eq!(pulled.digest, sha256(&image.manifest));
    // The credentials of the registry went nowhere else.
    assert_eq!(store.asked(), [("/layer?signed=x".to_owned(), None)]);
    let archive: Vec<bytes::Bytes> = pulled.archive().try_collect().await.unwrap();
    let archive = archive.concat();
    assert_eq!(archive.len() as u64, pulled.n_bytes());
    let mut members = tar::Archive::new(&archive[..]);
    let names: Vec<String> = members
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names[..2], ["oci-layout", "index.json"]);
    assert_eq!(names.len(), 5);
}

#[tokio::test]
async fn nobody_is_followed_off_tls_to_another_machine() {
    let server = Server::start().await;
    Image::new().offer(&server, None);
    let away = "302 Found\r\nLocation: http://registry.example.com/layer";
    server.answer(&blob_path(LAYER), None, Answer::of(away));
    let refusal = pull(&server, &Logins::default()).await.unwrap_err().to_string();
    assert!(refusal.contains("not https"), "{refusal}");
    let circle = format!("302 Found\r\nLocation: {}", blob_path(LAYER));
    let server = Server::start().await;
    Image::new().offer(&server, None);
    server.answer(&blob_path(LAYER), None, Answer::of(&circle));
    let refusal = pull(&server, &Logins::default()).await.unwrap_err().to_string();
    assert!(refusal.contains("on and on"), "{refusal}");
    let server = Server::start().await;
    let challenge = "401 No\r\nWWW-Authenticate: Bearer realm=\"http://auth.example.com/\"";
    server.answer("/v2/app/manifests/1", None, Answer::of(challenge));
    let refusal = pull(&server, &Logins::default()).await.unwrap_err().to_string();
    assert!(refusal.contains("not https"), "{refusal}");
}

#[tokio::test]
async fn a_transfer_that_breaks_off_is_begun_again() {
    let server = Server::start().await;
    Image::new().offer(&server, None);
    let half = Answer {
        head: format!("200 OK\r\nContent-Length: {}", LAYER.len()),
        body: LAYER[..5].to_vec(),
    };
    server.answer(&blob_path(LAYER), None, half.clone());
    server.answer(&blob_path(LAYER), None, half.clone());
    server.answer(&blob_path(LAYER), None, Answer::ok(LAYER));
    pull(&server, &Logins::default()).await.unwrap();
    // Not for ever.
    let server = Server::start().await;
    Image::new().offer(&server, None);
    server.answer(&blob_path(LAYER), None, half);
    let error = pull(&server, &Logins::default()).await.unwrap_err();
    assert!(matches!(error, PullError::Outbound(_)), "{error:?}");
    assert_eq!(server.asked().iter().filter(|(path, _)| *path == blob_path(LAYER)).count(), 3);
}

#[tokio::test]
async fn other_bytes_than_were_named_are_refused() {
    for wrong in [&b"the bytes of a layeR"[..], b"the bytes of a layer and more", b"the bytes"] {
        let server = Server::start().await;
        Image::new().offer(&server, None);
        server.answer(&blob_path(LAYER), None, Answer::ok(wrong));
        let error = pull(&server, &Logins::default()).await.unwrap_err();
        assert!(matches!(error, PullError::Digest { .. }), "{error:?}");
    }
}
