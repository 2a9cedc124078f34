// Arvados's web client, Workbench 2 as it is released, against a Wharf: its pages, and its way into a service.
//
// It is not ours to build here: WHARF_TEST_WORKBENCH2 names a folder with a built one (index.html in it).
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { after, before, test } from "node:test";
import { Wharf, openBrowser, openSite, waitFor } from "./wharf.mjs";

const folder = process.env.WHARF_TEST_WORKBENCH2;
const options = folder ? {} : { skip: "WHARF_TEST_WORKBENCH2 names no built Workbench 2" };
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json" };

let wharf, site, browser, context, service;

/** Answers that were errors, and what went wrong in scripts, since the last look. */
const problems = [];

async function workbench(request, reply) {
  const path = normalize(new URL(request.url, "http://workbench").pathname);
  if (path === "/config.json") {
    reply.writeHead(200, { "Content-Type": "application/json" });
    return reply.end(JSON.stringify({ API_HOST: `localhost:${wharf.port}` }));
  }
  const file = extname(path) ? path : "/index.html";
  const text = await readFile(join(folder, file)).catch(() => null);
  reply.writeHead(text ? 200 : 404, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" });
  reply.end(text ?? "");
}

before(async () => {
  if (!folder) return;
  wharf = await Wharf.start();
  await wharf.importTestApp();
  service = await wharf.submit("notebook", ["testkit-app"], {
    8080: { access: "private", label: "Open the notebook", initial_path: "/here" },
  });
  await wharf.waitReady(service, 8080);
  site = await openSite(workbench);
  browser = await openBrowser(["--ignore-certificate-errors"]);
  context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1400, height: 900 } });
});

after(async () => {
  if (!folder) return;
  await browser?.close();
  await site?.close();
  await wharf?.stop();
});

async function open(path) {
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(`${path}: ${error.message.slice(0, 300)}`));
  page.on("response", (answer) => {
    if (answer.status() >= 400) problems.push(`${path}: ${answer.request().method()} ${answer.url()} gave ${answer.status()}`);
  });
  await page.goto(site.origin("localhost") + path);
  return page;
}

async function signIn() {
  const page = await open(`/token?api_token=${wharf.token}`);
  await page.getByText("Recent Workflow Runs").waitFor();
  await page.close();
}

test("workbench 2 has a running service's port as a button, which opens it", options, async () => {
  await signIn();
  const page = await open(`/processes/${service.uuid}`);
  const opened = context.waitForEvent("page");
  await page.getByText("Open the notebook").first().click();
  const app = await opened;
  await app.waitForLoadState();
  assert.equal(new URL(app.url()).pathname, "/here");
  assert(!app.url().includes("token"), app.url());
  await app.close();
  await page.close();
  assert.deepEqual(problems.splice(0), []);
});

test("workbench 2 shows on its pages what is there, without an error", options, async () => {
  const { uuid: user } = await wharf.api("GET", "/arvados/v1/users/current");
  const project = await wharf.api("POST", "/arvados/v1/groups", { group: { name: "Genomes", group_class: "project" } });
  const manifest_text = ". d41d8cd98f00b204e9800998ecf8427e+0 0:0:empty.txt\n";
  await wharf.api("POST", "/arvados/v1/collections", { collection: { name: "Reads of May", owner_uuid: project.uuid, manifest_text } });
  for (const [path, words] of [
    ["/dashboard", "notebook"],
    [`/projects/${user}`, "Genomes"],
    [`/projects/${project.uuid}`, "Reads of May"],
    ["/all_processes", "notebook"],
    ["/shared-with-me", ""],
    ["/favorites", ""],
    ["/public-favorites", ""],
    ["/trash", ""],
    ["/groups", "All users"],
    ["/my-account", ""],
    ["/search-results?q=Reads", "Reads of May"],
    ["/users", ""],
    ["/links", ""],
    ["/api_client_authorizations", ""],
    ["/keep-services", ""],
  ]) {
    const page = await open(path);
    await page.waitForLoadState("networkidle");
    if (words) {
      const shown = () => page.getByText(words).first().isVisible();
      await waitFor(`${path} to show ${words}`, shown).catch(async (error) => problems.push(`${error.message}: ${await page.innerText("body")}`));
    }
    if (process.env.WHARF_TEST_SCREENSHOTS) {
      await page.screenshot({ path: join(process.env.WHARF_TEST_SCREENSHOTS, `${path.replaceAll("/", "_").split("?")[0]}.png`) });
    }
    await page.close();
  }
  assert.deepEqual(problems.splice(0), []);
});

test("workbench 2 cancels a service", options, async () => {
  const page = await open(`/processes/${service.uuid}`);
  await page.getByText("Cancel", { exact: true }).first().click();
  await page.getByText("Confirm", { exact: true }).click();
  await waitFor("the container to end", async () => {
    const { state } = await wharf.api("GET", `/arvados/v1/containers/${service.container}`);
    return state === "Cancelled";
  });
  await waitFor("the page to show it", () => page.getByText("Cancelled").first().isVisible());
  await page.close();
  assert.deepEqual(problems.splice(0), []);
});
