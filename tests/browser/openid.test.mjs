// Signing in with a provider: a real one, with its own pages, as a person goes through them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Wharf, openBrowser } from "./wharf.mjs";

let wharf, browser, provider;

/** The provider of tests/openid; it serves once it knows where it leads back to. */
async function startProvider() {
  const script = fileURLToPath(new URL("../openid/provider.mjs", import.meta.url));
  const process = spawn("node", [script], { stdio: ["pipe", "pipe", "ignore"] });
  const lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
  const { issuer } = JSON.parse((await lines.next()).value);
  const leadBackTo = async (redirect_uri) => {
    process.stdin.write(`${JSON.stringify({ redirect_uri })}\n`);
    await lines.next();
  };
  return { issuer, leadBackTo, stop: () => process.kill() };
}

before(async () => {
  provider = await startProvider();
  const config = `
Login:
  OpenIDConnect:
    {Enable: true, ProviderName: Test ID, Issuer: "${provider.issuer}", ClientID: wharf, ClientSecret: a secret of the client}
Users: {NewUsersAreActive: true}
`;
  [wharf, browser] = await Promise.all([Wharf.start(["up"], config), openBrowser()]);
  await provider.leadBackTo(`${wharf.url}/login`);
  await wharf.importTestApp();
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
  provider?.stop();
});

/** A page in a browser of its own, and everything that went wrong in it. */
async function newPage() {
  const context = await browser.newContext();
  const page = await context.newPage();
  const problems = [], addresses = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    // The provider's own page asks for a font of another site, which there is not here.
    if (message.type() === "error" && !page.url().startsWith(provider.issuer)) problems.push(message.text());
  });
  context.on("request", (request) => addresses.push(request.url()));
  return { context, page, problems, addresses };
}

/** Through the provider's two pages. */
async function throughProvider(page, name) {
  await page.locator("input[name=login]").fill(name);
  await page.locator("input[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  await page.locator("input[name=prompt][value=consent]").waitFor({ state: "attached" });
  await page.locator("button[type=submit]").click();
}

test("a person signs in with the provider, sees who they are, and signs out there too", async () => {
  const { context, page, problems, addresses } = await newPage();
  await page.goto(`${wharf.url}/account`);
  await page.getByRole("link", { name: "Sign in with Test ID" }).click();
  await throughProvider(page, "grace");
  await page.waitForURL(`${wharf.url}/account`);
  await page.getByText("grace@example.com").first().waitFor();
  // No token was in any address, and nothing of the sign-in stays with the page.
  assert.ok(addresses.every((address) => !address.includes("v2/") && !address.includes("gj3su")), addresses.join("\n"));
  assert.equal(await page.evaluate(() => document.cookie), "");
  const cookies = await context.cookies(wharf.url);
  assert.deepEqual(cookies.map(({ name, httpOnly, sameSite }) => [name, httpOnly, sameSite]),
    [["wharf_dashboard", true, "Lax"]]);
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.waitForURL(/\/session\/end\?/);
  await page.getByRole("button", { name: /Yes/i }).click();
  await page.waitForURL(new RegExp(`${wharf.url}/sign-in`));
  assert.deepEqual(await context.cookies(wharf.url), []);
  // The provider has forgotten them as well: it asks again.
  await page.getByRole("link", { name: "Sign in with Test ID" }).click();
  await page.locator("input[name=login]").waitFor();
  assert.deepEqual(problems, []);
  await context.close();
});

test("a private service asks to sign in, and after the provider's pages there it is", async () => {
  const first = await newPage();
  await first.page.goto(`${wharf.url}/account`);
  await first.page.getByRole("link", { name: "Sign in with Test ID" }).click();
  await throughProvider(first.page, "ada");
  await first.page.waitForURL(`${wharf.url}/account`);
  const filters = encodeURIComponent('[["username","=","ada"]]');
  const { items: [ada] } = await wharf.api("GET", `/arvados/v1/users?filters=${filters}`);
  const made = await wharf.api("POST", "/arvados/v1/api_client_authorizations",
    { api_client_authorization: { owner_uuid: ada.uuid } });
  const token = `v2/${made.uuid}/${made.api_token}`;
  const service = await wharf.submit("hers", ["testkit-app"], { 8080: { access: "private", label: "App" } }, {}, token);
  await wharf.waitReady(service, "8080");
  await first.context.close();

  const { context, page, problems } = await newPage();
  const address = wharf.address(service, 8080, "/lab?x=1");
  await page.goto(address);
  problems.length = 0; // that the first answer was 401 is the browser's to say
  await page.getByRole("link", { name: /sign in/i }).first().click();
  await page.getByRole("link", { name: "Sign in with Test ID" }).click();
  await throughProvider(page, "ada");
  await page.waitForURL(address);
  await page.getByText("GET /lab?x=1 HTTP/1.1").waitFor();
  assert.deepEqual(problems, []);
  await context.close();
});
