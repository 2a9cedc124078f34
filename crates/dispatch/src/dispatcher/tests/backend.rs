//! A backend that is honest about what supervisors do, and an image.

use super::*;

/// What the backend was asked, and the supervisors it has.
#[derive(Debug)]
pub(super) struct FakeBackend {
    pub(super) asked: Mutex<Vec<String>>,
    pub(super) supervisors: Mutex<BTreeMap<ContainerUuid, Found>>,
    pub(super) n_deaths: watch::Sender<u64>,
    pub(super) launch_fails: Mutex<Option<BackendError>>,
}

impl FakeBackend {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            asked: Mutex::default(),
            supervisors: Mutex::default(),
            n_deaths: watch::Sender::new(0),
            launch_fails: Mutex::default(),
        })
    }

    pub(super) fn note(&self, verb: &str, uuid: ContainerUuid) {
        self.asked.lock().unwrap().push(format!("{verb} {uuid}"));
    }

    pub(super) fn n_asked(&self, verb: &str, uuid: ContainerUuid) -> usize {
        let line = format!("{verb} {uuid}");
        self.asked.lock().unwrap().iter().filter(|asked| **asked == line).count()
    }

    pub(super) fn put(&self, uuid: ContainerUuid, is_alive: bool, said: Option<SupervisorState>) {
        let found = Found { container: uuid, is_alive, said };
        self.supervisors.lock().unwrap().insert(uuid, found);
    }

    pub(super) fn die(&self, uuid: ContainerUuid, said: Option<SupervisorState>) {
        self.put(uuid, false, said);
        self.n_deaths.send_modify(|n| *n += 1);
    }

    pub(super) fn has(&self, uuid: ContainerUuid) -> bool {
        self.supervisors.lock().unwrap().contains_key(&uuid)
    }
}

impl Backend for FakeBackend {
    fn launch(&self, uuid: ContainerUuid) -> BoxFuture<'_, Result<(), BackendError>> {
        self.note("launch", uuid);
        let failure = self.launch_fails.lock().unwrap().take();
        if failure.is_none() {
            self.put(uuid, true, None);
        }
        async move { failure.map_or(Ok(()), Err) }.boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Found>, BackendError>> {
        let found = self.supervisors.lock().unwrap().values().cloned().collect();
        async move { Ok(found) }.boxed()
    }

    fn end(&self, uuid: ContainerUuid, how: EndHow) -> BoxFuture<'_, Result<(), BackendError>> {
        self.note(&format!("{how:?}"), uuid);
        async { Ok(()) }.boxed()
    }

    fn sweep(&self, uuid: ContainerUuid) -> BoxFuture<'_, Result<(), BackendError>> {
        self.note("sweep", uuid);
        async { Ok(()) }.boxed()
    }

    fn forget(&self, uuid: ContainerUuid) -> BoxFuture<'_, Result<(), BackendError>> {
        self.note("forget", uuid);
        self.supervisors.lock().unwrap().remove(&uuid);
        async { Ok(()) }.boxed()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.n_deaths.subscribe()
    }
}

#[derive(Debug)]
pub(super) struct OneImage;

impl ImageResolver for OneImage {
    fn resolve<'a>(&'a self, image: &'a str) -> BoxFuture<'a, Result<Option<LaunchImage>, String>> {
        let known = LaunchImage { layers: vec!["/layers/a".into()], config: Default::default() };
        async move { Ok((image == "known").then_some(known)) }.boxed()
    }
}
