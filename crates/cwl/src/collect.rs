//! The output object of a tool: what its program left, found by patterns or told in `cwl.output.json`.

use crate::document::{OutputBinding, Process, SecondaryFile};
use crate::error::{Result, fail};
use crate::expr::{Scope, evaluate, evaluate_value};
use crate::file;
use crate::glob;
use crate::inputs::secondary_of;
use crate::json;
use crate::storage::Storage;
use crate::types::{Listing, Type};
use crate::uri;
use crate::value::{NULL, Object, Value};

/// The file that is the output object, if a program writes it.
const OUTPUT_FILE: &str = "cwl.output.json";
/// Largest such file.
const OUTPUT_FILE_BYTES_MAX: usize = 64 << 20;
/// Most files that the patterns of one output find.
const FOUND_MAX: usize = 200_000;

/// A program's end, to collect outputs from.
#[derive(Clone, Copy)]
pub struct Collector<'c> {
    /// Reads locations.
    pub storage: &'c dyn Storage,
    /// Location of the output directory.
    pub root: &'c str,
    /// Its path as the program saw it.
    pub outdir: &'c str,
    /// Locations of what was staged, by the paths that the program saw.
    pub staged: &'c [(String, String)],
    /// The file that standard output went to, below the output directory.
    pub stdout: Option<&'c str>,
    /// The same for standard error.
    pub stderr: Option<&'c str>,
    /// How deep directories are listed where an output says nothing.
    pub listing: Listing,
}

impl std::fmt::Debug for Collector<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector").field("root", &self.root).finish_non_exhaustive()
    }
}

/// What makes a value besides its type.
#[derive(Clone, Copy)]
struct Wanted<'p> {
    ty: &'p Type,
    collect: Option<&'p OutputBinding>,
    secondary: &'p [SecondaryFile],
    format: Option<&'p Value>,
}

impl Collector<'_> {
    /// The output object of a process, complete and checked.
    pub fn collect(&self, process: &Process, scope: &Scope<'_>) -> Result<Object> {
        let told = uri::child(self.root, OUTPUT_FILE);
        let mut outputs = if self.storage.stat(&told).is_ok_and(|stat| !stat.is_dir) {
            self.told(&told)?
        } else {
            let mut outputs = Object::new();
            for output in &process.outputs {
                let wanted = Wanted {
                    ty: &output.ty,
                    collect: output.collect.as_ref(),
                    secondary: &output.secondary,
                    format: output.format.as_ref(),
                };
                let value = self.value(wanted, scope);
                let value =
                    value.map_err(|error| error.within(format!("output {:?}", output.name)))?;
                outputs.insert(output.name.clone(), value);
            }
            outputs
        };
        for (name, value) in &mut outputs {
            self.finish(value).map_err(|error| error.within(format!("output {name:?}")))?;
        }
        check(process, &outputs)?;
        Ok(outputs)
    }

    fn told(&self, location: &str) -> Result<Object> {
        let bytes = self.storage.read(location, OUTPUT_FILE_BYTES_MAX);
        let Ok(text) = bytes.map(String::from_utf8) else { fail!("cannot read {OUTPUT_FILE}") };
        let Ok(text) = text else { fail!("{OUTPUT_FILE} is not UTF-8") };
        match json::parse(&text) {
            Ok(Value::Object(outputs)) => Ok(outputs),
            Ok(other) => fail!("{OUTPUT_FILE} holds {}, and must hold an object", other.kind()),
            Err(error) => fail!("{OUTPUT_FILE} is {error}"),
        }
    }

    fn value(&self, wanted: Wanted<'_>, scope: &Scope<'_>) -> Result<Value> {
        let stream = match wanted.ty {
            Type::Stdout => self.stdout,
            Type::Stderr => self.stderr,
            _ => None,
        };
        if let Some(name) = stream {
            let mut found = Vec::new();
            self.find(name, &mut found)?;
            return self.shaped(found.into(), wanted, scope);
        }
        let Some(binding) = wanted.collect else {
            return self.record(wanted.ty, scope);
        };
        let mut found = Vec::new();
        if let Some(globs) = &binding.glob {
            for pattern in self.patterns(globs, scope)? {
                self.find(&pattern, &mut found)?;
            }
        }
        for object in &mut found {
            if binding.load_contents {
                file::load_contents(object, self.storage)?;
            }
            let listing = binding.load_listing.unwrap_or(self.listing);
            file::load_listing(object, listing, self.storage)?;
        }
        let mut value = Value::Array(found);
        if let Some(text) = &binding.output_eval {
            value = evaluate(text, &scope.with_self(&value))?;
        } else if binding.glob.is_none() {
            return self.record(wanted.ty, scope);
        }
        self.shaped(value, wanted, scope)
    }

    /// A record without a binding of its own: each field by its own.
    fn record(&self, ty: &Type, scope: &Scope<'_>) -> Result<Value> {
        let record = ty.members().iter().find_map(|member| match member {
            Type::Record(record) => Some(record),
            _ => None,
        });
        let Some(record) = record else { return Ok(Value::Null) };
        let mut entries = Object::new();
        for field in &record.fields {
            let wanted = Wanted {
                ty: &field.ty,
                collect: field.collect.as_ref(),
                secondary: &field.secondary,
                format: field.format.as_ref(),
            };
            entries.insert(field.name.clone(), self.value(wanted, scope)?);
        }
        Ok(Value::Object(entries))
    }

    /// Patterns, evaluated: text, or a list.
    fn patterns(&self, globs: &Value, scope: &Scope<'_>) -> Result<Vec<String>> {
        let one = std::slice::from_ref(globs);
        let mut patterns = Vec::new();
        for item in globs.as_array().unwrap_or(one) {
            match evaluate_value(item, scope)? {
                Value::String(text) => patterns.push(text),
                Value::Array(items) => {
                    for item in items {
                        match item {
                            Value::String(text) => patterns.push(text),
                            other => {
                                fail!("glob gives a list with {}, and must give text", other.kind())
                            }
                        }
                    }
                }
                other => fail!("glob gives {}, and must give text", other.kind()),
            }
        }
        Ok(patterns)
    }

    /// What fits a pattern, sorted by the bytes of the paths.
    fn find(&self, pattern: &str, found: &mut Vec<Value>) -> Result<()> {
        let relative = if pattern.starts_with('/') {
            let inside = pattern.strip_prefix(self.outdir.trim_end_matches('/'));
            match inside.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                Some(rest) => rest,
                None => fail!("the glob {pattern:?} leads out of the output directory"),
            }
        } else {
            pattern
        };
        let parts: Vec<&str> =
            relative.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            fail!("the glob {pattern:?} leads out of the output directory");
        }
        let mut paths = vec![String::new()];
        for part in parts {
            let mut next = Vec::new();
            for path in &paths {
                self.step(path, part, &mut next)?;
            }
            paths = next;
        }
        paths.sort();
        if found.len() + paths.len() > FOUND_MAX {
            fail!("the glob {pattern:?} finds more than {FOUND_MAX} files");
        }
        for path in paths {
            found.push(self.object(&path)?);
        }
        Ok(())
    }

    fn step(&self, path: &str, part: &str, next: &mut Vec<String>) -> Result<()> {
        let join =
            |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        if !glob::is_pattern(part) {
            let joined = join(part);
            if self.resolved(&joined).is_ok_and(|location| self.storage.stat(&location).is_ok())
                || self.is_there(path, part)
            {
                next.push(joined);
            }
            return Ok(());
        }
        let folder = self.resolved(path)?;
        let entries = self.storage.list(&folder).unwrap_or_default();
        next.extend(
            entries
                .iter()
                .filter(|entry| glob::matches(part, &entry.name))
                .map(|entry| join(&entry.name)),
        );
        Ok(())
    }

    /// Whether a folder has an entry of that name, even a link that leads elsewhere.
    fn is_there(&self, folder: &str, name: &str) -> bool {
        let Ok(location) = self.resolved(folder) else { return false };
        self.storage
            .list(&location)
            .is_ok_and(|entries| entries.iter().any(|entry| entry.name == name))
    }

    /// The location of a path below the output directory, links followed.
    fn resolved(&self, path: &str) -> Result<String> {
        let location =
            if path.is_empty() { self.root.to_owned() } else { uri::child(self.root, path) };
        match self.storage.resolve(&location) {
            Ok(location) => Ok(location),
            Err(problem) => fail!("{problem}"),
        }
    }

    /// The File or Directory at a path below the output directory.
    fn object(&self, path: &str) -> Result<Value> {
        let location = self.resolved(path)?;
        let stat = match self.storage.stat(&location) {
            Ok(stat) => stat,
            Err(problem) => fail!("{problem}"),
        };
        let mut object = file::of_location(&location, stat.is_dir);
        let name = path.rsplit('/').next().filter(|name| !name.is_empty());
        let seen = format!("{}/{path}", self.outdir.trim_end_matches('/'));
        let seen = seen.trim_end_matches('/');
        file::set_name(&mut object, name.or(seen.rsplit('/').next()).unwrap_or_default());
        object.set("path", seen.into());
        if !stat.is_dir {
            object.set("size", stat.size.into());
        }
        Ok(object)
    }

    /// One File where the type wants one; secondary files and format.
    fn shaped(&self, value: Value, wanted: Wanted<'_>, scope: &Scope<'_>) -> Result<Value> {
        let members = wanted.ty.members();
        let is_single = members.iter().any(|member| {
            matches!(member, Type::File | Type::Directory | Type::Stdout | Type::Stderr)
        });
        let takes_lists = members.iter().any(|member| matches!(member, Type::Array(_) | Type::Any));
        let mut value = match value {
            Value::Array(mut items) if is_single && !(takes_lists && items.len() > 1) => {
                match items.len() {
                    0 if wanted.ty.allows_null() => return Ok(Value::Null),
                    0 => fail!("nothing fits its glob {}", shown_glob(wanted.collect)),
                    1 => items.pop().unwrap_or_default(),
                    n => fail!(
                        "{n} files fit its glob {}, and its type is {}",
                        shown_glob(wanted.collect),
                        wanted.ty
                    ),
                }
            }
            other => other,
        };
        file::each_mut(&mut value, &mut |object| self.extend(object, wanted, scope))?;
        Ok(value)
    }

    fn extend(&self, object: &mut Value, wanted: Wanted<'_>, scope: &Scope<'_>) -> Result<()> {
        let mut secondary = object.get("secondaryFiles").as_array().unwrap_or_default().to_vec();
        for pattern in wanted.secondary {
            let required = evaluate_value(&pattern.required, &scope.with_self(object))?;
            let before = secondary.len();
            for name in secondary_of(&pattern.pattern, object, scope)? {
                match name.as_str() {
                    Some(name) => secondary.extend(self.beside(object, name)?),
                    None => secondary.push(name),
                }
            }
            if secondary.len() == before && required == Value::Bool(true) {
                let name = object.text("basename").unwrap_or_default();
                fail!("{name:?} has no secondary file {:?}", pattern.pattern);
            }
        }
        if !secondary.is_empty() {
            object.set("secondaryFiles", secondary.into());
        }
        if let Some(format) = wanted.format
            && object.is_file()
        {
            match evaluate_value(format, &scope.with_self(object))? {
                Value::String(text) => object.set("format", text.into()),
                Value::Null => {}
                other => fail!("format is {}, and must be text", other.kind()),
            }
        }
        Ok(())
    }

    fn beside(&self, object: &Value, name: &str) -> Result<Option<Value>> {
        let outdir = self.outdir.trim_end_matches('/');
        let path = object.text("path").unwrap_or_default();
        let Some(relative) = path.strip_prefix(outdir) else { return Ok(None) };
        let folder = relative.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut found = Vec::new();
        let beside = format!("{folder}/{name}");
        if self
            .resolved(beside.trim_start_matches('/'))
            .is_ok_and(|location| self.storage.stat(&location).is_ok())
        {
            found.push(self.object(beside.trim_start_matches('/'))?);
        }
        Ok(found.pop())
    }

    /// Makes every File and Directory complete: a location that is there, size, checksum, listing.
    fn finish(&self, value: &mut Value) -> Result<()> {
        file::each_deep_mut(value, &mut |object| {
            if let Some(location) = self.located(object)? {
                object.set("location", location.into());
            }
            Ok(())
        })?;
        file::each_deep_mut(value, &mut |object| self.finish_one(object))
    }

    fn finish_one(&self, object: &mut Value) -> Result<()> {
        file::complete(object, self.storage)?;
        let location = object.text("location").unwrap_or_default().to_owned();
        if object.is_file() && !location.starts_with("_:") {
            if let Value::Object(entries) = object {
                entries.shift_remove("contents");
            }
            match self.storage.checksum(&location) {
                Ok(Some(checksum)) => object.set("checksum", checksum.into()),
                Ok(None) => {}
                Err(problem) => fail!("{problem}"),
            }
        }
        file::load_listing(object, Listing::Deep, self.storage)?;
        if let Value::Object(entries) = object {
            entries.shift_remove("path");
            entries.shift_remove("dirname");
        }
        Ok(())
    }

    /// Where an object with a path, or a relative location, really is.
    fn located(&self, object: &Value) -> Result<Option<String>> {
        let path = match (object.text("path"), object.text("location")) {
            (Some(path), _) => path.strip_prefix("file://").map_or(path.to_owned(), |_| {
                uri::to_path(path)
                    .map(|path| path.to_string_lossy().into_owned())
                    .unwrap_or_default()
            }),
            (None, Some(location)) if uri::has_scheme(location) => {
                let is_ours = location.starts_with(self.root) || !location.starts_with("file:");
                let path = uri::to_path(location).map(|path| path.to_string_lossy().into_owned());
                match path {
                    Some(path) if !is_ours && path.starts_with(self.outdir) => path,
                    _ => return Ok(None),
                }
            }
            (None, Some(location)) => String::from_utf8_lossy(&uri::decode(location)).into_owned(),
            (None, None) => return Ok(None),
        };
        let outdir = self.outdir.trim_end_matches('/');
        let relative = match path.strip_prefix(outdir) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
            _ if path.starts_with('/') => return self.staged_at(&path).map(Some),
            _ => path.as_str(),
        };
        if relative.split('/').any(|part| part == "..") {
            fail!("{path:?} leads out of the output directory");
        }
        self.resolved(relative.trim_start_matches("./")).map(Some)
    }

    /// The location of a staged input, or of something in a staged folder.
    fn staged_at(&self, path: &str) -> Result<String> {
        for (target, location) in self.staged {
            match path.strip_prefix(target.as_str()) {
                Some("") => return Ok(location.clone()),
                Some(rest) if rest.starts_with('/') && !rest.contains("/../") => {
                    return Ok(uri::child(location, rest.trim_start_matches('/')));
                }
                _ => {}
            }
        }
        fail!("{path:?} is neither in the output directory nor an input");
    }
}

fn shown_glob(binding: Option<&OutputBinding>) -> String {
    let glob = binding.and_then(|binding| binding.glob.as_ref()).unwrap_or(&NULL);
    json::write(glob, json::Layout::Sorted)
}

/// Whether outputs have their types.
pub fn check(process: &Process, outputs: &Object) -> Result<()> {
    for output in &process.outputs {
        let value = outputs.get(&output.name).unwrap_or(&NULL);
        if output.ty.has(value) {
            continue;
        }
        if value.is_null() {
            fail!("the output {:?} is missing; it has type {}", output.name, output.ty);
        }
        fail!(
            "the output {:?} has type {}, and the program gave {}",
            output.name,
            output.ty,
            value.kind()
        );
    }
    Ok(())
}
