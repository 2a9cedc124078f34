//! One step: its jobs, where it is scattered, and each of them with `valueFrom` and `when`.

use std::cell::RefCell;

use cwl::document::{Body, ScatterMethod, Step};
use cwl::expr::{Scope, evaluate, evaluate_value};
use cwl::inputs::Discovery;
use cwl::requirements::Requirements;
use cwl::scatter::{Scatter, scatter};
use cwl::service::Service;
use cwl::{CwlError, Value, file};
use futures_util::StreamExt as _;
use futures_util::stream;

use crate::engine::{Call, Engine};
use crate::serving::{Early, Tagged, Tags, TagsByName};

/// Jobs of one scatter that are under way at a time, whether they run or wait for a place.
const SCATTER_AT_ONCE: usize = 64;

pub(super) async fn run_step(
    engine: &Engine<'_>,
    step: &Step,
    mut given: Tagged,
    requirements: Requirements,
    early: &Early<'_>,
) -> Result<Tagged, CwlError> {
    check_features(step, &requirements)?;
    let storage = engine.backend.storage();
    for input in &step.inputs {
        let Some(value) = given.values.get_mut(&input.name) else { continue };
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
        return run_once(engine, step, given, &requirements, early).await;
    }
    let made = scatter(&given.values, &step.scatter, step.scatter_method)?;
    let gatherer = Gatherer::new(step, &made, early)?;
    let tags = jobs_tags(step, &given.tags, made.jobs.len());
    // Each job has its own from here on.
    drop(given);
    let jobs = made.jobs.iter().cloned().zip(tags).enumerate().map(|(n, (values, tags))| {
        let (requirements, gatherer) = (&requirements, &gatherer);
        let job = Tagged { values, tags, kept: Vec::new() };
        async move {
            let early = |outputs| gatherer.hear(n, outputs);
            (n, run_once(engine, step, job, requirements, &early).await)
        }
    });
    let mut running = stream::iter(jobs).buffer_unordered(SCATTER_AT_ONCE);
    let mut results: Vec<Tagged> = vec![Tagged::default(); made.jobs.len()];
    let mut failure = None;
    while let Some((n, ended)) = running.next().await {
        match ended {
            Ok(outputs) => {
                if gatherer.may_hear {
                    gatherer.hear(n, outputs.clone());
                }
                results[n] = outputs;
            }
            Err(error) => {
                engine.stopping.set(true);
                failure.get_or_insert(error);
            }
        }
    }
    if let Some(error) = failure {
        return Err(error);
    }
    Ok(gather(step, &made, &mut results))
}

/// Outputs of the jobs of a scatter as lists, each item with its own services where the list is flat.
fn gather(step: &Step, made: &Scatter, results: &mut [Tagged]) -> Tagged {
    let mut gathered = Tagged::default();
    for name in &step.outputs {
        let (mut values, mut tags) = (Vec::new(), Vec::new());
        for outputs in results.iter_mut() {
            let (value, tag) = outputs.take(name).unwrap_or_default();
            values.push(value);
            tags.push(tag);
        }
        if tags.iter().any(|tag| !tag.is_empty()) {
            let is_flat = step.scatter_method != ScatterMethod::Nested || step.scatter.len() == 1;
            let tags =
                if is_flat { Tags { whole: Vec::new(), items: tags } } else { Tags::merged(&tags) };
            gathered.tags.insert(name.clone(), tags);
        }
        gathered.values.insert(name.clone(), made.gather(values));
    }
    for outputs in results {
        gathered.kept.append(&mut outputs.kept);
    }
    gathered
}

/// The services of each job's inputs.
fn jobs_tags(step: &Step, tags: &TagsByName, n_jobs: usize) -> Vec<TagsByName> {
    // Which item a job has is plain where all lists are walked at the same pace.
    let by_item = step.scatter_method == ScatterMethod::Dot || step.scatter.len() == 1;
    let of_job = |n: usize| {
        let of_input = |(name, tags): (&String, &Tags)| {
            let is_item = by_item && step.scatter.contains(name);
            (name.clone(), if is_item { tags.item(n) } else { tags.clone() })
        };
        tags.iter().map(of_input).collect()
    };
    (0..n_jobs).map(of_job).collect()
}

/// Puts early outputs of a scatter's jobs together: they are told when every job has given some, or has ended.
struct Gatherer<'g> {
    step: &'g Step,
    made: &'g Scatter,
    early: &'g Early<'g>,
    /// Whether there may be services in what the jobs run.
    may_hear: bool,
    heard: RefCell<Vec<Option<Tagged>>>,
}

impl<'g> Gatherer<'g> {
    fn new(step: &'g Step, made: &'g Scatter, early: &'g Early<'g>) -> Result<Self, CwlError> {
        let n_jobs = made.jobs.len();
        let is_service = Service::of(&step.run).is_some();
        if n_jobs > SCATTER_AT_ONCE && is_service {
            return Err(CwlError::Failed(format!(
                "a scatter of {n_jobs} services; at most {SCATTER_AT_ONCE} can be under way at a time"
            )));
        }
        let may_hear = is_service || matches!(step.run.body, Body::Workflow(_));
        let heard = RefCell::new(vec![None; if may_hear { n_jobs } else { 0 }]);
        Ok(Self { step, made, early, may_hear, heard })
    }

    fn hear(&self, n: usize, outputs: Tagged) {
        let mut heard = self.heard.borrow_mut();
        // Nobody waits for early outputs of steps without any.
        let is_service = !outputs.tags.is_empty() || heard.iter().any(Option::is_some);
        match heard.get_mut(n) {
            Some(place) if place.is_none() => *place = Some(outputs),
            _ => return,
        }
        if is_service && heard.iter().all(Option::is_some) {
            let mut all: Vec<Tagged> =
                heard.iter_mut().map(|it| it.take().unwrap_or_default()).collect();
            drop(heard);
            let gathered = gather(self.step, self.made, &mut all);
            if !gathered.tags.is_empty() {
                (self.early)(gathered);
            }
        }
    }
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
    given: Tagged,
    requirements: &Requirements,
    early: &Early<'_>,
) -> Result<Tagged, CwlError> {
    let script = requirements.script(engine.limits);
    let Tagged { values, mut tags, .. } = given;
    let all = Tags::merged(tags.values());
    let before = Value::Object(values);
    let scope = Scope::of(&before, script.as_ref());
    let mut after = before.as_object().cloned().unwrap_or_default();
    for input in &step.inputs {
        if let Some(text) = &input.value_from {
            let value = evaluate_value(text, &scope.with_self(before.get(&input.name)))?;
            after.insert(input.name.clone(), value);
            if !all.is_empty() {
                // It may be made of any of them.
                tags.insert(input.name.clone(), all.clone());
            }
        }
    }
    if let Some(when) = &step.when {
        let seen = Value::Object(after.clone());
        match evaluate(when, &Scope::of(&seen, script.as_ref()))? {
            Value::Bool(true) => {}
            Value::Bool(false) => {
                let nothing = step.outputs.iter().map(|name| (name.clone(), Value::Null));
                return Ok(Tagged::plain(nothing.collect()));
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
        tags,
        early: Some(early),
    };
    drop(all);
    engine.run(call).await
}
