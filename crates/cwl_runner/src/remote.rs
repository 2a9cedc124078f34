//! Runs programs as container requests: inputs go up as a collection, outputs come down from one.
//!
//! What a program needs is put together on this machine first, as for a local run, and sent as one collection with two
//! folders: `stg` is mounted where inputs are looked for, what is in `out` in the output directory. When the request is
//! over, its output comes down, and everything after that is as with a local run.

mod feed;
mod files;
mod lease;
mod patience;
mod request;
mod waiting;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::Duration;

use client::{Client, ClientError};
use cwl::requirements::Image;
use cwl::storage::Storage;
use cwl::{CwlError, Problem};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use model::RequestUuid;

use crate::disk::Disk;
use crate::job::{Backend, Ended, Job, Place, PlaceKind};
use crate::local::{CONTAINER_OUTDIR, CONTAINER_STAGE, ImageMap, ImageSource, ended, prepare};
use crate::scratch::Scratch;
use crate::serving::Serving;
use feed::Feed;
use lease::Lease;
use patience::patiently;
use waiting::Watch;

/// How long collections of inputs are kept: longer than anybody waits for a program, and then they are in nobody's way.
const INPUTS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Renewals within the time of one lease: some may fail.
const RENEWALS: u32 = 4;
/// Renewals that are under way at a time.
const RENEWED_AT_ONCE: usize = 8;
/// Of a service whose end has no exit code: as of a program that SIGTERM ended.
const EXIT_BY_TERM: i32 = 143;

/// How services are met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attach {
    /// Until they end.
    #[default]
    Stay,
    /// Only until they are submitted.
    Leave,
}

/// Container requests of one API.
#[derive(Clone)]
pub struct RemoteOptions {
    /// Where requests go.
    pub client: Client,
    /// What stands for images.
    pub images: ImageMap,
    /// Image of tools that name none.
    pub default_image: Option<String>,
    /// How services are met.
    pub attach: Attach,
    /// Receives the address of a port, with a single-use code in it, when the port is ready.
    pub open: Option<fn(&str)>,
    /// What was submitted ends by itself this long after this process was killed.
    pub lease: Duration,
}

impl std::fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteOptions").field("attach", &self.attach).finish_non_exhaustive()
    }
}

/// Runs programs as container requests.
pub(crate) struct Remote<'t> {
    options: RemoteOptions,
    scratch: Scratch,
    count: Cell<u64>,
    tell: &'t dyn Fn(&str),
    /// Requests that are not over.
    active: RefCell<Vec<RequestUuid>>,
    /// Requests of services that were left to themselves.
    left: RefCell<Vec<RequestUuid>>,
    /// Whether one of them is a service for people.
    serves: Cell<bool>,
    lease: Lease,
    feed: Feed,
}

impl<'t> Remote<'t> {
    pub(crate) fn new(options: RemoteOptions, tell: &'t dyn Fn(&str)) -> Result<Self, CwlError> {
        Ok(Self {
            lease: Lease::new(options.lease),
            options,
            scratch: Scratch::make().map_err(CwlError::Failed)?,
            count: Cell::new(0),
            tell,
            active: RefCell::default(),
            left: RefCell::default(),
            serves: Cell::new(false),
            feed: Feed::default(),
        })
    }

    pub(crate) fn scratch(&self) -> &std::path::Path {
        self.scratch.path()
    }

    /// Identifiers of services that run on by themselves.
    pub(crate) fn left(&self) -> Vec<String> {
        self.left.borrow().iter().map(ToString::to_string).collect()
    }

    /// Whether a service was attended when the run was interrupted.
    pub(crate) fn serves(&self) -> bool {
        self.serves.get()
    }

    /// Stops whatever was submitted and is not over.
    pub(crate) async fn cancel(&self) {
        let active = self.active.take();
        for uuid in active {
            if let Err(error) = self.options.client.cancel_request(uuid).await {
                (self.tell)(&format!(
                    "{uuid} could not be stopped: {error}; `wharf stop {uuid}` does it"
                ));
            }
        }
    }

    fn dir(&self, place: &Place) -> PathBuf {
        self.scratch.path().join(format!("job-{}", place.number))
    }

    async fn run_request(&self, job: Job, serving: Option<Serving<'_>>) -> Result<Ended, CwlError> {
        let dir = self.dir(&job.place);
        prepare(&job, &dir).map_err(CwlError::Failed)?;
        let name = &job.name;
        let failed = |error: ClientError| CwlError::Failed(format!("{name}: {error}"));
        let client = &self.options.client;
        let content = files::upload(client, name, &dir, self.lease.after(INPUTS_KEPT))
            .await
            .map_err(|problem| CwlError::Failed(format!("{name}: {problem}")))?;
        let mut request = request::of(&job, &dir, content.as_deref()).map_err(CwlError::Failed)?;
        let leaves =
            !job.ports.is_empty() && serving.is_none() && self.options.attach == Attach::Leave;
        if !leaves {
            request.expires_at = self.lease.end();
        }
        let request =
            patiently(async || client.create_request(&request).await).await.map_err(failed)?;
        let uuid = request.uuid;
        self.lease.learn(request.created_at);
        self.active.borrow_mut().push(uuid);
        if !leaves && request.expires_at.is_none() {
            // The first one: the clock over there was not known.
            let fields = serde_json::json!({ "expires_at": self.lease.end() });
            let _over = client.update_request(uuid, &fields).await;
        }
        (self.tell)(&format!("[{name}] {uuid} submitted"));
        if leaves {
            self.active.borrow_mut().retain(|active| *active != uuid);
            self.left.borrow_mut().push(uuid);
            return Err(CwlError::Failed(format!("{name}: left to itself as {uuid}")));
        }
        self.serves.set(self.serves.get() || (!job.ports.is_empty() && serving.is_none()));
        let (feed, open) = (&self.feed, self.options.open);
        let watch = Watch { client, feed, uuid, job: &job, tell: self.tell, open };
        let over = watch.until_over(serving).await;
        self.active.borrow_mut().retain(|active| *active != uuid);
        let over = over.map_err(|problem| CwlError::Failed(format!("{name}: {problem}")))?;
        if over.is_left {
            self.leave(uuid, name).await?;
            return Ok(ended(&job, &dir, 0, true));
        }
        let exit_code = over.exit_code.or(over.as_asked.then_some(EXIT_BY_TERM));
        let Some(exit_code) = exit_code else {
            return Err(CwlError::Failed(format!(
                "{name}: {uuid} ended without an exit code: {}",
                over.words
            )));
        };
        if exit_code != 0 && !over.as_asked {
            waiting::tell_log(client, uuid, self.tell).await;
        }
        if let Some(output) = &over.output {
            // What was sent is in the output, too, as far as the program left it.
            let out = dir.join("out");
            runtime::remove_tree(&out).map_err(|error| CwlError::Failed(error.to_string()))?;
            files::download(client, output, &out)
                .await
                .map_err(|problem| CwlError::Failed(format!("{name}: {problem}")))?;
        }
        Ok(ended(&job, &dir, i64::from(exit_code), over.as_asked))
    }

    /// Goes on for as long as the instance lets it.
    async fn leave(&self, uuid: RequestUuid, name: &str) -> Result<(), CwlError> {
        let for_ever = serde_json::json!({ "expires_at": null });
        let left = self.options.client.update_request(uuid, &for_ever).await;
        left.map_err(|error| CwlError::Failed(format!("{name}: {error}")))?;
        (self.tell)(&format!("[{name}] {uuid} goes on by itself; `wharf stop {uuid}` ends it"));
        Ok(())
    }

    /// What goes on beside a run, until it is dropped: changes are told, leases are renewed.
    pub(crate) async fn attend(&self) {
        tokio::join!(self.feed.follow(&self.options.client), self.renew());
    }

    /// Renews what was submitted and is not over, until it is dropped. What nobody renews ends by itself: a runner that was
    /// killed leaves nothing.
    async fn renew(&self) {
        loop {
            tokio::time::sleep(self.options.lease / RENEWALS).await;
            let Some(end) = self.lease.end() else { continue };
            let active = self.active.borrow().clone();
            let renewals = active.into_iter().map(|uuid| async move {
                let fields = serde_json::json!({ "expires_at": end });
                // One that is over cannot be renewed; one that could not is tried again.
                let _later = self.options.client.update_request(uuid, &fields).await;
            });
            futures_util::stream::iter(renewals).buffer_unordered(RENEWED_AT_ONCE).count().await;
        }
    }
}

impl Backend for Remote<'_> {
    fn place(&self, image: Option<&Image>, name: &str) -> Result<Place, CwlError> {
        let named = image.map(|image| image.name.as_str()).filter(|name| !name.is_empty());
        let mapped = match self.options.images.source(named.unwrap_or_default()) {
            Some(ImageSource::Named(other)) => Some(other.clone()),
            Some(ImageSource::Host { .. }) => {
                let problem = Problem::new("--image-map to `host` works with --local only");
                return Err(CwlError::Unsupported(problem.advise("name an image of the instance")));
            }
            None => named.map(str::to_owned),
        };
        let Some(chosen) = mapped.or_else(|| self.options.default_image.clone()) else {
            let problem = Problem::new(format!(
                "{name} names no image, and here every program runs in a container"
            ));
            let advice = "add DockerRequirement to it, or say which image to take with --image";
            return Err(CwlError::Unsupported(problem.advise(advice)));
        };
        self.count.set(self.count.get() + 1);
        Ok(Place {
            number: self.count.get(),
            kind: PlaceKind::Remote(chosen),
            outdir: image
                .and_then(|image| image.output_dir.clone())
                .unwrap_or_else(|| CONTAINER_OUTDIR.to_owned()),
            tmpdir: "/tmp".to_owned(),
            stage_root: CONTAINER_STAGE.to_owned(),
        })
    }

    fn run<'r>(
        &'r self,
        job: Job,
        serving: Option<Serving<'r>>,
    ) -> LocalBoxFuture<'r, Result<Ended, CwlError>> {
        Box::pin(self.run_request(job, serving))
    }

    fn storage(&self) -> &dyn Storage {
        &Disk
    }
}
