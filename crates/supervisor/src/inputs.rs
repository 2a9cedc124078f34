//! What a container is shown beside its image: made ready on the host before the container is.
//!
//! ```text
//! tmp/<n>            an empty or copied directory, writable: one for each such mount
//! tmp/shown/<n>      a collection's file or tree: hard links into the machine's cache, mounted read-only
//! tmp/text/<n>       a text that is not in a writable directory
//! ```
//! Files of collections are made of their blocks once and shared by all containers of the machine ([`cache`]); what a
//! container may write to is a copy of its own. All of it lies in the container's directory and goes with it.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use keep::KeepError;
use lifecycle::CancellationToken;
use manifest::{Manifest, Node, Tree};
use model::mounts::is_within;
use model::{CollectionMount, Content, MountPlan, Stdin, SuperviseSpec};
use runtime::{Input, Mount};

use cache::FileCache;

pub(crate) mod cache;

/// Directories that any user of the container may fill, as `/tmp`.
const OPEN_DIR: u32 = 0o1777;

/// Why a container's inputs could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// The dispatcher did not leave it.
    #[error("the manifest of collection {0} is missing or cannot be read: {1}")]
    Manifest(String, String),
    /// There is no such file.
    #[error("mounts[{target:?}]: there is no {path:?} in collection {hash}")]
    NoSuchPath {
        /// Where it was to be shown.
        target: String,
        /// In the collection.
        path: String,
        /// Which collection.
        hash: String,
    },
    /// No block store is configured.
    #[error("mounts[{0:?}] is a collection, and this supervisor has no block store")]
    NoBlocks(String),
    /// A block.
    #[error("cannot read {path:?} of a collection: {source}")]
    Blocks {
        /// In the collection.
        path: String,
        /// Why.
        source: KeepError,
    },
    /// The disk.
    #[error("cannot make {path:?} for a mount: {source}")]
    Disk {
        /// On the host.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The container is not wanted any more.
    #[error("stopped while its inputs were being made ready")]
    Stopped,
}

/// For `map_err`.
pub(crate) fn disk(path: &Path) -> impl FnOnce(io::Error) -> InputError {
    let path = path.to_owned();
    move |source| InputError::Disk { path, source }
}

/// What is ready.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// To be mounted, outer ones first.
    pub(crate) mounts: Vec<Mount>,
    /// For the command to read.
    pub(crate) stdin: Input,
    /// Where standard output goes, if not to the log.
    pub(crate) stdout: Option<File>,
    /// The same for standard error.
    pub(crate) stderr: Option<File>,
    /// What the output consists of.
    pub(crate) output: Option<OutputPlan>,
}

/// Where the output will be found.
#[derive(Debug, Default)]
pub(crate) struct OutputPlan {
    /// The output directory on the host.
    pub(crate) dir: PathBuf,
    /// Its path in the container, without a slash at its end.
    pub(crate) path: String,
    /// Places in it that are no output of the directory's own, by path below it: what of a collection is shown there,
    /// or nothing where the output leaves it out.
    pub(crate) covered: BTreeMap<String, Option<Node>>,
    /// What links can lead to: collections by their place in the container.
    pub(crate) shown: BTreeMap<String, Node>,
}

/// Makes everything ready; long where blocks have to be put together first.
pub(crate) async fn stage(
    spec: &SuperviseSpec,
    secret_targets: &[String],
    dir: &Path,
    cache: Option<&FileCache>,
    stop: &CancellationToken,
) -> Result<Staged, InputError> {
    let mut stage = Stage {
        root: dir.join("tmp"),
        manifests: dir.join("manifests"),
        cache,
        stop,
        trees: BTreeMap::new(),
        writable: Vec::new(),
        shown: BTreeMap::new(),
        staged: Staged::default(),
        n_made: 0,
    };
    stage.all(&spec.mounts).await?;
    stage.staged.stdin = stage.stdin(spec.mounts.stdin.as_ref()).await?;
    if let Some(path) = &spec.output_path {
        stage.plan_output(path, &spec.mounts, secret_targets);
    }
    stage.staged.stdout = stage.stream(spec.mounts.stdout.as_deref())?;
    stage.staged.stderr = match (&spec.mounts.stdout, &spec.mounts.stderr, &stage.staged.stdout) {
        // One file for both: one offset, so that neither writes over the other.
        (Some(out), Some(err), Some(file)) if out == err => {
            Some(file.try_clone().map_err(disk(Path::new(err)))?)
        }
        (_, err, _) => stage.stream(err.as_deref())?,
    };
    if let Some(cache) = cache {
        cache.settle();
    }
    Ok(stage.staged)
}

struct Stage<'s> {
    root: PathBuf,
    manifests: PathBuf,
    cache: Option<&'s FileCache>,
    stop: &'s CancellationToken,
    /// Those read so far.
    trees: BTreeMap<String, Tree>,
    /// Directories that the container may write to: target and place on the host.
    writable: Vec<(String, PathBuf)>,
    /// Collections that the container may only read: target, place on the host, content.
    shown: BTreeMap<String, (PathBuf, Node)>,
    staged: Staged,
    n_made: usize,
}

/// One thing to be made, at its target.
enum Item<'p> {
    Tmp,
    Bind(&'p model::BindMount),
    Collection(&'p CollectionMount),
    Text(&'p Content),
}

impl Stage<'_> {
    /// Outer targets first: what lies in a writable directory is made in it, and no mount hides another.
    async fn all(&mut self, plan: &MountPlan) -> Result<(), InputError> {
        let tmp = plan.tmp.iter().map(|target| (target.as_str(), Item::Tmp));
        let binds = plan.binds.iter().map(|bind| (bind.target.as_str(), Item::Bind(bind)));
        let collections =
            plan.collections.iter().map(|it| (it.target.as_str(), Item::Collection(it)));
        let texts = plan.contents.iter().map(|it| (it.target.as_str(), Item::Text(it)));
        let mut items: Vec<_> = tmp.chain(binds).chain(collections).chain(texts).collect();
        items.sort_by_key(|(target, _)| Path::new(target).components().count());
        for (target, item) in items {
            match item {
                Item::Tmp => {
                    let dir = self.new_place("")?;
                    make_open_dir(&dir).map_err(disk(&dir))?;
                    self.writable.push((target.to_owned(), dir.clone()));
                    self.mount(dir, target, true)?;
                }
                Item::Bind(bind) => self.mount(bind.source.clone(), target, bind.writable)?,
                Item::Collection(mount) => self.collection(mount).await?,
                Item::Text(content) => self.text(content)?,
            }
        }
        Ok(())
    }

    fn mount(&mut self, source: PathBuf, target: &str, writable: bool) -> Result<(), InputError> {
        self.make_place_for(target, source.is_dir())?;
        self.staged.mounts.push(Mount { source, target: target.to_owned(), writable });
        Ok(())
    }

    /// Something to mount on, where the target lies in a directory of ours: the container's own helper would make it
    /// for root alone.
    fn make_place_for(&self, target: &str, is_dir: bool) -> Result<(), InputError> {
        let shown = self.shown.iter().filter(|(_, (place, _))| place.is_dir());
        let shown = shown.map(|(at, (place, _))| (at.as_str(), place));
        let writable = self.writable.iter().map(|(at, place)| (at.as_str(), place));
        let within = writable.chain(shown).filter(|(at, _)| *at != target && is_within(target, at));
        let Some((at, place)) = within.max_by_key(|(at, _)| at.len()) else { return Ok(()) };
        let path = place.join(below(target, at));
        if is_dir {
            return make_open_dirs(place, &path).map_err(disk(&path));
        }
        if let Some(parent) = path.parent() {
            make_open_dirs(place, parent).map_err(disk(&path))?;
        }
        if fs::symlink_metadata(&path).is_err() {
            File::create_new(&path).map_err(disk(&path))?;
        }
        Ok(())
    }

    async fn collection(&mut self, mount: &CollectionMount) -> Result<(), InputError> {
        let node = self.node(mount)?;
        if !mount.writable {
            let place = self.new_place("shown")?;
            self.make(&node, &place, false, &mount.path).await?;
            self.mount(place.clone(), &mount.target, false)?;
            self.shown.insert(mount.target.clone(), (place, node));
            return Ok(());
        }
        match self.host_of(&mount.target) {
            // Part of a directory that is writable already: no mount of its own.
            Some(place) => self.make(&node, &place, true, &mount.path).await,
            None => {
                let place = self.new_place("")?;
                self.make(&node, &place, true, &mount.path).await?;
                if node.is_directory() {
                    self.writable.push((mount.target.clone(), place.clone()));
                }
                self.mount(place, &mount.target, true)
            }
        }
    }

    fn text(&mut self, content: &Content) -> Result<(), InputError> {
        let (place, is_own) = match self.host_of(&content.target) {
            Some(place) => (place, false),
            None => (self.new_place("text")?, true),
        };
        if let Some(parent) = place.parent() {
            make_open_dirs(&self.root, parent).map_err(disk(&place))?;
        }
        write_open_file(&place, content.text.as_bytes()).map_err(disk(&place))?;
        if is_own { self.mount(place, &content.target, false) } else { Ok(()) }
    }

    /// What a mount shows of its collection.
    fn node(&mut self, mount: &CollectionMount) -> Result<Node, InputError> {
        let Some(hash) = &mount.portable_data_hash else { return Ok(Node::directory()) };
        let tree = self.tree(hash)?;
        tree.get(&mount.path).cloned().ok_or_else(|| InputError::NoSuchPath {
            target: mount.target.clone(),
            path: mount.path.clone(),
            hash: hash.clone(),
        })
    }

    fn tree(&mut self, hash: &str) -> Result<&Tree, InputError> {
        if !self.trees.contains_key(hash) {
            let failed = |problem: String| InputError::Manifest(hash.to_owned(), problem);
            let path = self.manifests.join(hash);
            let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
            let manifest = Manifest::parse(&text).map_err(|error| failed(error.to_string()))?;
            let tree = Tree::of(&manifest).map_err(|error| failed(error.to_string()))?;
            self.trees.insert(hash.to_owned(), tree);
        }
        Ok(&self.trees[hash])
    }

    /// Makes a file or a tree of files at `place`: links for reading, copies for writing.
    async fn make(
        &self,
        node: &Node,
        place: &Path,
        writable: bool,
        path: &str,
    ) -> Result<(), InputError> {
        if let Some(parent) = place.parent() {
            make_open_dirs(&self.root, parent).map_err(disk(place))?;
        }
        let mut waiting = vec![(node, place.to_owned(), path.to_owned())];
        let mut files = Vec::new();
        while let Some((node, place, path)) = waiting.pop() {
            match node {
                Node::Directory(_) => {
                    make_dir(&place, if writable { OPEN_DIR } else { 0o755 })
                        .map_err(disk(&place))?;
                    for (name, below) in node.entries() {
                        waiting.push((below, place.join(name), format!("{path}/{name}")));
                    }
                }
                Node::File(segments) => files.push((segments, place, path)),
            }
        }
        // Block by block: each is read and checked once, however many files lie in it.
        files.sort_by_key(|(segments, _, _)| {
            segments.first().map(|first| (first.locator.hash(), first.offset))
        });
        for (segments, place, path) in files {
            if self.stop.is_cancelled() {
                return Err(InputError::Stopped);
            }
            let cache = self.cache.ok_or_else(|| InputError::NoBlocks(path.clone()))?;
            cache.put_at(segments, &place, writable, &path, self.stop).await?;
        }
        Ok(())
    }

    async fn stdin(&mut self, stdin: Option<&Stdin>) -> Result<Input, InputError> {
        let (hash, path) = match stdin {
            None => return Ok(Input::Empty),
            Some(Stdin::Text(text)) => return Ok(Input::Text(text.clone())),
            Some(Stdin::File { portable_data_hash, path }) => (portable_data_hash, path),
        };
        let node = self.node(&CollectionMount {
            target: "stdin".to_owned(),
            portable_data_hash: Some(hash.clone()),
            path: path.clone(),
            writable: false,
            exclude_from_output: true,
        })?;
        if node.is_directory() {
            let (target, path, hash) = ("stdin".to_owned(), path.clone(), hash.clone());
            return Err(InputError::NoSuchPath { target, path, hash });
        }
        let place = self.new_place("shown")?;
        self.make(&node, &place, false, path).await?;
        Ok(Input::File(place))
    }

    /// The file in the output directory that a stream goes to, empty.
    fn stream(&self, path: Option<&str>) -> Result<Option<File>, InputError> {
        let Some(path) = path else { return Ok(None) };
        let Some(place) = self.host_of(path) else { return Ok(None) };
        if let Some(parent) = place.parent() {
            make_open_dirs(&self.root, parent).map_err(disk(&place))?;
        }
        let file = File::create(&place)
            .and_then(|file| file.set_permissions(Permissions::from_mode(0o666)).map(|()| file));
        file.map(Some).map_err(disk(&place))
    }

    fn plan_output(&mut self, path: &str, plan: &MountPlan, secret_targets: &[String]) {
        let path = path.trim_end_matches('/');
        let found = self.writable.iter().find(|(target, _)| target.trim_end_matches('/') == path);
        let Some((_, dir)) = found else { return };
        let mut output =
            OutputPlan { dir: dir.clone(), path: path.to_owned(), ..OutputPlan::default() };
        let inside = |target: &str| {
            (target != path && is_within(target, path)).then(|| below(target, path).to_owned())
        };
        let excluded = plan.collections.iter().filter(|it| it.exclude_from_output);
        let excluded: Vec<&str> = excluded
            .map(|it| it.target.as_str())
            .chain(
                plan.contents
                    .iter()
                    .filter(|it| it.exclude_from_output)
                    .map(|it| it.target.as_str()),
            )
            .chain(plan.tmp.iter().map(String::as_str))
            .chain(plan.binds.iter().map(|bind| bind.target.as_str()))
            .chain(secret_targets.iter().map(String::as_str))
            .collect();
        for (target, (_, node)) in &self.shown {
            output.shown.insert(target.clone(), node.clone());
            if let Some(place) = inside(target) {
                output.covered.insert(place, Some(node.clone()));
            }
        }
        output.covered.extend(excluded.into_iter().filter_map(inside).map(|place| (place, None)));
        self.staged.output = Some(output);
    }

    /// The place on the host of a path in a writable directory.
    fn host_of(&self, target: &str) -> Option<PathBuf> {
        let within = self.writable.iter().filter(|(at, _)| is_within(target, at));
        let (at, place) = within.max_by_key(|(at, _)| at.len())?;
        // Hidden by something that may only be read: not writable there.
        let is_hidden = self.shown.keys().any(|it| it.len() > at.len() && is_within(target, it));
        (!is_hidden).then(|| place.join(below(target, at)))
    }

    /// A path that nothing has.
    fn new_place(&mut self, kind: &str) -> Result<PathBuf, InputError> {
        let dir = self.root.join(kind);
        fs::create_dir_all(&dir).map_err(disk(&dir))?;
        self.n_made += 1;
        Ok(dir.join((self.n_made - 1).to_string()))
    }
}

/// A path below a directory that it lies in, without slashes before it.
fn below<'p>(path: &'p str, directory: &str) -> &'p str {
    path.strip_prefix(directory.trim_end_matches('/')).unwrap_or(path).trim_start_matches('/')
}

fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => fs::set_permissions(path, Permissions::from_mode(mode)),
    }
}

fn make_open_dir(path: &Path) -> io::Result<()> {
    make_dir(path, OPEN_DIR)
}

/// Makes a directory and those between it and `top`, all of them for any user.
fn make_open_dirs(top: &Path, path: &Path) -> io::Result<()> {
    let rest = path.strip_prefix(top).unwrap_or(Path::new(""));
    let mut dir = top.to_owned();
    for part in rest.components() {
        dir.push(part);
        if !dir.is_dir() {
            make_open_dir(&dir)?;
        }
    }
    Ok(())
}

fn write_open_file(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::write(path, content)?;
    fs::set_permissions(path, Permissions::from_mode(0o666))
}
