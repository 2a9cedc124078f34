//! The command line of a tool and its inputs.

use crate::document::{Binding, Input, Tool};
use crate::error::{Result, fail};
use crate::expr::{Scope, evaluate_value};
use crate::json::{Layout, write};
use crate::types::Type;
use crate::value::{Object, Value};

/// A part of a sort key: numbers go before names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(i64),
    Name(String),
}

/// A word of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    text: String,
    /// Whether a shell must take it as it is.
    quoted: bool,
}

/// Words, and where they go.
#[derive(Debug)]
struct Bound {
    key: Vec<Part>,
    words: Vec<Word>,
}

/// The words that a tool is run with. `use_shell` makes them one line for `/bin/sh`.
pub fn command_line(
    tool: &Tool,
    inputs: &[Input],
    values: &Object,
    scope: &Scope<'_>,
    use_shell: bool,
) -> Result<Vec<String>> {
    let mut binder = Binder { scope, bound: Vec::new() };
    for (n, argument) in tool.arguments.iter().enumerate() {
        let position = binder.position(argument, &crate::value::NULL)?;
        let index = i64::try_from(n).unwrap_or(i64::MAX);
        let words = binder.words(argument, &crate::value::NULL, Origin::Argument)?;
        binder.bound.push(Bound { key: vec![Part::Number(position), Part::Number(index)], words });
    }
    for input in inputs {
        let value = values.get(&input.name).unwrap_or(&crate::value::NULL);
        let tail = [Part::Name(input.name.clone())];
        let bound = binder.bind(&input.ty, value, input.binding.as_ref(), &[], &tail);
        bound.map_err(|error| error.within(format!("input {:?}", input.name)))?;
    }
    let mut bound = binder.bound;
    // Stable: equal keys stay in the order of the document.
    bound.sort_by(|a, b| a.key.cmp(&b.key));
    let base = tool.base_command.iter().map(|text| Word { text: text.clone(), quoted: true });
    let words: Vec<Word> = base.chain(bound.into_iter().flat_map(|bound| bound.words)).collect();
    if !use_shell {
        return Ok(words.into_iter().map(|word| word.text).collect());
    }
    let line: Vec<String> = words
        .into_iter()
        .map(|word| if word.quoted { quote(&word.text) } else { word.text })
        .collect();
    Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), line.join(" ")])
}

/// What a binding belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// An entry of `arguments`, which has no value of its own.
    Argument,
    /// An input, or a part of one.
    Input,
}

struct Binder<'s, 'v> {
    scope: &'s Scope<'v>,
    bound: Vec<Bound>,
}

impl Binder<'_, '_> {
    /// Binds a value and what is in it. `lead` comes before its own position in the key, `tail` behind.
    fn bind(
        &mut self,
        ty: &Type,
        value: &Value,
        binding: Option<&Binding>,
        lead: &[Part],
        tail: &[Part],
    ) -> Result<()> {
        let member = ty.member_of(value).unwrap_or(ty);
        let typed = match member {
            Type::Record(record) => record.binding.as_ref(),
            Type::Enum(words) => words.binding.as_ref(),
            _ => None,
        };
        let binding = binding.or(typed);
        let mut key = lead.to_vec();
        if let Some(binding) = binding {
            key.push(Part::Number(self.position(binding, value)?));
            key.extend_from_slice(tail);
            let words = self.words(binding, value, Origin::Input)?;
            self.bound.push(Bound { key: key.clone(), words });
            if binding.value_from.is_some() {
                return Ok(());
            }
        }
        match (member, value) {
            (Type::Array(array), Value::Array(items)) => {
                let is_joined = binding.is_some_and(|binding| binding.item_separator.is_some());
                let implicit = Binding::default();
                let of_items = array
                    .binding
                    .as_ref()
                    .or((binding.is_some() && !is_joined).then_some(&implicit));
                for (n, item) in items.iter().enumerate() {
                    let index = Part::Number(i64::try_from(n).unwrap_or(i64::MAX));
                    if binding.is_some() || of_items.is_none() {
                        let lead = [key.as_slice(), &[index]].concat();
                        self.bind(&array.items, item, of_items, &lead, tail)?;
                    } else {
                        let tail = [&[index], tail].concat();
                        self.bind(&array.items, item, of_items, &key, &tail)?;
                    }
                }
            }
            (Type::Record(record), Value::Object(entries)) => {
                for field in &record.fields {
                    let value = entries.get(&field.name).unwrap_or(&crate::value::NULL);
                    let tail = [Part::Name(field.name.clone())];
                    self.bind(&field.ty, value, field.binding.as_ref(), &key, &tail)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn position(&self, binding: &Binding, value: &Value) -> Result<i64> {
        let position = evaluate_value(&binding.position, &self.scope.with_self(value))?;
        match (&position, position.as_i64()) {
            (Value::Null, _) => Ok(0),
            (_, Some(number)) => Ok(number),
            _ => fail!(
                "position is {}, and must be a whole number",
                write(&position, Layout::Sorted)
            ),
        }
    }

    /// The words of one value, those of its parts left out.
    fn words(&self, binding: &Binding, value: &Value, origin: Origin) -> Result<Vec<Word>> {
        let evaluated = match &binding.value_from {
            Some(from) if !value.is_null() || origin == Origin::Argument => {
                Some(evaluate_value(from, &self.scope.with_self(value))?)
            }
            _ => None,
        };
        let replaced = evaluated.is_some();
        let value = evaluated.as_ref().unwrap_or(value);
        let quoted = binding.shell_quote.unwrap_or(true);
        let separate = binding.separate.unwrap_or(true);
        if !separate && binding.prefix.is_none() {
            fail!("separate is false, and there is no prefix to put the value behind");
        }
        let word = |text: String| Word { text, quoted };
        let prefix = || binding.prefix.clone().map(word);
        let texts: Vec<String> = match value {
            Value::Null | Value::Bool(false) => return Ok(Vec::new()),
            Value::Bool(true) => return Ok(prefix().into_iter().collect()),
            Value::Array(items) if items.is_empty() => return Ok(Vec::new()),
            Value::Array(items) => match &binding.item_separator {
                Some(separator) => {
                    let items: Vec<String> = items.iter().map(text_of).collect();
                    vec![items.join(separator)]
                }
                None if replaced => items.iter().map(text_of).collect(),
                None => return Ok(prefix().into_iter().collect()),
            },
            Value::Object(_) if !crate::file::is_object(value) => {
                return Ok(prefix().into_iter().collect());
            }
            other => vec![text_of(other)],
        };
        Ok(match &binding.prefix {
            Some(prefix) if !separate => {
                texts.into_iter().map(|text| word(format!("{prefix}{text}"))).collect()
            }
            _ => prefix().into_iter().chain(texts.into_iter().map(word)).collect(),
        })
    }
}

/// A value as one word.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(_) if crate::file::is_object(value) => {
            value.text("path").unwrap_or_default().to_owned()
        }
        other => write(other, Layout::Sorted),
    }
}

/// A word that a shell takes as it is.
pub fn quote(text: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !text.is_empty() && text.chars().all(is_safe) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}
