//! Runs programs on this machine: as processes, or in containers of images that are here.

mod container;
mod host_image;
mod outputs;
mod placing;
mod process;
mod serve;
mod words;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cwl::requirements::Image;
use cwl::service::Lifetime;
use cwl::{CwlError, Problem};
use futures_util::future::LocalBoxFuture;

use crate::disk::Disk;
use crate::job::{Backend, Ended, Files, Job, Place, PlaceKind};
use crate::news::{Listener, News, ProgramState, What};
use crate::scratch::Scratch;
use crate::serving::Serving;
pub use host_image::{ImageMap, ImageSource};
pub(crate) use placing::copy;

/// Where outputs are in containers, as with other runners.
pub(crate) const CONTAINER_OUTDIR: &str = "/var/spool/cwl";
/// Below it, inputs.
pub(crate) const CONTAINER_STAGE: &str = "/var/lib/cwl";

/// What programs of this machine are run with.
#[derive(Clone, Debug, Default)]
pub struct LocalOptions {
    /// `PATH` of programs.
    pub search_path: Vec<PathBuf>,
    /// Never in a container.
    pub no_container: bool,
    /// What stands for images.
    pub images: ImageMap,
    /// The image store of an instance, where there is one.
    pub image_store: Option<PathBuf>,
    /// Whether what programs print goes to the listener line by line, and not to standard error as it is.
    pub captures: bool,
}

/// Runs programs on this machine.
pub(crate) struct Local {
    options: LocalOptions,
    scratch: Scratch,
    count: Cell<u64>,
    listener: Arc<dyn Listener>,
}

impl Local {
    pub(crate) fn new(
        options: LocalOptions,
        listener: Arc<dyn Listener>,
    ) -> Result<Self, CwlError> {
        let scratch = Scratch::make().map_err(CwlError::Failed)?;
        Ok(Self { options, scratch, count: Cell::new(0), listener })
    }

    /// The folder of a job.
    fn dir(&self, place: &Place) -> PathBuf {
        self.scratch.path().join(format!("job-{}", place.number))
    }

    /// Everything below it goes away with this run.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    fn kind(&self, image: Option<&Image>, name: &str) -> Result<PlaceKind, CwlError> {
        let Some(image) = image.filter(|image| !image.name.is_empty() || image.needed) else {
            return Ok(PlaceKind::Host);
        };
        let is_here = !self.options.no_container
            && self.options.images.finds(&image.name, self.options.image_store.as_deref());
        if is_here {
            return Ok(PlaceKind::Container(image.name.clone()));
        }
        let why = if self.options.no_container {
            "containers are switched off"
        } else {
            "that image is not here"
        };
        if image.needed {
            let problem =
                Problem::new(format!("{name} requires a container of {:?}, and {why}", image.name));
            let advice =
                "load it with `wharf image import`, or say what stands for it with --image-map";
            return Err(CwlError::Unsupported(problem.advise(advice)));
        }
        self.listener.say(&format!(
            "{name} would like a container of {:?}, and {why}; it runs without one",
            image.name
        ));
        Ok(PlaceKind::Host)
    }
}

/// Services and those who use them need containers of their own here: processes of this machine share its ports.
fn check_services(job: &Job, serving: Option<&Serving<'_>>) -> Result<(), CwlError> {
    let refuse = |problem: &str, advice: &str| {
        let problem = Problem::new(format!("{}: {problem}", job.name));
        Err(CwlError::Unsupported(problem.advise(advice)))
    };
    let is_host = matches!(job.place.kind, PlaceKind::Host);
    if is_host && (serving.is_some() || !job.ways.is_empty()) {
        let problem = "services and steps that use them run in containers";
        return refuse(
            problem,
            "add a DockerRequirement, and say what stands for it with --image-map",
        );
    }
    if let Some(Serving { service, .. }) = serving {
        let is_outside = service.endpoints.iter().any(|endpoint| endpoint.is_external);
        if is_outside || service.lifetime == Lifetime::Detached {
            let problem = "a service with --local has no address outside, and ends with the run";
            return refuse(problem, "run it without --local");
        }
    }
    Ok(())
}

impl Backend for Local {
    fn place(&self, image: Option<&Image>, name: &str) -> Result<Place, CwlError> {
        let kind = self.kind(image, name)?;
        self.count.set(self.count.get() + 1);
        let mut place = Place {
            number: self.count.get(),
            outdir: image
                .and_then(|image| image.output_dir.clone())
                .unwrap_or_else(|| CONTAINER_OUTDIR.to_owned()),
            tmpdir: "/tmp".to_owned(),
            stage_root: CONTAINER_STAGE.to_owned(),
            kind,
        };
        if matches!(place.kind, PlaceKind::Host) {
            let dir = self.dir(&place);
            let text = |name: &str| dir.join(name).to_string_lossy().into_owned();
            (place.outdir, place.tmpdir, place.stage_root) =
                (text("out"), text("tmp"), text("stg"));
        }
        Ok(place)
    }

    fn run<'r>(
        &'r self,
        job: Job,
        serving: Option<Serving<'r>>,
    ) -> LocalBoxFuture<'r, Result<Ended, CwlError>> {
        Box::pin(async move {
            check_services(&job, serving.as_ref())?;
            let dir = self.dir(&job.place);
            placing::prepare(&job, &dir).map_err(CwlError::Failed)?;
            self.listener.note(&format!("[{}] {}", job.name, job.command.join(" ")));
            let running = What::Program(job.place.number, ProgramState::Running);
            self.listener.hear(&News { step: &job.step, what: running });
            let ended = match &job.place.kind {
                PlaceKind::Host | PlaceKind::Remote(_) => {
                    process::run(&job, &self.options, &self.listener)
                        .await
                        .map(|code| (code, false))
                }
                PlaceKind::Container(image) => {
                    if job.network {
                        self.listener.say(&format!(
                            "[{}] asks for the network; containers here have none",
                            job.name
                        ));
                    }
                    let options = &self.options;
                    let store = options.image_store.as_deref();
                    let image = options.images.find(
                        image,
                        store,
                        self.scratch.path(),
                        &options.search_path,
                    );
                    let image = image.map_err(CwlError::Failed)?;
                    let listener = &self.listener;
                    let captures = options.captures;
                    let program = container::InContainer {
                        job: &job,
                        dir: &dir,
                        image: &image,
                        listener,
                        captures,
                    };
                    program.run(serving).await
                }
            };
            placing::remove_secrets(&job, &dir).map_err(CwlError::Failed)?;
            let (exit_code, as_asked) =
                ended.map_err(|problem| CwlError::Failed(format!("{}: {problem}", job.name)))?;
            Ok(outputs::ended(&job, &dir, exit_code, as_asked))
        })
    }

    fn files(&self) -> Arc<dyn Files> {
        Arc::new(Disk)
    }
}
