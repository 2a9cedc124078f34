//! One program to run, and who can run it.

use std::path::Path;
use std::sync::Arc;

use cwl::CwlError;
use cwl::ports::PublishedPort;
use cwl::requirements::{Image, Resources};
use cwl::stage::Staged;
use cwl::storage::Storage;
use futures_util::future::LocalBoxFuture;

use crate::serving::{Serving, Way};

/// Everything that is known of a program before it runs.
#[derive(Debug)]
pub(crate) struct Job {
    /// For messages.
    pub(crate) name: String,
    /// Path of the step that it is run for.
    pub(crate) step: Arc<str>,
    /// Where it runs.
    pub(crate) place: Place,
    /// Program and arguments; a relative program is looked up in `PATH`.
    pub(crate) command: Vec<String>,
    /// What the document asks for; `HOME`, `TMPDIR` and `PATH` come from the backend.
    pub(crate) environment: Vec<(String, String)>,
    /// Path, as the program sees it, of what it reads.
    pub(crate) stdin: Option<String>,
    /// File below the output directory.
    pub(crate) stdout: Option<String>,
    /// File below the output directory.
    pub(crate) stderr: Option<String>,
    /// What is put where before.
    pub(crate) staged: Vec<Staged>,
    /// What it may use.
    pub(crate) resources: Resources,
    /// Seconds.
    pub(crate) time_limit: Option<u64>,
    /// Whether it may reach the network.
    pub(crate) network: bool,
    /// Whether an earlier run of the same may be taken for it.
    pub(crate) reuse: bool,
    /// Ports that people may open; a service where there are some.
    pub(crate) ports: Vec<PublishedPort>,
    /// Patterns of what it may leave that anybody looks at; everything where there are none.
    pub(crate) output_glob: Vec<String>,
    /// Services that it uses.
    pub(crate) ways: Vec<Way>,
}

/// Where a program runs, decided before paths are known.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Number of the job in this run.
    pub(crate) number: u64,
    /// How.
    pub(crate) kind: PlaceKind,
    /// The output directory, as the program sees it.
    pub(crate) outdir: String,
    /// The directory for temporary files, as the program sees it.
    pub(crate) tmpdir: String,
    /// Inputs are put below it.
    pub(crate) stage_root: String,
}

/// How a program runs.
#[derive(Clone, Debug)]
pub(crate) enum PlaceKind {
    /// As a process of this machine.
    Host,
    /// In a container of this image, on this machine.
    Container(String),
    /// In a container of this image, somewhere; what it needs is put together here and sent.
    Remote(String),
}

/// How a program ended.
pub(crate) struct Ended {
    /// Its exit code; 128 and more for signals.
    pub(crate) exit_code: i64,
    /// A service that ended because nobody uses it any more, or that was left to itself.
    pub(crate) as_asked: bool,
    /// Location of its output directory.
    pub(crate) root: String,
    /// Reads that, and knows where links in it may lead.
    pub(crate) storage: Arc<dyn Storage>,
    /// Locations of what was staged, by path.
    pub(crate) staged: Vec<(String, String)>,
}

/// Runs programs.
pub(crate) trait Backend {
    /// Decides where a program runs. Errs where it can be nowhere.
    fn place(&self, image: Option<&Image>, name: &str) -> Result<Place, CwlError>;
    /// Runs a program to its end; one that serves is asked to end when it is released. Dropping the future ends the
    /// program.
    fn run<'r>(
        &'r self,
        job: Job,
        serving: Option<Serving<'r>>,
    ) -> LocalBoxFuture<'r, Result<Ended, CwlError>>;
    /// What is behind locations.
    fn files(&self) -> Arc<dyn Files>;
}

/// What is behind locations, also of files that a backend keeps elsewhere.
pub(crate) trait Files: Storage {
    /// Makes a copy of a file, or of a folder with all that is in it, at a path of this machine. May block.
    fn copy_out(&self, location: &str, target: &Path) -> Result<(), String>;
    /// From now on [`Storage::checksum`] gives one of each file, whatever work it is: an expression may ask for it.
    fn make_checksums(&self);
}
