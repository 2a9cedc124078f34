// Who may enter, as two people and a guest see it: checks 15 to 18 of the dashboard's list, and what a copy keeps.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Wharf, openBrowser, waitFor } from "./wharf.mjs";

let wharf, browser, ada, bob;

before(async () => {
  [wharf, browser] = await Promise.all([Wharf.start(), openBrowser()]);
  await wharf.importTestApp();
  [ada, bob] = [await wharf.newUser("ada"), await wharf.newUser("bob")];
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
});

/** A page of the dashboard as this person sees it. */
async function as(token, path = "/", options = {}) {
  const { url } = await wharf.api("POST", "/wharf/v1/login_links", {}, token);
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.goto(url);
  await page.goto(`${wharf.url}${path}`);
  return { context, page };
}

const ports = { 8080: { access: "private", label: "Notebook" }, 8081: { access: "private", label: "Other" } };

async function adasService(name) {
  const service = await wharf.submit(name, ["testkit-app"], ports, {}, ada);
  await wharf.waitReady(service, 8080);
  return service;
}

async function share(page, who, port) {
  await page.getByLabel("Person or group").fill(who);
  await page.locator("form", { hasText: "Person or group" }).getByLabel("Port").selectOption(port);
  await page.getByRole("button", { name: "Open to them" }).click();
}

/** A WebSocket of this page; its close code once it is over. */
function openSocket(page) {
  return page.evaluate(() => new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${location.host}/ws`);
    window.ended = new Promise((ended) => (socket.onclose = (event) => ended(event.code)));
    [socket.onopen, socket.onerror] = [() => resolve(), () => reject(new Error("no socket"))];
  }));
}

test("check 16: a colleague is refused, gets in after sharing, and is out with a close code after revoking", async () => {
  const service = await adasService("shared notebook");
  const { page: hers } = await as(ada, `/services/${service.uuid}/access`);
  const { context, page: his } = await as(bob);
  assert.equal(await his.getByText("shared notebook").count(), 0);
  const refused = await context.newPage();
  assert.equal((await refused.goto(wharf.address(service, 8080))).status(), 403);
  await refused.getByRole("heading", { name: "Sign in to open this service" }).waitFor();
  await refused.getByRole("link", { name: "Sign in" }).click();
  await refused.getByText(/not|no such/i).first().waitFor();

  await share(hers, "nobody@example.com", "");
  await hers.getByRole("alert").getByText(/nobody is called/).waitFor();
  await share(hers, "bob@example.com", "8080");
  await hers.getByText("may open port 8080").waitFor();
  await hers.getByText("Private: you and 1 other").first().waitFor();
  // It appears on his page by itself, one port to click and the other with a reason.
  await his.getByRole("link", { name: "shared notebook", exact: true }).waitFor({ timeout: 5000 });
  await his.goto(`${wharf.url}/services/${service.uuid}`);
  await his.getByText("not opened to you: ask its owner").waitFor();
  assert.equal(await his.getByRole("link", { name: /Open Other/ }).count(), 0);
  const opened = context.waitForEvent("page");
  await his.getByRole("link", { name: /Open Notebook/ }).click();
  const app = await opened;
  await app.getByText("GET / HTTP/1.1").waitFor();
  await openSocket(app);
  await hers.reload();
  await hers.getByText("1 open connection").waitFor();
  await hers.getByRole("row", { name: /bob Test 8080 127\.0\.0\.1/ }).waitFor();
  await hers.getByText(/not signed in/).first().waitFor();

  const begin = Date.now();
  await hers.getByRole("button", { name: "Take back from bob Test" }).click();
  await hers.getByText("Nobody yet besides you").waitFor();
  assert.equal(await app.evaluate(() => window.ended), 1008);
  assert.ok(Date.now() - begin < 5000, `${Date.now() - begin} ms`);
  assert.equal((await app.goto(wharf.address(service, 8080))).status(), 403);
  await context.close();
});

test("somebody who may only read is told why there is no button, and whom to ask about is answered", async () => {
  const service = await adasService("to be read");
  const users = await wharf.api("GET", "/arvados/v1/users");
  const link = { link_class: "permission", name: "can_read", head_uuid: service.uuid,
    tail_uuid: users.items.find((user) => user.username === "bob").uuid };
  await wharf.api("POST", "/arvados/v1/links", { link }, ada);
  const { page } = await as(bob, `/services/${service.uuid}`);
  await page.getByText("not opened to you: ask its owner").first().waitFor();
  assert.equal(await page.getByRole("link", { name: /Open / }).count(), 0);
  await page.goto(`${wharf.url}/services/${service.uuid}/access`);
  assert.equal(await page.getByRole("heading", { name: "Opened to" }).count(), 0);
  const { page: hers } = await as(ada, `/services/${service.uuid}/access`);
  await hers.getByLabel("Person", { exact: true }).fill("bob");
  await hers.getByRole("button", { name: "Ask" }).click();
  await hers.getByText("bob is refused with 403").waitFor();
});

test("check 17: an invitation lets a guest in once, without an account and without script, until it is taken back", async () => {
  const service = await adasService("open house");
  const { page: hers } = await as(ada, `/services/${service.uuid}/access`, { javaScriptEnabled: false });
  await hers.getByRole("textbox", { name: "Note" }).fill("Review on Friday");
  await hers.getByRole("button", { name: "Make a link" }).click();
  const url = (await hers.locator("[role=status] code").textContent()).trim();
  assert.match(url, /\/\.wharf\/invitation\?code=wc1_[\w-]{43}$/);
  await hers.getByText("used 0 of 1").waitFor();
  await hers.goto(`${wharf.url}/services/${service.uuid}/access`);
  assert.ok(!(await hers.content()).includes("wc1_"), "shown again");

  const guest = await (await browser.newContext()).newPage();
  const referrers = [];
  guest.on("request", (request) => referrers.push(request.headers().referer ?? ""));
  await guest.goto(url);
  referrers.length = 0;
  await guest.getByRole("button", { name: "Enter" }).click();
  await guest.getByText("GET / HTTP/1.1").waitFor();
  assert.equal(guest.url(), wharf.address(service, 8080));
  const seen = await guest.locator("body").innerText();
  assert.ok(!seen.includes("wc1_") && !seen.includes("wharf_session"), seen);
  assert.ok(!(referrers.at(-1) ?? "").includes("wc1_"), referrers.join(" "));
  await openSocket(guest);

  const late = await (await browser.newContext()).newPage();
  await late.goto(url);
  await late.getByRole("button", { name: "Enter" }).click();
  await late.getByRole("heading", { name: "This invitation does not open anything" }).waitFor();

  await hers.reload();
  await hers.getByText("A guest from 127.0.0.1").waitFor();
  await hers.getByRole("button", { name: "Take back Review on Friday" }).click();
  assert.equal(await guest.evaluate(() => window.ended), 1008);
  assert.equal((await guest.goto(wharf.address(service, 8080))).status(), 403);
});

test("check 11 and 10: a duplicate and a restart keep who was let in", async () => {
  const service = await adasService("kept");
  const { page } = await as(ada, `/services/${service.uuid}/access`);
  await share(page, "bob", "8080");
  await page.getByText("may open port 8080").waitFor();
  for (const [path, button] of [[`/launch?from=${service.uuid}`, "Launch"], [`/services/${service.uuid}/restart`, "Restart it"]]) {
    await page.goto(`${wharf.url}${path}`);
    await page.getByRole("button", { name: button, exact: true }).click();
    await waitFor("the new run", () => /services\/\S+-xvhdp-/.test(page.url()) && !page.url().includes(service.uuid));
    await page.goto(`${page.url().split("?")[0]}/access`);
    await page.getByText("may open port 8080").waitFor();
  }
});

test("check 18: anonymous reaches a public port, not a private one, and the page warns", async () => {
  const both = { 8080: { access: "private", label: "Notebook" }, 8082: { access: "public", label: "Site" } };
  const service = await wharf.submit("half open", ["testkit-app"], both, {}, ada);
  await wharf.waitReady(service, 8080);
  const anonymous = await (await browser.newContext()).newPage();
  assert.equal((await anonymous.goto(wharf.address(service, 8080))).status(), 403);
  const status = (await anonymous.goto(wharf.address(service, 8082))).status();
  assert.ok([200, 503].includes(status), `${status}: nobody is asked who they are`);
  const { page } = await as(ada, `/services/${service.uuid}/access`);
  await page.getByText("A port of this service is public:").waitFor();
});

test("check 15: a name that is moved leads to the new service at once, and what is open on it ends", async () => {
  const [first, second] = [await adasService("first"), await adasService("second")];
  await wharf.nameIt("moving", first, 8080, ada);
  const { context, page } = await as(ada, "/host-names");
  const app = await context.newPage();
  const host = `moving.containers.localhost:${wharf.port}`;
  await app.goto(`${wharf.url}/open?host=${host}&path=/`);
  await app.getByText("GET / HTTP/1.1").waitFor();
  await openSocket(app);
  await page.getByRole("textbox", { name: "Name" }).fill("moving");
  await page.getByLabel("Leads to").selectOption(`${second.uuid} 8080`);
  await page.getByRole("button", { name: "Set", exact: true }).click();
  await page.getByText("1 connection is open to that service.").waitFor();
  await page.getByRole("button", { name: "Move it" }).click();
  assert.equal(await app.evaluate(() => window.ended), 1008);
  await page.getByRole("link", { name: "second" }).waitFor();
  assert.equal((await app.goto(`http://${host}/`)).status(), 200);
});
