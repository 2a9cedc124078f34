//! Folders of this machine as collections, up and down.

use std::path::{Path, PathBuf};

use client::{Client, RequestBody};
use futures_util::StreamExt as _;
use manifest::Manifest;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use crate::disk::at;

/// Folders of a job that are sent.
const SENT: [&str; 2] = ["stg", "out"];
/// What a collection of inputs is made of at most.
const FILES_MAX: usize = 100_000;
/// Deepest nesting of folders that is sent; a link to a folder above would have no end.
const DEPTH_MAX: usize = 100;
/// Bytes that are read of a file at a time.
const PIECE_BYTES: usize = 256 << 10;

/// Sends what was made ready for a job; gives the content's hash, `None` if there is nothing to send.
pub(super) async fn upload(
    client: &Client,
    name: &str,
    dir: &Path,
) -> Result<Option<String>, String> {
    let mut found = Vec::new();
    for part in SENT {
        walk(&dir.join(part), part, &mut found, 0)?;
    }
    if found.iter().all(|(path, _)| SENT.contains(&path.as_str())) {
        return Ok(None);
    }
    let words = |error: client::ClientError| format!("cannot send inputs: {error}");
    let properties = model::JsonMap::from_iter([("type".to_owned(), "intermediate".into())]);
    let collection =
        client.create_collection(&format!("Inputs of {name}"), &properties).await.map_err(words)?;
    let id = collection.uuid;
    for (path, source) in found {
        match source {
            None => client.make_directory(&id, &path).await.map_err(words)?,
            Some(source) => {
                let file =
                    tokio::fs::File::open(&source).await.map_err(|error| at(&source, &error))?;
                let pieces = ReaderStream::with_capacity(file, PIECE_BYTES);
                client.write_file(&id, &path, Box::pin(pieces)).await.map_err(words)?;
            }
        }
    }
    let collection = client.get_collection(&id).await.map_err(words)?;
    Ok(Some(collection.portable_data_hash))
}

/// Folders (without a source) before what is in them.
fn walk(
    source: &Path,
    path: &str,
    found: &mut Vec<(String, Option<PathBuf>)>,
    depth: usize,
) -> Result<(), String> {
    if found.len() >= FILES_MAX || depth > DEPTH_MAX {
        return Err(format!(
            "{}: more than {FILES_MAX} files, or folders nested too deeply, to send",
            source.display()
        ));
    }
    if !source.is_dir() {
        found.push((path.to_owned(), Some(source.to_owned())));
        return Ok(());
    }
    found.push((path.to_owned(), None));
    for entry in std::fs::read_dir(source).map_err(|error| at(source, &error))? {
        let entry = entry.map_err(|error| at(source, &error))?;
        let name = entry.file_name().into_string();
        let name =
            name.map_err(|name| format!("{}: its name is not UTF-8", Path::new(&name).display()))?;
        walk(&entry.path(), &format!("{path}/{name}"), found, depth + 1)?;
    }
    Ok(())
}

/// Brings everything of a collection into a new folder.
pub(super) async fn download(client: &Client, id: &str, folder: &Path) -> Result<(), String> {
    let words = |error: client::ClientError| format!("cannot fetch outputs: {error}");
    let collection = client.get_collection(id).await.map_err(words)?;
    let manifest = Manifest::parse(&collection.manifest_text).map_err(|error| error.to_string())?;
    let make = |path: &Path| std::fs::create_dir_all(path).map_err(|error| at(path, &error));
    make(folder)?;
    for path in manifest.empty_directories() {
        make(&folder.join(path))?;
    }
    for file in manifest.files() {
        let target = folder.join(&file.path);
        make(target.parent().unwrap_or(folder))?;
        let mut pieces = client.read_file(id, &file.path).await.map_err(words)?;
        let mut open =
            tokio::fs::File::create(&target).await.map_err(|error| at(&target, &error))?;
        let mut size = 0;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(words)?;
            size += piece.len() as u64;
            open.write_all(&piece).await.map_err(|error| at(&target, &error))?;
        }
        open.flush().await.map_err(|error| at(&target, &error))?;
        if size != file.size {
            return Err(format!("{}: {size} of {} bytes came", file.path, file.size));
        }
    }
    Ok(())
}
