//! A cache in front of the site that keeps everything it may: nginx, which asks nobody whether a request has a
//! credential (T39).

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;
use testkit::http::{Reply, Request};
use testkit::{Launch, Wharf, wait_for};

/// Ended when dropped.
struct Front {
    nginx: Child,
    port: u16,
    _folder: TempDir,
}

impl Front {
    fn start(wharf: &Wharf) -> Self {
        let folder = TempDir::with_prefix("wharf-front-").expect("a temporary folder");
        // nginx takes no port 0: one that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let home = folder.path().display();
        let mut text =
            format!("daemon off; master_process off; pid {home}/pid; error_log stderr;\n");
        text.push_str("events {}\nhttp { access_log off;\n");
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            let _infallible = writeln!(text, "{kind}_temp_path {home}/{kind};");
        }
        let _infallible = write!(
            text,
            "proxy_cache_path {home}/cache keys_zone=all:1m;
             server {{ listen 127.0.0.1:{port}; location / {{
               proxy_pass http://127.0.0.1:{}; proxy_http_version 1.1; proxy_set_header Host $http_host;
               proxy_cache all; proxy_cache_key $http_host$request_uri; proxy_cache_valid any 10m;
               add_header X-Cache $upstream_cache_status always; }} }} }}\n",
            wharf.port()
        );
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, text).expect("writing the config");
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(config).stdin(Stdio::null());
        let nginx = command.spawn().expect("nginx-light is installed by `cargo xtask setup`");
        wait_for("nginx to serve", testkit::BOUND, || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { nginx, port, _folder: folder }
    }

    fn get(&self, host: &str, token: Option<&str>) -> Reply {
        let request = Request::new(self.port, host, "GET", "/page");
        token.map_or(request.clone(), |token| request.bearer(token)).send()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _gone_already = self.nginx.kill();
        let _status = self.nginx.wait();
    }
}

fn kept(reply: &Reply) -> bool {
    reply.header("X-Cache") == Some("HIT")
}

#[test]
fn t39_a_cache_in_front_shows_nobody_what_is_private() {
    let wharf = Wharf::start();
    let front = Front::start(&wharf);
    // It keeps what is public at an address that stays so: the test can fail.
    let public = wharf.launch(&Launch::default().public());
    let _first = front.get(&public.host(), None).expect(200);
    assert!(kept(&front.get(&public.host(), None).expect(200)), "this cache keeps what it may");

    let private = wharf.app();
    for _time in 0..2 {
        let own = front.get(&private.host(), Some(wharf.token())).expect(200);
        assert!(!kept(&own), "{:?}", own.head.headers);
        let stranger = front.get(&private.host(), None);
        assert_eq!(stranger.status(), 403, "{}", stranger.text());
        assert!(!kept(&stranger), "an answer of ours is kept by nobody");
    }

    // A name that is public, and then private, and then public again.
    let lab = wharf.host("lab");
    let link = json!({"link": {"link_class": "hostname", "name": "lab", "head_uuid": public.request,
        "properties": {"port": 8080}}});
    let made = wharf.api("POST", "/arvados/v1/links", Some(&link)).expect(200).json();
    let path = format!("/arvados/v1/links/{}", made["uuid"].as_str().expect("a uuid"));
    let lead_to = |request: &str| {
        let _moved =
            wharf.api("PUT", &path, Some(&json!({"link": {"head_uuid": request}}))).expect(200);
    };
    for _time in 0..2 {
        assert!(!kept(&front.get(&lab, None).expect(200)));
    }
    lead_to(&private.request);
    let _stranger = front.get(&lab, None).expect(403);
    let _own = front.get(&lab, Some(wharf.token())).expect(200);
    let _stranger = front.get(&lab, None).expect(403);
    lead_to(&public.request);
    let _stranger = front.get(&lab, None).expect(200);
    drop(front);
    wharf.finish();
}
