//! What goes into the image's one layer: our executable, its loader, its libraries, and the few
//! files a container needs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::{ImageError, elf};

/// Where the libraries stand in the image. One folder of our own, named by `LD_LIBRARY_PATH`, so
/// that it does not matter where this machine's distribution keeps them.
pub(super) const LIBRARY_FOLDER: &str = "lib/wharf";

/// One entry of the layer.
#[derive(Debug)]
pub(super) enum Entry {
    /// A directory with this mode.
    Folder(u32),
    /// A file with fixed text, mode 0644.
    Text(&'static str),
    /// A copy of an open file, mode 0755. Open, because our executable may have been replaced on
    /// disk since it was started; the descriptor still leads to what runs.
    Copy(File, PathBuf),
}

/// Path inside the image (no leading slash) to what stands there; parents sort before children.
pub(super) type Files = BTreeMap<String, Entry>;

/// The files of an image of this very process.
///
/// # Errors
/// When the process's own files cannot be read or are no ELF files of our kind.
pub(super) fn of_this_process() -> Result<Files, ImageError> {
    let mut files = skeleton();
    let exe = PathBuf::from("/proc/self/exe");
    let file = open(&exe)?;
    let elf =
        elf::read(&file).map_err(|source| ImageError::Read { path: exe.clone(), source })?.ok_or(
            ImageError::Elf { path: exe.clone(), problem: "is no 64-bit little-endian ELF file" },
        )?;
    files.insert("bin/wharf".to_owned(), Entry::Copy(file, exe));
    let Some(interpreter) = elf.interpreter else { return Ok(files) };
    let interpreter = PathBuf::from(interpreter);
    add_libraries(&mut files, &interpreter)?;
    let place = place_of(&interpreter)?;
    add_parents(&mut files, &place);
    files.insert(place, Entry::Copy(open(&interpreter)?, interpreter));
    Ok(files)
}

fn skeleton() -> Files {
    let mut files = Files::new();
    for folder in ["bin", "dev", "etc", "proc", "root", "sys"] {
        files.insert(folder.to_owned(), Entry::Folder(0o755));
    }
    files.insert("tmp".to_owned(), Entry::Folder(0o1777));
    let texts = [
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        ),
        ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
        ("etc/nsswitch.conf", "hosts: files\n"),
        ("etc/os-release", "ID=wharf-demo\nNAME=\"Wharf demo\"\n"),
    ];
    for (path, text) in texts {
        files.insert(path.to_owned(), Entry::Text(text));
    }
    files
}

fn add_libraries(files: &mut Files, interpreter: &Path) -> Result<(), ImageError> {
    let maps = PathBuf::from("/proc/self/maps");
    let text = fs::read_to_string(&maps)
        .map_err(|source| ImageError::Read { path: maps.clone(), source })?;
    // A replaced executable is listed as "(deleted)" and left out by `mapped_code`.
    let own = fs::read_link("/proc/self/exe").unwrap_or_default();
    let loader = fs::canonicalize(interpreter).unwrap_or_default();
    for path in mapped_code(&text) {
        // The loader is already in memory when libraries are looked for: it stands at its own
        // path and needs no second copy.
        if path == own || path == loader || path == interpreter {
            continue;
        }
        let file = open(&path)?;
        let elf = elf::read(&file)
            .map_err(|source| ImageError::Read { path: path.clone(), source })?
            .ok_or(ImageError::Elf { path: path.clone(), problem: "is mapped but no ELF file" })?;
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let Some(name) = elf.soname.or(file_name).filter(|name| !name.contains('/')) else {
            continue;
        };
        let place = format!("{LIBRARY_FOLDER}/{name}");
        add_parents(files, &place);
        files.entry(place).or_insert(Entry::Copy(file, path));
    }
    Ok(())
}

/// The files of which code is mapped, each once. A line of `/proc/self/maps` is
/// `start-end rwxp offset dev inode      path` (proc(5)); a path may hold spaces.
fn mapped_code(maps: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = maps
        .lines()
        .filter_map(|line| {
            let path = &line[line.find('/')?..];
            let rights = line.split_ascii_whitespace().nth(1)?;
            let usable = rights.contains('x') && !path.ends_with(" (deleted)");
            usable.then(|| PathBuf::from(path))
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

fn add_parents(files: &mut Files, place: &str) {
    for (at, _) in place.match_indices('/') {
        files.entry(place[..at].to_owned()).or_insert(Entry::Folder(0o755));
    }
}

fn place_of(absolute: &Path) -> Result<String, ImageError> {
    let place = absolute.to_str().and_then(|path| path.strip_prefix('/'));
    let plain = place.filter(|place| !place.split('/').any(|part| matches!(part, "" | "." | "..")));
    plain.map(str::to_owned).ok_or_else(|| ImageError::Elf {
        path: absolute.to_owned(),
        problem: "is named as the loader but is no plain absolute path",
    })
}

fn open(path: &Path) -> Result<File, ImageError> {
    File::open(path).map_err(|source| ImageError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_give_each_file_with_code_once_and_no_deleted_ones() {
        let maps = "\
55d0-55d4 r--p 00000000 08:01 11 /usr/bin/wharf
55d4-55d8 r-xp 00004000 08:01 11 /usr/bin/wharf
7f00-7f04 r--p 00000000 08:01 12 /usr/lib/locale/C.utf8/LC_CTYPE
7f04-7f08 r-xp 00000000 08:01 13 /usr/lib/with space/libc.so.6
7f08-7f0c r-xp 00000000 08:01 14 /usr/lib/libold.so (deleted)
7f0c-7f10 r-xp 00000000 00:00 0 [vdso]
7f10-7f14 rw-p 00000000 00:00 0
";
        let expected = ["/usr/bin/wharf", "/usr/lib/with space/libc.so.6"].map(PathBuf::from);
        assert_eq!(mapped_code(maps), expected);
    }

    #[test]
    fn an_odd_loader_path_is_refused() {
        assert!(place_of(Path::new("/lib64/../../etc/x")).is_err());
        assert!(place_of(Path::new("ld.so")).is_err());
        assert_eq!(place_of(Path::new("/lib64/ld.so")).unwrap(), "lib64/ld.so");
    }
}
