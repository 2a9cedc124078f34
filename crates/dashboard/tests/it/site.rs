//! A dashboard over the fake API, and a visitor with a cookie jar.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use dashboard::{DashboardConfig, Template};
use http_body_util::BodyExt as _;
use model::{Access, ApiToken, ContainerPort, PublishedPort, PublishedPorts, ServiceDomain};
use serde_json::json;
use tower::ServiceExt as _;

use crate::fake_api::{FakeApi, TIME, TOKEN, container, request};

/// A dashboard and what is behind it.
pub(crate) struct Site {
    pub(crate) api: FakeApi,
    router: Router,
}

/// One template, with a port.
fn templates() -> Vec<Template> {
    let mut ports = PublishedPorts::default();
    let port = ContainerPort::literal(8888);
    ports.insert(port, PublishedPort::new(Access::Private, "JupyterLab", "lab"));
    vec![Template {
        name: "JupyterLab".to_owned(),
        description: "Notebooks in Python".to_owned(),
        image: "jupyterlab:1".to_owned(),
        command: ["jupyter", "lab"].map(str::to_owned).to_vec(),
        ports,
        vcpus: 2,
        ram_bytes: 2 << 30,
        idle: Some(std::time::Duration::from_secs(7200)),
        max_life: None,
    }]
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: header::HeaderMap,
    pub(crate) text: String,
}

/// One request to make.
pub(crate) struct Ask<'s> {
    site: &'s Site,
    request: axum::http::request::Builder,
    body: Body,
}

/// A site with one running service, and its one port.
pub(crate) fn one_service() -> Site {
    let site = Site::new();
    let ports = json!({ "8888": { "label": "Lab", "access": "private" } });
    let running = request(1, "notebook", &ports);
    site.api.records().containers = vec![container(&running, "Running", Some(TIME))];
    site.api.records().requests = vec![running];
    site
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with_domain("http://*.containers.localhost:8000/")
    }

    pub(crate) fn with_domain(domain: &str) -> Self {
        let api = FakeApi::new();
        let config = DashboardConfig {
            session_key: [9; 32],
            service_domain: ServiceDomain::parse(domain).unwrap(),
            api_host: "localhost:8000".to_owned(),
            ca_file: None,
            controller_url: "http://localhost:8000/".to_owned(),
            trusted_clients: vec!["https://workbench.example.com".to_owned()],
            templates: templates(),
            terminals: true,
        };
        let token = ApiToken::parse(TOKEN).unwrap();
        let client = client::Client::in_memory(api.router(), &token);
        let router = dashboard::router(config, client);
        Self { api, router }
    }

    pub(crate) fn ask(&self, method: Method, target: &str) -> Ask<'_> {
        let request =
            Request::builder().method(method).uri(target).header("host", "localhost:8000");
        Ask { site: self, request, body: Body::empty() }
    }

    pub(crate) fn get(&self, target: &str) -> Ask<'_> {
        self.ask(Method::GET, target)
    }

    /// A form as one of our own pages sends it.
    pub(crate) fn post(&self, target: &str, pairs: &[(&str, &str)]) -> Ask<'_> {
        let mut ask = self.ask(Method::POST, target);
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(pairs);
        ask.request = ask.request.header("content-type", "application/x-www-form-urlencoded");
        ask.body = Body::from(text.finish());
        ask.header("sec-fetch-site", "same-origin")
    }

    /// Signs in by pasting the token; answers the `Cookie` header of the session.
    pub(crate) async fn sign_in(&self) -> String {
        let answer = self.post("/sign-in", &[("token", TOKEN)]).send().await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        answer.cookie()
    }
}

impl Ask<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// A body as it is, for what no page of ours would send.
    pub(crate) fn body(mut self, text: &str) -> Self {
        self.body = Body::from(text.to_owned());
        self
    }

    /// As the listener marks requests that came over TLS.
    pub(crate) fn tls(mut self) -> Self {
        self.request = self.request.extension(dashboard::Transport { tls: true });
        self
    }

    pub(crate) fn cookie(self, cookie: &str) -> Self {
        self.header("cookie", cookie)
    }

    /// The answer with its body not read yet.
    pub(crate) async fn head(self) -> Response<Body> {
        let request = self.request.body(self.body).unwrap();
        self.site.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(self) -> Answer {
        let (parts, body) = self.head().await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }
}

impl Answer {
    /// A header's value; empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `name=value` of the cookie it sets.
    pub(crate) fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    /// The form token on the page.
    pub(crate) fn form_token(&self) -> &str {
        let (_, rest) = self.text.split_once("name=\"form_token\" value=\"").expect("a form");
        rest.split('"').next().unwrap()
    }

    #[track_caller]
    pub(crate) fn has(&self, text: &str) {
        assert!(self.text.contains(text), "no {text:?} in {}", self.text);
    }

    #[track_caller]
    pub(crate) fn lacks(&self, text: &str) {
        assert!(!self.text.contains(text), "{text:?} in {}", self.text);
    }
}
