//! Answers come back whole or as an error, in time.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use outbound::{Bounds, Outbound, OutboundError, TlsTrust};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const SHORT: Duration = Duration::from_millis(100);

fn outbound(bound: Duration) -> Outbound {
    let bounds = Bounds { connect: bound, answer: bound, silence: bound };
    Outbound::new(&TlsTrust::Insecure, bounds).unwrap()
}

/// A server that answers every connection with these bytes after it has read a head.
async fn server(answer: &'static str, keeps_open: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut kept: Vec<TcpStream> = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _n_read = socket.read(&mut head).await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
            if keeps_open {
                kept.push(socket);
            }
        }
    });
    address
}

fn get(address: &str) -> Request<Full<Bytes>> {
    Request::get(address).body(Full::default()).unwrap()
}

#[tokio::test]
async fn an_answer_comes_back() {
    let address = server("HTTP/1.1 418 no\r\ncontent-length: 2\r\n\r\nhi", true).await;
    let answer = outbound(Duration::from_secs(5)).send(get(&address)).await.unwrap();
    assert_eq!(answer.status(), 418);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hi");
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let address = server("", true).await;
    let error = outbound(SHORT).send(get(&address)).await.unwrap_err();
    assert!(matches!(error, OutboundError::TimedOut { .. }), "{error:?}");
    let address = server("HTTP/1.1 200 ok\r\ncontent-length: 9\r\n\r\nhalf", true).await;
    let answer = outbound(SHORT).send(get(&address)).await.unwrap();
    let error = answer.into_body().collect().await.unwrap_err();
    assert!(matches!(error, OutboundError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error() {
    let address = server("HTTP/1.1 200 ok\r\ncontent-length: 9\r\n\r\nhalf", false).await;
    let answer = outbound(Duration::from_secs(5)).send(get(&address)).await.unwrap();
    let error = answer.into_body().collect().await.unwrap_err();
    assert!(matches!(error, OutboundError::Broken { .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_told_with_the_server_and_no_path() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/secret?x=secret", listener.local_addr().unwrap());
    drop(listener);
    let error = outbound(Duration::from_secs(5)).send(get(&address)).await.unwrap_err();
    assert!(matches!(error, OutboundError::Unreachable { .. }), "{error:?}");
    assert!(!error.to_string().contains("secret"), "{error}");
    for wrong in ["ftp://host/", "http://user:secret@host/", "/path"] {
        let error = outbound(SHORT).send(get(wrong)).await.unwrap_err();
        assert!(matches!(error, OutboundError::Address(_)), "{wrong}: {error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
