//! The document against the routes, and against what clients insist on.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use history::{Series, Span, Usage};
use http::{Method, Request, StatusCode};
use keep::{Keep, KeepOptions};
use model::{ContainerUuid, ServiceDomain};
use serde_json::Value;
use store::{NewToken, Store, StoreOptions};
use tower::ServiceExt as _;

use super::describe;
use crate::public_url::PublicUrl;
use crate::{
    Api, ApiConfig, Blocks, ByteStream, ContainerFigures, FigureSource, ImageFault, ImageSummary,
    Images, LogQuery, LogSource, ResolvedImage, Sources,
};

struct Nothing;

impl Images for Nothing {
    fn resolve<'a>(
        &'a self,
        _image: &'a str,
    ) -> BoxFuture<'a, Result<Option<ResolvedImage>, String>> {
        async { Ok(None) }.boxed()
    }
    fn list(&self) -> BoxFuture<'_, Result<Vec<ImageSummary>, String>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn import<'a>(
        &'a self,
        _archive: ByteStream,
        _name: Option<&'a str>,
        _owner: model::UserUuid,
    ) -> BoxFuture<'a, Result<ImageSummary, ImageFault>> {
        async { Err(ImageFault::Refused(String::new())) }.boxed()
    }
    fn remove<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<bool, String>> {
        async { Ok(false) }.boxed()
    }
}

impl crate::visitors::Visitors for Nothing {
    fn of(&self, _container: ContainerUuid) -> BoxFuture<'_, model::visitors::Visitors> {
        async { model::visitors::Visitors::default() }.boxed()
    }
}

impl crate::SiteSource for Nothing {
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

impl crate::Shells for Nothing {
    fn open<'a>(
        &'a self,
        _container: &'a ContainerUuid,
    ) -> BoxFuture<'a, Result<Box<dyn crate::ShellIo>, String>> {
        async { Err(String::new()) }.boxed()
    }
}

impl FigureSource for Nothing {
    fn of<'a>(
        &'a self,
        _container: &'a ContainerUuid,
        _span: Span,
    ) -> BoxFuture<'a, Result<ContainerFigures, String>> {
        async { Err(String::new()) }.boxed()
    }
    fn usages(
        &self,
        _containers: Vec<ContainerUuid>,
        _span: Span,
    ) -> BoxFuture<'_, Result<Vec<Series<Usage>>, String>> {
        async { Ok(Vec::new()) }.boxed()
    }
}

impl LogSource for Nothing {
    fn files<'a>(
        &'a self,
        _container: &'a ContainerUuid,
    ) -> BoxFuture<'a, Result<Vec<crate::LogFile>, String>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn read<'a>(
        &'a self,
        _container: &'a ContainerUuid,
        _name: &'a str,
        _range: std::ops::Range<u64>,
    ) -> BoxFuture<'a, Result<ByteStream, String>> {
        async { Err("there is nothing".to_owned()) }.boxed()
    }

    fn open<'a>(
        &'a self,
        _container: &'a ContainerUuid,
        _query: LogQuery,
    ) -> BoxFuture<'a, Result<Option<ByteStream>, String>> {
        async { Ok(None) }.boxed()
    }
}

fn config() -> ApiConfig {
    let domain = ServiceDomain::parse("http://*.s.localhost:8000/").unwrap();
    ApiConfig::new("http://localhost:8000", domain)
}

fn document() -> Value {
    describe(
        "wharf",
        &config(),
        Duration::from_secs(1),
        &PublicUrl("https://localhost:8000/".to_owned()),
    )
}

/// Each method with its HTTP method and path.
fn methods() -> Vec<(String, Method, String)> {
    let mut found = Vec::new();
    for (_, resource) in document()["resources"].as_object().unwrap() {
        for (_, method) in resource["methods"].as_object().unwrap() {
            let text = |name: &str| method[name].as_str().unwrap().to_owned();
            let http = Method::from_bytes(text("httpMethod").as_bytes()).unwrap();
            found.push((text("id"), http, text("path")));
        }
    }
    found
}

/// The API and an administrator's token.
async fn api() -> (axum::Router, String) {
    let store = Store::open(Path::new(":memory:"), StoreOptions::default()).await.unwrap();
    let root = store.ensure_system_user().await.unwrap().uuid;
    let new =
        NewToken { owner: root, scopes: vec!["all".to_owned()], expires_at: None, made_by: root };
    let (token, _) = store.create_token(new).await.unwrap();
    let blocks = Blocks { keep: Keep::new(Vec::new(), KeepOptions::default()), signer: None };
    let nothing = Arc::new(Nothing);
    let sources = Sources {
        images: nothing.clone(),
        logs: nothing.clone(),
        figures: nothing.clone(),
        visitors: nothing.clone(),
        shells: nothing.clone(),
        site: nothing,
    };
    let api = Api::new(store, config(), blocks, sources);
    (api.router(), token.expose())
}

async fn ask(
    router: &axum::Router,
    token: &str,
    method: &Method,
    path: &str,
) -> (StatusCode, String) {
    let path = path.replace("{uuid}", "wharf-00000-000000000000000");
    let request = Request::builder().method(method).uri(format!("/arvados/v1/{path}"));
    let request = request.header("authorization", format!("Bearer {token}"));
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn every_method_is_a_route() {
    let (router, token) = api().await;
    for (id, method, path) in methods() {
        let (status, text) = ask(&router, &token, &method, &path).await;
        assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{id}: {text}");
        assert!(!text.contains("there is nothing at"), "{id}: {text}");
        assert!(!text.contains("not supported yet"), "{id}: {text}");
    }
}

#[tokio::test]
async fn every_route_is_a_method() {
    let (router, token) = api().await;
    let described: BTreeSet<(Method, String)> =
        methods().into_iter().map(|(_, method, path)| (method, path)).collect();
    // A router shows its paths to nobody but whoever debugs it.
    let shown = format!("{:?}", crate::resources::routes());
    let paths: BTreeSet<&str> =
        shown.split("\"/arvados/v1/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(paths.len() > 20, "{shown}");
    // The owner in the path and not in the query: pages use it, upstream does not describe it either.
    // Logs are files over WebDAV, which no method describes.
    let is_method = |path: &&str| *path != "groups/{uuid}/contents" && !path.contains("}/log");
    for path in paths.into_iter().filter(is_method) {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            let (status, text) = ask(&router, &token, &method, path).await;
            let is_route =
                status != StatusCode::METHOD_NOT_ALLOWED && !text.contains("there is nothing at");
            // Clients of the document name the owner in the query; pages do in the path.
            assert_eq!(
                is_route,
                described.contains(&(method.clone(), path.to_owned())),
                "{method} {path}: {status} {text}"
            );
        }
    }
}

#[test]
fn clients_find_what_they_insist_on() {
    let document = document();
    assert_eq!(document["rootUrl"], "https://localhost:8000/");
    assert_eq!(document["websocketUrl"], "wss://localhost:8000/websocket");
    assert_eq!(document["uuidPrefix"], "wharf");
    assert_eq!(document["revision"], "20250402");
    assert_eq!(document["schemas"]["ContainerRequest"]["uuidPrefix"], "xvhdp");
    let schemas = document["schemas"].as_object().unwrap();
    for (name, resource) in document["resources"].as_object().unwrap() {
        for (verb, method) in resource["methods"].as_object().unwrap() {
            let in_path = method["path"].as_str().unwrap().contains("{uuid}");
            let parameter = &method["parameters"]["uuid"];
            assert_eq!(in_path, parameter["location"] == "path", "{name}.{verb}");
            let response = method["response"].as_object().unwrap();
            if let Some(reference) = response.get("$ref").and_then(Value::as_str) {
                assert!(schemas.contains_key(reference), "{name}.{verb}: {reference}");
            }
            let has_body = method["httpMethod"] == "POST" || method["httpMethod"] == "PUT";
            let is_trigger = verb.contains("trash") || verb.contains("lock");
            assert!(has_body == method.get("request").is_some() || is_trigger, "{name}.{verb}");
        }
    }
}
