//! Reads the hint `svc:Service`, and says what is wrong with it.

use std::time::Duration;

use super::{Endpoint, Form, Lifetime, LogLine, OnExit, Readiness, Service};
use crate::extension::{Flaws, port_of};
use crate::value::Value;

/// Between two looks whether it is ready.
const INTERVAL: Duration = Duration::from_millis(200);
/// Longest time from its beginning until it is ready.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Starts after the first one, where `max` says nothing.
const RESTARTS: u32 = 3;
/// Most of them.
const RESTARTS_MAX: u32 = 100;
/// From being asked to end until it is ended.
const GRACE: Duration = Duration::from_secs(10);

/// Reads the hint; what is wrong goes to `flaws`.
pub(crate) fn read(fields: &Value, flaws: &mut Flaws) -> Option<Service> {
    let known = ["class", "endpoints", "ready", "lifetime", "stop", "onExit"];
    flaws.check_fields(fields, &[], &known);
    let endpoints = endpoints(fields.get("endpoints"), flaws);
    let ready = ready(fields.get("ready"), flaws);
    let lifetime = match fields.get("lifetime") {
        Value::Null => Lifetime::Consumers,
        value => match value.as_str() {
            Some("consumers") => Lifetime::Consumers,
            Some("workflow") => Lifetime::Workflow,
            Some("detached") => Lifetime::Detached,
            _ => {
                let rule = "there is no such lifetime";
                flaws.add(&["lifetime"], rule, "write consumers, workflow or detached");
                Lifetime::Consumers
            }
        },
    };
    let on_exit = on_exit(fields.get("onExit"), flaws);
    let stop = fields.get("stop");
    flaws.check_fields(stop, &["stop"], &["signal", "grace"]);
    if !matches!(stop.get("signal").as_str(), None | Some("SIGTERM")) {
        flaws.add(&["stop", "signal"], "services are ended by SIGTERM", "leave it out");
    }
    let grace = seconds(stop, "stop", "grace", GRACE, flaws);
    (!endpoints.is_empty()).then_some(Service { endpoints, ready, lifetime, on_exit, grace })
}

fn endpoints(field: &Value, flaws: &mut Flaws) -> Vec<Endpoint> {
    let mut all = Vec::new();
    for (output, item) in field.as_object().into_iter().flatten() {
        let at = ["endpoints", output.as_str()];
        let with = |key: &'static str| [at[0], at[1], key];
        flaws.check_fields(item, &at, &["port", "scope", "path", "as"]);
        let Some(port) = port_of(item.get("port")) else {
            flaws.add(&with("port"), format!("{output:?} has no port"), "add `port: \"8080\"`");
            continue;
        };
        let is_external = match item.get("scope").as_str() {
            None | Some("internal") => false,
            Some("external") => true,
            Some(_) => {
                flaws.add(&with("scope"), "there is no such scope", "write internal or external");
                false
            }
        };
        let form = match item.get("as").as_str() {
            None | Some("url") => Form::Url,
            Some("hostport") => Form::HostPort,
            Some("record") => Form::Record,
            Some(_) => {
                let rule = "an address is not written that way";
                flaws.add(&with("as"), rule, "write url, hostport or record");
                Form::Url
            }
        };
        let path = item.text("path").unwrap_or_default().to_owned();
        if !(path.is_empty() || path.starts_with('/')) {
            flaws.add(&with("path"), format!("{path:?} is no path"), "begin it with `/`");
        }
        all.push(Endpoint { output: output.clone(), port, is_external, path, form });
    }
    if all.is_empty() && flaws.0.is_empty() {
        let advice = "write `endpoints: {url: {port: \"8080\"}}`, with the name of an output";
        flaws.add(&["endpoints"], "a service step names no output that is its address", advice);
    }
    all
}

fn ready(field: &Value, flaws: &mut Flaws) -> Readiness {
    let known = ["port", "httpGet", "tcp", "interval", "timeout", "exec", "logLine"];
    flaws.check_fields(field, &["ready"], &known);
    let mut http_get = None;
    if !field.get("httpGet").is_null() {
        match (port_of(field.get("port")), field.text("httpGet")) {
            (Some(port), Some(path)) if path.starts_with('/') => {
                http_get = Some((port, path.to_owned()));
            }
            (None, _) => {
                flaws.add(&["ready", "port"], "httpGet needs a port", "add `port: \"8080\"`");
            }
            _ => flaws.add(&["ready", "httpGet"], "httpGet is no path", "begin it with `/`"),
        }
    }
    let interval = seconds(field, "ready", "interval", INTERVAL, flaws);
    Readiness {
        http_get,
        exec: exec(field.get("exec"), flaws),
        log_line: log_line(field.get("logLine"), flaws),
        interval: interval.max(Duration::from_millis(50)),
        timeout: seconds(field, "ready", "timeout", TIMEOUT, flaws),
    }
}

fn exec(field: &Value, flaws: &mut Flaws) -> Vec<String> {
    if field.is_null() {
        return Vec::new();
    }
    let words: Option<Vec<String>> = field
        .as_array()
        .map(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    match words.filter(|words| words.first().is_some_and(|word| !word.is_empty())) {
        Some(words) => words,
        None => {
            let advice = "write `exec: [pg_isready, -q]`, each word by itself";
            flaws.add(&["ready", "exec"], "exec is no list of words", advice);
            Vec::new()
        }
    }
}

fn log_line(field: &Value, flaws: &mut Flaws) -> Option<LogLine> {
    if field.is_null() {
        return None;
    }
    let parsed = match field.as_str() {
        Some(text) => LogLine::parse(text),
        None => Err("logLine is no text".to_owned()),
    };
    match parsed {
        Ok(found) => Some(found),
        Err(rule) => {
            flaws.add(&["ready", "logLine"], rule, "write `logLine: \"listening on\"`");
            None
        }
    }
}

/// `fail`, `ignore`, `restart`, or `{restart: {max: 5}}`.
fn on_exit(field: &Value, flaws: &mut Flaws) -> OnExit {
    match field.as_str() {
        _ if field.is_null() => return OnExit::Fail,
        Some("fail") => return OnExit::Fail,
        Some("ignore") => return OnExit::Ignore,
        Some("restart") => return OnExit::Restart(RESTARTS),
        _ => {}
    }
    let restart = field.get("restart");
    if restart.as_object().is_none() {
        let rule = "onExit is neither fail nor ignore nor restart";
        flaws.add(&["onExit"], rule, "write `onExit: restart`, or `onExit: {restart: {max: 5}}`");
        return OnExit::Fail;
    }
    flaws.check_fields(field, &["onExit"], &["restart"]);
    flaws.check_fields(restart, &["onExit", "restart"], &["max"]);
    let max = match restart.get("max") {
        Value::Null => Some(RESTARTS),
        value => value.as_i64().and_then(|max| u32::try_from(max).ok()),
    };
    match max.filter(|max| *max <= RESTARTS_MAX) {
        Some(max) => OnExit::Restart(max),
        None => {
            let rule = "max is no number of restarts";
            let advice = format!("write one from 0 to {RESTARTS_MAX}");
            flaws.add(&["onExit", "restart", "max"], rule, advice);
            OnExit::Fail
        }
    }
}

/// A number of seconds of at most a day.
fn seconds(
    fields: &Value,
    under: &str,
    key: &'static str,
    default: Duration,
    flaws: &mut Flaws,
) -> Duration {
    match fields.get(key) {
        Value::Null => default,
        value => match value.as_f64().filter(|n| (0.0..=86_400.0).contains(n)) {
            Some(seconds) => Duration::from_secs_f64(seconds),
            None => {
                let rule = format!("{key} is no number of seconds");
                flaws.add(&[under, key], rule, "write one from 0 to 86400");
                default
            }
        },
    }
}
