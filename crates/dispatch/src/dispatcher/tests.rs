//! The loop against a real store in memory, real tunnels, and a backend that is honest about what
//! supervisors do: they lock nothing, write state files, connect, report and die.

use std::path::Path;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lifecycle::wait_for;
use model::request_rules::{Origin, new_request};
use model::{
    ContainerEnd, ContainerRequest, Phase, RequestState, SupervisorState, Timestamp, ToController,
    ToSupervisor,
};
use serde_json::json;
use store::StoreOptions;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tunnel::{LaunchSecret, Limits, Role, StreamKind, Tunnel};

use super::*;
use crate::acceptor::TunnelAcceptor;
use crate::backend::{BackendError, EndHow};
use crate::images::LaunchImage;
use crate::layout::ContainerDir;

mod backend;
mod several;

use backend::{FakeBackend, OneImage};

const SOON: Duration = Duration::from_secs(20);

/// A dispatcher that runs until dropped, its store, and its fakes.
struct Site {
    store: Store,
    backend: Arc<FakeBackend>,
    acceptor: TunnelAcceptor,
    queue: watch::Receiver<Arc<QueueReport>>,
    scope: TaskScope,
    dir: tempfile::TempDir,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.scope.cancel();
    }
}

impl Site {
    async fn store() -> Store {
        let store = Store::open(Path::new(":memory:"), StoreOptions::default()).await.unwrap();
        store.ensure_system_user().await.unwrap();
        store
    }

    fn start(store: Store, backend: Arc<FakeBackend>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = DispatchConfig::for_machine(dir.path().to_owned(), 4 << 30, 2);
        config.containers_max = 2;
        config.stop_grace = Duration::from_secs(1);
        let domain = ServiceDomain::parse("http://*.containers.localhost:8000/").unwrap();
        let registry = Registry::new();
        let acceptor = acceptor_over(&store, &config, domain.clone(), registry.clone());
        let dispatcher = Dispatcher::new(
            store.clone(),
            config,
            backend.clone(),
            Arc::new(OneImage),
            domain,
            registry,
        );
        let queue = dispatcher.queue();
        let scope = TaskScope::new("test");
        scope.spawn("dispatcher", dispatcher.run(scope.token()));
        scope.spawn_cancellable("orders", acceptor.clone().follow_records());
        Self { store, backend, acceptor, queue, scope, dir }
    }

    async fn new() -> Self {
        Self::start(Self::store().await, FakeBackend::new())
    }

    async fn container(&self, uuid: ContainerUuid) -> Container {
        self.store.container(uuid).await.unwrap().unwrap()
    }

    async fn until(&self, what: &str, uuid: ContainerUuid, is_so: impl Fn(&Container) -> bool) {
        let look = || async {
            let container = self.container(uuid).await;
            is_so(&container).then_some(())
        };
        if wait_for(what, SOON, look).await.is_err() {
            let asked = self.backend.asked.lock().unwrap().clone();
            panic!("never {what}: {:#?}\n{asked:?}", self.container(uuid).await);
        }
    }

    async fn until_asked(&self, verb: &str, uuid: ContainerUuid) {
        lifecycle::wait_until(verb, SOON, || self.backend.n_asked(verb, uuid) > 0).await.unwrap();
    }

    /// Another controller over the same records and directory, which does not dispatch.
    fn second_controller(&self) -> TunnelAcceptor {
        let config = DispatchConfig::for_machine(self.dir.path().to_owned(), 4 << 30, 2);
        let domain = ServiceDomain::parse("http://*.containers.localhost:8000/").unwrap();
        let acceptor = acceptor_over(&self.store, &config, domain, Registry::new());
        self.scope.spawn_cancellable("orders", acceptor.clone().follow_records());
        acceptor
    }

    /// Connects as the supervisor of a launched container.
    async fn connect(&self, uuid: ContainerUuid) -> Supervisor {
        self.connect_to(&self.acceptor, uuid).await
    }

    async fn connect_to(&self, acceptor: &TunnelAcceptor, uuid: ContainerUuid) -> Supervisor {
        let path = ContainerDir::of(self.dir.path(), uuid).secret();
        let secret = LaunchSecret::from_hex(&std::fs::read_to_string(path).unwrap()).unwrap();
        let (near, far) = tokio::io::duplex(1 << 16);
        let acceptor = acceptor.clone();
        let scope = self.scope.clone();
        self.scope.spawn("accept", async move {
            let admitted = acceptor.admit(far).await.unwrap();
            scope.spawn_cancellable("driver", admitted.driver);
            scope.spawn_cancellable("control", admitted.control);
        });
        let io = tunnel::secure::dial(near, uuid.as_str(), &secret).await.unwrap();
        let (tunnel, incoming, driver) = tunnel::start(io, Role::Supervisor, Limits::supervisor());
        self.scope.spawn_cancellable("supervisor", driver.map(|_| ()));
        let stream = tunnel.open(StreamKind::Control).await.unwrap();
        Supervisor { tunnel, _incoming: incoming, stream: BufReader::new(stream) }
    }
}

fn acceptor_over(
    store: &Store,
    config: &DispatchConfig,
    domain: ServiceDomain,
    registry: Registry,
) -> TunnelAcceptor {
    let identity = tunnel::Identity::generate().unwrap();
    TunnelAcceptor::new(store.clone(), identity, config, domain, registry)
}

struct Supervisor {
    tunnel: Tunnel,
    _incoming: tunnel::Incoming,
    stream: BufReader<tunnel::Stream>,
}

impl Supervisor {
    async fn tell(&mut self, state: &SupervisorState) {
        let line = serde_json::to_string(&ToController::State(state.clone())).unwrap() + "\n";
        self.stream.write_all(line.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn hear(&mut self) -> ToSupervisor {
        let mut line = String::new();
        tokio::time::timeout(SOON, self.stream.read_line(&mut line)).await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

/// Commits a request; gives it with its container.
pub(crate) async fn submit(
    store: &Store,
    image: &str,
    priority: i64,
) -> (ContainerRequest, ContainerUuid) {
    let by = store.system_user();
    let attributes = json!({
        "state": "Committed", "priority": priority, "command": ["true"], "container_image": image,
        "output_path": "/out", "mounts": {"/out": {"kind": "tmp"}}, "use_existing": false,
        "runtime_constraints": {"ram": 1 << 28, "vcpus": 1}, "service": true,
        "published_ports": {"80": {"access": "private", "label": "web"}},
    });
    let attributes = attributes.as_object().unwrap();
    let origin = Origin { uuid: store.new_request_uuid().unwrap(), by, at: store.now() };
    let request = new_request(attributes, &origin).unwrap();
    let request = store.create_request(request, None, by).await.unwrap();
    let container = request.container_uuid.unwrap();
    (request, container)
}

/// The record of a container that was just submitted.
pub(crate) async fn a_container() -> Container {
    let store = Site::store().await;
    let (_, uuid) = submit(&store, "known", 500).await;
    store.container(uuid).await.unwrap().unwrap()
}

async fn cancel(store: &Store, request: &ContainerRequest) {
    let before = store.request(request.uuid).await.unwrap().unwrap();
    let after = ContainerRequest { priority: 0, ..before.clone() };
    store.update_request(before, after, None, store.system_user()).await.unwrap();
}

fn at() -> Timestamp {
    "2020-01-01T00:00:00Z".parse().unwrap()
}

fn starting() -> SupervisorState {
    SupervisorState::default()
}

fn running() -> SupervisorState {
    SupervisorState { phase: Phase::Running, started_at: Some(at()), ..starting() }
}

fn ended(outcome: model::Outcome) -> SupervisorState {
    let reason = String::new();
    let end = ContainerEnd { outcome, finished_at: at(), reason, oom_killed: false };
    SupervisorState { phase: Phase::Ended, end: Some(end), ..running() }
}

fn is_launched(container: &Container) -> bool {
    container.state == ContainerState::Locked
}

#[tokio::test]
async fn a_service_goes_from_queue_to_end_by_what_its_supervisor_says() {
    let site = Site::new().await;
    let (request, uuid) = submit(&site.store, "known", 500).await;
    site.until_asked("launch", uuid).await;
    let mut supervisor = site.connect(uuid).await;
    supervisor.tell(&starting()).await;
    assert_eq!(supervisor.hear().await, ToSupervisor::Ack { phase: Phase::Starting });
    assert_eq!(site.container(uuid).await.state, ContainerState::Locked);

    let port = model::ContainerPort::HTTP;
    let ready = SupervisorState { ready: [(port, at())].into(), ..running() };
    supervisor.tell(&ready).await;
    assert_eq!(supervisor.hear().await, ToSupervisor::Ack { phase: Phase::Running });
    let container = site.container(uuid).await;
    assert_eq!(container.state, ContainerState::Running);
    let web = container.published_ports.get(port).unwrap();
    assert!(web.is_ready());
    let url = format!("http://{uuid}-80.containers.localhost:8000/");
    assert_eq!(web.base_url.as_deref(), Some(url.as_str()));

    supervisor.tell(&ended(model::Outcome::Exited { code: 3 })).await;
    assert_eq!(supervisor.hear().await, ToSupervisor::Ack { phase: Phase::Ended });
    let container = site.container(uuid).await;
    assert_eq!((container.state, container.exit_code), (ContainerState::Complete, Some(3)));
    let request = site.store.request(request.uuid).await.unwrap().unwrap();
    assert_eq!(request.state, RequestState::Final);
    assert_eq!(site.backend.n_asked("launch", uuid), 1);
    site.backend.die(uuid, Some(ended(model::Outcome::Exited { code: 3 })));
    site.until_asked("forget", uuid).await;
}

#[tokio::test]
async fn a_killed_supervisor_ends_its_container_in_words_and_is_swept() {
    let site = Site::new().await;
    let (_, uuid) = submit(&site.store, "known", 500).await;
    site.until_asked("launch", uuid).await;
    let mut supervisor = site.connect(uuid).await;
    supervisor.tell(&running()).await;
    site.until("Running", uuid, |it| it.state == ContainerState::Running).await;
    supervisor.tunnel.close();
    site.backend.die(uuid, Some(running()));
    site.until("Cancelled", uuid, |it| it.state == ContainerState::Cancelled).await;
    let container = site.container(uuid).await;
    assert!(container.error_words().unwrap().contains("ended without a report"));
    site.until_asked("sweep", uuid).await;
    site.until_asked("forget", uuid).await;
}

#[tokio::test]
async fn a_cancelled_service_is_told_to_stop_through_its_tunnel() {
    let site = Site::new().await;
    let (request, uuid) = submit(&site.store, "known", 500).await;
    site.until_asked("launch", uuid).await;
    let mut supervisor = site.connect(uuid).await;
    supervisor.tell(&running()).await;
    supervisor.hear().await;
    cancel(&site.store, &request).await;
    assert_eq!(supervisor.hear().await, ToSupervisor::Stop { grace_ms: 1000 });
    supervisor.tell(&ended(model::Outcome::Stopped { code: Some(0) })).await;
    assert_eq!(supervisor.hear().await, ToSupervisor::Ack { phase: Phase::Ended });
    assert_eq!(site.container(uuid).await.state, ContainerState::Cancelled);
    assert_eq!(site.backend.n_asked("Ask", uuid), 0);
}

#[tokio::test]
async fn a_cancelled_service_without_a_tunnel_is_signalled() {
    let site = Site::new().await;
    let (request, uuid) = submit(&site.store, "known", 500).await;
    site.until_asked("launch", uuid).await;
    cancel(&site.store, &request).await;
    site.until_asked("Ask", uuid).await;
    // It stops without ever reaching us; its state file tells.
    site.backend.die(uuid, Some(ended(model::Outcome::Stopped { code: None })));
    site.until("Cancelled", uuid, |it| it.state == ContainerState::Cancelled).await;
}

#[tokio::test]
async fn a_restarted_dispatcher_finds_each_container_where_it_was_left() {
    let store = Site::store().await;
    let backend = FakeBackend::new();
    // Locked, and the crash came before the supervisor: launched again.
    let (_, relaunched) = submit(&store, "known", 500).await;
    store.lock_container(relaunched, "before").await.unwrap();
    // Running all the while: left alone.
    let (_, untouched) = submit(&store, "known", 500).await;
    store.lock_container(untouched, "before").await.unwrap();
    store.start_container(untouched, at(), Default::default()).await.unwrap();
    backend.put(untouched, true, Some(running()));
    // Ended while nobody listened, and the supervisor has given up waiting.
    let (_, unheard) = submit(&store, "known", 500).await;
    store.lock_container(unheard, "before").await.unwrap();
    backend.put(unheard, false, Some(ended(model::Outcome::Exited { code: 0 })));
    // Died before the command began: swept, then launched again.
    let (_, unlucky) = submit(&store, "known", 500).await;
    store.lock_container(unlucky, "before").await.unwrap();
    backend.put(unlucky, false, None);

    let site = Site::start(store, backend);
    site.until_asked("launch", relaunched).await;
    site.until("Complete", unheard, |it| it.state == ContainerState::Complete).await;
    assert_eq!(site.container(unheard).await.exit_code, Some(0));
    site.until_asked("sweep", unlucky).await;
    site.until_asked("launch", unlucky).await;
    assert!(is_launched(&site.container(unlucky).await));
    assert_eq!(site.container(untouched).await.state, ContainerState::Running);
    for verb in ["launch", "sweep", "Ask"] {
        assert_eq!(site.backend.n_asked(verb, untouched), 0, "{verb}");
    }
}

#[tokio::test]
async fn launches_that_cannot_work_end_in_words() {
    let site = Site::new().await;
    let (_, no_image) = submit(&site.store, "unknown", 500).await;
    site.until("Cancelled", no_image, |it| it.state == ContainerState::Cancelled).await;
    let words = site.container(no_image).await.error_words().unwrap().to_owned();
    assert!(words.contains("image unknown is not on this machine"), "{words}");

    let source = std::io::Error::from(std::io::ErrorKind::NotFound);
    *site.backend.launch_fails.lock().unwrap() =
        Some(BackendError::Spawn { executable: "/gone/wharf".into(), source });
    let (_, no_spawn) = submit(&site.store, "known", 500).await;
    site.until("Cancelled", no_spawn, |it| it.state == ContainerState::Cancelled).await;
    let words = site.container(no_spawn).await.error_words().unwrap().to_owned();
    assert!(words.contains("cannot start \"/gone/wharf\": entity not found"), "{words}");
    assert!(!site.backend.has(no_spawn));
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named_on_the_record() {
    let site = Site::new().await;
    std::fs::write(site.dir.path().join("containers"), "a file in the way").unwrap();
    let (_, uuid) = submit(&site.store, "known", 500).await;
    site.until("Cancelled", uuid, |it| it.state == ContainerState::Cancelled).await;
    let words = site.container(uuid).await.error_words().unwrap().to_owned();
    assert!(words.starts_with("cannot prepare ") && words.contains("containers"), "{words}");
}

#[tokio::test]
async fn who_waits_is_told_why_and_starts_when_there_is_room() {
    let mut site = Site::new().await;
    let (_, first) = submit(&site.store, "known", 500).await;
    let (_, second) = submit(&site.store, "known", 500).await;
    site.until_asked("launch", first).await;
    site.until_asked("launch", second).await;
    let (_, third) = submit(&site.store, "known", 1).await;
    let is_told = |report: &Arc<QueueReport>| report.get(third).is_some_and(|it| it.place == 1);
    tokio::time::timeout(SOON, site.queue.wait_for(is_told)).await.unwrap().unwrap();
    let words = site.store.scheduling_status(third).await.unwrap();
    assert!(words.contains("Containers.MaxContainers"), "{words}");
    let mut supervisor = site.connect(first).await;
    supervisor.tell(&ended(model::Outcome::Exited { code: 0 })).await;
    supervisor.hear().await;
    site.until_asked("launch", third).await;
    assert_eq!(site.store.scheduling_status(third).await.unwrap(), "");
    let is_empty = |report: &Arc<QueueReport>| report.is_empty();
    tokio::time::timeout(SOON, site.queue.wait_for(is_empty)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_port_that_never_opens_is_named_on_the_record() {
    let store = Site::store().await;
    let backend = FakeBackend::new();
    let (_, uuid) = submit(&store, "known", 500).await;
    store.lock_container(uuid, "before").await.unwrap();
    let ports = store.container(uuid).await.unwrap().unwrap().published_ports;
    store.start_container(uuid, at(), ports).await.unwrap();
    backend.put(uuid, true, Some(running()));
    let site = Site::start(store, backend);
    let is_named = |it: &Container| {
        let words = it.runtime_status.get("warning").map(ToString::to_string);
        words.is_some_and(|words| words.contains("nothing listens on port 80 yet"))
    };
    site.until("named", uuid, is_named).await;
}

#[tokio::test]
async fn t33_a_wrong_secret_and_a_second_tunnel_are_turned_away() {
    let site = Site::new().await;
    let (_, uuid) = submit(&site.store, "known", 500).await;
    site.until_asked("launch", uuid).await;
    let mut first = site.connect(uuid).await;
    first.tell(&running()).await;
    first.hear().await;

    let come = async |secret: LaunchSecret| {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (admitted, _) = tokio::join!(site.acceptor.admit(far), async {
            let io = tunnel::secure::dial(near, uuid.as_str(), &secret).await?;
            let (_tunnel, _incoming, driver) =
                tunnel::start(io, Role::Supervisor, Limits::supervisor());
            driver.await;
            Ok::<_, tunnel::HandshakeError>(())
        });
        admitted.unwrap_err().to_string()
    };
    let words = come(LaunchSecret::generate().unwrap()).await;
    assert!(words.contains("turned away"), "{words}");
    let path = ContainerDir::of(site.dir.path(), uuid).secret();
    let stolen = LaunchSecret::from_hex(&std::fs::read_to_string(path).unwrap()).unwrap();
    let words = come(stolen).await;
    assert!(words.contains("a second supervisor came"), "{words}");
    assert!(!first.tunnel.is_closed());
}

#[tokio::test]
async fn t33_a_frozen_tunnel_makes_way_for_the_supervisor_that_comes_again() {
    let site = Site::new().await;
    let (_, uuid) = submit(&site.store, "known", 500).await;
    site.until_asked("launch", uuid).await;
    // Proves itself, and then neither reads nor writes.
    let path = ContainerDir::of(site.dir.path(), uuid).secret();
    let secret = LaunchSecret::from_hex(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (near, far) = tokio::io::duplex(1 << 16);
    let (admitted, frozen) =
        tokio::join!(site.acceptor.admit(far), tunnel::secure::dial(near, uuid.as_str(), &secret));
    let (admitted, _frozen) = (admitted.unwrap(), frozen.unwrap());
    site.scope.spawn_cancellable("driver", admitted.driver);
    let mut again = site.connect(uuid).await;
    again.tell(&running()).await;
    again.hear().await;
    assert!(admitted.tunnel.is_closed() && !again.tunnel.is_closed());
}

#[tokio::test]
async fn an_executable_that_ignores_us_is_launched_three_times_at_most() {
    let site = Site::new().await;
    let (_, uuid) = submit(&site.store, "known", 500).await;
    for n in 1..=reconcile::LAUNCHES_MAX as usize {
        let launched = || site.backend.n_asked("launch", uuid) == n;
        lifecycle::wait_until("the next launch", SOON, launched).await.unwrap();
        // Not before it is there: the fake launches and lists like the real one.
        lifecycle::wait_until("its supervisor", SOON, || site.backend.has(uuid)).await.unwrap();
        site.backend.die(uuid, None);
    }
    site.until("Cancelled", uuid, |it| it.state == ContainerState::Cancelled).await;
    let words = site.container(uuid).await.error_words().unwrap().to_owned();
    assert!(words.contains("ended 3 times before the command began"), "{words}");
}
