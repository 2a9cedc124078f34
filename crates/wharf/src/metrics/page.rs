//! What `/metrics` says: gathered when it is asked for, out of counters that are kept anyway.

use api::Api;
use dispatch::{Starts, StartsCounted};
use history::latency::{BOUNDS_US, N_BUCKETS};
use proxy::{PortCounted, PortKey, Proxy};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use store::Store;
use telemetry::exposition::{Exposition, Kind};
use tunnel::Registry;

/// How long the records may take to be counted; the page is told without them afterwards.
const RECORDS_PATIENCE: Duration = Duration::from_secs(3);
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Whoever counts something.
pub(crate) struct Sources {
    pub(crate) api: Api,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) starts: Starts,
    pub(crate) tunnels: Registry,
    pub(crate) store: Store,
}

impl Sources {
    /// The whole page.
    pub(super) async fn page(&self) -> String {
        let mut page = Exposition::new();
        process(&mut page);
        self.records(&mut page).await;
        starts(&mut page, &self.starts.get());
        let help = "Supervisors that are connected to this process.";
        page.single("wharf_tunnels", Kind::Gauge, help, number(self.tunnels.uuids().len() as u64));
        calls(&mut page, &self.api);
        requests(&mut page, &self.proxy);
        page.finish()
    }

    /// The same at every controller of a site.
    async fn records(&self, page: &mut Exposition) {
        let counting = async {
            Ok::<_, store::StoreError>((
                self.store.count_containers().await?,
                self.store.count_requests().await?,
                self.store.queue().await?,
            ))
        };
        let Ok(Ok((containers, requests, queue))) =
            tokio::time::timeout(RECORDS_PATIENCE, counting).await
        else {
            page.single("wharf_records_up", Kind::Gauge, "Whether the records answer.", 0.0);
            return;
        };
        page.single("wharf_records_up", Kind::Gauge, "Whether the records answer.", 1.0);
        let by_state = [
            ("wharf_containers", "Containers by state.", containers),
            ("wharf_container_requests", "Container requests by state.", requests),
        ];
        for (name, help, counts) in by_state {
            let mut family = page.family(name, Kind::Gauge, help);
            for (state, n) in &counts {
                family.sample(&[("state", state)], number(u64::try_from(*n).unwrap_or(0)));
            }
        }
        let help = "Containers that wait for their start.";
        page.single("wharf_queue_containers", Kind::Gauge, help, number(queue.len() as u64));
    }
}

fn process(page: &mut Exposition) {
    let mut build = page.family("wharf_build_info", Kind::Gauge, "1, with the version.");
    build.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let Some(used) = ProcessUse::read() else { return };
    let counter = Kind::Counter;
    let help = "Processor time that this process used.";
    page.single("process_cpu_seconds_total", counter, help, used.cpu_seconds);
    let help = "Memory that this process has, pages of files included.";
    page.single("process_resident_memory_bytes", Kind::Gauge, help, used.resident_bytes);
    page.single("process_open_fds", Kind::Gauge, "Open file descriptors.", used.n_fds);
    let help = "When this process started, in seconds since 1970.";
    page.single("process_start_time_seconds", Kind::Gauge, help, used.started_s);
}

fn starts(page: &mut Exposition, starts: &StartsCounted) {
    let seconds = [
        (
            "wharf_container_start_seconds",
            "From a container's record to its program, told to this process first.",
            &starts.to_running,
        ),
        (
            "wharf_port_ready_seconds",
            "From a program's start to the first connection of a published port.",
            &starts.to_ready,
        ),
    ];
    for (name, help, times) in seconds {
        let mut family = page.family(name, Kind::Histogram, help);
        family.histogram(&[], &BOUNDS_US, &times.buckets, times.sum_us);
    }
    let help = "Containers that are over, by how: ended after a start, not_started, lost.";
    let mut family = page.family("wharf_container_ends_total", Kind::Counter, help);
    for (how, n) in
        [("ended", starts.n_ended), ("not_started", starts.n_not_started), ("lost", starts.n_lost)]
    {
        family.sample(&[("how", how)], number(n));
    }
}

fn calls(page: &mut Exposition, api: &Api) {
    let help = "Calls of the API until their answer began, by route, method and status.";
    let mut family = page.family("wharf_api_request_duration_seconds", Kind::Histogram, help);
    for (kind, times) in api.calls() {
        let class = CLASSES[usize::from(kind.class.clamp(1, 5)) - 1];
        let labels = [("route", &*kind.route), ("method", kind.method), ("status", class)];
        family.histogram(&labels, &BOUNDS_US, &times.buckets, times.sum_us);
    }
}

fn requests(page: &mut Exposition, proxy: &Proxy) {
    let ports = proxy.traffic();
    let times = [
        (
            "wharf_proxy_first_byte_seconds",
            "Until the head of an app's answer, all services together.",
            sum(&ports, |port| (port.first_byte.buckets, port.first_byte.sum_us)),
        ),
        (
            "wharf_proxy_request_duration_seconds",
            "Until the end of a request or socket, all services together.",
            sum(&ports, |port| (port.whole.buckets, port.whole.sum_us)),
        ),
    ];
    for (name, help, (buckets, sum_us)) in times {
        let mut family = page.family(name, Kind::Histogram, help);
        family.histogram(&[], &BOUNDS_US, &buckets, sum_us);
    }
    let help = "Requests that the proxy refused, by reason.";
    let mut refusals = page.family("wharf_proxy_refusals_total", Kind::Counter, help);
    for (reason, n) in proxy.refusals() {
        refusals.sample(&[("reason", reason)], number(n));
    }
    let help = "Answers to requests for a service, by container, port and status; those of ports that are not told apart have none.";
    let mut family = page.family("wharf_service_requests_total", Kind::Counter, help);
    each(&ports, |labels, port| {
        for (class, n) in CLASSES.into_iter().zip(port.by_class) {
            family.sample(&[labels[0], labels[1], ("status", class)], number(n));
        }
    });
    let counter = Kind::Counter;
    let help = "Bytes from clients.";
    each_of(page, "wharf_service_received_bytes_total", counter, help, &ports, |it| it.bytes_in);
    let help = "Bytes to clients.";
    each_of(page, "wharf_service_sent_bytes_total", counter, help, &ports, |it| it.bytes_out);
    let help = "Requests and sockets that are open.";
    each_of(page, "wharf_service_open_requests", Kind::Gauge, help, &ports, |it| it.n_open);
    let help = "WebSockets and raw connections that are open.";
    each_of(page, "wharf_service_open_sockets", Kind::Gauge, help, &ports, |it| it.n_sockets);
}

/// One number of each port.
fn each_of(
    page: &mut Exposition,
    name: &'static str,
    kind: Kind,
    help: &str,
    ports: &[(PortKey, PortCounted)],
    of: impl Fn(&PortCounted) -> u64,
) {
    let mut family = page.family(name, kind, help);
    each(ports, |labels, port| family.sample(&labels, number(of(port))));
}

fn each(
    ports: &[(PortKey, PortCounted)],
    mut sample: impl FnMut([(&'static str, &str); 2], &PortCounted),
) {
    for (key, counted) in ports {
        match key {
            Some((container, port)) => {
                sample([("container", container.as_str()), ("port", &port.to_string())], counted);
            }
            None => sample([("container", ""), ("port", "")], counted),
        }
    }
}

fn sum(
    ports: &[(PortKey, PortCounted)],
    of: impl Fn(&PortCounted) -> ([u64; N_BUCKETS], u64),
) -> ([u64; N_BUCKETS], u64) {
    ports.iter().map(|(_key, counted)| of(counted)).fold(([0; N_BUCKETS], 0), |all, one| {
        (std::array::from_fn(|at| all.0[at] + one.0[at]), all.1 + one.1)
    })
}

/// What the kernel says of this process (proc(5)).
struct ProcessUse {
    cpu_seconds: f64,
    resident_bytes: f64,
    n_fds: f64,
    started_s: f64,
}

impl ProcessUse {
    fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let boot = std::fs::read_to_string("/proc/uptime").ok()?;
        let uptime_s: f64 = boot.split_whitespace().next()?.parse().ok()?;
        // The name, field 2, may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let field = |at: usize| fields.get(at - 3)?.parse::<u64>().ok().map(number);
        let hertz = number(rustix::param::clock_ticks_per_second());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / hertz,
            resident_bytes: field(24)? * number(rustix::param::page_size() as u64),
            n_fds: number(std::fs::read_dir("/proc/self/fd").ok()?.count() as u64),
            started_s: now.as_secs_f64() - uptime_s + field(22)? / hertz,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn number(n: u64) -> f64 {
    n as f64
}
