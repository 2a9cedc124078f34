//! Folders of this machine as collections, up and down.

use std::path::{Path, PathBuf};

use client::Client;
use futures_util::StreamExt as _;
use manifest::{BLOCK_BYTES_MAX, BlockHash, Locator, Manifest, Node, Segment, Tree};
use model::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::patience::patiently;
use crate::disk::at;
use crate::local::ELSEWHERE;

/// Folders of a job that are sent.
const SENT: [&str; 3] = ["stg", "out", ELSEWHERE];
/// What a collection of inputs is made of at most.
const FILES_MAX: usize = 100_000;
/// Deepest nesting of folders that is sent; a link to a folder above would have no end.
const DEPTH_MAX: usize = 100;

/// Sends what was made ready for a job; gives the content's hash, `None` if there is nothing to send.
pub(super) async fn upload(
    client: &Client,
    name: &str,
    dir: &Path,
    trash_at: Option<Timestamp>,
) -> Result<Option<String>, String> {
    let mut found = Vec::new();
    for part in SENT {
        walk(&dir.join(part), part, &mut found, 0)?;
    }
    if found.iter().all(|(path, _)| SENT.contains(&path.as_str())) {
        return Ok(None);
    }
    let mut tree = Tree::new();
    for (path, source) in found {
        let node = match source {
            None => Node::directory(),
            Some(source) => Node::File(send(client, &source).await?),
        };
        tree.put(&path, node).map_err(|error| format!("{path}: {error}"))?;
    }
    let properties = model::JsonMap::from_iter([("type".to_owned(), "intermediate".into())]);
    let name = format!("Inputs of {name}");
    let text = tree.text();
    let made =
        patiently(async || client.create_collection(&name, &properties, &text, trash_at).await)
            .await;
    let collection = made.map_err(|error| format!("cannot send inputs: {error}"))?;
    Ok(Some(collection.portable_data_hash))
}

/// Sends a file block by block.
async fn send(client: &Client, source: &Path) -> Result<Vec<Segment>, String> {
    let file = tokio::fs::File::open(source).await.map_err(|error| at(source, &error))?;
    let mut segments = Vec::new();
    let mut file = file.take(0);
    loop {
        file.set_limit(BLOCK_BYTES_MAX);
        let mut block = Vec::new();
        file.read_to_end(&mut block).await.map_err(|error| at(source, &error))?;
        if block.is_empty() {
            return Ok(segments);
        }
        let len = block.len() as u64;
        let hash = BlockHash::of(&block).to_string();
        let block = bytes::Bytes::from(block);
        let locator = patiently(async || client.put_block(&hash, block.clone()).await).await;
        let locator =
            locator.map_err(|error| format!("cannot send {}: {error}", source.display()))?;
        let locator = Locator::parse(&locator).map_err(|error| error.to_string())?;
        segments.push(Segment { locator, offset: 0, len });
    }
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
    let collection = patiently(async || client.get_collection(id).await).await.map_err(words)?;
    let manifest = Manifest::parse(&collection.manifest_text).map_err(|error| error.to_string())?;
    let make = |path: &Path| std::fs::create_dir_all(path).map_err(|error| at(path, &error));
    make(folder)?;
    for path in manifest.empty_directories() {
        make(&folder.join(path))?;
    }
    for file in manifest.files() {
        let target = folder.join(&file.path);
        make(target.parent().unwrap_or(folder))?;
        let opened = patiently(async || client.read_file(id, &file.path).await).await;
        let mut pieces = opened.map_err(words)?;
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
