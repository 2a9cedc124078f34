//! The requirements that hold for a process: its own, its step's, its workflow's.

use std::sync::Arc;

use crate::document::{Process, Requirement, Version};
use crate::error::{CwlError, Problem, Result, fail};
use crate::expr::{Limits, Scope, Script, evaluate_value};
use crate::types::Listing;
use crate::value::{Object, Value};

pub use crate::read::requirement::{PUBLISH_PORTS, SECRETS, SERVICE};

/// Requirements and hints from the outermost to the nearest.
#[derive(Clone, Debug, Default)]
pub struct Requirements {
    needed: Vec<Arc<Requirement>>,
    hinted: Vec<Arc<Requirement>>,
}

impl Requirements {
    /// With nearer ones.
    #[must_use]
    pub fn with(&self, needed: &[Arc<Requirement>], hinted: &[Arc<Requirement>]) -> Self {
        let mut all = self.clone();
        all.needed.extend_from_slice(needed);
        all.hinted.extend_from_slice(hinted);
        all
    }

    /// With those of a process.
    #[must_use]
    pub fn of(&self, process: &Process) -> Self {
        self.with(&process.requirements, &process.hints)
    }

    /// With those that the input object brings (`cwl:requirements`).
    pub fn with_inputs(&self, inputs: &Value) -> Result<Self> {
        let Some(list) = inputs
            .get("https://w3id.org/cwl/cwl#requirements")
            .as_array()
            .or_else(|| inputs.get("cwl:requirements").as_array())
        else {
            return Ok(self.clone());
        };
        let mut needed = Vec::new();
        for item in list {
            let Some(class) = item.text("class") else {
                fail!("an entry of cwl:requirements has no class")
            };
            let mut fields = item.as_object().cloned().unwrap_or_default();
            fields.shift_remove("class");
            let place =
                crate::error::Place { file: "the input object".to_owned(), line: 0, column: 0 };
            needed.push(Arc::new(Requirement { class: class.to_owned(), fields, place }));
        }
        Ok(self.with(&needed, &[]))
    }

    /// The nearest of a class: of requirements first, then of hints.
    pub fn get(&self, class: &str) -> Option<&Requirement> {
        self.needed(class).or_else(|| {
            self.hinted.iter().rev().find(|known| known.class == class).map(Arc::as_ref)
        })
    }

    /// The nearest of a class among requirements alone.
    pub fn needed(&self, class: &str) -> Option<&Requirement> {
        self.needed.iter().rev().find(|known| known.class == class).map(Arc::as_ref)
    }

    /// Refuses requirements that nothing here does.
    pub fn check_supported(&self) -> Result<()> {
        for requirement in &self.needed {
            if !crate::read::requirement::is_known(&requirement.class) {
                return Err(CwlError::Unsupported(Problem {
                    place: Some(requirement.place.clone()),
                    rule: format!("the requirement {} is not supported", requirement.class),
                    advice: "move it to hints if it can be done without".to_owned(),
                }));
            }
        }
        Ok(())
    }

    /// JavaScript, where it is allowed.
    pub fn script(&self, limits: Limits) -> Option<Arc<Script>> {
        let requirement = self.get("InlineJavascriptRequirement")?;
        let library = match requirement.get("expressionLib") {
            Value::Array(items) => {
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Value::String(text) => vec![text.clone()],
            _ => Vec::new(),
        };
        Some(Arc::new(Script { library, limits }))
    }

    /// How deep directories are listed where a parameter says nothing.
    pub fn listing(&self, version: Version) -> Listing {
        let said = self
            .get("LoadListingRequirement")
            .and_then(|requirement| requirement.get("loadListing").as_str());
        match said.and_then(crate::read::listing_of) {
            Some(listing) => listing,
            None if version == Version::V1_0 => Listing::Deep,
            None => Listing::None,
        }
    }

    /// Environment variables.
    pub fn environment(&self, scope: &Scope<'_>) -> Result<Vec<(String, String)>> {
        let Some(requirement) = self.get("EnvVarRequirement") else { return Ok(Vec::new()) };
        let pairs: Vec<(String, &Value)> = match requirement.get("envDef") {
            Value::Array(items) => items
                .iter()
                .map(|item| {
                    (item.text("envName").unwrap_or_default().to_owned(), item.get("envValue"))
                })
                .collect(),
            Value::Object(entries) => entries
                .iter()
                .map(|(name, value)| {
                    (
                        name.clone(),
                        if value.as_object().is_some() { value.get("envValue") } else { value },
                    )
                })
                .collect(),
            _ => Vec::new(),
        };
        let mut environment = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            match evaluate_value(value, scope)? {
                Value::String(text) if !name.is_empty() && !name.contains('=') => {
                    environment.push((name, text))
                }
                Value::String(_) => fail!("{name:?} cannot be the name of an environment variable"),
                other => {
                    fail!("the environment variable {name:?} is {}, and must be text", other.kind())
                }
            }
        }
        Ok(environment)
    }

    /// What the process may use.
    pub fn resources(&self, version: Version, scope: &Scope<'_>) -> Result<Resources> {
        let empty = Object::new();
        let fields =
            self.get("ResourceRequirement").map_or(&empty, |requirement| &requirement.fields);
        let ram = if version == Version::V1_0 { 1024.0 } else { 256.0 };
        let pick = |name: &str, default: f64| -> Result<f64> {
            let mut found = None;
            for bound in ["Min", "Max"] {
                let Some(value) = fields.get(&format!("{name}{bound}")) else { continue };
                let value = evaluate_value(value, scope)?;
                let Some(number) = value.as_f64() else {
                    if value.is_null() {
                        continue;
                    }
                    fail!("{name}{bound} is {}, and must be a number", value.kind());
                };
                if number < 0.0 || !number.is_finite() {
                    fail!("{name}{bound} is negative");
                }
                found = found.or(Some(number));
            }
            Ok(found.unwrap_or(default))
        };
        let whole = |number: f64| {
            let text = format!("{}", number.ceil().max(0.0));
            text.parse::<u64>().unwrap_or(u64::MAX >> 32)
        };
        Ok(Resources {
            cores: whole(pick("cores", 1.0)?),
            ram_mib: whole(pick("ram", ram)?),
            tmpdir_mib: whole(pick("tmpdir", 1024.0)?),
            outdir_mib: whole(pick("outdir", 1024.0)?),
        })
    }

    /// The longest time that the program may run; `None` for ever.
    pub fn time_limit(&self, scope: &Scope<'_>) -> Result<Option<u64>> {
        let Some(requirement) = self.get("ToolTimeLimit") else { return Ok(None) };
        let value = evaluate_value(requirement.get("timelimit"), scope)?;
        match value.as_i64() {
            Some(0) => Ok(None),
            Some(seconds) if seconds > 0 => Ok(Some(seconds.unsigned_abs())),
            _ => fail!("timelimit must be a whole number of seconds that is not negative"),
        }
    }

    /// Whether the program may reach the network.
    pub fn network(&self, version: Version, scope: &Scope<'_>) -> Result<bool> {
        let Some(requirement) = self.get("NetworkAccess") else {
            return Ok(version == Version::V1_0);
        };
        match evaluate_value(requirement.get("networkAccess"), scope)? {
            Value::Bool(truth) => Ok(truth),
            other => fail!("networkAccess is {}, and must be true or false", other.kind()),
        }
    }

    /// Whether an earlier run of the same may be taken for this one.
    pub fn reuse(&self, scope: &Scope<'_>) -> Result<bool> {
        let Some(requirement) = self.get("WorkReuse") else { return Ok(true) };
        match evaluate_value(requirement.get("enableReuse"), scope)? {
            Value::Bool(truth) => Ok(truth),
            Value::Null => Ok(true),
            other => fail!("enableReuse is {}, and must be true or false", other.kind()),
        }
    }

    /// Whether a feature was asked for.
    pub fn has(&self, class: &str) -> bool {
        self.get(class).is_some()
    }

    /// The container image, where one is asked for.
    pub fn image(&self) -> Option<Image> {
        let requirement = self.get("DockerRequirement")?;
        let text = |field: &str| requirement.get(field).as_str().map(str::to_owned);
        Some(Image {
            name: text("dockerImageId").or_else(|| text("dockerPull")).unwrap_or_default(),
            output_dir: text("dockerOutputDirectory"),
            needed: self.needed("DockerRequirement").is_some(),
        })
    }
}

/// What a process may use, each a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Processors.
    pub cores: u64,
    /// Memory.
    pub ram_mib: u64,
    /// Room in the directory for temporary files.
    pub tmpdir_mib: u64,
    /// Room in the output directory.
    pub outdir_mib: u64,
}

/// The container image of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// As written in the document.
    pub name: String,
    /// Where the output directory is to be in the container.
    pub output_dir: Option<String>,
    /// A requirement, or a hint.
    pub needed: bool,
}
