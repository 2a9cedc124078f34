//! A tunnel that breaks: what was under way ends at once with the right answer, and the next request is served.

use std::ffi::OsString;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use testkit::http::Connection;
use testkit::websocket::read_end;
use testkit::{Service, Wharf, wait_for};

/// What "at once" may take where two cores have other things to do.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Ends the supervisor's connections to controllers, as a network that fails would. Returns how many there were.
fn break_tunnels(wharf: &Wharf, service: &Service) -> usize {
    let folder = std::fs::read_dir(wharf.data().join("run/tunnels")).expect("a folder");
    // A controller binds its socket under another ending and renames it once it listens.
    let controllers: Vec<_> = folder.flatten().map(|entry| stem_of(&entry.path())).collect();
    let is_cut = |socket: &UnixStream| {
        let peer = socket.peer_addr().ok();
        let name = peer.and_then(|peer| peer.as_pathname().map(stem_of));
        name.is_some_and(|name| controllers.contains(&name))
            && socket.shutdown(Shutdown::Both).is_ok()
    };
    let supervisor = wharf.supervisor_pid(&service.container).expect("a supervisor");
    descriptors_of(supervisor).into_iter().map(UnixStream::from).filter(is_cut).count()
}

fn stem_of(path: &Path) -> OsString {
    path.file_stem().unwrap_or_default().to_owned()
}

/// Copies of what a process has open.
fn descriptors_of(process: u32) -> Vec<OwnedFd> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw).expect("a process id");
    let handle = pidfd_open(pid, PidfdFlags::empty()).expect("a live process");
    let names = std::fs::read_dir(format!("/proc/{process}/fd")).expect("a live process");
    let numbers = names.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(|n| pidfd_getfd(&handle, n, PidfdGetfdFlags::empty()).ok()).collect()
}

/// A request that the app has begun to work on and does not answer.
fn unanswered(service: &Service) -> Connection {
    let script = "echo begun >> /tmp/begun; while [ ! -e /tmp/end ]; do sleep 0.1; done";
    let asking = service.ask("POST", "/sh").body(script).start();
    wait_for("the app to begin", testkit::BOUND, || n_begun(service) == 1);
    asking
}

fn n_begun(service: &Service) -> usize {
    service.shell("cat /tmp/begun 2>/dev/null || true").lines().count()
}

#[test]
fn a_tunnel_that_breaks_fails_its_streams_at_once_and_is_replaced_at_once() {
    let wharf = Wharf::start_configured("Proxy: {DirectSockets: false}\n");
    let service = wharf.app();
    let mut socket = service.websocket("/ws");
    let mut events = service.ask("GET", "/events").start();
    assert_eq!(events.read_head().status, 200);
    let mut upload = service.ask("POST", "/upload").header("Content-Length", "4").start();
    upload.send(b"ab");
    let mut asking = unanswered(&service);

    assert_eq!(break_tunnels(&wharf, &service), 1, "one controller, one tunnel");
    let broken = Instant::now();
    assert_eq!(read_end(&mut socket), None);
    let rest = events.read_to_end();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "a body that broke off looks whole");
    for unanswered in [&mut upload, &mut asking] {
        let _answer = unanswered.read_reply().expect(502);
    }
    assert!(broken.elapsed() < AT_ONCE, "{:?}", broken.elapsed());
    // Connections that were kept died as well; no request may meet one of them.
    wait_for("the service to be back", AT_ONCE, || match service.get("/").status() {
        200 => true,
        status => {
            assert_eq!(status, 503);
            false
        }
    });
    assert_eq!(n_begun(&service), 1, "a request that reached the app is not sent again");
    let _ended = service.shell("touch /tmp/end");
    wharf.finish();
}
