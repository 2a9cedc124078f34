//! A process: found by its address, read by its class.

use std::sync::Arc;

use super::fields;
use crate::document::{Body, Process, Version};
use crate::error::{CwlError, Problem, Result};
use crate::extension::Flaws;
use crate::load::{Loader, find, shown};
use crate::node::{At, Node};
use crate::requirements::SERVICE;
use crate::service::{self, Service};
use crate::uri;

const CLASSES: [&str; 4] = ["CommandLineTool", "ExpressionTool", "Workflow", "Operation"];
/// Deepest nesting of workflows in workflows.
const DEPTH_MAX: usize = 50;

impl Loader<'_> {
    /// The process at an address. `parent` is the version of the document that names it, which one without a version has.
    pub(crate) fn process_at(
        &mut self,
        address: &str,
        parent: Option<Version>,
    ) -> Result<Arc<Process>> {
        let (file, fragment) =
            address.split_once('#').map_or((address, None), |(file, name)| (file, Some(name)));
        let fragment =
            fragment.map(|name| String::from_utf8_lossy(&uri::decode(name)).into_owned());
        let document = self.document(file)?;
        let node = self.choose(&document, fragment.as_deref(), address)?;
        let id = match (&fragment, node.text("id")) {
            (Some(fragment), _) => format!("{file}#{fragment}"),
            (None, Some(id)) if document.get("$graph").is_some() => {
                format!("{file}#{}", uri::short_name(id))
            }
            _ => file.to_owned(),
        };
        self.process_of(node, &id, parent)
    }

    fn choose<'n>(
        &self,
        document: &'n Node,
        fragment: Option<&str>,
        address: &str,
    ) -> Result<&'n Node> {
        if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
            if document.get("$graph").is_none() && !has_process_named(document, fragment) {
                return Ok(document);
            }
            return find(document, fragment, 0).ok_or_else(|| {
                CwlError::invalid(Problem::new(format!(
                    "there is no process {fragment:?} in {}",
                    shown(address)
                )))
            });
        }
        let Some(graph) = document.get("$graph") else { return Ok(document) };
        let processes = graph.as_array().unwrap_or_default();
        let is_main =
            |node: &&Node| node.text("id").is_some_and(|id| uri::short_name(id) == "main");
        match processes {
            [only] => Ok(only),
            several => several.iter().find(is_main).ok_or_else(|| {
                let names: Vec<&str> = several.iter().filter_map(|node| node.text("id")).collect();
                let rule =
                    format!("{} holds several processes and none is called main", shown(address));
                let advice = format!("name one: {}#NAME, of {}", shown(address), names.join(", "));
                CwlError::invalid(Problem::new(rule).advise(advice))
            }),
        }
    }

    /// Reads a process once for each address.
    pub(crate) fn process_of(
        &mut self,
        node: &Node,
        id: &str,
        parent: Option<Version>,
    ) -> Result<Arc<Process>> {
        if let Some(known) = self.processes.get(id) {
            return Ok(Arc::clone(known));
        }
        if self.reading.iter().any(|reading| reading == id) || self.reading.len() >= DEPTH_MAX {
            let chain: Vec<String> = self.reading.iter().map(|id| shown(id)).collect();
            let rule = format!("a workflow runs itself: {}", chain.join(" -> "));
            return Err(self.error(node.at, rule));
        }
        self.reading.push(id.to_owned());
        let read = self.read_process(node, id, parent);
        self.reading.pop();
        let process = Arc::new(read?);
        self.processes.insert(id.to_owned(), Arc::clone(&process));
        Ok(process)
    }

    fn read_process(&mut self, node: &Node, id: &str, parent: Option<Version>) -> Result<Process> {
        let class = self.class_of(node)?;
        let version = self.version_of(node, parent);
        self.check_fields(node, &class, &fields::process(&class, version));
        for field in ["inputs", "outputs"] {
            if node.as_object().is_some_and(|entries| !entries.contains_key(field)) {
                self.problem(
                    node.at,
                    format!("{class} has no {field}"),
                    format!("add `{field}: []` where there are none"),
                );
            }
        }
        let requirements = self.read_requirements(node, "requirements", version);
        let hints = self.read_requirements(node, "hints", version);
        let inputs = self.read_inputs(node);
        let outputs = self.read_outputs(node, &class, version);
        let body = match class.as_str() {
            "CommandLineTool" => Body::Tool(self.read_tool(node)),
            "ExpressionTool" => Body::Expression(self.expression_of(node)),
            "Workflow" => Body::Workflow(self.read_steps(node, id, version)?),
            _ => Body::Operation,
        };
        let process = Process {
            name: uri::basename(&id.replace('#', "/")),
            id: id.to_owned(),
            version,
            inputs,
            outputs,
            requirements,
            hints,
            schemas: self.schemas(node.at),
            body,
        };
        if let Body::Workflow(_) = process.body {
            self.check_links(&process);
        }
        self.check_service(&process, node);
        Ok(process)
    }

    /// A service's hint against its outputs and ports.
    fn check_service(&mut self, process: &Process, node: &Node) {
        let Some(service) = Service::of(process) else { return };
        let mut flaws = Flaws::default();
        service::check(&service, process, service::ports_of(process).as_deref(), &mut flaws);
        let hints = self.items(node.get("hints"), "hints");
        let hint = hints.iter().find(|item| {
            let class = item.key.or_else(|| item.node.text("class"));
            class.is_some_and(|class| self.expand(class, item.node.at) == SERVICE)
        });
        let place = hint.map_or(node, |item| item.node).clone();
        drop(hints);
        self.tell_flaws(&place, flaws);
    }

    fn expression_of(&mut self, node: &Node) -> String {
        let text = self.text_of(node, "expression");
        if text.is_none() {
            self.problem(node.at, "an ExpressionTool has no expression", "add `expression:`");
        }
        text.unwrap_or_default()
    }

    fn class_of(&self, node: &Node) -> Result<String> {
        if node.as_object().is_none() {
            return Err(
                self.error(node.at, format!("this is {}, not a CWL document", node.kind_name()))
            );
        }
        let Some(class) = node.text("class") else {
            let rule = format!("it has no class; add `class:` with one of {}", CLASSES.join(", "));
            return Err(self.error(node.at, rule));
        };
        let class = self.expand(class, node.at);
        if !CLASSES.contains(&class.as_str()) {
            let near = crate::error::nearest(&class, CLASSES);
            let advice = near.map_or_else(
                || format!("one of {}", CLASSES.join(", ")),
                |near| format!("did you mean {near:?}?"),
            );
            let at = node.get("class").map_or(node.at, |class| class.at);
            return Err(self.error(at, format!("there is no class {class:?}; {advice}")));
        }
        Ok(class)
    }

    /// Of its document; else of the document that names it.
    fn version_of(&mut self, node: &Node, parent: Option<Version>) -> Version {
        let of_file = self.files.get(node.at.file as usize).and_then(|file| file.version);
        of_file.or(parent).unwrap_or_else(|| {
            self.problem(node.at, "the document has no cwlVersion", "add `cwlVersion: v1.2`");
            Version::V1_2
        })
    }

    fn schemas(&mut self, at: At) -> Vec<String> {
        let base = self.base(at).to_owned();
        let Ok(document) = self.document(&base) else { return Vec::new() };
        let texts = self.texts(document.get("$schemas"), "$schemas");
        texts.iter().map(|text| uri::join(&base, text)).collect()
    }
}

fn has_process_named(document: &Node, fragment: &str) -> bool {
    find(document, fragment, 0).is_some_and(|node| node.text("class").is_some())
}
