//! Runs programs as container requests, whose files stay with the instance.
//!
//! What a program needs becomes one collection (`inputs`): files of this machine are sent, those that the instance has are
//! named. When the request is over, its output is read off the manifest of its collection (`kept`); bytes come here only
//! where an expression reads them, and at the end of the run, as its outputs.

mod feed;
mod inputs;
mod kept;
mod lease;
mod patience;
mod probes;
mod request;
mod waiting;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use client::Client;
use cwl::requirements::Image;
use cwl::stage::Content;
use cwl::{CwlError, Problem};
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use model::RequestUuid;

use crate::job::{Backend, Ended, Files, Job, Place, PlaceKind};
use crate::local::{CONTAINER_OUTDIR, CONTAINER_STAGE, ImageMap, ImageSource};
use crate::news::Listener;
use crate::serving::Serving;
use feed::Feed;
use inputs::{Inputs, Sender};
use kept::Kept;
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

/// Opens an address for a person; in words, why it cannot.
pub type Open = fn(String) -> BoxFuture<'static, Result<(), String>>;

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
    pub open: Option<Open>,
    /// What was submitted ends by itself this long after this process was killed.
    pub lease: Duration,
}

impl std::fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteOptions").field("attach", &self.attach).finish_non_exhaustive()
    }
}

/// Runs programs as container requests.
pub(crate) struct Remote {
    options: RemoteOptions,
    kept: Arc<Kept>,
    sender: Sender,
    feed: Feed,
    count: Cell<u64>,
    listener: Arc<dyn Listener>,
    /// Requests that are not over.
    active: RefCell<Vec<RequestUuid>>,
    /// Requests of services that were left to themselves.
    left: RefCell<Vec<RequestUuid>>,
    /// Whether one of them is a service for people.
    serves: Cell<bool>,
    lease: Lease,
}

impl Remote {
    /// To be made on the run's thread.
    pub(crate) fn new(options: RemoteOptions, listener: Arc<dyn Listener>) -> Self {
        let kept = Arc::new(Kept::new(options.client.clone()));
        Self {
            lease: Lease::new(options.lease),
            sender: Sender::new(options.client.clone(), Arc::clone(&kept)),
            kept,
            feed: Feed::default(),
            options,
            count: Cell::new(0),
            listener,
            active: RefCell::default(),
            left: RefCell::default(),
            serves: Cell::new(false),
        }
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
                self.listener.say(&format!(
                    "{uuid} could not be stopped: {error}; `wharf stop {uuid}` does it"
                ));
            }
        }
    }

    async fn run_request(
        &self,
        job: Job,
        mut serving: Option<Serving<'_>>,
    ) -> Result<Ended, CwlError> {
        let name = &job.name;
        let failed = |problem: String| CwlError::Failed(format!("{name}: {problem}"));
        let sent = self.sender.send(&job, self.lease.after(INPUTS_KEPT)).await.map_err(failed)?;
        let leaves =
            !job.ports.is_empty() && serving.is_none() && self.options.attach == Attach::Leave;
        let mut uuid = self.submit(&job, &sent, leaves).await.map_err(failed)?;
        if leaves {
            self.active.borrow_mut().retain(|active| *active != uuid);
            self.left.borrow_mut().push(uuid);
            return Err(CwlError::Failed(format!("{name}: left to itself as {uuid}")));
        }
        self.serves.set(self.serves.get() || (!job.ports.is_empty() && serving.is_none()));
        let client = &self.options.client;
        let listener = &*self.listener;
        let over = loop {
            let (feed, open) = (&self.feed, self.options.open);
            let watch = Watch { client, feed, uuid, job: &job, listener, open };
            let over = watch.until_over(serving.as_mut()).await;
            self.active.borrow_mut().retain(|active| *active != uuid);
            let over = over.map_err(failed)?;
            let ended = !over.as_asked && !over.is_left && over.exit_code.is_some();
            if !ended || !serving.as_mut().is_some_and(Serving::starts_again) {
                break over;
            }
            listener.say(&format!("[{name}] the service ended by itself; it is started again"));
            uuid = self.submit(&job, &sent, false).await.map_err(failed)?;
        };
        if over.is_left {
            self.leave(uuid, name).await?;
            return Ok(self.ended(&job, &sent, kept::NOTHING, 0, true));
        }
        let exit_code = over.exit_code.or(over.as_asked.then_some(EXIT_BY_TERM));
        let Some(exit_code) = exit_code else {
            return Err(failed(format!("{uuid} ended without an exit code: {}", over.words)));
        };
        if exit_code != 0 && !over.as_asked {
            waiting::tell_log(client, uuid, listener).await;
        }
        let output = match &over.output {
            Some(output) => self.kept.fetch(output).await.map_err(failed)?.0,
            None => kept::NOTHING.to_owned(),
        };
        Ok(self.ended(&job, &sent, &output, i64::from(exit_code), over.as_asked))
    }

    /// Makes the request of a job.
    async fn submit(&self, job: &Job, sent: &Inputs, leaves: bool) -> Result<RequestUuid, String> {
        let client = &self.options.client;
        let mut request = request::of(job, sent, request::connections(&job.ways).await?)?;
        if !leaves {
            request.expires_at = self.lease.end();
        }
        let request = patiently(async || client.create_request(&request).await).await;
        let request = request.map_err(|error| error.to_string())?;
        let uuid = request.uuid;
        self.lease.learn(request.created_at);
        self.active.borrow_mut().push(uuid);
        if !leaves && request.expires_at.is_none() {
            // The first one: the clock over there was not known.
            let fields = serde_json::json!({ "expires_at": self.lease.end() });
            let _over = client.update_request(uuid, &fields).await;
        }
        self.listener.note(&format!("[{}] {uuid} submitted", job.name));
        Ok(uuid)
    }

    /// What a program left, and where what was put in its places before comes from.
    fn ended(
        &self,
        job: &Job,
        sent: &Inputs,
        output: &str,
        exit_code: i64,
        as_asked: bool,
    ) -> Ended {
        let staged = job.staged.iter().enumerate().filter_map(|(n, staged)| {
            let location = match &staged.content {
                Content::File(location) | Content::Folder(location) => location.clone(),
                Content::Secret(_) => return None,
                Content::Text(_) | Content::NewFolder => {
                    let path = inputs::path_in_inputs(job, n, staged);
                    kept::Place { id: sent.hash.as_deref()?, path }.location()
                }
            };
            Some((staged.target.clone(), location))
        });
        Ended {
            exit_code,
            as_asked,
            root: format!("keep:{output}"),
            storage: Arc::<Kept>::clone(&self.kept),
            staged: staged.collect(),
        }
    }

    /// Goes on for as long as the instance lets it.
    async fn leave(&self, uuid: RequestUuid, name: &str) -> Result<(), CwlError> {
        let for_ever = serde_json::json!({ "expires_at": null });
        let left = self.options.client.update_request(uuid, &for_ever).await;
        left.map_err(|error| CwlError::Failed(format!("{name}: {error}")))?;
        self.listener
            .say(&format!("[{name}] {uuid} goes on by itself; `wharf stop {uuid}` ends it"));
        Ok(())
    }

    /// Hears of events and renews leases, until it is dropped.
    pub(crate) async fn keep_up(&self) {
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

impl Backend for Remote {
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

    fn files(&self) -> Arc<dyn Files> {
        Arc::<Kept>::clone(&self.kept)
    }
}
