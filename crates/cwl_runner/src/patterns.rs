//! What of an output directory anybody will look at: what need not be kept need not be saved.

use cwl::Value;
use cwl::document::{Output, Process};
use cwl::expr::{Scope, evaluate_value};
use cwl::types::Type;

/// The file that is the output object, if a program writes it.
const OUTPUT_FILE: &str = "cwl.output.json";
/// Characters that patterns of an instance read differently, or not as a name.
const STRANGE: [char; 6] = ['{', '}', '\\', '[', ']', '!'];

/// Patterns for what a tool's outputs may be made of; none where that cannot be told before it ran.
pub(crate) fn of(process: &Process, scope: &Scope<'_>, streams: &[&str]) -> Vec<String> {
    if process.outputs.is_empty() {
        return Vec::new();
    }
    let mut all = vec![OUTPUT_FILE.to_owned()];
    all.extend(streams.iter().map(|name| (*name).to_owned()));
    for output in &process.outputs {
        match of_output(output, scope) {
            Some(found) => all.extend(found),
            None => return Vec::new(),
        }
    }
    if all.iter().any(|pattern| pattern.contains(STRANGE)) {
        return Vec::new();
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn of_output(output: &Output, scope: &Scope<'_>) -> Option<Vec<String>> {
    let is_stream = |ty: &Type| matches!(ty, Type::Stdout | Type::Stderr);
    if !output.secondary.is_empty() {
        return None;
    }
    let Some(glob) = output.collect.as_ref().and_then(|binding| binding.glob.as_ref()) else {
        // What has no pattern comes from a stream, or from the program's own output object, which names any file.
        let is_stream = output.ty.members().iter().any(is_stream);
        return is_stream.then(Vec::new);
    };
    let texts = match evaluate_value(glob, scope).ok()? {
        Value::String(text) => vec![text],
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    let mut patterns = Vec::new();
    for text in texts {
        let text = text.trim_start_matches("./").trim_end_matches('/').to_owned();
        if text.is_empty() || text == "." || text.starts_with('/') || text.contains("..") {
            return None;
        }
        // What is in a folder comes along.
        patterns.push(format!("{text}/**"));
        patterns.push(text);
    }
    Some(patterns)
}
