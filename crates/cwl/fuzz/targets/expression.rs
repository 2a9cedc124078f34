//! Texts that strangers' documents and programs bring: expressions, JSON of programs, ontologies. Each is read or refused, and
//! references end. No JavaScript: that is QuickJS's own.

#![no_main]

use cwl::expr::{Scope, evaluate, scan};
use cwl::format::{Ontology as _, Relations};
use cwl::json::{self, Layout};
use cwl::{NULL, Value};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _either = scan(text);
    let inputs: Value = json::parse(r#"{"a": [1, {"b c": "x"}], "f": {"class": "File", "path": "/p"}}"#)
        .unwrap_or_default();
    let scope = Scope { inputs: &inputs, this: &NULL, runtime: &NULL, script: None };
    let _either = evaluate(text, &scope);
    if let Ok(value) = json::parse(text) {
        // What was written is read as the same.
        let written = json::write(&value, Layout::Compact);
        assert_eq!(json::parse(&written).as_ref(), Ok(&value));
    }
    let mut relations = Relations::default();
    relations.add(text);
    let _either = relations.is_kind_of("a", "b");
});
