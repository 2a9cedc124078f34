// Every page of the dashboard, light and dark: nothing that axe-core calls serious, no sideways scrolling, a keyboard is enough.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { problemsOf } from "./axe.mjs";
import { openBrowser } from "./wharf.mjs";
import { askToMove, openScene, pagesOf } from "./scene.mjs";

let scene, browser, storageState;

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

for (const colorScheme of ["light", "dark"]) {
  test(`checks 27, 32 and 36: no page has a serious problem, asks elsewhere, or breaks its own policy, ${colorScheme}`, async () => {
    const found = [];
    const context = await browser.newContext({ storageState, colorScheme });
    const page = await context.newPage();
    page.on("request", (request) => new URL(request.url()).origin === scene.wharf.url || found.push(`asked ${request.url()}`));
    page.on("pageerror", (error) => found.push(`${page.url()}: ${error}`));
    page.on("console", (message) => message.text().includes("Content Security Policy") && found.push(`${page.url()}: ${message.text()}`));
    for (const [name, path] of Object.entries(pagesOf(scene))) {
      await page.goto(scene.wharf.url + path);
      found.push(...(await problemsOf(page)).map((problem) => `${name}: ${problem}`));
    }
    await askToMove(page, scene);
    found.push(...(await problemsOf(page)).map((problem) => `host-name-move: ${problem}`));
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

test("check 28: at 200 % zoom, and with a phone's width, Open and Stop are in sight and nothing scrolls sideways", async () => {
  // A window of 1280 by 800 and of 780 at twice the size has half the room.
  for (const [width, height] of [[640, 400], [390, 844], [320, 568]]) {
    const context = await browser.newContext({ storageState, viewport: { width, height }, deviceScaleFactor: 2 });
    const page = await context.newPage();
    for (const [name, path] of Object.entries(pagesOf(scene))) {
      await page.goto(scene.wharf.url + path);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${name} is ${wide} px wide at ${width}`);
    }
    for (const path of ["/", `/services/${scene.survey.uuid}`]) {
      await page.goto(scene.wharf.url + path);
      for (const name of [/^Open JupyterLab/, /^Stop/]) {
        const box = await page.getByRole("link", { name }).first().boundingBox();
        assert.ok(box.x >= 0 && box.x + box.width <= width && box.height >= 24, `${path} ${name} at ${width}: ${JSON.stringify(box)}`);
      }
    }
    // Tabs stand in neat rows: as many columns as fit, aligned.
    await page.goto(`${scene.wharf.url}/services/${scene.survey.uuid}`);
    const tabs = await page.locator(".tabs a").evaluateAll((all) => all.map((one) => one.getBoundingClientRect()).map(({ x, y, right }) => ({ x, y, right })));
    assert.ok(tabs.every(({ x, right }) => x >= 0 && right <= width), JSON.stringify(tabs));
    assert.ok(new Set(tabs.map(({ y }) => y)).size <= 2, JSON.stringify(tabs));
    await context.close();
  }
});

test("check 26: with the keyboard alone Open is near, the dialog holds the focus and gives it back", async () => {
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
