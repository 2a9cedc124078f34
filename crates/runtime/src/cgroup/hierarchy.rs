//! Where this process may make control groups, for each controller. Read from
//! `/proc/self/cgroup` and `/proc/self/mountinfo` (cgroups(7)).

use rustix::fs::Access;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Controller {
    Memory,
    Pids,
    Cpu,
}

impl Controller {
    /// The kernel's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Version of the interface that owns a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// A directory in which groups with a controller may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) version: Version,
    pub(super) dir: PathBuf,
}

/// For each controller that the kernel has mounted: where, or why not.
pub(super) type Places = BTreeMap<Controller, Result<Place, String>>;

/// With `may_change` a version 2 root that does not pass a controller on is told to; without, it
/// is taken at its word that it could.
pub(super) fn places(may_change: bool) -> Places {
    let memberships = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    places_in(&memberships, &mounts, may_change)
}

fn places_in(memberships: &str, mountinfo: &str, may_change: bool) -> Places {
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(Mount::parse).collect();
    [Controller::Memory, Controller::Pids, Controller::Cpu]
        .into_iter()
        .filter_map(|controller| {
            let place = version_one(controller, memberships, &mounts)
                .or_else(|| version_two(controller, memberships, &mounts, may_change))?;
            Some((controller, place))
        })
        .collect()
}

/// A mounted hierarchy: fields 4 and 5 of a `mountinfo` line, and what follows the hyphen.
#[derive(Debug)]
struct Mount {
    /// Which group is seen at the mount point.
    root: PathBuf,
    mount_point: PathBuf,
    /// The controllers of a version 1 hierarchy; `None` for version 2.
    controllers: Option<String>,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (fields, source) = line.split_once(" - ")?;
        let mut fields = fields.split(' ').skip(3);
        let (root, mount_point) = (fields.next()?.into(), fields.next()?.into());
        let mut source = source.split(' ');
        let controllers = match source.next()? {
            "cgroup2" => None,
            "cgroup" => Some(source.nth(1)?.to_owned()),
            _ => return None,
        };
        Some(Self { root, mount_point, controllers })
    }

    /// Where a group is seen through this mount.
    fn dir_of(&self, group: &str) -> Option<PathBuf> {
        // Beyond the root of a namespace groups are shown with leading `/..`.
        let below = Path::new(group).strip_prefix(&self.root).ok()?;
        let is_plain = below.components().all(|part| part != std::path::Component::ParentDir);
        is_plain.then(|| self.mount_point.join(below))
    }
}

/// In version 1 a group may be made in one's own, if that is writable.
fn version_one(
    controller: Controller,
    memberships: &str,
    mounts: &[Mount],
) -> Option<Result<Place, String>> {
    let has = |list: &str| list.split(',').any(|name| name == controller.name());
    let group = memberships.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, group) = rest.split_once(':')?;
        has(controllers).then_some(group)
    })?;
    let mount = mounts.iter().find(|mount| mount.controllers.as_deref().is_some_and(has))?;
    let dir = mount.dir_of(group).filter(|dir| is_writable(dir));
    Some(match dir {
        Some(dir) => Ok(Place { version: Version::One, dir }),
        None => Err(format!("the control group {group} is not ours to divide")),
    })
}

/// In version 2 a group that has processes passes no controllers on, so the nearest group above
/// that does pass them on is taken, if it is writable.
fn version_two(
    controller: Controller,
    memberships: &str,
    mounts: &[Mount],
    may_change: bool,
) -> Option<Result<Place, String>> {
    let group = memberships.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts.iter().find(|mount| mount.controllers.is_none())?;
    let has = |dir: &Path, file: &str| {
        let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
        text.split_whitespace().any(|name| name == controller.name())
    };
    if !has(&mount.mount_point, "cgroup.controllers") {
        return None;
    }
    let own = mount.dir_of(group)?;
    let ancestors = own.ancestors().take_while(|dir| dir.starts_with(&mount.mount_point));
    for dir in ancestors {
        let passes_on = has(dir, "cgroup.subtree_control") || {
            let control = dir.join("cgroup.subtree_control");
            let ask = || match may_change {
                true => fs::write(&control, format!("+{controller}")).is_ok(),
                false => rustix::fs::access(&control, Access::WRITE_OK).is_ok(),
            };
            dir == mount.mount_point && ask()
        };
        if passes_on && is_writable(dir) {
            return Some(Ok(Place { version: Version::Two, dir: dir.to_owned() }));
        }
    }
    Some(Err(format!(
        "the {controller} controller is not delegated to this user (systemd: Delegate=yes)"
    )))
}

fn is_writable(dir: &Path) -> bool {
    // A process may be put into a group only by who may also write where it comes from.
    let may = |path: &Path| rustix::fs::access(path, Access::WRITE_OK).is_ok();
    may(dir) && may(&dir.join("cgroup.procs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(dir: &Path, controllers: &str, passes_on: &str) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("cgroup.procs"), "").unwrap();
        fs::write(dir.join("cgroup.controllers"), controllers).unwrap();
        fs::write(dir.join("cgroup.subtree_control"), passes_on).unwrap();
    }

    #[test]
    fn version_2_takes_the_nearest_group_that_passes_the_controller_on() {
        let tmp = tempfile::tempdir().unwrap();
        let root = tmp.path();
        group(root, "cpu memory pids", "memory pids");
        group(&root.join("user"), "memory pids", "memory");
        group(&root.join("user/session"), "memory", "");
        let mounts = format!("30 20 0:1 / {} rw - cgroup2 cgroup2 rw\n", root.display());
        let found = places_in("0::/user/session\n", &mounts, true);
        let place = |dir: PathBuf| Some(Ok(Place { version: Version::Two, dir }));
        assert_eq!(found.get(&Controller::Memory).cloned(), place(root.join("user")));
        assert_eq!(found.get(&Controller::Pids).cloned(), place(root.to_owned()));
        // The mount point itself is asked to pass it on.
        assert_eq!(found.get(&Controller::Cpu).cloned(), place(root.to_owned()));
        assert_eq!(fs::read_to_string(root.join("cgroup.subtree_control")).unwrap(), "+cpu");
    }

    #[test]
    fn version_1_is_found_beside_an_empty_version_2() {
        let tmp = tempfile::tempdir().unwrap();
        let (memory, unified) = (tmp.path().join("memory"), tmp.path().join("unified"));
        group(&memory.join("job"), "", "");
        group(&unified, "hugetlb", "");
        let mounts = format!(
            "30 20 0:1 / {} rw - cgroup cgroup rw,memory\n31 20 0:2 / {} rw - cgroup2 cgroup2 rw\n",
            memory.display(),
            unified.display()
        );
        let found = places_in("4:memory:/job\n0::/\n", &mounts, true);
        let place = Place { version: Version::One, dir: memory.join("job") };
        assert_eq!(found.get(&Controller::Memory), Some(&Ok(place)));
        assert_eq!(found.get(&Controller::Pids), None);
    }

    #[test]
    fn a_group_outside_the_namespace_is_not_ours() {
        let mounts = "30 20 0:1 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let found = places_in("4:memory:/../outside\n", mounts, true);
        assert!(matches!(found.get(&Controller::Memory), Some(Err(_))));
    }
}
