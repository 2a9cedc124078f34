//! JavaScript with bounds of time, memory and stack. A fresh engine for each evaluation: nothing of one is seen
//! by another, and there is nothing of the host in it.

use std::cell::Cell;
use std::time::Instant;

use super::{Scope, Script, Value};
use crate::json::{self, Layout};
use crate::number::Number;
use rquickjs::{CatchResultExt as _, Context, Ctx, Runtime};

/// The engine's own; a thread's stack has at least 2 MiB.
const STACK_BYTES: usize = 512 << 10;

/// The value of an expression.
pub(super) fn run(code: &str, scope: &Scope<'_>, script: &Script) -> Result<Value, String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    runtime.set_memory_limit(script.limits.memory_bytes);
    runtime.set_max_stack_size(STACK_BYTES);
    let deadline = Instant::now() + script.limits.time;
    let is_late = std::rc::Rc::new(Cell::new(false));
    let late = LateFlag(std::rc::Rc::clone(&is_late));
    runtime.set_interrupt_handler(Some(Box::new(move || late.check(deadline))));
    let context = Context::full(&runtime).map_err(|error| error.to_string())?;
    let result = context.with(|ctx| evaluate(&ctx, code, scope, script));
    if is_late.get() {
        return Err(format!("it took longer than {} s", script.limits.time.as_secs_f32()));
    }
    result
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

fn evaluate(
    ctx: &Ctx<'_>,
    code: &str,
    scope: &Scope<'_>,
    script: &Script,
) -> Result<Value, String> {
    for library in &script.library {
        eval(ctx, library.as_str()).map_err(|problem| format!("in expressionLib: {problem}"))?;
    }
    for (name, value) in
        [("inputs", scope.inputs), ("self", scope.this), ("runtime", scope.runtime)]
    {
        if name == "runtime" && value.is_null() {
            continue;
        }
        let value = ctx.json_parse(json::write(value, Layout::Compact)).catch(ctx);
        let value = value.map_err(|error| error.to_string())?;
        ctx.globals().set(name, value).map_err(|error| error.to_string())?;
    }
    let value = eval(ctx, code)?;
    if value.is_undefined() || value.is_function() {
        let what = if value.is_function() { "a function" } else { "undefined" };
        return Err(format!("its value is {what}; it must return what JSON can say"));
    }
    let text = ctx.json_stringify(value).catch(ctx).map_err(|error| error.to_string())?;
    let text = text.ok_or("its value is nothing that JSON can say")?;
    let text = text.to_string().map_err(|error| error.to_string())?;
    json::parse(&text).map(whole).map_err(|error| error.to_string())
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
