//! Inputs that are secrets (`cwltool:Secrets`): names stand for them in all values, so that expressions, records and messages
//! never have them. Only the text of a file gets them back, when it is put in its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::document::Process;
use crate::error::{Result, fail};
use crate::requirements::SECRETS;
use crate::stage::{Content, Staged};
use crate::uri;
use crate::value::{Object, Value};

/// Secrets of a run by the names that stand for them. Cheap to clone.
#[derive(Clone, Default)]
pub struct Secrets(Arc<BTreeMap<String, Secret>>);

struct Secret {
    input: String,
    text: SecretText,
}

/// Text that is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The text, for where it belongs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText")
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Secrets").field(&self.0.len()).finish()
    }
}

impl Secrets {
    /// Takes the secrets that a process names out of its input object. `fresh` gives names that nobody can guess.
    pub fn take(
        process: &Process,
        given: &mut Object,
        mut fresh: impl FnMut() -> String,
    ) -> Result<Self> {
        let mut all = BTreeMap::new();
        let named = process.requirements.iter().chain(&process.hints);
        for requirement in named.filter(|requirement| requirement.class == SECRETS) {
            for name in requirement.get("secrets").as_array().unwrap_or_default() {
                let name = uri::short_name(name.as_str().unwrap_or_default());
                let Some(input) = process.inputs.iter().find(|input| input.name == name) else {
                    fail!("{}: there is no input {name:?} to be a secret", requirement.place);
                };
                let value = given.get(name).or(input.default.as_ref());
                let text = match value {
                    None | Some(Value::Null) => continue,
                    Some(Value::String(text)) if all.contains_key(text) => continue,
                    Some(Value::String(text)) => SecretText(text.clone()),
                    Some(other) => {
                        fail!(
                            "the input {name:?} is a secret and {}; secrets are text",
                            other.kind()
                        )
                    }
                };
                let stand_in = fresh();
                given.insert(name.to_owned(), stand_in.as_str().into());
                all.insert(stand_in, Secret { input: name.to_owned(), text });
            }
        }
        Ok(Self(Arc::new(all)))
    }

    /// Refuses text that anybody may read where a secret is meant to be in it.
    pub fn refuse_in(&self, text: &str, what: &str) -> Result<()> {
        if let Some((_, secret)) = self.0.iter().find(|(name, _)| text.contains(name.as_str())) {
            fail!(
                "the input {:?} is a secret, and {what} is seen by others; put it into a file with \
                 InitialWorkDirRequirement",
                secret.input
            );
        }
        Ok(())
    }

    /// Puts secrets into the texts of files that are to have them.
    pub fn put_into(&self, staged: &mut [Staged]) -> Result<()> {
        for item in staged {
            self.refuse_in(&item.target, "the name of a file")?;
            let Content::Text(text) = &item.content else { continue };
            if !self.0.keys().any(|name| text.contains(name.as_str())) {
                continue;
            }
            let mut text = text.clone();
            for (name, secret) in self.0.iter() {
                text = text.replace(name.as_str(), &secret.text.0);
            }
            item.content = Content::Secret(SecretText(text));
        }
        Ok(())
    }
}
