//! A service in a Wharf, and requests to its ports.

use serde_json::{Value, json};

use crate::http::{Reply, Request};
use crate::websocket::{self, tungstenite};
use crate::wharf::{encode, word};
use crate::{BOUND, Wharf, wait_for_some};

/// What is to be launched; the default is the test server on one private port.
#[derive(Debug, Clone)]
pub struct Launch {
    pub image: String,
    pub command: Vec<String>,
    /// Port, access, and the initial path.
    pub ports: Vec<(u16, &'static str, &'static str)>,
    /// Overwrites or adds members of the request.
    pub more: Value,
    /// Whose token submits it; the administrator's otherwise.
    pub token: Option<String>,
}

impl Default for Launch {
    fn default() -> Self {
        Self {
            image: "testapp:latest".to_owned(),
            command: vec!["testkit-app".to_owned()],
            ports: vec![(8080, "private", "")],
            more: json!({}),
            token: None,
        }
    }
}

impl Launch {
    /// A shell script in the test image.
    #[must_use]
    pub fn script(script: &str) -> Self {
        Self { command: ["sh", "-c", script].map(str::to_owned).to_vec(), ..Self::default() }
    }

    #[must_use]
    pub fn public(mut self) -> Self {
        for (_, access, _) in &mut self.ports {
            *access = "public";
        }
        self
    }

    /// The request as the API takes it.
    #[must_use]
    pub fn request(&self) -> Value {
        let mut ports = json!({});
        for (port, access, path) in &self.ports {
            ports[port.to_string()] =
                json!({"access": access, "label": format!("port {port}"), "initial_path": path});
        }
        let mut request = json!({
            "name": "test", "state": "Committed", "priority": 500, "service": true,
            "container_image": self.image, "command": self.command, "cwd": "/",
            "output_path": "/out", "mounts": {"/out": {"kind": "tmp", "capacity": 1_048_576}},
            "environment": {}, "runtime_constraints": {"vcpus": 1, "ram": 268_435_456},
            "published_ports": ports,
        });
        for (key, value) in self.more.as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        json!({"container_request": request})
    }
}

/// A container request that was accepted, seen through one Wharf.
#[derive(Debug, Clone)]
pub struct Service {
    pub request: String,
    pub container: String,
    port: u16,
    token: String,
    wharf_port: u16,
}

impl Wharf {
    /// Submits it; does not wait for anything.
    #[must_use]
    pub fn submit(&self, launch: &Launch) -> Service {
        let token = launch.token.clone().unwrap_or_else(|| self.token().to_owned());
        let path = "/arvados/v1/container_requests";
        let record = self.api_as(&token, "POST", path, Some(&launch.request())).expect(200).json();
        Service {
            request: word(&record, "uuid").to_owned(),
            container: word(&record, "container_uuid").to_owned(),
            port: launch.ports.first().map_or(8080, |(port, ..)| *port),
            token,
            wharf_port: self.port(),
        }
    }

    /// The test server, imported, submitted and ready.
    #[must_use]
    pub fn app(&self) -> Service {
        self.launch(&Launch::default())
    }

    /// Imports the test image where it is missing, submits and waits until the first port is ready.
    #[must_use]
    pub fn launch(&self, launch: &Launch) -> Service {
        if launch.image.starts_with("testapp") && !self.home().join("imported").exists() {
            self.import("testapp.docker.tar");
            std::fs::write(self.home().join("imported"), "").expect("a mark in our own folder");
        }
        let service = self.submit(launch);
        service.wait_ready(self);
        service
    }
}

impl Service {
    /// The request's record.
    #[must_use]
    pub fn request_record(&self, wharf: &Wharf) -> Value {
        let path = format!("/arvados/v1/container_requests/{}", self.request);
        wharf.api("GET", &path, None).expect(200).json()
    }

    /// The container's record.
    #[must_use]
    pub fn record(&self, wharf: &Wharf) -> Value {
        let path = format!("/arvados/v1/containers/{}", self.container);
        wharf.api("GET", &path, None).expect(200).json()
    }

    /// Waits until the container's record passes; returns it.
    #[must_use]
    pub fn wait(&self, wharf: &Wharf, what: &str, passes: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        wait_for_some(what, BOUND, || {
            last = self.record(wharf);
            let over = matches!(last["state"].as_str(), Some("Complete" | "Cancelled"));
            let found = passes(&last).then(|| last.clone());
            assert!(
                found.is_some() || !over,
                "waiting for {what}, and the container ended: {last}"
            );
            found
        })
    }

    /// Waits for state Running.
    pub fn wait_running(&self, wharf: &Wharf) {
        let _record = self.wait(wharf, "state Running", |record| record["state"] == "Running");
    }

    /// Waits until the first published port is ready.
    pub fn wait_ready(&self, wharf: &Wharf) {
        let port = self.port.to_string();
        let ready = |record: &Value| record["published_ports"][&port]["ready"] == true;
        let _record = self.wait(wharf, "the port to be ready", ready);
    }

    /// Waits until the container is over; returns its record.
    #[must_use]
    pub fn wait_over(&self, wharf: &Wharf) -> Value {
        wait_for_some("the container to be over", BOUND, || {
            let record = self.record(wharf);
            matches!(record["state"].as_str(), Some("Complete" | "Cancelled")).then_some(record)
        })
    }

    /// Sets the priority to 0, as cancelling is.
    pub fn cancel(&self, wharf: &Wharf) {
        let path = format!("/arvados/v1/container_requests/{}", self.request);
        let body = json!({"container_request": {"priority": 0}});
        let _reply = wharf.api("PUT", &path, Some(&body)).expect(200);
    }

    /// What the container's processes and its supervisor wrote.
    #[must_use]
    pub fn logs(&self, wharf: &Wharf) -> String {
        let path = format!("/wharf/v1/logs/{}?stream=all", self.container);
        wharf.api("GET", &path, None).expect(200).text()
    }

    /// `REQUEST-PORT.containers.localhost:P` for the first published port.
    #[must_use]
    pub fn host(&self) -> String {
        self.host_of(self.port)
    }

    #[must_use]
    pub fn host_of(&self, port: u16) -> String {
        format!("{}-{port}.containers.localhost:{}", self.request, self.wharf_port)
    }

    /// The same service, seen through another controller.
    #[must_use]
    pub fn at(&self, port: u16) -> Self {
        Self { wharf_port: port, ..self.clone() }
    }

    /// The same request, seen through another of its containers.
    #[must_use]
    pub fn in_container(&self, container: String) -> Self {
        Self { container, ..self.clone() }
    }

    /// The token that submitted it.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A request to the first port, without credentials.
    #[must_use]
    pub fn bare(&self, method: &str, target: &str) -> Request {
        Request::new(self.wharf_port, &self.host(), method, target)
    }

    /// The same with the submitter's bearer token.
    #[must_use]
    pub fn ask(&self, method: &str, target: &str) -> Request {
        self.bare(method, target).bearer(&self.token)
    }

    /// GET with the submitter's token.
    #[must_use]
    pub fn get(&self, target: &str) -> Reply {
        self.ask("GET", target).send()
    }

    /// Runs a shell command inside the container, through the app's own `/sh`; its output.
    #[must_use]
    pub fn shell(&self, script: &str) -> String {
        self.ask("POST", "/sh").body(script).send().expect(200).text()
    }

    /// Exchanges the token for a session cookie: `name=value`.
    #[must_use]
    pub fn sign_in(&self) -> String {
        let target = format!("/?api_token={}", encode(&self.token));
        let reply = self.bare("GET", &target).navigating().send().expect(303);
        let cookie = reply.header("Set-Cookie").expect("the redirect sets a cookie");
        cookie.split(';').next().unwrap_or_default().to_owned()
    }

    /// A WebSocket to the app with the bearer token.
    #[must_use]
    pub fn websocket(&self, target: &str) -> tungstenite::WebSocket<std::net::TcpStream> {
        let mut request = websocket::request(&self.host(), target);
        let bearer = format!("Bearer {}", self.token).parse().expect("a token fits in a header");
        request.headers_mut().insert("Authorization", bearer);
        websocket::connect(self.wharf_port, request).expect("the WebSocket opens").0
    }
}
