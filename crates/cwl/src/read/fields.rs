//! The fields of each kind of object, by version.

use crate::document::Version;

const PROCESS: [&str; 10] = [
    "id",
    "class",
    "label",
    "doc",
    "inputs",
    "outputs",
    "requirements",
    "hints",
    "cwlVersion",
    "intent",
];
const TOOL: [&str; 8] = [
    "baseCommand",
    "arguments",
    "stdin",
    "stdout",
    "stderr",
    "successCodes",
    "temporaryFailCodes",
    "permanentFailCodes",
];
pub(super) const BINDING: [&str; 7] =
    ["position", "prefix", "separate", "itemSeparator", "valueFrom", "shellQuote", "loadContents"];
pub(super) const OUTPUT_BINDING: [&str; 4] = ["glob", "loadContents", "loadListing", "outputEval"];
pub(super) const INPUT: [&str; 11] = [
    "id",
    "label",
    "doc",
    "type",
    "default",
    "secondaryFiles",
    "streamable",
    "format",
    "loadContents",
    "loadListing",
    "inputBinding",
];
pub(super) const OUTPUT: [&str; 8] =
    ["id", "label", "doc", "type", "secondaryFiles", "streamable", "format", "outputBinding"];
pub(super) const FIELD: [&str; 12] = [
    "name",
    "type",
    "doc",
    "label",
    "inputBinding",
    "outputBinding",
    "secondaryFiles",
    "format",
    "loadContents",
    "loadListing",
    "streamable",
    "id",
];

/// Fields of a process of a class.
pub(super) fn process(class: &str, version: Version) -> Vec<&'static str> {
    let mut fields = PROCESS.to_vec();
    if version < Version::V1_2 {
        fields.retain(|field| *field != "intent");
    }
    match class {
        "CommandLineTool" => fields.extend(TOOL),
        "ExpressionTool" => fields.push("expression"),
        "Workflow" => fields.push("steps"),
        _ => {}
    }
    fields
}

/// Fields of a step.
pub(super) fn step(version: Version) -> Vec<&'static str> {
    let mut fields = vec![
        "id",
        "label",
        "doc",
        "in",
        "out",
        "run",
        "requirements",
        "hints",
        "scatter",
        "scatterMethod",
    ];
    if version >= Version::V1_2 {
        fields.push("when");
    }
    fields
}

/// Fields of a step's input.
pub(super) fn step_input(version: Version) -> Vec<&'static str> {
    let mut fields = vec!["id", "source", "linkMerge", "default", "valueFrom"];
    if version >= Version::V1_1 {
        fields.extend(["label", "loadContents", "loadListing"]);
    }
    if version >= Version::V1_2 {
        fields.push("pickValue");
    }
    fields
}

/// Fields of a workflow's output.
pub(super) fn workflow_output(version: Version) -> Vec<&'static str> {
    let mut fields: Vec<_> =
        OUTPUT.iter().copied().filter(|field| *field != "outputBinding").collect();
    fields.extend(["outputSource", "linkMerge"]);
    if version >= Version::V1_2 {
        fields.push("pickValue");
    }
    if version < Version::V1_1 {
        // Older documents have it; it does nothing.
        fields.push("outputBinding");
    }
    fields
}
