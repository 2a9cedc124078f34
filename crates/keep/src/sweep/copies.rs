//! Copies that are missing: a disk was lost, a volume was down, or more copies are wanted than before.

use manifest::{BlockHash, Locator};

use super::{Places, Swept};
use crate::error::KeepError;
use crate::mount::Mount;
use crate::placement;
use crate::site::Keep;

impl Keep {
    /// Copies blocks that have fewer copies than the site wants to volumes of the same storage classes,
    /// one block at a time. What cannot be copied is told, and tried again by the next sweep.
    pub(super) async fn restore_copies(&self, places: &Places, swept: &mut Swept) {
        let wanted = self.options().replication;
        for (hash, (size, on)) in places.iter().filter(|(_, (_, on))| self.n_copies(on) < wanted) {
            let Some(locator) = Locator::new(*hash, *size) else { continue };
            let mut on = on.clone();
            for to in self.spare_volumes(*hash, &on) {
                if self.n_copies(&on) >= wanted {
                    break;
                }
                match self.copy_from_any(&locator, &on, to).await {
                    Ok(()) => {
                        swept.n_copied += 1;
                        on.push(to);
                    }
                    Err(error) => {
                        let volume = &self.mount(to).name;
                        tracing::error!(error = ?error, block = %hash, volume, "a copy cannot be made");
                    }
                }
            }
            swept.n_short += u64::from(self.n_copies(&on) < wanted);
        }
    }

    fn n_copies(&self, on: &[usize]) -> u32 {
        on.iter().fold(0, |sum, index| sum.saturating_add(self.mount(*index).replication))
    }

    /// Volumes that have no copy and may get one, in the order in which they would be written to.
    fn spare_volumes(&self, hash: BlockHash, on: &[usize]) -> Vec<usize> {
        let mounts: Vec<Mount> = self.mounts().cloned().collect();
        let is_spare = |index: &usize| {
            let classes = &mounts[*index].storage_classes;
            let shares = |it: &usize| classes.iter().any(|class| mounts[*it].has_class(class));
            !on.contains(index) && on.iter().any(shares)
        };
        let order = placement::order(&mounts, usize::from(hash.as_bytes()[0]));
        order.into_iter().filter(is_spare).collect()
    }

    /// The copy of one volume may have gone bad.
    async fn copy_from_any(
        &self,
        locator: &Locator,
        on: &[usize],
        to: usize,
    ) -> Result<(), KeepError> {
        let mut outcome = Err(KeepError::Missing(locator.hash()));
        for from in on {
            outcome = self.copy(locator, *from, to).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}
