//! The docker-archive: one layer, its config and a manifest, without a clock in it.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::Path;

use ring::digest;
use serde_json::json;
use tar::{EntryType, Header};

use super::files::{Entry, Files, LIBRARY_FOLDER};
use super::{ImageError, NAME, PORT, hex};

/// The date in the config: the epoch, because a clock would make two builds differ.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// Writes the archive beside `out` and moves it there when it is whole.
///
/// # Errors
/// When a file cannot be read or written.
pub(super) fn write(files: &Files, out: &Path) -> Result<(), ImageError> {
    let write_error = |source| ImageError::Write { path: out.to_owned(), source };
    let folder = match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut layer = tempfile::tempfile_in(folder).map_err(write_error)?;
    let layer_digest = write_layer(files, &mut layer)?.map_err(write_error)?;
    let mut archive = tempfile::NamedTempFile::new_in(folder).map_err(write_error)?;
    write_archive(archive.as_file_mut(), &mut layer, &layer_digest).map_err(write_error)?;
    archive.persist(out).map_err(|error| write_error(error.error))?;
    Ok(())
}

/// The layer as an uncompressed tar; answers the hex SHA-256 of its bytes (the `diff_id`). The
/// outer error is about reading the sources, the inner about writing.
fn write_layer(files: &Files, layer: &mut File) -> Result<io::Result<String>, ImageError> {
    let hash = digest::Context::new(&digest::SHA256);
    let mut tar = tar::Builder::new(Hashing { inner: BufWriter::new(layer), hash });
    for (place, entry) in files {
        let written = match entry {
            Entry::Folder(mode) => {
                append(&mut tar, &format!("{place}/"), EntryType::Directory, *mode, 0, io::empty())
            }
            Entry::Text(text) => {
                let size = text.len() as u64;
                append(&mut tar, place, EntryType::Regular, 0o644, size, text.as_bytes())
            }
            Entry::Copy(file, path) => {
                let read_error = |source| ImageError::Read { path: path.clone(), source };
                let size = file.metadata().map_err(read_error)?.len();
                let content = io::BufReader::with_capacity(256 * 1024, file).take(size);
                append(&mut tar, place, EntryType::Regular, 0o755, size, content)
            }
        };
        if let Err(error) = written {
            return Ok(Err(error));
        }
    }
    Ok(finish(tar))
}

fn finish(tar: tar::Builder<Hashing<BufWriter<&mut File>>>) -> io::Result<String> {
    let mut hashing = tar.into_inner()?;
    hashing.flush()?;
    Ok(hex(hashing.hash.finish().as_ref()))
}

fn write_archive(archive: &mut File, layer: &mut File, layer_digest: &str) -> io::Result<()> {
    let config = config(layer_digest).to_string();
    let config_digest = hex(digest::digest(&digest::SHA256, config.as_bytes()).as_ref());
    let config_name = format!("{config_digest}.json");
    let layer_name = format!("{layer_digest}.tar");
    let manifest =
        json!([{ "Config": config_name, "RepoTags": [NAME], "Layers": [layer_name] }]).to_string();
    let layer_bytes = layer.seek(SeekFrom::End(0))?;
    layer.seek(SeekFrom::Start(0))?;

    let mut tar = tar::Builder::new(BufWriter::new(archive));
    let file = EntryType::Regular;
    // The small files first: a reader that streams knows the layer's digest before it arrives.
    append(&mut tar, "manifest.json", file, 0o644, manifest.len() as u64, manifest.as_bytes())?;
    append(&mut tar, &config_name, file, 0o644, config.len() as u64, config.as_bytes())?;
    append(&mut tar, &layer_name, file, 0o644, layer_bytes, layer)?;
    let mut archive = tar.into_inner()?;
    archive.flush()?;
    archive.get_ref().sync_all()
}

/// The image config (OCI image spec "config.json", as docker writes it).
fn config(layer_digest: &str) -> serde_json::Value {
    let port = PORT.to_string();
    json!({
        "architecture": architecture(),
        "os": "linux",
        "created": CREATED,
        "config": {
            "Cmd": ["/bin/wharf", "demo-app", "--port", port],
            "Env": ["PATH=/bin", format!("LD_LIBRARY_PATH=/{LIBRARY_FOLDER}")],
            "ExposedPorts": { format!("{port}/tcp"): {} },
            "User": "65534:65534",
            "WorkingDir": "/",
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_digest}")] },
        "history": [{ "created": CREATED, "created_by": "wharf demo" }],
    })
}

/// The machine in the field's words (Go's `GOARCH`).
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn append<W: Write, R: Read>(
    tar: &mut tar::Builder<W>,
    path: &str,
    kind: EntryType,
    mode: u32,
    size_bytes: u64,
    content: R,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size_bytes);
    tar.append_data(&mut header, path, content)
}

/// A writer that hashes what passes.
struct Hashing<W> {
    inner: W,
    hash: digest::Context,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
