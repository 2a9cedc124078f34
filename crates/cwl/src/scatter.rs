//! Which jobs a scatter makes, and how their results are put together.

use crate::document::ScatterMethod;
use crate::error::{Result, fail};
use crate::value::{Object, Value};

/// Most jobs of one scatter.
const JOBS_MAX: usize = 1_000_000;

/// The jobs of a scatter: input objects in order, and the shape of their results.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// One input object for each job.
    pub jobs: Vec<Object>,
    /// Lengths of nested lists; one for a flat list.
    shape: Vec<usize>,
}

/// Takes scattered inputs apart.
pub fn scatter(inputs: &Object, over: &[String], method: ScatterMethod) -> Result<Scatter> {
    let mut lists = Vec::with_capacity(over.len());
    for name in over {
        match inputs.get(name) {
            Some(Value::Array(items)) => lists.push((name, items)),
            other => {
                let kind = other.map_or("null", Value::kind);
                fail!("it is scattered over {name:?}, which is {kind}, and must be an array");
            }
        }
    }
    let lengths: Vec<usize> = lists.iter().map(|(_, items)| items.len()).collect();
    let count = match method {
        ScatterMethod::Dot => {
            if lengths.windows(2).any(|pair| pair[0] != pair[1]) {
                fail!("a dotproduct needs lists of equal length, and these have {lengths:?}");
            }
            lengths.first().copied().unwrap_or_default()
        }
        _ => lengths.iter().try_fold(1_usize, |all, n| all.checked_mul(*n)).unwrap_or(usize::MAX),
    };
    if count > JOBS_MAX {
        fail!("a scatter of {count} jobs; at most {JOBS_MAX} are made");
    }
    let mut jobs = Vec::with_capacity(count);
    for n in 0..count {
        let mut job = inputs.clone();
        let mut rest = n;
        for (name, items) in lists.iter().rev() {
            let index = if method == ScatterMethod::Dot { n } else { rest % items.len() };
            rest /= items.len();
            job.insert((*name).clone(), items[index].clone());
        }
        jobs.push(job);
    }
    let shape = if method == ScatterMethod::Nested { lengths } else { vec![count] };
    Ok(Scatter { jobs, shape })
}

impl Scatter {
    /// The results of the jobs, in their order, as lists in the scatter's shape.
    pub fn gather(&self, results: Vec<Value>) -> Value {
        let mut results = results.into_iter();
        nest(&self.shape, &mut results)
    }
}

fn nest(shape: &[usize], results: &mut impl Iterator<Item = Value>) -> Value {
    match shape {
        [] => results.next().unwrap_or_default(),
        [length, inner @ ..] => {
            // A list of nothing inside an empty scatter still has the outer shape.
            Value::Array((0..*length).map(|_| nest(inner, results)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Layout, parse, write};

    fn shape(inputs: &str, method: ScatterMethod) -> String {
        let Value::Object(inputs) = parse(inputs).unwrap() else { panic!("an object") };
        let over = ["a".to_owned(), "b".to_owned()];
        let made = scatter(&inputs, &over, method).unwrap();
        let results =
            made.jobs.iter().map(|job| Value::Array(vec![job["a"].clone(), job["b"].clone()]));
        write(&made.gather(results.collect()), Layout::Compact)
    }

    #[test]
    fn lists_are_combined_by_the_method() {
        let inputs = r#"{"a": [1, 2], "b": [3, 4]}"#;
        assert_eq!(shape(inputs, ScatterMethod::Dot), "[[1,3],[2,4]]");
        assert_eq!(shape(inputs, ScatterMethod::Flat), "[[1,3],[1,4],[2,3],[2,4]]");
        assert_eq!(shape(inputs, ScatterMethod::Nested), "[[[1,3],[1,4]],[[2,3],[2,4]]]");
        assert_eq!(shape(r#"{"a": [1, 2], "b": []}"#, ScatterMethod::Nested), "[[],[]]");
        assert_eq!(shape(r#"{"a": [], "b": [1]}"#, ScatterMethod::Flat), "[]");
    }
}
