//! Calls of the API, counted by route, method and status: for `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use history::latency::{Times, TimesCounted};
use http::Method;

use crate::router::Api;

/// Which calls: the route as it is written, the method, the first digit of the status.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallKind {
    /// Such as `/arvados/v1/users/{uuid}`.
    pub route: Arc<str>,
    /// In capitals; `other` for what is no method of HTTP's or WebDAV's.
    pub method: &'static str,
    /// 2 for 2xx.
    pub class: u16,
}

/// Bounded by the routes, the methods below, and the classes.
#[derive(Debug, Default)]
pub(crate) struct Counted(Mutex<BTreeMap<CallKind, Times>>);

impl Counted {
    fn add(&self, kind: CallKind, begun: Instant) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.entry(kind).or_default().add(begun.elapsed());
    }

    pub(crate) fn get(&self) -> Vec<(CallKind, TimesCounted)> {
        let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.iter().map(|(kind, times)| (kind.clone(), times.get())).collect()
    }
}

/// Counts a call once its head is answered: what follows may be an event stream.
pub(crate) async fn layer(
    State(api): State<Api>,
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let (begun, method) = (Instant::now(), name_of(request.method()));
    let response = next.run(request).await;
    let (route, class) = (own_route(route.as_str()), response.status().as_u16() / 100);
    api.counted().add(CallKind { route, method, class }, begun);
    response
}

/// A route without the wildcard that all routes lie behind (`Api::router`), and that axum puts before it.
fn own_route(matched: &str) -> Arc<str> {
    match matched.split_once("/{*path}/") {
        Some((_outer, own)) => format!("/{own}").into(),
        None => matched.into(),
    }
}

const METHODS: [&str; 16] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "TRACE",
];

fn name_of(method: &Method) -> &'static str {
    METHODS.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_told_as_they_are_written() {
        for (matched, route) in [
            ("/arvados/{*path}/arvados/v1/users/{uuid}", "/arvados/v1/users/{uuid}"),
            ("/arvados/{*path}/arvados/v1/{*path}", "/arvados/v1/{*path}"),
            ("/websocket", "/websocket"),
        ] {
            assert_eq!(&*own_route(matched), route);
        }
    }
}
