use std::time::Instant;

use super::*;
use crate::json;

fn with_limits(text: &str, limits: Limits) -> String {
    let inputs = json::parse(
        r#"{"a b": [1, {"c": "x"}], "m": "é)", "n": 3, "f": {"size": 5}, "l": {"length": 9}}"#,
    );
    let runtime = Value::object([("cores", Value::from(4_i64))]);
    let script =
        Arc::new(Script { library: vec!["function twice(x) { return 2 * x; }".into()], limits });
    let inputs = inputs.unwrap();
    let scope = Scope { inputs: &inputs, this: &NULL, runtime: &runtime, script: Some(&script) };
    show(evaluate(text, &scope))
}

fn js(text: &str) -> String {
    with_limits(text, Limits::default())
}

fn plain(text: &str) -> String {
    let inputs = json::parse(r#"{"a b": [1, {"c": "x"}], "n": 3, "l": {"length": 9}}"#).unwrap();
    show(evaluate(text, &Scope::of(&inputs, None)))
}

fn show(result: Result<Value>) -> String {
    result.map_or_else(|error| format!("error: {error}"), |value| write(&value, Layout::Compact))
}

#[test]
fn references_need_no_javascript() {
    for (text, expected) in [
        ("$(inputs.n)", "3"),
        (" $(inputs.n) \n", "3"),
        ("$(inputs['a b'][1].c)", "\"x\""),
        ("$(inputs[\"a b\"].length)", "2"),
        ("$(inputs.l.length)", "9"),
        ("$(null)", "null"),
        ("n is $(inputs.n)!", "\"n is 3!\""),
        ("$(inputs.n)$(inputs['a b'])", "\"3[1, {\\\"c\\\": \\\"x\\\"}]\""),
        (r"\$(inputs.n) \\ \x", r#""\\$(inputs.n) \\ \\x""#.replace("\\\\$", "$").as_str()),
    ] {
        assert_eq!(plain(text), expected, "{text}");
    }
    for text in ["$(inputs.missing)", "$(null.x)", "$(inputs.n.length)", "$(other)", "$(inputs"] {
        assert!(plain(text).starts_with("error"), "{text}: {}", plain(text));
    }
}

#[test]
fn javascript_must_be_asked_for() {
    let words = plain("$(1 + 1)");
    assert!(words.contains("InlineJavascriptRequirement"), "{words}");
}

#[test]
fn javascript_has_values_and_returns_values() {
    for (text, expected) in [
        ("$(inputs.n + 1)", "4"),
        ("${ return twice(inputs.n) / 4; }", "1.5"),
        ("$(inputs.m + \")\")", "\"é))\""),
        ("x ${ return {b: [1], a: 'é'}; } y", "\"x {\\\"a\\\": \\\"é\\\", \\\"b\\\": [1]} y\""),
        ("$(runtime.cores)", "4"),
        ("$(NaN)", "null"),
        ("$(1e21)", "1000000000000000000000"),
        ("${ // a comment with }\n return '}'; }", "\"}\""),
        ("$(typeof process + typeof require + typeof fetch)", "\"undefinedundefinedundefined\""),
    ] {
        assert_eq!(js(text), expected, "{text}");
    }
    for text in ["$(undefined)", "${ }", "$(function(){})", "${ throw 'no'; }", "$(])", "$(x.y)"] {
        assert!(js(text).starts_with("error"), "{text}: {}", js(text));
    }
}

#[test]
fn endless_and_greedy_javascript_ends() {
    let limits = Limits { time: Duration::from_millis(100), memory_bytes: 16 << 20 };
    let begin = Instant::now();
    assert!(with_limits("${ for (;;) {} }", limits).contains("longer than"));
    for text in [
        "${ var a = []; for (;;) a.push(new Array(1000)); }",
        "${ function f() { return f() + 1; } return f(); }",
        "${ var s = 'x'; for (;;) s += s; }",
        "$(/^(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'))",
        "${ var a = []; a = [a]; for (var i = 0; i < 100000; i++) a = [a]; return a; }",
    ] {
        assert!(with_limits(text, limits).starts_with("error"), "{text}");
    }
    assert!(begin.elapsed() < Duration::from_secs(20));
}
