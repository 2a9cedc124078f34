//! `GET /websocket`: events as they happen, in Arvados's protocol (version 0).
//!
//! A client sends `{"method": "subscribe", "filters": […], "last_log_id": n}` and gets `{"status": 200}`, then a frame
//! for each log entry that it may see and that its filters let through ([`event`]). Nothing is queued here: a socket
//! keeps the number of the last entry that it has dealt with, and reads on in the records when something changed. So a
//! slow client costs no memory and misses nothing, and who may see an entry is decided as for a list of them, at the
//! moment at which it is sent.
//!
//! ```text
//! change ► wait for others of the same moment ► entries after the last one, by subscription ► frames
//! ```

mod event;
mod subscription;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, header};
use serde_json::{Value, json};
use store::StoreError;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use crate::call::Parameters;
use crate::caller::{Caller, authenticate, authenticate_token};
use crate::caller_watch::{CallerWatch, Heard};
use crate::error::ApiError;
use crate::router::{Api, WEBSOCKET};
use event::event;
use subscription::{Subscription, parse};

/// Largest frame from a client: a subscription with a page of identifiers.
const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Subscriptions of one socket; clients have one.
const SUBSCRIPTIONS_MAX: usize = 16;
/// Changes that come within this time are read together: a start of a service makes some ten.
const GATHERING: Duration = Duration::from_millis(50);
/// Numbers of entries looked through at a time.
const WINDOW: i64 = 200;
/// How far back a client that was away may begin.
const BACKLOG_MAX: i64 = 10_000;
/// How long one frame may take to be taken by the client's side.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a silent socket is asked whether its client is still there.
const PING_PERIOD: Duration = Duration::from_secs(30);

/// Opens a socket for whoever presents a token, in the query as Arvados's clients do or in the header.
pub(crate) async fn open(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let caller = match caller(&api, query.as_deref(), &headers).await {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            return ApiError::field("websocket", rejection.to_string()).into_response();
        }
    };
    let Ok(place) = api.sockets().clone().try_acquire_owned() else {
        let words = "all places for event sockets are taken (API.MaxEventSockets)".to_owned();
        return ApiError::TooMany(words).into_response();
    };
    upgrade.max_message_size(FRAME_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX).on_upgrade(
        move |socket| async move {
            Session::new(api, caller, place).run(socket).await;
        },
    )
}

async fn caller(api: &Api, query: Option<&str>, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let parameters = Parameters::parse(query.unwrap_or_default());
    match parameters.text("api_token") {
        Some(token) if !headers.contains_key(header::AUTHORIZATION) => {
            authenticate_token(api.store(), token, &Method::GET, WEBSOCKET).await
        }
        _ => authenticate(api.store(), headers, &Method::GET, WEBSOCKET).await,
    }
}

/// Why a socket ends.
enum End {
    /// The client went away, or does not take what it asked for.
    Gone,
    /// The token holds no more.
    TokenOver,
    /// The records cannot be read.
    Failed,
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        tracing::warn!(?error, "an event socket ends: the log cannot be read");
        Self::Failed
    }
}

/// One socket.
struct Session {
    api: Api,
    watch: CallerWatch,
    subscriptions: Vec<Subscription>,
    /// The last entry that was dealt with.
    last: i64,
    n_sent: u64,
    _place: OwnedSemaphorePermit,
}

impl Session {
    fn new(api: Api, caller: Caller, place: OwnedSemaphorePermit) -> Self {
        let watch = CallerWatch::new(api.clone(), caller, WEBSOCKET);
        Self { api, watch, subscriptions: Vec::new(), last: 0, n_sent: 0, _place: place }
    }

    async fn run(mut self, mut socket: WebSocket) {
        let (code, reason) = match self.serve(&mut socket).await {
            Ok(()) | Err(End::Gone) => return,
            Err(End::TokenOver) => (close_code::POLICY, "the token does not hold any more"),
            Err(End::Failed) => (close_code::ERROR, "the log cannot be read"),
        };
        let farewell = CloseFrame { code, reason: reason.into() };
        // Whoever does not listen has gone already.
        let _told = timeout(SEND_TIMEOUT, socket.send(Message::Close(Some(farewell)))).await;
    }

    async fn serve(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        self.last = self.api.store().newest_log().await?;
        let mut ping = tokio::time::interval(PING_PERIOD);
        let mut due: Option<Instant> = None;
        loop {
            let at = due.unwrap_or_else(Instant::now);
            tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => self.answer(socket, &text).await?,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                    Some(Ok(_)) => {}
                },
                heard = self.watch.hear() => match heard {
                    Heard::Notice(notice) => {
                        self.watch.check(&notice).await.ok_or(End::TokenOver)?;
                        due.get_or_insert_with(|| Instant::now() + GATHERING);
                    }
                    Heard::Silence => {}
                    Heard::Over => return Err(End::TokenOver),
                },
                () = tokio::time::sleep_until(at), if due.is_some() => {
                    due = None;
                    self.deliver(socket).await?;
                }
                _tick = ping.tick() => send(socket, Message::Ping(Vec::new().into())).await?,
            }
        }
    }

    /// Does what a client's frame says, and tells it whether that was understood.
    async fn answer(&mut self, socket: &mut WebSocket, text: &str) -> Result<(), End> {
        let done = match parse(text) {
            Ok(subscription::Command::Subscribe(subscription)) => {
                self.subscribe(socket, subscription).await?
            }
            Ok(subscription::Command::Unsubscribe(filters)) => self.unsubscribe(&filters),
            Err(words) => Err(words),
        };
        let answer = match done {
            Ok(()) => json!({ "status": 200 }),
            Err(words) => json!({ "status": 400, "errors": [words] }),
        };
        send(socket, Message::Text(answer.to_string().into())).await
    }

    async fn subscribe(
        &mut self,
        socket: &mut WebSocket,
        subscription: Subscription,
    ) -> Result<Result<(), String>, End> {
        if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return Ok(Err(format!("a socket has {SUBSCRIPTIONS_MAX} subscriptions at most")));
        }
        if let Some(after) = subscription.after {
            let mut from = after.max(self.last - BACKLOG_MAX).max(0);
            while from < self.last {
                let to = self.last.min(from + WINDOW);
                let found = self.entries(&[&subscription], from, to).await?;
                self.send_all(socket, found).await?;
                from = to;
            }
        }
        self.subscriptions.push(subscription);
        Ok(Ok(()))
    }

    fn unsubscribe(&mut self, filters: &Value) -> Result<(), String> {
        let known = self.subscriptions.iter().position(|known| known.filters_sent == *filters);
        let at = known.ok_or("no subscription has these filters")?;
        self.subscriptions.remove(at);
        Ok(())
    }

    /// Sends what came since the last time.
    async fn deliver(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let newest = self.api.store().newest_log().await?;
        while self.last < newest && !self.subscriptions.is_empty() {
            let to = newest.min(self.last + WINDOW);
            let subscriptions: Vec<&Subscription> = self.subscriptions.iter().collect();
            let found = self.entries(&subscriptions, self.last, to).await?;
            self.send_all(socket, found).await?;
            self.last = to;
        }
        self.last = self.last.max(newest);
        Ok(())
    }

    /// The entries after one number up to another that the caller may see and one of the subscriptions lets through.
    async fn entries(
        &self,
        subscriptions: &[&Subscription],
        after: i64,
        to: i64,
    ) -> Result<BTreeMap<i64, model::JsonMap>, End> {
        let reader = self.watch.caller.reader();
        let mut found = BTreeMap::new();
        for subscription in subscriptions {
            let query = subscription.query(after, to, WINDOW);
            let page = self.api.store().list(store::Resource::Logs, &query, &reader).await?;
            for entry in page.items {
                let id = entry.get("id").and_then(Value::as_i64).unwrap_or_default();
                found.insert(id, entry);
            }
        }
        Ok(found)
    }

    async fn send_all(
        &mut self,
        socket: &mut WebSocket,
        entries: BTreeMap<i64, model::JsonMap>,
    ) -> Result<(), End> {
        for entry in entries.into_values() {
            self.n_sent += 1;
            let frame = event(self.n_sent, &entry).to_string();
            send(socket, Message::Text(frame.into())).await?;
        }
        Ok(())
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), End> {
    match timeout(SEND_TIMEOUT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}
