//! What is behind a location: files and folders of this machine, or of a collection.

/// What a location is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// A folder, or a file.
    pub is_dir: bool,
    /// In bytes; 0 for folders.
    pub size: u64,
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last part of its path.
    pub name: String,
    /// A folder, or a file.
    pub is_dir: bool,
}

/// Reads locations, from any thread; calls may block. Errors are in words.
pub trait Storage: Send + Sync {
    /// What is there.
    fn stat(&self, location: &str) -> Result<Stat, String>;
    /// What is in a folder, sorted by the bytes of the names.
    fn list(&self, location: &str) -> Result<Vec<Entry>, String>;
    /// The first bytes of a file, at most this many.
    fn read(&self, location: &str, bytes_max: usize) -> Result<Vec<u8>, String>;
    /// The location of what an output folder's entry really is: itself, or where a link leads. Errs where
    /// it leads out of what a program may give away.
    fn resolve(&self, location: &str) -> Result<String, String>;
    /// `sha1$…` of a file, where that is known without much work.
    fn checksum(&self, location: &str) -> Result<Option<String>, String>;
}
