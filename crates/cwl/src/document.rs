//! Processes as loaded: tools, expression tools, workflows, with everything resolved.

use std::sync::Arc;

use crate::error::Place;
use crate::types::{Listing, Type};
use crate::value::{Object, Value};

/// The version of the standard that a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// `v1.0`
    V1_0,
    /// `v1.1`
    V1_1,
    /// `v1.2`
    V1_2,
}

/// Something that takes inputs and gives outputs.
#[derive(Clone, Debug)]
pub struct Process {
    /// Address of its document, with a fragment where it is one of several.
    pub id: String,
    /// What people call it: its label, identifier or file name.
    pub name: String,
    /// Of its document.
    pub version: Version,
    /// In the order of the document.
    pub inputs: Vec<Input>,
    /// In the order of the document.
    pub outputs: Vec<Output>,
    /// What it cannot do without.
    pub requirements: Vec<Arc<Requirement>>,
    /// What it would like to have.
    pub hints: Vec<Arc<Requirement>>,
    /// Addresses of ontologies that say which formats are kinds of others.
    pub schemas: Vec<String>,
    /// What it does.
    pub body: Body,
}

/// What a process does.
#[derive(Clone, Debug)]
pub enum Body {
    /// Runs a program.
    Tool(Tool),
    /// Evaluates an expression.
    Expression(String),
    /// Runs steps.
    Workflow(Vec<Step>),
    /// Nothing yet: `Operation`.
    Operation,
}

/// An input of a process.
#[derive(Clone, Debug)]
pub struct Input {
    /// Short name.
    pub name: String,
    /// Of its value.
    pub ty: Type,
    /// Where none is given.
    pub default: Option<Value>,
    /// What goes along with its files.
    pub secondary: Vec<SecondaryFile>,
    /// Format that its files must have.
    pub format: Option<Value>,
    /// Whether the first 64 KiB become `contents`.
    pub load_contents: bool,
    /// How deep directories are listed.
    pub load_listing: Option<Listing>,
    /// How it is put on the command line.
    pub binding: Option<Binding>,
    /// Where it stands.
    pub place: Place,
}

/// An output of a process.
#[derive(Clone, Debug)]
pub struct Output {
    /// Short name.
    pub name: String,
    /// Of its value.
    pub ty: Type,
    /// What goes along with its files.
    pub secondary: Vec<SecondaryFile>,
    /// Format of its files.
    pub format: Option<Value>,
    /// How a tool's output is found.
    pub collect: Option<OutputBinding>,
    /// Where a workflow's output comes from.
    pub link: Link,
    /// Where it stands.
    pub place: Place,
}

/// A file that goes along with another.
#[derive(Clone, Debug, PartialEq)]
pub struct SecondaryFile {
    /// A suffix, with a `^` for each extension to take off before; or an expression.
    pub pattern: String,
    /// Whether it must be there: a boolean or an expression; `null` where nothing is said.
    pub required: Value,
}

/// How a value is put on the command line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Binding {
    /// Sort key: a number or an expression.
    pub position: Value,
    /// Put before the value.
    pub prefix: Option<String>,
    /// `false`: prefix and value are one word.
    pub separate: Option<bool>,
    /// Joins a list to one word.
    pub item_separator: Option<String>,
    /// In the place of the value.
    pub value_from: Option<Value>,
    /// `false`: the shell sees it as it is.
    pub shell_quote: Option<bool>,
}

/// How an output is found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputBinding {
    /// Patterns or an expression.
    pub glob: Option<Value>,
    /// Whether the first 64 KiB become `contents`.
    pub load_contents: bool,
    /// How deep directories are listed.
    pub load_listing: Option<Listing>,
    /// Makes the value of what was found.
    pub output_eval: Option<String>,
}

/// A program to run.
#[derive(Clone, Debug, Default)]
pub struct Tool {
    /// The first words.
    pub base_command: Vec<String>,
    /// More words, sorted in among the inputs.
    pub arguments: Vec<Binding>,
    /// What it reads.
    pub stdin: Option<String>,
    /// Name of the file that its standard output goes to.
    pub stdout: Option<String>,
    /// Name of the file that its standard error goes to.
    pub stderr: Option<String>,
    /// Exit codes that mean success; 0 where there are none.
    pub success_codes: Vec<i64>,
    /// Exit codes after which another try may help.
    pub temporary_fail_codes: Vec<i64>,
    /// Exit codes that mean failure.
    pub permanent_fail_codes: Vec<i64>,
}

/// One step of a workflow.
#[derive(Clone, Debug)]
pub struct Step {
    /// Short name.
    pub name: String,
    /// What it runs.
    pub run: Arc<Process>,
    /// What it gives to that.
    pub inputs: Vec<StepInput>,
    /// Outputs that others may take.
    pub outputs: Vec<String>,
    /// Inputs that it is run for each item of.
    pub scatter: Vec<String>,
    /// How several are combined.
    pub scatter_method: ScatterMethod,
    /// Whether it is run.
    pub when: Option<String>,
    /// For what it runs.
    pub requirements: Vec<Arc<Requirement>>,
    /// For what it runs.
    pub hints: Vec<Arc<Requirement>>,
    /// Where it stands.
    pub place: Place,
}

/// How scattered inputs are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScatterMethod {
    /// First with first, second with second.
    #[default]
    Dot,
    /// Each with each, as lists of lists.
    Nested,
    /// Each with each, as one list.
    Flat,
}

/// An input of a step.
#[derive(Clone, Debug)]
pub struct StepInput {
    /// Short name.
    pub name: String,
    /// Where its value comes from.
    pub link: Link,
    /// Where that gives `null`.
    pub default: Option<Value>,
    /// In the place of the value.
    pub value_from: Option<Value>,
    /// Whether the first 64 KiB become `contents`.
    pub load_contents: bool,
    /// How deep directories are listed.
    pub load_listing: Option<Listing>,
}

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link {
    /// `input` or `step/output`.
    pub sources: Vec<String>,
    /// Whether they were written as a list.
    pub is_list: bool,
    /// How several become one; `None` where nothing is said.
    pub merge: Option<LinkMerge>,
    /// What is taken of them.
    pub pick: Option<PickValue>,
}

/// How the values of several sources become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkMerge {
    /// A list of them.
    Nested,
    /// One list of all their items.
    Flattened,
}

/// Which of several values counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickValue {
    /// The first that is not `null`.
    First,
    /// The only one that is not `null`.
    Only,
    /// All that are not `null`.
    All,
}

/// An entry of `requirements` or `hints`.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// Its class, with the namespace written out.
    pub class: String,
    /// Its fields; addresses of files in it are whole.
    pub fields: Object,
    /// Where it stands.
    pub place: Place,
}

impl Requirement {
    /// A field; `null` where it is missing.
    pub fn get(&self, field: &str) -> &Value {
        self.fields.get(field).unwrap_or(&crate::value::NULL)
    }
}
