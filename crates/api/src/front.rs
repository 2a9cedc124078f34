//! What lies at the root of the API's address, before the pages: Keep blocks and the files of
//! collections. Their paths hold what no page's path does, so everything else passes.

use std::convert::Infallible;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware;
use axum::response::Response;
use http::{HeaderValue, header};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use crate::router::Api;
use crate::{blocks, request_id, webdav};

impl Api {
    /// `others`, with blocks and the files of collections in front of them.
    pub fn in_front_of(&self, others: Router) -> Router {
        let ours = ServiceBuilder::new()
            .layer(middleware::from_fn(request_id::layer))
            .service(Router::new().fallback(serve).with_state(self.clone()));
        Router::new().fallback_service(service_fn(move |request: Request| {
            let (ours, others) = (ours.clone(), others.clone());
            async move {
                let path = request.uri().path();
                let is_ours = blocks::locator_in(path).is_some() || webdav::is_place(path);
                let answer: Result<Response, Infallible> = if is_ours {
                    ours.oneshot(request).await
                } else {
                    others.oneshot(request).await
                };
                answer
            }
        }))
    }
}

async fn serve(State(api): State<Api>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = match blocks::locator_in(&path) {
        Some(locator) => blocks::serve(&api, locator, request).await,
        None => webdav::serve(&api, request).await,
    };
    // What needs permission is no cache's to keep.
    let cache = HeaderValue::from_static("no-store");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(cache);
    response
}
