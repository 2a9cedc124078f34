//! From what the dispatcher wrote, and what was made ready of it, to what the runtime is asked for.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use model::{LaunchSecrets, SuperviseSpec};
use runtime::{ContainerSpec, Input, Limits, Mount, TextFile, UserSpec};

use crate::bridge;
use crate::inputs::Staged;

/// Processes and threads of one container: far above what JupyterLab with kernels takes, far below
/// what a fork bomb needs to hurt the machine. Fixed, the same for every container: there is no
/// key for it in the configuration.
const PIDS_MAX: u64 = 4096;

/// Puts together the container; `output` is its standard output and error, where they go to the logs.
pub(crate) fn spec_of(
    spec: &SuperviseSpec,
    secrets: LaunchSecrets,
    dir: &Path,
    staged: Staged,
    output: (OwnedFd, OwnedFd),
) -> ContainerSpec {
    let image = &spec.image_config;
    let cwd = spec.cwd.as_deref().unwrap_or(&image.working_dir);
    let env = env_of(spec, &secrets);
    let texts = secrets.mounts.contents.into_iter();
    let files = texts.map(|content| TextFile { target: content.target, text: content.text });
    ContainerSpec {
        id: spec.container_uuid.as_str().to_owned(),
        dir: dir.to_owned(),
        layers: spec.layers.clone(),
        argv: argv_of(spec),
        env,
        cwd: cwd.to_owned(),
        user: UserSpec::parse(spec.user.as_deref().unwrap_or(&image.user)),
        hostname: spec.container_uuid.as_str().to_owned(),
        mounts: in_mounting_order(staged.mounts),
        files: files.collect(),
        stdin: secrets.mounts.stdin.map_or(staged.stdin, Input::Text),
        listen: bridge::addresses(spec),
        limits: Limits {
            memory_bytes: (spec.ram_bytes > 0).then_some(spec.ram_bytes),
            pids_max: Some(PIDS_MAX),
            cpus: (spec.vcpus > 0).then_some(f64::from(spec.vcpus)),
        },
        stdout: staged.stdout.map_or(output.0, OwnedFd::from),
        stderr: staged.stderr.map_or(output.1, OwnedFd::from),
    }
}

/// A command replaces the image's entry point, as crunch-run with Singularity does; without one the
/// image's own runs.
pub(crate) fn argv_of(spec: &SuperviseSpec) -> Vec<String> {
    if !spec.command.is_empty() {
        return spec.command.clone();
    }
    let image = &spec.image_config;
    image.entrypoint.iter().chain(&image.cmd).cloned().collect()
}

/// The image's environment, overlaid by the request's, and that by the launch's own.
fn env_of(spec: &SuperviseSpec, secrets: &LaunchSecrets) -> Vec<(String, String)> {
    let from_image = spec.image_config.env.iter().filter_map(|entry| entry.split_once('='));
    let mut over = spec.environment.clone();
    over.extend(secrets.environment.clone());
    let mut env: Vec<(String, String)> = from_image
        .filter(|(name, _)| !name.is_empty() && !over.contains_key(*name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    env.extend(over);
    env
}

/// A mount must not hide one below it: outer targets first.
fn in_mounting_order(mut mounts: Vec<Mount>) -> Vec<Mount> {
    mounts.sort_by_key(|mount| Path::new(&mount.target).components().count());
    mounts
}

/// Removes what was made ready for mounts, with all that the container put there, whatever modes it gave it; fine if
/// there is nothing.
pub(crate) fn remove_mounts(dir: &Path) -> io::Result<()> {
    runtime::remove_tree(&dir.join("tmp"))?;
    runtime::remove_tree(&dir.join("manifests"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{ContainerUuid, ImageConfig, MountPlan};
    use std::os::unix::fs::PermissionsExt as _;

    fn spec() -> SuperviseSpec {
        SuperviseSpec {
            container_uuid: ContainerUuid::parse("wharf-dz642-aaaaaaaaaaaaaaa").unwrap(),
            command: vec![],
            environment: [("LANG".to_owned(), "C".to_owned())].into(),
            cwd: None,
            user: None,
            layers: vec!["/layers/a".into()],
            image_config: ImageConfig {
                entrypoint: vec!["/entry".into()],
                cmd: vec!["serve".into()],
                env: vec!["LANG=de_DE".into(), "PATH=/app".into(), "broken".into()],
                working_dir: "/app".into(),
                user: "app".into(),
            },
            published_ports: vec![],
            ram_bytes: 0,
            vcpus: 2,
            mounts: MountPlan::default(),
            output_path: None,
            output_glob: vec![],
            blocks: None,
            api: None,
            services: Vec::new(),
            tunnels: "/run/tunnels".into(),
            stop_grace_ms: 1,
            log_bytes_max: 1,
            service: true,
            busy_period_ms: 30_000,
        }
    }

    fn built(spec: &SuperviseSpec) -> ContainerSpec {
        built_with(spec, Staged::default(), LaunchSecrets::default())
    }

    fn built_with(spec: &SuperviseSpec, staged: Staged, secrets: LaunchSecrets) -> ContainerSpec {
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        spec_of(spec, secrets, Path::new("/dir"), staged, (null(), null()))
    }

    #[test]
    fn the_image_speaks_where_the_request_is_silent() {
        let container = built(&spec());
        assert_eq!(container.argv, ["/entry", "serve"]);
        assert_eq!((container.cwd.as_str(), container.user.user()), ("/app", "app"));
        assert_eq!(container.limits.memory_bytes, None);
        assert_eq!(container.limits.cpus, Some(2.0));
        let env: Vec<String> =
            container.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(env, ["PATH=/app", "LANG=C"]);
    }

    #[test]
    fn the_request_wins_and_outer_mounts_come_first() {
        let mount = |target: &str| Mount {
            source: "/srv".into(),
            target: target.to_owned(),
            writable: false,
        };
        let staged =
            Staged { mounts: vec![mount("/data/inner"), mount("/data")], ..Staged::default() };
        let mut secrets = LaunchSecrets::default();
        secrets.environment.insert("LANG".to_owned(), "fr".to_owned());
        let spec = SuperviseSpec {
            command: vec!["sh".into()],
            cwd: Some("/work".into()),
            user: Some("1000:1000".into()),
            ..spec()
        };
        let container = built_with(&spec, staged, secrets);
        assert!(container.env.contains(&("LANG".to_owned(), "fr".to_owned())));
        assert_eq!(container.argv, ["sh"]);
        assert_eq!(container.cwd, "/work");
        assert_eq!(container.user.group(), Some("1000"));
        let targets: Vec<&str> = container.mounts.iter().map(|it| it.target.as_str()).collect();
        assert_eq!(targets, ["/data", "/data/inner"]);
    }

    #[test]
    fn what_a_container_filled_goes_whatever_its_modes() {
        let dir = tempfile::tempdir().unwrap();
        // A closed directory with something in it, as package caches have them; only an ordinary
        // user is kept out by the mode.
        let closed = dir.path().join("tmp/0/closed");
        std::fs::create_dir_all(closed.join("inside")).unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
        remove_mounts(dir.path()).unwrap();
        remove_mounts(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
