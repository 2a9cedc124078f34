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
}

/// What one container asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bytes of memory.
    pub ram_bytes: u64,
    /// CPUs.
    pub vcpus: u32,
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
    let vcpus_free = capacity.vcpus.saturating_sub(load.vcpus);
    if needs.vcpus > vcpus_free {
        return Admission::Waits(format!(
            "waiting for CPUs: it asks for {}, and {vcpus_free} of {} are not promised to others",
            needs.vcpus, capacity.vcpus
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
    const MACHINE: Capacity = Capacity { containers_max: 3, ram_bytes: 8 * GIB, vcpus: 16 };

    fn check(load: Load, needs: Needs, expected: &str) {
        let words = match admit(MACHINE, load, needs) {
            Admission::Fits => "fits".to_owned(),
            Admission::Waits(words) | Admission::Never(words) => words,
        };
        assert!(words.contains(expected), "{words:?} lacks {expected:?}");
    }

    #[test]
    fn each_answer_names_the_limit() {
        let one = Needs { ram_bytes: GIB, vcpus: 1 };
        let two_run = Load { n_containers: 2, ram_bytes: 6 * GIB, vcpus: 15 };
        check(two_run, one, "fits");
        check(Load { n_containers: 3, ..two_run }, one, "Containers.MaxContainers");
        let words = "asks for 2.5 GiB, and 2 GiB of 8 GiB are not promised";
        check(two_run, Needs { ram_bytes: GIB * 5 / 2, vcpus: 1 }, words);
        check(two_run, Needs { vcpus: 2, ..one }, "asks for 2, and 1 of 16");
        check(Load::default(), Needs { ram_bytes: 9 * GIB, vcpus: 1 }, "Containers.RAMOvercommit");
        check(Load::default(), Needs { vcpus: 17, ..one }, "Containers.VCPUOvercommit");
    }
}
