//! Files of one container's directory; the supervisor's `files` module knows the same names.

use std::path::{Path, PathBuf};

use model::ContainerUuid;

/// `<data>/containers/<container uuid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerDir(PathBuf);

impl ContainerDir {
    /// The directory of `container` below the data directory.
    pub fn of(data_dir: &Path, container: ContainerUuid) -> Self {
        Self(containers_dir(data_dir).join(container.as_str()))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The [`model::SuperviseSpec`] as JSON.
    pub fn spec(&self) -> PathBuf {
        self.0.join("spec.json")
    }

    /// The [`model::LaunchSecrets`] as JSON, until the supervisor has read them.
    pub fn launch_secrets(&self) -> PathBuf {
        self.0.join("launch-secrets.json")
    }

    /// Directory of the manifests of collections that are mounted, each named by its portable data hash.
    pub fn manifests(&self) -> PathBuf {
        self.0.join("manifests")
    }

    /// The manifest of what the container made, once the supervisor has saved it.
    pub fn output_manifest(&self) -> PathBuf {
        self.0.join("output.manifest")
    }

    /// The manifest of its logs, once they were saved.
    pub fn log_manifest(&self) -> PathBuf {
        self.0.join("log.manifest")
    }

    /// The launch secret in hex. The container counts as launched while this file exists.
    pub fn secret(&self) -> PathBuf {
        self.0.join("secret")
    }

    /// The [`model::SupervisorState`] as JSON.
    pub fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// `<pid> <start time in ticks>` of the supervisor, written by itself.
    pub fn pid(&self) -> PathBuf {
        self.0.join("pid")
    }

    /// Directory of the log files.
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// The supervisor's own words to the user.
    pub fn crunch_run_log(&self) -> PathBuf {
        self.log().join("crunch-run.txt")
    }

    /// Standard error of the supervisor: its panics and warnings, for people who look after Wharf.
    pub fn supervisor_log(&self) -> PathBuf {
        self.log().join("supervisor.txt")
    }
}

/// Where all container directories are.
pub fn containers_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("containers")
}

/// Where each controller has its socket for supervisors.
pub fn tunnels_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("run").join("tunnels")
}

/// Where each controller says at which address the API is, for the programs in containers.
pub fn apis_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("run").join("api")
}

/// Held by the process that dispatches.
pub fn dispatch_lock(data_dir: &Path) -> PathBuf {
    data_dir.join("run").join("dispatch.lock")
}
