// The terminal of a service's page: what a person types, sees and hears, and who gets none.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { Wharf, openBrowser, openSite, waitFor } from "./wharf.mjs";

let wharf, browser, service, storageState;
const ports = { 8080: { access: "private", label: "App" } };

before(async () => {
  [wharf, browser] = await Promise.all([Wharf.start(), openBrowser()]);
  await wharf.importTestApp();
  service = await wharf.submit("shop", ["testkit-app"], ports);
  await wharf.waitReady(service, 8080);
  const context = await browser.newContext();
  await (await context.newPage()).goto(await wharf.signInLink());
  storageState = await context.storageState();
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
});

const address = () => `${wharf.url}/services/${service.uuid}/terminal`;
const shown = (page) => page.locator("#screen .xterm-rows").innerText();
const sees = (page, text) => waitFor(`${text} on the screen`, async () => (await shown(page)).includes(text));
const hears = (page, text) => waitFor(`${text} of the state`, async () => (await page.locator("#terminal-state").innerText()).includes(text));

async function open(more = {}) {
  const context = await browser.newContext({ storageState, ...more });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(address());
  return { context, page, complaints };
}

async function type(page, line) {
  await page.keyboard.type(line);
  await page.keyboard.press("Enter");
}

test("check 21: echo, resize, Ctrl-C, and the end with its exit code", async () => {
  const { context, page, complaints } = await open();
  await page.getByRole("button", { name: "Open a terminal" }).click();
  await hears(page, "Connected.");
  await type(page, "echo $((40+2)) fish");
  await sees(page, "42 fish");
  const columns = async () => {
    await type(page, "clear; echo size $(stty size)");
    return waitFor("the size", async () => /size (\d+) (\d+)/.exec(await shown(page))?.[2]);
  };
  const wide = Number(await columns());
  await page.setViewportSize({ width: 700, height: 800 });
  await waitFor("fewer columns", async () => Number(await columns()) < wide);
  await type(page, "clear; yes");
  await sees(page, "y\ny\ny\n");
  const begun = Date.now();
  await page.keyboard.press("Control+c");
  await type(page, "echo $((40+3)) stopped");
  await sees(page, "43 stopped");
  assert.ok(Date.now() - begun < 3000, `${Date.now() - begun} ms`);
  await type(page, "exit 7");
  await hears(page, "exit code 7");
  assert.deepEqual(complaints, []);
  await page.goto(`${wharf.url}/services/${service.uuid}/events`);
  assert.match(await page.locator("#events").innerText(), /left by a shell.*exit code 7/s);
  await context.close();
});

test("check 21: a page that is loaded again, and a controller that starts again, find it as it was", async () => {
  const { context, page } = await open();
  await page.getByRole("button", { name: "Open a terminal" }).click();
  await hears(page, "Connected.");
  await type(page, "A=kept; echo $((40+4)) before");
  await sees(page, "44 before");
  await page.reload();
  await hears(page, "Connected.");
  await sees(page, "44 before");
  const { port } = wharf;
  wharf.process.kill("SIGKILL");
  await hears(page, "trying again");
  const words = ["up", "--data", wharf.data, "--listen", `127.0.0.1:${port}`];
  wharf.process = spawn(process.env.WHARF_TEST_BIN, words, { env: wharf.environment, stdio: "ignore" });
  await hears(page, "Connected.");
  await page.locator("#screen textarea").focus();
  await type(page, "echo $A $((40+5))");
  await sees(page, "kept 45");
  await page.getByRole("button", { name: "End it" }).click();
  await hears(page, "Ended by signal 1");
  await context.close();
});

test("a keyboard alone leads in and out, and a screen reader is told", async () => {
  const { context, page } = await open();
  await page.getByRole("checkbox", { name: "For screen readers" }).check();
  await page.getByRole("button", { name: "Open a terminal" }).focus();
  await page.keyboard.press("Enter");
  await hears(page, "Connected.");
  const inside = () => page.evaluate(() => document.getElementById("screen").contains(document.activeElement));
  await page.keyboard.press("Tab");
  assert.ok(await inside(), "Tab is the program's");
  await type(page, "echo $((40+6)) aloud");
  await waitFor("the text for readers", async () =>
    (await page.locator("#screen .xterm-accessibility").innerText()).includes("46 aloud"));
  await page.keyboard.press("Control+Alt+Escape");
  assert.ok(!(await inside()));
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "End it");
  await page.keyboard.press("Enter");
  await hears(page, "Ended");
  await context.close();
});

test("no other site opens one with the session of a browser", async () => {
  const { page, context } = await open();
  const socket = (from, url) => from.evaluate((url) => new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.onopen = () => resolve("open");
    socket.onerror = () => resolve("refused");
  }), url);
  const url = `${address().replace("http", "ws")}/socket`;
  assert.equal(await socket(page, url), "open");
  const site = await openSite((_request, reply) => reply.end("<!doctype html>evil"));
  const other = await context.newPage();
  await other.goto(site.origin("localhost"));
  assert.equal(await socket(other, url), "refused");
  // Nor does a service's own page.
  await other.goto(await wharf.handoff(service, 8080));
  assert.equal(await socket(other, url), "refused");
  await site.close();
  await context.close();
});

test("who may not is told why, without a button", async () => {
  const grace = await wharf.newUser("grace");
  const hers = await wharf.submit("hers", ["testkit-app"], ports, {}, grace);
  await wharf.waitReady(hers, 8080);
  const { page, context } = await open();
  // An administrator may.
  await page.goto(`${wharf.url}/services/${hers.uuid}/terminal`);
  await page.getByRole("button", { name: "Open a terminal" }).waitFor();
  await wharf.cli("stop", hers.uuid);
  await page.reload();
  assert.match(await page.locator("main").innerText(), /only while it runs/);
  assert.equal(await page.getByRole("button", { name: "Open a terminal" }).count(), 0);
  await context.close();
});
