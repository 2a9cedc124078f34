//! A request for the API or a page: as far as its address may ask, handed to the main runtime.

use super::body::{Content, RouterBody};
use super::callers::{CallRefused, OpenCall};
use super::connection::Connection;
use super::upload::Upload;
use http::header::{
    AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, RETRY_AFTER, STRICT_TRANSPORT_SECURITY,
};
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use limits::Tick;
use tower::ServiceExt;

impl Connection {
    /// Answers a request for the API or a page, as far as its address may ask.
    pub(super) async fn call(&self, request: Request<Incoming>) -> Response<Content> {
        if !has_sound_host(&request) {
            let problem = "the request must have exactly one Host, of the form name[:port] (RFC 9112 section 3.2)";
            return refusal(StatusCode::BAD_REQUEST, problem);
        }
        self.around.rooms.proxy.see_other();
        let ip = self.around.rooms.proxy.client_ip(&self.peer, request.headers());
        let refused = match self.around.callers.enter(ip) {
            Ok(place) => match self.call_counted(request, place).await {
                Ok(response) => return response,
                Err(refused) => refused,
            },
            Err(refused) => refused,
        };
        if self.around.lines.may_write(refused.reason, Tick::now()) {
            tracing::warn!({ client.address = %ip }, "call refused: {}", refused.message());
        }
        too_many(refused)
    }

    /// Slows down whoever only guesses; nobody else at the same address is held up by that.
    async fn call_counted(
        &self,
        request: Request<Incoming>,
        place: OpenCall,
    ) -> Result<Response<Content>, CallRefused> {
        place.count().await?;
        let shown = Shown::by(&request);
        let response = self.call_router(request).await;
        if shown.was_wrong(response.status()) {
            place.count_miss().await?;
        }
        Ok(response.map(|body| Content::Router(RouterBody { body, _open: Some(place) })))
    }

    async fn call_router(&self, request: Request<Incoming>) -> Response<axum::body::Body> {
        let rooms = &self.around.rooms;
        let router = rooms.router.clone();
        let bound = self.around.limits.stall_timeout;
        let mut request = request.map(|body| axum::body::Body::new(Upload::new(body, bound)));
        request.extensions_mut().insert(dashboard::Transport { tls: self.peer.is_tls() });
        let scheme = if self.peer.is_tls() { Scheme::HTTPS } else { Scheme::HTTP };
        request.extensions_mut().insert(scheme);
        let work = rooms.router_runtime.spawn(router.oneshot(request));
        let mut response = match work.await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(error) => {
                tracing::error!(error = %error, "the API's answer was lost");
                let problem = "the controller failed on this request: its log says why";
                return error_of(StatusCode::INTERNAL_SERVER_ERROR, problem);
            }
        };
        if let Some(hsts) = rooms.router_hsts.clone().filter(|_| self.peer.is_tls()) {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts);
        }
        response
    }
}

/// How a caller says who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Not at all.
    Nothing,
    /// By a header, or in the body or query of a call that takes it there.
    Credentials,
    /// By the form of the sign-in page, which is refused as a page.
    SignInForm,
}

impl Shown {
    fn by(request: &Request<Incoming>) -> Self {
        let headers = request.headers();
        match request.uri().path() {
            "/sign-in" if request.method() == Method::POST => Self::SignInForm,
            "/arvados/v1/users/authenticate" | "/websocket" => Self::Credentials,
            _ if headers.contains_key(AUTHORIZATION) || headers.contains_key(COOKIE) => {
                Self::Credentials
            }
            _ => Self::Nothing,
        }
    }

    fn was_wrong(self, status: StatusCode) -> bool {
        match self {
            Self::Nothing => false,
            Self::Credentials => status == StatusCode::UNAUTHORIZED,
            Self::SignInForm => status == StatusCode::FORBIDDEN,
        }
    }
}

/// RFC 6585 section 4.
fn too_many(refused: CallRefused) -> Response<Content> {
    let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, &refused.message());
    let wait = HeaderValue::from(refused.retry_after_s());
    response.headers_mut().insert(RETRY_AFTER, wait);
    response
}

/// Whether a request names its host once and plainly. HTTP/2 names it in the target, HTTP/1.0 may leave it out.
fn has_sound_host(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host(host.as_bytes()),
        (None, _) => request.version() != http::Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// `name`, `name:port`, `[address]` or `[address]:port`, where a port is a number up to 65535.
fn is_host(host: &[u8]) -> bool {
    let Ok(authority) = http::uri::Authority::try_from(host) else { return false };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte);
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    host.iter().all(plain) && (port.is_empty() || authority.port_u16().is_some())
}

/// An error in the Arvados form.
fn refusal(status: StatusCode, problem: &str) -> Response<Content> {
    error_of(status, problem).map(|body| Content::Router(RouterBody { body, _open: None }))
}

fn error_of(status: StatusCode, problem: &str) -> Response<axum::body::Body> {
    let text = serde_json::json!({ "errors": [problem] }).to_string();
    let mut response = Response::new(axum::body::Body::from(text));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t04_only_plain_hosts_are_hosts() {
        for host in ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "a.b-c.example"]
        {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "", "a@b", "a/b", "a b", "a,b", "a?b", "a#b", "a:b:c", "a:99999", "a:", "a:x", "a\\b",
            "h\u{e9}",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
