//! From inputs to a program: its command line, its files, its streams.

use std::sync::Arc;

use cwl::bind::command_line;
use cwl::document::{Output, Process, Tool};
use cwl::expr::{Scope, Script, evaluate};
use cwl::requirements::Resources;
use cwl::secret::Secrets;
use cwl::stage::{Absolute, Stage};
use cwl::types::Type;
use cwl::{CwlError, NULL, Object, Value};

use crate::evaluator::{Evaluator, Given};
use crate::job::{Job, Place};
use crate::patterns;
use crate::serving::Way;

/// A program to run, and what is needed to collect its outputs.
pub(super) struct Plan {
    pub(super) job: Job,
    pub(super) inputs: Object,
    pub(super) runtime: Value,
    pub(super) script: Option<Arc<Script>>,
}

/// Works out what is to run at a place. `ways` lead to services that it uses.
pub(super) fn plan(
    evaluator: &Evaluator,
    given: &Given,
    tool: &Tool,
    place: Place,
    ways: Vec<Way>,
) -> Result<Plan, CwlError> {
    let Given { process, requirements, .. } = given;
    let prepared = evaluator.prepare(given)?;
    let script = evaluator.script(requirements);
    let image = requirements.image();
    let mut stage = Stage::new(&place.stage_root);
    let mut inputs = Value::Object(prepared);
    stage.place_inputs(&mut inputs)?;

    let no_resources = Value::object([
        ("outdir", place.outdir.as_str().into()),
        ("tmpdir", place.tmpdir.as_str().into()),
    ]);
    let scope =
        Scope { inputs: &inputs, this: &NULL, runtime: &no_resources, script: script.as_ref() };
    let resources = requirements.resources(process.version, &scope)?;
    let runtime = runtime_of(&resources, Some(&place));
    let mut values = inputs.as_object().cloned().unwrap_or_default();
    if let Some(listing) = requirements.get("InitialWorkDirRequirement") {
        let scope = Scope { runtime: &runtime, ..scope.clone() };
        let absolute = if image.is_some_and(|image| image.needed) {
            Absolute::Allowed
        } else {
            Absolute::Refused
        };
        stage.place_work_dir(
            listing.get("listing"),
            &place.outdir,
            absolute,
            &scope,
            &mut values,
        )?;
    }
    let inputs = Value::Object(values.clone());
    let scope = Scope { inputs: &inputs, this: &NULL, runtime: &runtime, script: script.as_ref() };
    let use_shell = requirements.has("ShellCommandRequirement");
    let command = command_line(tool, &process.inputs, &values, &scope, use_shell)?;
    if command.is_empty() {
        return Err(CwlError::Failed(format!(
            "{} has no command: no baseCommand and no arguments",
            process.name
        )));
    }
    let stdout = stream_of(process, tool.stdout.as_deref(), &Type::Stdout, &scope)?;
    let stderr = stream_of(process, tool.stderr.as_deref(), &Type::Stderr, &scope)?;
    let environment = requirements.environment(&scope)?;
    let stdin = stdin_of(process, tool, &scope)?;
    let names = stdout.iter().chain(&stderr);
    refuse_secrets(&evaluator.secrets, &command, &environment, names)?;
    evaluator.secrets.put_into(&mut stage.staged)?;
    let streams: Vec<&str> = stdout.iter().chain(&stderr).map(String::as_str).collect();
    let output_glob = patterns::of(process, &scope, &streams);
    let job = Job {
        name: process.name.clone(),
        step: Arc::clone(&given.step),
        command,
        environment,
        stdin,
        stdout,
        stderr,
        staged: stage.staged,
        resources,
        time_limit: requirements.time_limit(&scope)?,
        network: requirements.network(process.version, &scope)?,
        reuse: requirements.reuse(&scope)?,
        ports: requirements.published_ports()?,
        output_glob,
        place,
        ways,
    };
    Ok(Plan { job, inputs: values, runtime, script })
}

/// Secrets are in files alone.
fn refuse_secrets<'n>(
    secrets: &Secrets,
    command: &[String],
    environment: &[(String, String)],
    mut names: impl Iterator<Item = &'n String>,
) -> Result<(), CwlError> {
    command.iter().try_for_each(|word| secrets.refuse_in(word, "the command line"))?;
    names.try_for_each(|name| secrets.refuse_in(name, "the name of a file"))?;
    environment.iter().try_for_each(|(name, value)| {
        secrets.refuse_in(value, &format!("the environment variable {name}"))
    })
}

/// `runtime`, as expressions see it.
pub(crate) fn runtime_of(resources: &Resources, place: Option<&Place>) -> Value {
    let mut runtime = Value::object([
        ("cores", Value::from(resources.cores)),
        ("ram", resources.ram_mib.into()),
        ("tmpdirSize", resources.tmpdir_mib.into()),
        ("outdirSize", resources.outdir_mib.into()),
    ]);
    if let Some(place) = place {
        runtime.set("outdir", place.outdir.as_str().into());
        runtime.set("tmpdir", place.tmpdir.as_str().into());
    }
    runtime
}

/// The file that the program reads: `stdin`, or the input whose type that is.
fn stdin_of(process: &Process, tool: &Tool, scope: &Scope<'_>) -> Result<Option<String>, CwlError> {
    let typed = process.inputs.iter().find(|input| input.ty.members().contains(&Type::Stdin));
    let value = match (&tool.stdin, typed) {
        (Some(text), _) => evaluate(text, scope)?,
        (None, Some(input)) => scope.inputs.get(&input.name).get("path").clone(),
        (None, None) => return Ok(None),
    };
    match value {
        Value::String(path) => Ok(Some(path)),
        Value::Null => Ok(None),
        other => Err(CwlError::Failed(format!("stdin is {}, and must be a path", other.kind()))),
    }
}

/// The file that a stream goes to: the one named, or one of our own where an output wants the stream.
fn stream_of(
    process: &Process,
    text: Option<&str>,
    ty: &Type,
    scope: &Scope<'_>,
) -> Result<Option<String>, CwlError> {
    let Some(text) = text else {
        let wanted = process.outputs.iter().any(|output: &Output| output.ty.members().contains(ty));
        // The same for each run of the same tool, so that its result can be used again.
        let digest =
            ring::digest::digest(&ring::digest::SHA256, format!("{}{ty}", process.id).as_bytes());
        let hex: String = digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        return Ok(wanted.then(|| format!("{hex}.{ty}")));
    };
    match evaluate(text, scope)? {
        Value::String(name)
            if name.starts_with('/') || name.split('/').any(|part| part == "..") =>
        {
            Err(CwlError::Failed(format!(
                "{ty} goes to {name:?}, which is not below the output directory"
            )))
        }
        Value::String(name) if !name.is_empty() => Ok(Some(name)),
        other => Err(CwlError::Failed(format!(
            "{ty} is {}, and must be the name of a file",
            other.kind()
        ))),
    }
}
