//! The same over a real socket, with hyper on both sides.

use http::Method;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::fixture::{Fixture, SOON, attributes, request};

#[tokio::test]
async fn a_service_can_be_submitted_and_watched_over_a_socket() {
    let fixture = Fixture::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = fixture.router.clone();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let connect = async || {
        let socket = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (sender, connection) = hyper::client::conn::http1::handshake(socket).await.unwrap();
        (sender, tokio::spawn(connection))
    };
    let (mut watch, watch_task) = connect().await;
    let open = request(Method::GET, "/wharf/v1/events", Some(&fixture.ada.token), "");
    let mut events = watch.send_request(open).await.unwrap().into_body();
    let (mut sender, task) = connect().await;
    let body = attributes(json!({"state": "Committed"})).to_string();
    let post =
        request(Method::POST, "/arvados/v1/container_requests", Some(&fixture.ada.token), body);
    let response = sender.send_request(post).await.unwrap();
    assert_eq!(response.status(), 200);
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let made: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(made["state"], "Committed");
    let first = timeout(SOON, events.frame()).await.unwrap().unwrap().unwrap();
    assert!(first.data_ref().unwrap().starts_with(b"event: change\n"));
    // An expectation is answered before the body is sent; errors keep the connection usable.
    let get = request(Method::GET, "/arvados/v1/nothing", Some(&fixture.ada.token), "");
    assert_eq!(sender.send_request(get).await.unwrap().status(), 404);
    drop((sender, watch, events));
    for task in [task, watch_task] {
        timeout(SOON, task).await.unwrap().unwrap().unwrap();
    }
    server.abort();
}
