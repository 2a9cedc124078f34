//! Runs a process of any kind; what all of a run shares.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::rc::Rc;

use cwl::document::{Body, Process};
use cwl::expr::{Limits, Scope, evaluate};
use cwl::format::{Ontology, Relations};
use cwl::inputs::{Discovery, Preparation, prepare};
use cwl::load::Source as _;
use cwl::requirements::Requirements;
use cwl::{CwlError, NULL, Object, Problem, Value, file};
use futures_util::future::LocalBoxFuture;
use tokio::sync::Semaphore;

use crate::disk::Disk;
use crate::job::Backend;
use crate::serving::{Early, Tagged, Tags, TagsByName};
use crate::{tool, workflow};

/// Largest ontology that is read.
const SCHEMA_BYTES_MAX: usize = 64 << 20;

/// What all processes of a run share.
pub(crate) struct Engine<'b> {
    pub(crate) backend: &'b dyn Backend,
    pub(crate) limits: Limits,
    /// How many programs run at a time.
    pub(crate) slots: Semaphore,
    /// New places of files that were updated in place.
    pub(crate) updated: RefCell<HashMap<String, String>>,
    /// Receives what happens, for people.
    pub(crate) tell: &'b dyn Fn(&str),
    ontologies: RefCell<HashMap<String, Rc<Relations>>>,
    /// A program failed: no new ones are started.
    pub(crate) stopping: Cell<bool>,
    /// Services so far: each has an address of its own in the programs that use it.
    services: Cell<u16>,
}

/// A process to run, and with what.
pub(crate) struct Call<'c> {
    pub(crate) process: &'c Process,
    /// Input object with whole locations.
    pub(crate) given: Object,
    /// From outside: of the workflow and the step.
    pub(crate) requirements: Requirements,
    /// Where secondary files come from.
    pub(crate) discovery: Discovery,
    /// Services that the inputs lead to.
    pub(crate) tags: TagsByName,
    /// Receives outputs that are there before the end; only where a step waits for them can a tool be a service that
    /// others use.
    pub(crate) early: Option<&'c Early<'c>>,
}

impl<'b> Engine<'b> {
    pub(crate) fn new(
        backend: &'b dyn Backend,
        limits: Limits,
        slots: usize,
        tell: &'b dyn Fn(&str),
    ) -> Self {
        Self {
            backend,
            limits,
            slots: Semaphore::new(slots),
            updated: RefCell::default(),
            tell,
            ontologies: RefCell::default(),
            stopping: Cell::new(false),
            services: Cell::new(0),
        }
    }

    /// The address at which programs of this run find the next service, on their own loopback: none that a program
    /// takes for itself.
    pub(crate) fn next_service(&self) -> Result<Ipv4Addr, CwlError> {
        let number = self.services.get().checked_add(1);
        let number = number
            .ok_or_else(|| CwlError::Failed("too many services in one run: 65535".to_owned()))?;
        self.services.set(number);
        let [high, low] = number.to_be_bytes();
        Ok(Ipv4Addr::new(127, 1, high, low))
    }

    /// Runs a process to its output object.
    pub(crate) fn run<'e>(
        &'e self,
        mut call: Call<'e>,
    ) -> LocalBoxFuture<'e, Result<Tagged, CwlError>> {
        Box::pin(async move {
            call.requirements = call.requirements.of(call.process);
            if call.discovery == Discovery::Beside {
                // Of the input object: nearer than the document's own.
                call.requirements =
                    call.requirements.with_inputs(&Value::Object(call.given.clone()))?;
            }
            call.requirements.check_supported()?;
            self.follow_updates(&mut call.given);
            match &call.process.body {
                Body::Tool(tool) => {
                    tool::run(self, call.process, tool, &call).await.map(Tagged::plain)
                }
                Body::Expression(text) => {
                    let values = self.run_expression(&call, text)?;
                    // What it made of an address is one, too.
                    let tags = Tags::merged(call.tags.values());
                    let tags = values.keys().map(|name| (name.clone(), tags.clone())).collect();
                    Ok(Tagged { values, tags, kept: Vec::new() })
                }
                Body::Workflow(steps) => {
                    // Its steps have them, each as long as it runs.
                    let tags = std::mem::take(&mut call.tags);
                    workflow::run(self, &call, steps, tags).await
                }
                Body::Operation => Err(CwlError::Unsupported(Problem::new(format!(
                    "{} is an Operation, which says what is to be done and not how; put a tool in its place",
                    call.process.name
                )))),
            }
        })
    }

    /// The input object, complete.
    pub(crate) fn prepare(&self, call: &Call<'_>) -> Result<Object, CwlError> {
        let script = call.requirements.script(self.limits);
        let scope = Scope { inputs: &NULL, this: &NULL, runtime: &NULL, script: script.as_ref() };
        let ontology = LazyOntology { engine: self, schemas: &call.process.schemas };
        let with = Preparation {
            storage: self.backend.storage(),
            discovery: call.discovery,
            listing: call.requirements.listing(call.process.version),
            ontology: &ontology,
        };
        prepare(call.process, &call.given, &scope, &with)
    }

    fn run_expression(&self, call: &Call<'_>, text: &str) -> Result<Object, CwlError> {
        let inputs = Value::Object(self.prepare(call)?);
        let script = call.requirements.script(self.limits);
        let scope = Scope::of(&inputs, script.as_ref());
        let resources = call.requirements.resources(call.process.version, &scope)?;
        let runtime = tool::runtime_of(&resources, None);
        let scope = Scope { runtime: &runtime, ..scope };
        let Value::Object(mut outputs) = evaluate(text, &scope)? else {
            return Err(CwlError::Failed(format!(
                "the expression of {} must give an object with its outputs",
                call.process.name
            )));
        };
        for value in outputs.values_mut() {
            file::each_mut(value, &mut |object| file::complete(object, self.backend.storage()))?;
        }
        Ok(outputs)
    }

    /// Readers of a file that was updated in place see the new one.
    pub(crate) fn follow_updates(&self, values: &mut Object) {
        let updated = self.updated.borrow();
        if updated.is_empty() {
            return;
        }
        for value in values.values_mut() {
            let _infallible: Result<(), std::convert::Infallible> =
                file::each_deep_mut(value, &mut |object| {
                    let mut new = object.text("location").map(str::to_owned);
                    while let Some(next) = new.as_ref().and_then(|location| updated.get(location)) {
                        new = Some(next.clone());
                    }
                    if let Some(new) =
                        new.filter(|new| Some(new.as_str()) != object.text("location"))
                    {
                        object.set("location", new.into());
                        if let Value::Object(entries) = object {
                            entries.retain(|key, _| {
                                !matches!(key.as_str(), "size" | "checksum" | "listing")
                            });
                        }
                    }
                    Ok(())
                });
        }
    }

    fn relations(&self, schema: &str) -> Rc<Relations> {
        if let Some(known) = self.ontologies.borrow().get(schema) {
            return Rc::clone(known);
        }
        let mut relations = Relations::default();
        match Disk.read(schema, SCHEMA_BYTES_MAX) {
            Ok(text) => relations.add(&text),
            Err(problem) => {
                (self.tell)(&format!("warning: the ontology {schema} cannot be read: {problem}"))
            }
        }
        let relations = Rc::new(relations);
        self.ontologies.borrow_mut().insert(schema.to_owned(), Rc::clone(&relations));
        relations
    }
}

/// Reads ontologies only when formats differ.
struct LazyOntology<'e, 'b> {
    engine: &'e Engine<'b>,
    schemas: &'e [String],
}

impl Ontology for LazyOntology<'_, '_> {
    fn is_kind_of(&self, format: &str, wanted: &str) -> bool {
        let mut all = Relations::default();
        for schema in self.schemas {
            all.join(&self.engine.relations(schema));
        }
        all.is_kind_of(format, wanted)
    }
}
