//! Who we are to registries: what `docker login` wrote.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::error::PullError;

/// A name and what proves it.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub name: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, …)", self.name)
    }
}

impl Login {
    /// As `Authorization: Basic` has it.
    pub(crate) fn basic(&self) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", self.name, self.password)))
    }
}

/// Docker's `config.json`, as far as it is about credentials.
#[derive(Debug, Default, Deserialize)]
pub struct Logins {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
struct Auth {
    /// `name:password` in Base64.
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth(…)")
    }
}

impl Logins {
    /// Reads the file; there need not be one.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn load(path: &Path) -> Result<Self, PullError> {
        let wrong = |why: String| PullError::Credentials { path: path.to_owned(), why };
        match fs::read_to_string(path) {
            // Only where it went wrong is told: the rest may be a password.
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| wrong(format!("no JSON of Docker's at line {}", error.line()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// The login for a registry, none where we are a stranger.
    ///
    /// # Errors
    /// When a program has it.
    pub(crate) fn of(&self, registry: &str) -> Result<Option<Login>, PullError> {
        let own = self.auths.iter().filter(|(key, _)| is_key_of(key, registry));
        for (_, auth) in own {
            if let Some(login) = login(auth) {
                return Ok(Some(login));
            }
        }
        let helper = self.helpers.iter().find(|(key, _)| is_key_of(key, registry));
        // A store says nothing of whether it has this one; an empty entry of it does.
        let stored =
            self.store.as_ref().filter(|_| self.auths.keys().any(|key| is_key_of(key, registry)));
        match helper.map(|(_, helper)| helper).or(stored) {
            Some(helper) => {
                Err(PullError::Helper { registry: registry.to_owned(), helper: helper.clone() })
            }
            None => Ok(None),
        }
    }
}

/// Docker writes hosts, and for its own registry an address.
fn is_key_of(key: &str, registry: &str) -> bool {
    let host = key.trim_start_matches("https://").trim_start_matches("http://");
    let host = host.split('/').next().unwrap_or(host);
    host == registry || (registry == "docker.io" && host == "index.docker.io")
}

fn login(auth: &Auth) -> Option<Login> {
    if !auth.username.is_empty() {
        return Some(Login { name: auth.username.clone(), password: auth.password.clone() });
    }
    let decoded = BASE64_STANDARD.decode(auth.auth.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (name, password) = text.trim_end_matches('\0').split_once(':')?;
    (!name.is_empty()).then(|| Login { name: name.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_found_by_registry() {
        let logins: Logins = serde_json::from_str(
            r#"{"auths": {"localhost:5000": {"auth": "YWRhOmEgc2VjcmV0"}, "registry.example": {},
                "https://index.docker.io/v1/": {"username": "bob", "password": "p:w"}},
                "credsStore": "desktop", "credHelpers": {"images.example": "gcloud"}}"#,
        )
        .unwrap();
        let of = |registry| logins.of(registry).unwrap();
        let login = |name: &str, password: &str| {
            Some(Login { name: name.to_owned(), password: password.to_owned() })
        };
        assert_eq!(of("localhost:5000"), login("ada", "a secret"));
        assert_eq!(of("docker.io"), login("bob", "p:w"));
        assert_eq!(of("elsewhere.example"), None);
        for (registry, helper) in [("registry.example", "desktop"), ("images.example", "gcloud")] {
            let error = logins.of(registry).unwrap_err().to_string();
            assert!(error.contains(helper), "{error}");
        }
        let shown = format!("{logins:?} {:?}", of("localhost:5000"));
        assert!(!shown.contains("secret") && !shown.contains("YWRh"), "{shown}");
    }
}
