//! One value of the config: how it is read from the file, checked and shown.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::units::{ByteSize, parse_duration, show_duration};

/// A type that a key of the config can have.
pub trait Setting: Sized {
    /// Reads it, or says in words what should stand there.
    fn from_value(value: &Value) -> Result<Self, String>;
    /// As it would be written in the file.
    fn show(&self) -> String;
}

/// What a wrong value looks like in a message: short, on one line.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        scalar => scalar.to_string(),
    }
}

fn expected(what: &str, value: &Value) -> String {
    format!("must be {what}, is {}", shown(value))
}

impl Setting for bool {
    fn from_value(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| expected("true or false", value))
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

/// Whole numbers of every width; the width's own bounds are part of the message.
macro_rules! whole_number_settings {
    ($($number:ty),*) => {$(
        impl Setting for $number {
            fn from_value(value: &Value) -> Result<Self, String> {
                value.as_u64().and_then(|n| <$number>::try_from(n).ok()).ok_or_else(|| {
                    expected(&format!("a whole number from 0 to {}", <$number>::MAX), value)
                })
            }
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
whole_number_settings!(u16, u32, u64, usize);

impl Setting for f64 {
    fn from_value(value: &Value) -> Result<Self, String> {
        value.as_f64().filter(|n| n.is_finite()).ok_or_else(|| expected("a number", value))
    }
    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Setting for String {
    fn from_value(value: &Value) -> Result<Self, String> {
        value.as_str().map(str::to_owned).ok_or_else(|| expected("text", value))
    }
    fn show(&self) -> String {
        Value::from(self.as_str()).to_string()
    }
}

impl Setting for ByteSize {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => text.parse(),
            Value::Number(n) => {
                n.as_u64().map(Self::bytes).ok_or_else(|| expected("a size", value))
            }
            _ => Err(expected("a size such as 512MiB", value)),
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Duration {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => parse_duration(text),
            Value::Number(n) => Err(format!("needs a unit; write {n}s if seconds are meant")),
            _ => Err(expected("a duration such as 10s", value)),
        }
    }
    fn show(&self) -> String {
        show_duration(*self)
    }
}

impl Setting for SocketAddr {
    fn from_value(value: &Value) -> Result<Self, String> {
        let what = "an address and port such as 127.0.0.1:8000";
        let text = value.as_str().ok_or_else(|| expected(what, value))?;
        text.parse().map_err(|_not_an_address| expected(what, value))
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for IpAddr {
    fn from_value(value: &Value) -> Result<Self, String> {
        let what = "an address such as 10.0.0.1";
        let text = value.as_str().ok_or_else(|| expected(what, value))?;
        text.parse().map_err(|_not_an_address| expected(what, value))
    }
    fn show(&self) -> String {
        Value::from(self.to_string()).to_string()
    }
}

impl Setting for PathBuf {
    fn from_value(value: &Value) -> Result<Self, String> {
        let path = value.as_str().map(Self::from).filter(|path| path.is_absolute());
        path.ok_or_else(|| expected("an absolute path", value))
    }
    fn show(&self) -> String {
        self.display().to_string()
    }
}

/// `null` and an absent key are none.
impl<T: Setting> Setting for Option<T> {
    fn from_value(value: &Value) -> Result<Self, String> {
        if value.is_null() { Ok(None) } else { T::from_value(value).map(Some) }
    }
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), T::show)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn from_value(value: &Value) -> Result<Self, String> {
        let items = value.as_array().ok_or_else(|| expected("a list", value))?;
        let read =
            |(i, item)| T::from_value(item).map_err(|text| format!("item {}: {text}", i + 1));
        items.iter().enumerate().map(read).collect()
    }
    fn show(&self) -> String {
        let items: Vec<String> = self.iter().map(T::show).collect();
        format!("[{}]", items.join(", "))
    }
}

/// Names and texts, as in `{prompt: login}`.
impl Setting for BTreeMap<String, String> {
    fn from_value(value: &Value) -> Result<Self, String> {
        let pairs =
            value.as_object().ok_or_else(|| expected("a mapping of names to texts", value))?;
        let read = |(name, value): (&String, &Value)| {
            let text = value.as_str().ok_or_else(|| format!("{name}: must be text"))?;
            Ok((name.clone(), text.to_owned()))
        };
        pairs.iter().map(read).collect()
    }
    fn show(&self) -> String {
        let pairs = self.iter().map(|(name, text)| format!("{}: {}", name.show(), text.show()));
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
    }
}

/// Declares a section of the config: a struct whose fields know their key, default, bounds and reason.
///
/// The doc comment of a field is its reason and is printed by `config check`.
macro_rules! settings {
    ($(#[doc = $about:literal])+ $vis:vis struct $name:ident {
        $($(#[doc = $why:literal])+ $key:literal $field:ident : $type:ty = $default:expr $(, $min:expr => $max:expr)? ;)*
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name { $($(#[doc = $why])+ pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $name {
            /// Puts what the file says over the present values; wrong values are reported and left out.
            pub(crate) fn overlay(
                &mut self,
                section: &mut $crate::raw::Section,
                problems: &mut Vec<$crate::raw::Problem>,
            ) {
                $(if let Some(value) = section.take::<$type>($key, problems) {
                    $(let value = $crate::setting::within(value, &$min, &$max, section.path($key), problems);)?
                    self.$field = value;
                })*
            }

            /// Key, value and reason of every field, in order.
            pub(crate) fn describe(&self) -> Vec<$crate::setting::Line> {
                vec![$($crate::setting::Line {
                    key: $key,
                    value: $crate::setting::Setting::show(&self.$field),
                    why: concat!($($why),+).trim(),
                },)*]
            }
        }
    };
}
pub(crate) use settings;

/// One line of `config check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    pub(crate) why: &'static str,
}

/// Reports a value outside its bounds (both inclusive); returns it unchanged, as a problem ends the reading anyway.
pub(crate) fn within<T: Setting + PartialOrd>(
    value: T,
    min: &T,
    max: &T,
    path: String,
    problems: &mut Vec<crate::raw::Problem>,
) -> T {
    if value < *min || value > *max {
        let text = format!("must be from {} to {}, is {}", min.show(), max.show(), value.show());
        problems.push(crate::raw::Problem { path, text });
    }
    value
}
