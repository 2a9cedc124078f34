"""Compares the verdicts of one test suite, run directly and through the proxy.

    compare_verdicts.py DIRECT PROXIED EXPECTED N_LED_MIN

EXPECTED has a line `name: reason` for each test whose verdict no HTTP proxy can leave as it is; one that begins with
`may` is of a test that depends on who is faster. Exit code 1 where another verdict changes, where an expected one
does not, and where fewer than N_LED_MIN tests used the proxy.
"""
import json
import sys

direct_path, proxied_path, expected_path, n_led_min = sys.argv[1:5]
with open(direct_path) as file:
    direct = json.load(file)
with open(proxied_path) as file:
    proxied = json.load(file)
with open(expected_path) as file:
    lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]
expected = dict(line.removeprefix("may ").split(": ", 1) for line in lines)
may_change = {line.removeprefix("may ").split(": ", 1)[0] for line in lines if line.startswith("may ")}

problems = []
if direct.keys() != proxied.keys():
    problems.append(f"not the same tests: {sorted(direct.keys() ^ proxied.keys())}")
changed = {name for name in direct.keys() & proxied.keys() if direct[name]["verdict"] != proxied[name]["verdict"]}
for name in sorted(changed - expected.keys()):
    problems.append(f"{name}: {direct[name]['verdict']} directly, {proxied[name]['verdict']} through the proxy\n{proxied[name]['text']}{direct[name]['text']}")
for name in sorted(expected.keys() - may_change - changed):
    problems.append(f"{name}: expected to change, but did not: {expected[name]}\n{direct[name]['text'] if name in direct else 'not run'}")
led = [name for name, about in proxied.items() if about["led"]]
if any(about["led"] for about in direct.values()):
    problems.append("the direct run was not direct")
if len(led) < int(n_led_min):
    problems.append(f"only {len(led)} tests made a connection through the proxy")
for problem in problems:
    print(problem)
counts = {word: sum(about["verdict"] == word for about in direct.values()) for word in ("passed", "failed", "skipped")}
print(f"{len(direct)} tests, {len(led)} with connections through the proxy; directly {counts}; "
      f"{len(changed)} verdicts changed, {len(expected)} of them expected")
sys.exit(bool(problems))
