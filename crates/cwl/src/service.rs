//! `svc:Service`: a tool whose program serves while other steps use it. Addresses are outputs of it that are there as soon as
//! it is ready; the others are collected when it was stopped.
//!
//! It is a hint: other runners tell that they do not know it, and run an ordinary program.

mod read;

use std::time::Duration;

use crate::document::{Body, Output, Process, Step};
use crate::error::{Problem, Result};
use crate::extension::Flaws;
use crate::ports::PublishedPort;
use crate::requirements::{PUBLISH_PORTS, SERVICE};
use crate::types::Type;
use crate::value::Value;
pub(crate) use read::read;

/// Longest regular expression that a document may give.
const PATTERN_BYTES_MAX: usize = 1000;
/// Memory of a compiled one.
const PATTERN_SIZE_MAX: usize = 1 << 20;

/// How a tool serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Outputs that are addresses.
    pub endpoints: Vec<Endpoint>,
    /// When it is ready, besides that all ports of endpoints take connections.
    pub ready: Readiness,
    /// Who decides when it ends.
    pub lifetime: Lifetime,
    /// What becomes of it if it ends by itself while others use it.
    pub on_exit: OnExit,
    /// From being asked to end until it is ended, on this machine; an instance has its own.
    pub grace: Duration,
}

/// When a service is ready: all that is said must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Readiness {
    /// Port and path that answer 200 to 399.
    pub http_get: Option<(u16, String)>,
    /// A command that ends with exit code 0 where the service runs; none where it is empty.
    pub exec: Vec<String>,
    /// What a line of its output has in it.
    pub log_line: Option<LogLine>,
    /// Between two looks.
    pub interval: Duration,
    /// Longest time from its beginning.
    pub timeout: Duration,
}

impl Readiness {
    /// Whether somebody has to look now and then, since no event tells.
    pub fn is_asked_for(&self) -> bool {
        self.http_get.is_some() || !self.exec.is_empty()
    }
}

/// A regular expression that finds a line. It takes linear time, whatever it is.
#[derive(Clone, Debug)]
pub struct LogLine(regex_lite::Regex);

impl LogLine {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("logLine is longer than {PATTERN_BYTES_MAX} bytes"));
        }
        let regex = regex_lite::RegexBuilder::new(text).size_limit(PATTERN_SIZE_MAX).build();
        regex.map(Self).map_err(|error| format!("logLine is no regular expression: {error}"))
    }

    /// Whether a line has it.
    pub fn is_in(&self, line: &str) -> bool {
        self.0.is_match(line)
    }
}

impl PartialEq for LogLine {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// What becomes of a service that ends by itself while others use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExit {
    /// The run fails.
    Fail,
    /// Nothing.
    Ignore,
    /// It is started again, at most so many times.
    Restart(u32),
}

/// Who decides when a service ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// When no step uses it any more.
    Consumers,
    /// When no other step of its workflow is left.
    Workflow,
    /// Somebody else, some day.
    Detached,
}

/// An output that is an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of the output.
    pub output: String,
    /// Port of the program.
    pub port: u16,
    /// For people outside, or for steps of the same run.
    pub is_external: bool,
    /// Behind host and port.
    pub path: String,
    /// How it is written.
    pub form: Form,
}

/// How an address is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `http://HOST:PORT/path`.
    Url,
    /// `HOST:PORT`.
    HostPort,
    /// `{url, host, port}`.
    Record,
}

impl Service {
    /// How a tool serves; `None` for an ordinary one.
    pub fn of(process: &Process) -> Option<Self> {
        if !matches!(process.body, Body::Tool(_)) {
            return None;
        }
        let hint = process.hints.iter().rev().find(|hint| hint.class == SERVICE)?;
        let fields = Value::Object(hint.fields.clone());
        // The loader has told what is wrong with it.
        read(&fields, &mut Flaws::default())
    }

    /// Whether an output is there as soon as it is ready.
    pub fn is_early(&self, output: &str) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.output == output)
    }
}

/// What does not fit between the hint, the tool's outputs and its ports.
pub(crate) fn check(
    service: &Service,
    process: &Process,
    ports: Option<&[PublishedPort]>,
    flaws: &mut Flaws,
) {
    let http = service.ready.http_get.iter().map(|(port, _)| (["ready", "port"].to_vec(), *port));
    let addresses = service.endpoints.iter();
    let used = addresses.map(|it| (vec!["endpoints", &it.output, "port"], it.port)).chain(http);
    for (path, port) in used {
        if ports.is_some_and(|ports| !ports.iter().any(|known| known.port == port)) {
            let rule = format!("port {port} is not published by the tool");
            let advice = format!(
                "add an arv:PublishPorts hint with `publishPorts: {{\"{port}\": {{serviceAccess: private, label: …}}}}`"
            );
            flaws.add(&path, rule, advice);
        }
    }
    for endpoint in &service.endpoints {
        let name = &endpoint.output;
        let path = ["endpoints", name.as_str()];
        let Some(output) = process.outputs.iter().find(|output| output.name == *name) else {
            let known = process.outputs.iter().map(|output| output.name.as_str());
            let near = crate::error::nearest(name, known);
            let advice = near.map(|near| format!("did you mean {near:?}?"));
            let advice = advice.unwrap_or_else(|| format!("add `{name}: string?` to outputs"));
            flaws.add(&path, format!("the tool has no output {name:?}"), advice);
            continue;
        };
        if !may_be_address(output, endpoint.form) {
            let ty = if endpoint.form == Form::Record { "Any?" } else { "string?" };
            let rule = format!(
                "the output {name:?} becomes an address when the service is ready, and has type {} or is collected",
                output.ty
            );
            flaws.add(&path, rule, format!("write `{name}: {ty}`, without an outputBinding"));
        }
    }
}

/// Optional, since other runners give null, and nothing that is collected.
fn may_be_address(output: &Output, form: Form) -> bool {
    let members = output.ty.members();
    let fits = members.iter().any(|member| match form {
        Form::Record => matches!(member, Type::Any | Type::Record(_)),
        Form::Url | Form::HostPort => matches!(member, Type::String | Type::Any),
    });
    fits && output.ty.allows_null() && output.collect.is_none()
}

/// Steps that use a service and wait for what it leaves when it was stopped: neither could ever come first.
pub(crate) fn cycles(process: &Process, steps: &[Step]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for step in steps {
        let Some(service) = Service::of(&step.run) else { continue };
        let of_service = |early: bool| {
            let outputs =
                step.outputs.iter().filter(move |name| service_is(&step.run, name) == early);
            outputs.map(|name| (step.name.clone(), name.clone())).collect::<Vec<_>>()
        };
        let users = reached(process, steps, of_service(true), |step| {
            matches!(step.run.body, Body::Expression(_))
        });
        let waiters = reached(process, steps, of_service(false), |_| true);
        if service.lifetime != Lifetime::Consumers {
            continue;
        }
        for name in users.iter().filter(|name| waiters.contains(name)) {
            let Some(user) = steps.iter().find(|step| step.name == *name) else { continue };
            let rule = format!(
                "the step {name:?} uses the service {:?}, and waits for what that leaves when it was stopped",
                step.name
            );
            let advice = "let another step read one of the two";
            let place = Some(user.place.clone());
            problems.push(Problem { place, rule, advice: advice.to_owned() });
        }
    }
    problems
}

fn service_is(process: &Process, output: &str) -> bool {
    Service::of(process).is_some_and(|service| service.is_early(output))
}

/// Names of steps that take one of these outputs, directly or from steps that pass it on.
fn reached(
    process: &Process,
    steps: &[Step],
    mut outputs: Vec<(String, String)>,
    passes_on: impl Fn(&Step) -> bool,
) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    while let Some((step, output)) = outputs.pop() {
        let wanted = crate::links::Origin::Step(step, output);
        for user in steps {
            let mut sources = user.inputs.iter().flat_map(|input| &input.link.sources);
            let takes = sources
                .any(|it| crate::links::origin(it, process, steps).as_ref() == Some(&wanted));
            if !takes || found.contains(&user.name) {
                continue;
            }
            found.push(user.name.clone());
            if passes_on(user) {
                outputs.extend(user.outputs.iter().map(|name| (user.name.clone(), name.clone())));
            }
        }
    }
    found
}

/// The ports that a tool publishes; `None` where they are wrong, which is told there.
pub(crate) fn ports_of(process: &Process) -> Option<Vec<PublishedPort>> {
    let mut all = process.hints.iter().chain(&process.requirements);
    let found = all.find(|requirement| requirement.class == PUBLISH_PORTS);
    let field = found.map(|requirement| requirement.get("publishPorts"));
    let mut flaws = Flaws::default();
    let ports = field.map(|field| crate::ports::read(field, &mut flaws)).unwrap_or_default();
    flaws.0.is_empty().then_some(ports)
}

/// Refuses addresses of the outputs that would be dead when the run is over.
pub fn check_last_outputs(process: &Process) -> Result<()> {
    let Body::Workflow(steps) = &process.body else { return Ok(()) };
    for output in &process.outputs {
        for source in &output.link.sources {
            let Some(crate::links::Origin::Step(step, name)) =
                crate::links::origin(source, process, steps)
            else {
                continue;
            };
            let run = steps.iter().find(|known| known.name == step).map(|step| &step.run);
            let service = run.and_then(|run| Service::of(run));
            if service.is_some_and(|it| it.is_early(&name) && it.lifetime != Lifetime::Detached) {
                let rule = format!(
                    "the output {:?} is the address of the service {step:?}, which is gone when the workflow ends",
                    output.name
                );
                let advice =
                    "write `lifetime: detached` in its svc:Service, or leave the output out";
                let place = Some(output.place.clone());
                return Err(crate::CwlError::invalid(Problem {
                    place,
                    rule,
                    advice: advice.to_owned(),
                }));
            }
        }
    }
    Ok(())
}
