//! Our own answers: pages for people, Arvados's JSON errors for programs. No script but the start page's, nothing from
//! elsewhere, never cached, nothing of the credentials in them.

mod invitation;
mod layout;
mod start;
mod words;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, REFRESH, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use ring::digest;
use serde_json::json;

use crate::body::ProxyBody;
use crate::config::ProxyConfig;
use crate::directory::{StartInfo, Target};
use crate::exchange::{Exchange, RequestId};
use crate::grpc;
use crate::refusal::Refusal;

/// What stays as it is in a query value.
pub(crate) const QUERY_VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Renders our answers for one site.
#[derive(Debug)]
pub(crate) struct Pages {
    dashboard_url: String,
    retry_after: HeaderValue,
    policy: HeaderValue,
    /// For the one page with a form.
    policy_with_form: HeaderValue,
}

/// What a page knows of the request that it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'r> {
    pub(crate) exchange: &'r Exchange,
    /// The service host as the client named it; empty where it could not be read.
    pub(crate) host: &'r str,
    /// Path and query without our token.
    pub(crate) path: &'r str,
}

impl Pages {
    pub(crate) fn new(config: &ProxyConfig) -> Self {
        let seconds = config.retry_after.as_secs().max(1);
        Self {
            dashboard_url: config.dashboard_url.clone(),
            retry_after: HeaderValue::from(seconds),
            policy: policy("'none'"),
            policy_with_form: policy("'self'"),
        }
    }

    /// The answer for a request that does not reach its app.
    pub(crate) fn refuse(&self, refusal: &Refusal, asked: Asked<'_>) -> Response<ProxyBody> {
        let status = refusal.status();
        let mut response = if asked.exchange.is_call {
            grpc::refuse(refusal)
        } else if asked.exchange.wants_html {
            let html = match refusal {
                Refusal::Starting(target, info) | Refusal::Unreachable(target, info)
                    if asked.exchange.is_get_or_head() =>
                {
                    let connected = matches!(refusal, Refusal::Starting(..));
                    start::page(target, info, connected, &self.dashboard_url, asked)
                }
                _ => words::page(refusal, &self.dashboard_url, asked),
            };
            self.html(status, html)
        } else {
            json_response(status, &json!({ "errors": [refusal.message()] }))
        };
        let headers = response.headers_mut();
        headers.insert(X_REQUEST_ID, asked.exchange.request_id.header());
        match refusal {
            Refusal::Exceeded(exceeded) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(exceeded.retry_after_s()));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, self.retry_after.clone());
            }
            _ => {}
        }
        response
    }

    /// What the start page's script asks for: how far the service is.
    pub(crate) fn status(
        &self,
        target: &Target,
        info: &StartInfo,
        connected: bool,
        is_ready: bool,
    ) -> Response<ProxyBody> {
        let mut response = json_response(
            StatusCode::OK,
            &json!({
                "ready": is_ready,
                "state": target.state.as_str(),
                "words": start::state_words(target, info, connected),
                "detail": info.detail,
                "queue_place": info.queue_place,
                "log_lines": info.log_lines,
            }),
        );
        response.headers_mut().insert(RETRY_AFTER, self.retry_after.clone());
        response
    }

    /// What somebody sees who was invited: a button, so that nothing that only looks at the address uses it up. It reads
    /// no record, and is the same for every host.
    pub(crate) fn invitation(&self, request_id: RequestId) -> Response<ProxyBody> {
        let mut response = self.html(StatusCode::OK, invitation::ask(request_id.as_str()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, self.policy_with_form.clone());
        // The form has no other proof of where it is from than the browser's Origin, which `no-referrer` would turn
        // into "null". Its own address goes to ourselves alone.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        response
    }

    /// Leads a guest on. Not by redirect, as the app would be told where from.
    pub(crate) fn invited(&self, path: &str, request_id: RequestId) -> Response<ProxyBody> {
        let mut response = self.html(StatusCode::OK, invitation::lead(path, request_id.as_str()));
        if let Ok(refresh) = HeaderValue::try_from(format!("0; url={path}")) {
            response.headers_mut().insert(REFRESH, refresh);
        }
        response
    }

    fn html(&self, status: StatusCode, page: maud::Markup) -> Response<ProxyBody> {
        let mut response = Response::new(ProxyBody::page(page.into_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        harden(headers);
        response
    }
}

fn json_response(status: StatusCode, body: &serde_json::Value) -> Response<ProxyBody> {
    let mut response = Response::new(ProxyBody::page(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    harden(headers);
    response
}

/// What every answer of ours says: keep it nowhere, take it as it is, tell nobody the address.
pub(crate) fn harden(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// Only our one style and our one script, by their digests.
fn policy(form_action: &str) -> HeaderValue {
    let hash = |text: &str| STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    let text = format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
         base-uri 'none'; form-action {form_action}; frame-ancestors 'none'",
        hash(layout::STYLE),
        hash(start::SCRIPT),
    );
    HeaderValue::try_from(text)
        .unwrap_or_else(|_impossible| HeaderValue::from_static("default-src 'none'"))
}

#[cfg(test)]
mod tests;
