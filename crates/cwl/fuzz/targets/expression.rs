//! Texts with expressions: scanned or refused, and references end. No JavaScript: that is QuickJS's own.

#![no_main]

use cwl::expr::{Scope, evaluate, scan};
use cwl::{NULL, Value, json};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _either = scan(text);
    let inputs: Value = json::parse(r#"{"a": [1, {"b c": "x"}], "f": {"class": "File", "path": "/p"}}"#)
        .unwrap_or_default();
    let scope = Scope { inputs: &inputs, this: &NULL, runtime: &NULL, script: None };
    let _either = evaluate(text, &scope);
});
