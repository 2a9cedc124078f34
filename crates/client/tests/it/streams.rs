//! Bodies that stream: uploads, logs, events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use client::{ApiEvent, Client, LogSelection, LogStreamName};
use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::BOUND;
use crate::api::{Server, router, token};

/// More than fits into any buffer on the way.
const IMAGE_BYTES: u64 = 20 << 20;

async fn on_both(check: impl AsyncFn(Client, Arc<Notify>)) {
    let server = Server::start().await;
    check(server.client(), Arc::clone(&server.go_on)).await;
    let go_on = Arc::new(Notify::new());
    check(Client::in_memory(router(&go_on), token()), go_on).await;
}

#[tokio::test]
async fn an_image_is_sent_from_its_file_with_progress() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(IMAGE_BYTES).unwrap();
    on_both(async |client, _| {
        let sent = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&sent);
        let progress = Arc::new(move |n_bytes| seen.store(n_bytes, Ordering::Relaxed));
        let archive = tokio::fs::File::open(file.path()).await.unwrap();
        let imported = client.import_image_file(archive, Some("a&b:1"), progress).await.unwrap();
        assert_eq!((imported.size_bytes, imported.names), (IMAGE_BYTES, vec!["a&b:1".to_owned()]));
        assert_eq!(sent.load(Ordering::Relaxed), IMAGE_BYTES);
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_is_refused_unread_says_why() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(IMAGE_BYTES).unwrap();
    on_both(async |client, _| {
        for _ in 0..10 {
            let error = client.import_image_path(file.path(), Some("refused")).await.unwrap_err();
            assert_eq!(error.to_string(), "only administrators import images");
        }
    })
    .await;
}

#[tokio::test]
async fn log_lines_arrive_as_they_are_written() {
    on_both(async |client, go_on| {
        let selection = LogSelection { stream: LogStreamName::All, follow: true, tail: Some(7) };
        let mut log = client.logs("wharf-dz642-0123456789abcde", selection).await.unwrap();
        let first = timeout(BOUND, log.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(&first[..], b"one\ntw");
        go_on.notify_one();
        let second = timeout(BOUND, log.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(&second[..], b"o\n");
        assert!(log.next().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn events_arrive_as_they_happen() {
    on_both(async |client, go_on| {
        let mut events = client.events().await.unwrap();
        let first = timeout(BOUND, events.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(first, ApiEvent::Changed { kind: "link".into(), uuid: "a".into() });
        go_on.notify_one();
        let second = timeout(BOUND, events.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(second, ApiEvent::Everything);
        assert!(events.next().await.is_none());
    })
    .await;
}
