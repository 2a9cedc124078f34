//! What stands for an image: one of the instance's, or this machine's own programs.

use std::fs;
use std::path::{Path, PathBuf};

use runtime::images::ImageStore;

use crate::disk::at;

/// Folders of this machine that a container made of it does not see: those that are the container's own, and
/// those with data of others.
const HIDDEN: [&str; 9] = ["proc", "sys", "dev", "tmp", "run", "var", "mnt", "media", "lost+found"];

/// What a program needs of `/etc`; the rest may tell of this machine, and the runtime writes names there.
const ETC_SHOWN: [&str; 8] = [
    "passwd",
    "group",
    "nsswitch.conf",
    "ld.so.cache",
    "ld.so.conf.d",
    "localtime",
    "alternatives",
    "ssl",
];

/// What to run in the place of images that documents name.
#[derive(Clone, Debug, Default)]
pub struct ImageMap(Vec<(String, ImageSource)>);

/// What stands for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// The programs of this machine, read-only; with an entry point where the image has one.
    Host {
        /// Program that the command is given to.
        entrypoint: Option<PathBuf>,
    },
    /// An image of the instance, by another name.
    Named(String),
}

/// An image that is ready to run.
#[derive(Debug)]
pub(super) struct Ready {
    /// Top first.
    pub(super) layers: Vec<PathBuf>,
    /// What to show of this machine, read-only, at the same place.
    pub(super) shown: Vec<PathBuf>,
    /// Goes before the command.
    pub(super) entrypoint: Vec<String>,
    /// Its environment, `NAME=value`.
    pub(super) environment: Vec<String>,
}

impl Ready {
    /// Programs are found as on this machine, also in folders that are not shown otherwise.
    fn show_programs(&mut self, search_path: &[PathBuf]) {
        let dirs = search_path.iter().filter(|dir| dir.is_absolute() && dir.is_dir());
        let dirs: Vec<&PathBuf> = dirs.collect();
        for dir in &dirs {
            if !self.shown.iter().any(|shown| dir.starts_with(shown))
                && fs::symlink_metadata(top_of(dir)).is_ok_and(|top| top.is_dir())
            {
                self.shown.push((*dir).clone());
            }
        }
        if let Ok(joined) = std::env::join_paths(dirs) {
            self.environment.push(format!("PATH={}", joined.to_string_lossy()));
        }
    }
}

/// The folder of the root directory that a path is in.
fn top_of(path: &Path) -> PathBuf {
    path.components().take(2).collect()
}

impl ImageMap {
    /// Reads `NAME=IMAGE`, `NAME=host` or `NAME=host,ENTRYPOINT`; `*` is every name that has no entry of its own.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        let mut map = Vec::new();
        for entry in entries {
            let Some((name, source)) = entry.split_once('=') else {
                return Err(format!(
                    "--image-map {entry:?} has no `=`; write NAME=IMAGE or NAME=host"
                ));
            };
            let source = match source.split_once(',') {
                Some(("host", program)) => {
                    ImageSource::Host { entrypoint: Some(PathBuf::from(program)) }
                }
                None if source == "host" => ImageSource::Host { entrypoint: None },
                _ => ImageSource::Named(source.to_owned()),
            };
            map.push((name.to_owned(), source));
        }
        Ok(Self(map))
    }

    /// What stands for an image; `None` for itself.
    pub(crate) fn source(&self, name: &str) -> Option<&ImageSource> {
        let short = name.strip_prefix("docker.io/").unwrap_or(name);
        let of = |wanted: &str| {
            self.0.iter().find(|(known, _)| known == wanted).map(|(_, source)| source)
        };
        of(name).or_else(|| of(short)).or_else(|| of("*"))
    }

    /// Whether an image can be run.
    pub(super) fn finds(&self, name: &str, store: Option<&Path>) -> bool {
        match self.source(name) {
            Some(ImageSource::Host { .. }) => true,
            Some(ImageSource::Named(other)) => is_stored(other, store),
            None => is_stored(name, store),
        }
    }

    /// An image, ready to run.
    pub(super) fn find(
        &self,
        name: &str,
        store: Option<&Path>,
        scratch: &Path,
        search_path: &[PathBuf],
    ) -> Result<Ready, String> {
        match self.source(name) {
            Some(ImageSource::Host { entrypoint }) => {
                let mut ready = host(entrypoint.as_deref(), scratch)?;
                ready.show_programs(search_path);
                Ok(ready)
            }
            Some(ImageSource::Named(other)) => stored(other, store),
            None => stored(name, store),
        }
    }
}

fn is_stored(name: &str, store: Option<&Path>) -> bool {
    store.is_some_and(|dir| {
        dir.is_dir() && open(dir).and_then(|store| resolve(&store, name)).is_ok()
    })
}

fn open(dir: &Path) -> Result<ImageStore, String> {
    ImageStore::open(dir)
        .map_err(|error| format!("cannot open the images in {}: {error}", dir.display()))
}

/// As documents write names: with or without the registry and a tag.
fn resolve(store: &ImageStore, name: &str) -> Result<runtime::images::Image, String> {
    let short = name.strip_prefix("docker.io/").unwrap_or(name);
    for name in [name, short, short.strip_prefix("library/").unwrap_or(short)] {
        if let Ok(Some(image)) = store.resolve(name) {
            return Ok(image);
        }
    }
    Err(format!("there is no image {name:?} here"))
}

fn stored(name: &str, store: Option<&Path>) -> Result<Ready, String> {
    let dir = store.ok_or_else(|| format!("there is no image {name:?} here"))?;
    let image = resolve(&open(dir)?, name)?;
    Ok(Ready {
        layers: image.layers,
        shown: Vec::new(),
        entrypoint: image.config.entrypoint,
        environment: image.config.env,
    })
}

/// An empty layer with the links of this machine's root in it; its folders are shown read-only.
fn host(entrypoint: Option<&Path>, scratch: &Path) -> Result<Ready, String> {
    let layer = scratch.join("host-layer");
    let root = Path::new("/");
    let mut shown = Vec::new();
    let is_new = fs::create_dir(&layer).is_ok();
    for entry in fs::read_dir(root).map_err(|error| at(root, &error))? {
        let entry = entry.map_err(|error| at(root, &error))?;
        let name = entry.file_name();
        if HIDDEN.iter().any(|hidden| name == *hidden) {
            continue;
        }
        let kind = entry.file_type().map_err(|error| at(&entry.path(), &error))?;
        if name == "etc" {
            let etc = ETC_SHOWN.iter().map(|name| entry.path().join(name));
            shown.extend(etc.filter(|path| fs::metadata(path).is_ok()));
        } else if kind.is_dir() {
            shown.push(entry.path());
        } else if kind.is_symlink() && is_new {
            let target = fs::read_link(entry.path()).map_err(|error| at(&entry.path(), &error))?;
            let link = layer.join(&name);
            std::os::unix::fs::symlink(target, &link).map_err(|error| at(&link, &error))?;
        }
    }
    let mut words = Vec::new();
    if let Some(program) = entrypoint {
        let program = fs::canonicalize(program).map_err(|error| at(program, &error))?;
        words.push(program.to_string_lossy().into_owned());
        shown.push(program);
    }
    Ok(Ready { layers: vec![layer], shown, entrypoint: words, environment: Vec::new() })
}
