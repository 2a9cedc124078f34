//! `POST handoff`: the address of a service, with a single-use code where one is needed.
//!
//! `{"uuid", "port"?, "path"?}` names a request or container and takes its best address (a host
//! name where there is one); `{"host", "path"?}` keeps exactly the host a person opened. With `"browser"`, the
//! digest that a service host gave on the way to the dashboard, the code is good in that browser alone.

use axum::Json;
use axum::extract::State;
use model::{
    Access, Container, ContainerPort, ContainerUuid, JsonMap, PublishedPorts, RequestUuid,
    ServiceDomain,
};
use serde_json::{Value, json};
use store::{NewCode, Purpose, TargetKey, TargetRecord};

use super::login::after;
use crate::call::Call;
use crate::error::ApiError;
use crate::router::Api;

/// Behind a code that one browser alone may redeem.
const BOUND: &str = ".b";
/// Characters of SHA-256 in base64url.
const DIGEST_CHARS: usize = 43;
/// Longest path, in bytes: what fits every browser's address with room for the code.
const PATH_BYTES_MAX: usize = 8000;

pub(crate) async fn handoff(State(api): State<Api>, call: Call) -> Result<Json<Value>, ApiError> {
    // Service hosts take tokens without scopes only, and so does the way to them.
    call.caller.require_unscoped("open a service")?;
    let asked = Asked::parse(call.body())?;
    let (key, host_port) = match &asked.place {
        Place::Record(key) => (key.clone(), asked.port),
        Place::Host(host) => key_of_host(host, &api.config().service_domain)?,
    };
    let target = api.store().find_target(&key).await?.ok_or_else(nothing)?;
    let port = choose_port(&target, host_port);
    ensure_enters(&api, &call, &target, port.as_ref().ok().copied()).await?;
    let port = port?;
    let base = match &asked.place {
        Place::Host(host) => base_of_host(host, &api.config().service_domain),
        Place::Record(_) => best_base(&api, &target, port).await?,
    };
    let entry = ports(&target).get(port);
    let path = match &asked.path {
        Some(path) => path.clone(),
        None => entry.map(|entry| entry.initial_path.clone()).unwrap_or_default(),
    };
    if entry.is_some_and(|entry| entry.access == Access::Public) {
        return Ok(Json(json!({ "url": model::initial_url(&base, &path), "expires_at": null })));
    }
    let ttl = api.config().handoff_ttl;
    let code = NewCode {
        purpose: Purpose::Handoff,
        user: call.caller.user.uuid,
        token: call.caller.token.uuid,
        container: target.container.as_ref().map(|container| container.uuid),
        request: target.request.as_ref().map(|request| request.uuid),
        port: Some(port),
        service_host: place(authority(&base), asked.browser.as_deref()),
        ttl,
    };
    let mut code = api.store().create_code(code).await?;
    if asked.browser.is_some() {
        code.push_str(BOUND);
    }
    let url = with_code(&model::initial_url(&base, &path), &code);
    Ok(Json(json!({ "url": url, "expires_at": after(&api, ttl) })))
}

/// What the body asks for.
struct Asked {
    place: Place,
    port: Option<ContainerPort>,
    path: Option<String>,
    browser: Option<String>,
}

enum Place {
    Record(TargetKey),
    Host(String),
}

impl Asked {
    fn parse(body: &JsonMap) -> Result<Self, ApiError> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let place = match (text("uuid"), text("host")) {
            (Some(uuid), None) => Place::Record(
                key_of_uuid(uuid).ok_or_else(|| ApiError::no_such("request or container", uuid))?,
            ),
            (None, Some(host)) => Place::Host(host.trim().to_ascii_lowercase()),
            _ => {
                let problem = "must be a container request or container; or send host alone";
                return Err(ApiError::field("uuid", problem));
            }
        };
        let port = match body.get("port") {
            None | Some(Value::Null) => None,
            Some(port) => {
                let digits = port.as_str().map_or_else(|| port.to_string(), str::to_owned);
                let port = ContainerPort::parse(&digits);
                Some(port.map_err(|error| ApiError::field("port", error.to_string()))?)
            }
        };
        let path = match body.get("path") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if is_plain(path) => Some(path.clone()),
            Some(_) => {
                let problem = format!(
                    "must be a path such as \"/x?y#z\" of at most {PATH_BYTES_MAX} bytes, without \
                     spaces, backslashes and control characters"
                );
                return Err(ApiError::field("path", problem));
            }
        };
        let browser = match body.get("browser") {
            None | Some(Value::Null) => None,
            Some(Value::String(digest)) if is_digest(digest) => Some(digest.clone()),
            Some(_) => {
                let problem = "must be what a service host gave: 43 characters of base64url";
                return Err(ApiError::field("browser", problem));
            }
        };
        Ok(Self { place, port, path, browser })
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == DIGEST_CHARS
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// What the code is good for, as the service host says it when the code comes there (`proxy/session/browser`).
fn place(service_host: &str, browser: Option<&str>) -> String {
    match browser {
        Some(digest) => format!("{service_host} {digest}"),
        None => service_host.to_owned(),
    }
}

fn is_plain(path: &str) -> bool {
    path.len() <= PATH_BYTES_MAX
        && !path.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\')
}

fn key_of_uuid(uuid: &str) -> Option<TargetKey> {
    let request = RequestUuid::parse(uuid).map(TargetKey::Request);
    request.or_else(|_other| ContainerUuid::parse(uuid).map(TargetKey::Container)).ok()
}

/// Host and port of what a person opened. The port is the one in the host, if there is one.
fn split_host(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) => (name.trim_end_matches('.'), port.parse().ok()),
        None => (host.trim_end_matches('.'), None),
    }
}

/// What a service host leads to: `UUID-PORT`, `UUID`, a name, or a port of the one host.
fn key_of_host(
    host: &str,
    domain: &ServiceDomain,
) -> Result<(TargetKey, Option<ContainerPort>), ApiError> {
    let no_such = || ApiError::no_such("service host", host);
    let (name, port) = split_host(host);
    if !domain.is_wildcard() {
        let ours = name == domain.suffix();
        return port
            .filter(|_| ours)
            .map(|port| (TargetKey::ExternalPort(port), None))
            .ok_or_else(no_such);
    }
    let label = domain.label_of(name).ok_or_else(no_such)?;
    if let Some(key) = key_of_uuid(label) {
        return Ok((key, None));
    }
    // An identifier has 27 characters, then a hyphen and the port.
    if let (Some(uuid), Some(rest)) = (label.get(..27), label.get(27..))
        && let (Some(key), Some(digits)) = (key_of_uuid(uuid), rest.strip_prefix('-'))
    {
        let port = ContainerPort::parse(digits);
        return Ok((key, Some(port.map_err(|error| ApiError::field("host", error.to_string()))?)));
    }
    Ok((TargetKey::Name(label.to_owned()), None))
}

/// The address of exactly this host, in the form the proxy knows it by.
fn base_of_host(host: &str, domain: &ServiceDomain) -> String {
    let (name, port) = split_host(host);
    match (domain.label_of(name), port) {
        (Some(label), _) => domain.url_of(label),
        (None, Some(port)) => domain.url_of_port(port),
        (None, None) => domain.url_of(""),
    }
}

fn nothing() -> ApiError {
    ApiError::NotFound("there is no such service that you may see".to_owned())
}

/// Fails unless the caller may enter the target's port: its submitter, whom it was opened to, or an administrator.
async fn ensure_enters(
    api: &Api,
    call: &Call,
    target: &TargetRecord,
    port: Option<ContainerPort>,
) -> Result<(), ApiError> {
    let user = &call.caller.user;
    if user.is_admin || target.submitters.contains(&user.uuid) {
        return Ok(());
    }
    let container = target.container.as_ref().map(|container| container.uuid);
    let request = target.request.as_ref().map(|request| request.uuid);
    if let Some(port) = port.filter(|_| !target.submitters.is_empty())
        && api.store().opened_to((container, request), port, user.uuid).await?.is_some()
    {
        return Ok(());
    }
    let seen = match request {
        Some(request) => {
            api.store().rights(&call.caller.reader(), request.as_str()).await?.is_some()
        }
        None => false,
    };
    if seen {
        let words = "this port opens to who submitted the request, to those whom it was opened to, and to administrators: ask the owner to open it to you";
        return Err(ApiError::Forbidden(words.to_owned()));
    }
    Err(nothing())
}

pub(super) fn ports(target: &TargetRecord) -> &PublishedPorts {
    static NONE: std::sync::LazyLock<PublishedPorts> =
        std::sync::LazyLock::new(PublishedPorts::default);
    match (&target.container, &target.request) {
        (Some(container), _) => &container.published_ports,
        (None, Some(request)) => &request.published_ports,
        (None, None) => &NONE,
    }
}

/// The port that was asked for, or that the host leads to; else 80 or the only one.
pub(super) fn choose_port(
    target: &TargetRecord,
    asked: Option<ContainerPort>,
) -> Result<ContainerPort, ApiError> {
    if let Some(port) = asked.or(target.port) {
        return Ok(port);
    }
    let ports = ports(target);
    if ports.get(ContainerPort::HTTP).is_some() {
        return Ok(ContainerPort::HTTP);
    }
    ports.only_port().ok_or_else(|| {
        let published: Vec<String> = ports.iter().map(|(port, _)| port.to_string()).collect();
        let which = match published.is_empty() {
            true => "this request publishes none".to_owned(),
            false => format!("one of {}", published.join(", ")),
        };
        ApiError::field("port", format!("must be given: {which}"))
    })
}

/// The address people should see: a host name of that port, else the request's own, else the
/// container's; on sites without a wildcard, the port of the one host.
pub(super) async fn best_base(
    api: &Api,
    target: &TargetRecord,
    port: ContainerPort,
) -> Result<String, ApiError> {
    let domain = &api.config().service_domain;
    if !domain.is_wildcard() {
        let entry = ports(target).get(port);
        return entry.and_then(|entry| entry.base_url.clone()).ok_or_else(|| {
            ApiError::field(
                "port",
                format!("{port} has no address yet: the service is not running"),
            )
        });
    }
    if let Some(request) = &target.request {
        let names = api.store().hostnames_of(request.uuid).await?;
        let label = match names.iter().find(|link| link.port() == Some(port)) {
            Some(link) => link.name.clone(),
            None => format!("{}-{port}", request.uuid),
        };
        return Ok(domain.url_of(&label));
    }
    let uuid = target.container.as_ref().map(|Container { uuid, .. }| uuid.to_string());
    Ok(domain.url_of(&format!("{}-{port}", uuid.unwrap_or_default())))
}

/// `host[:port]` of an address.
fn authority(base: &str) -> &str {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// The address with the code among its parameters, before its fragment.
fn with_code(url: &str, code: &str) -> String {
    let (address, fragment) = match url.split_once('#') {
        Some((address, fragment)) => (address, Some(fragment)),
        None => (url, None),
    };
    let separator = if address.contains('?') { '&' } else { '?' };
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    format!("{address}{separator}api_token={code}{fragment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_goes_before_the_fragment_and_behind_the_query() {
        assert_eq!(with_code("http://h/", "wc1_a"), "http://h/?api_token=wc1_a");
        assert_eq!(with_code("http://h/x?y#z", "wc1_a"), "http://h/x?y&api_token=wc1_a#z");
    }

    #[test]
    fn every_form_of_a_service_host_is_understood() {
        let domain = ServiceDomain::parse("http://*.s.localhost:8000/").unwrap();
        let uuid = "wharf-xvhdp-0123456789abcde";
        let key = TargetKey::Request(RequestUuid::parse(uuid).unwrap());
        let parse = |host: &str| key_of_host(host, &domain);
        let port = ContainerPort::new(81);
        assert_eq!(parse(&format!("{uuid}-81.s.localhost:8000")).unwrap(), (key.clone(), port));
        assert_eq!(parse(&format!("{uuid}.s.localhost.")).unwrap(), (key, None));
        let name = TargetKey::Name("lab".to_owned());
        assert_eq!(parse("lab.s.localhost:8000").unwrap(), (name, None));
        assert!(parse("lab.example.com").is_err());
        assert!(parse(&format!("{uuid}-0.s.localhost")).is_err());
    }
}
