//! What this machine allows, told without starting anything.

use crate::cgroup;
use crate::shim::can_mount;
use crate::spec::Capabilities;

pub(crate) fn probe() -> Capabilities {
    let mut found = Capabilities { rootless: !can_mount(), ..Capabilities::default() };
    for (controller, result) in cgroup::probe() {
        let is_enforced = result.is_ok();
        match controller {
            "memory" => found.memory_limit = is_enforced,
            "pids" => found.pids_limit = is_enforced,
            _ => found.cpu_limit = is_enforced,
        }
        if let Err(why) = result {
            found.notes.push(format!("{controller} limits are not enforced: {why}"));
        }
    }
    found
}
