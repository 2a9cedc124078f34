//! Arvados's own clients, as they come from PyPI, against a whole Wharf over TLS.
//!
//! Our own scripts (`tests/clients`) prove each part alone. Where the outside scenarios lie beside the clone they run
//! too, unchanged; in a copy, since some of them write beside themselves.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testkit::{Wharf, images};

/// Longest that a script of ours takes; a scenario has a limit of its own.
const SCRIPT_SECONDS: &str = "180";

/// A Wharf and a home of their own for clients, so that nothing cached is taken for an answer.
struct Site {
    wharf: Wharf,
    home: TempDir,
}

impl Site {
    fn start() -> Self {
        let home = TempDir::with_prefix("wharf-clients-").expect("a temporary folder");
        Self { wharf: Wharf::start(), home }
    }

    /// A program that finds the clients first, and the site by its environment.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let venv = images::clients();
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", venv.join("bin").display());
        command.env_clear().env("PATH", path).env("HOME", self.home.path()).env("VENV", venv);
        command.env("TMPDIR", self.home.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("LANG", "C.UTF-8");
        command
            .env("ARVADOS_API_HOST", self.wharf.api_host())
            .env("ARVADOS_API_TOKEN", self.wharf.token())
            .env("SSL_CERT_FILE", self.wharf.data().join("ca.pem"));
        command.current_dir(self.home.path());
        command
    }

    /// One of our scripts, which says PASS at its end.
    fn prove(&self, script: &str) {
        self.prove_as(self.wharf.token(), script);
    }

    /// The same, as whoever has this token.
    fn prove_as(&self, token: &str, script: &str) {
        let script = images::client_scripts().join(script);
        let mut command = self.command("timeout");
        command.arg(SCRIPT_SECONDS).arg("python3").arg(script).env("ARVADOS_API_TOKEN", token);
        let output = command.output();
        let output = output.expect("python runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_proved = output.status.success() && said.lines().any(|line| line == "PASS");
        assert!(is_proved, "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The outside scenarios of these names, in order.
    fn play(&self, acceptance: &Path, scenarios: &str) {
        let copy = self.copy(&acceptance.join("arvados"));
        let results = self.home.path().join("results");
        let mut command = self.command("bash");
        command.arg(copy.join("scenarios/all.sh")).env("SCENARIOS", scenarios);
        command.env("OUTDIR", &results).env("FAST", "1");
        let output = command.output().expect("bash runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let mut logs = String::new();
            for line in said.lines().filter_map(|line| line.strip_prefix("FAIL ")) {
                let name = line.split_whitespace().next().unwrap_or_default();
                let log = results.join("all").join(format!("{name}.log"));
                logs += &std::fs::read_to_string(log).unwrap_or_default();
            }
            panic!("{said}\n{logs}\n{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    fn copy(&self, folder: &Path) -> PathBuf {
        let copy = self.home.path().join("arvados");
        let status = Command::new("cp").arg("-r").arg(folder).arg(&copy).status();
        assert!(status.expect("cp runs").success(), "copying {}", folder.display());
        copy
    }

    fn finish(self) {
        self.wharf.finish();
    }
}

#[test]
fn arvados_sdk_keeps_and_finds_records() {
    let site = Site::start();
    site.prove("sdk.py");
    site.finish();
}

#[test]
fn arvados_sdk_hears_events_by_websocket_and_by_polling() {
    let site = Site::start();
    site.prove("events.py");
    site.finish();
}

#[test]
fn arvados_sdk_keeps_and_finds_files() {
    let site = Site::start();
    site.prove("files.py");
    site.finish();
}

#[test]
fn arvados_command_line_clients_bring_files_there_and_back() {
    let site = Site::start();
    site.prove("put_get.py");
    site.finish();
}

#[test]
#[ignore = "takes minutes: cargo xtask test --slow"]
fn arvados_cwl_runner_runs_a_submitted_workflow_in_a_container() {
    let site = Site::start();
    for name in ["busybox.docker.tar", "jobs.docker.tar"] {
        site.wharf.import(name);
    }
    site.prove("submitted.py");
    site.finish();
}

#[test]
fn arvados_runner_of_an_ordinary_user_finds_the_site_s_images() {
    let site = Site::start();
    site.wharf.import("busybox.docker.tar");
    let (_, token) = site.wharf.new_user("ada");
    site.prove_as(&token, "workflow.py");
    site.finish();
}

#[test]
fn outside_scenarios_of_the_sdk_and_of_files_pass() {
    let Some(acceptance) = images::acceptance() else { return };
    let site = Site::start();
    site.play(&acceptance, "s1_sdk.py s9_events.py s2_put_get.sh s3_keepdocker.sh");
    site.finish();
}

/// Without `s4_service.sh`: its helper sends a token to a private port only after a 401, and ours says 403 by its contract
/// (docs/testing.md says why).
#[test]
fn outside_scenarios_of_services_pass() {
    let Some(acceptance) = images::acceptance() else { return };
    let site = Site::start();
    site.play(&acceptance, "s3_keepdocker.sh s7_service_ports.sh");
    site.finish();
}

#[test]
#[ignore = "takes minutes: cargo xtask test --slow"]
fn outside_scenarios_of_images_and_workflows_pass() {
    let Some(acceptance) = images::acceptance() else { return };
    let site = Site::start();
    site.play(&acceptance, "s3_keepdocker.sh s11_image_import.sh s5_workflow_local.sh");
    site.finish();
}
