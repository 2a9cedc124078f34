//! An API over a store in memory, with an image and logs that are made up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::{
    Api, ApiConfig, Blocks, ByteStream, ContainerFigures, FigureSource, ImageFault, ImageSummary,
    Images, LogFile, LogQuery, LogSource, LogStream, ResolvedImage, Sources,
};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use history::{Series, Span, Traffic, Usage};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use keep::{FileVolume, Keep, KeepOptions, Mount, Signer};
use model::{ApiToken, ContainerUuid, ServiceDomain, User, UserUuid};
use serde_json::{Value, json};
use store::{NewToken, NewUser, Store, StoreOptions};
use tower::ServiceExt as _;

pub(crate) const IMAGE_ID: &str =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// How long permissions on blocks hold.
pub(crate) const SIGNATURES_HOLD: Duration = Duration::from_secs(1000);

pub(crate) struct Fixture {
    pub(crate) router: Router,
    pub(crate) store: Store,
    pub(crate) admin: Person,
    pub(crate) ada: Person,
    pub(crate) bob: Person,
    /// Where blocks are.
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) struct Person {
    pub(crate) user: User,
    pub(crate) token: ApiToken,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()
    }

    /// The errors of a refusal, one text.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let body = self.json();
        let errors = body["errors"].as_array().expect("errors is a list");
        let id = self.headers.get("x-request-id").map_or("", |id| id.to_str().unwrap());
        let suffix = format!(" ({id})");
        // Behind each text; what the text says is asked here.
        let text = |text: &Value| text.as_str().unwrap().trim_end_matches(&suffix).to_owned();
        errors.iter().map(text).collect::<Vec<_>>().join("; ")
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(|config| config).await
    }

    pub(crate) async fn with(change: impl FnOnce(ApiConfig) -> ApiConfig) -> Self {
        let store =
            Store::open(std::path::Path::new(":memory:"), StoreOptions::default()).await.unwrap();
        store.ensure_system_user().await.unwrap();
        let admin = person(&store, "admin", true).await;
        let (ada, bob) = (person(&store, "ada", false).await, person(&store, "bob", false).await);
        let domain = ServiceDomain::parse("http://*.s.localhost:8000/").unwrap();
        let config = change(ApiConfig::new("http://localhost:8000", domain));
        let dir = tempfile::tempdir().unwrap();
        let volume = FileVolume::open(dir.path()).await.unwrap();
        let keep = Keep::new(vec![Mount::new("near", Arc::new(volume))], KeepOptions::default());
        let signer = Some(Signer::new(b"a key", SIGNATURES_HOLD));
        let blocks = Blocks { keep, signer };
        let images = Arc::new(OneImage::default());
        let sources = Sources {
            images,
            logs: Arc::new(TwoLogs),
            figures: Arc::new(OneSlot),
            visitors: Arc::new(TwoLogs),
            shells: Arc::new(TwoLogs),
            site: Arc::new(TwoLogs),
        };
        let api = Api::new(store.clone(), config, blocks, sources);
        Self { router: api.in_front_of(api.router()), store, admin, ada, bob, dir }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn exchange(&self, request: Request<Body>) -> Answer {
        answer(self.send(request).await).await
    }

    pub(crate) async fn get(&self, person: &Person, path: &str) -> Answer {
        self.call(Method::GET, person, path, Value::Null).await
    }

    pub(crate) async fn post(&self, person: &Person, path: &str, body: Value) -> Answer {
        self.call(Method::POST, person, path, body).await
    }

    pub(crate) async fn put(&self, person: &Person, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, person, path, body).await
    }

    pub(crate) async fn delete(&self, person: &Person, path: &str) -> Answer {
        self.call(Method::DELETE, person, path, Value::Null).await
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        person: &Person,
        path: &str,
        body: Value,
    ) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.exchange(request(method, path, Some(&person.token), body)).await
    }

    /// A project of this user, or in what `over` says.
    pub(crate) async fn project(&self, person: &Person, over: Value) -> String {
        let mut group = json!({"group_class": "project", "name": "Lab"});
        for (name, value) in over.as_object().unwrap() {
            group[name] = value.clone();
        }
        let path = "/arvados/v1/groups?ensure_unique_name=true";
        let made = self.post(person, path, json!({"group": group})).await.ok();
        made["uuid"].as_str().unwrap().to_owned()
    }

    /// `by` gives `to` a permission.
    pub(crate) async fn grant(&self, by: &Person, to: &str, name: &str, head: &str) -> Answer {
        let link = json!({
            "link_class": "permission", "name": name, "tail_uuid": to, "head_uuid": head,
        });
        self.post(by, "/arvados/v1/links", json!({"link": link})).await
    }

    /// A committed service of this user.
    pub(crate) async fn service(&self, person: &Person) -> Value {
        let body = json!({"container_request": attributes(json!({"state": "Committed"}))});
        self.post(person, "/arvados/v1/container_requests", body).await.ok()
    }
}

pub(crate) async fn answer(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

pub(crate) fn request(
    method: Method,
    path: &str,
    token: Option<&ApiToken>,
    body: impl Into<Body>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {}", token.expose()));
    }
    request.body(body.into()).unwrap()
}

/// A service's attributes with these over them.
pub(crate) fn attributes(over: Value) -> Value {
    let mut all = json!({
        "name": "notebook", "command": ["serve"], "container_image": "demo",
        "output_path": "/out", "mounts": {"/out": {"kind": "tmp", "capacity": 1000}},
        "runtime_constraints": {"ram": 1000, "vcpus": 1}, "priority": 500, "service": true,
        "published_ports": {"80": {"access": "private", "label": "Notebook"}},
    });
    for (name, value) in over.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

async fn person(store: &Store, name: &str, is_admin: bool) -> Person {
    let new =
        NewUser { username: name.to_owned(), is_active: true, is_admin, ..NewUser::default() };
    let user = store.create_user(new).await.unwrap();
    let token = token(store, &user, &["all"]).await;
    Person { user, token }
}

pub(crate) async fn token(store: &Store, user: &User, scopes: &[&str]) -> ApiToken {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let new = NewToken { owner: user.uuid, scopes, expires_at: None, made_by: user.uuid };
    store.create_token(new).await.unwrap().0
}

/// A store with one image, `demo:latest`, that counts what it is sent.
#[derive(Default)]
struct OneImage {
    imported: Mutex<BTreeMap<String, u64>>,
}

impl Images for OneImage {
    fn resolve<'a>(
        &'a self,
        image: &'a str,
    ) -> BoxFuture<'a, Result<Option<ResolvedImage>, String>> {
        let known = matches!(image, "demo" | "demo:latest") || image == IMAGE_ID;
        let image =
            ResolvedImage { id: IMAGE_ID.to_owned(), names: vec!["demo:latest".to_owned()] };
        async move { Ok(known.then_some(image)) }.boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<ImageSummary>, String>> {
        let imported = self.imported.lock().unwrap();
        let images = imported.iter().map(|(name, size)| summary(name, *size)).collect();
        async move { Ok(images) }.boxed()
    }

    fn import<'a>(
        &'a self,
        archive: ByteStream,
        name: Option<&'a str>,
        _owner: UserUuid,
    ) -> BoxFuture<'a, Result<ImageSummary, ImageFault>> {
        async move {
            let size = archive
                .try_fold(0, |size, piece| async move { Ok(size + piece.len() as u64) })
                .await
                .map_err(|error| ImageFault::Refused(error.to_string()))?;
            let name = name.unwrap_or("nameless");
            self.imported.lock().unwrap().insert(name.to_owned(), size);
            Ok(summary(name, size))
        }
        .boxed()
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, String>> {
        let removed = self.imported.lock().unwrap().remove(name).is_some();
        async move { Ok(removed) }.boxed()
    }
}

fn summary(name: &str, size_bytes: u64) -> ImageSummary {
    let id = IMAGE_ID.to_owned();
    ImageSummary { id, names: vec![name.to_owned()], size_bytes, created: None, layers: 1 }
}

pub(crate) const STDOUT: &str = "2026-01-01T00:00:01.000000000Z one\n";

/// Two lines on each output, interleaved in time, in pieces that break anywhere.
struct TwoLogs;

impl api::Shells for TwoLogs {
    fn open<'a>(
        &'a self,
        _container: &'a ContainerUuid,
    ) -> BoxFuture<'a, Result<Box<dyn api::ShellIo>, String>> {
        async { Err("no container runs here".to_owned()) }.boxed()
    }
}

impl api::SiteSource for TwoLogs {
    fn node(&self) -> &str {
        "here"
    }
    fn capacity(&self) -> BoxFuture<'_, Result<model::site::Capacity, store::StoreError>> {
        async { Ok(model::site::Capacity::default()) }.boxed()
    }
    fn site(&self) -> BoxFuture<'_, Result<model::site::Site, store::StoreError>> {
        async { Err(store::StoreError::Busy) }.boxed()
    }
}

impl api::Visitors for TwoLogs {
    fn of(&self, _container: ContainerUuid) -> BoxFuture<'_, model::visitors::Visitors> {
        async { model::visitors::Visitors::default() }.boxed()
    }
}

impl LogSource for TwoLogs {
    fn files<'a>(
        &'a self,
        _container: &'a ContainerUuid,
    ) -> BoxFuture<'a, Result<Vec<LogFile>, String>> {
        let file = |name: &str, text: &str| LogFile {
            name: name.to_owned(),
            n_bytes: text.len() as u64,
            modified_at: std::time::UNIX_EPOCH,
        };
        async move { Ok(vec![file("node.json", "{}"), file("stdout.txt", STDOUT)]) }.boxed()
    }

    fn read<'a>(
        &'a self,
        _container: &'a ContainerUuid,
        name: &'a str,
        range: std::ops::Range<u64>,
    ) -> BoxFuture<'a, Result<ByteStream, String>> {
        let text = if name == "node.json" { "{}" } else { STDOUT };
        let at = |n: u64| usize::try_from(n).unwrap();
        let text = &text[at(range.start)..at(range.end)];
        let pieces = stream::iter([Ok(Bytes::from_static(text.as_bytes()))]);
        async move { Ok(Box::pin(pieces) as ByteStream) }.boxed()
    }

    fn open<'a>(
        &'a self,
        _container: &'a ContainerUuid,
        query: LogQuery,
    ) -> BoxFuture<'a, Result<Option<ByteStream>, String>> {
        let pieces: &'static [&'static str] = match query.stream {
            LogStream::Stdout => &["2026-01-01T00:00:01Z o", "ne\n2026-01-01T00:00:03Z three\n"],
            LogStream::Stderr => &["2026-01-01T00:00:02Z two\n2026-01-01T00:00:04Z ", "four"],
            LogStream::CrunchRun => return async { Ok(None) }.boxed(),
        };
        let lines = stream::iter(pieces).map(|piece| Ok(Bytes::from(*piece)));
        async move { Ok(Some(Box::pin(lines) as ByteStream)) }.boxed()
    }
}

/// A container that used half a CPU in the last slot, and was asked for five things a second in it.
struct OneSlot;

/// When the last slot ends, in seconds since 1970.
pub(crate) const FIGURES_END_S: u64 = 1_796_299_200;

impl OneSlot {
    fn usage(span: Span) -> Series<Usage> {
        let mut series = Series::empty(span, FIGURES_END_S + 1);
        let used = Usage { watched_ms: 5_000, cpu_us: 2_500_000, ..Usage::default() };
        *series.slots.last_mut().unwrap() =
            Some(Usage { memory_bytes_max: 1 << 20, n_processes_max: 3, ..used });
        series
    }
}

impl FigureSource for OneSlot {
    fn of<'a>(
        &'a self,
        _container: &'a ContainerUuid,
        span: Span,
    ) -> BoxFuture<'a, Result<ContainerFigures, String>> {
        let mut traffic = Series::empty(span, FIGURES_END_S + 1);
        let seconds = traffic.seconds_of(traffic.slots.len() - 1);
        let mut asked =
            Traffic { open_ms: 2_000 * seconds, bytes_out: 70 * seconds, ..Traffic::default() };
        asked.by_class[1] = 5 * seconds;
        asked.first_byte[2] = 5 * seconds;
        *traffic.slots.last_mut().unwrap() = Some(asked);
        async move { Ok(ContainerFigures { usage: Self::usage(span), traffic }) }.boxed()
    }

    fn usages(
        &self,
        containers: Vec<ContainerUuid>,
        span: Span,
    ) -> BoxFuture<'_, Result<Vec<Series<Usage>>, String>> {
        async move { Ok(containers.iter().map(|_| Self::usage(span)).collect()) }.boxed()
    }
}

/// A bound for what should take milliseconds.
pub(crate) const SOON: Duration = Duration::from_secs(10);
