//! A command line tool: from its inputs to a program, from what that left to outputs.

mod plan;

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use std::sync::Arc;

use cwl::collect::Collector;
use cwl::document::{Body, Process, Tool};
use cwl::expr::Scope;
use cwl::requirements::Requirements;
use cwl::service::{Endpoint, Form, Lifetime, OnExit, Service};
use cwl::stage::{Content, Staged};
use cwl::{CwlError, NULL, Object, Value};
use tokio::sync::oneshot;

use crate::engine::{Call, Engine};
use crate::evaluator::{Evaluator, Given};
use crate::job::{Ended, Job};
use crate::news::{News, ProgramState, What};
use crate::serving::{Early, Hold, Ready, Serving, Tagged, Tags, Way, Whereabouts};
pub(crate) use plan::runtime_of;
use plan::{Plan, plan};

/// Runs a tool to its output object.
pub(crate) async fn run(
    engine: &Engine<'_>,
    tool: &Tool,
    call: Call<'_>,
) -> Result<Object, CwlError> {
    let planned = plan_on_thread(engine, &call).await?;
    let place = planned.job.place.clone();
    let updates = updates_in_place(call.requirements(), &planned.job.staged, &place.outdir);
    let streams =
        Streams { stdout: planned.job.stdout.clone(), stderr: planned.job.stderr.clone() };
    let tell = |state| engine.tell(&call.given.step, What::Program(place.number, state));
    tell(ProgramState::Queued);
    let ended = run_program(engine, tool, &call, planned.job).await;
    tell(ProgramState::Over);
    let (ended, served) = ended?;
    for (old, relative) in updates {
        engine.updated.borrow_mut().insert(old, cwl::uri::child(&ended.root, &relative));
    }
    let left = Left {
        ended,
        outdir: place.outdir,
        streams,
        inputs: planned.inputs,
        runtime: planned.runtime,
        script: planned.script,
    };
    let given = call.given.clone();
    let collected = engine.evaluator.work(move |_| left.collect(&given));
    let mut outputs = collected.await.map_err(|error| error.within(&call.process().name))?;
    if let Some(served) = served {
        outputs.extend(served.take());
    }
    Ok(outputs)
}

/// Runs the program of a tool to its end, and judges that; addresses, where it was a service.
async fn run_program(
    engine: &Engine<'_>,
    tool: &Tool,
    call: &Call<'_>,
    job: Job,
) -> Result<(Ended, Option<Served>), CwlError> {
    let process = call.process();
    let number = job.place.number;
    let (serving, served) = match (Service::of(process), call.early) {
        (Some(service), Some(early)) => {
            let (serving, served) = serve(engine, service, early, &call.given.step, number)?;
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
    let on_exit = serving.as_ref().map(|serving| serving.service.on_exit);
    let ended = engine.backend.run(job, serving).await?;
    match &served {
        Some(served) => judge_service(&ended, served, on_exit, process)?,
        None => judge(tool, &ended, process)?,
    }
    Ok((ended, served))
}

async fn plan_on_thread(engine: &Engine<'_>, call: &Call<'_>) -> Result<Plan, CwlError> {
    let image = call.requirements().image();
    let place = engine.backend.place(image.as_ref(), &call.process().name)?;
    let holds = Tags::merged(call.tags.values()).whole;
    let ways = holds.iter().flat_map(|hold| hold.ways.clone()).collect();
    drop(holds);
    let given = call.given.clone();
    let planned = engine.evaluator.work(move |evaluator: &Evaluator| {
        let process = Arc::clone(&given.process);
        match &process.body {
            Body::Tool(tool) => plan(evaluator, &given, tool, place, ways),
            _ => Err(CwlError::Failed(format!("{} is no tool", process.name))),
        }
    });
    planned.await
}

/// Files that streams of a program went to, below the output directory.
struct Streams {
    stdout: Option<String>,
    stderr: Option<String>,
}

/// What a program left, and what is needed to make outputs of it.
struct Left {
    ended: Ended,
    outdir: String,
    streams: Streams,
    inputs: Object,
    runtime: Value,
    script: Option<Arc<cwl::expr::Script>>,
}

impl Left {
    fn collect(self, given: &Given) -> Result<Object, CwlError> {
        let Self { ended, outdir, streams, inputs, mut runtime, script } = self;
        runtime.set("exitCode", ended.exit_code.into());
        let inputs = Value::Object(inputs);
        let script = script.as_ref();
        let scope = Scope { inputs: &inputs, this: &NULL, runtime: &runtime, script };
        let collector = Collector {
            storage: ended.storage.as_ref(),
            root: &ended.root,
            outdir: &outdir,
            staged: &ended.staged,
            stdout: streams.stdout.as_deref(),
            stderr: streams.stderr.as_deref(),
            listing: given.requirements.listing(given.process.version),
        };
        collector.collect(&given.process, &scope)
    }
}

/// Addresses of a service, once it is ready.
type Served = Rc<RefCell<Object>>;

/// What a backend needs to run a service, and where its addresses are when it is ready.
fn serve<'e>(
    engine: &Engine<'_>,
    service: Service,
    early: &'e Early<'e>,
    step: &Arc<str>,
    number: u64,
) -> Result<(Serving<'e>, Served), CwlError> {
    let host = engine.next_service()?;
    let served = Served::default();
    let (release, released) = oneshot::channel();
    let place = Whereabouts::new();
    let (told, wanted, to) = (Rc::clone(&served), service.clone(), place.clone());
    let (listener, step) = (Arc::clone(&engine.listener), Arc::clone(step));
    let ready = move |ready: Ready| {
        let what = What::Program(number, ProgramState::Serving);
        listener.hear(&News { step: &step, what });
        let mut ways: Vec<Way> = Vec::new();
        for Endpoint { port, .. } in &wanted.endpoints {
            if !ways.iter().any(|way| way.port == *port) {
                let address = SocketAddrV4::new(host, *port);
                ways.push(Way { address, port: *port, to: to.clone() });
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
    let ready: Option<Box<dyn FnOnce(Ready) + 'e>> = Some(Box::new(ready));
    Ok((Serving { service, place, ready, released, restarts: 0 }, served))
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
    on_exit: Option<OnExit>,
    process: &Process,
) -> Result<(), CwlError> {
    let code = ended.exit_code;
    let name = &process.name;
    if served.borrow().is_empty() {
        return Err(CwlError::Failed(format!(
            "{name}: the service ended with exit code {code} before it was ready"
        )));
    }
    if ended.as_asked || on_exit == Some(OnExit::Ignore) {
        return Ok(());
    }
    Err(CwlError::Failed(format!(
        "{name}: the service ended by itself with exit code {code} while steps use it{}; \
         `onExit: ignore` allows that",
        match on_exit {
            Some(OnExit::Restart(max)) => format!(", after it was started again {max} times"),
            _ => String::new(),
        }
    )))
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
