// Runs the network tests of the library `ws`, directly or with their connections led through the proxy.
//
//     node suite_ws_run.cjs MOCHA direct|proxied OUT EXPECTED [WAY_OUT]
//
// MOCHA is mocha's script, OUT and EXPECTED are as compare_verdicts.py reads them, WAY_OUT is way_in.py's socket.
// Tests of EXPECTED run in processes of their own, since what fails leaves errors behind for those after it; so does
// whatever else failed, once more.
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const [mocha, mode, out, expectedPath, wayOut] = process.argv.slice(2);
const FILES = ["websocket", "websocket-server", "create-websocket-stream"].map((name) => `test/${name}.test.js`);
// TLS ends at the proxy: what these check is no business of it.
const LEFT_OUT = /over TLS|wss:|secure|certificate|TLS/i;

const lines = fs.readFileSync(expectedPath, "utf8").split("\n").filter((line) => line && !line.startsWith("#"));
const expected = lines.map((line) => line.replace(/^may /, "").split(": ")[0]);
const literal = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const exactly = (names) => `^(${names.map(literal).join("|")})$`;
const verdicts = {};

/** One run of mocha; notes a verdict for each test that it ran. */
function run(...selection) {
  const report = `${out}.report`;
  const led = `${out}.led`;
  const words = [mocha, "--exit", "--timeout", "10000", "--require", path.join(__dirname, "suite_ws.cjs"), "--reporter", "json",
    "--reporter-option", `output=${report}`, ...selection, ...FILES];
  fs.rmSync(report, { force: true });
  const env = { ...process.env, LED: led, WAY_OUT: mode === "proxied" ? wayOut : "" };
  const ended = spawnSync(process.execPath, words, { env, encoding: "utf8", timeout: 120_000 });
  const about = fs.existsSync(report) ? JSON.parse(fs.readFileSync(report, "utf8")) : { tests: [] };
  const counts = fs.existsSync(led) ? JSON.parse(fs.readFileSync(led, "utf8")) : {};
  for (const { fullTitle, err } of about.tests) {
    const failed = err && Object.keys(err).length > 0;
    verdicts[fullTitle] = { verdict: failed ? "failed" : "passed", led: counts[fullTitle] ?? 0,
      text: failed ? `${err.message}\n${err.stack}`.slice(0, 2000) : "" };
  }
  return { ended, about };
}

run("--grep", exactly(expected), "--invert");
for (const name of expected) {
  const { ended, about } = run("--grep", exactly([name]));
  // An error outside of a test ends mocha without a report.
  if (about.tests.length === 0) verdicts[name] = { verdict: "failed", led: 1, text: ended.stderr.slice(-2000) };
}
for (let again = 0; again < 2; again += 1) {
  const failed = Object.keys(verdicts).filter((name) => verdicts[name].verdict === "failed" && !expected.includes(name));
  for (const name of failed) run("--grep", exactly([name]));
}
for (const name of Object.keys(verdicts)) {
  if (LEFT_OUT.test(name)) delete verdicts[name];
}
fs.writeFileSync(out, JSON.stringify(verdicts));
