//! What is wrong with the fields of an extension, told by the path to the place, so that one reader serves documents,
//! whose nodes know where they stand, and requirements that were put together while running.

use crate::value::Value;

/// A broken rule, and the keys that lead to where it is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// Keys of mappings and indices of lists, from the requirement inwards.
    pub(crate) path: Vec<String>,
    /// The rule that is broken.
    pub(crate) rule: String,
    /// What to write instead.
    pub(crate) advice: String,
}

/// Broken rules so far.
#[derive(Debug, Default)]
pub(crate) struct Flaws(pub(crate) Vec<Flaw>);

impl Flaws {
    pub(crate) fn add(
        &mut self,
        path: &[&str],
        rule: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        self.0.push(Flaw { path, rule: rule.into(), advice: advice.into() });
    }

    /// Refuses fields that are not known.
    pub(crate) fn check_fields(&mut self, value: &Value, path: &[&str], known: &[&str]) {
        for key in value.as_object().into_iter().flat_map(|fields| fields.keys()) {
            if known.contains(&key.as_str()) {
                continue;
            }
            let advice = match crate::error::nearest(key, known.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("there are {}", known.join(", ")),
            };
            let path: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
            self.add(&path, format!("there is no field {key:?} here"), advice);
        }
    }
}

/// A port as text or number.
pub(crate) fn port_of(value: &Value) -> Option<u16> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    text.parse::<u16>().ok().filter(|port| *port > 0)
}
