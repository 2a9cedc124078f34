//! May one more container start on this machine? A pure answer, in words where it is no.

use std::fmt;

/// What this machine gives to containers, overcommit included; each limit has its config name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Containers at a time (`Containers.MaxContainers`).
    pub containers_max: usize,
    /// Bytes of memory, the sum of all limits (`Containers.RAMOvercommit` times the memory).
    pub ram_bytes: u64,
    /// CPUs, the sum of all wishes (`Containers.VCPUOvercommit` times the CPUs).
    pub vcpus: u32,
    /// The disk that `tmp` mounts are on, both of its numbers `Containers.ScratchOvercommit` times what they are.
    pub disk: Disk,
    /// Bytes of memory that programs which only submit others may have together
    /// (`Containers.SupervisorFraction` of all): what they submit needs some, too.
    pub runner_ram_bytes: u64,
}

/// A disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// All of it.
    pub size_bytes: u64,
    /// What others than root may still have.
    pub free_bytes: u64,
}

/// What one container asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bytes of memory.
    pub ram_bytes: u64,
    /// CPUs.
    pub vcpus: u32,
    /// What its `tmp` mounts ask for and it cannot have written yet.
    pub scratch_bytes: u64,
    /// Whether its program submits others and waits for them (`scheduling_parameters.supervisor`).
    pub is_runner: bool,
}

/// What containers that run or are being started hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How many there are.
    pub n_containers: usize,
    /// Bytes of memory promised to them.
    pub ram_bytes: u64,
    /// CPUs promised to them.
    pub vcpus: u32,
    /// Free disk promised to those of them that did not begin.
    pub scratch_bytes: u64,
    /// Bytes of memory promised to those that submit others.
    pub runner_ram_bytes: u64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may start now.
    Fits,
    /// It may start once others have ended; the words are for its owner.
    Waits(String),
    /// It is larger than the whole machine.
    Never(String),
}

impl Load {
    /// Counts one more container.
    pub fn add(&mut self, needs: Needs) {
        self.n_containers += 1;
        self.ram_bytes = self.ram_bytes.saturating_add(needs.ram_bytes);
        self.vcpus = self.vcpus.saturating_add(needs.vcpus);
        self.scratch_bytes = self.scratch_bytes.saturating_add(needs.scratch_bytes);
        if needs.is_runner {
            self.runner_ram_bytes = self.runner_ram_bytes.saturating_add(needs.ram_bytes);
        }
    }
}

/// Whether a container with these needs may start beside this load.
pub fn admit(capacity: Capacity, load: Load, needs: Needs) -> Admission {
    if let Some(words) = never_fits(capacity, needs) {
        return Admission::Never(words);
    }
    if load.n_containers >= capacity.containers_max {
        return Admission::Waits(format!(
            "waiting for a place: {} containers run, and no more are allowed at a time \
             (Containers.MaxContainers)",
            load.n_containers
        ));
    }
    let ram_free = capacity.ram_bytes.saturating_sub(load.ram_bytes);
    if needs.ram_bytes > ram_free {
        return Admission::Waits(format!(
            "waiting for memory: it asks for {}, and {} of {} are not promised to others",
            Size(needs.ram_bytes),
            Size(ram_free),
            Size(capacity.ram_bytes)
        ));
    }
    let runner_ram_free = capacity.runner_ram_bytes.saturating_sub(load.runner_ram_bytes);
    // The first one always: on a small machine it would never begin.
    if needs.is_runner && load.runner_ram_bytes > 0 && needs.ram_bytes > runner_ram_free {
        return Admission::Waits(format!(
            "waiting for another workflow runner to end: they may have {} of memory together, so that \
             what they submit has some (Containers.SupervisorFraction)",
            Size(capacity.runner_ram_bytes)
        ));
    }
    let vcpus_free = capacity.vcpus.saturating_sub(load.vcpus);
    if needs.vcpus > vcpus_free {
        return Admission::Waits(format!(
            "waiting for CPUs: it asks for {}, and {vcpus_free} of {} are not promised to others",
            needs.vcpus, capacity.vcpus
        ));
    }
    let disk_free = capacity.disk.free_bytes.saturating_sub(load.scratch_bytes);
    if needs.scratch_bytes > disk_free {
        return Admission::Waits(format!(
            "waiting for disk space: its tmp mounts ask for {}, and {} are free \
             (Containers.ScratchOvercommit)",
            Size(needs.scratch_bytes),
            Size(disk_free)
        ));
    }
    Admission::Fits
}

fn never_fits(capacity: Capacity, needs: Needs) -> Option<String> {
    if capacity.containers_max == 0 {
        return Some("this machine runs no containers (Containers.MaxContainers is 0)".to_owned());
    }
    if needs.ram_bytes > capacity.ram_bytes {
        return Some(format!(
            "it asks for {} of memory, more than the {} that this machine gives to all containers \
             together (Containers.RAMOvercommit); ask for less",
            Size(needs.ram_bytes),
            Size(capacity.ram_bytes)
        ));
    }
    if needs.vcpus > capacity.vcpus {
        return Some(format!(
            "it asks for {} CPUs, more than the {} that this machine gives to all containers \
             together (Containers.VCPUOvercommit); ask for fewer",
            needs.vcpus, capacity.vcpus
        ));
    }
    if needs.scratch_bytes > capacity.disk.size_bytes {
        return Some(format!(
            "its tmp mounts ask for {} together, more than the disk of {} that they would be on \
             (Containers.ScratchOvercommit); give them less capacity",
            Size(needs.scratch_bytes),
            Size(capacity.disk.size_bytes)
        ));
    }
    None
}

/// Bytes as people write them: `256 MiB`, `1.5 GiB`.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 >= size {
                let (whole, tenths) = (self.0 / size, self.0 % size * 10 / size);
                return match tenths {
                    0 => write!(f, "{whole} {unit}"),
                    _ => write!(f, "{whole}.{tenths} {unit}"),
                };
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MACHINE: Capacity = Capacity {
        containers_max: 3,
        ram_bytes: 8 * GIB,
        vcpus: 16,
        disk: Disk { size_bytes: 100 * GIB, free_bytes: 10 * GIB },
        runner_ram_bytes: 4 * GIB,
    };

    fn check(load: Load, needs: Needs, expected: &str) {
        let words = match admit(MACHINE, load, needs) {
            Admission::Fits => "fits".to_owned(),
            Admission::Waits(words) | Admission::Never(words) => words,
        };
        assert!(words.contains(expected), "{words:?} lacks {expected:?}");
    }

    #[test]
    fn each_answer_names_the_limit() {
        let one = Needs { ram_bytes: GIB, vcpus: 1, scratch_bytes: 9 * GIB, is_runner: false };
        let two_run = Load {
            n_containers: 2,
            ram_bytes: 6 * GIB,
            vcpus: 15,
            scratch_bytes: GIB,
            runner_ram_bytes: 3 * GIB,
        };
        check(two_run, one, "fits");
        check(Load { n_containers: 3, ..two_run }, one, "Containers.MaxContainers");
        let words = "asks for 2.5 GiB, and 2 GiB of 8 GiB are not promised";
        check(two_run, Needs { ram_bytes: GIB * 5 / 2, ..one }, words);
        check(two_run, Needs { vcpus: 2, ..one }, "asks for 2, and 1 of 16");
        check(Load::default(), Needs { ram_bytes: 9 * GIB, ..one }, "Containers.RAMOvercommit");
        check(Load::default(), Needs { vcpus: 17, ..one }, "Containers.VCPUOvercommit");
        let more = Needs { scratch_bytes: 19 * GIB / 2, ..one };
        check(two_run, more, "its tmp mounts ask for 9.5 GiB, and 9 GiB are free");
        check(Load::default(), more, "fits");
        let runner = Needs { is_runner: true, scratch_bytes: 0, ..one };
        check(two_run, runner, "fits");
        let large = Needs { ram_bytes: GIB * 3 / 2, ..runner };
        check(two_run, large, "Containers.SupervisorFraction");
        check(Load::default(), Needs { ram_bytes: 7 * GIB, ..runner }, "fits");
        let too_much = Needs { scratch_bytes: 101 * GIB, ..one };
        check(Load::default(), too_much, "more than the disk of 100 GiB");
    }
}
