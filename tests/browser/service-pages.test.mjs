// What a service host says where the app cannot: each status as a page that tells what it is and where to go (checks 23 to 25).
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { problemsOf } from "./axe.mjs";
import { Wharf, openBrowser, waitFor } from "./wharf.mjs";

const run = promisify(execFile);
const PRIVATE = { access: "private", label: "App" };
let wharf, browser, ada, bob, cases;

before(async () => {
  // Two places, so that the third service waits; an app that takes a second to answer takes too long.
  const config = "Containers: {MaxContainers: 2}\nProxy: {FirstByteTimeout: 1s}\n";
  [wharf, browser] = await Promise.all([Wharf.start(["up"], config), openBrowser()]);
  await wharf.importTestApp();
  [ada, bob] = [await wharf.newUser("ada"), await wharf.newUser("bob")];
  const stopped = await submit("over", ["testkit-app"]);
  await wharf.waitReady(stopped, 8080);
  await wharf.cli("stop", stopped.uuid);
  await waitFor("it to be over", async () => (await record(stopped)).state === "Cancelled");
  const running = await submit("runs", ["testkit-app"]);
  await wharf.waitReady(running, 8080);
  await wharf.get(running, 8080, "/listen?port=9000");
  await wharf.waitReady(running, 9000);
  await wharf.get(running, 8080, "/unlisten?port=9000");
  const starting = await submit("sleeps", ["sh", "-c", "sleep 1000"]);
  await waitFor("it to run", async () => (await record(starting)).state === "Running");
  const queued = await submit("waits", ["testkit-app"]);
  cases = [
    { what: "nobody's port", status: 400, address: wharf.address(running, 99999), as: ada, title: /cannot be read/ },
    { what: "a stranger", status: 403, address: wharf.address(running, 8080, "/lab?x=1"), as: null, title: /Sign in to open/ },
    { what: "somebody else", status: 403, address: wharf.address(running, 8080), as: bob, title: /You cannot open/ },
    { what: "no such service", status: 404, address: wharf.address({ uuid: running.uuid.replace(/.$/, "#").replace("#", running.uuid.endsWith("0") ? "1" : "0") }, 8080), as: ada, title: /No such service/ },
    { what: "one that is over", status: 410, address: wharf.address(stopped, 8080), as: ada, title: /over/ },
    { what: "a port that nobody listens on any more", status: 502, address: wharf.address(running, 9000), as: ada, title: /does not answer/ },
    { what: "one that starts", status: 503, address: wharf.address(starting, 8080), as: ada, title: /sleeps/ },
    { what: "one that waits", status: 503, address: wharf.address(queued, 8080), as: ada, title: /waits/ },
    { what: "an app that takes too long", status: 504, address: wharf.address(running, 8080, "/poll"), as: ada, title: /takes too long/ },
  ];
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
});

const submit = (name, command) => wharf.submit(name, command, { 8080: PRIVATE, 9000: { access: "private", label: "Other" } }, {}, ada);
const record = (service) => wharf.api("GET", `/arvados/v1/containers/${service.container}`);
const headersOf = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

test("check 24: each status is a page with a title, one heading, its request's id and a way on, and leaks nothing", async () => {
  for (const { what, status, address, as, title } of cases) {
    const context = await browser.newContext({ extraHTTPHeaders: headersOf(as) });
    const page = await context.newPage();
    const answer = await page.goto(address);
    const text = await page.locator("body").innerText();
    assert.equal(answer.status(), status, `${what}: ${text}`);
    assert.match(await page.title(), title, what);
    assert.equal(await page.locator("h1").count(), 1, what);
    const headers = answer.headers();
    assert.ok(text.includes(headers["x-request-id"]), `${what}: ${text}`);
    assert.ok((await page.locator("a[href]").count()) >= 1, `${what} leads nowhere: ${text}`);
    assert.equal(headers["cache-control"], "no-store", what);
    assert.match(headers["content-security-policy"], /default-src 'none'/, what);
    if (as) assert.ok(!(await page.content()).includes(as.split("/").at(-1)), `${what} shows the token`);
    assert.ok(!text.includes("panicked") && !text.includes(".rs:"), text);
    await context.close();
  }
});

test("check 24: programs get the same status as JSON", async () => {
  for (const { what, status, address, as } of cases) {
    const words = ["--silent", "--max-time", "20", "--write-out", "\n%{http_code} %{content_type}", "--header", "Accept: application/json"];
    const { stdout } = await run("curl", [...words, ...(as ? ["--header", `Authorization: Bearer ${as}`] : []), address]);
    const [body, about] = [stdout.slice(0, stdout.lastIndexOf("\n")), stdout.slice(stdout.lastIndexOf("\n") + 1)];
    assert.match(about, new RegExp(`^${status} application/json`), `${what}: ${stdout}`);
    assert.ok(JSON.parse(body).errors[0].length > 10, `${what}: ${body}`);
  }
});

for (const colorScheme of ["light", "dark"]) {
  test(`checks 27 and 28: these pages have no serious problem, ${colorScheme}, and fit a phone`, async () => {
    const found = [];
    for (const { what, address, as } of cases) {
      const context = await browser.newContext({ extraHTTPHeaders: headersOf(as), colorScheme, viewport: { width: 320, height: 568 } });
      const page = await context.newPage();
      await page.goto(address);
      found.push(...(await problemsOf(page)).map((problem) => `${what}: ${problem}`));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > 320) found.push(`${what} is ${wide} px wide`);
      await context.close();
    }
    // What somebody sees who was invited; it reads no record.
    const page = await (await browser.newContext({ colorScheme })).newPage();
    await page.goto(`${cases[1].address.split("/lab")[0]}/.wharf/invitation?code=wc1_x`);
    found.push(...(await problemsOf(page)).map((problem) => `invitation: ${problem}`));
    assert.deepEqual(found, []);
  });
}

test("check 25: pages of the dashboard are byte for byte alike for what is not there and what one may not see", async () => {
  const { url } = await wharf.api("POST", "/wharf/v1/login_links", {}, bob);
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(url);
  const service = /wharf-xvhdp-\w{15}/.exec(cases[1].address)[0];
  const missing = `${service.slice(0, -1)}${service.endsWith("0") ? "1" : "0"}`;
  const see = (uuid) => page.evaluate(async (path) => {
    const answer = await fetch(path);
    return [answer.status, await answer.text()];
  }, `/services/${uuid}`);
  const [theirs, none] = [await see(service), await see(missing)];
  assert.equal(theirs[0], 404);
  assert.deepEqual(theirs, none);
});

test("check 23: a script that asks a service which is not ready gets 503, JSON and a time to come back", async () => {
  const { address, as } = cases.find(({ status }) => status === 503);
  const words = ["--silent", "--include", "--header", `Authorization: Bearer ${as}`, "--header", "Sec-Fetch-Mode: cors", "--header", "Sec-Fetch-Dest: empty"];
  const { stdout } = await run("curl", [...words, address]);
  assert.match(stdout, /^HTTP\/1.1 503/);
  assert.match(stdout, /retry-after: \d+/i);
  assert.match(stdout, /content-type: application\/json/i);
});
