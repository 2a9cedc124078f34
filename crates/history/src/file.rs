//! The file, its rings, and what is read back.
//!
//! Owner of mutable state: the file, under its advisory lock, held for one small read or write. A file of another
//! layout is begun anew: its figures are lost, and nothing else.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::PERIOD_S;
use crate::span::Span;

const WORD: usize = 8;
/// Where the rings begin: behind the tag.
const HEAD_BYTES: u64 = 8;
/// How long after the end of a slot its figures may still be on their way, in seconds.
const LATE_S: u64 = 1;

/// A kind of figures that histories are made of.
pub trait Figures: Copy + Default {
    /// What a file of them begins with; another one means another layout.
    const TAG: [u8; 8];
    /// How many numbers they are.
    const N_FIELDS: usize;

    /// Writes them down; `fields` has the right length.
    fn put(&self, fields: &mut [u64]);

    /// Reads them back.
    fn take(fields: &[u64]) -> Self;

    /// Takes up what was measured for the same time, by this writer or another one.
    fn add(&mut self, later: &Self);
}

/// A history that is written to. The file is 39 KiB for usage and 188 KiB for traffic when every slot was used, and
/// takes less before: what was never written is a hole.
#[derive(Debug)]
pub struct History<F> {
    file: File,
    kind: std::marker::PhantomData<F>,
}

impl<F: Figures> History<F> {
    /// The history at this path; made where there is none. Blocking, as all of this type.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file =
            File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        let history = Self { file, kind: std::marker::PhantomData };
        history.locked(|file| {
            let mut tag = [0; WORD];
            let is_ours = file.read_exact_at(&mut tag, 0).is_ok() && tag == F::TAG;
            if !is_ours {
                file.set_len(0)?;
                file.write_all_at(&F::TAG, 0)?;
            }
            file.set_len(file_bytes::<F>())
        })?;
        Ok(history)
    }

    /// Takes up what was measured in a slot of [`PERIOD_S`] that `at_s`, in seconds since 1970, lies in.
    pub fn add(&self, at_s: u64, figures: &F) -> io::Result<()> {
        self.locked(|file| {
            for span in Span::ALL {
                let start_s = slot_start(span, at_s);
                let offset = offset_of::<F>(span, start_s);
                let mut bytes = vec![0; slot_bytes::<F>()];
                file.read_exact_at(&mut bytes, offset)?;
                let mut sum = slot_of::<F>(&bytes, start_s).unwrap_or_default();
                sum.add(figures);
                file.write_all_at(&bytes_of(start_s, &sum), offset)?;
            }
            Ok(())
        })
    }

    fn locked<T>(&self, work: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        self.file.lock()?;
        let done = work(&self.file);
        self.file.unlock()?;
        done
    }
}

/// A stretch of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series<F> {
    /// When the first slot begins, in seconds since 1970.
    pub start_s: u64,
    /// How long each slot is, in seconds.
    pub period_s: u64,
    /// When the last slot that can be known ends; the last one may reach beyond it.
    pub end_s: u64,
    /// Oldest first; none where nothing was measured.
    pub slots: Vec<Option<F>>,
}

impl<F: Figures> Series<F> {
    /// What is known of a span that ends at `now_s`; nothing but gaps where there is no such file. Blocking.
    pub fn read(path: &Path, span: Span, now_s: u64) -> io::Result<Self> {
        match File::open(path) {
            Ok(file) => Self::of_file(&file, span, now_s),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::empty(span, now_s)),
            Err(error) => Err(error),
        }
    }

    /// Nothing but gaps.
    pub fn empty(span: Span, now_s: u64) -> Self {
        let end_s = now_s.saturating_sub(LATE_S) / PERIOD_S * PERIOD_S;
        let last = slot_start(span, end_s.saturating_sub(1));
        let start_s = last.saturating_sub((span.n_slots() - 1) * span.period_s());
        let slots = (0..span.n_slots()).map(|_slot| None).collect();
        Self { start_s, period_s: span.period_s(), end_s, slots }
    }

    fn of_file(mut file: &File, span: Span, now_s: u64) -> io::Result<Self> {
        let mut series = Self::empty(span, now_s);
        file.lock_shared()?;
        let mut tag = [0; WORD];
        let n_bytes = usize::try_from(span.n_slots()).unwrap_or(0) * slot_bytes::<F>();
        let mut ring = vec![0; n_bytes];
        let offset = HEAD_BYTES + span.n_slots_before() * slot_bytes::<F>() as u64;
        let read = file.read_exact(&mut tag).and_then(|()| file.read_exact_at(&mut ring, offset));
        file.unlock()?;
        match read {
            // One that is being made at this moment.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(series),
            read => read?,
        }
        if tag != F::TAG {
            return Ok(series);
        }
        let starts = (series.start_s..).step_by(usize::try_from(series.period_s).unwrap_or(1));
        for (slot, start_s) in series.slots.iter_mut().zip(starts) {
            let at = usize::try_from(offset_of::<F>(span, start_s) - offset).unwrap_or(0);
            *slot = ring.get(at..at + slot_bytes::<F>()).and_then(|it| slot_of::<F>(it, start_s));
        }
        Ok(series)
    }

    /// Seconds of a slot that are over: less than a period for the last one.
    pub fn seconds_of(&self, slot: usize) -> u64 {
        let start_s = self.start_s + slot as u64 * self.period_s;
        self.end_s.saturating_sub(start_s).clamp(1, self.period_s)
    }
}

fn slot_start(span: Span, at_s: u64) -> u64 {
    at_s / span.period_s() * span.period_s()
}

fn slot_bytes<F: Figures>() -> usize {
    (1 + F::N_FIELDS) * WORD
}

fn offset_of<F: Figures>(span: Span, start_s: u64) -> u64 {
    let slot = span.n_slots_before() + start_s / span.period_s() % span.n_slots();
    HEAD_BYTES + slot * slot_bytes::<F>() as u64
}

fn file_bytes<F: Figures>() -> u64 {
    let n_slots: u64 = Span::ALL.into_iter().map(Span::n_slots).sum();
    HEAD_BYTES + n_slots * slot_bytes::<F>() as u64
}

/// The figures in a slot, if they are those of this time.
fn slot_of<F: Figures>(bytes: &[u8], start_s: u64) -> Option<F> {
    let (words, _rest) = bytes.as_chunks::<WORD>();
    let (start, fields) = words.split_first()?;
    if start_s == 0 || u64::from_le_bytes(*start) != start_s {
        return None;
    }
    let fields: Vec<u64> = fields.iter().map(|word| u64::from_le_bytes(*word)).collect();
    Some(F::take(&fields))
}

fn bytes_of<F: Figures>(start_s: u64, figures: &F) -> Vec<u8> {
    let mut words = vec![0; 1 + F::N_FIELDS];
    words[0] = start_s;
    figures.put(&mut words[1..]);
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

#[cfg(test)]
mod tests;
