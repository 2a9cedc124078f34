//! Gives memory back that only the start of the process needed.

#![expect(unsafe_code, reason = "nothing safe tells where the executable lies or gives it back")]

use std::ffi::c_void;
use std::ops::Range;

/// The largest pages that Linux has where Wharf runs. Segments are shortened to multiples of it,
/// so that a page that two of them share stays.
const PAGE_BYTES_MAX: usize = 64 << 10;

/// Takes the executable's pages out of this process; those that are used again come back from the
/// page cache, one cheap fault per 64 KiB.
///
/// Reading flags, setting up logs and starting a container go through most of the code that a
/// supervisor ever runs, and the rest of its life (hours, idle) needs a third of that. Returns
/// how many bytes of address space were given back.
pub(crate) fn forget_startup_code() -> usize {
    let mut n_bytes: usize = 0;
    // SAFETY: the callback is called during this call only and fits its type; `n_bytes` outlives
    // it and nothing else uses it meanwhile.
    unsafe { libc::dl_iterate_phdr(Some(forget_first_object), (&raw mut n_bytes).cast()) };
    n_bytes
}

/// The first object is the executable itself (dl_iterate_phdr(3)); not 0 ends the iteration.
unsafe extern "C" fn forget_first_object(
    object: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    n_bytes: *mut c_void,
) -> libc::c_int {
    // SAFETY: the C library passes a valid object whose headers stay as long as the executable
    // is loaded, and the counter that `forget_startup_code` gave it.
    let (object, headers, n_bytes) = unsafe {
        let object = &*object;
        let headers = std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into());
        (object, headers, &mut *n_bytes.cast::<usize>())
    };
    for segment in headers {
        if segment.p_type != libc::PT_LOAD || segment.p_flags & libc::PF_W != 0 {
            continue;
        }
        let start = object.dlpi_addr.saturating_add(segment.p_vaddr);
        let Some(pages) = whole_pages(start, segment.p_memsz) else { continue };
        // SAFETY: these pages are mapped from the executable's file and were never writable, the
        // linker's relocations being in writable segments only; so what the kernel reads again is
        // what they hold now. No address becomes invalid.
        let done = unsafe {
            let first = std::ptr::with_exposed_provenance_mut(pages.start);
            libc::madvise(first, pages.len(), libc::MADV_DONTNEED)
        };
        if done == 0 {
            *n_bytes += pages.len();
        }
    }
    1
}

/// The addresses within a segment that share no page with anything else; `None` if there are none.
fn whole_pages(start: u64, n_bytes: u64) -> Option<Range<usize>> {
    let end = usize::try_from(start.checked_add(n_bytes)?).ok()?;
    let first = usize::try_from(start).ok()?.checked_next_multiple_of(PAGE_BYTES_MAX)?;
    let end = end / PAGE_BYTES_MAX * PAGE_BYTES_MAX;
    (first < end).then_some(first..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident_file_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn pages_at_the_edges_stay() {
        assert_eq!(whole_pages(1, 3 << 16), Some(1 << 16..3 << 16));
        assert_eq!(whole_pages(1 << 16, 1 << 16), Some(1 << 16..2 << 16));
        assert_eq!(whole_pages(1, 0x1_fffe), None);
        assert_eq!(whole_pages(u64::MAX, 1), None);
    }

    #[test]
    fn code_goes_and_comes_back_as_it_was() {
        let text = format!("{:?}", std::time::Duration::from_millis(1500));
        let before = resident_file_kib();
        assert!(forget_startup_code() > 1 << 20);
        assert!(resident_file_kib() < before);
        assert_eq!(format!("{:?}", std::time::Duration::from_millis(1500)), text);
    }
}
