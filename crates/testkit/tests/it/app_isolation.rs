//! What a container can reach and see, and what can reach it.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use testkit::{Launch, Service, Wharf};

/// Listens on the host and answers one request with "host".
fn host_listener() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("a bound socket").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhost");
        }
    });
    port
}

#[test]
fn t29_only_ports_inside_the_container_are_dialled() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let host_port = host_listener();
    for port in [host_port, wharf.port(), 22, 2375] {
        let host = service.host_of(port);
        let reply = wharf.request(&host, "GET", "/").bearer(wharf.token()).send();
        assert_eq!(reply.status(), 502, "{port}: {}", reply.text());
    }
    wharf.finish();
}

#[test]
fn t30_a_redirect_of_the_app_is_passed_on_and_not_followed() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let to = "http://169.254.169.254/latest/meta-data";
    let raw = format!(
        "HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: {to}\r\nRefresh: 0; url={to}\r\nContent-Length: 0\r\n\r\n"
    );
    let reply = service.ask("POST", "/raw").body(raw).send().expect(302);
    assert_eq!(reply.header("Location"), Some(to));
    wharf.finish();
}

#[test]
fn t31_neighbours_cannot_connect_to_the_app() {
    let wharf = Wharf::start();
    let wide = vec![
        "testkit-app".to_owned(),
        "--bind".to_owned(),
        "0.0.0.0".to_owned(),
        "--port".to_owned(),
        "48080".to_owned(),
    ];
    let ports = vec![(48_080, "private", "")];
    let service = wharf.launch(&Launch { command: wide, ports, ..Launch::default() });
    assert!(TcpStream::connect("127.0.0.1:48080").is_err(), "no port of the host leads there");
    let neighbour = wharf.launch(&Launch::default());
    let tried = neighbour.get("/connect?to=127.0.0.1:48080").text();
    assert!(tried.contains("refused"), "{tried}");
    let _still_there = service.get("/").expect(200);
    wharf.finish();
}

#[test]
fn t32_nobody_else_who_listens_on_the_port_poses_as_the_app() {
    let wharf = Wharf::start();
    // The host has the port already, and so has a neighbour.
    let port = host_listener();
    let words = ["testkit-app", "--bind", "0.0.0.0", "--port", &port.to_string()];
    let command = words.map(str::to_owned).to_vec();
    let ports = vec![(port, "private", "")];
    let neighbour = wharf.launch(&Launch { command, ports, ..Launch::default() });
    let ports = vec![(8080, "private", ""), (port, "private", "")];
    let service = wharf.launch(&Launch { ports, ..Launch::default() });
    let ask = |it: &Service, path: &str| {
        wharf.request(&it.host_of(port), "GET", path).bearer(wharf.token()).send()
    };
    let served = ask(&neighbour, "/theirs").expect(200);
    assert!(served.text().contains("/theirs"), "{}", served.text());
    for _again in 0..3 {
        let _not_the_host_nor_the_neighbour = ask(&service, "/").expect(503);
    }
    assert_eq!(service.record(&wharf)["published_ports"][port.to_string()]["ready"], false);
    // The app's own listener is the one that is reached.
    let _listens = service.get(&format!("/listen?port={port}")).expect(200);
    let ready =
        |record: &serde_json::Value| record["published_ports"][port.to_string()]["ready"] == true;
    let _record = service.wait(&wharf, "the app's own port to be ready", ready);
    let reply = ask(&service, "/mine").expect(200);
    assert!(reply.text().contains("/mine"), "{}", reply.text());
    wharf.finish();
}

#[test]
fn a_container_has_loopback_and_no_other_network() {
    let wharf = Wharf::start();
    let service = wharf.app();
    assert_eq!(
        service
            .shell("ls /sys/class/net 2>/dev/null || tail -n +3 /proc/net/dev | cut -d: -f1")
            .trim(),
        "lo"
    );
    assert_eq!(service.shell("tail -n +2 /proc/net/route").trim(), "");
    let host_port = host_listener();
    let tried = service.get(&format!("/connect?to=127.0.0.1:{host_port}")).text();
    assert!(tried.contains("refused"), "{tried}");
    for outside in ["169.254.169.254:80", "192.0.2.1:80", "[2001:db8::1]:80"] {
        let tried = service.get(&format!("/connect?to={outside}")).text();
        assert!(tried.contains("unreachable"), "{outside}: {tried}");
    }
    wharf.finish();
}

#[test]
fn t36_no_token_of_ours_is_inside_a_container() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let _cookie = service.sign_in();
    let secret = wharf.token().rsplit('/').next().unwrap_or_default().to_owned();
    // The last three letters are left out, or the script would find itself.
    let needle = &secret[..secret.len() - 3];
    let script = format!(
        "n={needle}; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | \
         grep -v \"n=$n\" > /tmp/seen; grep -c -e \"$n\" -e ARVADOS_API_TOKEN -e wharf_session \
         /tmp/seen; rm /tmp/seen; \
         find /bin /etc /home /lib /out /root /run /tmp /usr /var -type f -exec grep -l \"$n\" {{}} +; \
         find / -xdev -name credentials.json; find / -xdev -type f -name 'secret*'; true"
    );
    let found = service.shell(&script);
    assert_eq!(found.trim(), "0", "{found}");
    wharf.finish();
}

#[test]
fn t18_no_header_and_no_method_reaches_anything_but_the_app() {
    let wharf = Wharf::start();
    let service = wharf.launch(&Launch::default().public());
    let headers = [
        ("X-Wharf-Stream", "log"),
        ("X-Stream", "control"),
        ("X-Arvados-Detach-Keys", "a"),
        ("X-Arvados-Login-Username", "root"),
        ("Upgrade", "ssh"),
        ("Upgrade", "wharf"),
        ("Upgrade", "tunnel"),
        ("X-Port", "22"),
        ("X-Arvados-Target-Port", "22"),
        ("X-Arvados-Container-Gateway-Uuid", "x"),
        ("X-Arvados-Authorization", "y"),
    ];
    for (name, value) in headers {
        for method in ["GET", "POST", "OPTIONS", "SUBSCRIBE", "LOG", "EXEC"] {
            let mut request = service.bare(method, "/logs?stream=crunch-run").header(name, value);
            if name == "Upgrade" {
                request = request.header("Connection", "Upgrade");
            }
            let reply = request.send().expect(200);
            let text = reply.text();
            assert!(text.starts_with(&format!("{method} /logs")), "{name}: {value}: {text}");
        }
    }
    wharf.finish();
}

#[test]
fn a_container_is_held_to_what_it_was_given() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let status = service.shell("cat /proc/self/status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim_matches([':', '\t', ' ']).to_owned()
    };
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2");
    // What the bounding set lacks can't be regained; these would open the host.
    let bounding = u64::from_str_radix(&field("CapBnd"), 16).expect("a hex mask");
    for (bit, name) in [
        (21, "sys_admin"),
        (16, "sys_module"),
        (12, "net_admin"),
        (19, "sys_ptrace"),
        (17, "sys_rawio"),
        (22, "sys_boot"),
    ] {
        assert_eq!(bounding >> bit & 1, 0, "capability {name} in {bounding:x}");
    }
    let tried = service.shell(
        "mount -t tmpfs none /mnt 2>&1; unshare -r true 2>&1; dmesg 2>&1 | head -2; ls /dev",
    );
    assert!(tried.contains("not permitted") || tried.contains("denied"), "{tried}");
    assert!(!tried.contains("vda") && !tried.contains("kmsg"), "{tried}");
    // Its processes are its own.
    let processes = service.shell("ls /proc | grep -c '^[0-9]'");
    assert!(processes.trim().parse::<u32>().is_ok_and(|count| count < 12), "{processes}");
    wharf.finish();
}
