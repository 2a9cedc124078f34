//! Where a program finds its inputs: plans of what goes where, and `path` in the objects.

use std::collections::HashMap;

use crate::error::{Result, fail};
use crate::expr::{Blanks, Scope, evaluate_value, evaluate_with};
use crate::file;
use crate::json::{Layout, write};
use crate::secret::SecretText;
use crate::value::{Object, Value};

/// What is put somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file at a location.
    File(String),
    /// A folder at a location, with everything in it.
    Folder(String),
    /// A new file of this text.
    Text(String),
    /// A new file of this text, which only the program may see.
    Secret(SecretText),
    /// A new folder.
    NewFolder,
}

/// One thing that is put somewhere before the program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// What.
    pub content: Content,
    /// Where, as the program sees it.
    pub target: String,
    /// Whether the program may change it, its own copy of it.
    pub writable: bool,
}

/// Collects what goes where.
#[derive(Debug)]
pub struct Stage {
    root: String,
    count: usize,
    targets: HashMap<String, String>,
    /// In an order in which folders come before what is in them.
    pub staged: Vec<Staged>,
}

impl Stage {
    /// Inputs go into folders of their own below `root`.
    pub fn new(root: &str) -> Self {
        Self { root: root.to_owned(), count: 0, targets: HashMap::new(), staged: Vec::new() }
    }

    /// Places all Files and Directories of a value and sets their paths.
    pub fn place_inputs(&mut self, value: &mut Value) -> Result<()> {
        file::each_mut(value, &mut |object| {
            let location = object.text("location").unwrap_or_default().to_owned();
            let known = self.targets.get(&key(&location, object)).cloned();
            let folder = known
                .as_deref()
                .and_then(|target| target.rsplit_once('/'))
                .map(|(folder, _)| folder.to_owned());
            let folder = folder.unwrap_or_else(|| {
                self.count += 1;
                format!("{}/stg{}", self.root, self.count)
            });
            self.place(object, &folder, false)
        })
    }

    /// Places an object, and its secondary files beside it.
    fn place(&mut self, object: &mut Value, folder: &str, writable: bool) -> Result<()> {
        let name = object.text("basename").unwrap_or_default().to_owned();
        if name.is_empty() || name == "." || name == ".." || name.contains('/') {
            fail!("{name:?} cannot be the name of a staged {}", object.kind());
        }
        let target = format!("{}/{name}", folder.trim_end_matches('/'));
        self.place_at(object, &target, writable)?;
        self.place_secondary(object, folder, writable)
    }

    fn place_secondary(&mut self, object: &mut Value, folder: &str, writable: bool) -> Result<()> {
        if let Value::Object(entries) = object
            && let Some(Value::Array(files)) = entries.get_mut("secondaryFiles")
        {
            for inner in files {
                self.place(inner, folder, writable)?;
            }
        }
        Ok(())
    }

    /// Places an object at a path.
    fn place_at(&mut self, object: &mut Value, target: &str, writable: bool) -> Result<()> {
        let location = object.text("location").unwrap_or_default().to_owned();
        let is_literal = location.starts_with("_:");
        let content = match (object.is_directory(), is_literal) {
            (true, true) => Content::NewFolder,
            (true, false) => Content::Folder(location.clone()),
            (false, true) => Content::Text(object.text("contents").unwrap_or_default().to_owned()),
            (false, false) => Content::File(location.clone()),
        };
        let key = key(&location, object);
        let is_new = self.targets.get(&key).is_none_or(|known| known != target);
        if is_new {
            self.targets.insert(key, target.to_owned());
            self.staged.push(Staged { content, target: target.to_owned(), writable });
        }
        set_path(object, target);
        if is_literal && object.is_directory() {
            if let Value::Object(entries) = object
                && let Some(Value::Array(items)) = entries.get_mut("listing")
            {
                for item in items {
                    self.place(item, target, writable)?;
                }
            }
        } else {
            set_paths_below(object, target);
        }
        Ok(())
    }

    /// `InitialWorkDirRequirement`: what is put into the output directory, and inputs whose path changes by it.
    pub fn place_work_dir(
        &mut self,
        listing: &Value,
        outdir: &str,
        absolute: Absolute,
        scope: &Scope<'_>,
        inputs: &mut Object,
    ) -> Result<()> {
        let mut entries = Vec::new();
        work_entries(listing, scope, &mut entries)?;
        let mut moved: HashMap<String, String> = HashMap::new();
        for entry in entries {
            self.place_work_entry(entry, outdir, absolute, &mut moved)?;
        }
        for value in inputs.values_mut() {
            move_paths(value, &moved);
        }
        Ok(())
    }

    fn place_work_entry(
        &mut self,
        entry: WorkEntry,
        outdir: &str,
        absolute: Absolute,
        moved: &mut HashMap<String, String>,
    ) -> Result<()> {
        let WorkEntry { mut object, name, writable } = entry;
        let basename = object.text("basename").unwrap_or_default().to_owned();
        let name = name.unwrap_or(basename);
        let target = work_target(&name, outdir, absolute)?;
        let (folder, last) = target.rsplit_once('/').unwrap_or(("", &target));
        file::set_name(&mut object, last);
        let folder = folder.to_owned();
        let before = self.staged.len();
        self.place_at(&mut object, &target, writable)?;
        if self.staged.len() == before {
            // Placed there before under the same name; it may be writable only now.
            if let Some(known) = self.staged.iter_mut().find(|known| known.target == target) {
                known.writable |= writable;
            }
        }
        self.place_secondary(&mut object, &folder, writable)?;
        let _infallible: std::result::Result<(), std::convert::Infallible> =
            file::each_deep_mut(&mut object, &mut |object| {
                if let (Some(location), Some(path)) = (object.text("location"), object.text("path"))
                {
                    moved.insert(location.to_owned(), path.to_owned());
                }
                Ok(())
            });
        Ok(())
    }
}

/// Whether entries of the working directory may be put elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absolute {
    /// A container is required, so any path of it is the tool's own.
    Allowed,
    /// Only the output directory is the tool's own.
    Refused,
}

/// Literals with equal locations but other contents do not exist; files under two names do.
fn key(location: &str, object: &Value) -> String {
    format!("{}\0{location}", object.text("basename").unwrap_or_default())
}

fn set_path(object: &mut Value, path: &str) {
    object.set("path", path.into());
    if object.is_file() {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        object.set("dirname", folder.into());
    }
}

/// What a folder's listing names lies in the folder.
fn set_paths_below(object: &mut Value, target: &str) {
    if let Value::Object(entries) = object
        && let Some(Value::Array(items)) = entries.get_mut("listing")
    {
        for item in items {
            let path = format!("{target}/{}", item.text("basename").unwrap_or_default());
            set_path(item, &path);
            set_paths_below(item, &path);
        }
    }
}

fn move_paths(value: &mut Value, moved: &HashMap<String, String>) {
    let _infallible: std::result::Result<(), std::convert::Infallible> =
        file::each_deep_mut(value, &mut |object| {
            if let Some(path) = object.text("location").and_then(|location| moved.get(location)) {
                set_path(object, path);
                if object.is_file() || object.is_directory() {
                    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                    file::set_name(object, &name);
                }
                set_paths_below(object, path);
            }
            Ok(())
        });
}

fn work_target(name: &str, outdir: &str, absolute: Absolute) -> Result<String> {
    let is_inside = |path: &str| path.split('/').all(|part| part != "..");
    if !is_inside(name) || name.is_empty() {
        fail!("{name:?} cannot be an entryname: it leads out of the working directory");
    }
    if !name.starts_with('/') {
        let parts: Vec<&str> =
            name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        return Ok(format!("{}/{}", outdir.trim_end_matches('/'), parts.join("/")));
    }
    let outside = name.strip_prefix(outdir).is_none_or(|rest| !rest.starts_with('/'));
    if outside && absolute == Absolute::Refused {
        fail!(
            "the entryname {name:?} is absolute, which only a tool with DockerRequirement in its requirements may \
             have; write a name below the working directory"
        );
    }
    Ok(name.trim_end_matches('/').to_owned())
}

struct WorkEntry {
    object: Value,
    name: Option<String>,
    writable: bool,
}

/// The entries of a listing: expressions are evaluated, Dirents become objects.
fn work_entries(listing: &Value, scope: &Scope<'_>, out: &mut Vec<WorkEntry>) -> Result<()> {
    match listing {
        Value::Null => Ok(()),
        Value::String(text) => {
            let value = crate::expr::evaluate(text, scope)?;
            match value {
                Value::String(_) => fail!(
                    "InitialWorkDirRequirement gives text, and must give Files, Directories or Dirents"
                ),
                other => work_entries(&other, scope, out),
            }
        }
        Value::Array(items) => items.iter().try_for_each(|item| work_entries(item, scope, out)),
        object if file::is_object(object) => {
            let mut object = object.clone();
            file::each_deep_mut(&mut object, &mut |inner| name_literal(inner))?;
            out.push(WorkEntry { object, name: None, writable: false });
            Ok(())
        }
        Value::Object(entries) if entries.contains_key("entry") => dirent(listing, scope, out),
        other => fail!(
            "InitialWorkDirRequirement has {}, and must have Files, Directories or Dirents",
            other.kind()
        ),
    }
}

/// Literals in listings were never completed as inputs are.
fn name_literal(object: &mut Value) -> Result<()> {
    if object.text("location").is_none() {
        object.set("location", file::fresh_literal().into());
    }
    if object.text("basename").is_none() {
        let name = crate::uri::basename(object.text("location").unwrap_or_default());
        file::set_name(object, name.trim_start_matches("_:"));
    }
    Ok(())
}

fn dirent(dirent: &Value, scope: &Scope<'_>, out: &mut Vec<WorkEntry>) -> Result<()> {
    let name = match evaluate_value(dirent.get("entryname"), scope)? {
        Value::Null => None,
        Value::String(name) => Some(name),
        other => fail!("entryname is {}, and must be text", other.kind()),
    };
    let writable = dirent.get("writable").as_bool().unwrap_or(false);
    let entry = match dirent.get("entry") {
        Value::String(text) => evaluate_with(text, scope, Blanks::Kept)?,
        other => other.clone(),
    };
    let is_list_of_files = |items: &[Value]| {
        !items.is_empty() && items.iter().all(|item| file::is_object(item) || item.is_null())
    };
    match entry {
        Value::Null => Ok(()),
        Value::Array(items) if is_list_of_files(&items) => {
            if name.is_some() {
                fail!(
                    "entryname is given for a list of Files; leave it out, each has its own name"
                );
            }
            for object in items.into_iter().filter(|item| !item.is_null()) {
                push_object(object, None, writable, out)?;
            }
            Ok(())
        }
        object if file::is_object(&object) => push_object(object, name, writable, out),
        other => {
            let Some(name) = name else { fail!("a Dirent with text has no entryname; add one") };
            let text = match other {
                Value::String(text) => text,
                other => write(&other, Layout::Sorted),
            };
            let mut object =
                Value::object([("class", Value::from("File")), ("contents", text.into())]);
            object.set("location", file::fresh_literal().into());
            file::set_name(&mut object, crate::uri::short_name(&name));
            out.push(WorkEntry { object, name: Some(name), writable });
            Ok(())
        }
    }
}

fn push_object(
    mut object: Value,
    name: Option<String>,
    writable: bool,
    out: &mut Vec<WorkEntry>,
) -> Result<()> {
    file::each_deep_mut(&mut object, &mut |inner| name_literal(inner))?;
    out.push(WorkEntry { object, name, writable });
    Ok(())
}
