//! One step: its jobs, where it is scattered, and each of them with `valueFrom` and `when`.

use std::cell::RefCell;
use std::sync::Arc;

use cwl::document::{Body, ScatterMethod, Step, StepInput};
use cwl::expr::{Scope, evaluate, evaluate_value};
use cwl::inputs::Discovery;
use cwl::requirements::Requirements;
use cwl::scatter::{Scatter, scatter};
use cwl::service::Service;
use cwl::types::Listing;
use cwl::{CwlError, Object, Value, file};
use futures_util::StreamExt as _;
use futures_util::stream;

use crate::engine::{Call, Engine};
use crate::evaluator::Given;
use crate::news::{Outcome, What};
use crate::serving::{Early, Tagged, Tags, TagsByName};

/// Jobs of one scatter that are under way at a time, whether they run or wait for a place.
const SCATTER_AT_ONCE: usize = 64;

/// A step in its workflow.
#[derive(Clone, Copy)]
struct Running<'r> {
    engine: &'r Engine<'r>,
    step: &'r Step,
    /// For people.
    path: &'r Arc<str>,
    /// Of its workflow and its own.
    requirements: &'r Requirements,
}

/// Runs a step to its outputs.
pub(super) async fn run_step(
    engine: &Engine<'_>,
    step: &Step,
    path: Arc<str>,
    mut given: Tagged,
    requirements: Requirements,
    early: &Early<'_>,
) -> Result<(Tagged, Outcome), CwlError> {
    check_features(step, &requirements)?;
    given.values = complete(engine, step, given.values).await?;
    let running = Running { engine, step, path: &path, requirements: &requirements };
    if step.scatter.is_empty() {
        engine.tell(&path, What::Begins(1));
        return running.run_once(given, early).await;
    }
    let made = scatter(&given.values, &step.scatter, step.scatter_method)?;
    engine.tell(&path, What::Begins(made.jobs.len()));
    let gatherer = Gatherer::new(step, &made, early)?;
    let tags = jobs_tags(step, &given.tags, made.jobs.len());
    // Each job has its own from here on.
    drop(given);
    let jobs = made.jobs.iter().cloned().zip(tags).enumerate().map(|(n, (values, tags))| {
        let gatherer = &gatherer;
        let job = Tagged { values, tags, kept: Vec::new() };
        async move {
            let early = |outputs| gatherer.hear(n, outputs);
            (n, running.run_once(job, &early).await)
        }
    });
    let mut under_way = stream::iter(jobs).buffer_unordered(SCATTER_AT_ONCE);
    let mut results: Vec<Tagged> = vec![Tagged::default(); made.jobs.len()];
    let mut failure = None;
    while let Some((n, ended)) = under_way.next().await {
        match ended {
            Ok((outputs, _)) => {
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
    Ok((gather(step, &made, &mut results), Outcome::Done))
}

/// The values of a step's inputs with what the step asks for of their files.
async fn complete(
    engine: &Engine<'_>,
    step: &Step,
    mut values: Object,
) -> Result<Object, CwlError> {
    let wants: Vec<(String, bool, Listing)> = step
        .inputs
        .iter()
        .map(|it| (it.name.clone(), it.load_contents, it.load_listing.unwrap_or(Listing::None)))
        .collect();
    let completed = engine.evaluator.work(move |evaluator| {
        let storage = evaluator.storage();
        for (name, load_contents, listing) in wants {
            let Some(value) = values.get_mut(&name) else { continue };
            file::each_mut(value, &mut |object| {
                file::complete(object, storage)?;
                if load_contents {
                    file::load_contents(object, storage)?;
                }
                file::load_listing(object, listing, storage)
            })?;
        }
        Ok(values)
    });
    completed.await
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

impl Running<'_> {
    /// One job of a step, told when it is over.
    async fn run_once(
        self,
        given: Tagged,
        early: &Early<'_>,
    ) -> Result<(Tagged, Outcome), CwlError> {
        let ended = self.run_job(given, early).await;
        let outcome = ended.as_ref().map_or(Outcome::Failed, |(_, outcome)| *outcome);
        self.engine.tell(self.path, What::Job(outcome));
        ended
    }

    /// One job of a step: `valueFrom`, `when`, then the process.
    async fn run_job(
        self,
        given: Tagged,
        early: &Early<'_>,
    ) -> Result<(Tagged, Outcome), CwlError> {
        let Self { engine, step, requirements, .. } = self;
        let Tagged { values, mut tags, .. } = given;
        let all = Tags::merged(tags.values());
        for input in step.inputs.iter().filter(|input| input.value_from.is_some()) {
            if !all.is_empty() {
                // It may be made of any of them.
                tags.insert(input.name.clone(), all.clone());
            }
        }
        drop(all);
        let Some(mut values) = self.evaluate(values).await? else {
            let nothing = step.outputs.iter().map(|name| (name.clone(), Value::Null));
            return Ok((Tagged::plain(nothing.collect()), Outcome::Skipped));
        };
        values.retain(|name, _| step.run.inputs.iter().any(|input| input.name == *name));
        let given = Given {
            process: Arc::clone(&step.run),
            step: Arc::clone(self.path),
            values,
            requirements: requirements.clone(),
            discovery: Discovery::Given,
        };
        let outputs = engine.run(Call { given, tags, early: Some(early) }).await?;
        Ok((outputs, Outcome::Done))
    }

    /// Inputs after `valueFrom`; `None` where `when` says no.
    async fn evaluate(self, values: Object) -> Result<Option<Object>, CwlError> {
        let of_input = |input: &StepInput| Some((input.name.clone(), input.value_from.clone()?));
        let made: Vec<(String, Value)> = self.step.inputs.iter().filter_map(of_input).collect();
        let when = self.step.when.clone();
        if made.is_empty() && when.is_none() {
            return Ok(Some(values));
        }
        let requirements = self.requirements.clone();
        let evaluated = self.engine.evaluator.work(move |evaluator| {
            let script = evaluator.script(&requirements);
            let mut after = values.clone();
            let before = Value::Object(values);
            let scope = Scope::of(&before, script.as_ref());
            for (name, text) in made {
                let value = evaluate_value(&text, &scope.with_self(before.get(&name)))?;
                after.insert(name, value);
            }
            let Some(when) = when else { return Ok(Some(after)) };
            let seen = Value::Object(after.clone());
            match evaluate(&when, &Scope::of(&seen, script.as_ref()))? {
                Value::Bool(true) => Ok(Some(after)),
                Value::Bool(false) => Ok(None),
                other => {
                    let words = format!("when gives {}, and must give true or false", other.kind());
                    Err(CwlError::Failed(words))
                }
            }
        });
        evaluated.await
    }
}
