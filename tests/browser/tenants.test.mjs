// A name or a port that was somebody else's: nothing of the old tenant is left in a browser (T23).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Wharf, openBrowser, waitFor } from "./wharf.mjs";

const PORT = 8080;
let wharf, browser, ada, bob;

before(async () => {
  [wharf, browser] = await Promise.all([Wharf.start(), openBrowser()]);
  await wharf.importTestApp();
  [ada, bob] = await Promise.all([wharf.newUser("ada"), wharf.newUser("bob")]);
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
});

const answer = (type, body, more = []) =>
  ["HTTP/1.1 200 OK", `Content-Type: ${type}`, "Connection: close", ...more, "", body].join("\r\n");

/** A page that leaves in a browser what a page can leave, and a worker that goes on after it. */
const PAGE = `<!doctype html><title>old</title><script>
  localStorage.old = "1";
  document.cookie = "old=1; max-age=9999";
  window.left = Promise.all([
    caches.open("old").then((cache) => cache.put("/kept", new Response("old"))),
    new Promise((done) => { const asked = indexedDB.open("old"); asked.onsuccess = done; }),
    navigator.serviceWorker.register("/worker.js", { updateViaCache: "all" })
      .then(() => navigator.serviceWorker.ready),
  ]).then(() => true);
</script>`;
/** Answers every page itself and asks nobody: the worst that an old tenant can leave. */
const HOSTILE = `
  onactivate = (event) => event.waitUntil(clients.claim());
  onfetch = (event) => event.respondWith(new Response("OLD WORKER", { headers: { "Content-Type": "text/html" } }));`;
/** Passes everything on, and sees all of it. */
const WATCHING = `
  onactivate = (event) => event.waitUntil(clients.claim());
  onfetch = (event) => event.respondWith(fetch(event.request));`;

/** A service of Ada's whose pages leave all that behind. */
async function oldTenant(worker) {
  const service = await wharf.submit("old", ["testkit-app"], { [PORT]: { access: "public", label: "old" } }, {}, ada);
  await wharf.waitReady(service, PORT);
  const forever = ["Cache-Control: public, max-age=31536000, immutable"];
  await wharf.post(service, PORT, "/remember?path=/", answer("text/html", PAGE));
  await wharf.post(service, PORT, "/remember?path=/worker.js", answer("text/javascript", worker, forever));
  await wharf.post(service, PORT, "/remember?path=/asset", answer("text/plain", "old asset", forever));
  return service;
}

/** Visits the old tenant until its worker answers for it. */
async function moveIn(page, address) {
  await page.goto(address);
  assert.equal(await page.evaluate(() => window.left), true);
  await page.goto(`${address}asset`);
  await page.goto(address);
  await page.waitForFunction(() => navigator.serviceWorker.controller);
}

const stateOf = (page) => page.evaluate(async () => ({
  workers: (await navigator.serviceWorker.getRegistrations()).length,
  controlled: Boolean(navigator.serviceWorker.controller),
  caches: await caches.keys(),
  databases: (await indexedDB.databases()).map(({ name }) => name),
  storage: localStorage.length,
  cookies: document.cookie,
}));
const CLEAN = { workers: 0, controlled: false, caches: [], databases: [], storage: 0, cookies: "" };

/** The name `lab`, first Ada's and then Bob's; `visit` is made after that. */
async function changeHands(name, worker, access, visit) {
  const old = await oldTenant(worker);
  const link = await wharf.nameIt(name, old, PORT, ada);
  const address = `http://${name}.containers.localhost:${wharf.port}/`;
  const context = await browser.newContext();
  const page = await context.newPage();
  await moveIn(page, address);
  const next = await wharf.submit("next", ["testkit-app"], { [PORT]: { access, label: "next" } }, {}, bob);
  await wharf.waitReady(next, PORT);
  await wharf.api("DELETE", `/arvados/v1/links/${link.uuid}`, undefined, ada);
  await wharf.nameIt(name, next, PORT, bob);
  await visit({ page, address, next });
  await context.close();
}

test("t23 a worker that watches sees nothing of the next tenant of a name", () =>
  changeHands("watched", WATCHING, "public", async ({ page, address }) => {
    await page.goto(address);
    await page.getByText("GET / HTTP/1.1").waitFor();
    assert.deepEqual(await stateOf(page), CLEAN);
    await page.goto(`${address}asset`);
    await page.getByText("GET /asset HTTP/1.1").waitFor();
  }));

test("t23 a worker that answers by itself is gone after one visit, however long it was to be kept", () =>
  changeHands("hostile", HOSTILE, "public", async ({ page, address }) => {
    // The first visit may still be the old worker's: no server is asked. The browser looks whether the worker has
    // changed, and is told to forget it.
    await page.goto(address);
    await waitFor("the old worker to be forgotten", () => page.evaluate(() =>
      navigator.serviceWorker.getRegistrations().then((found) => found.length === 0)), 10_000);
    await page.goto(address);
    await page.getByText("GET / HTTP/1.1").waitFor();
    assert.deepEqual(await stateOf(page), CLEAN);
  }));

test("t23 signing in to the next tenant of a name shows nothing to the old worker", () =>
  changeHands("private", WATCHING, "private", async ({ page, address, next }) => {
    const refused = await page.goto(address);
    assert.equal(refused.status(), 403);
    // Cookies stay until somebody is let in: nothing of the next tenant has been asked yet.
    const { cookies: _cookies, ...left } = await stateOf(page);
    const { cookies: _none, ...clean } = CLEAN;
    assert.deepEqual(left, clean);
    await page.goto(await wharf.handoff(next, PORT, "/inside"));
    await page.getByText("GET /inside HTTP/1.1").waitFor();
    assert.deepEqual(await stateOf(page), CLEAN);
  }));

test("t23 a name that stays with its owner keeps what pages left", async () => {
  const old = await oldTenant(WATCHING);
  const link = await wharf.nameIt("moved", old, PORT, ada);
  const address = `http://moved.containers.localhost:${wharf.port}/`;
  const context = await browser.newContext();
  const page = await context.newPage();
  await moveIn(page, address);
  const next = await wharf.submit("next", ["testkit-app"], { [PORT]: { access: "public", label: "next" } }, {}, ada);
  await wharf.waitReady(next, PORT);
  await wharf.api("PUT", `/arvados/v1/links/${link.uuid}`, { link: { head_uuid: next.uuid } }, ada);
  await page.goto(`${address}new`);
  await page.getByText("GET /new HTTP/1.1").waitFor();
  const { workers, storage, caches } = await stateOf(page);
  assert.deepEqual({ workers, storage, caches }, { workers: 1, storage: 1, caches: ["old"] });
  await context.close();
});

test("t23 the next container on a port of a site without wildcard begins clean", async () => {
  const range = "{ExternalURL: 'http://localhost/', ExternalPortMin: 27640, ExternalPortMax: 27640}";
  const other = await Wharf.start(["up"], `Services: {ContainerWebServices: ${range}}\n`);
  try {
    await other.importTestApp();
    const begin = async (name) => {
      const service = await other.submit(name, ["testkit-app"], { [PORT]: { access: "public", label: name } });
      await other.waitReady(service, PORT);
      return service;
    };
    const address = "http://localhost:27640/";
    const old = await begin("old");
    other.address = (_service, _port, path) => `http://localhost:27640${path}`;
    await other.post(old, PORT, "/remember?path=/", answer("text/html", PAGE));
    await other.post(old, PORT, "/remember?path=/worker.js", answer("text/javascript", WATCHING));
    await other.post(old, PORT, "/remember?path=/asset", answer("text/plain", "old asset"));
    const context = await browser.newContext();
    const page = await context.newPage();
    await moveIn(page, address);
    await other.api("PUT", `/arvados/v1/container_requests/${old.uuid}`, { container_request: { priority: 0 } });
    await waitFor("the old container to be over", async () =>
      (await other.api("GET", `/arvados/v1/containers/${old.container}`)).state === "Cancelled");
    await begin("next");
    await page.goto(address);
    await page.getByText("GET / HTTP/1.1").waitFor();
    assert.deepEqual(await stateOf(page), CLEAN);
    await context.close();
  } finally {
    await other.stop();
  }
});
