//! A workflow: each step starts as soon as all that it needs is there.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use cwl::document::{Body, Link, Process, ScatterMethod, Step};
use cwl::expr::{Scope, evaluate, evaluate_value};
use cwl::inputs::Discovery;
use cwl::links::{Origin, combine, origin};
use cwl::requirements::Requirements;
use cwl::scatter::{Scatter, scatter};
use cwl::service::Service;
use cwl::{CwlError, Value, file};
use futures_util::StreamExt as _;
use futures_util::stream::{self, FuturesUnordered};
use tokio::sync::mpsc;

use crate::engine::{Call, Engine};
use crate::serving::{Early, Hold, Tagged, Tags, TagsByName};

/// Jobs of one scatter that are under way at a time, whether they run or wait for a place.
const SCATTER_AT_ONCE: usize = 64;

/// What is known so far: inputs by name, outputs by step and name; with the services that they lead to.
struct State<'w> {
    process: &'w Process,
    steps: &'w [Step],
    values: HashMap<Key, (Value, Tags)>,
    /// Services that live as long as this workflow has other steps.
    kept: Vec<Rc<Hold>>,
}

/// An input, or the output of a step.
type Key = (Option<String>, String);

/// Runs a workflow to its output object.
pub(crate) async fn run(
    engine: &Engine<'_>,
    call: &Call<'_>,
    steps: &[Step],
    mut tags: TagsByName,
) -> Result<Tagged, CwlError> {
    let inputs = engine.prepare(call)?;
    let values = inputs.into_iter().map(|(name, value)| {
        let tags = tags.remove(&name).unwrap_or_default();
        ((None, name), (value, tags))
    });
    let (early, mut heard) = mpsc::unbounded_channel::<(usize, Tagged)>();
    let mut state =
        State { process: call.process, steps, values: values.collect(), kept: Vec::new() };
    let mut waiting: Vec<usize> = (0..steps.len()).collect();
    let mut running = FuturesUnordered::new();
    // Steps that go on for others alone.
    let mut serving: BTreeSet<usize> = BTreeSet::new();
    let mut failure: Option<CwlError> = None;
    loop {
        if failure.is_none() {
            let ready: Vec<usize>;
            (ready, waiting) = waiting.into_iter().partition(|n| state.is_ready(&steps[*n]));
            for n in ready {
                let step = &steps[n];
                let given = state.gather(step)?;
                let requirements = call.requirements.with(&step.requirements, &step.hints);
                let early = early.clone();
                running.push(async move {
                    let early = |outputs| {
                        // The workflow is over if nobody hears it.
                        let _over = early.send((n, outputs));
                    };
                    (n, run_step(engine, step, given, requirements, &early).await)
                });
            }
        }
        state.let_go(&waiting);
        let only_serve = serving.len() == running.len();
        if failure.is_some() || only_serve {
            state.kept.clear();
        }
        if only_serve && waiting.is_empty() && !running.is_empty() && failure.is_none() {
            // Our own outputs are what others may wait for.
            let outputs = state.take_early();
            if let Some(tell) = call.early.filter(|_| !outputs.tags.is_empty()) {
                tell(outputs);
            }
        }
        if failure.is_some() {
            state.let_all_go();
        }
        tokio::select! {
            biased;
            Some((n, outputs)) = heard.recv() => {
                serving.insert(n);
                if failure.is_none() {
                    state.serve(engine, &steps[n], outputs, &waiting);
                }
            }
            ended = running.next() => match ended {
                Some((n, Ok(outputs))) => {
                    // Said in the same breath.
                    while let Ok((early, outputs)) = heard.try_recv() {
                        serving.insert(early);
                        state.serve(engine, &steps[early], outputs, &waiting);
                    }
                    serving.remove(&n);
                    state.finish(&steps[n], outputs)?;
                }
                Some((n, Err(error))) => {
                    serving.remove(&n);
                    engine.stopping.set(true);
                    failure.get_or_insert(error.within(format!("step {:?}", steps[n].name)));
                }
                None => break,
            },
        }
    }
    if let Some(error) = failure {
        return Err(error);
    }
    if let Some(n) = waiting.first() {
        let words = format!(
            "the step {:?} waits for itself: its inputs come from its own outputs",
            steps[*n].name
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

    fn key(&self, source: &str) -> Option<Key> {
        Some(match origin(source, self.process, self.steps)? {
            Origin::Input(name) => (None, name),
            Origin::Step(step, name) => (Some(step), name),
        })
    }

    fn find(&self, source: &str) -> Option<&(Value, Tags)> {
        self.values.get(&self.key(source)?)
    }

    fn link(&self, link: &Link) -> Result<(Value, Tags), CwlError> {
        let (mut values, mut tags) = (Vec::new(), Vec::new());
        for source in &link.sources {
            let (value, tag) = self.find(source).cloned().unwrap_or_default();
            values.push(value);
            tags.push(tag);
        }
        if values.is_empty() {
            return Ok((Value::Null, Tags::default()));
        }
        let is_plain = tags.len() == 1 && link.merge.is_none() && link.pick.is_none();
        let tags = if is_plain { tags.swap_remove(0) } else { Tags::merged(&tags) };
        Ok((combine(link, values)?, tags))
    }

    /// The values of a step's inputs, as their links give them.
    fn gather(&self, step: &Step) -> Result<Tagged, CwlError> {
        let mut given = Tagged::default();
        for input in &step.inputs {
            let linked = self.link(&input.link);
            let (value, tags) = linked.map_err(|error| {
                error.within(format!("input {:?} of step {:?}", input.name, step.name))
            })?;
            let value =
                if value.is_null() { input.default.clone().unwrap_or_default() } else { value };
            given.values.insert(input.name.clone(), value);
            if !tags.is_empty() {
                given.tags.insert(input.name.clone(), tags);
            }
        }
        Ok(given)
    }

    /// Outputs that are there before the end of their step.
    fn serve(&mut self, engine: &Engine<'_>, step: &Step, mut outputs: Tagged, waiting: &[usize]) {
        self.kept.append(&mut outputs.kept);
        for name in &step.outputs {
            if let Some(found) = outputs.take(name) {
                self.values.insert((Some(step.name.clone()), name.clone()), found);
            }
        }
        let is_used = self.values.iter().any(|((of, name), (_, tags))| {
            of.as_ref() == Some(&step.name)
                && !tags.is_empty()
                && self.is_wanted(&(of.clone(), name.clone()), waiting)
        });
        if !is_used && self.kept.is_empty() {
            (engine.tell)(&format!(
                "warning: no step uses the service {:?}, so it is stopped at once",
                step.name
            ));
        }
    }

    /// Whether a step that waits, or an output of ours, takes a value.
    fn is_wanted(&self, key: &Key, waiting: &[usize]) -> bool {
        let of_steps = waiting.iter().flat_map(|n| &self.steps[*n].inputs).map(|it| &it.link);
        let of_outputs = self.process.outputs.iter().map(|output| &output.link);
        let mut sources = of_steps.chain(of_outputs).flat_map(|link| &link.sources);
        sources.any(|source| self.key(source).as_ref() == Some(key))
    }

    /// Services are held for those who wait for them alone; steps that run hold theirs themselves.
    fn let_go(&mut self, waiting: &[usize]) {
        let held: Vec<Key> = self
            .values
            .iter()
            .filter(|(key, (_, tags))| !tags.is_empty() && !self.is_wanted(key, waiting))
            .map(|(key, _)| key.clone())
            .collect();
        for key in held {
            if let Some((_, tags)) = self.values.get_mut(&key) {
                *tags = Tags::default();
            }
        }
    }

    /// Our own outputs as far as they are there, and the services that they lead to, which are held elsewhere from now on.
    fn take_early(&mut self) -> Tagged {
        let mut early = Tagged::default();
        for output in &self.process.outputs {
            let is_known = output.link.sources.iter().all(|source| self.find(source).is_some());
            let Some((value, tags)) = is_known.then(|| self.link(&output.link).ok()).flatten()
            else {
                continue;
            };
            if !tags.is_empty() {
                early.values.insert(output.name.clone(), value);
                early.tags.insert(output.name.clone(), tags);
            }
        }
        self.let_all_go();
        early
    }

    fn let_all_go(&mut self) {
        for (_, tags) in self.values.values_mut() {
            *tags = Tags::default();
        }
    }

    fn finish(&mut self, step: &Step, mut outputs: Tagged) -> Result<(), CwlError> {
        for name in &step.outputs {
            let key = (Some(step.name.clone()), name.clone());
            let found = outputs.take(name);
            if self.values.contains_key(&key) {
                // An address stays as it was given out.
                continue;
            }
            let Some(found) =
                found.or_else(|| is_optional(step, name).then_some((Value::Null, Tags::default())))
            else {
                return Err(CwlError::Failed(format!(
                    "the step {:?} gave no output {name:?}",
                    step.name
                )));
            };
            self.values.insert(key, found);
        }
        Ok(())
    }

    fn outputs(&self, engine: &Engine<'_>) -> Result<Tagged, CwlError> {
        let mut outputs = Tagged::default();
        for output in &self.process.outputs {
            let linked = self.link(&output.link);
            let (value, tags) =
                linked.map_err(|error| error.within(format!("output {:?}", output.name)))?;
            outputs.values.insert(output.name.clone(), value);
            if !tags.is_empty() {
                outputs.tags.insert(output.name.clone(), tags);
            }
        }
        engine.follow_updates(&mut outputs.values);
        cwl::collect::check(self.process, &outputs.values)?;
        Ok(outputs)
    }
}

fn is_optional(step: &Step, name: &str) -> bool {
    step.run.outputs.iter().any(|output| output.name == name && output.ty.allows_null())
}

async fn run_step(
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
    let tags = jobs_tags(step, given.tags, made.jobs.len());
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
fn jobs_tags(step: &Step, tags: TagsByName, n_jobs: usize) -> Vec<TagsByName> {
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
