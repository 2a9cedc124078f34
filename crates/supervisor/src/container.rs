//! From what the dispatcher wrote to what the runtime is asked for. Pure, but for the directories
//! that temporary mounts need.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use model::SuperviseSpec;
use runtime::{ContainerSpec, Limits, Mount, UserSpec};

/// Processes and threads of one container: far above what JupyterLab with kernels takes, far below
/// what a fork bomb needs to hurt the machine. Fixed, the same for every container: there is no
/// key for it in the configuration.
const PIDS_MAX: u64 = 4096;

/// Puts together the container; `output` is its standard output and error.
pub(crate) fn spec_of(
    spec: &SuperviseSpec,
    dir: &Path,
    tmp: Vec<Mount>,
    output: (OwnedFd, OwnedFd),
) -> ContainerSpec {
    let image = &spec.image_config;
    let cwd = spec.cwd.as_deref().unwrap_or(&image.working_dir);
    let binds = spec.mounts.iter().map(|bind| Mount {
        source: bind.source.clone(),
        target: bind.target.clone(),
        writable: bind.writable,
    });
    ContainerSpec {
        id: spec.container_uuid.as_str().to_owned(),
        dir: dir.to_owned(),
        layers: spec.layers.clone(),
        argv: argv_of(spec),
        env: env_of(spec),
        cwd: cwd.to_owned(),
        user: UserSpec::parse(spec.user.as_deref().unwrap_or(&image.user)),
        hostname: spec.container_uuid.as_str().to_owned(),
        mounts: in_mounting_order(tmp.into_iter().chain(binds).collect()),
        limits: Limits {
            memory_bytes: (spec.ram_bytes > 0).then_some(spec.ram_bytes),
            pids_max: Some(PIDS_MAX),
            cpus: (spec.vcpus > 0).then_some(f64::from(spec.vcpus)),
        },
        stdout: output.0,
        stderr: output.1,
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

/// The image's environment, overlaid by the request's.
fn env_of(spec: &SuperviseSpec) -> Vec<(String, String)> {
    let from_image = spec.image_config.env.iter().filter_map(|entry| entry.split_once('='));
    let mut env: Vec<(String, String)> = from_image
        .filter(|(name, _)| !name.is_empty() && !spec.environment.contains_key(*name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    env.extend(spec.environment.iter().map(|(name, value)| (name.clone(), value.clone())));
    env
}

/// A mount must not hide one below it: outer targets first.
fn in_mounting_order(mut mounts: Vec<Mount>) -> Vec<Mount> {
    mounts.sort_by_key(|mount| Path::new(&mount.target).components().count());
    mounts
}

/// Makes an empty directory on the host for each temporary mount, writable for any user inside.
pub(crate) fn make_tmp_dirs(dir: &Path, targets: &[String]) -> io::Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    for (n, target) in targets.iter().enumerate() {
        let source = tmp_dir(dir).join(n.to_string());
        std::fs::create_dir_all(&source)?;
        // As /tmp: the container's user may be any number.
        std::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o1777))?;
        mounts.push(Mount { source, target: target.clone(), writable: true });
    }
    Ok(mounts)
}

/// Removes them with all they hold, whatever modes the container gave it; fine if there are none.
pub(crate) fn remove_tmp_dirs(dir: &Path) -> io::Result<()> {
    runtime::remove_tree(&tmp_dir(dir))
}

fn tmp_dir(dir: &Path) -> PathBuf {
    dir.join("tmp")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{BindMount, ContainerUuid, ImageConfig};

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
            mounts: vec![],
            tmp_mounts: vec![],
            output_path: None,
            tunnels: "/run/tunnels".into(),
            stop_grace_ms: 1,
            log_bytes_max: 1,
            service: true,
        }
    }

    fn built(spec: &SuperviseSpec) -> ContainerSpec {
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        spec_of(spec, Path::new("/dir"), vec![], (null(), null()))
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
        let bind = |target: &str| BindMount {
            source: "/srv".into(),
            target: target.to_owned(),
            writable: false,
        };
        let container = built(&SuperviseSpec {
            command: vec!["sh".into()],
            cwd: Some("/work".into()),
            user: Some("1000:1000".into()),
            mounts: vec![bind("/data/inner"), bind("/data")],
            ..spec()
        });
        assert_eq!(container.argv, ["sh"]);
        assert_eq!(container.cwd, "/work");
        assert_eq!(container.user.group(), Some("1000"));
        let targets: Vec<&str> = container.mounts.iter().map(|it| it.target.as_str()).collect();
        assert_eq!(targets, ["/data", "/data/inner"]);
    }

    #[test]
    fn temporary_directories_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let mounts = make_tmp_dirs(dir.path(), &["/tmp".into(), "/out".into()]).unwrap();
        assert!(mounts.iter().all(|it| it.writable && it.source.is_dir()));
        // A closed directory with something in it, as package caches have them; only an ordinary
        // user is kept out by the mode.
        let closed = mounts[0].source.join("closed");
        std::fs::create_dir_all(closed.join("inside")).unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
        remove_tmp_dirs(dir.path()).unwrap();
        remove_tmp_dirs(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
