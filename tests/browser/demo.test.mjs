// `wharf demo`: one link, a click, and a page that checks its own address.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Wharf, openBrowser, waitFor } from "./wharf.mjs";

let wharf, browser;

before(async () => {
  [wharf, browser] = await Promise.all([Wharf.start(["demo", "--no-open"]), openBrowser()]);
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
});

test("the printed link opens the dashboard, Open the demo, and all its checks pass", async () => {
  const link = await waitFor("the link", () => wharf.output.match(/http:\/\/\S*code=wc1_\S+/)?.[0]);
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(link);
  const open = page.getByRole("link", { name: /^Open / }).first();
  await open.waitFor();
  const opened = context.waitForEvent("page");
  await open.click();
  const demo = await opened;
  await demo.locator("#verdict[data-state=passed], #verdict[data-state=failed]").waitFor();
  const checks = await demo.locator("[id^=check-]").evaluateAll((items) =>
    items.map((item) => [item.id, item.dataset.state, item.querySelector(".result")?.textContent]));
  assert.ok(checks.length >= 5, JSON.stringify(checks));
  assert.deepEqual(checks.filter(([, state]) => state !== "passed"), []);
  assert.ok(!/api_token|wc1_|v2\//.test(demo.url()), demo.url());
  assert.ok(!wharf.output.includes(wharf.secret), "the token is not printed");
});
