// Five hundred services: the first page is quick and light, finding is quick, changes come live without doubling anything.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Wharf, openBrowser, waitFor } from "./wharf.mjs";

const N = 500;
let wharf, browser, storageState;

before(async () => {
  // One place to run, so that the others wait and cost nothing.
  [wharf, browser] = await Promise.all([Wharf.start(["up"], "Containers: {MaxContainers: 1}"), openBrowser()]);
  await wharf.importTestApp();
  for (let from = 0; from < N; from += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, index) => submit(from + index)));
  }
  const context = await browser.newContext();
  await (await context.newPage()).goto(await wharf.signInLink());
  storageState = await context.storageState();
});
after(async () => {
  await browser?.close();
  // Cancelled by hand: a hundred at a time is all that a list gives.
  for (;;) {
    const filters = encodeURIComponent('[["state","=","Committed"],["priority",">",0]]');
    const { items } = await wharf.api("GET", `/arvados/v1/container_requests?filters=${filters}&limit=100`);
    if (!items.length) break;
    await Promise.all(items.map(({ uuid }) =>
      wharf.api("PUT", `/arvados/v1/container_requests/${uuid}`, { container_request: { priority: 0 } })));
  }
  await wharf?.stop();
});

const submit = (number) => wharf.submit(`service ${String(number).padStart(3, "0")}`, ["testkit-app"],
  { 8080: { access: "private", label: "JupyterLab" }, 9000: { access: "public", label: "Metrics" } });

async function open(path) {
  const page = await (await browser.newContext({ storageState })).newPage();
  await page.goto(wharf.url + path);
  return page;
}

/** Milliseconds of processor time that the server has used so far; a busy machine does not change them. */
async function cpuTime() {
  const fields = (await readFile(`/proc/${wharf.process.pid}/stat`, "utf8")).split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

test("the first page of five hundred services is quick and light", async (t) => {
  const page = await open("/");
  await page.getByText(`1 to 50 of ${N}`).waitFor();
  const html = await page.content();
  const files = await page.evaluate(() => Promise.all(performance.getEntriesByType("resource")
    .filter(({ name }) => name.includes("/assets/")).map(({ name }) => fetch(name).then((answer) => answer.text()))));
  const compressed = [html, ...files].reduce((sum, text) => sum + gzipSync(text).length, 0);
  await page.context().close();
  const cookie = storageState.cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
  const costs = [];
  for (let round = 0; round < 5; round += 1) {
    const before = await cpuTime();
    const answer = await fetch(`http://127.0.0.1:${wharf.port}/`, { headers: { cookie } });
    assert.match(await answer.text(), /1 to 50 of 500/);
    costs.push(await cpuTime() - before);
  }
  const cost = costs.sort((a, b) => a - b)[2];
  t.diagnostic(`${cost} ms of processor time for a page (median of 5), of this build; ` +
    `${Math.round(html.length / 1024)} KiB of HTML, ${Math.round(compressed / 1024)} KiB compressed with style and script`);
  assert.ok(compressed < 120 * 1024, `${compressed} bytes`);
  // Generous: builds for tests are some ten times slower than those for use.
  assert.ok(cost < 3000, `${costs}`);
});

test("one of five hundred is found by a word, and the address keeps it", async () => {
  const page = await open("/");
  await page.getByLabel("Find services").fill("service 123");
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByRole("heading", { name: "service 123" }).waitFor();
  assert.equal(await page.locator("[data-key] h2").count(), 1);
  await page.reload();
  await page.getByRole("heading", { name: "service 123" }).waitFor();
  await page.goBack();
  await page.getByText(`1 to 50 of ${N}`).waitFor();
});

test("changes come live while the stream is there, and by asking while it is cut, and no row twice", async () => {
  const page = await open("/?sort=name");
  await page.getByRole("heading", { name: "service 000" }).waitFor();
  const rename = async (name) => {
    const found = await wharf.api("GET", `/arvados/v1/container_requests?limit=1&filters=${encodeURIComponent('[["name","like","service 00%"]]')}`);
    await wharf.api("PUT", `/arvados/v1/container_requests/${found.items[0].uuid}`, { container_request: { name } });
  };
  await rename("a first name");
  await page.getByRole("heading", { name: "a first name" }).waitFor({ timeout: 10_000 });
  // The stream is cut and cannot be opened anew; the page asks by itself from now on.
  await page.context().route(/\/events$/, (route) => route.abort());
  await page.evaluate(() => dispatchEvent(new Event("pagehide")));
  await page.evaluate(() => dispatchEvent(new Event("pageshow")));
  await rename("a second name");
  await page.getByRole("heading", { name: "a second name" }).waitFor({ timeout: 20_000 });
  await page.context().unroute(/\/events$/);
  await rename("a third name");
  await page.getByRole("heading", { name: "a third name" }).waitFor({ timeout: 20_000 });
  const keys = await page.locator("li[data-key]").evaluateAll((rows) => rows.map((row) => row.dataset.key));
  assert.equal(new Set(keys).size, keys.length);
  await waitFor("the banner to go", () => page.locator("#connection").isHidden());
});
