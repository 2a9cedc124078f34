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

test("check 1: name and password lead to Services; a wrong one is said aloud and keeps the name", async () => {
  const ada = await wharf.newUser("ada");
  const { uuid } = await wharf.api("GET", "/arvados/v1/users/current", undefined, ada);
  await wharf.api("POST", `/wharf/v1/users/${uuid}/password`, { password: "correct horse battery" });
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${wharf.url}/host-names`);
  const form = page.locator("form", { has: page.locator("#username") });
  const typed = form.getByRole("textbox", { name: "Password", exact: true });
  const signIn = async (password) => {
    await typed.fill(password);
    await form.getByRole("button", { name: "Sign in" }).click();
  };
  await form.locator("#username").fill("ada");
  await signIn("wrong horse");
  await page.getByRole("alert").getByText("Name and password do not fit").waitFor();
  assert.equal(await form.locator("#username").inputValue(), "ada");
  assert.equal(await typed.inputValue(), "");
  await signIn("correct horse battery");
  // To where the person wanted to go.
  await page.getByRole("heading", { name: "Host names" }).waitFor();
  const kept = await page.evaluate(() => [document.cookie, location.href, document.documentElement.outerHTML, JSON.stringify({ ...localStorage, ...sessionStorage })].join("\n"));
  assert.ok(!kept.includes("v2/") && !kept.includes("horse"), "nothing of it is in the page");
  await page.goto(wharf.url);
  await page.getByRole("heading", { name: "Services" }).waitFor();
  await context.close();
});

test("checks 2 and 4: Open leads into the app and no address, page or storage ever holds a token", async () => {
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

test("check 3: a service appears within two seconds, becomes ready and goes, without a reload", async () => {
  const { page } = await signedIn();
  const card = page.getByRole("heading", { name: "comes-and-goes" });
  assert.equal(await card.count(), 0);
  const service = await wharf.submit("comes-and-goes", ["testkit-app"], { 8080: port("App") });
  await card.waitFor({ timeout: 2_000 });
  await page.locator("li", { has: card }).getByRole("link", { name: /Open App/ }).waitFor({ timeout: 10_000 });
  await wharf.cli("stop", service.uuid);
  await waitFor("Open to go", async () =>
    (await page.locator("li", { has: card }).getByRole("link", { name: /Open App/ }).count()) === 0);
});

test("checks 5 and 6: ports are buttons in their order, and one that is not ready is none and says why", async () => {
  const ports = { 9100: port("Third"), 8080: port("Ready"), 9000: port("Second"), 9999: port("Never") };
  const service = await wharf.submit("half", ["testkit-app"], ports);
  await wharf.waitReady(service, "8080");
  const { page } = await signedIn();
  await page.goto(`${wharf.url}/services/${service.uuid}`);
  await page.getByRole("link", { name: /Open Ready/ }).first().waitFor();
  assert.equal(await page.getByRole("link", { name: /Open Never/ }).count(), 0);
  const tile = (label) => page.locator(".tile", { hasText: label });
  assert.match(await tile("Never").innerText(), /opens as soon as port 9999 answers/);
  for (const number of [9000, 9100]) await wharf.get(service, 8080, `/listen?port=${number}`);
  await page.getByRole("link", { name: /Open Third/ }).first().waitFor();
  await page.getByRole("link", { name: /Open Second/ }).first().waitFor();
  const labels = await page.locator(".ports .tile .open").allInnerTexts();
  assert.deepEqual(labels.map((text) => text.replace(/^Open |\s*\(new tab\)/g, "").trim()), ["Ready", "Second", "Third", "Never"]);
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

test("check 8: Copy link puts the exact address on the clipboard, without a code, and says so", async () => {
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

test("check 32, t45: names and labels are text, whatever they hold", async () => {
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

test("check 29: reading, opening and stopping work without script", async () => {
  const service = await wharf.submit("no-script", ["testkit-app"], { 8080: port("App") });
  await wharf.waitReady(service, "8080");
  const { context, page } = await signedIn({ javaScriptEnabled: false });
  await page.getByRole("heading", { name: "no-script" }).waitFor();
  const opened = context.waitForEvent("page");
  await page.locator("li", { hasText: "no-script" }).getByRole("link", { name: /Open App/ }).first().click();
  await (await opened).getByText("HTTP/1.1").first().waitFor();
  await page.locator("li", { hasText: "no-script" }).getByRole("link", { name: /^Stop/ }).click();
  await page.getByRole("heading", { name: "Stop no-script?" }).waitFor();
  await page.getByRole("button", { name: "Stop it" }).click();
  await waitFor("the container to end", async () => {
    const record = await wharf.api("GET", `/arvados/v1/containers/${service.container}`);
    return record.state === "Cancelled";
  });
});

test("nothing is cut off or hidden on a phone", async () => {
  const { page } = await signedIn({ viewport: { width: 320, height: 568 } });
  await page.getByRole("heading", { name: "Services" }).waitFor();
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 320, `the page is ${width} px wide`);
});

/** The page looks again at once, as when its stream begins anew. */
const lookAgain = (page) => page.evaluate(() => ["pagehide", "pageshow"].forEach((name) => dispatchEvent(new Event(name))));

for (const [how, trouble, words] of [
  ["out of reach", (context) => context.setOffline(true), /Wharf does not answer; trying again/],
  ["in trouble", (context) => context.route(/\/services\/[^/]+$/, (route) => route.fulfill({ status: 500, body: "boom" })), /Wharf cannot show it now \(500\)/],
  ["slow", (context) => context.route(/\/services\/[^/]+$/, () => {}), /Wharf is slow to answer/],
]) {
  test(`check 30: a page whose server is ${how} says so and since when, greys what it shows, and goes on by itself or at once`, async () => {
    const service = await wharf.submit("stays shown", ["testkit-app"], { 8080: port("App") });
    await wharf.waitReady(service, "8080");
    const { context, page } = await signedIn();
    await page.goto(`${wharf.url}/services/${service.uuid}`);
    const heading = page.getByRole("heading", { name: "stays shown", level: 1 });
    await heading.waitFor();
    await trouble(context);
    await lookAgain(page);
    const banner = page.locator("#connection");
    await banner.getByText(words).waitFor({ timeout: 15_000 });
    const age = async () => Number(/What you see is (\d+) s old/.exec(await banner.innerText())?.[1]);
    const first = await age();
    await waitFor("its age to grow", async () => (await age()) > first);
    assert.ok(await heading.isVisible(), "nothing is taken away");
    const live = page.locator("#service");
    assert.equal(await live.evaluate((element) => getComputedStyle(element).filter), "grayscale(1)");
    await context.setOffline(false);
    await context.unroute(/\/services\/[^/]+$/);
    // By hand where it would be long until the next try, which cannot be told from one by itself.
    await page.getByRole("button", { name: "Try again" }).click().catch(() => {});
    await banner.waitFor({ state: "hidden", timeout: 15_000 });
    assert.equal(await live.evaluate((element) => getComputedStyle(element).filter), "none");
    await wharf.cli("stop", service.uuid);
    await page.locator("#service p.state").getByText("Stopped").waitFor({ timeout: 20_000 });
    await context.close();
  });
}

/** What a `<time>` shows, in seconds. */
async function secondsOf(time) {
  const text = await time.textContent();
  const found = /^(?:(\d+) min|(\d+) s)$/.exec(text.trim());
  assert.ok(found, text);
  return found[1] ? 60 * Number(found[1]) : Number(found[2]);
}

test("check 34: times are right in Tokyo, with a clock that is hours wrong, and tick across midnight", async () => {
  const service = await wharf.submit("ticks", ["testkit-app"], { 8080: port("App") });
  await wharf.waitReady(service, "8080");
  const { context, page } = await signedIn({ timezoneId: "Asia/Tokyo" });
  // Three seconds before midnight in Tokyo, on another day than the server's.
  await page.clock.install({ time: new Date("2026-03-04T14:59:57Z") });
  await page.goto(`${wharf.url}/services/${service.uuid}`);
  const time = page.locator("time[data-for]").first();
  assert.match(await time.getAttribute("title"), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
  const since = Date.parse(await time.getAttribute("datetime"));
  /** The server's clock counts: what is shown is what has passed here, give or take what the page's clock was moved by. */
  const isRight = async () => {
    const off = (await secondsOf(time)) - (Date.now() - since) / 1000;
    return off > -5 && off < 20;
  };
  await waitFor("a few seconds to pass", () => Date.now() - since > 6_000);
  assert.ok(await isRight(), await time.textContent());
  const before = await secondsOf(time);
  await page.clock.runFor(10_000);
  assert.equal(await page.evaluate(() => new Date().getDate()), 5, "it is past midnight there");
  await waitFor("the time to tick", async () => (await secondsOf(time)) > before);
  assert.ok(await isRight(), await time.textContent());
  // Also where nothing is asked again, as on a page that does not change.
  await page.goto(`${wharf.url}/account`);
  const made = page.locator("time[data-ago]").first();
  await page.clock.runFor(6_000);
  assert.match(await made.textContent(), /^(just now|\d+ (s|min) ago)$/);
  await context.close();
});

test("check 35: reload, Back and Forward keep filters, tabs and ranges", async () => {
  const service = await wharf.submit("kept place", ["testkit-app"], { 8080: port("App") });
  await wharf.waitReady(service, "8080");
  const { context, page } = await signedIn();
  await page.goto(`${wharf.url}/?q=kept&sort=name`);
  await page.getByRole("heading", { name: "kept place" }).getByRole("link").click();
  await page.locator(".tabs").getByRole("link", { name: "Metrics" }).click();
  await page.getByRole("link", { name: "24 hours" }).click();
  const current = () => page.locator(".tabs [aria-current]").innerText();
  assert.equal(await current(), "Metrics");
  await page.reload();
  assert.match(page.url(), /metrics\?range=24h$/);
  await page.goBack();
  await page.goBack();
  assert.equal(await current(), "Overview");
  await page.goBack();
  assert.equal(await page.getByLabel("Find services").inputValue(), "kept");
  await page.getByRole("heading", { name: "kept place" }).waitFor();
  await page.goForward();
  await page.goForward();
  assert.equal(await current(), "Metrics");
  await context.close();
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
