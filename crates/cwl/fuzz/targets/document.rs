//! Documents of strangers: whatever is written, it is read or refused.

#![no_main]

use cwl::load::{Loader, Source};

/// Two documents that may name each other.
struct Files<'s>(&'s str, &'s str);

impl Source for Files<'_> {
    fn read(&self, uri: &str, _bytes_max: usize) -> Result<String, String> {
        let text = if uri.ends_with("/a.cwl") { self.0 } else { self.1 };
        Ok(text.to_owned())
    }
}

libfuzzer_sys::fuzz_target!(|script: &str| {
    let (first, second) = script.split_once('\0').unwrap_or((script, ""));
    let files = Files(first, second);
    let mut loader = Loader::new(&files);
    let _either = loader.load("file:///d/a.cwl");
    let _either = loader.data_of("file:///d/b.cwl");
});
