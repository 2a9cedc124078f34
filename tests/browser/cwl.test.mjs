// The examples of CWL: `wharf cwl run` prints where a service is, and that address works in a browser.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Wharf, openBrowser, openSite, waitFor } from "./wharf.mjs";

const examples = join(import.meta.dirname, "../../examples/cwl");
const images = process.env.WHARF_TEST_IMAGES;
let wharf, browser;

before(async () => {
  [wharf, browser] = await Promise.all([Wharf.start(), openBrowser()]);
  for (const image of ["busybox", "jupyterlab"]) {
    await wharf.cli("image", "import", join(images, `${image}.docker.tar`));
  }
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
});

/** Runs an example; `said` grows with its remarks, `end` asks it to end as Ctrl-C does, and gives its exit code. */
function runExample(words, more = {}) {
  const env = { ...wharf.environment, ...more };
  const child = spawn(process.env.WHARF_TEST_BIN, ["cwl", "run", ...words], { cwd: examples, env });
  const example = { said: "" };
  child.stderr.on("data", (piece) => (example.said += piece));
  const ended = new Promise((resolve) => child.on("exit", resolve));
  example.end = () => (child.kill("SIGINT"), ended);
  return example;
}

test("the web API's printed address shows its data to everybody, until Ctrl-C", async () => {
  const outdir = join(wharf.home, "out");
  const example = runExample(["--outdir", outdir, "web-api.cwl", "--file", "hello.json"]);
  const address = await waitFor("the address", () => example.said.match(/http:\/\/\S+-8080\.\S+\/data/)?.[0]);
  const page = await (await browser.newContext()).newPage();
  await page.goto(address);
  assert.deepEqual(JSON.parse(await page.locator("body").innerText()), { hello: "world" });
  assert.equal(await example.end(), 0, example.said);
  await waitFor("the service to be gone", async () => (await page.goto(address))?.status() === 410);
});

const isLab = (page) => page.locator("#jp-main-dock-panel, .jp-Launcher").first().waitFor({ timeout: 60_000 });

test("without a display the address is told, with the reason; it opens JupyterLab, signed in, and not by itself", async () => {
  const example = runExample(["--open", "--outdir", join(wharf.home, "out"), "jupyterlab.cwl"]);
  const link = await waitFor("the link", () => example.said.match(/http:\/\/\S*wc1_\S+/)?.[0], 90_000);
  assert.match(example.said, /Not opened in a browser: there is no display \(.*\), and BROWSER names no program\./);
  const page = await (await browser.newContext()).newPage();
  await page.goto(link);
  await isLab(page);
  assert.ok(!/wc1_|api_token/.test(page.url()), page.url());
  const stranger = await (await browser.newContext()).newPage();
  const refused = await stranger.goto(new URL("/lab", page.url()).href);
  assert.notEqual(refused.status(), 200);
  assert.ok(!example.said.includes(wharf.secret), "the token is not told");
  assert.equal(await example.end(), 0, example.said);
});

test("--open hands the address to the program in BROWSER, and that ends in JupyterLab", async () => {
  // The program gives its only word to the browser of this test, and stays as browsers do.
  const page = await (await browser.newContext()).newPage();
  const words = [];
  const desk = await openSite(async (request, reply) => {
    let word = "";
    for await (const piece of request) word += piece;
    words.push(word);
    await page.goto(word);
    reply.end();
  });
  const program = join(wharf.home, "browser");
  await writeFile(program, `#!/bin/sh
[ $# = 1 ] && curl --silent --data-raw "$1 $ARVADOS_API_TOKEN" http://127.0.0.1:${desk.port}/ && exec sleep 60
`, { mode: 0o755 });
  const access = { ARVADOS_API_HOST: `127.0.0.1:${wharf.port}`, ARVADOS_API_HOST_INSECURE: "1", ARVADOS_API_TOKEN: wharf.token };
  const example = runExample(["--open", "--outdir", join(wharf.home, "out"), "jupyterlab.cwl"],
    { ...access, BROWSER: `no-such-browser:${program}` });
  await waitFor("the browser to be asked", () => words.length > 0, 90_000);
  await isLab(page);
  assert.match(page.url(), /^http:\/\/\S+-8888\.containers\.localhost:\d+\/lab/);
  assert.ok(!/wc1_|api_token/.test(page.url()), page.url());
  assert.equal(words.length, 1);
  assert.match(words[0], /wc1_/);
  assert.ok(!words[0].includes(wharf.secret), "neither word nor environment of the program has the token");
  assert.ok(!/Not opened|wc1_/.test(example.said), example.said);
  assert.equal(await example.end(), 0, example.said);
  await desk.close();
});
