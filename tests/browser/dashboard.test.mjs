// The dashboard: what runs, its ports first, and a click into the app.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Wharf, openBrowser, waitFor } from "./wharf.mjs";

let wharf, browser;

before(async () => {
  [wharf, browser] = await Promise.all([Wharf.start(), openBrowser()]);
  await wharf.importTestApp();
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
});

/** A page that is signed in to the dashboard. */
async function signedIn(options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(await wharf.signInLink());
  return { context, page, problems };
}

const port = (label, access = "private", more = {}) => ({ access, label, ...more });

test("Open leads into the app and no address, page or storage ever holds a token", async () => {
  const ports = { 8080: port("Notebook", "private", { initial_path: "lab?x=1" }), 9000: port("Metrics", "public") };
  const service = await wharf.submit("notebook", ["testkit-app"], ports);
  await wharf.waitReady(service, "8080");
  const { context, page, problems } = await signedIn();
  const addresses = [];
  context.on("request", (request) => addresses.push(request.url()));
  const opened = context.waitForEvent("page");
  await page.getByRole("link", { name: /Open Notebook/ }).first().click();
  const app = await opened;
  await app.getByText("GET /lab?x=1 HTTP/1.1").waitFor();
  assert.equal(new URL(app.url()).search, "?x=1");
  assert.match(app.url(), /\.containers\.localhost:/);
  const seen = await app.locator("body").innerText();
  assert.ok(!seen.includes("wharf_session") && !seen.includes("wc1_"), seen);
  for (const tab of [page, app]) {
    const state = await tab.evaluate(() =>
      [document.documentElement.outerHTML, document.cookie, JSON.stringify(localStorage),
        JSON.stringify(sessionStorage), document.referrer, location.href].join("\n"));
    assert.ok(!state.includes(wharf.secret) && !state.includes("wc1_"), state.slice(0, 500));
  }
  assert.ok(addresses.every((address) => !address.includes(wharf.secret)), "the token travelled");
  assert.deepEqual(problems, []);
});

test("t07 a link that was clicked in one browser opens nothing in another", async () => {
  const service = await wharf.submit("bound", ["testkit-app"], { 8080: port("App") });
  await wharf.waitReady(service, "8080");
  const { context, page } = await signedIn();
  // The link is taken from the browser before it is followed, as by somebody who looks over a shoulder.
  const session = await context.newCDPSession(page);
  await session.send("Fetch.enable", { patterns: [{ urlPattern: "*api_token=wc1_*" }] });
  let link;
  session.on("Fetch.requestPaused", ({ requestId, request }) => {
    link ??= request.url;
    return session.send("Fetch.failRequest", { requestId, errorReason: "Aborted" });
  });
  await page.goto(`${wharf.url}/open/${service.uuid}/8080`).catch(() => {});
  const seen = await waitFor("the link", () => link);
  assert.match(new URL(seen).search, /^\?api_token=wc1_[\w-]{43}\.b$/);
  const other = await (await browser.newContext()).newPage();
  const answer = await other.goto(seen);
  assert.equal(answer.status(), 403);
  assert.ok(!other.url().includes("wc1_"), other.url());
});

test("a service appears, becomes ready and goes, without a reload", async () => {
  const { page } = await signedIn();
  const card = page.getByRole("heading", { name: "comes-and-goes" });
  assert.equal(await card.count(), 0);
  const service = await wharf.submit("comes-and-goes", ["testkit-app"], { 8080: port("App") });
  await card.waitFor({ timeout: 5_000 });
  await page.locator("li", { has: card }).getByRole("link", { name: /Open App/ }).waitFor({ timeout: 10_000 });
  await wharf.cli("stop", service.uuid);
  await waitFor("Open to go", async () =>
    (await page.locator("li", { has: card }).getByRole("link", { name: /Open App/ }).count()) === 0);
});

test("a port that is not ready is no link and says why", async () => {
  const ports = { 8080: port("Ready"), 9999: port("Never") };
  const service = await wharf.submit("half", ["testkit-app"], ports);
  await wharf.waitReady(service, "8080");
  const { page } = await signedIn();
  await page.goto(`${wharf.url}/services/${service.uuid}`);
  await page.getByRole("link", { name: /Open Ready/ }).first().waitFor();
  assert.equal(await page.getByRole("link", { name: /Open Never/ }).count(), 0);
  await page.getByText("Never").first().waitFor();
});

test("a hostname link's address is what is shown and opened", async () => {
  const service = await wharf.submit("named", ["testkit-app"], { 8080: port("App") });
  await wharf.waitReady(service, "8080");
  await wharf.cli("hostname", "set", "pretty", service.uuid, "8080");
  const { context, page } = await signedIn();
  await page.goto(`${wharf.url}/services/${service.uuid}`);
  await page.getByText("pretty.containers.localhost").first().waitFor();
  const opened = context.waitForEvent("page");
  await page.getByRole("link", { name: /Open App/ }).first().click();
  const app = await opened;
  await app.getByText("HTTP/1.1").first().waitFor();
  assert.equal(new URL(app.url()).hostname, "pretty.containers.localhost");
});

test("Copy link puts the exact address on the clipboard, without a code, and says so", async () => {
  const service = await wharf.submit("to pass on", ["testkit-app"], { 8080: port("App", "private", { initial_path: "lab?x=1#y" }) });
  await wharf.waitReady(service, "8080");
  const { context, page } = await signedIn();
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(`${wharf.url}/services/${service.uuid}`);
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.locator("#announcer").getByText("Copied").waitFor({ state: "attached" });
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), wharf.address(service, 8080, "/lab?x=1#y"));
  await page.getByRole("button", { name: "Copy link" }).waitFor();
});

test("a service is stopped after a question", async () => {
  const service = await wharf.submit("to-stop", ["testkit-app"], { 8080: port("App") });
  await wharf.waitReady(service, "8080");
  const { page } = await signedIn();
  await page.goto(`${wharf.url}/services/${service.uuid}/stop`);
  await page.getByText("to-stop").first().waitFor();
  await page.getByRole("button", { name: /stop/i }).click();
  await waitFor("the container to end", async () => {
    const record = await wharf.api("GET", `/arvados/v1/containers/${service.container}`);
    return record.state === "Cancelled";
  });
});

test("t45 names and labels are text, whatever they hold", async () => {
  const evil = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
  const service = await wharf.submit(evil, ["testkit-app"], { 8080: port(`"><svg onload=alert(1)>`) });
  await wharf.waitReady(service, "8080");
  await wharf.shell(service, 8080, `echo '${evil.replaceAll("'", "")}' > /proc/$PPID/fd/1`);
  const { page, problems } = await signedIn();
  for (const path of ["/", `/services/${service.uuid}`]) {
    await page.goto(wharf.url + path);
    await page.getByText("<img src=x").first().waitFor();
    assert.notEqual(await page.title(), "owned");
    assert.equal(await page.locator("img[src=x], svg[onload]").count(), 0);
  }
  assert.deepEqual(problems.filter((text) => text.includes("Content Security Policy")), []);
});

test("reading, opening and stopping work without script", async () => {
  const service = await wharf.submit("no-script", ["testkit-app"], { 8080: port("App") });
  await wharf.waitReady(service, "8080");
  const { context, page } = await signedIn({ javaScriptEnabled: false });
  await page.getByRole("heading", { name: "no-script" }).waitFor();
  const opened = context.waitForEvent("page");
  await page.locator("li", { hasText: "no-script" }).getByRole("link", { name: /Open App/ }).first().click();
  await (await opened).getByText("HTTP/1.1").first().waitFor();
});

test("nothing is cut off or hidden on a phone", async () => {
  const { page } = await signedIn({ viewport: { width: 320, height: 568 } });
  await page.getByRole("heading", { name: "Services" }).waitFor();
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 320, `the page is ${width} px wide`);
});

test("a page whose server is out of reach says so, keeps what it shows, and goes on by itself", async () => {
  const service = await wharf.submit("stays shown", ["testkit-app"], { 8080: port("App") });
  await wharf.waitReady(service, "8080");
  const { context, page } = await signedIn();
  await page.getByRole("heading", { name: "stays shown" }).waitFor();
  await context.setOffline(true);
  await page.evaluate(() => ["pagehide", "pageshow"].forEach((name) => dispatchEvent(new Event(name))));
  await page.getByText(/Wharf does not answer. What you see is .* old/).waitFor();
  assert.ok(await page.getByRole("heading", { name: "stays shown" }).isVisible());
  await context.setOffline(false);
  await page.locator("#connection").waitFor({ state: "hidden" });
});

test("times are right wherever the browser is, and tick", async () => {
  const service = await wharf.submit("ticks", ["testkit-app"], { 8080: port("App") });
  await wharf.waitReady(service, "8080");
  const { page } = await signedIn({ timezoneId: "Asia/Tokyo" });
  await page.goto(`${wharf.url}/services/${service.uuid}`);
  const time = page.locator("time[data-for]").first();
  assert.match(await time.getAttribute("title"), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
  const before = await time.textContent();
  assert.match(before, /^\d+ s$/, "seconds, and no nine hours");
  await waitFor("the time to tick", async () => (await time.textContent()) !== before);
});

test("a sign-in link works once", async () => {
  const link = await wharf.signInLink();
  const first = await (await browser.newContext()).newPage();
  await first.goto(link);
  await first.getByRole("heading", { name: "Services" }).waitFor();
  assert.ok(!first.url().includes("wc1_"), first.url());
  const second = await (await browser.newContext()).newPage();
  const answer = await second.goto(link);
  assert.equal(answer.status(), 403);
});
