//! gRPC over HTTP/2: which requests are calls, their head on the way to the app, and our own answers in its words. Pure.
//!
//! A call that does not reach its app is answered with status 200, no body, and `grpc-status` and `grpc-message` in the
//! head ("Trailers-Only" in the protocol's text): every library reads code and words from it, while for other statuses
//! some make up a code of their own from a short table and drop the words. The access log keeps the HTTP status.

use http::header::{CONNECTION, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri, Version};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::authorize::Denied;
use crate::body::ProxyBody;
use crate::headers::Vouched;
use crate::refusal::{GatewayProblem, Refusal};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// What `grpc-message` must not hold as it is: controls, `%`, and (always) what is not ASCII.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// The status codes of gRPC that we give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Cancelled = 1,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// Whether a request is a gRPC call: `POST` over HTTP/2 with `application/grpc`, alone or with `+format` or parameters.
/// gRPC-Web is not: it is made for servers of HTTP/1.1.
pub(crate) fn is_call(version: Version, method: &Method, headers: &HeaderMap) -> bool {
    if version != Version::HTTP_2 || method != Method::POST {
        return false;
    }
    let Some(kind) = headers.get(CONTENT_TYPE) else { return false };
    let (name, rest) = kind.as_bytes().split_at(kind.len().min("application/grpc".len()));
    name.eq_ignore_ascii_case(b"application/grpc")
        && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

/// Makes a prepared head one of HTTP/2, where `:authority` stands for `Host`.
pub(crate) fn prepare_call(parts: &mut Parts, vouched: Vouched) -> Result<(), http::Error> {
    let path = parts.uri.path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    parts.uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(vouched.host.as_bytes())
        .path_and_query(path)
        .build()?;
    parts.version = Version::HTTP_2;
    parts.headers.remove(HOST);
    parts.headers.remove(CONNECTION);
    vouched.insert_into(&mut parts.headers);
    Ok(())
}

/// Our answer to a call that does not reach its app.
pub(crate) fn refuse(refusal: &Refusal) -> Response<ProxyBody> {
    let mut response = Response::new(ProxyBody::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(code_of(refusal) as u16));
    let message = refusal.message();
    let message = utf8_percent_encode(&message, ESCAPED).to_string();
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}

/// `UNAVAILABLE` is what clients try again; all that stays as it is has another code.
fn code_of(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::Host(crate::host::HostError::NotAService) | Refusal::NotFound => Code::NotFound,
        Refusal::Host(_) | Refusal::Malformed(_) | Refusal::BrokenBody => Code::InvalidArgument,
        Refusal::Denied(Denied::NoCredentials) => Code::Unauthenticated,
        Refusal::Denied(Denied::NotAllowed | Denied::Ended)
        | Refusal::NotInvited
        | Refusal::ForeignOrigin
        | Refusal::Preflight => Code::PermissionDenied,
        Refusal::UnknownProtocol => Code::Unimplemented,
        Refusal::Starting(..) | Refusal::Unreachable(..) | Refusal::NoRecords(_) => {
            Code::Unavailable
        }
        Refusal::Stopped(_) | Refusal::Replaced => Code::FailedPrecondition,
        Refusal::Full | Refusal::Exceeded(_) => Code::ResourceExhausted,
        Refusal::StalledBody | Refusal::TooSlow => Code::DeadlineExceeded,
        Refusal::Gateway(problem) => code_of_problem(*problem),
    }
}

fn code_of_problem(problem: GatewayProblem) -> Code {
    match problem {
        GatewayProblem::Refused(_) | GatewayProblem::NotConnected | GatewayProblem::ClosedEarly => {
            Code::Unavailable
        }
        GatewayProblem::BadResponse | GatewayProblem::SlowHead | GatewayProblem::BadUpgrade => {
            Code::Internal
        }
        GatewayProblem::NotHttp2 => Code::Unimplemented,
        // As the protocol's text maps them (PROTOCOL-HTTP2.md, "Errors").
        GatewayProblem::Reset(h2::Reason::REFUSED_STREAM) => Code::Unavailable,
        GatewayProblem::Reset(h2::Reason::CANCEL) => Code::Cancelled,
        GatewayProblem::Reset(h2::Reason::ENHANCE_YOUR_CALM) => Code::ResourceExhausted,
        GatewayProblem::Reset(h2::Reason::INADEQUATE_SECURITY) => Code::PermissionDenied,
        GatewayProblem::Reset(_) => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_requests_that_look_alike() {
        let kind = |text: &'static str| {
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(text))])
        };
        let is = |text| is_call(Version::HTTP_2, &Method::POST, &kind(text));
        for call in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC+json",
            "application/grpc;x=y",
        ] {
            assert!(is(call), "{call}");
        }
        for other in [
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpcx",
            "application/grp",
            "text/html",
            "",
        ] {
            assert!(!is(other), "{other}");
        }
        let call = kind("application/grpc");
        assert!(!is_call(Version::HTTP_11, &Method::POST, &call));
        assert!(!is_call(Version::HTTP_2, &Method::GET, &call));
        assert!(!is_call(Version::HTTP_2, &Method::POST, &HeaderMap::new()));
    }

    #[test]
    fn a_refusal_is_an_answer_that_is_only_trailers() {
        let response = refuse(&Refusal::Malformed("100 % of it is\nunreadable ü"));
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[GRPC_STATUS], "3");
        let message = response.headers()[GRPC_MESSAGE].to_str().unwrap();
        assert_eq!(message, "100 %25 of it is%0Aunreadable %C3%BC: send the request anew");
        assert!(http_body::Body::is_end_stream(response.body()));
    }

    #[test]
    fn only_what_passes_by_itself_is_unavailable() {
        for (refusal, code) in [
            (Refusal::NotFound, Code::NotFound),
            (Refusal::Denied(Denied::NoCredentials), Code::Unauthenticated),
            (Refusal::Denied(Denied::NotAllowed), Code::PermissionDenied),
            (
                Refusal::NoRecords(crate::directory::DirectoryError(String::new())),
                Code::Unavailable,
            ),
            (Refusal::Replaced, Code::FailedPrecondition),
            (Refusal::Full, Code::ResourceExhausted),
            (Refusal::Gateway(GatewayProblem::Refused(80)), Code::Unavailable),
            (Refusal::Gateway(GatewayProblem::NotHttp2), Code::Unimplemented),
            (Refusal::Gateway(GatewayProblem::Reset(h2::Reason::CANCEL)), Code::Cancelled),
            (Refusal::Gateway(GatewayProblem::Reset(h2::Reason::PROTOCOL_ERROR)), Code::Internal),
        ] {
            assert_eq!(code_of(&refusal), code, "{refusal:?}");
        }
    }
}
