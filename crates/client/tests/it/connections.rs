//! Connections that are kept, closed, refused or silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use client::{Client, ClientError, Deadlines, TlsTrust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::BOUND;
use crate::api::{Server, token};

fn client_of(listener: &TcpListener) -> Client {
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    Client::http(&base_url, token(), &TlsTrust::System).unwrap()
}

#[tokio::test]
async fn one_connection_serves_call_after_call() {
    let server = Server::start().await;
    let client = server.client();
    for _ in 0..5 {
        client.current_user().await.unwrap();
        // Errors are read to their end as well.
        client.without_token().current_user().await.unwrap_err();
    }
    assert_eq!(server.n_connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&listener);
    let n_served = Arc::new(AtomicUsize::new(0));
    let served = Arc::clone(&n_served);
    let server = tokio::spawn(async move {
        for _ in 0..3 {
            // One answer that promises to keep the connection, which is closed all the same.
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let n_read = socket.read(&mut head).await.unwrap();
            assert!(head[..n_read].ends_with(b"\r\n\r\n"));
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"items\":[]}";
            socket.write_all(answer).await.unwrap();
            served.fetch_add(1, Ordering::Relaxed);
        }
    });
    for _ in 0..3 {
        assert_eq!(client.list_images().await.unwrap(), []);
    }
    server.await.unwrap();
    assert_eq!(n_served.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_call_that_may_have_arrived_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&listener);
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        assert!(socket.read(&mut head).await.unwrap() > 0);
        drop(socket);
        // Nobody comes back.
        tokio::time::timeout(Duration::from_millis(200), listener.accept()).await.unwrap_err();
    });
    let error = client.login_link().await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }) && error.is_retryable(), "{error}");
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_by_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&listener);
    drop(listener);
    let error = client.current_user().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }) && error.is_retryable());
    assert!(error.to_string().contains("is `wharf up` running there?"), "{error}");
}

#[tokio::test]
async fn a_silent_server_meets_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let short = Duration::from_millis(50);
    let deadlines = Deadlines { answer: short, stream_head: short, ..Deadlines::default() };
    let client = client_of(&listener).with_deadlines(deadlines);
    let both = async {
        let answer = client.current_user().await.unwrap_err();
        assert!(matches!(answer, ClientError::TimedOut { .. }), "{answer}");
        let Err(stream) = client.events().await else { panic!("there are no events") };
        assert!(matches!(stream, ClientError::TimedOut { .. }), "{stream}");
    };
    tokio::time::timeout(BOUND, both).await.unwrap();
}
