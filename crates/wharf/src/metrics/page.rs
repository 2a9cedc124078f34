//! What `/metrics` says: gathered when it is asked for, out of counters that are kept anyway.

use crate::site::SiteFacts;
use api::Api;
use dispatch::{Starts, StartsCounted};
use history::latency::{BOUNDS_US, N_BUCKETS};
use model::site::{Blocks, Capacity, Volume};
use proxy::{PortCounted, PortKey, Proxy};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use store::{Store, WritesCounted};
use telemetry::exposition::{Exposition, Kind};
use tunnel::Registry;

/// How long the records may take to be counted; the page is told without them afterwards.
const RECORDS_PATIENCE: Duration = Duration::from_secs(3);
/// How long volumes may take: a network's file system can hang.
const VOLUMES_PATIENCE: Duration = Duration::from_secs(3);
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Whoever counts something.
pub(crate) struct Sources {
    pub(crate) api: Api,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) starts: Starts,
    pub(crate) tunnels: Registry,
    pub(crate) store: Store,
    pub(crate) site: SiteFacts,
}

impl Sources {
    /// The whole page.
    pub(super) async fn page(&self) -> String {
        let mut page = Exposition::new();
        process(&mut page);
        self.records(&mut page).await;
        writes(&mut page, &self.store.writes_counted());
        self.machine(&mut page).await;
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
                self.site.promised().await?,
            ))
        };
        let Ok(Ok((containers, requests, queue, capacity))) =
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
        promised(page, &capacity);
    }

    /// The dispatcher, volumes and blocks, whichever process has to do with them.
    async fn machine(&self, page: &mut Exposition) {
        let heartbeat = self.site.heartbeat().await;
        let help = "Whether a process dispatches for this data directory.";
        let up = if heartbeat.is_alive { 1.0 } else { 0.0 };
        page.single("wharf_dispatcher_up", Kind::Gauge, help, up);
        let looked_at = heartbeat.looked_at;
        if let Some(at) = looked_at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok()) {
            let help = "When the dispatcher last looked at everything, in seconds since 1970.";
            let name = "wharf_dispatcher_looked_timestamp_seconds";
            page.single(name, Kind::Gauge, help, at.as_secs_f64());
        }
        let looking = tokio::time::timeout(VOLUMES_PATIENCE, self.site.storage()).await;
        let (volumes, swept) = looking.unwrap_or_default();
        storage(page, &volumes, swept.as_ref());
    }
}

fn promised(page: &mut Exposition, capacity: &Capacity) {
    let shares = [
        ("containers", capacity.containers),
        ("vcpus", capacity.vcpus),
        ("ram_bytes", capacity.ram_bytes),
    ];
    let help = "What there is for containers, overcommit included.";
    let mut family = page.family("wharf_capacity", Kind::Gauge, help);
    for (of, share) in shares {
        family.sample(&[("of", of)], number(share.most));
    }
    let help = "What of it is promised to containers that run or are being started.";
    let mut family = page.family("wharf_capacity_promised", Kind::Gauge, help);
    for (of, share) in shares {
        family.sample(&[("of", of)], number(share.promised));
    }
}

fn writes(page: &mut Exposition, counted: &WritesCounted) {
    let counter = Kind::Counter;
    let help = "Steps that wrote records; several may share a commit.";
    page.single("wharf_store_writes_total", counter, help, number(counted.n_writes));
    let help = "Commits, by how they went.";
    let mut family = page.family("wharf_store_commits_total", counter, help);
    family.sample(&[("outcome", "done")], number(counted.n_commits));
    family.sample(&[("outcome", "failed")], number(counted.n_failed));
    let help = "Steps that gave up waiting for their turn.";
    page.single("wharf_store_busy_total", counter, help, number(counted.n_busy));
    let help = "Time of steps: waiting for their turn, working, and committing.";
    let mut family = page.family("wharf_store_seconds_total", counter, help);
    for (doing, us) in
        [("wait", counted.wait_us), ("work", counted.work_us), ("commit", counted.commit_us)]
    {
        family.sample(&[("doing", doing)], number(us) / 1e6);
    }
}

fn storage(page: &mut Exposition, volumes: &[Volume], swept: Option<&Blocks>) {
    let gauge = Kind::Gauge;
    let mut family = page.family("wharf_volume_up", gauge, "Whether a volume can be looked at.");
    for volume in volumes {
        let up = if volume.trouble.is_none() { 1.0 } else { 0.0 };
        family.sample(&[("volume", &volume.name)], up);
    }
    let help = "Bytes that may still be written to a volume; directories alone say.";
    let mut family = page.family("wharf_volume_free_bytes", gauge, help);
    for (volume, free) in volumes.iter().filter_map(|it| Some((it, it.free_bytes?))) {
        family.sample(&[("volume", &volume.name)], number(free));
    }
    let mut family =
        page.family("wharf_volume_size_bytes", gauge, "Bytes of a volume's file system.");
    for (volume, size) in volumes.iter().filter_map(|it| Some((it, it.size_bytes?))) {
        family.sample(&[("volume", &volume.name)], number(size));
    }
    let Some(swept) = swept else { return };
    let help = "Blocks on all volumes at the last sweep, without the trash.";
    page.single("wharf_blocks", gauge, help, number(swept.n_kept));
    page.single("wharf_blocks_bytes", gauge, "Their bytes.", number(swept.kept_bytes));
    let help = "When blocks were last swept and counted, in seconds since 1970.";
    let at = swept.swept_at.as_jiff().as_second();
    let at = number(u64::try_from(at).unwrap_or_default());
    page.single("wharf_blocks_swept_timestamp_seconds", gauge, help, at);
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
