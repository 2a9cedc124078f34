//! The input object that a person gives: a file, or values on the command line.

use cwl::document::Process;
use cwl::load::Loader;
use cwl::types::Type;
use cwl::{CwlError, Number, Object, Value, file, uri};

use crate::address_of;

/// The input object of the words behind the tool: one file, or `--name value` pairs.
pub(crate) fn read(
    loader: &mut Loader<'_>,
    words: &[String],
    process: &Process,
    here: &str,
) -> Result<Object, CwlError> {
    match words {
        [] => Ok(Object::new()),
        [one] if !one.starts_with("--") => read_file(loader, one, here),
        words => of_words(words, process, here),
    }
}

fn read_file(loader: &mut Loader<'_>, name: &str, here: &str) -> Result<Object, CwlError> {
    let address = address_of(name, here);
    match loader.data_of(&address)? {
        Value::Object(mut given) => {
            given.shift_remove("cwl:tool");
            Ok(given)
        }
        Value::Null => Ok(Object::new()),
        other => Err(CwlError::Failed(format!(
            "{name} holds {}, and must hold an object with the inputs",
            other.kind()
        ))),
    }
}

fn of_words(words: &[String], process: &Process, here: &str) -> Result<Object, CwlError> {
    let mut given = Object::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let Some(rest) = word.strip_prefix("--") else {
            return Err(CwlError::Failed(format!(
                "{word:?} is neither an input (--NAME VALUE) nor the only word behind the tool"
            )));
        };
        let (name, inline) =
            rest.split_once('=').map_or((rest, None), |(name, value)| (name, Some(value)));
        let Some(input) = process.inputs.iter().find(|input| input.name == name) else {
            let known: Vec<&str> = process.inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(CwlError::Failed(format!(
                "{} has no input {name:?}; it has {}",
                process.name,
                known.join(", ")
            )));
        };
        let is_flag = input.ty.members().contains(&Type::Boolean);
        let value = match inline {
            Some(text) => text.to_owned(),
            None if is_flag && words.peek().is_none_or(|next| next.starts_with("--")) => {
                "true".to_owned()
            }
            None => match words.next() {
                Some(text) => text.clone(),
                None => return Err(CwlError::Failed(format!("--{name} wants a value"))),
            },
        };
        let value = value_of(&value, &input.ty, here).ok_or_else(|| {
            CwlError::Failed(format!("--{name} wants {}, and {value:?} is none", input.ty))
        })?;
        let is_list = matches!(value, Value::Array(_));
        match (given.get_mut(name), value) {
            // Given several times, a list grows.
            (Some(Value::Array(items)), Value::Array(more)) if is_list => items.extend(more),
            (_, value) => {
                given.insert(name.to_owned(), value);
            }
        }
    }
    Ok(given)
}

fn value_of(text: &str, ty: &Type, here: &str) -> Option<Value> {
    match ty {
        Type::Union(members) => {
            let last = members.iter().filter(|member| **member != Type::Null);
            last.map(|member| value_of(text, member, here)).find(Option::is_some).flatten()
        }
        Type::Boolean => match text {
            "true" => Some(true.into()),
            "false" => Some(false.into()),
            _ => None,
        },
        Type::Int | Type::Long | Type::Float | Type::Double => {
            Number::parse(text).map(Value::Number)
        }
        Type::String | Type::Any => Some(text.into()),
        Type::Enum(words) => words.holds(text).then(|| text.into()),
        Type::File | Type::Stdin | Type::Directory => {
            let is_dir = *ty == Type::Directory;
            Some(file::of_location(&uri::join(here, &address_of(text, here)), is_dir))
        }
        Type::Array(array) => value_of(text, &array.items, here).map(|item| vec![item].into()),
        _ => None,
    }
}
