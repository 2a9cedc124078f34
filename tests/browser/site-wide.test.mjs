// What an app says for the whole site has no effect beyond it (T22).
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { connect } from "node:tls";
import { after, before, test } from "node:test";
import { Wharf, openBrowser, openSite } from "./wharf.mjs";

const PORT = 8080;
let wharf, browser, control;

before(async () => {
  // The site's addresses are https names on the usual port; the browser is told where they are.
  wharf = await Wharf.start(["up"], `Services:
  Controller: {ExternalURL: "https://wharf.example.com/"}
  ContainerWebServices: {ExternalURL: "https://*.containers.example.com/"}
`);
  control = await openSite((request, reply) => {
    if (request.url === "/clear") reply.setHeader("Clear-Site-Data", '"cookies"');
    reply.end("<!doctype html><title>control</title>");
  });
  browser = await openBrowser([
    `--host-resolver-rules=MAP *.example.com 127.0.0.1:${wharf.port}`,
    `--ignore-certificate-errors-spki-list=${await keyOf(wharf.port)}`,
    "--test-type",
  ]);
  await wharf.importTestApp();
  wharf.address = (service, port, path = "/") => `https://${service.uuid}-${port}.containers.example.com${path}`;
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
  await control?.close();
});

/** The digest of the server's key, by which the browser is to trust it: the local authority is not installed. */
function keyOf(port) {
  return new Promise((resolve, reject) => {
    const name = "a.containers.example.com";
    const socket = connect({ port, host: "127.0.0.1", servername: name, rejectUnauthorized: false }, () => {
      const { publicKey } = new (process.getBuiltinModule("node:crypto").X509Certificate)(socket.getPeerCertificate().raw);
      resolve(createHash("sha256").update(publicKey.export({ type: "spki", format: "der" })).digest("base64"));
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

/** A request to a service's app, past the browser. */
const ask = (service, path, body) => wharf.get(service, PORT, path, "--insecure", "--connect-to",
  `::127.0.0.1:${wharf.port}`, "--data-binary", body);

const submit = async (name, access) => {
  const service = await wharf.submit(name, ["testkit-app"], { [PORT]: { access, label: name } });
  await wharf.waitReady(service, PORT);
  return service;
};

const SITE_WIDE = {
  "Clear-Site-Data": '"*"',
  "Strict-Transport-Security": "max-age=99999; includeSubDomains; preload",
  "Alt-Svc": 'h2="evil.example:443"; ma=99999; persist=1',
  NEL: '{"report_to":"evil","max_age":99999,"include_subdomains":true}',
  "Report-To": '{"group":"evil","max_age":99999,"include_subdomains":true,"endpoints":[{"url":"https://evil.example/"}]}',
  "Public-Key-Pins": 'pin-sha256="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; max-age=99999; includeSubDomains',
  "Expect-CT": 'max-age=99999, enforce, report-uri="https://evil.example/"',
};

test("t22 nothing that an app says for the whole site changes a browser's state elsewhere", async () => {
  const [attacker, sibling] = await Promise.all([submit("attacker", "public"), submit("sibling", "private")]);
  const context = await browser.newContext();
  const dashboard = await context.newPage();
  await dashboard.goto(await wharf.signInLink());
  await dashboard.getByRole("heading", { level: 1 }).waitFor();
  const own = await context.newPage();
  await own.goto(await wharf.handoff(sibling, PORT, "/mine"));
  await own.getByText("GET /mine HTTP/1.1").waitFor();
  await own.evaluate(() => {
    localStorage.mine = "1";
    document.cookie = "mine=1; secure";
  });
  const jar = async () => (await context.cookies()).map(({ domain, name, value }) => `${domain} ${name} ${value}`).sort();
  const kept = await jar();
  assert.equal(kept.filter((cookie) => /wharf_(session|dashboard)/.test(cookie)).length, 2, `${kept}`);

  const evil = await context.newPage();
  for (const [name, value] of Object.entries(SITE_WIDE)) {
    const head = `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n${name}: ${value}\r\n\r\n<p>evil`;
    await ask(attacker, "/remember?path=/evil", head);
    const reply = await evil.goto(wharf.address(attacker, PORT, "/evil"));
    assert.equal(reply.status(), 200);
    const said = await reply.headerValue(name);
    const ours = name === "Strict-Transport-Security" ? "max-age=31536000" : null;
    assert.equal(said, ours, name);
    assert.equal(await reply.headerValue("Wharf-Removed"), name.toLowerCase());
    assert.deepEqual(await jar(), kept, name);
    await own.reload();
    await own.getByText("GET /mine HTTP/1.1").waitFor();
    assert.equal(await own.evaluate(() => localStorage.mine), "1", name);
    await dashboard.goto("https://wharf.example.com/account");
    assert.equal(await dashboard.getByRole("button", { name: "Sign out", exact: true }).count(), 1, name);
  }
  await context.close();
});

test("t22 the browser does what a site says for all of it, where nobody takes that out", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(control.origin("kept.containers.localhost"));
  await page.evaluate(() => (document.cookie = "kept=1"));
  assert.equal((await context.cookies()).length, 1);
  await page.goto(`${control.origin("other.containers.localhost")}/clear`);
  assert.deepEqual(await context.cookies(), []);
  await context.close();
});

test("t22 a browser that met an https site once uses nothing else there", async () => {
  const service = await submit("https", "public");
  const context = await browser.newContext();
  const page = await context.newPage();
  const plain = wharf.address(service, PORT, "/x").replace("https:", "http:");
  await page.goto(plain);
  assert.equal(new URL(page.url()).protocol, "http:", "nothing was said yet");
  await page.goto(wharf.address(service, PORT, "/x"));
  await page.goto(plain);
  assert.equal(new URL(page.url()).protocol, "https:");
  // The dashboard alike, and no host that was not met.
  await page.goto("https://wharf.example.com/sign-in");
  await page.goto("http://wharf.example.com/sign-in");
  assert.equal(new URL(page.url()).protocol, "https:");
  const other = await submit("other", "public");
  await page.goto(wharf.address(other, PORT, "/x").replace("https:", "http:"));
  assert.equal(new URL(page.url()).protocol, "http:");
  await context.close();
});
