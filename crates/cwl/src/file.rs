//! File and Directory objects.

use crate::error::{Result, fail};
use crate::storage::Storage;
use crate::types::Listing;
use crate::uri;
use crate::value::{Object, Value};

/// Most bytes of a file that `loadContents` reads.
pub const CONTENTS_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting of directories that is listed.
const LISTING_DEPTH_MAX: usize = 64;
/// Most entries that one deep listing has.
const LISTING_MAX: usize = 200_000;

/// Whether it is a File or Directory object.
pub fn is_object(value: &Value) -> bool {
    value.is_file() || value.is_directory()
}

/// Visits each File and Directory that is not inside another one.
pub fn each<E>(
    value: &Value,
    visit: &mut impl FnMut(&Value) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    match value {
        value if is_object(value) => visit(value),
        Value::Array(items) => items.iter().try_for_each(|item| each(item, visit)),
        Value::Object(entries) => entries.values().try_for_each(|item| each(item, visit)),
        _ => Ok(()),
    }
}

/// As [`each`], to change them.
pub fn each_mut<E>(
    value: &mut Value,
    visit: &mut impl FnMut(&mut Value) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    if is_object(value) {
        return visit(value);
    }
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| each_mut(item, visit)),
        Value::Object(entries) => entries.values_mut().try_for_each(|item| each_mut(item, visit)),
        _ => Ok(()),
    }
}

/// Visits each File and Directory, and after it those in its `secondaryFiles` and `listing`.
pub fn each_deep_mut<E>(
    value: &mut Value,
    visit: &mut impl FnMut(&mut Value) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    each_mut(value, &mut |object| {
        visit(object)?;
        for part in ["secondaryFiles", "listing"] {
            if let Value::Object(entries) = object
                && let Some(inner) = entries.get_mut(part)
            {
                each_deep_mut(inner, visit)?;
            }
        }
        Ok(())
    })
}

/// Gives every File and Directory a whole `location`, in the place of `path` or a relative one.
pub fn make_absolute(value: &mut Value, base: &str) {
    let _infallible: std::result::Result<(), std::convert::Infallible> =
        each_deep_mut(value, &mut |object| {
            let location = match (object.text("location"), object.text("path")) {
                (Some(location), _) => Some(absolute_location(location, base)),
                (None, Some(path)) => Some(uri::join(base, &uri::encode(path.as_bytes()))),
                (None, None) => None,
            };
            if let (Some(location), Value::Object(entries)) = (location, &mut *object) {
                entries.shift_remove("path");
                entries.insert("location".to_owned(), location.into());
            }
            Ok(())
        });
}

fn absolute_location(location: &str, base: &str) -> String {
    let again = |path: &str| uri::encode(&uri::decode(path));
    match location.strip_prefix("file://") {
        Some(path) => format!("file://{}", again(path)),
        None if uri::has_scheme(location) => location.to_owned(),
        None => uri::join(base, &again(location)),
    }
}

/// Writes the namespaces of formats out.
pub fn expand_formats(value: &mut Value, expand: &impl Fn(&str) -> String) {
    let _infallible: std::result::Result<(), std::convert::Infallible> =
        each_deep_mut(value, &mut |object| {
            if let Some(format) = object.text("format").map(expand) {
                object.set("format", format.into());
            }
            Ok(())
        });
}

/// Sets `basename`, `nameroot` and `nameext` from a name.
pub fn set_name(object: &mut Value, name: &str) {
    object.set("basename", name.into());
    if object.is_file() {
        let (root, extension) = split_name(name);
        object.set("nameroot", root.into());
        object.set("nameext", extension.into());
    }
}

/// A name without its extension, and the extension with its point. `.cshrc` has none.
pub fn split_name(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if !name[..at].trim_start_matches('.').is_empty() => name.split_at(at),
        _ => (name, ""),
    }
}

/// Makes an object complete: a location (literals get one of their own), its name, its size. Errs where
/// nothing is at the location, or something else.
pub fn complete(object: &mut Value, storage: &dyn Storage) -> Result<()> {
    each_deep_mut(object, &mut |object| complete_one(object, storage))
}

fn complete_one(object: &mut Value, storage: &dyn Storage) -> Result<()> {
    let is_literal = match object.text("location") {
        None if object.get("contents").as_str().is_some()
            || object.get("listing").as_array().is_some() =>
        {
            true
        }
        None if object.is_directory() && object.text("basename").is_some() => {
            object.set("listing", Value::Array(Vec::new()));
            true
        }
        None => fail!("a {} has neither a location nor contents", object.kind()),
        Some(location) => location.starts_with("_:"),
    };
    if is_literal {
        complete_literal(object)?;
    } else {
        let location = object.text("location").unwrap_or_default().to_owned();
        if object.get("basename").is_null() {
            set_name(object, &uri::basename(&location));
        }
        let stat = match storage.stat(&location) {
            Ok(stat) => stat,
            Err(problem) => fail!("{problem}"),
        };
        if stat.is_dir != object.is_directory() {
            let found = if stat.is_dir { "a folder" } else { "a file" };
            fail!("{} is {found}, not a {}", crate::load::shown(&location), object.kind());
        }
        if object.is_file() {
            object.set("size", stat.size.into());
        }
    }
    let name = object.text("basename").unwrap_or_default().to_owned();
    if name.is_empty() && !is_literal || name.contains('/') {
        fail!("{name:?} cannot be the basename of a {}: it must be one name", object.kind());
    }
    set_name(object, &name);
    refuse_clashes(object)
}

fn complete_literal(object: &mut Value) -> Result<()> {
    if object.text("location").is_none() {
        object.set("location", fresh_literal().into());
    }
    let contents_length = object.text("contents").map(str::len);
    if object.is_file() {
        match contents_length {
            Some(length) => object.set("size", (length as u64).into()),
            None => fail!("a File has neither a location nor contents"),
        }
    }
    if object.text("basename").is_none() {
        let location = object.text("location").unwrap_or_default();
        let name = location.trim_start_matches("_:").to_owned();
        object.set("basename", name.into());
    }
    Ok(())
}

/// A location that nothing else has, for something that is only described so far.
pub fn fresh_literal() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("_:literal-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Two things of one name in one folder.
fn refuse_clashes(object: &Value) -> Result<()> {
    for part in ["listing", "secondaryFiles"] {
        let mut names: Vec<&str> = object
            .get(part)
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item.text("basename"))
            .collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            fail!(
                "{:?} is twice in the {part} of {:?}",
                twice[0],
                object.text("basename").unwrap_or_default()
            );
        }
    }
    Ok(())
}

/// Puts the beginning of a File into its `contents`. Errs for more than 64 KiB.
pub fn load_contents(object: &mut Value, storage: &dyn Storage) -> Result<()> {
    if !object.is_file() || object.get("contents").as_str().is_some() {
        return Ok(());
    }
    let location = object.text("location").unwrap_or_default().to_owned();
    let bytes = match storage.read(&location, CONTENTS_BYTES_MAX + 1) {
        Ok(bytes) => bytes,
        Err(problem) => fail!("{problem}"),
    };
    if bytes.len() > CONTENTS_BYTES_MAX {
        fail!(
            "loadContents takes files of at most 64 KiB, and {} is larger",
            crate::load::shown(&location)
        );
    }
    match String::from_utf8(bytes) {
        Ok(text) => object.set("contents", text.into()),
        Err(_) => fail!(
            "loadContents takes UTF-8, and {} is something else",
            crate::load::shown(&location)
        ),
    }
    Ok(())
}

/// Puts what is in a Directory into its `listing`.
pub fn load_listing(object: &mut Value, listing: Listing, storage: &dyn Storage) -> Result<()> {
    if listing == Listing::None || !object.is_directory() {
        return Ok(());
    }
    let mut left = LISTING_MAX;
    load_listing_within(object, listing, storage, LISTING_DEPTH_MAX, &mut left)
}

fn load_listing_within(
    object: &mut Value,
    listing: Listing,
    storage: &dyn Storage,
    depth: usize,
    left: &mut usize,
) -> Result<()> {
    let location = object.text("location").unwrap_or_default().to_owned();
    if object.get("listing").as_array().is_none() && !location.starts_with("_:") {
        let entries = match storage.list(&location) {
            Ok(entries) => entries,
            Err(problem) => fail!("{problem}"),
        };
        *left = left.saturating_sub(entries.len());
        if *left == 0 || depth == 0 {
            fail!("{} has too many or too deep folders to list", crate::load::shown(&location));
        }
        let mut items = Vec::with_capacity(entries.len());
        for entry in entries {
            let mut item = of_location(&uri::child(&location, &entry.name), entry.is_dir);
            complete(&mut item, storage)?;
            items.push(item);
        }
        object.set("listing", items.into());
    }
    if listing == Listing::Deep
        && let Value::Object(entries) = object
        && let Some(Value::Array(items)) = entries.get_mut("listing")
    {
        for item in items.iter_mut().filter(|item| item.is_directory()) {
            load_listing_within(item, listing, storage, depth - 1, left)?;
        }
    }
    Ok(())
}

/// The object of a location.
pub fn of_location(location: &str, is_dir: bool) -> Value {
    let class = if is_dir { "Directory" } else { "File" };
    let mut object = Value::Object(Object::new());
    object.set("class", class.into());
    object.set("location", location.into());
    set_name(&mut object, &uri::basename(location));
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_extension_and_dot_files_none() {
        assert_eq!(split_name("a.tar.gz"), ("a.tar", ".gz"));
        assert_eq!(split_name(".cshrc"), (".cshrc", ""));
        assert_eq!(split_name("plain"), ("plain", ""));
        assert_eq!(split_name("..x"), ("..x", ""));
    }

    #[test]
    fn locations_are_relative_to_their_document() {
        let mut value = crate::json::parse(
            r#"{"a": [{"class": "File", "path": "item #1.txt", "secondaryFiles": [{"class": "File", "location": "x%231"}]}]}"#,
        )
        .unwrap();
        make_absolute(&mut value, "file:///d/job.json");
        let file = &value.get("a").as_array().unwrap()[0];
        assert_eq!(file.text("location"), Some("file:///d/item%20%231.txt"));
        assert_eq!(
            file.get("secondaryFiles").as_array().unwrap()[0].text("location"),
            Some("file:///d/x%231")
        );
    }
}
