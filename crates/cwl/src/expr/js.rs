//! JavaScript with bounds of time, memory and stack. A fresh engine for each evaluation: nothing of one is seen
//! by another, and there is nothing of the host in it.
//!
//! Statements are stopped when their time is over. Work of the engine itself (searching a long text, say) looks at no clock,
//! so each evaluation has a thread that is left behind then; it ends with its work or with the process.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::{Scope, Script, Value};
use crate::json::{self, Layout};
use crate::number::Number;
use rquickjs::{CatchResultExt as _, Context, Ctx, Runtime};

/// The engine's own.
const STACK_BYTES: usize = 512 << 10;
/// Of the thread: the engine's, and values on their way out of it.
const THREAD_STACK_BYTES: usize = 4 << 20;
/// Time that a statement has to be stopped in.
const GRACE: Duration = Duration::from_secs(1);

/// The value of an expression.
pub(super) fn run(code: &str, scope: &Scope<'_>, script: &Arc<Script>) -> Result<Value, String> {
    let mut globals = vec![("inputs", scope.inputs), ("self", scope.this)];
    if !scope.runtime.is_null() {
        globals.push(("runtime", scope.runtime));
    }
    let globals = globals.into_iter().map(|(name, it)| (name, json::write(it, Layout::Compact)));
    let evaluation = Evaluation {
        code: code.to_owned(),
        globals: globals.collect(),
        script: Arc::clone(script),
    };
    let (sender, receiver) = sync_channel(1);
    let thread = std::thread::Builder::new().name("expression".to_owned());
    let thread = thread.stack_size(THREAD_STACK_BYTES).spawn(move || {
        // Whoever waited may have gone.
        let _unheard = sender.send(evaluation.run());
    });
    thread.map_err(|error| format!("there is no thread for it: {error}"))?;
    match receiver.recv_timeout(script.limits.time.saturating_add(GRACE)) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(late(script)),
        Err(RecvTimeoutError::Disconnected) => Err("the engine broke down over it".to_owned()),
    }
}

fn late(script: &Script) -> String {
    format!("it took longer than {} s", script.limits.time.as_secs_f32())
}

/// All that an evaluation needs.
struct Evaluation {
    code: String,
    /// As JSON, by name.
    globals: Vec<(&'static str, String)>,
    script: Arc<Script>,
}

impl Evaluation {
    fn run(self) -> Result<Value, String> {
        let script = &self.script;
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        runtime.set_memory_limit(script.limits.memory_bytes);
        runtime.set_max_stack_size(STACK_BYTES);
        let deadline = Instant::now() + script.limits.time;
        let is_late = std::rc::Rc::new(Cell::new(false));
        let flag = LateFlag(std::rc::Rc::clone(&is_late));
        runtime.set_interrupt_handler(Some(Box::new(move || flag.check(deadline))));
        let context = Context::full(&runtime).map_err(|error| error.to_string())?;
        let result = context.with(|ctx| self.evaluate(&ctx));
        if is_late.get() { Err(late(script)) } else { result }
    }

    fn evaluate(&self, ctx: &Ctx<'_>) -> Result<Value, String> {
        for library in &self.script.library {
            eval(ctx, library.as_str())
                .map_err(|problem| format!("in expressionLib: {problem}"))?;
        }
        for (name, text) in &self.globals {
            let value = ctx.json_parse(text.as_str()).catch(ctx);
            let value = value.map_err(|error| error.to_string())?;
            ctx.globals().set(*name, value).map_err(|error| error.to_string())?;
        }
        let value = eval(ctx, &self.code)?;
        if value.is_undefined() || value.is_function() {
            let what = if value.is_function() { "a function" } else { "undefined" };
            return Err(format!("its value is {what}; it must return what JSON can say"));
        }
        let text = ctx.json_stringify(value).catch(ctx).map_err(|error| error.to_string())?;
        let text = text.ok_or("its value is nothing that JSON can say")?;
        let text = text.to_string().map_err(|error| error.to_string())?;
        json::parse(&text).map(whole).map_err(|error| error.to_string())
    }
}

/// Notes that an evaluation was stopped because its time was over.
struct LateFlag(std::rc::Rc<Cell<bool>>);

impl LateFlag {
    fn check(&self, deadline: Instant) -> bool {
        if Instant::now() >= deadline {
            self.0.set(true);
        }
        self.0.get()
    }
}

fn eval<'js>(ctx: &Ctx<'js>, code: &str) -> Result<rquickjs::Value<'js>, String> {
    let mut options = rquickjs::context::EvalOptions::default();
    // Sloppy, as expressions in the wild are; also what other runners do by default.
    options.strict = false;
    ctx.eval_with_options(code, options).catch(ctx).map_err(|error| {
        let text = error.to_string();
        text.lines().next().unwrap_or("it threw nothing").to_owned()
    })
}

/// JavaScript knows no integers: whole numbers become them.
fn whole(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_str().strip_suffix(".0").and_then(Number::parse) {
            Some(integer) => Value::Number(integer),
            None => Value::Number(number),
        },
        Value::Array(items) => Value::Array(items.into_iter().map(whole).collect()),
        Value::Object(entries) => {
            Value::Object(entries.into_iter().map(|(key, item)| (key, whole(item))).collect())
        }
        other => other,
    }
}
