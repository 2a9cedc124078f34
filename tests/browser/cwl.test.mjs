// The examples of CWL: `wharf cwl run` prints where a service is, and that address works in a browser.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Wharf, openBrowser, waitFor } from "./wharf.mjs";

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
function runExample(...words) {
  const child = spawn(process.env.WHARF_TEST_BIN, ["cwl", "run", ...words], { cwd: examples, env: wharf.environment });
  const example = { said: "" };
  child.stderr.on("data", (piece) => (example.said += piece));
  const ended = new Promise((resolve) => child.on("exit", resolve));
  example.end = () => (child.kill("SIGINT"), ended);
  return example;
}

test("the web API's printed address shows its data to everybody, until Ctrl-C", async () => {
  const outdir = join(wharf.home, "out");
  const example = runExample("--outdir", outdir, "web-api.cwl", "--file", "hello.json");
  const address = await waitFor("the address", () => example.said.match(/http:\/\/\S+-8080\.\S+\/data/)?.[0]);
  const page = await (await browser.newContext()).newPage();
  await page.goto(address);
  assert.deepEqual(JSON.parse(await page.locator("body").innerText()), { hello: "world" });
  assert.equal(await example.end(), 0, example.said);
  await waitFor("the service to be gone", async () => (await page.goto(address))?.status() === 410);
});

test("JupyterLab opens by the printed link, signed in, and not by its address alone", async () => {
  const example = runExample("--open", "--outdir", join(wharf.home, "out"), "jupyterlab.cwl");
  const link = await waitFor("the link", () => example.said.match(/http:\/\/\S*wc1_\S+/)?.[0], 90_000);
  const page = await (await browser.newContext()).newPage();
  await page.goto(link);
  await page.locator("#jp-main-dock-panel, .jp-Launcher").first().waitFor({ timeout: 60_000 });
  assert.ok(!/wc1_|api_token/.test(page.url()), page.url());
  const stranger = await (await browser.newContext()).newPage();
  const refused = await stranger.goto(new URL("/lab", page.url()).href);
  assert.notEqual(refused.status(), 200);
  assert.ok(!example.said.includes(wharf.secret), "the token is not told");
  assert.equal(await example.end(), 0, example.said);
});
