//! A workflow: each step starts as soon as all that it needs is there.

use std::collections::HashMap;

use cwl::document::{Body, Link, Process, Step};
use cwl::expr::{Scope, evaluate, evaluate_value};
use cwl::inputs::Discovery;
use cwl::links::{Origin, combine, origin};
use cwl::requirements::Requirements;
use cwl::scatter::scatter;
use cwl::{CwlError, Object, Value, file};
use futures_util::StreamExt as _;
use futures_util::stream::{self, FuturesUnordered};

use crate::engine::{Call, Engine};

/// Jobs of one scatter that are under way at a time, whether they run or wait for a place.
const SCATTER_AT_ONCE: usize = 64;

/// What is known so far: inputs by name, outputs by step and name.
struct State<'w> {
    process: &'w Process,
    steps: &'w [Step],
    values: HashMap<(Option<String>, String), Value>,
}

/// Runs a workflow to its output object.
pub(crate) async fn run(
    engine: &Engine<'_>,
    call: &Call<'_>,
    steps: &[Step],
) -> Result<Object, CwlError> {
    let inputs = engine.prepare(call)?;
    let values = inputs.into_iter().map(|(name, value)| ((None, name), value)).collect();
    let mut state = State { process: call.process, steps, values };
    let mut waiting: Vec<&Step> = steps.iter().collect();
    let mut running = FuturesUnordered::new();
    let mut failure = None;
    loop {
        if failure.is_none() {
            let (ready, rest) = waiting.into_iter().partition(|step| state.is_ready(step));
            waiting = rest;
            for step in ready {
                let given = state.gather(step)?;
                let requirements = call.requirements.with(&step.requirements, &step.hints);
                running
                    .push(async move { (step, run_step(engine, step, given, requirements).await) });
            }
        }
        match running.next().await {
            Some((step, Ok(outputs))) => state.finish(step, outputs)?,
            Some((step, Err(error))) => {
                engine.stopping.set(true);
                failure.get_or_insert(error.within(format!("step {:?}", step.name)));
            }
            None => break,
        }
    }
    if let Some(error) = failure {
        return Err(error);
    }
    if let Some(step) = waiting.first() {
        let words = format!(
            "the step {:?} waits for itself: its inputs come from its own outputs",
            step.name
        );
        return Err(CwlError::Failed(words));
    }
    state.outputs(engine)
}

impl State<'_> {
    fn is_ready(&self, step: &Step) -> bool {
        step.inputs
            .iter()
            .flat_map(|input| &input.link.sources)
            .all(|source| self.find(source).is_some())
    }

    fn find(&self, source: &str) -> Option<&Value> {
        let key = match origin(source, self.process, self.steps)? {
            Origin::Input(name) => (None, name),
            Origin::Step(step, name) => (Some(step), name),
        };
        self.values.get(&key)
    }

    fn link(&self, link: &Link) -> Result<Value, CwlError> {
        if link.sources.is_empty() {
            return Ok(Value::Null);
        }
        let values =
            link.sources.iter().map(|source| self.find(source).cloned().unwrap_or_default());
        combine(link, values.collect())
    }

    /// The values of a step's inputs, as their links give them.
    fn gather(&self, step: &Step) -> Result<Object, CwlError> {
        let mut given = Object::new();
        for input in &step.inputs {
            let value = self.link(&input.link);
            let value = value.map_err(|error| {
                error.within(format!("input {:?} of step {:?}", input.name, step.name))
            })?;
            let value =
                if value.is_null() { input.default.clone().unwrap_or_default() } else { value };
            given.insert(input.name.clone(), value);
        }
        Ok(given)
    }

    fn finish(&mut self, step: &Step, mut outputs: Object) -> Result<(), CwlError> {
        for name in &step.outputs {
            let value = outputs.swap_remove(name);
            let Some(value) = value.or_else(|| is_optional(step, name).then_some(Value::Null))
            else {
                return Err(CwlError::Failed(format!(
                    "the step {:?} gave no output {name:?}",
                    step.name
                )));
            };
            self.values.insert((Some(step.name.clone()), name.clone()), value);
        }
        Ok(())
    }

    fn outputs(&self, engine: &Engine<'_>) -> Result<Object, CwlError> {
        let mut outputs = Object::new();
        for output in &self.process.outputs {
            let value = self.link(&output.link);
            let value = value.map_err(|error| error.within(format!("output {:?}", output.name)))?;
            outputs.insert(output.name.clone(), value);
        }
        engine.follow_updates(&mut outputs);
        cwl::collect::check(self.process, &outputs)?;
        Ok(outputs)
    }
}

fn is_optional(step: &Step, name: &str) -> bool {
    step.run.outputs.iter().any(|output| output.name == name && output.ty.allows_null())
}

async fn run_step(
    engine: &Engine<'_>,
    step: &Step,
    mut given: Object,
    requirements: Requirements,
) -> Result<Object, CwlError> {
    check_features(step, &requirements)?;
    let storage = engine.backend.storage();
    for input in &step.inputs {
        let Some(value) = given.get_mut(&input.name) else { continue };
        let listing = input.load_listing.unwrap_or(cwl::types::Listing::None);
        file::each_mut(value, &mut |object| {
            file::complete(object, storage)?;
            if input.load_contents {
                file::load_contents(object, storage)?;
            }
            file::load_listing(object, listing, storage)
        })?;
    }
    if step.scatter.is_empty() {
        return run_once(engine, step, given, &requirements).await;
    }
    let made = scatter(&given, &step.scatter, step.scatter_method)?;
    let jobs = made.jobs.iter().cloned().enumerate().map(|(n, job)| {
        let requirements = &requirements;
        async move { (n, run_once(engine, step, job, requirements).await) }
    });
    let mut running = stream::iter(jobs).buffer_unordered(SCATTER_AT_ONCE);
    let mut results: Vec<Object> = vec![Object::new(); made.jobs.len()];
    let mut failure = None;
    while let Some((n, ended)) = running.next().await {
        match ended {
            Ok(outputs) => results[n] = outputs,
            Err(error) => {
                engine.stopping.set(true);
                failure.get_or_insert(error);
            }
        }
    }
    if let Some(error) = failure {
        return Err(error);
    }
    let gathered = step.outputs.iter().map(|name| {
        let values =
            results.iter_mut().map(|outputs| outputs.swap_remove(name).unwrap_or_default());
        (name.clone(), made.gather(values.collect()))
    });
    Ok(gathered.collect())
}

/// Features that a workflow must ask for.
fn check_features(step: &Step, requirements: &Requirements) -> Result<(), CwlError> {
    let many = step.inputs.iter().any(|input| input.link.sources.len() > 1);
    let uses = [
        (!step.scatter.is_empty(), "ScatterFeatureRequirement", "scatter"),
        (
            matches!(step.run.body, Body::Workflow(_)),
            "SubworkflowFeatureRequirement",
            "a workflow as a step",
        ),
        (many, "MultipleInputFeatureRequirement", "several sources"),
        (
            step.inputs.iter().any(|input| input.value_from.is_some()),
            "StepInputExpressionRequirement",
            "valueFrom",
        ),
    ];
    for (is_used, class, what) in uses {
        if is_used && !requirements.has(class) {
            return Err(CwlError::Failed(format!(
                "{}: the step uses {what}; add `{class}: {{}}` to the workflow's requirements",
                step.place
            )));
        }
    }
    Ok(())
}

/// One job of a step: `valueFrom`, `when`, then the process.
async fn run_once(
    engine: &Engine<'_>,
    step: &Step,
    given: Object,
    requirements: &Requirements,
) -> Result<Object, CwlError> {
    let script = requirements.script(engine.limits);
    let before = Value::Object(given);
    let scope = Scope::of(&before, script.as_ref());
    let mut after = before.as_object().cloned().unwrap_or_default();
    for input in &step.inputs {
        if let Some(text) = &input.value_from {
            let value = evaluate_value(text, &scope.with_self(before.get(&input.name)))?;
            after.insert(input.name.clone(), value);
        }
    }
    if let Some(when) = &step.when {
        let seen = Value::Object(after.clone());
        match evaluate(when, &Scope::of(&seen, script.as_ref()))? {
            Value::Bool(true) => {}
            Value::Bool(false) => {
                return Ok(step.outputs.iter().map(|name| (name.clone(), Value::Null)).collect());
            }
            other => {
                let words = format!("when gives {}, and must give true or false", other.kind());
                return Err(CwlError::Failed(words));
            }
        }
    }
    after.retain(|name, _| step.run.inputs.iter().any(|input| input.name == *name));
    let call = Call {
        process: &step.run,
        given: after,
        requirements: requirements.clone(),
        discovery: Discovery::Given,
    };
    engine.run(call).await
}
