// What pages of other services and of other sites can make a signed-in browser do: T12, T13, T14.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Wharf, openBrowser, openSite, waitFor } from "./wharf.mjs";

const PORT = 8080;
let wharf, browser, site, portal, sibling, victim, open;

before(async () => {
  site = await openSite((_request, reply) => reply.end("<!doctype html><title>elsewhere</title>"));
  portal = site.origin("portal.localhost");
  [wharf, browser] = await Promise.all([
    Wharf.start(["up"], `Proxy: {CORSOrigins: ["${portal}"]}\n`),
    openBrowser(),
  ]);
  await wharf.importTestApp();
  const submit = (name, access) => wharf.submit(name, ["testkit-app"], { [PORT]: { access, label: name } });
  [sibling, victim, open] = await Promise.all(
    [submit("sibling", "public"), submit("victim", "private"), submit("open", "public")]);
  await Promise.all([sibling, victim, open].map((service) => wharf.waitReady(service, PORT)));
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
  await site?.close();
});

/** A browser that is signed in to the victim; `page(where)` opens a page there. */
async function scene() {
  const context = await browser.newContext();
  const own = await context.newPage();
  await own.goto(await wharf.handoff(victim, PORT, "/mine"));
  await own.getByText("GET /mine HTTP/1.1").waitFor();
  const addresses = {
    "same-origin": wharf.address(victim, PORT, "/mine"),
    "same-site": wharf.address(sibling, PORT, "/theirs"),
    "cross-site": site.origin("elsewhere.localhost"),
  };
  const page = async (where) => {
    const opened = await context.newPage();
    await opened.goto(addresses[where]);
    return opened;
  };
  return { context, page };
}

/** What a page can do to an address, each in a function of the page; resolves when the browser has done it. */
const WAYS = {
  img: (url) => new Promise((done) => Object.assign(new Image(), { onload: done, onerror: done, src: url })),
  script: (url) => new Promise((done) =>
    document.head.append(Object.assign(document.createElement("script"), { onload: done, onerror: done, src: url }))),
  style: (url) => new Promise((done) => document.head.append(
    Object.assign(document.createElement("link"), { rel: "stylesheet", onload: done, onerror: done, href: url }))),
  iframe: (url) => new Promise((done) =>
    document.body.append(Object.assign(document.createElement("iframe"), { onload: done, src: url }))),
  embed: (url) => new Promise((done) => {
    document.body.append(Object.assign(document.createElement("embed"), { onload: done, onerror: done, src: url }));
    setTimeout(done, 2000);
  }),
  "fetch cors": (url) => fetch(url, { mode: "cors", credentials: "include" }).catch(() => {}),
  "fetch no-cors": (url) => fetch(url, { mode: "no-cors", credentials: "include" }).catch(() => {}),
  "fetch post": (url) => fetch(url, { method: "POST", mode: "no-cors", credentials: "include" }).catch(() => {}),
  beacon: (url) => navigator.sendBeacon(url),
  "navigation": (url) => { location.href = url; },
  "form post": (url) => {
    const form = Object.assign(document.createElement("form"), { method: "post", action: url });
    document.body.append(form);
    form.submit();
  },
};

/** Each attempt opens a port of its own in the victim's container, if it reaches the app. */
let port = 9100;
async function reaches(page, way) {
  const mine = port++;
  await page.evaluate(WAYS[way], wharf.address(victim, PORT, `/listen?port=${mine}`));
  if (way === "navigation" || way === "form post") await page.waitForURL(/listen/);
  const isOpen = () => wharf.get(victim, PORT, `/unlisten?port=${mine}`).then((said) => said === "closed\n");
  // Some of them tell the page nothing of their end; what is to arrive, arrives.
  return way === "beacon" ? waitFor("the beacon", isOpen, 2000).catch(() => false) : isOpen();
}

test("t12 pages elsewhere can lead a browser to a service, and do nothing else there", async () => {
  const { context, page } = await scene();
  const reached = {};
  for (const where of ["same-origin", "same-site", "cross-site"]) {
    for (const way of Object.keys(WAYS)) {
      const from = await page(where);
      reached[`${where} ${way}`] = await reaches(from, way);
      await from.close();
    }
  }
  const expected = Object.fromEntries(Object.keys(reached).map((name) =>
    [name, name.startsWith("same-origin ") || name.endsWith(" navigation")]));
  assert.deepEqual(reached, expected);
  await context.close();
});

/** A whole answer of the app that lets `origin` read it with credentials. */
const permissive = (origin) => [
  "HTTP/1.1 200 OK", `Access-Control-Allow-Origin: ${origin}`, "Access-Control-Allow-Credentials: true",
  "Access-Control-Allow-Headers: authorization", "Content-Length: 6", "", "secret"].join("\r\n");

const read = (page, url) => page.evaluate((address) =>
  fetch(address, { credentials: "include" }).then((reply) => reply.text(), () => "blocked"), url);

test("t13 not even an app that says so lets a page elsewhere read a private service", async () => {
  const { context, page } = await scene();
  for (const where of ["same-site", "cross-site"]) {
    const from = await page(where);
    const origin = await from.evaluate(() => location.origin);
    for (const service of [victim, open]) {
      await wharf.post(service, PORT, `/remember?path=/${where}`, permissive(origin));
    }
    // What the app says is heard where the port is public, so the browser would let it.
    assert.equal(await read(from, wharf.address(open, PORT, `/${where}`)), "secret");
    assert.equal(await read(from, wharf.address(victim, PORT, `/${where}`)), "blocked");
    assert.equal(await read(from, wharf.address(victim, PORT, "/mine")), "blocked");
    // It may send what needs no leave, and sees nothing of what it gets.
    const blind = await from.evaluate((url) => fetch(url, { mode: "no-cors", credentials: "include" })
      .then((reply) => [reply.type, reply.status]), wharf.address(victim, PORT, `/${where}`));
    assert.deepEqual(blind, ["opaque", 0]);
  }
  const own = await page("same-origin");
  assert.equal(await read(own, wharf.address(victim, PORT, "/same-site")), "secret");
  await context.close();
});

/** A fetch that a browser asks leave for first. */
const withToken = (page, url, token) => page.evaluate(([address, bearer]) =>
  fetch(address, { headers: { Authorization: `Bearer ${bearer}` } })
    .then(async (reply) => `${reply.status} ${(await reply.text()).split(" ")[0]}`, (error) => `${error}`),
  [url, token]);

test("t14 a page elsewhere learns nothing from a preflight, and a listed one may use its token", async () => {
  const { context, page } = await scene();
  const missing = wharf.address({ uuid: "wharf-xvhdp-zzzzzzzzzzzzzzz" }, PORT, "/x");
  const existing = wharf.address(victim, PORT, "/x");
  for (const where of ["same-site", "cross-site"]) {
    const from = await page(where);
    const told = await withToken(from, existing, wharf.token);
    assert.match(told, /^TypeError/);
    assert.equal(await withToken(from, missing, wharf.token), told);
  }
  const from = await context.newPage();
  await from.goto(portal);
  assert.equal(await withToken(from, existing, wharf.token), "200 GET");
  assert.match(await withToken(from, existing, "v2/wharf-gj3su-zzzzzzzzzzzzzzz/none"), /^403 /);
  // Its cookies stay without a say.
  assert.equal(await read(from, existing), "blocked");
  await context.close();
});
