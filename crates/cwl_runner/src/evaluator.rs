//! What is worked out of documents, values and files: command lines, expressions, outputs.
//!
//! All of it happens on threads of its own: an expression may take its whole time, a checksum as long as its file, and the
//! contents of a file may have to come from an instance. Meanwhile the run's own thread hears of events, renews leases and
//! starts other jobs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cwl::document::Process;
use cwl::expr::{Limits, Scope, Script, evaluate};
use cwl::format::{Ontology, Relations};
use cwl::inputs::{Discovery, Preparation, prepare};
use cwl::load::Source;
use cwl::requirements::Requirements;
use cwl::secret::Secrets;
use cwl::storage::Storage;
use cwl::{CwlError, NULL, Object, Value, file};
use tokio::sync::Semaphore;

use crate::disk::Disk;
use crate::job::Files;
use crate::news::Listener;
use crate::tool::runtime_of;

/// Evaluations at a time, each with a thread; more wait. Each may take the memory of one expression.
const AT_ONCE: usize = 8;
/// Largest ontology that is read.
const SCHEMA_BYTES_MAX: usize = 64 << 20;

/// What evaluations of a run share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Evaluator {
    files: Arc<dyn Files>,
    limits: Limits,
    /// Of the whole run.
    pub(crate) secrets: Secrets,
    listener: Arc<dyn Listener>,
    ontologies: Arc<Mutex<HashMap<String, Arc<Relations>>>>,
    places: Arc<Semaphore>,
}

/// A process, and what it is to be run with.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) process: Arc<Process>,
    /// Path of the step that it is run for; its own name where there is none.
    pub(crate) step: Arc<str>,
    /// Input object with whole locations.
    pub(crate) values: Object,
    /// From outside, and its own.
    pub(crate) requirements: Requirements,
    /// Where secondary files come from.
    pub(crate) discovery: Discovery,
}

impl Evaluator {
    pub(crate) fn new(
        files: Arc<dyn Files>,
        limits: Limits,
        secrets: Secrets,
        listener: Arc<dyn Listener>,
    ) -> Self {
        Self {
            files,
            limits,
            secrets,
            listener,
            ontologies: Arc::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Works something out on a thread. What is dropped before its end goes on to its end, unheard.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, CwlError> + Send + 'static,
    ) -> Result<T, CwlError> {
        let failed = |error: &dyn std::fmt::Display| CwlError::Failed(error.to_string());
        let place =
            Arc::clone(&self.places).acquire_owned().await.map_err(|error| failed(&error))?;
        let evaluator = self.clone();
        let worked = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&evaluator)
        });
        worked.await.map_err(|error| failed(&error))?
    }

    /// Reads locations; calls may block.
    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.files
    }

    /// JavaScript, where it is allowed.
    pub(crate) fn script(&self, requirements: &Requirements) -> Option<Arc<Script>> {
        requirements.script(self.limits)
    }

    /// The input object, complete.
    pub(crate) fn prepare(&self, given: &Given) -> Result<Object, CwlError> {
        let script = self.script(&given.requirements);
        let scope = Scope { inputs: &NULL, this: &NULL, runtime: &NULL, script: script.as_ref() };
        let ontology = LazyOntology { evaluator: self, schemas: &given.process.schemas };
        let with = Preparation {
            storage: self.storage(),
            discovery: given.discovery,
            listing: given.requirements.listing(given.process.version),
            ontology: &ontology,
        };
        prepare(&given.process, &given.values, &scope, &with)
    }

    /// The outputs of an expression tool.
    pub(crate) fn express(&self, given: &Given, text: &str) -> Result<Object, CwlError> {
        let inputs = Value::Object(self.prepare(given)?);
        let script = self.script(&given.requirements);
        let scope = Scope::of(&inputs, script.as_ref());
        let resources = given.requirements.resources(given.process.version, &scope)?;
        let runtime = runtime_of(&resources, None);
        let scope = Scope { runtime: &runtime, ..scope };
        let Value::Object(mut outputs) = evaluate(text, &scope)? else {
            return Err(CwlError::Failed(format!(
                "the expression of {} must give an object with its outputs",
                given.process.name
            )));
        };
        for value in outputs.values_mut() {
            file::each_mut(value, &mut |object| file::complete(object, self.storage()))?;
        }
        Ok(outputs)
    }

    fn relations(&self, schema: &str) -> Arc<Relations> {
        // Held while it is read: others want the same.
        let mut known = self.ontologies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(schema) {
            return Arc::clone(known);
        }
        let mut relations = Relations::default();
        match Source::read(&Disk, schema, SCHEMA_BYTES_MAX) {
            Ok(text) => relations.add(&text),
            Err(problem) => self
                .listener
                .say(&format!("warning: the ontology {schema} cannot be read: {problem}")),
        }
        let relations = Arc::new(relations);
        known.insert(schema.to_owned(), Arc::clone(&relations));
        relations
    }
}

/// Reads ontologies only when formats differ.
struct LazyOntology<'e> {
    evaluator: &'e Evaluator,
    schemas: &'e [String],
}

impl Ontology for LazyOntology<'_> {
    fn is_kind_of(&self, format: &str, wanted: &str) -> bool {
        let mut all = Relations::default();
        for schema in self.schemas {
            all.join(&self.evaluator.relations(schema));
        }
        all.is_kind_of(format, wanted)
    }
}
