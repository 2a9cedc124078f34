// The start page: shown while a service is not ready, and on to the app by itself.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Wharf, openBrowser } from "./wharf.mjs";

const PRIVATE = { access: "private", label: "app" };
let wharf, browser;

before(async () => {
  [wharf, browser] = await Promise.all([Wharf.start(), openBrowser()]);
  await wharf.importTestApp();
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
});

test("check 23: it goes on to the app with path, query and fragment kept", async () => {
  const wait = "testkit-app --port 9000 & while ! [ -e /tmp/go ]; do sleep 0.1; done; exec testkit-app";
  const ports = { 8080: PRIVATE, 9000: PRIVATE };
  const service = await wharf.submit("slow", ["sh", "-c", wait], ports);
  await wharf.waitReady(service, "9000");
  const page = await (await browser.newContext()).newPage();
  const link = await wharf.handoff(service, 8080, "/lab/tree?x=1&y=%20z#cell-7");
  const answer = await page.goto(link);
  assert.equal(answer.status(), 503);
  assert.match(await page.title(), /slow/);
  assert.ok(await page.locator("h1").count(), "the page has a heading");
  // What is shown is what the record says, and the address is already clean.
  await page.getByText("8080").first().waitFor();
  assert.equal(page.url(), wharf.address(service, 8080, "/lab/tree?x=1&y=%20z#cell-7"));
  await wharf.shell(service, 9000, "touch /tmp/go");
  await page.getByText("GET /lab/tree?x=1&y=%20z HTTP/1.1").waitFor({ timeout: 15_000 });
  assert.equal(page.url(), wharf.address(service, 8080, "/lab/tree?x=1&y=%20z#cell-7"));
  assert.equal(await page.evaluate(() => location.hash), "#cell-7");
});

test("without script it goes on too", async () => {
  const wait = "testkit-app --port 9000 & while ! [ -e /tmp/go ]; do sleep 0.1; done; exec testkit-app";
  const service = await wharf.submit("plain", ["sh", "-c", wait], { 8080: PRIVATE, 9000: PRIVATE });
  await wharf.waitReady(service, "9000");
  const page = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
  const answer = await page.goto(await wharf.handoff(service, 8080, "/lab?x=1"));
  assert.equal(answer.status(), 503);
  await wharf.shell(service, 9000, "touch /tmp/go");
  await page.getByText("GET /lab?x=1 HTTP/1.1").waitFor({ timeout: 15_000 });
});

test("a service that fails while one waits shows its end in words", async () => {
  const fail = "testkit-app --port 9000 & while ! [ -e /tmp/go ]; do sleep 0.1; done; exit 7";
  const service = await wharf.submit("failing", ["sh", "-c", fail], { 8080: PRIVATE, 9000: PRIVATE });
  await wharf.waitReady(service, "9000");
  const page = await (await browser.newContext()).newPage();
  await page.goto(await wharf.handoff(service, 8080));
  await wharf.shell(service, 9000, "touch /tmp/go");
  await page.getByText(/code 7|status 7/).first().waitFor({ timeout: 15_000 });
});

test("a stranger is offered a way to sign in that comes back here", async () => {
  const service = await wharf.submit("mine", ["testkit-app"], { 8080: PRIVATE });
  await wharf.waitReady(service, "8080");
  const context = await browser.newContext();
  const page = await context.newPage();
  const address = wharf.address(service, 8080, "/lab?x=1");
  const answer = await page.goto(address);
  assert.equal(answer.status(), 403);
  const signIn = page.getByRole("link", { name: /sign in/i }).first();
  await signIn.waitFor();
  // With a dashboard session the link leads straight back and in.
  const other = await context.newPage();
  await other.goto(await wharf.signInLink());
  await signIn.click();
  await page.getByText("GET /lab?x=1 HTTP/1.1").waitFor();
  assert.equal(page.url(), address);
});
