//! A value that is not shown.

use std::fmt;

use serde_json::Value;

use crate::setting::Setting;

/// What stands in the place of a secret where the config is printed.
const NOT_SHOWN: &str = "(not shown)";

/// Text that only whoever it is for may read.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Setting for Secret {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            // A printed config must not be taken for one that is whole.
            Some(NOT_SHOWN) => Err(format!("{NOT_SHOWN} stands for a secret that was left out")),
            Some("") => Err("must not be empty".to_owned()),
            Some(text) => Ok(Self(text.to_owned())),
            None => Err("must be text".to_owned()),
        }
    }

    fn show(&self) -> String {
        Value::from(NOT_SHOWN).to_string()
    }
}
