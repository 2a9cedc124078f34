//! What is known of a workflow while it runs: values, and the services that they lead to.

use std::collections::HashMap;
use std::rc::Rc;

use cwl::document::{Link, Process, Step};
use cwl::links::{Origin, combine, origin};
use cwl::{CwlError, Object, Value};

use crate::engine::{Call, Engine};
use crate::serving::{Hold, Tagged, Tags, TagsByName};

/// What is known so far: inputs by name, outputs by step and name; with the services that they lead to.
pub(super) struct State<'w> {
    process: &'w Process,
    steps: &'w [Step],
    values: HashMap<Key, (Value, Tags)>,
    /// Services that live as long as this workflow has other steps.
    pub(super) kept: Vec<Rc<Hold>>,
}

/// An input, or the output of a step.
type Key = (Option<String>, String);

impl<'w> State<'w> {
    /// The inputs, and the services that they lead to.
    pub(super) fn new(
        process: &'w Process,
        steps: &'w [Step],
        inputs: Object,
        mut tags: TagsByName,
    ) -> Self {
        let values = inputs.into_iter().map(|(name, value)| {
            let tags = tags.remove(&name).unwrap_or_default();
            ((None, name), (value, tags))
        });
        Self { process, steps, values: values.collect(), kept: Vec::new() }
    }

    pub(super) fn is_ready(&self, step: &Step) -> bool {
        step.inputs
            .iter()
            .flat_map(|input| &input.link.sources)
            .all(|source| self.find(source).is_some())
    }

    /// Names of the steps whose outputs a step takes and that are not there.
    pub(super) fn waits_for(&self, step: &Step) -> Vec<&'w str> {
        let sources = step.inputs.iter().flat_map(|input| &input.link.sources);
        let mut names: Vec<&'w str> = Vec::new();
        for key in sources.filter_map(|source| self.key(source)) {
            let found = self.steps.iter().find(|known| key.0.as_ref() == Some(&known.name));
            let Some(found) = found.filter(|_| !self.values.contains_key(&key)) else { continue };
            if !names.contains(&found.name.as_str()) {
                names.push(&found.name);
            }
        }
        names
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
    pub(super) fn gather(&self, step: &Step) -> Result<Tagged, CwlError> {
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
    pub(super) fn serve(
        &mut self,
        engine: &Engine<'_>,
        step: &Step,
        mut outputs: Tagged,
        waiting: &[usize],
    ) {
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
            engine.listener.say(&format!(
                "warning: no step uses the service {:?}, so it is stopped at once",
                step.name
            ));
        }
    }

    /// Only services are left. Those for the whole workflow end; where they are all (`are_last`), our own outputs are what
    /// others may wait for.
    pub(super) fn rest(&mut self, call: &Call<'_>, are_last: bool) {
        self.kept.clear();
        if !are_last {
            return;
        }
        let outputs = self.take_early();
        if let Some(tell) = call.early.filter(|_| !outputs.tags.is_empty()) {
            tell(outputs);
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
    pub(super) fn let_go(&mut self, waiting: &[usize]) {
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

    pub(super) fn let_all_go(&mut self) {
        for (_, tags) in self.values.values_mut() {
            *tags = Tags::default();
        }
    }

    pub(super) fn finish(&mut self, step: &Step, mut outputs: Tagged) -> Result<(), CwlError> {
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

    pub(super) fn outputs(&self, engine: &Engine<'_>) -> Result<Tagged, CwlError> {
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
