//! Runs a process of any kind; what all of a run shares.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use cwl::document::{Body, Process};
use cwl::expr::Limits;
use cwl::inputs::Discovery;
use cwl::requirements::Requirements;
use cwl::secret::Secrets;
use cwl::{CwlError, Object, Problem, Value, file};
use futures_util::future::LocalBoxFuture;
use tokio::sync::Semaphore;

use crate::evaluator::{Evaluator, Given};
use crate::job::Backend;
use crate::news::{Listener, News, What};
use crate::serving::{Early, Tagged, Tags, TagsByName};
use crate::{tool, workflow};

/// What all processes of a run share.
pub(crate) struct Engine<'b> {
    pub(crate) backend: &'b dyn Backend,
    pub(crate) evaluator: Evaluator,
    /// How many programs run at a time.
    pub(crate) slots: Semaphore,
    /// New places of files that were updated in place.
    pub(crate) updated: RefCell<HashMap<String, String>>,
    /// Hears what happens.
    pub(crate) listener: Arc<dyn Listener>,
    /// A program failed: no new ones are started.
    pub(crate) stopping: Cell<bool>,
    /// Services so far: each has an address of its own in the programs that use it.
    services: Cell<u16>,
}

/// A process to run, and with what.
pub(crate) struct Call<'c> {
    pub(crate) given: Given,
    /// Services that the inputs lead to.
    pub(crate) tags: TagsByName,
    /// Receives outputs that are there before the end; only where a step waits for them can a tool be a service that
    /// others use.
    pub(crate) early: Option<&'c Early<'c>>,
}

impl Call<'_> {
    /// What runs.
    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.given.process
    }

    /// What holds for it.
    pub(crate) fn requirements(&self) -> &Requirements {
        &self.given.requirements
    }
}

impl<'b> Engine<'b> {
    pub(crate) fn new(
        backend: &'b dyn Backend,
        limits: Limits,
        slots: usize,
        secrets: Secrets,
        listener: Arc<dyn Listener>,
    ) -> Self {
        Self {
            backend,
            evaluator: Evaluator::new(backend.files(), limits, secrets, Arc::clone(&listener)),
            slots: Semaphore::new(slots),
            updated: RefCell::default(),
            listener,
            stopping: Cell::new(false),
            services: Cell::new(0),
        }
    }

    /// Tells what became of a step.
    pub(crate) fn tell(&self, step: &str, what: What<'_>) {
        self.listener.hear(&News { step, what });
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
            let given = &mut call.given;
            given.requirements = given.requirements.of(&given.process);
            if given.discovery == Discovery::Beside {
                // Of the input object: nearer than the document's own.
                let values = Value::Object(given.values.clone());
                given.requirements = given.requirements.with_inputs(&values)?;
            }
            given.requirements.check_supported()?;
            self.follow_updates(&mut given.values);
            let process = Arc::clone(&given.process);
            match &process.body {
                Body::Tool(tool) => tool::run(self, tool, call).await.map(Tagged::plain),
                Body::Expression(_) => self.express(call).await,
                Body::Workflow(steps) => {
                    // Its steps have them, each as long as it runs.
                    let tags = std::mem::take(&mut call.tags);
                    workflow::run(self, &call, steps, tags).await
                }
                Body::Operation => Err(CwlError::Unsupported(Problem::new(format!(
                    "{} is an Operation, which says what is to be done and not how; put a tool in its place",
                    process.name
                )))),
            }
        })
    }

    async fn express(&self, call: Call<'_>) -> Result<Tagged, CwlError> {
        let given = call.given;
        let values = self.evaluator.work(move |evaluator| match &given.process.body {
            Body::Expression(text) => evaluator.express(&given, text),
            _ => Ok(Object::new()),
        });
        let values = values.await?;
        // What it made of an address is one, too.
        let tags = Tags::merged(call.tags.values());
        let tags = values.keys().map(|name| (name.clone(), tags.clone())).collect();
        Ok(Tagged { values, tags, kept: Vec::new() })
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
}
