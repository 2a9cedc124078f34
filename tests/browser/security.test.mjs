// Pages of one service against others: rows of the threat list that need a browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Wharf, openBrowser } from "./wharf.mjs";

let wharf, browser, attacker, victim;

before(async () => {
  [wharf, browser] = await Promise.all([Wharf.start(), openBrowser()]);
  await wharf.importTestApp();
  attacker = await wharf.submit("attacker", ["testkit-app"], { 8080: { access: "public", label: "a" } });
  victim = await wharf.submit("victim", ["testkit-app"], { 8080: { access: "private", label: "b" } });
  await wharf.waitReady(attacker, "8080");
  await wharf.waitReady(victim, "8080");
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
});

/** A browser that is signed in to the victim, and a page of the attacker in it. */
async function scene() {
  const context = await browser.newContext();
  const own = await context.newPage();
  await own.goto(await wharf.handoff(victim, 8080, "/mine"));
  await own.getByText("GET /mine HTTP/1.1").waitFor();
  const evil = await context.newPage();
  await evil.goto(wharf.address(attacker, 8080, "/evil"));
  return { context, own, evil };
}

/** What the victim's app saw of paths that begin so. */
async function reached(word) {
  const log = await wharf.api("GET", "/arvados/v1/users/current").then(() =>
    wharf.shell(victim, 8080, `cat /tmp/seen 2>/dev/null | grep -c ${word} || true`));
  return Number(log.trim());
}

test("t01 a cookie for the parent domain does not override the victim's session", async () => {
  const { context, own, evil } = await scene();
  const variants = [
    "wharf_session=tossed; domain=containers.localhost; path=/",
    "wharf_session=tossed; domain=.containers.localhost; path=/mine",
    "__Host-wharf_session=tossed; domain=containers.localhost",
    "app=tossed; domain=containers.localhost; path=/",
  ];
  await evil.evaluate((cookies) => cookies.forEach((cookie) => (document.cookie = cookie)), variants);
  // Headers of the attacker's app are cleaned; its script is not ours to stop. Either way the
  // victim ends at the app or at a fresh sign-in, in a bounded number of steps.
  let hops = 0;
  own.on("response", (reply) => reply.status() >= 300 && reply.status() < 400 && hops++);
  const answer = await own.goto(wharf.address(victim, 8080, "/mine"));
  assert.ok([200, 403].includes(answer.status()), `${answer.status()}`);
  assert.ok(hops < 5, `${hops} redirects`);
  const text = await own.locator("body").innerText();
  assert.ok(!text.includes("wharf_session"), text);
  // Signing in again mends it without clearing the browser.
  await own.goto(await wharf.handoff(victim, 8080, "/again"));
  const after = await own.goto(wharf.address(victim, 8080, "/again"));
  assert.ok([200, 403].includes(after.status()));
  await context.close();
});

test("t01 Set-Cookie of the attacker's app never reaches another host", async () => {
  const { context, own, evil } = await scene();
  await evil.evaluate(async () => {
    const cookies = ["a=1; Domain=containers.localhost", "b=1; domain=.containers.localhost",
      "wharf_session=tossed", "c=1;DOMAIN=localhost"];
    const raw = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" +
      cookies.map((cookie) => `Set-Cookie: ${cookie}\r\n`).join("") + "\r\n";
    await fetch("/raw", { method: "POST", body: raw });
  });
  const jar = await context.cookies();
  assert.deepEqual(jar.filter((cookie) => cookie.domain.startsWith(".")), []);
  assert.ok(jar.every((cookie) => cookie.value !== "tossed"), JSON.stringify(jar));
  assert.equal((await own.goto(wharf.address(victim, 8080, "/mine"))).status(), 200);
  await context.close();
});

test("t02 the victim's cookies replayed at another service open nothing", async () => {
  const { context } = await scene();
  const session = (await context.cookies()).find((cookie) => cookie.name.endsWith("wharf_session"));
  const other = await wharf.submit("other", ["testkit-app"], { 8080: { access: "private", label: "c" } });
  await wharf.waitReady(other, "8080");
  const fresh = await browser.newContext();
  await fresh.addCookies([{ name: session.name, value: session.value, url: wharf.address(other, 8080) }]);
  const answer = await (await fresh.newPage()).goto(wharf.address(other, 8080));
  assert.equal(answer.status(), 403);
  await context.close();
});

test("t10 a sibling's page cannot open the victim's WebSocket", async () => {
  const { context, own, evil } = await scene();
  const open = (page) => page.evaluate((url) => new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.onopen = () => resolve("open");
    socket.onerror = () => resolve("refused");
  }), wharf.address(victim, 8080, "/ws").replace("http", "ws"));
  assert.equal(await open(evil), "refused");
  assert.equal(await open(own), "open");
  await context.close();
});

test("t12 a sibling's page can neither post to nor read from the victim", async () => {
  const { context, evil } = await scene();
  const tried = await evil.evaluate(async (base) => {
    const attempt = (path, init) => fetch(base + path, { credentials: "include", ...init })
      .then((reply) => reply.type === "opaque" ? "opaque" : reply.text(), () => "blocked");
    return Promise.all([
      attempt("/sh", { method: "POST", mode: "no-cors", body: "echo csrf >> /tmp/seen" }),
      attempt("/read", { mode: "cors" }),
      attempt("/simple", { mode: "no-cors" }),
    ]);
  }, wharf.address(victim, 8080, "").replace(/\/$/, ""));
  assert.ok(tried.every((outcome) => ["opaque", "blocked"].includes(outcome)), JSON.stringify(tried));
  // A form that posts itself is a navigation: refused as well.
  await evil.evaluate((action) => {
    const form = Object.assign(document.createElement("form"), { method: "post", action, enctype: "text/plain" });
    form.append(Object.assign(document.createElement("input"), { name: "echo form >> /tmp/seen; true ", value: "" }));
    document.body.append(form);
    form.submit();
  }, wharf.address(victim, 8080, "/sh"));
  await evil.waitForLoadState();
  assert.equal(await reached("csrf"), 0);
  assert.equal(await reached("form"), 0);
  await context.close();
});

test("t27 who opens the dashboard, or is opened by it, has no hold on it, and nobody frames it", async () => {
  const { context, evil } = await scene();
  const page = await context.newPage();
  await page.goto(await wharf.signInLink());
  await page.getByRole("link", { name: /Open b/ }).first().waitFor();
  // A page that opens the dashboard in a window: the handle tells nothing and moves nothing.
  const opened = context.waitForEvent("page");
  await evil.evaluate((url) => { window.handle = window.open(url); }, wharf.url);
  const dashboard = await opened;
  await dashboard.getByRole("heading", { name: "Services" }).first().waitFor();
  assert.equal(await dashboard.evaluate(() => window.opener), null);
  await evil.waitForFunction(() => window.handle.closed);
  await evil.evaluate(() => { window.handle.location = "about:blank"; });
  assert.ok(dashboard.url().startsWith(wharf.url), dashboard.url());
  // A service that the dashboard opens: no way back to the page that it came from, and no word where that was.
  const app = context.waitForEvent("page");
  await page.getByRole("link", { name: /Open b/ }).first().click();
  const service = await app;
  await service.getByText("HTTP/1.1").first().waitFor();
  assert.deepEqual(await service.evaluate(() => [window.opener, document.referrer]), [null, ""]);
  // No page of the dashboard is shown in a frame.
  for (const path of ["/", "/sign-in", "/account"]) {
    const framed = await evil.evaluate((src) => new Promise((done) => {
      const frame = Object.assign(document.createElement("iframe"), { src });
      frame.onload = () => done(frame.contentDocument === null ? "apart" : frame.contentDocument.body.innerText);
      document.body.append(frame);
    }), wharf.url + path);
    assert.equal(framed, "apart", path);
    const inside = evil.frames().at(-1);
    assert.ok(!(await inside.locator("body").innerText()).match(/Services|Sign in/), path);
  }
  await context.close();
});

test("t28 a service's page cannot use the dashboard or the API of who visits it", async () => {
  const { context, evil } = await scene();
  const page = await context.newPage();
  await page.goto(await wharf.signInLink());
  const tried = await evil.evaluate(async (base) => {
    const attempt = (path, init) => fetch(base + path, { credentials: "include", ...init })
      .then((reply) => reply.type === "opaque" ? "opaque" : `${reply.status}`, () => "blocked");
    return Promise.all([
      attempt("/arvados/v1/users/current", { mode: "cors" }),
      attempt("/wharf/v1/handoff", { method: "POST", mode: "no-cors", body: "{}" }),
      attempt("/", { mode: "cors" }),
    ]);
  }, wharf.url);
  assert.ok(tried.every((outcome) => ["opaque", "blocked", "401", "403"].includes(outcome)), JSON.stringify(tried));
  // Nor can it be framed.
  await evil.evaluate((src) => document.body.append(Object.assign(document.createElement("iframe"), { src, id: "f" })), wharf.url);
  await evil.waitForTimeout(500);
  const framed = evil.frames().find((frame) => frame.url().startsWith(wharf.url));
  const text = framed ? await framed.locator("body").innerText().catch(() => "") : "";
  assert.ok(!text.includes("Services"), text);
  await context.close();
});
