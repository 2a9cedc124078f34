// How services come to their end on the pages: not answering, warned of, extended, stopped with what is lost, several at once.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Wharf, openBrowser, waitFor } from "./wharf.mjs";

let wharf, browser;

before(async () => {
  const config = "Lifetimes: {UseInterval: 1s, WarnBefore: 1h}\n";
  [wharf, browser] = await Promise.all([Wharf.start(["up"], config), openBrowser()]);
  await wharf.importTestApp();
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
});

async function signedIn(options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.goto(await wharf.signInLink());
  return page;
}

const port = (label) => ({ access: "private", label });
const record = (service) => wharf.api("GET", `/arvados/v1/containers/${service.container}`);
const idle = (seconds) => ({ scheduling_parameters: { idle_time: seconds } });

test("check 7: an app that dies inside is Not answering within ten seconds, comes back, and then Failed with its exit code", async () => {
  const until = (gate) => `while ! [ -e /tmp/${gate} ]; do sleep 0.05; done`;
  const script = `testkit-app --port 9000 & testkit-app & app=$!; ${until("die")}; kill $app; ${until("back")}; testkit-app & ${until("end")}; exit 7`;
  // The gates are opened through another port, which nobody publishes.
  const service = await wharf.submit("brittle", ["sh", "-c", script], { 8080: port("App") });
  await wharf.waitReady(service, "8080");
  const page = await signedIn();
  await page.goto(`${wharf.url}/services/${service.uuid}`);
  const state = page.locator("#service p.state");
  await state.getByText("Ready").waitFor();
  await wharf.shell(service, 9000, "touch /tmp/die");
  await state.getByText("Not answering").waitFor({ timeout: 10_000 });
  assert.equal(await page.getByRole("link", { name: /Open App/ }).count(), 0);
  await page.getByText("nothing listens on port 8080 any more").first().waitFor();
  await wharf.shell(service, 9000, "touch /tmp/back");
  await state.getByText("Ready").waitFor({ timeout: 10_000 });
  await page.getByRole("link", { name: /Open App/ }).first().waitFor();
  await wharf.shell(service, 9000, "touch /tmp/end");
  await state.getByText("Failed").waitFor({ timeout: 15_000 });
  await page.getByText("exited with code 7").first().waitFor();
});

test("an end that is near has a banner, and Extend puts it off", async () => {
  const service = await wharf.submit("forgotten", ["testkit-app"], { 8080: port("App") }, idle(40));
  await wharf.waitReady(service, "8080");
  const page = await signedIn();
  await page.goto(`${wharf.url}/services/${service.uuid}`);
  await page.getByText("if nobody uses it").first().waitFor();
  const banner = page.getByRole("status").filter({ hasText: "What it has not saved is lost" });
  await banner.waitFor({ timeout: 45_000 });
  await banner.getByLabel("Go on for").selectOption("8 h");
  await banner.getByRole("button", { name: "Extend" }).click();
  await waitFor("the end to be put off", async () => {
    const { stops_at } = await record(service);
    return Date.parse(stops_at) - Date.now() > 7 * 3600 * 1000;
  });
  await page.getByText(/stops in (7|8) h/).waitFor();
  assert.equal(await banner.count(), 0);
  await wharf.cli("stop", service.uuid);
});

test("check 9: Stop names the service and its open sessions; Escape keeps it and gives the focus back", async () => {
  const service = await wharf.submit("in use", ["testkit-app"], { 8080: port("App") });
  await wharf.waitReady(service, "8080");
  const page = await signedIn();
  const app = await page.context().newPage();
  await app.goto(await wharf.handoff(service, 8080));
  await app.evaluate(() => new Promise((opened, failed) => {
    window.socket = new WebSocket(`ws://${location.host}/ws`);
    window.socket.onopen = opened;
    window.socket.onerror = failed;
  }));
  await page.bringToFront();
  await page.goto(`${wharf.url}/services/${service.uuid}`);
  const stop = page.getByRole("link", { name: "Stop", exact: true });
  await stop.click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("heading", { name: "Stop in use?" }).waitFor();
  await dialog.getByText("One session is open").waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  assert.ok(await stop.evaluate((element) => element === document.activeElement), "the focus is back");
  assert.equal((await record(service)).state, "Running");
  await stop.click();
  await dialog.getByRole("button", { name: "Stop it" }).click();
  await page.locator("#service p.state").getByText("Stopped").waitFor({ timeout: 20_000 });
});

for (const javaScriptEnabled of [true, false]) {
  test(`chosen services are stopped together after one question, ${javaScriptEnabled ? "with" : "without"} script`, async () => {
    const names = [1, 2, 3].map((n) => `many ${javaScriptEnabled} ${n}`);
    const services = await Promise.all(names.map((name) => wharf.submit(name, ["testkit-app"], { 8080: port("App") })));
    await Promise.all(services.map((service) => wharf.waitReady(service, "8080")));
    const page = await signedIn({ javaScriptEnabled });
    await page.goto(`${wharf.url}/?q=many`);
    for (const name of names.slice(0, 2)) await page.getByRole("checkbox", { name: `Choose ${name}` }).check();
    await page.getByRole("button", { name: "Stop the chosen ones" }).click();
    await page.getByRole("heading", { name: "Stop 2 services?" }).waitFor();
    const asked = await page.locator("main").innerText();
    assert.ok(asked.includes(names[0]) && asked.includes(names[1]) && !asked.includes(names[2]), asked);
    await page.getByRole("button", { name: "Stop all 2" }).click();
    for (const service of services.slice(0, 2)) {
      await waitFor("it to end", async () => (await record(service)).state === "Cancelled");
    }
    assert.equal((await record(services[2])).state, "Running");
    await wharf.cli("stop", services[2].uuid);
  });
}

test("what the launch form says of its life is what is sent", async () => {
  const page = await signedIn();
  await page.goto(`${wharf.url}/launch`);
  await page.getByLabel("Name", { exact: true }).fill("limited");
  await page.getByLabel("Image").fill("testapp:latest");
  await page.getByLabel("Command").fill("testkit-app");
  await page.getByLabel("Stop when nobody used it for").fill("2 hours");
  await page.getByText("must be a length of time").first().waitFor();
  await page.getByLabel("Stop when nobody used it for").fill("2 h");
  await page.getByLabel("Stop when it has run for").fill("3 d");
  await page.locator("#preview").getByText("--max-life 3d").waitFor();
  const json = await page.locator("#preview pre").last().innerText();
  const previewed = JSON.parse(json).scheduling_parameters;
  assert.deepEqual(previewed, { max_run_time: 259200, idle_time: 7200 });
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL(/\/services\//);
  const uuid = new URL(page.url()).pathname.split("/").at(-1);
  const said = (await wharf.api("GET", `/arvados/v1/container_requests/${uuid}`)).scheduling_parameters;
  assert.deepEqual([said.idle_time, said.max_run_time], [7200, 259200]);
  await page.getByText("when nobody has used it for 2 h, or when it has run for 3 d").waitFor();
  await page.goto(`${wharf.url}/launch?from=${uuid}`);
  assert.equal(await page.getByLabel("Stop when nobody used it for").inputValue(), "2 h");
  await wharf.cli("stop", uuid);
});
