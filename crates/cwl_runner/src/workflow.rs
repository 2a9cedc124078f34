//! A workflow: each step starts as soon as all that it needs is there.

mod state;
mod step;

use std::collections::BTreeSet;
use std::sync::Arc;

use cwl::document::Step;
use cwl::inputs::Discovery;
use cwl::{CwlError, Object};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use crate::engine::{Call, Engine};
use crate::news::{Outcome, What};
use crate::serving::{Tagged, TagsByName};
use state::State;
use step::run_step;

/// Runs a workflow to its output object.
pub(crate) async fn run(
    engine: &Engine<'_>,
    call: &Call<'_>,
    steps: &[Step],
    tags: TagsByName,
) -> Result<Tagged, CwlError> {
    let inputs = prepare(engine, call).await?;
    let mut state = State::new(call.process(), steps, inputs, tags);
    let paths = announce(engine, call, &state, steps);
    let (early, mut heard) = mpsc::unbounded_channel::<(usize, Tagged)>();
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
                let requirements = call.requirements().with(&step.requirements, &step.hints);
                let (early, path) = (early.clone(), Arc::clone(&paths[n]));
                running.push(async move {
                    let early = |outputs| {
                        // The workflow is over if nobody hears it.
                        let _over = early.send((n, outputs));
                    };
                    (n, run_step(engine, step, path, given, requirements, &early).await)
                });
            }
        }
        state.let_go(&waiting);
        if failure.is_some() {
            state.kept.clear();
            state.let_all_go();
        } else if serving.len() == running.len() {
            state.rest(call, waiting.is_empty() && !running.is_empty());
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
                Some((n, Ok((outputs, outcome)))) => {
                    engine.tell(&paths[n], What::Ends(outcome));
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
                    engine.tell(&paths[n], What::Ends(Outcome::Failed));
                    engine.stopping.set(true);
                    failure.get_or_insert(error.within(format!("step {:?}", steps[n].name)));
                }
                None => break,
            },
        }
    }
    match (failure, waiting.first()) {
        (Some(error), _) => Err(error),
        (None, Some(n)) => Err(CwlError::Failed(format!(
            "the step {:?} waits for itself: its inputs come from its own outputs",
            steps[*n].name
        ))),
        (None, None) => state.outputs(engine),
    }
}

async fn prepare(engine: &Engine<'_>, call: &Call<'_>) -> Result<Object, CwlError> {
    let given = call.given.clone();
    engine.evaluator.work(move |evaluator| evaluator.prepare(&given)).await
}

/// Tells what each step waits for; gives their paths.
fn announce(
    engine: &Engine<'_>,
    call: &Call<'_>,
    state: &State<'_>,
    steps: &[Step],
) -> Vec<Arc<str>> {
    let told = steps.iter().map(|step| {
        let path = path_of(call, step);
        engine.tell(&path, What::Waits(state.waits_for(step)));
        path
    });
    told.collect()
}

/// Where a step stands, for people: behind the step that its workflow is run for.
fn path_of(call: &Call<'_>, step: &Step) -> Arc<str> {
    match &call.given.discovery {
        Discovery::Beside => Arc::from(step.name.as_str()),
        Discovery::Given => Arc::from(format!("{}/{}", call.given.step, step.name)),
    }
}
