//! Steps of a workflow, and whether their links lead anywhere.

use std::sync::Arc;

use super::{Item, fields};
use crate::document::{
    Body, Link, LinkMerge, PickValue, Process, ScatterMethod, Step, StepInput, Version,
};
use crate::error::Result;
use crate::load::Loader;
use crate::node::{Kind, Node};
use crate::uri;

impl Loader<'_> {
    pub(super) fn read_steps(
        &mut self,
        node: &Node,
        id: &str,
        version: Version,
    ) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        if node.as_object().is_some_and(|entries| !entries.contains_key("steps")) {
            self.problem(
                node.at,
                "a Workflow has no steps",
                "add `steps: []` where there are none",
            );
        }
        for item in self.items(node.get("steps"), "steps") {
            steps.extend(self.read_step(&item, id, version)?);
        }
        Ok(steps)
    }

    fn read_step(
        &mut self,
        item: &Item<'_>,
        workflow: &str,
        version: Version,
    ) -> Result<Option<Step>> {
        let node = item.node;
        let Some(name) = item.name("id") else {
            self.problem(
                node.at,
                "a step has no id",
                "add `id:`, or write a map with the names as keys",
            );
            return Ok(None);
        };
        self.check_fields(node, "a step", &fields::step(version));
        for field in ["in", "out"] {
            if node.as_object().is_some_and(|entries| !entries.contains_key(field)) {
                self.problem(
                    node.at,
                    format!("the step {name:?} has no {field:?}"),
                    format!("add `{field}: []`"),
                );
            }
        }
        let requirements = self.read_requirements(node, "requirements", version);
        let hints = self.read_requirements(node, "hints", version);
        let Some(run) = node.get("run") else {
            self.problem(
                node.at,
                format!("the step {name:?} has no \"run\""),
                "add `run:` with a file or a process",
            );
            return Ok(None);
        };
        let run = self.read_run(run, workflow, &name, version)?;
        let inputs = self.items(node.get("in"), "in");
        let inputs =
            inputs.iter().filter_map(|input| self.read_step_input(input, version)).collect();
        let outputs = self.read_step_outputs(node);
        let scatter = self.texts(node.get("scatter"), "scatter");
        let scatter: Vec<String> =
            scatter.iter().map(|name| uri::short_name(name).to_owned()).collect();
        let scatter_method = self.read_scatter_method(node, scatter.len());
        Ok(Some(Step {
            run,
            inputs,
            outputs,
            scatter,
            scatter_method,
            when: self.text_of(node, "when"),
            requirements,
            hints,
            place: self.place(node.at),
            name,
        }))
    }

    fn read_run(
        &mut self,
        run: &Node,
        workflow: &str,
        step: &str,
        version: Version,
    ) -> Result<Arc<Process>> {
        if let Some(reference) = run.as_str() {
            let base = self.base(run.at).to_owned();
            let address = uri::join(&base, reference);
            let process = self.process_at(&address, Some(version));
            return process.map_err(|error| match error {
                crate::error::CwlError::Invalid(mut problems) => {
                    for problem in &mut problems {
                        problem.place.get_or_insert(self.place(run.at));
                    }
                    crate::error::CwlError::Invalid(problems)
                }
                other => other,
            });
        }
        let separator = if workflow.contains('#') { "/" } else { "#" };
        self.process_of(run, &format!("{workflow}{separator}{step}/run"), Some(version))
    }

    fn read_step_input(&mut self, item: &Item<'_>, version: Version) -> Option<StepInput> {
        let node = item.node;
        let Some(name) = item.name("id") else {
            self.problem(node.at, "an input of a step has no id", "add `id:`");
            return None;
        };
        if node.as_object().is_none() {
            let link = self.link_of(Some(node));
            return Some(StepInput {
                name,
                link,
                default: None,
                value_from: None,
                load_contents: false,
                load_listing: None,
            });
        }
        self.check_fields(node, "an input of a step", &fields::step_input(version));
        Some(StepInput {
            name,
            link: self.read_link(node, "source"),
            default: node.get("default").map(|node| self.data(node)),
            value_from: node.get("valueFrom").map(Node::to_value),
            load_contents: self.bool_of(node, "loadContents").unwrap_or(false),
            load_listing: self.read_listing(node),
        })
    }

    fn read_step_outputs(&mut self, node: &Node) -> Vec<String> {
        let mut names = Vec::new();
        for item in node.get("out").and_then(Node::as_array).unwrap_or_default() {
            match item.as_str().or_else(|| item.text("id")) {
                Some(name) => names.push(uri::short_name(name).to_owned()),
                None => self.problem(
                    item.at,
                    "an entry of \"out\" has no name",
                    "write the output's name",
                ),
            }
        }
        names
    }

    fn read_scatter_method(&mut self, node: &Node, count: usize) -> ScatterMethod {
        let text = self.text_of(node, "scatterMethod");
        match text.as_deref() {
            Some("dotproduct") => ScatterMethod::Dot,
            Some("nested_crossproduct") => ScatterMethod::Nested,
            Some("flat_crossproduct") => ScatterMethod::Flat,
            None if count < 2 => ScatterMethod::Dot,
            _ => {
                self.problem(
                    node.at,
                    "a scatter over several inputs needs a scatterMethod that there is",
                    "write dotproduct, nested_crossproduct or flat_crossproduct",
                );
                ScatterMethod::Dot
            }
        }
    }

    /// Sources, linkMerge and pickValue of a step's input or a workflow's output.
    pub(super) fn read_link(&mut self, node: &Node, field: &str) -> Link {
        let mut link = self.link_of(node.get(field));
        link.merge = match self.text_of(node, "linkMerge").as_deref() {
            None => None,
            Some("merge_nested") => Some(LinkMerge::Nested),
            Some("merge_flattened") => Some(LinkMerge::Flattened),
            Some(other) => {
                let rule = format!("there is no linkMerge {other:?}");
                self.problem(node.at, rule, "write merge_nested or merge_flattened");
                None
            }
        };
        link.pick = match self.text_of(node, "pickValue").as_deref() {
            None => None,
            Some("first_non_null") => Some(PickValue::First),
            Some("the_only_non_null") => Some(PickValue::Only),
            Some("all_non_null") => Some(PickValue::All),
            Some(other) => {
                let rule = format!("there is no pickValue {other:?}");
                self.problem(
                    node.at,
                    rule,
                    "write first_non_null, the_only_non_null or all_non_null",
                );
                None
            }
        };
        link
    }

    fn link_of(&mut self, node: Option<&Node>) -> Link {
        let sources = self.texts(node, "source");
        let is_list = matches!(node.map(|node| &node.kind), Some(Kind::Array(_)));
        Link { sources, is_list, merge: None, pick: None }
    }

    /// Makes sources short (`input`, `step/output`) and refuses those that lead nowhere.
    pub(super) fn check_links(&mut self, process: &Process) {
        let Body::Workflow(steps) = &process.body else { return };
        for problem in crate::links::problems(process, steps) {
            self.problems.push(problem);
        }
        self.problems.extend(crate::service::cycles(process, steps));
    }
}
