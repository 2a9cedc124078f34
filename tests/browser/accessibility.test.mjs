// Every page of the dashboard, light and dark: nothing that axe-core calls serious, no sideways scrolling, a keyboard is enough.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { openBrowser } from "./wharf.mjs";
import { openScene, pagesOf } from "./scene.mjs";

let scene, browser, storageState;
const axe = await readFile(new URL("./node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

before(async () => {
  [scene, browser] = await Promise.all([openScene(), openBrowser()]);
  const context = await browser.newContext();
  await (await context.newPage()).goto(await scene.wharf.signInLink());
  storageState = await context.storageState();
});
after(async () => {
  await browser?.close();
  await scene?.wharf.stop();
});

/** The page with axe in a world of its own, which no policy of the page keeps out. */
async function problemsOf(page) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const { executionContextId } = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  const expression = `${axe}; axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => JSON.stringify(violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => id + ": " + nodes.slice(0, 3).map((node) => node.html.slice(0, 120)).join(" | "))))`;
  const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
    expression, contextId: executionContextId, awaitPromise: true, returnByValue: true,
  });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return JSON.parse(result.value);
}

for (const colorScheme of ["light", "dark"]) {
  test(`no page has a serious problem, ${colorScheme}`, async () => {
    const found = [];
    const context = await browser.newContext({ storageState, colorScheme });
    const page = await context.newPage();
    for (const [name, path] of Object.entries(pagesOf(scene))) {
      await page.goto(scene.wharf.url + path);
      found.push(...(await problemsOf(page)).map((problem) => `${name}: ${problem}`));
    }
    await context.clearCookies();
    await page.goto(`${scene.wharf.url}/sign-in`);
    found.push(...(await problemsOf(page)).map((problem) => `sign-in: ${problem}`));
    assert.deepEqual(found, []);
  });
}

test("no page scrolls sideways on a phone, and what is to be touched is large enough", async () => {
  const found = [];
  for (const [width, height] of [[320, 568], [390, 844]]) {
    const context = await browser.newContext({ storageState, viewport: { width, height }, hasTouch: true });
    const page = await context.newPage();
    for (const [name, path] of Object.entries(pagesOf(scene))) {
      await page.goto(scene.wharf.url + path);
      const { wide, small } = await page.evaluate(() => ({
        wide: document.documentElement.scrollWidth,
        small: [...document.querySelectorAll("main a, main button, main summary")]
          .filter((element) => element.checkVisibility() && element.getBoundingClientRect().height < 24 && !element.closest("p:not(.card-foot, .more, .actions), li.timeline, .note"))
          .map((element) => element.outerHTML.slice(0, 80)),
      }));
      if (wide > width) found.push(`${name} is ${wide} px wide at ${width}`);
      found.push(...small.map((html) => `${name} at ${width}: ${html}`));
    }
    await context.close();
  }
  assert.deepEqual(found, []);
});

test("with the keyboard alone Open is near, the dialog holds the focus and gives it back", async () => {
  const context = await browser.newContext({ storageState });
  const page = await context.newPage();
  await page.goto(`${scene.wharf.url}/services/${scene.survey.uuid}`);
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
  await page.keyboard.press("Tab");
  assert.match(await focused(), /Skip/);
  await page.keyboard.press("Enter");
  const seen = [];
  for (let presses = 0; presses < 10 && !seen.at(-1)?.includes("Open"); presses += 1) {
    await page.keyboard.press("Tab");
    seen.push(await focused());
  }
  assert.match(seen.at(-1), /Open Fish counts/, seen.join(", "));
  const stop = page.getByRole("link", { name: "Stop", exact: true });
  await stop.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  assert.match(await focused(), /Keep it running/);
  for (let presses = 0; presses < 6; presses += 1) {
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest("dialog") !== null));
  }
  await page.keyboard.press("Escape");
  assert.equal(await focused(), "Stop");
  assert.equal(await page.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").count(), 0);
});
