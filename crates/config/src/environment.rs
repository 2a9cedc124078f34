//! The environment, read once; nothing else in the program looks at it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::database_url::DatabaseUrl;

/// What the environment says that we care about. Empty values count as unset.
#[derive(Clone, Default)]
pub struct Environment {
    /// `ARVADOS_API_HOST`: host or host:port.
    pub api_host: Option<String>,
    /// `ARVADOS_API_TOKEN`.
    pub api_token: Option<String>,
    /// `ARVADOS_API_HOST_INSECURE` is a yes word, as in Arvados clients.
    pub insecure: bool,
    /// `SSL_CERT_FILE`: roots to trust instead of the distribution's.
    pub ca_file: Option<PathBuf>,
    /// `WHARF_DATA`: the data directory, as `--data` has it.
    pub data_dir: Option<PathBuf>,
    /// `WHARF_DATABASE`: a PostgreSQL database, as `--database` has it, and not to be seen by others in a list of processes.
    pub database: Option<DatabaseUrl>,
    /// `XDG_DATA_HOME`.
    pub data_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the directory of Docker's `config.json`, instead of `~/.docker`.
    pub docker_config: Option<PathBuf>,
    /// `PATH`, split.
    pub search_path: Vec<PathBuf>,
    /// A graphical session is there (`DISPLAY` or `WAYLAND_DISPLAY`).
    pub has_display: bool,
    /// `BROWSER`: commands that open an address, with colons between them; `%s` stands for the address.
    pub browser: Option<String>,
    /// `COLUMNS`, the width of the terminal where the terminal itself does not say.
    pub columns: Option<usize>,
    /// `TERM`: what kind the terminal is.
    pub term: Option<String>,
    /// `NO_COLOR` is set: nothing is printed in colour.
    pub no_color: bool,
    /// `WHARF_LOG`: log directives instead of the config's.
    pub log_filter: Option<String>,
    /// `NOTIFY_SOCKET`: where a service manager hears how we are (sd_notify(3)).
    pub notify_socket: Option<OsString>,
}

impl Environment {
    /// Variables that hold secrets, which programs that we start for a person have no use for.
    pub const SECRETS: [&str; 2] = ["ARVADOS_API_TOKEN", "WHARF_DATABASE"];

    /// Reads the process's environment.
    pub fn read() -> Self {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// As [`Environment::read`], from any source; for tests.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| lookup(name).filter(|value| !value.is_empty());
        let text = |name| set(name).and_then(|value| value.into_string().ok());
        let path = |name| set(name).map(PathBuf::from);
        Self {
            api_host: text("ARVADOS_API_HOST"),
            api_token: text("ARVADOS_API_TOKEN"),
            insecure: text("ARVADOS_API_HOST_INSECURE").is_some_and(|word| is_yes(&word)),
            ca_file: path("SSL_CERT_FILE"),
            data_dir: path("WHARF_DATA"),
            database: text("WHARF_DATABASE").map(DatabaseUrl::from),
            data_home: path("XDG_DATA_HOME").filter(|path| path.is_absolute()),
            home: path("HOME"),
            docker_config: path("DOCKER_CONFIG"),
            search_path: set("PATH")
                .map(|paths| std::env::split_paths(&paths).collect())
                .unwrap_or_default(),
            has_display: set("DISPLAY").is_some() || set("WAYLAND_DISPLAY").is_some(),
            browser: text("BROWSER"),
            columns: text("COLUMNS").and_then(|columns| columns.parse().ok()),
            term: text("TERM"),
            no_color: set("NO_COLOR").is_some(),
            log_filter: text("WHARF_LOG"),
            notify_socket: set("NOTIFY_SOCKET"),
        }
    }

    /// The first file of that name on the search path that may be run.
    pub fn find_program(&self, name: &str) -> Option<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let runs = |path: &PathBuf| {
            path.metadata()
                .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        };
        self.search_path.iter().map(|dir| dir.join(name)).find(runs)
    }
}

/// The token stays out of debug output.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("api_host", &self.api_host)
            .field("api_token", &self.api_token.as_ref().map(|_secret| "…"))
            .field("insecure", &self.insecure)
            .finish_non_exhaustive()
    }
}

/// The words that Arvados clients take for a yes.
fn is_yes(word: &str) -> bool {
    matches!(word.to_ascii_lowercase().as_str(), "1" | "t" | "true" | "y" | "yes")
}

/// Where `wharf up` keeps its data unless `--data` says otherwise: `WHARF_DATA`, else the system's
/// place for root and the user's own (XDG base directories) for others.
pub fn default_data_dir(environment: &Environment) -> PathBuf {
    if let Some(dir) = &environment.data_dir {
        return dir.clone();
    }
    if rustix::process::geteuid().is_root() {
        return Path::new("/var/lib/wharf").to_owned();
    }
    let home = || environment.home.as_ref().map(|home| home.join(".local/share"));
    let data_home = environment.data_home.clone().or_else(home);
    data_home.map_or_else(|| std::env::temp_dir().join("wharf"), |dir| dir.join("wharf"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Environment::from_lookup(|name| {
            pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_words_for_insecure_are_those_of_arvados() {
        for (word, insecure) in
            [("1", true), ("Yes", true), ("true", true), ("0", false), ("", false)]
        {
            assert_eq!(environment(&[("ARVADOS_API_HOST_INSECURE", word)]).insecure, insecure);
        }
    }

    #[test]
    fn empty_values_count_as_unset_and_tokens_do_not_print() {
        let environment = environment(&[("ARVADOS_API_HOST", ""), ("ARVADOS_API_TOKEN", "hush")]);
        assert_eq!(environment.api_host, None);
        assert!(!format!("{environment:?}").contains("hush"));
    }
}
