//! Raw connections through a service host: what is asked, and what comes of each answer.

use client::{Client, ClientError, TlsTrust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::api::token;

const SERVICE: &str = "http://wharf-xvhdp-0123456789abcde-5432.containers.localhost:8000/";

/// Gives one answer to whatever is asked, then sends back what it gets; the head it was asked with.
async fn answering(answer: &'static str) -> (Client, JoinSet<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = socket.split();
        let _ended = tokio::io::copy(&mut reader, &mut writer).await;
        String::from_utf8(head).unwrap()
    });
    (Client::http(&url, token(), &TlsTrust::System).unwrap(), server)
}

#[tokio::test]
async fn a_switch_gives_bytes_both_ways_from_the_first_on() {
    let head =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello";
    // A name below localhost is this machine, whatever the resolver says.
    let (client, mut server) = answering(head).await;
    let mut stream = client.open_tcp(SERVICE).await.unwrap();
    stream.write_all(b" world").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "hello world");
    let asked = server.join_next().await.unwrap().unwrap().to_lowercase();
    assert!(asked.starts_with("get /.wharf/tcp http/1.1\r\n"), "{asked}");
    for line in [
        "host: wharf-xvhdp-0123456789abcde-5432.containers.localhost:8000",
        "connection: upgrade",
        "upgrade: tcp",
        &format!("authorization: bearer {}", token().expose()),
    ] {
        assert!(asked.contains(&format!("\r\n{line}\r\n")), "{line} in {asked}");
    }
}

#[tokio::test]
async fn a_refusal_says_why_in_the_servers_words() {
    let refusal =
        "HTTP/1.1 410 Gone\r\nContent-Length: 34\r\n\r\n{\"errors\":[\"the service is over\"]}";
    let (client, _server) = answering(refusal).await;
    let error = client.open_tcp(SERVICE).await.map(drop).unwrap_err();
    assert_eq!(
        (error.status().map(|status| status.as_u16()), error.to_string().as_str()),
        (Some(410), "the service is over")
    );
}

#[tokio::test]
async fn an_answer_that_switches_nothing_is_not_understood() {
    let (client, _server) = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let error = client.open_tcp(SERVICE).await.map(drop).unwrap_err();
    assert!(matches!(error, ClientError::NotUnderstood { .. }), "{error}");
}
