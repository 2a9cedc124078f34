//! Which volumes get a block, and whether those that took it are enough.

use manifest::Locator;

use crate::error::KeepError;
use crate::mount::{DEFAULT_CLASS, Mount};

/// What a writer asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Copies of each class. More than all volumes can keep is as many as they can.
    pub copies: u32,
    /// Storage classes; none is `default`.
    pub storage_classes: Vec<String>,
}

/// A block that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its name and size.
    pub locator: Locator,
    /// Copies that it has now of what was written.
    pub copies: u32,
    /// Copies by storage class, of all classes of the volumes that took it.
    pub by_class: Vec<(String, u32)>,
}

/// How many copies each class still needs.
#[derive(Debug, Clone)]
pub(crate) struct Need(Vec<ClassNeed>);

#[derive(Debug, Clone)]
struct ClassNeed {
    class: String,
    wanted: u32,
    stored: u32,
}

impl Need {
    /// # Errors
    /// [`KeepError::NoSuchClass`] where no volume to write to has a class of the wish.
    pub(crate) fn of(wish: &Wish, mounts: &[Mount]) -> Result<Self, KeepError> {
        let default = [DEFAULT_CLASS.to_owned()];
        let classes = match &wish.storage_classes[..] {
            [] => &default[..],
            named => named,
        };
        let mut needs: Vec<ClassNeed> = Vec::new();
        for class in classes {
            if needs.iter().any(|need| need.class == *class) {
                continue;
            }
            let of_class = writable(mounts).filter(|mount| mount.has_class(class));
            let possible = of_class.fold(0_u32, |sum, it| sum.saturating_add(it.replication));
            if possible == 0 {
                let known = known_classes(mounts).join(", ");
                return Err(KeepError::NoSuchClass { class: class.clone(), known });
            }
            let wanted = wish.copies.clamp(1, possible);
            needs.push(ClassNeed { class: class.clone(), wanted, stored: 0 });
        }
        Ok(Self(needs))
    }

    /// Whether a copy on this volume brings any class nearer.
    pub(crate) fn is_helped_by(&self, mount: &Mount) -> bool {
        self.0.iter().any(|need| need.stored < need.wanted && mount.has_class(&need.class))
    }

    /// Counts a copy on this volume.
    pub(crate) fn count(&mut self, mount: &Mount) {
        for need in self.0.iter_mut().filter(|need| mount.has_class(&need.class)) {
            need.stored = need.stored.saturating_add(mount.replication);
        }
    }

    /// The copies stored and wanted of a class that has too few.
    pub(crate) fn lack(&self) -> Option<(u32, u32)> {
        self.0.iter().find(|it| it.stored < it.wanted).map(|it| (it.stored, it.wanted))
    }
}

/// The volumes that may be written to.
pub(crate) fn writable(mounts: &[Mount]) -> impl Iterator<Item = &Mount> {
    mounts.iter().filter(|mount| !mount.read_only)
}

fn known_classes(mounts: &[Mount]) -> Vec<String> {
    let mut classes: Vec<String> =
        writable(mounts).flat_map(|mount| mount.storage_classes.iter().cloned()).collect();
    classes.sort();
    classes.dedup();
    classes
}

/// The order in which volumes are tried for a block: beginning at `first`, those in trouble last.
pub(crate) fn order(mounts: &[Mount], first: usize) -> Vec<usize> {
    let n = mounts.len();
    let mut order: Vec<usize> = (0..n).map(|index| (first + index) % n).collect();
    order.retain(|index| !mounts[*index].read_only);
    order.sort_by_key(|index| mounts[*index].is_troubled());
    order
}

/// What is told of a block on these volumes.
pub(crate) fn stored<'m>(locator: Locator, on: impl Iterator<Item = &'m Mount>) -> Stored {
    let mut result = Stored { locator, copies: 0, by_class: Vec::new() };
    for mount in on {
        result.copies = result.copies.saturating_add(mount.replication);
        for class in &mount.storage_classes {
            match result.by_class.iter_mut().find(|(known, _)| known == class) {
                Some((_, copies)) => *copies = copies.saturating_add(mount.replication),
                None => result.by_class.push((class.clone(), mount.replication)),
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3_volume::tests::nowhere;
    use std::sync::Arc;

    fn mount(name: &str, classes: &[&str], replication: u32, read_only: bool) -> Mount {
        let mut mount = Mount::new(name, Arc::new(nowhere()));
        mount.storage_classes = classes.iter().map(|class| (*class).to_owned()).collect();
        mount.replication = replication;
        mount.read_only = read_only;
        mount
    }

    /// Which volumes a block goes to, and what then is missing.
    fn check(
        mounts: &[Mount],
        copies: u32,
        classes: &[&str],
        on: &[&str],
        lack: Option<(u32, u32)>,
    ) {
        let storage_classes = classes.iter().map(|class| (*class).to_owned()).collect();
        let mut need = Need::of(&Wish { copies, storage_classes }, mounts).unwrap();
        let mut taken = Vec::new();
        for index in order(mounts, 0) {
            if need.is_helped_by(&mounts[index]) {
                need.count(&mounts[index]);
                taken.push(mounts[index].name.as_str());
            }
        }
        assert_eq!(taken, on);
        assert_eq!(need.lack(), lack);
    }

    #[test]
    fn copies_are_on_different_volumes_until_there_are_enough() {
        let mounts = [
            mount("a", &["default"], 1, false),
            mount("old", &["default"], 1, true),
            mount("b", &["default", "fast"], 1, false),
            mount("c", &["archive"], 2, false),
        ];
        check(&mounts, 1, &[], &["a"], None);
        check(&mounts, 2, &[], &["a", "b"], None);
        check(&mounts, 9, &["default"], &["a", "b"], None);
        check(&mounts, 2, &["archive"], &["c"], None);
        check(&mounts, 1, &["fast", "default"], &["a", "b"], None);
        check(&mounts, 1, &["archive", "fast", "fast"], &["b", "c"], None);
        let wish = Wish { copies: 1, storage_classes: vec!["tape".to_owned()] };
        let error = Need::of(&wish, &mounts).unwrap_err().to_string();
        assert!(error.contains("\"tape\"") && error.contains("archive, default, fast"), "{error}");
    }

    #[test]
    fn a_volume_in_trouble_is_tried_last() {
        let mounts = ["a", "b", "c"].map(|name| mount(name, &["default"], 1, false));
        mounts[1].note_trouble();
        assert_eq!(order(&mounts, 0), [0, 2, 1]);
        assert_eq!(order(&mounts, 1), [2, 0, 1]);
    }
}
