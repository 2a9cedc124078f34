//! Brings outputs to the folder where the person wants them.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use cwl::storage::Storage as _;
use cwl::types::Listing;
use cwl::{CwlError, Object, Value, file, uri};

use crate::disk::{Disk, at, path_of};
use crate::job::Files;
use crate::local::copy;

/// Moves what lies in `scratch` to `outdir`, copies what lies elsewhere, also of `files` that are not of this machine, and
/// writes literals. Locations then lead there.
pub(crate) fn relocate(
    outputs: &mut Object,
    scratch: &Path,
    outdir: &Path,
    files: &dyn Files,
) -> Result<(), CwlError> {
    fs::create_dir_all(outdir).map_err(|error| CwlError::Failed(at(outdir, &error)))?;
    let outdir = fs::canonicalize(outdir).map_err(|error| CwlError::Failed(at(outdir, &error)))?;
    let mut mover = Mover { scratch: scratch.to_owned(), files, moved: HashMap::new() };
    for value in outputs.values_mut() {
        file::each_mut(value, &mut |object| {
            mover.bring(object, &outdir).map_err(CwlError::Failed)
        })?;
    }
    for value in outputs.values_mut() {
        file::each_deep_mut(value, &mut finish)?;
    }
    Ok(())
}

struct Mover<'f> {
    scratch: PathBuf,
    files: &'f dyn Files,
    /// New paths by old location and folder.
    moved: HashMap<(String, PathBuf), PathBuf>,
}

impl Mover<'_> {
    fn bring(&mut self, object: &mut Value, folder: &Path) -> Result<(), String> {
        let location = object.text("location").unwrap_or_default().to_owned();
        let name = object.text("basename").unwrap_or_default().to_owned();
        let name = if name.is_empty() { "output".to_owned() } else { name };
        let key = (format!("{location}\0{name}"), folder.to_owned());
        let target = match self.moved.get(&key) {
            Some(known) => known.clone(),
            None => {
                let target = free(folder, &name);
                self.make(object, &location, &target)?;
                self.moved.insert(key, target.clone());
                target
            }
        };
        object.set("location", uri::from_path(&target).into());
        let new_name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        file::set_name(object, &new_name);
        if let Value::Object(entries) = object
            && let Some(Value::Array(files)) = entries.get_mut("secondaryFiles")
        {
            for inner in files {
                self.bring(inner, folder)?;
            }
        }
        Ok(())
    }

    fn make(&mut self, object: &mut Value, location: &str, target: &Path) -> Result<(), String> {
        let is_literal = location.starts_with("_:");
        if !is_literal && uri::to_path(location).is_none() {
            return self.files.copy_out(location, target);
        }
        if !is_literal {
            let source = path_of(location)?;
            let source = fs::canonicalize(&source).map_err(|error| at(&source, &error))?;
            return self.take(&source, target);
        }
        if object.is_file() {
            let text = object.text("contents").unwrap_or_default();
            return fs::write(target, text).map_err(|error| at(target, &error));
        }
        fs::create_dir_all(target).map_err(|error| at(target, &error))?;
        if let Value::Object(entries) = object
            && let Some(Value::Array(items)) = entries.get_mut("listing")
        {
            for item in items {
                self.bring(item, target)?;
            }
        }
        Ok(())
    }

    /// A second name for files of ours, which the scratch folder then loses; a copy of others.
    fn take(&self, source: &Path, target: &Path) -> Result<(), String> {
        if !source.starts_with(&self.scratch) {
            return copy(source, target);
        }
        if !source.is_dir() {
            return fs::hard_link(source, target).or_else(|_other_disk| copy(source, target));
        }
        fs::create_dir_all(target).map_err(|error| at(target, &error))?;
        for entry in fs::read_dir(source).map_err(|error| at(source, &error))? {
            let entry = entry.map_err(|error| at(source, &error))?;
            // A link that leads nowhere is left out: there is nothing to give.
            if let Ok(real) = fs::canonicalize(entry.path()) {
                self.take(&real, &target.join(entry.file_name()))?;
            }
        }
        Ok(())
    }
}

/// A path that nothing has yet: `name.ext`, else `name_2.ext` and so on.
fn free(folder: &Path, name: &str) -> PathBuf {
    let (root, extension) = file::split_name(name);
    let mut path = folder.join(name);
    let mut n = 2_u32;
    while fs::symlink_metadata(&path).is_ok() {
        path = folder.join(format!("{root}_{n}{extension}"));
        n += 1;
    }
    path
}

/// What a person and other programs read: path, size, checksum, everything in a folder.
fn finish(object: &mut Value) -> Result<(), CwlError> {
    let location = object.text("location").unwrap_or_default().to_owned();
    if let Value::Object(entries) = object {
        entries.retain(|key, _| {
            !matches!(key.as_str(), "contents" | "dirname" | "nameroot" | "nameext" | "listing")
        });
    }
    let path = path_of(&location).map_err(CwlError::Failed)?;
    object.set("path", path.to_string_lossy().as_ref().into());
    if object.is_file() {
        let stat = Disk.stat(&location).map_err(CwlError::Failed)?;
        object.set("size", stat.size.into());
        if let Some(checksum) = Disk.checksum(&location).map_err(CwlError::Failed)? {
            object.set("checksum", checksum.into());
        }
        return Ok(());
    }
    // `each_deep_mut` then visits what is listed.
    file::load_listing(object, Listing::Shallow, &Disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_taken_get_numbers_and_literals_are_written() {
        let scratch = tempfile::tempdir().unwrap();
        let out = tempfile::tempdir().unwrap();
        let made = scratch.path().join("a.txt");
        fs::write(&made, "one").unwrap();
        fs::write(out.path().join("a.txt"), "there before").unwrap();
        let mut outputs = Object::new();
        outputs.insert("made".to_owned(), file::of_location(&uri::from_path(&made), false));
        let literal = Value::object([
            ("class", Value::from("File")),
            ("location", "_:1".into()),
            ("basename", "b".into()),
            ("contents", "two".into()),
        ]);
        outputs.insert("written".to_owned(), literal);
        relocate(&mut outputs, scratch.path(), out.path(), &Disk).unwrap();
        assert_eq!(outputs["made"].text("basename"), Some("a_2.txt"));
        assert_eq!(fs::read_to_string(out.path().join("a_2.txt")).unwrap(), "one");
        assert_eq!(fs::read_to_string(out.path().join("b")).unwrap(), "two");
        let sha1 = "sha1$fe05bcdcdc4928012781a5f1a2a77cbb5398e106";
        assert_eq!(outputs["made"].text("checksum"), Some(sha1));
    }
}
