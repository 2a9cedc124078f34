// Writes every page at three widths: `cargo xtask screenshots`. WIDTHS=320,768 THEMES=light,dark ONLY=launch,data choose.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openBrowser } from "./wharf.mjs";
import { askToMove, openScene, pagesOf } from "./scene.mjs";

const folder = process.argv[2] ?? "docs/screenshots";
const widths = (process.env.WIDTHS ?? "320,768,1440").split(",").map(Number);
const themes = (process.env.THEMES ?? "light").split(",");
const only = process.env.ONLY?.split(",");

const tooWide = [];
const scene = await openScene();
const browser = await openBrowser();
try {
  await mkdir(folder, { recursive: true });
  const first = await browser.newContext();
  await (await first.newPage()).goto(await scene.wharf.signInLink());
  const storageState = await first.storageState();
  for (const colorScheme of themes) {
    for (const width of widths) {
      const context = await browser.newContext({ storageState, colorScheme, viewport: { width, height: width < 500 ? 640 : 900 } });
      await shoot(context, width, colorScheme);
      await context.close();
    }
  }
} finally {
  await browser.close();
  await scene.wharf.stop();
}

if (tooWide.length) throw new Error(tooWide.join("\n"));

async function shoot(context, width, theme) {
  const page = await context.newPage();
  const signOut = async () => {
    await context.clearCookies();
    await page.goto(`${scene.wharf.url}/sign-in`);
  };
  const pages = Object.entries(pagesOf(scene)).map(([name, path]) => [name, () => page.goto(scene.wharf.url + path)]);
  pages.push(["host-name-move", () => askToMove(page, scene)], ["sign-in", signOut]);
  for (const [name, open] of pages.filter(([name]) => !only || only.includes(name))) {
    await open();
    await page.evaluate(() => document.fonts.ready);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) tooWide.push(`${name} is ${wide} px wide at ${width}`);
    const suffix = theme === "dark" ? "-dark" : "";
    await page.screenshot({ path: join(folder, `${name}-${width}${suffix}.png`), fullPage: true });
  }
  await page.close();
}
