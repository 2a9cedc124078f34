// From the launch page to a running service and on: preview, launch, logs, restart, duplicate, tokens, data.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser, waitFor } from "./wharf.mjs";
import { openScene } from "./scene.mjs";

let scene, wharf, browser, storageState;

before(async () => {
  [scene, browser] = await Promise.all([openScene(), openBrowser()]);
  wharf = scene.wharf;
  const context = await browser.newContext();
  await (await context.newPage()).goto(await wharf.signInLink());
  storageState = await context.storageState();
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
});

async function open(path, options = {}) {
  const context = await browser.newContext({ storageState, ...options });
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => new URL(request.url()).origin === wharf.url || problems.push(`asked ${request.url()}`));
  await page.goto(wharf.url + path);
  return { page, problems };
}

const record = (uuid) => wharf.api("GET", `/arvados/v1/container_requests/${uuid}`);
const previewed = async (page) => JSON.parse(await page.locator("#preview .command code").nth(1).textContent());

test("what is launched is what the preview showed while it was typed", async () => {
  const { page, problems } = await open("/launch?template=JupyterLab");
  await page.getByLabel("Name", { exact: true }).fill("from the page");
  await page.getByLabel("Environment").fill("A=b c");
  await page.getByRole("group", { name: "Port 2" }).getByLabel("Port").fill("9000");
  await page.getByRole("group", { name: "Port 2" }).getByLabel("Label").fill("Other");
  await page.getByRole("group", { name: "Port 3" }).waitFor();
  await page.getByLabel("Host name").fill("page-made");
  await page.locator("#preview").getByText("--hostname page-made").waitFor();
  const shown = await previewed(page);
  assert.equal(shown.environment.A, "b c");
  assert.equal(shown.published_ports[9000].label, "Other");
  await page.getByRole("button", { name: "Launch" }).click();
  await page.getByRole("heading", { name: "from the page", level: 1 }).waitFor();
  const made = await record(new URL(page.url()).pathname.split("/").at(-1));
  for (const [name, value] of Object.entries(shown)) {
    if (name === "container_image" || name === "properties" || name === "runtime_constraints" || name === "state") continue;
    assert.deepEqual(made[name], value, name);
  }
  for (const name of ["ram", "vcpus"]) assert.equal(made.runtime_constraints[name], shown.runtime_constraints[name]);
  await page.getByRole("link", { name: /Open JupyterLab/ }).waitFor({ timeout: 10_000 });
  await page.getByText("page-made.containers.localhost").waitFor();
  assert.deepEqual(problems, []);
});

test("what is wrong stands at its field and what was typed is kept", async () => {
  const { page } = await open("/launch");
  await page.getByLabel("Image").fill("nothing-like-this");
  await page.getByLabel("Memory").fill("2GiB");
  await page.getByRole("group", { name: "Port 1" }).getByLabel("Port").fill("8080");
  await page.getByRole("button", { name: "Launch" }).click();
  await page.getByText("The label must not be empty").waitFor();
  await page.getByRole("group", { name: "Port 1" }).getByLabel("Label").fill("App");
  await page.getByRole("button", { name: "Launch" }).click();
  const said = page.locator("#wrong-image");
  await said.waitFor();
  assert.equal(await page.getByLabel("Image").inputValue(), "nothing-like-this");
  assert.equal(await page.getByLabel("Image").getAttribute("aria-invalid"), "true");
});

test("a log is followed, paused, searched and downloaded, and a burst does not stop the page", async () => {
  const { page, problems } = await open(`/services/${scene.survey.uuid}/logs`);
  await page.getByText("Serving notebooks").waitFor();
  const say = (script) => wharf.shell(scene.survey, 8080, script);
  await say("echo 'line one' > /proc/$PPID/fd/1");
  await page.getByText("line one").waitFor({ timeout: 2_000 });
  await page.getByRole("button", { name: "Pause" }).click();
  await say("echo 'line two' > /proc/$PPID/fd/1");
  await page.getByText(/paused, 1 waiting/).waitFor();
  assert.equal(await page.getByText("line two").count(), 0);
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText("line two").waitFor();
  await page.getByLabel("Find in the log").fill("line o");
  await page.getByText("1 found").waitFor();
  assert.equal(await page.getByText("line two").isVisible(), false);
  await page.getByLabel("Find in the log").fill("");
  await say("i=0; while [ $i -lt 10000 ]; do echo \"burst $i\"; i=$((i+1)); done > /proc/$PPID/fd/1");
  const begun = Date.now();
  await page.getByLabel("Find in the log").press("x");
  await page.getByLabel("Find in the log").press("Backspace");
  // On a busy machine and with a driver in between; a page that is held up takes many times as long.
  assert.ok(Date.now() - begun < 5_000, `typing took ${Date.now() - begun} ms`);
  await page.getByText("burst 9999").waitFor({ timeout: 10_000 });
  assert.ok(await page.locator(".log .line").count() <= 5000);
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download" }).click();
  const stream = await (await download).createReadStream();
  let text = "";
  for await (const piece of stream) text += piece;
  const kept = await fetch(`http://127.0.0.1:${wharf.port}/wharf/v1/logs/${scene.survey.uuid}`, {
    headers: { Authorization: `Bearer ${wharf.token}` },
  });
  assert.equal(text, await kept.text());
  assert.ok(text.includes("line two") && text.includes("burst 0") && text.includes("burst 9999"));
  assert.deepEqual(problems, []);
});

test("a restart keeps the host name, a duplicate keeps the rest", async () => {
  const service = await wharf.submit("to restart", ["testkit-app"], { 8080: { access: "private", label: "App" } },
    { environment: { KEPT: "yes" }, scheduling_parameters: { preemptible: false } });
  await wharf.waitReady(service, 8080);
  await wharf.nameIt("again", service, 8080);
  const { page } = await open(`/services/${service.uuid}/restart`);
  await page.getByRole("button", { name: "Restart it" }).click();
  await page.getByRole("link", { name: /Open App/ }).waitFor({ timeout: 10_000 });
  await page.getByText("again.containers.localhost").waitFor();
  const uuid = new URL(page.url()).pathname.split("/").at(-1);
  assert.notEqual(uuid, service.uuid);
  assert.equal((await record(service.uuid)).priority, 0);
  const before = await record(uuid);
  await page.getByRole("link", { name: "Duplicate" }).click();
  await page.getByRole("button", { name: "Launch" }).click();
  await page.getByRole("heading", { name: "to restart", level: 1 }).waitFor();
  const copy = await record(new URL(page.url()).pathname.split("/").at(-1));
  for (const name of ["service", "published_ports", "environment", "mounts", "command", "container_image", "scheduling_parameters", "output_path", "runtime_constraints"]) {
    assert.deepEqual(copy[name], before[name], name);
  }
});

test("a token is made, shown once, works, and is revoked", async () => {
  const { page } = await open("/account");
  await page.getByLabel("It may").selectOption("read");
  await page.getByRole("button", { name: "Make it" }).click();
  const token = (await page.locator(".made code").textContent()).trim();
  assert.match(token, /^v2\//);
  await wharf.api("GET", "/arvados/v1/users/current", undefined, token);
  await assert.rejects(wharf.api("POST", "/arvados/v1/collections", { collection: {} }, token), /403/);
  await page.goto(`${wharf.url}/account`);
  assert.ok(!(await page.content()).includes(token.split("/").at(-1)), "shown again");
  const uuid = token.split("/")[1];
  await page.getByRole("button", { name: `Revoke ${uuid}` }).click();
  await page.getByRole("heading", { name: "Account" }).waitFor();
  await assert.rejects(wharf.api("GET", "/arvados/v1/users/current", undefined, token), /401/);
});

test("a file is uploaded to a collection and comes back as it was", async () => {
  const { page, problems } = await open(`/data/${scene.collection}`);
  await page.locator("input[type=file]").setInputFiles({ name: "new file.txt", mimeType: "text/plain", buffer: Buffer.from("seven <b>seals</b>\n") });
  await page.getByRole("button", { name: "Upload" }).click();
  const link = page.getByRole("link", { name: "new file.txt" });
  await link.waitFor();
  const download = page.waitForEvent("download");
  await link.click();
  const stream = await (await download).createReadStream();
  let text = "";
  for await (const piece of stream) text += piece;
  assert.equal(text, "seven <b>seals</b>\n");
  await page.getByRole("link", { name: "counts/" }).click();
  await page.getByRole("link", { name: "north.csv" }).waitFor();
  assert.deepEqual(problems, []);
});

test("an ordinary user sees their own, and no admin page", async () => {
  const ada = await wharf.newUser("ada");
  const link = await wharf.api("POST", "/wharf/v1/login_links", {}, ada);
  const page = await (await browser.newContext()).newPage();
  await page.goto(link.url);
  await page.getByRole("heading", { name: "Services" }).waitFor();
  assert.equal(await page.getByText("Harbour survey").count(), 0);
  assert.equal(await page.getByRole("link", { name: "Admin" }).count(), 0);
  assert.equal((await page.goto(`${wharf.url}/admin`)).status(), 403);
  assert.equal((await page.goto(`${wharf.url}/data/${scene.collection}`)).status(), 404);
  assert.equal((await page.goto(`${wharf.url}/services/${scene.survey.uuid}/logs/download`)).status(), 404);
});

test("launch, restart and tokens work without script", async () => {
  const { page } = await open("/launch?template=JupyterLab", { javaScriptEnabled: false });
  await page.getByLabel("Name", { exact: true }).fill("plain");
  await page.getByRole("button", { name: "Preview" }).click();
  await page.locator("#preview").getByText("--name plain").waitFor();
  await page.getByRole("button", { name: "Launch" }).click();
  await page.getByRole("heading", { name: "plain", level: 1 }).waitFor();
  const uuid = new URL(page.url()).pathname.split("/").at(-1);
  await waitFor("it to run", async () => (await record(uuid)).container_uuid);
});
