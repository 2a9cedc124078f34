//! A command line tool: from its inputs to a program, from what that left to outputs.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;

use cwl::bind::command_line;
use cwl::collect::Collector;
use cwl::document::{Output, Process, Tool};
use cwl::expr::{Scope, Script, evaluate};
use cwl::requirements::{Requirements, Resources};
use cwl::service::{Endpoint, Form, Lifetime, Service};
use cwl::stage::{Absolute, Content, Stage, Staged};
use cwl::types::Type;
use cwl::{CwlError, NULL, Object, Value};
use tokio::sync::oneshot;

use crate::engine::{Call, Engine};
use crate::job::{Ended, Job, Place};
use crate::patterns;
use crate::serving::{Early, Hold, Ready, Serving, Tagged, Tags, Way};

/// Runs a tool to its output object.
pub(crate) async fn run(
    engine: &Engine<'_>,
    process: &Process,
    tool: &Tool,
    call: &Call<'_>,
) -> Result<Object, CwlError> {
    let planned = plan(engine, process, tool, call)?;
    let Plan { job, inputs, runtime, script, place } = planned;
    let (stdout, stderr) = (job.stdout.clone(), job.stderr.clone());
    let updates = updates_in_place(&call.requirements, &job.staged, &place.outdir);
    let (serving, served) = match (Service::of(process), call.early) {
        (Some(service), Some(early)) => {
            let (serving, served) = serve(engine, service, early)?;
            (Some(serving), Some(served))
        }
        _ => (None, None),
    };
    // A service holds no place: those who use it need one to come to an end.
    let _slot = match serving {
        None => {
            let slot = engine.slots.acquire().await;
            Some(slot.map_err(|closed| CwlError::Failed(closed.to_string()))?)
        }
        Some(_) => None,
    };
    if engine.stopping.get() {
        return Err(CwlError::Failed(format!(
            "{}: not started, as another step failed",
            process.name
        )));
    }
    let may_end = serving.as_ref().is_some_and(|serving| serving.service.may_end);
    let ended = engine.backend.run(job, serving).await?;
    match &served {
        Some(served) => judge_service(&ended, served, may_end, process)?,
        None => judge(tool, &ended, process)?,
    }
    for (old, relative) in updates {
        engine.updated.borrow_mut().insert(old, cwl::uri::child(&ended.root, &relative));
    }
    let mut runtime = runtime;
    runtime.set("exitCode", ended.exit_code.into());
    let inputs = Value::Object(inputs);
    let scope = Scope { inputs: &inputs, this: &NULL, runtime: &runtime, script: script.as_ref() };
    let collector = Collector {
        storage: ended.storage.as_ref(),
        root: &ended.root,
        outdir: &place.outdir,
        staged: &ended.staged,
        stdout: stdout.as_deref(),
        stderr: stderr.as_deref(),
        listing: call.requirements.listing(process.version),
    };
    let outputs = collector.collect(process, &scope).map_err(|error| error.within(&process.name));
    let mut outputs = outputs?;
    if let Some(served) = served {
        outputs.extend(served.take());
    }
    Ok(outputs)
}

/// Addresses of a service, once it is ready.
type Served = Rc<RefCell<Object>>;

/// What a backend needs to run a service, and where its addresses are when it is ready.
fn serve<'e>(
    engine: &Engine<'_>,
    service: Service,
    early: &'e Early<'e>,
) -> Result<(Serving<'e>, Served), CwlError> {
    let host = engine.next_service()?;
    let served = Served::default();
    let (release, released) = oneshot::channel();
    let (told, wanted) = (Rc::clone(&served), service.clone());
    let ready = move |ready: Ready| {
        let mut ways: Vec<Way> = Vec::new();
        for Endpoint { port, .. } in &wanted.endpoints {
            if !ways.iter().any(|way| way.port == *port) {
                let address = SocketAddrV4::new(host, *port);
                ways.push(Way { address, port: *port, to: ready.to.clone() });
            }
        }
        let addresses: Object = wanted
            .endpoints
            .iter()
            .map(|it| (it.output.clone(), address_of(it, host, &ready.outside)))
            .collect();
        let hold = Hold::new(ways, release);
        let tags = Tags::of(vec![Rc::clone(&hold)]);
        told.borrow_mut().clone_from(&addresses);
        early(Tagged {
            tags: addresses.keys().map(|name| (name.clone(), tags.clone())).collect(),
            values: addresses,
            kept: if wanted.lifetime == Lifetime::Workflow { vec![hold] } else { Vec::new() },
        });
    };
    Ok((Serving { service, ready: Box::new(ready), released }, served))
}

/// The value of an output that is an address. No credential is in it: who uses it is connected by whoever runs it.
fn address_of(endpoint: &Endpoint, host: Ipv4Addr, outside: &[(u16, String)]) -> Value {
    let port = endpoint.port;
    let inside = format!("{host}:{port}");
    let url = match outside.iter().find(|(known, _)| endpoint.is_external && *known == port) {
        Some((_, url)) => format!("{}{}", url.trim_end_matches('/'), endpoint.path),
        None => format!("http://{inside}{}", endpoint.path),
    };
    let authority = url.split("://").nth(1).and_then(|rest| rest.split('/').next());
    let authority = authority.unwrap_or(&inside).to_owned();
    match endpoint.form {
        Form::Url => url.into(),
        Form::HostPort => authority.into(),
        Form::Record => {
            let name = authority.rsplit_once(':').map_or(authority.as_str(), |(name, _)| name);
            Value::object([
                ("url", Value::from(url.as_str())),
                ("host", name.into()),
                ("port", Value::from(u64::from(port))),
            ])
        }
    }
}

/// A service must have been ready, and ends when it is asked to.
fn judge_service(
    ended: &Ended,
    served: &Served,
    may_end: bool,
    process: &Process,
) -> Result<(), CwlError> {
    let code = ended.exit_code;
    let name = &process.name;
    if served.borrow().is_empty() {
        return Err(CwlError::Failed(format!(
            "{name}: the service ended with exit code {code} before it was ready"
        )));
    }
    if ended.as_asked || may_end {
        return Ok(());
    }
    Err(CwlError::Failed(format!(
        "{name}: the service ended by itself with exit code {code} while steps use it; \
         `onExit: ignore` allows that"
    )))
}

/// A program to run, and what is needed to collect its outputs.
struct Plan {
    job: Job,
    inputs: Object,
    runtime: Value,
    script: Option<Rc<Script>>,
    place: Place,
}

fn plan(
    engine: &Engine<'_>,
    process: &Process,
    tool: &Tool,
    call: &Call<'_>,
) -> Result<Plan, CwlError> {
    let requirements = &call.requirements;
    let prepared = engine.prepare(call)?;
    let script = requirements.script(engine.limits);
    let image = requirements.image();
    let place = engine.backend.place(image.as_ref(), &process.name)?;
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
    let streams: Vec<&str> = stdout.iter().chain(&stderr).map(String::as_str).collect();
    let output_glob = patterns::of(process, &scope, &streams);
    let job = Job {
        name: process.name.clone(),
        place: place.clone(),
        command,
        environment: requirements.environment(&scope)?,
        stdin: stdin_of(process, tool, &scope)?,
        stdout,
        stderr,
        staged: stage.staged,
        resources,
        time_limit: requirements.time_limit(&scope)?,
        network: requirements.network(process.version, &scope)?,
        reuse: requirements.reuse(&scope)?,
        ports: requirements.published_ports()?,
        output_glob,
        ways: Tags::merged(call.tags.values())
            .whole
            .iter()
            .flat_map(|hold| hold.ways.clone())
            .collect(),
    };
    Ok(Plan { job, inputs: values, runtime, script, place })
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

/// What the program may change for all: old locations, and where the new ones lie below the output directory.
fn updates_in_place(
    requirements: &Requirements,
    staged: &[Staged],
    outdir: &str,
) -> Vec<(String, String)> {
    let wanted = requirements
        .get("InplaceUpdateRequirement")
        .is_some_and(|requirement| requirement.get("inplaceUpdate").as_bool() == Some(true));
    let writable = staged.iter().filter(|staged| wanted && staged.writable);
    let moved = writable.filter_map(|staged| match &staged.content {
        Content::File(location) | Content::Folder(location) => {
            let relative = staged.target.strip_prefix(outdir)?.trim_start_matches('/');
            Some((location.clone(), relative.to_owned()))
        }
        _ => None,
    });
    moved.collect()
}

fn judge(tool: &Tool, ended: &Ended, process: &Process) -> Result<(), CwlError> {
    let code = ended.exit_code;
    let failed = |kind: &str| {
        Err(CwlError::Failed(format!(
            "{}: the program ended with {kind}exit code {code}",
            process.name
        )))
    };
    if tool.success_codes.contains(&code) {
        return Ok(());
    }
    if tool.temporary_fail_codes.contains(&code) {
        return failed("the temporary failure ");
    }
    if tool.permanent_fail_codes.contains(&code) || code != 0 {
        return failed("");
    }
    Ok(())
}
