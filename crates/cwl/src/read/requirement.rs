//! `requirements` and `hints`.

use std::sync::Arc;

use super::Item;
use crate::document::{Requirement, Version};
use crate::extension::Flaws;
use crate::load::Loader;
use crate::node::{Kind, Node};
use crate::value::{Object, Value};
use crate::{ports, service};

/// `arv:PublishPorts`, written out.
pub const PUBLISH_PORTS: &str = "http://arvados.org/cwl#PublishPorts";

/// `svc:Service`, written out; the namespace is ours.
pub const SERVICE: &str = "urn:wharf:cwl#Service";

/// `cwltool:Secrets`, written out.
pub const SECRETS: &str = "http://commonwl.org/cwltool#Secrets";

/// Classes of the standard, their fields, and the version that brought them.
const CLASSES: [(&str, &[&str], Version); 17] = [
    ("InlineJavascriptRequirement", &["expressionLib"], Version::V1_0),
    ("SchemaDefRequirement", &["types"], Version::V1_0),
    (
        "DockerRequirement",
        &[
            "dockerPull",
            "dockerLoad",
            "dockerFile",
            "dockerImport",
            "dockerImageId",
            "dockerOutputDirectory",
        ],
        Version::V1_0,
    ),
    ("SoftwareRequirement", &["packages"], Version::V1_0),
    ("InitialWorkDirRequirement", &["listing"], Version::V1_0),
    ("EnvVarRequirement", &["envDef"], Version::V1_0),
    ("ShellCommandRequirement", &[], Version::V1_0),
    (
        "ResourceRequirement",
        &[
            "coresMin",
            "coresMax",
            "ramMin",
            "ramMax",
            "tmpdirMin",
            "tmpdirMax",
            "outdirMin",
            "outdirMax",
        ],
        Version::V1_0,
    ),
    ("SubworkflowFeatureRequirement", &[], Version::V1_0),
    ("ScatterFeatureRequirement", &[], Version::V1_0),
    ("MultipleInputFeatureRequirement", &[], Version::V1_0),
    ("StepInputExpressionRequirement", &[], Version::V1_0),
    ("LoadListingRequirement", &["loadListing"], Version::V1_1),
    ("WorkReuse", &["enableReuse"], Version::V1_1),
    ("NetworkAccess", &["networkAccess"], Version::V1_1),
    ("InplaceUpdateRequirement", &["inplaceUpdate"], Version::V1_1),
    ("ToolTimeLimit", &["timelimit"], Version::V1_1),
];

/// Whether a class is one that runs here.
pub(crate) fn is_known(class: &str) -> bool {
    class == PUBLISH_PORTS || class == SECRETS || CLASSES.iter().any(|(known, ..)| *known == class)
}

impl Loader<'_> {
    /// A list or map of requirements under a field.
    pub(super) fn read_requirements(
        &mut self,
        node: &Node,
        field: &str,
        version: Version,
    ) -> Vec<Arc<Requirement>> {
        let items = self.items(node.get(field), field);
        items
            .iter()
            .filter_map(|item| self.read_requirement(item, field, version))
            .map(Arc::new)
            .collect()
    }

    fn read_requirement(
        &mut self,
        item: &Item<'_>,
        field: &str,
        version: Version,
    ) -> Option<Requirement> {
        let node = item.node;
        let Some(class) = item.key.or_else(|| node.text("class")) else {
            self.problem(node.at, format!("an entry of {field} has no class"), "add `class:`");
            return None;
        };
        let class = self.expand(class, node.at);
        if field == "requirements" {
            self.check_requirement(node, &class, version);
        }
        self.check_extension(node, &class, field);
        if class == "SchemaDefRequirement"
            && let Some(types) = node.get("types")
        {
            self.declare_types(types);
        }
        let mut fields = match self.data(node) {
            Value::Object(fields) => fields,
            _ => Object::new(),
        };
        fields.shift_remove("class");
        Some(Requirement { class, fields, place: self.place(node.at) })
    }

    /// What extensions of ours and others say is checked where it stands.
    fn check_extension(&mut self, node: &Node, class: &str, field: &str) {
        let mut flaws = Flaws::default();
        let value = node.to_value();
        match class {
            PUBLISH_PORTS => drop(ports::read(value.get("publishPorts"), &mut flaws)),
            SERVICE => drop(service::read(&value, &mut flaws)),
            SECRETS => {
                flaws.check_fields(&value, &[], &["class", "secrets"]);
                let names = value.get("secrets").as_array().unwrap_or_default();
                if names.is_empty() || names.iter().any(|name| name.as_str().is_none()) {
                    let advice = "write `secrets: [password]`, with names of inputs";
                    flaws.add(&["secrets"], "Secrets lists no inputs", advice);
                }
            }
            _ => return,
        }
        if class == SERVICE && field == "requirements" {
            let rule = "svc:Service is a hint: as a requirement, other runners refuse the document";
            self.problem(node.at, rule, "move it to hints");
        }
        self.tell_flaws(node, flaws);
    }

    /// Each at the innermost place on its path that is there.
    pub(super) fn tell_flaws(&mut self, node: &Node, flaws: Flaws) {
        for flaw in flaws.0 {
            let mut place = node;
            for key in &flaw.path {
                let index = key.parse::<usize>().ok();
                let item = place.as_array().zip(index).and_then(|(items, n)| items.get(n));
                match item.or_else(|| place.get(key)) {
                    Some(inner) => place = inner,
                    None => break,
                }
            }
            self.problem(place.at, flaw.rule, flaw.advice);
        }
    }

    fn check_requirement(&mut self, node: &Node, class: &str, version: Version) {
        let Some((_, known, since)) = CLASSES.iter().find(|(known, ..)| *known == class) else {
            if !class.contains(':') {
                let names = CLASSES.iter().map(|(name, ..)| *name);
                let advice = match crate::error::nearest(class, names) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => "move it to hints if it can be done without".to_owned(),
                };
                self.problem(node.at, format!("there is no requirement {class:?}"), advice);
            }
            return;
        };
        if *since > version {
            self.problem(
                node.at,
                format!("{class} is not in this version"),
                "write a later cwlVersion",
            );
        }
        let fields: Vec<&str> = known.iter().copied().chain(["class", "doc"]).collect();
        self.check_fields(node, class, &fields);
        if class == "ResourceRequirement" && version < Version::V1_2 {
            for (key, value) in node.as_object().into_iter().flatten() {
                if let Kind::Number(number) = &value.kind
                    && !number.is_integer()
                {
                    self.problem(
                        value.at,
                        format!("{key} is no whole number"),
                        "whole numbers only before v1.2",
                    );
                }
            }
        }
    }
}
