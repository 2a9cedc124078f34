//! The two facts we need of an ELF file: which interpreter it names and what its soname is.
//!
//! Only 64-bit little-endian files, which is every machine Wharf runs on. Source: the System V
//! ABI, chapters "Object Files" and "Program Loading".

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;

const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
/// Program headers we are ready to read; real files have about a dozen.
const PROGRAM_HEADERS_MAX: u16 = 256;
/// Entries of the dynamic section we are ready to read; real files have about thirty.
const DYNAMIC_ENTRIES_MAX: u64 = 4096;
/// Longest string (a path or a soname) we accept.
const STRING_BYTES_MAX: usize = 4096;

/// What an ELF file says about how it is loaded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Elf {
    /// The dynamic loader it names, absolute; `None` for static executables and most libraries.
    pub(super) interpreter: Option<String>,
    /// The name under which others need it.
    pub(super) soname: Option<String>,
}

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    file_bytes: u64,
}

/// Reads `file`. `Ok(None)`: not an ELF file of our kind.
///
/// # Errors
/// When the file is cut short or cannot be read.
pub(super) fn read(file: &File) -> io::Result<Option<Elf>> {
    let mut header = [0_u8; HEADER_BYTES];
    match file.read_exact_at(&mut header, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    // Magic, then class 2 (64-bit) and data 1 (little-endian).
    if header[..6] != *b"\x7fELF\x02\x01" {
        return Ok(None);
    }
    let segments = segments(file, &header)?;
    let mut elf = Elf::default();
    if let Some(segment) = segments.iter().find(|segment| segment.kind == PT_INTERP) {
        elf.interpreter = Some(string_at(file, segment.offset)?);
    }
    if let Some(dynamic) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) {
        elf.soname = soname(file, dynamic, &segments)?;
    }
    Ok(Some(elf))
}

fn segments(file: &File, header: &[u8; HEADER_BYTES]) -> io::Result<Vec<Segment>> {
    let (table, entry_bytes, count) = (u64_at(header, 32), u16_at(header, 54), u16_at(header, 56));
    if usize::from(entry_bytes) < PROGRAM_HEADER_BYTES || count > PROGRAM_HEADERS_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "unusual program headers"));
    }
    (0..count)
        .map(|index| {
            let mut entry = [0_u8; PROGRAM_HEADER_BYTES];
            let at = table.checked_add(u64::from(index) * u64::from(entry_bytes));
            file.read_exact_at(&mut entry, at.ok_or(io::ErrorKind::InvalidData)?)?;
            Ok(Segment {
                kind: u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]),
                offset: u64_at(&entry, 8),
                address: u64_at(&entry, 16),
                file_bytes: u64_at(&entry, 32),
            })
        })
        .collect()
}

fn soname(file: &File, dynamic: &Segment, segments: &[Segment]) -> io::Result<Option<String>> {
    let (mut strings, mut name) = (None, None);
    for index in 0..(dynamic.file_bytes / 16).min(DYNAMIC_ENTRIES_MAX) {
        let mut entry = [0_u8; 16];
        let at = dynamic.offset.checked_add(index * 16).ok_or(io::ErrorKind::InvalidData)?;
        file.read_exact_at(&mut entry, at)?;
        match u64_at(&entry, 0) {
            0 => break,
            DT_STRTAB => strings = Some(u64_at(&entry, 8)),
            DT_SONAME => name = Some(u64_at(&entry, 8)),
            _ => {}
        }
    }
    let (Some(strings), Some(name)) = (strings, name) else { return Ok(None) };
    // The table's place is given as an address in memory; the segment that holds it says where
    // that is in the file.
    let holder = segments.iter().find(|segment| {
        segment.kind == PT_LOAD
            && strings >= segment.address
            && strings - segment.address < segment.file_bytes
    });
    let Some(holder) = holder else { return Ok(None) };
    let at = (strings - holder.address).checked_add(holder.offset);
    let at = at.and_then(|at| at.checked_add(name)).ok_or(io::ErrorKind::InvalidData)?;
    string_at(file, at).map(Some)
}

fn string_at(file: &File, offset: u64) -> io::Result<String> {
    let mut buffer = vec![0_u8; STRING_BYTES_MAX];
    let read = file.read_at(&mut buffer, offset)?;
    let end = buffer[..read].iter().position(|byte| *byte == 0);
    let end = end.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "endless string"))?;
    buffer.truncate(end);
    String::from_utf8(buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0_u8; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
