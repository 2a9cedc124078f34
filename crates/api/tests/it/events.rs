//! Events over a real socket, with a WebSocket client that is not ours.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::fixture::{Fixture, Person, SOON, attributes};

type Socket = WebSocketStream<TcpStream>;

struct Server {
    address: std::net::SocketAddr,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start(fixture: &Fixture) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = fixture.router.clone();
        let task = tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, task }
    }

    async fn connect(&self, token: &str) -> Result<Socket, Error> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let url = format!("ws://{}/websocket?api_token={token}", self.address);
        tokio_tungstenite::client_async(url, stream).await.map(|(socket, _)| socket)
    }

    async fn subscribed(&self, person: &Person, command: Value) -> Socket {
        let mut socket = self.connect(&person.token.expose()).await.unwrap();
        say(&mut socket, &command).await;
        assert_eq!(hear(&mut socket).await, json!({"status": 200}));
        socket
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn say(socket: &mut Socket, command: &Value) {
    socket.send(Message::Text(command.to_string().into())).await.unwrap();
}

/// The next text frame.
async fn hear(socket: &mut Socket) -> Value {
    loop {
        let message = timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap();
        if let Message::Text(text) = message {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

async fn hear_about(socket: &mut Socket, uuid: &str, event_type: &str) -> Value {
    loop {
        let event = hear(socket).await;
        if event["object_uuid"] == uuid && event["event_type"] == event_type {
            return event;
        }
    }
}

#[tokio::test]
async fn everybody_hears_of_what_they_may_see_and_of_nothing_else() {
    let fixture = Fixture::new().await;
    let server = Server::start(&fixture).await;
    let everything = json!({"method": "subscribe"});
    let mut hers = server.subscribed(&fixture.ada, everything.clone()).await;
    let mut all = server.subscribed(&fixture.admin, everything).await;
    let his = fixture.service(&fixture.bob).await;
    let made = fixture.service(&fixture.ada).await;
    let uuid = made["uuid"].as_str().unwrap();
    hear_about(&mut all, his["uuid"].as_str().unwrap(), "create").await;
    let mut last = 0;
    loop {
        let event = hear(&mut hers).await;
        assert_ne!(event["object_owner_uuid"], fixture.bob.user.uuid.as_str(), "{event}");
        assert_ne!(event["object_uuid"], his["container_uuid"], "{event}");
        let id = event["id"].as_i64().unwrap();
        assert!(id > last, "in order");
        last = id;
        if event["object_uuid"] == uuid {
            assert_eq!(event["object_kind"], "arvados#containerRequest");
            assert_eq!(event["properties"]["new_attributes"]["state"], "Committed");
            assert_eq!(event["properties"]["old_attributes"], json!({}));
            break;
        }
    }
}

#[tokio::test]
async fn filters_choose_and_a_container_is_followed_by_its_request() {
    let fixture = Fixture::new().await;
    let server = Server::start(&fixture).await;
    let made = fixture.service(&fixture.ada).await;
    let (uuid, container) = (made["uuid"].as_str().unwrap(), made["container_uuid"].as_str());
    let filters = json!([["object_uuid", "=", uuid], ["event_type", "in", ["update"]]]);
    let command = json!({"method": "subscribe", "filters": filters});
    let mut socket = server.subscribed(&fixture.ada, command).await;
    let container = model::ContainerUuid::parse(container.unwrap()).unwrap();
    fixture.store.lock_container(container, "d").await.unwrap();
    let event = hear(&mut socket).await;
    assert_eq!((&event["object_uuid"], &event["event_type"]), (&json!(uuid), &json!("update")));
    let attributes = event["properties"]["new_attributes"].as_object().unwrap();
    assert!(attributes.contains_key("requesting_container_uuid"), "{event}");
    // Taken back by the same filters, and by no others.
    say(&mut socket, &json!({"method": "unsubscribe", "filters": [["id", ">", 1]]})).await;
    assert_eq!(hear(&mut socket).await["status"], 400);
    say(&mut socket, &json!({"method": "unsubscribe", "filters": filters})).await;
    assert_eq!(hear(&mut socket).await["status"], 200);
    fixture.store.unlock_container(container).await.unwrap();
    say(&mut socket, &json!({"method": "x"})).await;
    assert_eq!(hear(&mut socket).await["status"], 400, "no event came between");
}

#[tokio::test]
async fn a_client_that_was_away_hears_what_it_missed() {
    let fixture = Fixture::new().await;
    let server = Server::start(&fixture).await;
    let before = fixture.store.newest_log().await.unwrap();
    let made = fixture.service(&fixture.ada).await;
    let mut socket = server.connect(&fixture.ada.token.expose()).await.unwrap();
    say(&mut socket, &json!({"method": "subscribe", "last_log_id": before})).await;
    let event = hear_about(&mut socket, made["uuid"].as_str().unwrap(), "create").await;
    assert!(event["id"].as_i64().unwrap() > before);
}

#[tokio::test]
async fn a_socket_needs_a_token_and_ends_with_it() {
    let fixture = Fixture::new().await;
    let server = Server::start(&fixture).await;
    for wrong in ["", "v2/wharf-gj3su-000000000000000/nonsense"] {
        let Err(Error::Http(refused)) = server.connect(wrong).await else { panic!("{wrong}") };
        assert_eq!(refused.status(), 401, "{wrong}");
    }
    let mut socket = server.subscribed(&fixture.ada, json!({"method": "subscribe"})).await;
    fixture.store.delete_token(fixture.ada.token.uuid()).await.unwrap();
    loop {
        match timeout(SOON, socket.next()).await.unwrap() {
            Some(Ok(Message::Close(Some(frame)))) => {
                assert_eq!(u16::from(frame.code), 1008, "{frame}");
                break;
            }
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn users_log_what_they_like_about_what_they_may_read() {
    let fixture = Fixture::new().await;
    let server = Server::start(&fixture).await;
    let mut socket = server.subscribed(&fixture.ada, json!({"method": "subscribe"})).await;
    let made = fixture.post(&fixture.ada, "/arvados/v1/container_requests", attributes(json!({})));
    let uuid = made.await.ok()["uuid"].clone();
    let log = json!({"log": {"event_type": "stderr", "object_uuid": uuid,
        "properties": {"text": "hi"}}});
    let entry = fixture.post(&fixture.ada, "/arvados/v1/logs", log.clone()).await.ok();
    assert!(entry["id"].is_i64() && entry["event_at"].is_string(), "{entry}");
    assert_eq!(entry["object_owner_uuid"], fixture.ada.user.uuid.as_str());
    assert_eq!(entry["object_kind"], "arvados#containerRequest");
    let event = hear_about(&mut socket, uuid.as_str().unwrap(), "stderr").await;
    assert_eq!(event["properties"], json!({"text": "hi"}));
    let words = fixture.post(&fixture.bob, "/arvados/v1/logs", log).await.refused(422);
    assert!(words.contains("object_uuid must be"), "{words}");
    let id = entry["id"].as_i64().unwrap();
    let query =
        format!("/arvados/v1/logs?filters=[[\"id\",\">\",\"{}\"]]&order=id+asc&limit=1", id - 1);
    let query =
        query.replace('"', "%22").replace('[', "%5B").replace(']', "%5D").replace('>', "%3E");
    let listed = fixture.get(&fixture.ada, &query).await.ok();
    assert_eq!(listed["items"][0]["uuid"], entry["uuid"]);
}
