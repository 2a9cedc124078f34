//! The input object of a process: defaults filled in, types checked, files completed.

use crate::document::{Input, Process, SecondaryFile};
use crate::error::{Result, fail};
use crate::expr::{Scope, evaluate, evaluate_value};
use crate::file;
use crate::format::Ontology;
use crate::json::{Layout, write};
use crate::storage::Storage;
use crate::types::{Listing, Type};
use crate::uri;
use crate::value::{NULL, Object, Value};

/// Where secondary files come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// Those that lie beside the file are found: for the outermost process.
    Beside,
    /// They must come with the value: for steps.
    Given,
}

/// What input objects are prepared with.
#[derive(Clone, Copy)]
pub struct Preparation<'a> {
    /// Reads locations.
    pub storage: &'a dyn Storage,
    /// Where secondary files come from.
    pub discovery: Discovery,
    /// How deep directories are listed where an input says nothing.
    pub listing: Listing,
    /// Which formats are kinds of others.
    pub ontology: &'a dyn Ontology,
}

impl std::fmt::Debug for Preparation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preparation").field("discovery", &self.discovery).finish_non_exhaustive()
    }
}

/// The input object that a process runs with. `given` has locations that are whole.
pub fn prepare(
    process: &Process,
    given: &Object,
    scope: &Scope<'_>,
    with: &Preparation<'_>,
) -> Result<Object> {
    let mut values = Object::new();
    for input in &process.inputs {
        let value = given.get(&input.name).unwrap_or(&NULL);
        let value = if value.is_null() { input.default.as_ref().unwrap_or(&NULL) } else { value };
        values.insert(input.name.clone(), value.clone());
    }
    for input in &process.inputs {
        let mut value = values.get(&input.name).cloned().unwrap_or_default();
        complete_all(&mut value, with.storage)
            .map_err(|error| error.within(format!("input {:?}", input.name)))?;
        check_type(input, &value)?;
        values.insert(input.name.clone(), value);
    }
    // What is no input stays as it is: expressions do not see it.
    let all = Value::Object(values.clone());
    let scope = Scope { inputs: &all, ..scope.clone() };
    for input in &process.inputs {
        let value = values.get_mut(&input.name).expect("put in above");
        let extras = Extras {
            secondary: &input.secondary,
            format: input.format.as_ref(),
            load_contents: input.load_contents,
            listing: input.load_listing.unwrap_or(with.listing),
        };
        apply(&input.ty, value, extras, &scope, with)
            .map_err(|error| error.within(format!("input {:?}", input.name)))?;
    }
    Ok(values)
}

fn complete_all(value: &mut Value, storage: &dyn Storage) -> Result<()> {
    file::each_mut(value, &mut |object| file::complete(object, storage))
}

fn check_type(input: &Input, value: &Value) -> Result<()> {
    if input.ty.has(value) {
        return Ok(());
    }
    if value.is_null() {
        fail!("the input {:?} is missing; it has type {}", input.name, input.ty);
    }
    let mut shown = write(value, Layout::Sorted);
    if shown.chars().count() > 200 {
        shown = shown.chars().take(200).chain(['…']).collect();
    }
    fail!(
        "the input {:?} has type {}, and was given the {} {shown}",
        input.name,
        input.ty,
        value.kind()
    );
}

/// What is to be done with the files of a parameter or field.
#[derive(Clone, Copy)]
struct Extras<'p> {
    secondary: &'p [SecondaryFile],
    format: Option<&'p Value>,
    load_contents: bool,
    listing: Listing,
}

fn apply(
    ty: &Type,
    value: &mut Value,
    extras: Extras<'_>,
    scope: &Scope<'_>,
    with: &Preparation<'_>,
) -> Result<()> {
    match (ty.member_of(value).unwrap_or(ty), &mut *value) {
        (Type::Array(array), Value::Array(items)) => {
            for item in items {
                apply(&array.items, item, extras, scope, with)?;
            }
        }
        (Type::Record(record), Value::Object(entries)) => {
            for field in &record.fields {
                let Some(value) = entries.get_mut(&field.name) else { continue };
                let extras = Extras {
                    secondary: &field.secondary,
                    format: field.format.as_ref(),
                    load_contents: field.load_contents,
                    listing: field.load_listing.unwrap_or(with.listing),
                };
                apply(&field.ty, value, extras, scope, with)?;
            }
        }
        (_, object) if file::is_object(object) => finish(object, extras, scope, with)?,
        // Of an `Any`, everything in it.
        (_, other) => file::each_mut(other, &mut |object| {
            finish(object, Extras { secondary: &[], format: None, ..extras }, scope, with)
        })?,
    }
    Ok(())
}

fn finish(
    object: &mut Value,
    extras: Extras<'_>,
    scope: &Scope<'_>,
    with: &Preparation<'_>,
) -> Result<()> {
    if object.is_file() {
        if let Some(format) = extras.format {
            check_format(object, format, scope, with)?;
        }
        add_secondary(object, extras.secondary, scope, with)?;
        if extras.load_contents {
            file::load_contents(object, with.storage)?;
        }
    } else {
        add_secondary(object, extras.secondary, scope, with)?;
        let is_literal = object.text("location").is_none_or(|location| location.starts_with("_:"));
        if let (Value::Object(entries), Listing::None, false) =
            (&mut *object, extras.listing, is_literal)
        {
            // What another step's output or the job says of a folder is not what was asked for.
            entries.shift_remove("listing");
        }
        file::load_listing(object, extras.listing, with.storage)?;
    }
    Ok(())
}

fn check_format(
    object: &Value,
    format: &Value,
    scope: &Scope<'_>,
    with: &Preparation<'_>,
) -> Result<()> {
    let mut allowed = Vec::new();
    let one = std::slice::from_ref(format);
    for item in format.as_array().unwrap_or(one) {
        match evaluate_value(item, &scope.with_self(object))? {
            Value::String(text) => allowed.push(text),
            Value::Array(items) => {
                allowed.extend(items.iter().filter_map(Value::as_str).map(str::to_owned))
            }
            Value::Null => return Ok(()),
            other => fail!("format is {}, and must be text", other.kind()),
        }
    }
    let name = object.text("basename").unwrap_or_default();
    let Some(actual) = object.text("format") else {
        fail!("{name:?} has no format, and must have {}", allowed.join(" or "));
    };
    if allowed.iter().any(|format| format == actual || with.ontology.is_kind_of(actual, format)) {
        return Ok(());
    }
    fail!("{name:?} has the format {actual}, and must have {}", allowed.join(" or "))
}

/// The names that a pattern makes of a primary name: text for names, or whole objects.
pub(crate) fn secondary_of(pattern: &str, object: &Value, scope: &Scope<'_>) -> Result<Vec<Value>> {
    let name = object.text("basename").unwrap_or_default();
    if !crate::expr::is_expression(pattern) {
        return Ok(vec![Value::from(apply_pattern(name, pattern))]);
    }
    match evaluate(pattern, &scope.with_self(object))? {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items),
        other @ (Value::String(_) | Value::Object(_)) => Ok(vec![other]),
        other => fail!("secondaryFiles gives {}, and must give names or Files", other.kind()),
    }
}

/// `^` takes one extension off each; the rest is appended.
pub(crate) fn apply_pattern(name: &str, pattern: &str) -> String {
    let mut name = name;
    let mut pattern = pattern;
    while let Some(rest) = pattern.strip_prefix('^') {
        name = name.rfind('.').map_or(name, |at| &name[..at]);
        pattern = rest;
    }
    format!("{name}{pattern}")
}

fn add_secondary(
    object: &mut Value,
    patterns: &[SecondaryFile],
    scope: &Scope<'_>,
    with: &Preparation<'_>,
) -> Result<()> {
    if patterns.is_empty() {
        return Ok(());
    }
    let mut files: Vec<Value> =
        object.get("secondaryFiles").as_array().unwrap_or_default().to_vec();
    for pattern in patterns {
        let required = match evaluate_value(&pattern.required, &scope.with_self(object))? {
            // Nothing said is yes; an expression without a value is no.
            Value::Null => pattern.required.is_null(),
            Value::Bool(truth) => truth,
            other => fail!("required is {}, and must be true or false", other.kind()),
        };
        for wanted in secondary_of(&pattern.pattern, object, scope)? {
            let name = wanted
                .as_str()
                .or_else(|| wanted.text("basename"))
                .map(|name| uri::short_name(name).to_owned());
            let name =
                name.or_else(|| wanted.text("location").map(uri::basename)).unwrap_or_default();
            if files.iter().any(|known| known.text("basename") == Some(&name)) {
                continue;
            }
            match find_secondary(&wanted, object, with) {
                Some(found) => files.push(found),
                None if required => {
                    fail!(
                        "{:?} has no secondary file {name:?}",
                        object.text("basename").unwrap_or_default()
                    )
                }
                None => {}
            }
        }
    }
    if !files.is_empty() {
        object.set("secondaryFiles", files.into());
    }
    Ok(())
}

fn find_secondary(wanted: &Value, object: &Value, with: &Preparation<'_>) -> Option<Value> {
    if file::is_object(wanted) {
        let mut found = wanted.clone();
        if found.text("location").is_none()
            && let Some(path) = found.text("path").map(str::to_owned)
        {
            found.set("location", uri::from_path(std::path::Path::new(&path)).into());
        }
        return file::complete(&mut found, with.storage).ok().map(|()| found);
    }
    if with.discovery == Discovery::Given {
        return None;
    }
    let location = object.text("location").filter(|location| !location.starts_with("_:"))?;
    let folder = &location[..location.rfind('/')?];
    let beside = uri::child(folder, wanted.as_str()?);
    let stat = with.storage.stat(&beside).ok()?;
    let mut found = file::of_location(&beside, stat.is_dir);
    file::complete(&mut found, with.storage).ok().map(|()| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_take_extensions_off() {
        assert_eq!(apply_pattern("a.b.c", ".bai"), "a.b.c.bai");
        assert_eq!(apply_pattern("a.b.c", "^.bai"), "a.b.bai");
        assert_eq!(apply_pattern("a.b.c", "^^^.bai"), "a.bai");
    }
}
