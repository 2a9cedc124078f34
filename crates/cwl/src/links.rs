//! Links between steps: where a value comes from, how several become one, and what cannot fit.

use crate::document::{Body, Link, LinkMerge, PickValue, Process, Step};
use crate::error::{Problem, Result, fail};
use crate::types::Type;
use crate::value::Value;

/// Where a source leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An input of the workflow.
    Input(String),
    /// An output of a step.
    Step(String, String),
}

/// What a source (`input`, `step/output`, `#main/step/output`) means in a workflow.
pub fn origin(source: &str, process: &Process, steps: &[Step]) -> Option<Origin> {
    let path = source.rsplit('#').next().unwrap_or(source);
    let mut parts = path.rsplit('/');
    let last = parts.next()?;
    if let Some(step) = parts.next()
        && let Some(found) = steps.iter().find(|known| known.name == step)
        && found.outputs.iter().any(|output| output == last)
    {
        return Some(Origin::Step(step.to_owned(), last.to_owned()));
    }
    process.inputs.iter().any(|input| input.name == last).then(|| Origin::Input(last.to_owned()))
}

/// One value of the values of a link's sources.
pub fn combine(link: &Link, mut values: Vec<Value>) -> Result<Value> {
    let merged = match (link.merge, link.is_list) {
        (None, false) => values.pop().unwrap_or_default(),
        (None, true) if values.len() == 1 && link.pick.is_none() => {
            values.pop().unwrap_or_default()
        }
        (None | Some(LinkMerge::Nested), _) => Value::Array(values),
        (Some(LinkMerge::Flattened), _) => {
            let flat = values.into_iter().flat_map(|value| match value {
                Value::Array(items) => items,
                other => vec![other],
            });
            Value::Array(flat.collect())
        }
    };
    match link.pick {
        None => Ok(merged),
        Some(pick) => picked(pick, merged),
    }
}

fn picked(pick: PickValue, merged: Value) -> Result<Value> {
    let items = match merged {
        Value::Array(items) => items,
        other => vec![other],
    };
    let mut present: Vec<Value> = items.into_iter().filter(|item| !item.is_null()).collect();
    match pick {
        PickValue::All => Ok(Value::Array(present)),
        PickValue::First | PickValue::Only if present.is_empty() => {
            fail!("all sources are null, and pickValue wants one that is not")
        }
        PickValue::First => Ok(present.swap_remove(0)),
        PickValue::Only if present.len() > 1 => {
            fail!("{} sources are not null, and pickValue wants the only one", present.len())
        }
        PickValue::Only => Ok(present.swap_remove(0)),
    }
}

/// Links that lead nowhere, and those whose types can never fit.
pub(crate) fn problems(process: &Process, steps: &[Step]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for step in steps {
        check_step(process, steps, step, &mut problems);
    }
    for output in &process.outputs {
        let mut found = Vec::new();
        let what = format!("the output {:?}", output.name);
        let ty = source_type(process, steps, &output.link, &what, &mut found);
        if let Some(ty) = ty
            && found.is_empty()
            && !may_fit(&ty, &output.ty)
        {
            found.push(Problem::new(format!("{what} has type {}, and its source {ty}", output.ty)));
        }
        for mut problem in found {
            problem.place = Some(output.place.clone());
            problems.push(problem);
        }
    }
    problems
}

fn check_step(process: &Process, steps: &[Step], step: &Step, problems: &mut Vec<Problem>) {
    let mut found = Vec::new();
    for name in &step.outputs {
        if !step.run.outputs.iter().any(|output| output.name == *name) && !is_operation(&step.run) {
            let rule = format!("the step {:?} has no output {name:?}", step.name);
            let known = step.run.outputs.iter().map(|output| output.name.as_str());
            let advice =
                crate::error::nearest(name, known).map(|near| format!("did you mean {near:?}?"));
            found.push(Problem::new(rule).advise(advice.unwrap_or_default()));
        }
    }
    for name in &step.scatter {
        if !step.inputs.iter().any(|input| input.name == *name) {
            found.push(Problem::new(format!(
                "the step {:?} scatters over {name:?}, which is none of its inputs",
                step.name
            )));
        }
    }
    for input in &step.inputs {
        let what = format!("the input {:?} of the step {:?}", input.name, step.name);
        let ty = source_type(process, steps, &input.link, &what, &mut found);
        let sink = step.run.inputs.iter().find(|sink| sink.name == input.name);
        let (Some(ty), Some(sink), None) = (ty, sink, &input.value_from) else { continue };
        let sink_type = if step.scatter.contains(&input.name) {
            sink.ty.clone().array()
        } else {
            sink.ty.clone()
        };
        if !may_fit(&ty, &sink_type) {
            found.push(Problem::new(format!("{what} has type {sink_type}, and its source {ty}")));
        }
    }
    for input in &step.run.inputs {
        let is_linked = step.inputs.iter().any(|linked| linked.name == input.name);
        if !is_linked && input.default.is_none() && !input.ty.allows_null() {
            let rule =
                format!("the step {:?} gives nothing to the input {:?}", step.name, input.name);
            found.push(Problem::new(rule).advise(format!("add `{}:` to its `in`", input.name)));
        }
    }
    for mut problem in found {
        problem.place = Some(step.place.clone());
        problems.push(problem);
    }
}

fn is_operation(process: &Process) -> bool {
    matches!(process.body, Body::Operation)
}

/// The type of what a link gives; `None` if it has no source, or where nothing can be said.
fn source_type(
    process: &Process,
    steps: &[Step],
    link: &Link,
    what: &str,
    problems: &mut Vec<Problem>,
) -> Option<Type> {
    let mut types = Vec::new();
    for source in &link.sources {
        let Some(origin) = origin(source, process, steps) else {
            let inputs = process.inputs.iter().map(|input| input.name.clone());
            let outputs = steps
                .iter()
                .flat_map(|step| step.outputs.iter().map(|name| format!("{}/{name}", step.name)));
            let known: Vec<String> = inputs.chain(outputs).collect();
            let near = crate::error::nearest(source, known.iter().map(String::as_str));
            let advice = near.map(|near| format!("did you mean {near:?}?")).unwrap_or_default();
            problems.push(
                Problem::new(format!("{what} has the source {source:?}, which does not exist"))
                    .advise(advice),
            );
            continue;
        };
        types.push(origin_type(&origin, process, steps)?);
    }
    if link.pick.is_some() {
        return None;
    }
    match (link.merge, link.is_list, types.len()) {
        (_, _, 0) => None,
        (None, _, 1) => types.pop(),
        (None | Some(LinkMerge::Nested), ..) => Some(Type::union(types).array()),
        (Some(LinkMerge::Flattened), ..) => {
            let flat = types.into_iter().flat_map(|ty| {
                let members = ty.members().to_vec();
                members.into_iter().map(|member| match member {
                    Type::Array(array) => array.items.clone(),
                    other => other,
                })
            });
            Some(Type::union(flat.collect()).array())
        }
    }
}

fn origin_type(origin: &Origin, process: &Process, steps: &[Step]) -> Option<Type> {
    match origin {
        Origin::Input(name) => {
            let input = process.inputs.iter().find(|input| input.name == *name)?;
            Some(input.ty.clone())
        }
        Origin::Step(step, name) => {
            let step = steps.iter().find(|known| known.name == *step)?;
            let output = step.run.outputs.iter().find(|output| output.name == *name)?;
            let mut ty = output.ty.clone();
            match (step.scatter.len(), step.scatter_method) {
                (0, _) => {}
                (depth, crate::document::ScatterMethod::Nested) => {
                    for _ in 0..depth {
                        ty = ty.array();
                    }
                }
                _ => ty = ty.array(),
            }
            Some(if step.when.is_some() { ty.optional() } else { ty })
        }
    }
}

/// Whether some value of the one type has the other. Whether the very value does shows at run time.
fn may_fit(source: &Type, sink: &Type) -> bool {
    let fits = |source: &Type, sink: &Type| match (source, sink) {
        (_, Type::Any) => *source != Type::Null,
        (Type::Any, _) => true,
        (Type::Int | Type::Long, Type::Int | Type::Long | Type::Float | Type::Double)
        | (Type::Float | Type::Double, Type::Float | Type::Double | Type::Int | Type::Long)
        | (Type::String | Type::Enum(_), Type::String | Type::Enum(_))
        | (Type::File | Type::Stdin | Type::Stdout | Type::Stderr, Type::File | Type::Stdin) => {
            true
        }
        (Type::Array(source), Type::Array(sink)) => may_fit(&source.items, &sink.items),
        (Type::Record(source), Type::Record(sink)) => {
            sink.fields.iter().all(|field| {
                match source.fields.iter().find(|known| known.name == field.name) {
                    Some(known) => may_fit(&known.ty, &field.ty),
                    None => field.ty.allows_null(),
                }
            })
        }
        (source, sink) => source == sink,
    };
    source.members().iter().any(|one| sink.members().iter().any(|other| fits(one, other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(numbers: &[i64]) -> Value {
        numbers.iter().map(|number| Value::from(*number)).collect::<Vec<_>>().into()
    }

    #[test]
    fn one_source_in_a_list_stays_bare_unless_merging_was_asked_for() {
        let link = |is_list, merge, pick| Link { sources: Vec::new(), is_list, merge, pick };
        let one = || vec![Value::from(1_i64)];
        assert_eq!(combine(&link(true, None, None), one()).unwrap(), Value::from(1_i64));
        assert_eq!(combine(&link(true, Some(LinkMerge::Nested), None), one()).unwrap(), ints(&[1]));
        let two = vec![ints(&[1, 2]), Value::from(3_i64)];
        let flat = combine(&link(true, Some(LinkMerge::Flattened), None), two).unwrap();
        assert_eq!(flat, ints(&[1, 2, 3]));
        let nulls = vec![Value::Null, Value::from(1_i64), Value::from(2_i64)];
        let pick = |pick| combine(&link(true, None, Some(pick)), nulls.clone());
        assert_eq!(pick(PickValue::First).unwrap(), Value::from(1_i64));
        assert_eq!(pick(PickValue::All).unwrap(), ints(&[1, 2]));
        assert!(pick(PickValue::Only).is_err());
    }

    #[test]
    fn types_that_share_no_value_do_not_fit() {
        assert!(may_fit(&Type::String.optional(), &Type::String));
        assert!(may_fit(&Type::Int, &Type::Double));
        assert!(!may_fit(&Type::Int, &Type::String));
        assert!(!may_fit(&Type::File.array(), &Type::File));
        assert!(!may_fit(&Type::String.array(), &Type::File.array()));
    }
}
