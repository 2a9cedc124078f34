//! How the commands reach the API: from the environment, else from the local instance's own file.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use model::ApiToken;
use serde::{Deserialize, Serialize};

use crate::environment::Environment;

/// The file's name in the data directory.
pub const CREDENTIALS_FILE: &str = "credentials.json";

/// What `wharf up` leaves in `credentials.json` (0600) for the commands of the same user.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `localhost:8000`, as `ARVADOS_API_HOST` has it.
    pub api_host: String,
    /// The address the commands use, `http://localhost:8000`: plain, as it stays on this machine.
    pub api_url: Option<String>,
    /// The administrator's token.
    pub token: ApiToken,
    /// Certificate of the local authority, for clients that use https.
    pub ca_file: Option<PathBuf>,
    /// True if certificates are not to be checked.
    pub insecure: bool,
}

/// How to reach an API: the one thing that a client needs.
#[derive(Clone, Debug)]
pub struct ApiAccess {
    /// `http://localhost:8000` or `https://host`, without a trailing slash.
    pub base_url: String,
    /// As `ARVADOS_API_HOST` has it.
    pub api_host: String,
    /// Who we are.
    pub token: ApiToken,
    /// Roots to trust instead of the distribution's.
    pub ca_file: Option<PathBuf>,
    /// True if certificates are not to be checked.
    pub insecure: bool,
}

/// Why we do not know how to reach an API.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Neither environment nor file.
    #[error(
        "no Wharf found: start one with `wharf up`, or set ARVADOS_API_HOST and ARVADOS_API_TOKEN \
         (looked for {})", file.display()
    )]
    Nowhere {
        /// The file that is not there.
        file: PathBuf,
    },
    /// Only one of the two variables is set.
    #[error("{set} is set but {missing} is not: set both, or neither for the local instance")]
    HalfSet {
        /// Name of the variable that is set.
        set: &'static str,
        /// Name of the other.
        missing: &'static str,
    },
    /// A variable has a value that cannot be used.
    #[error("{name} {problem}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What is wrong and what to write.
        problem: &'static str,
    },
    /// The file is there and cannot be read.
    #[error("cannot read {}: run the command as the user who runs `wharf up`", file.display())]
    Unreadable {
        /// Its path.
        file: PathBuf,
        /// From the system.
        #[source]
        source: io::Error,
    },
    /// The file is there and is not what we write.
    #[error("{} is damaged; start `wharf up` again to have it written anew", file.display())]
    Damaged {
        /// Its path.
        file: PathBuf,
        /// What the parser found.
        #[source]
        source: serde_json::Error,
    },
}

/// The file's JSON. Unknown keys are left alone: a later version may write more.
#[derive(Serialize, Deserialize)]
struct File {
    api_host: String,
    token: String,
    #[serde(default)]
    ca_file: Option<PathBuf>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    api_url: Option<String>,
}

impl Credentials {
    /// Reads `credentials.json` of a data directory.
    pub fn load(data_dir: &Path) -> Result<Self, AccessError> {
        let file = data_dir.join(CREDENTIALS_FILE);
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(AccessError::Nowhere { file });
            }
            Err(source) => return Err(AccessError::Unreadable { file, source }),
        };
        let parsed = serde_json::from_slice::<File>(&text).and_then(|content| {
            let token = ApiToken::parse(&content.token).map_err(serde::de::Error::custom)?;
            Ok((content, token))
        });
        let (content, token) = parsed.map_err(|source| AccessError::Damaged { file, source })?;
        Ok(Self {
            api_host: content.api_host,
            api_url: content.api_url,
            token,
            ca_file: content.ca_file,
            insecure: content.insecure,
        })
    }

    /// Replaces the file in one step, readable by its owner only, and makes it last.
    pub fn save(&self, data_dir: &Path) -> io::Result<()> {
        let content = File {
            api_host: self.api_host.clone(),
            token: self.token.expose(),
            ca_file: self.ca_file.clone(),
            insecure: self.insecure,
            api_url: self.api_url.clone(),
        };
        let mut text = serde_json::to_vec_pretty(&content)?;
        text.push(b'\n');
        let fresh = data_dir.join(format!("{CREDENTIALS_FILE}.new"));
        // A leftover of a crash may have other permissions; it goes first.
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&fresh, data_dir.join(CREDENTIALS_FILE))?;
        std::fs::File::open(data_dir)?.sync_all()
    }
}

impl ApiAccess {
    /// The environment where it is set, else the credentials file of `data_dir`.
    pub fn find(environment: &Environment, data_dir: &Path) -> Result<Self, AccessError> {
        match (&environment.api_host, &environment.api_token) {
            (Some(host), Some(token)) => Self::from_environment(environment, host, token),
            (None, None) => Credentials::load(data_dir).map(Self::from),
            (Some(_), None) => {
                Err(AccessError::HalfSet { set: "ARVADOS_API_HOST", missing: "ARVADOS_API_TOKEN" })
            }
            (None, Some(_)) => {
                Err(AccessError::HalfSet { set: "ARVADOS_API_TOKEN", missing: "ARVADOS_API_HOST" })
            }
        }
    }

    fn from_environment(
        environment: &Environment,
        host: &str,
        token: &str,
    ) -> Result<Self, AccessError> {
        let sound = host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
        if !sound {
            let problem =
                "must be a host, or a host and port such as localhost:8000, without https://";
            return Err(AccessError::Variable { name: "ARVADOS_API_HOST", problem });
        }
        let token = ApiToken::parse(token).map_err(|_not_v2| AccessError::Variable {
            name: "ARVADOS_API_TOKEN",
            problem: "is no token of the form v2/<uuid>/<secret>; `wharf token create` prints one",
        })?;
        Ok(Self {
            base_url: format!("https://{host}"),
            api_host: host.to_owned(),
            token,
            ca_file: environment.ca_file.clone(),
            insecure: environment.insecure,
        })
    }
}

impl From<Credentials> for ApiAccess {
    fn from(credentials: Credentials) -> Self {
        let https = || format!("https://{}", credentials.api_host);
        let base_url = credentials.api_url.clone().unwrap_or_else(https);
        Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_host: credentials.api_host,
            token: credentials.token,
            ca_file: credentials.ca_file,
            insecure: credentials.insecure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "v2/wharf-gj3su-0123456789abcde/0123456789abcdefghijklmnopqrstuvwxyz";

    fn environment(host: Option<&str>, token: Option<&str>) -> Environment {
        Environment {
            api_host: host.map(str::to_owned),
            api_token: token.map(str::to_owned),
            ..Environment::default()
        }
    }

    #[test]
    fn what_was_saved_is_found_and_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let saved = Credentials {
            api_host: "localhost:8000".to_owned(),
            api_url: Some("http://localhost:8000/".to_owned()),
            token: ApiToken::parse(TOKEN).unwrap(),
            ca_file: None,
            insecure: false,
        };
        saved.save(dir.path()).unwrap();
        saved.save(dir.path()).unwrap();
        let mode = dir.path().join(CREDENTIALS_FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let found = ApiAccess::find(&Environment::default(), dir.path()).unwrap();
        assert_eq!(found.base_url, "http://localhost:8000");
        assert_eq!(found.token.expose(), TOKEN);
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let found = ApiAccess::find(&environment(Some("h:1"), Some(TOKEN)), dir.path()).unwrap();
        assert_eq!(found.base_url, "https://h:1");
    }

    #[test]
    fn each_way_of_not_knowing_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let check = |host, token, words: &str| {
            let error = ApiAccess::find(&environment(host, token), dir.path()).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        };
        check(None, None, "wharf up");
        check(Some("h"), None, "ARVADOS_API_TOKEN is not");
        check(None, Some(TOKEN), "ARVADOS_API_HOST is not");
        check(Some("https://h"), Some(TOKEN), "ARVADOS_API_HOST must be");
        check(Some("h"), Some("v1token"), "ARVADOS_API_TOKEN is no token");
        std::fs::write(dir.path().join(CREDENTIALS_FILE), "{").unwrap();
        check(None, None, "is damaged");
    }
}
