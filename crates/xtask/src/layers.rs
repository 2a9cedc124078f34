//! The direction of arrows between crates, checked against `cargo metadata`.
//!
//! Layer 0 knows nobody; a layer knows only lower ones; crates of one layer do not see each other,
//! with one exception: `lifecycle`, which every crate that spawns tasks may use. Dependencies that
//! only tests have are free: they do not ship.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::commands::{cargo, output_of};

/// Every crate of the workspace and its layer, as in docs/ARCHITECTURE.md.
const LAYERS: [(&str, u8); 29] = [
    ("model", 0),
    ("http1", 0),
    ("manifest", 0),
    ("cwl", 0),
    ("outbound", 0),
    ("config", 1),
    ("lifecycle", 1),
    ("limits", 1),
    ("telemetry", 1),
    ("oidc", 1),
    ("history", 1),
    ("client", 1),
    ("store", 1),
    ("keep", 1),
    ("registry", 1),
    ("tunnel", 1),
    ("runtime", 1),
    ("api", 2),
    ("proxy", 2),
    ("dispatch", 2),
    ("supervisor", 2),
    ("dashboard", 2),
    ("demo", 2),
    ("cli", 2),
    ("cwl_runner", 2),
    ("wharf", 3),
    ("testkit", 4),
    ("loadgen", 4),
    ("xtask", 4),
];

/// The mechanism that its neighbours in layer 1 may use as well.
const SHARED_MECHANISM: &str = "lifecycle";

/// One sentence for each arrow that points the wrong way and each crate without a layer.
pub(crate) fn problems() -> Result<Vec<String>> {
    let metadata = output_of(&mut cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    Ok(wrong_arrows(&packages.iter().map(arrows_of).collect::<Vec<_>>()))
}

/// A crate's name and the names of everything that it ships with.
fn arrows_of(package: &Value) -> (String, Vec<String>) {
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shipped = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
    (name(package), shipped.map(name).collect())
}

fn wrong_arrows(packages: &[(String, Vec<String>)]) -> Vec<String> {
    let layers: BTreeMap<&str, u8> = LAYERS.into_iter().collect();
    let mut problems = Vec::new();
    for (from, targets) in packages {
        let Some(&layer) = layers.get(from.as_str()) else {
            problems
                .push(format!("{from}: has no layer; give it one in crates/xtask/src/layers.rs"));
            continue;
        };
        for to in targets {
            let Some(&below) = layers.get(to.as_str()) else { continue };
            if below < layer || (below == layer && layer == 1 && to == SHARED_MECHANISM) {
                continue;
            }
            let way = if below == layer { "sideways" } else { "upwards" };
            problems.push(format!(
                "{from} -> {to}: points {way} (layer {layer} to {below}); let the consumer own a \
                 trait and the crate wharf plug the two together"
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::wrong_arrows;

    fn check(from: &str, to: &str, wrong: usize) {
        let packages = [(from.to_owned(), vec![to.to_owned()])];
        assert_eq!(wrong_arrows(&packages).len(), wrong, "{from} -> {to}");
    }

    #[test]
    fn only_downward_arrows_and_lifecycle_pass() {
        check("proxy", "model", 0);
        check("store", "lifecycle", 0);
        check("wharf", "proxy", 0);
        check("proxy", "serde", 0);
        check("proxy", "api", 1);
        check("store", "api", 1);
        check("store", "config", 1);
        check("model", "lifecycle", 1);
        check("newcomer", "model", 1);
    }
}
