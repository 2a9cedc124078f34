// What Chromium does over TLS and HTTP/2 where it does something else than over HTTP/1.1.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Wharf, openBrowser, waitFor } from "./wharf.mjs";

let wharf, browser, service, page;

before(async () => {
  [wharf, browser] = await Promise.all([Wharf.start(), openBrowser()]);
  await wharf.importTestApp();
  service = await wharf.submit("sockets", ["testkit-app"], { 8080: { access: "private", label: "sockets" } });
  await wharf.waitReady(service, "8080");
  // The browser does not know our authority; that the certificate is right is curl's to say.
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  page = await context.newPage();
  await page.goto(`${secure("/mine")}?arvados_api_token=${wharf.token}`);
});
after(async () => {
  await browser?.close();
  await wharf?.stop();
});

function secure(path) {
  return wharf.address(service, 8080, path).replace("http:", "https:");
}

/** Sends messages over a new WebSocket of the page, one after the answer to the other; answers what came back. */
function converse(path, messages) {
  return page.evaluate(([path, messages]) => new Promise((resolve, reject) => {
    const socket = new WebSocket(path, "chat");
    const came = [];
    const next = () => (came.length < messages.length ? socket.send(messages[came.length]) : socket.close(1000));
    socket.onopen = next;
    socket.onmessage = ({ data }) => next(came.push(data));
    socket.onerror = () => reject(new Error("the WebSocket failed"));
    socket.onclose = ({ code, reason }) => resolve({ came, code, reason, protocol: socket.protocol });
  }), [path, messages]);
}

test("a page over TLS comes by HTTP/2", async () => {
  const [version] = await page.evaluate(() => performance.getEntriesByType("navigation").map((entry) => entry.nextHopProtocol));
  assert.equal(version, "h2");
});

test("a WebSocket shares the page's HTTP/2 connection and reaches an app of HTTP/1.1", async () => {
  const large = "x".repeat(1_000_000);
  const { came, protocol, code } = await converse("/ws?over=h2", ["head", "hello", large]);
  const [head, ...echoes] = came;
  assert.ok(head.startsWith("GET /ws?over=h2 HTTP/1.1\r\n"), head);
  assert.match(head, /^x-forwarded-proto: https\r$/im);
  assert.match(head, /^sec-websocket-version: 13\r$/im);
  assert.ok(!head.includes("wharf_session"), head);
  assert.deepEqual(echoes, ["hello", large]);
  assert.deepEqual([protocol, code], ["chat", 1000]);
  // RFC 8441: the browser asked by CONNECT, and 200 was the answer. A fallback would be a GET and 101.
  const line = await waitFor("the access line", () => wharf.output.split("\n").find((line) => line.includes("http.path=/ws")));
  assert.match(line, /http\.method="?CONNECT\b/);
  assert.match(line, /http\.status=200/);
});

test("close codes of the app arrive, and the connection goes on", async () => {
  const { code, reason } = await converse("/ws", ["close 4001 enough"]);
  assert.deepEqual([code, reason], [4001, "enough"]);
  assert.deepEqual((await converse("/ws", ["again"])).came, ["again"]);
});
