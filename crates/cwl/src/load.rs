//! Finds and reads documents: `$import`, `$include`, `$mixin`, `$graph`, and one document that names another. What
//! is read has bounds, and a document that reads itself is an error.

use std::collections::HashMap;
use std::sync::Arc;

use crate::document::{Process, Version};
use crate::error::{CwlError, Place, Problem, Result};
use crate::node::{At, Entries, Kind, Node};
use crate::uri;
use crate::yaml;

/// Largest document or included text.
const FILE_BYTES_MAX: usize = 16 << 20;
/// Most documents and included texts of one process.
const FILES_MAX: usize = 1000;
/// Most values that imports may bring together.
const IMPORTED_MAX: usize = 1_000_000;

/// Gives the text behind an address.
pub trait Source {
    /// The text of at most `bytes_max` bytes; errs in words.
    fn read(&self, uri: &str, bytes_max: usize) -> std::result::Result<String, String>;
}

/// Reads documents and remembers them.
pub struct Loader<'s> {
    source: &'s dyn Source,
    pub(crate) files: Vec<FileInfo>,
    documents: HashMap<String, Arc<Node>>,
    pub(crate) processes: HashMap<String, Arc<Process>>,
    /// Processes that are being read, to notice those that run themselves.
    pub(crate) reading: Vec<String>,
    importing: Vec<String>,
    imported: usize,
    /// Named types by their address.
    pub(crate) types: HashMap<String, Node>,
    /// Named types that are being read.
    pub(crate) type_stack: Vec<String>,
    /// Rules that were broken.
    pub(crate) problems: Vec<Problem>,
    /// What is odd but no error.
    pub warnings: Vec<Problem>,
    /// Whether the word `checksum` stands in one of the texts: only then can an expression ask for one.
    pub names_checksums: bool,
}

/// What holds for all of a file.
#[derive(Clone, Debug)]
pub(crate) struct FileInfo {
    pub(crate) uri: String,
    pub(crate) namespaces: HashMap<String, String>,
    pub(crate) version: Option<Version>,
}

impl std::fmt::Debug for Loader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl<'s> Loader<'s> {
    /// Over a source of texts.
    pub fn new(source: &'s dyn Source) -> Self {
        Self {
            source,
            files: Vec::new(),
            documents: HashMap::new(),
            processes: HashMap::new(),
            reading: Vec::new(),
            importing: Vec::new(),
            imported: 0,
            types: HashMap::new(),
            type_stack: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            names_checksums: false,
        }
    }

    /// The process at an address: the fragment's, else the only one, else `main`. Errs with every
    /// rule that its documents break.
    pub fn load(&mut self, uri: &str) -> Result<Arc<Process>> {
        let process = self.process_at(uri, None)?;
        if self.problems.is_empty() {
            return Ok(process);
        }
        Err(CwlError::Invalid(std::mem::take(&mut self.problems)))
    }

    /// A file of data: an input object, whose Files are relative to it.
    pub fn data_of(&mut self, uri: &str) -> Result<crate::value::Value> {
        let document = self.document(uri)?;
        Ok(self.data(&document))
    }

    /// The place of a node.
    pub(crate) fn place(&self, at: At) -> Place {
        let info = self.files.get(at.file as usize);
        let file = info.map(|info| shown(&info.uri)).unwrap_or_default();
        Place { file, line: at.line, column: at.column }
    }

    /// Notes a broken rule.
    pub(crate) fn problem(&mut self, at: At, rule: impl Into<String>, advice: impl Into<String>) {
        let place = Some(self.place(at));
        self.problems.push(Problem { place, rule: rule.into(), advice: advice.into() });
    }

    /// An error at once, for what cannot be read on.
    pub(crate) fn error(&self, at: At, rule: impl Into<String>) -> CwlError {
        CwlError::invalid(Problem {
            place: Some(self.place(at)),
            rule: rule.into(),
            advice: String::new(),
        })
    }

    /// The address of the file that a node stands in.
    pub(crate) fn base(&self, at: At) -> &str {
        self.files.get(at.file as usize).map_or("", |info| &info.uri)
    }

    /// Writes out a `prefix:name` of a known namespace.
    pub(crate) fn expand(&self, name: &str, at: At) -> String {
        let expanded = name.split_once(':').and_then(|(prefix, rest)| {
            let here = self.files.get(at.file as usize)?.namespaces.get(prefix);
            let found = here.or_else(|| self.files.iter().find_map(|f| f.namespaces.get(prefix)));
            found.map(|namespace| format!("{namespace}{rest}"))
        });
        let name = expanded.unwrap_or_else(|| name.to_owned());
        name.strip_prefix("https://w3id.org/cwl/cwl#").map_or(name.clone(), str::to_owned)
    }

    /// A document with all its imports put in.
    pub(crate) fn document(&mut self, uri: &str) -> Result<Arc<Node>> {
        let uri = uri.split('#').next().unwrap_or_default().to_owned();
        if let Some(known) = self.documents.get(&uri) {
            return Ok(Arc::clone(known));
        }
        if self.importing.contains(&uri) {
            let chain: Vec<String> =
                self.importing.iter().chain([&uri]).map(|u| shown(u)).collect();
            let rule = format!("documents import each other in a circle: {}", chain.join(" -> "));
            return Err(CwlError::invalid(Problem::new(rule)));
        }
        let text = self.text(&uri)?;
        let file = self.files.len();
        let index = u32::try_from(file).unwrap_or(u32::MAX);
        self.files.push(FileInfo { uri: uri.clone(), namespaces: HashMap::new(), version: None });
        let mut node =
            yaml::parse(&text, index).map_err(|error| self.error(error.at, error.problem))?;
        self.note_header(file, &node);
        self.importing.push(uri.clone());
        let resolved = self.resolve(&mut node, 0);
        self.importing.pop();
        resolved?;
        let node = Arc::new(node);
        self.documents.insert(uri, Arc::clone(&node));
        Ok(node)
    }

    fn text(&mut self, uri: &str) -> Result<String> {
        if self.files.len() >= FILES_MAX {
            let rule = format!("more than {FILES_MAX} documents are read; import fewer");
            return Err(CwlError::invalid(Problem::new(rule)));
        }
        let text = self.source.read(uri, FILE_BYTES_MAX).map_err(|problem| {
            CwlError::invalid(Problem::new(format!("cannot read {}: {problem}", shown(uri))))
        })?;
        self.names_checksums |= text.contains("checksum");
        Ok(text)
    }

    fn note_header(&mut self, file: usize, node: &Node) {
        for (prefix, address) in
            node.get("$namespaces").and_then(Node::as_object).into_iter().flatten()
        {
            if let Some(address) = address.as_str() {
                self.files[file].namespaces.insert(prefix.clone(), address.to_owned());
            }
        }
        let Some(version) = node.get("cwlVersion") else { return };
        self.files[file].version = match version.as_str() {
            Some("v1.0") => Some(Version::V1_0),
            Some("v1.1") => Some(Version::V1_1),
            Some("v1.2") => Some(Version::V1_2),
            _ => {
                let rule = "cwlVersion names a version that is not known";
                self.problem(
                    version.at,
                    rule,
                    "write `cwlVersion: v1.2` (v1.0 and v1.1 are read, too)",
                );
                None
            }
        };
    }

    /// Puts imports in, in place.
    fn resolve(&mut self, node: &mut Node, depth: usize) -> Result<()> {
        if depth > 200 {
            return Err(self.error(node.at, "imports nested too deeply"));
        }
        match &mut node.kind {
            Kind::Array(items) => {
                for item in items {
                    self.resolve(item, depth + 1)?;
                }
            }
            Kind::Object(entries) => {
                if let Some(replaced) = self.directive(entries, node.at)? {
                    *node = replaced;
                    return Ok(());
                }
                for (_, item) in entries.iter_mut() {
                    self.resolve(item, depth + 1)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What stands in the place of an object with `$import`, `$include` or `$mixin`.
    fn directive(&mut self, entries: &Entries, at: At) -> Result<Option<Node>> {
        let found =
            ["$import", "$include", "$mixin"].into_iter().find(|key| entries.contains_key(*key));
        let Some(key) = found else { return Ok(None) };
        let Some(reference) = entries.get(key).and_then(Node::as_str) else {
            return Err(self.error(at, format!("{key} wants the name of a file")));
        };
        if key != "$mixin" && entries.len() > 1 {
            let advice = format!("move {key} into an object of its own");
            self.problem(at, format!("{key} stands beside other fields"), advice);
        }
        let uri = uri::join(self.base(at), reference);
        if key == "$include" {
            let text = self.text(&uri).map_err(|error| self.error(at, error.to_string()))?;
            return Ok(Some(Node { at, kind: Kind::String(text) }));
        }
        let document = match self.document(&uri) {
            Ok(document) => document,
            Err(CwlError::Invalid(mut problems)) => {
                for problem in &mut problems {
                    problem.place.get_or_insert(self.place(at));
                }
                return Err(CwlError::Invalid(problems));
            }
            Err(error) => return Err(error),
        };
        let mut imported = match uri.split_once('#') {
            Some((_, fragment)) => find(&document, fragment, 0).unwrap_or(&document).clone(),
            None => (*document).clone(),
        };
        self.imported += size_of(&imported);
        if self.imported > IMPORTED_MAX {
            return Err(self.error(at, format!("imports bring more than {IMPORTED_MAX} values")));
        }
        if let (Kind::Object(mixed), "$mixin") = (&mut imported.kind, key) {
            for (name, value) in entries.iter().filter(|(name, _)| *name != "$mixin") {
                mixed.insert(name.clone(), value.clone());
            }
        }
        Ok(Some(imported))
    }
}

/// The object of an identifier, anywhere in a document.
pub(crate) fn find<'n>(node: &'n Node, fragment: &str, depth: usize) -> Option<&'n Node> {
    if depth > 12 {
        return None;
    }
    let name = node.text("id").or_else(|| node.text("name"));
    let matches = |id: &str| {
        let id = id.split_once('#').map_or(id, |(_, id)| id);
        id == fragment || uri::short_name(id) == fragment
    };
    if name.is_some_and(matches) {
        return Some(node);
    }
    match &node.kind {
        Kind::Array(items) => items.iter().find_map(|item| find(item, fragment, depth + 1)),
        Kind::Object(entries) => entries.values().find_map(|item| find(item, fragment, depth + 1)),
        _ => None,
    }
}

fn size_of(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Array(items) => items.iter().map(size_of).sum(),
        Kind::Object(entries) => entries.values().map(size_of).sum(),
        _ => 0,
    }
}

/// An address as people write it: a path for files of this machine.
pub(crate) fn shown(uri: &str) -> String {
    match uri::to_path(uri) {
        Some(path) => path.display().to_string(),
        None => uri.to_owned(),
    }
}
