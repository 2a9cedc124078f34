//! An OpenID provider that is not ours, and a browser without script that signs in with it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::images;

/// `oidc-provider` on loopback, in a process of its own; ended when dropped.
#[derive(Debug)]
pub struct OpenIdProvider {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    issuer: String,
}

impl OpenIdProvider {
    /// One that listens; it serves once it knows its client ([`OpenIdProvider::lead_back_to`]).
    #[must_use]
    pub fn start() -> Self {
        Self::at(0)
    }

    /// The same on this port.
    #[must_use]
    pub fn at(port: u16) -> Self {
        let mut child = Command::new("node")
            .arg(images::openid().join("provider.mjs"))
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starting node");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let mut provider = Self { child, input, output, issuer: String::new() };
        let said = provider.read();
        said["issuer"].as_str().expect("it says its issuer").clone_into(&mut provider.issuer);
        provider
    }

    /// Where it is.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self.issuer.rsplit(':').next().and_then(|port| port.parse().ok());
        port.expect("an issuer on loopback has a port")
    }

    /// Tells it where it may lead back to, and by which algorithm it signs; once.
    pub fn lead_back_to(&mut self, redirect_uri: &str, alg: &str) {
        let client = json!({ "redirect_uri": redirect_uri, "alg": alg });
        let input = self.input.as_mut().expect("its input is a pipe");
        writeln!(input, "{client}").expect("writing to the provider");
        assert_eq!(self.read()["ready"], true);
    }

    /// The config of a Wharf whose people sign in here; `more` are further keys of `Login.OpenIDConnect`.
    #[must_use]
    pub fn config(&self, more: &str) -> String {
        format!(
            "Login:\n  OpenIDConnect:\n    Enable: true\n    ProviderName: Test ID\n    \
             Issuer: {}\n    ClientID: wharf\n    ClientSecret: a secret of the client\n    {more}\n",
            self.issuer
        )
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("reading from the provider");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        // It has gone already where something failed.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// curl with a cookie jar of its own, which follows redirects one by one and says where it came by.
#[derive(Debug)]
pub struct Browser {
    folder: TempDir,
}

/// Where a browser ended up.
#[derive(Debug, Clone)]
pub struct Page {
    pub url: String,
    pub status: u16,
    /// The answer's head.
    pub head: String,
    pub text: String,
    /// Where it leads on to, if it does and was not followed.
    pub redirect: String,
    /// Every address on the way.
    pub visited: Vec<String>,
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl Browser {
    /// One without cookies.
    #[must_use]
    pub fn new() -> Self {
        Self { folder: TempDir::with_prefix("browser-").expect("a temporary folder") }
    }

    /// Opens an address and follows where it leads, within reason.
    #[must_use]
    pub fn open(&self, url: &str) -> Page {
        self.go(url, None, "nowhere")
    }

    /// The same, but does not follow to what starts with `stop`.
    #[must_use]
    pub fn open_until(&self, url: &str, stop: &str) -> Page {
        self.go(url, None, stop)
    }

    /// Sends a form.
    #[must_use]
    pub fn submit(&self, url: &str, form: &str) -> Page {
        self.go(url, Some(form), "nowhere")
    }

    /// Goes through the provider's pages, as NAME, until it has led back (or would lead to what starts with `stop`).
    #[must_use]
    pub fn sign_in(&self, start: &str, name: &str, stop: &str) -> Page {
        let mut page = self.go(start, None, stop);
        for _step in 0..4 {
            let form = match () {
                () if page.text.contains("name=\"prompt\" value=\"login\"") => {
                    format!("prompt=login&login={name}&password=any")
                }
                () if page.text.contains("name=\"prompt\" value=\"consent\"") => {
                    "prompt=consent".to_owned()
                }
                () => return page,
            };
            let action = between(&page.text, "action=\"", "\"").expect("a form").to_owned();
            let visited = page.visited;
            page = self.go(&action, Some(&form), stop);
            page.visited.splice(0..0, visited);
        }
        page
    }

    fn go(&self, url: &str, form: Option<&str>, stop: &str) -> Page {
        let mut page = self.fetch(url, form);
        for _redirect in 0..20 {
            if page.redirect.is_empty() || page.redirect.starts_with(stop) {
                return page;
            }
            let visited = page.visited;
            page = self.fetch(&page.redirect, None);
            page.visited.splice(0..0, visited);
        }
        panic!("{url} leads on and on: {:?}", page.visited)
    }

    fn fetch(&self, url: &str, form: Option<&str>) -> Page {
        let (jar, head, body) = (self.path("jar"), self.path("head"), self.path("body"));
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "30", "--write-out"])
            .arg("%{http_code} %{redirect_url}")
            .args(["--header", "Accept: text/html"])
            .arg("--cookie")
            .arg(&jar)
            .arg("--cookie-jar")
            .arg(&jar)
            .arg("--dump-header")
            .arg(&head)
            .arg("--output")
            .arg(&body);
        if let Some(form) = form {
            // As the page that has the form would send it.
            let origin: Vec<&str> = url.splitn(4, '/').take(3).collect();
            curl.args(["--data", form, "--header", &format!("Origin: {}", origin.join("/"))]);
        }
        let done = curl.arg(url).output().expect("running curl");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&done.stderr);
        let (status, redirect) = said.split_once(' ').unwrap_or_default();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        Page {
            url: url.to_owned(),
            status: status.parse().unwrap_or_else(|_no_answer| panic!("{url}: {complaint}")),
            head: read(&head),
            text: read(&body),
            redirect: redirect.to_owned(),
            visited: vec![url.to_owned()],
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Page {
    /// Panics with everything unless it has this status.
    #[track_caller]
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {}\n{}", self.url, self.head, self.text);
        self
    }

    /// Where the page leads on to by itself (the `Refresh` header).
    #[must_use]
    pub fn onward(&self) -> Option<&str> {
        between(&self.head, "refresh: 0; url=", "\r")
    }

    #[track_caller]
    pub fn has(&self, words: &str) {
        assert!(self.text.contains(words), "no {words:?} in {}", self.text);
    }
}

/// What lies between two texts.
#[must_use]
pub fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}
