//! A range of one file into another: by the kernel, which shares what the file system can share.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use rustix::fs::copy_file_range;
use rustix::io::Errno;

use crate::BUFFER_BYTES;

/// Copies all of a range, which is in the file.
pub(super) fn copy_range(
    file: &File,
    range: Range<u64>,
    out: &File,
    out_offset: u64,
) -> io::Result<()> {
    let (mut from, mut to) = (range.start, out_offset);
    while from < range.end {
        let n = usize::try_from(range.end - from).unwrap_or(usize::MAX);
        // It moves both offsets on.
        match copy_file_range(file, Some(&mut from), out, Some(&mut to), n) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                return copy_by_hand(file, from..range.end, out, to);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Between file systems, and where the kernel cannot.
fn copy_by_hand(file: &File, range: Range<u64>, out: &File, mut out_offset: u64) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut from = range.start;
    while from < range.end {
        let n = usize::try_from(range.end - from).unwrap_or(usize::MAX).min(BUFFER_BYTES);
        file.read_exact_at(&mut buffer[..n], from)?;
        out.write_all_at(&buffer[..n], out_offset)?;
        from += n as u64;
        out_offset += n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_comes_to_its_place_by_the_kernel_and_by_hand() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> =
            (0..3 * BUFFER_BYTES + 7).map(|n| (n % 251).to_le_bytes()[0]).collect();
        std::fs::write(dir.path().join("in"), &bytes).unwrap();
        let file = File::open(dir.path().join("in")).unwrap();
        let range = 5..3 * BUFFER_BYTES as u64 + 1;
        let expected = &bytes[5..3 * BUFFER_BYTES + 1];
        for (name, copy) in [
            ("kernel", copy_range as fn(&File, Range<u64>, &File, u64) -> io::Result<()>),
            ("hand", copy_by_hand),
        ] {
            let path = dir.path().join(name);
            let out = File::create_new(&path).unwrap();
            copy(&file, range.clone(), &out, 3).unwrap();
            let copied = std::fs::read(path).unwrap();
            assert!(copied[..3] == [0; 3] && copied[3..] == *expected, "{name}");
            let beyond = copy(&file, 0..bytes.len() as u64 + 1, &out, 0);
            assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{name}");
        }
    }
}
