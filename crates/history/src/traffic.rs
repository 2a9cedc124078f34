//! What was asked of a container.

use crate::file::Figures;
use crate::latency::N_BUCKETS;

/// Requests for all ports of a container in some time. Everything adds up, also over controllers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Answers by the first digit of their status: 1xx first, 5xx last.
    pub by_class: [u64; 5],
    /// How long the first byte of the app's answers took, by [`crate::latency::BOUNDS_US`].
    pub first_byte: [u64; N_BUCKETS],
    /// Bytes from clients to the app: bodies, and what sockets carry.
    pub bytes_in: u64,
    /// Bytes from the app to clients.
    pub bytes_out: u64,
    /// Milliseconds that requests and sockets were open, added up: divided by the time, how many were open on average.
    pub open_ms: u64,
}

const N_CLASSES: usize = 5;

impl Figures for Traffic {
    const TAG: [u8; 8] = *b"whftraf1";
    const N_FIELDS: usize = N_CLASSES + N_BUCKETS + 3;

    fn put(&self, fields: &mut [u64]) {
        let (classes, rest) = fields.split_at_mut(N_CLASSES);
        let (buckets, rest) = rest.split_at_mut(N_BUCKETS);
        classes.copy_from_slice(&self.by_class);
        buckets.copy_from_slice(&self.first_byte);
        rest.copy_from_slice(&[self.bytes_in, self.bytes_out, self.open_ms]);
    }

    fn take(fields: &[u64]) -> Self {
        let at = |index: usize| fields.get(index).copied().unwrap_or_default();
        let rest = N_CLASSES + N_BUCKETS;
        Self {
            by_class: std::array::from_fn(at),
            first_byte: std::array::from_fn(|bucket| at(N_CLASSES + bucket)),
            bytes_in: at(rest),
            bytes_out: at(rest + 1),
            open_ms: at(rest + 2),
        }
    }

    fn add(&mut self, later: &Self) {
        let add = |to: &mut u64, from: &u64| *to = to.saturating_add(*from);
        self.by_class.iter_mut().zip(&later.by_class).for_each(|(to, from)| add(to, from));
        self.first_byte.iter_mut().zip(&later.first_byte).for_each(|(to, from)| add(to, from));
        add(&mut self.bytes_in, &later.bytes_in);
        add(&mut self.bytes_out, &later.bytes_out);
        add(&mut self.open_ms, &later.open_ms);
    }
}
