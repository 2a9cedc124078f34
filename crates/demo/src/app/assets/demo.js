// The checks of the demo page. Each one is a function that resolves with a sentence or throws with
// one. Nothing here leaves this origin.
"use strict";

const DEADLINE_MS = 15000;
const TICKS = 6;
const UPLOAD_BYTES = 8 * 1024 * 1024;
const ROUNDS = 20;

const byId = (id) => document.getElementById(id);
const hexOf = (buffer) => [...new Uint8Array(buffer)].map((b) => b.toString(16).padStart(2, "0")).join("");
const ms = (value) => (value < 10 ? value.toFixed(1) : String(Math.round(value))) + " ms";

function expect(condition, otherwise) {
  if (!condition) throw new Error(otherwise);
}

function socketUrl() {
  return new URL("ws", location.href).href.replace(/^http/, "ws");
}

async function echo(path, init) {
  const response = await fetch(path, { cache: "no-store", ...init });
  expect(response.ok, `the answer was ${response.status}`);
  return response.json();
}

async function checkHttp() {
  const sent = "echo/a%2Fb%20c?x=1&y=%26&x=2&empty=";
  const began = performance.now();
  const got = await echo(sent, { method: "POST", headers: { "X-Demo": "one, two" }, body: "ahoy" });
  const took = performance.now() - began;
  byId("echo").textContent = JSON.stringify(got, null, 2);
  expect(got.target.endsWith("/" + sent), `the target arrived as ${got.target}`);
  expect(got.method === "POST" && got.body === "ahoy", "method or body changed on the way");
  expect(got.headers.some(([n, v]) => n === "x-demo" && v === "one, two"), "a header was lost");
  return `arrived unchanged, there and back in ${ms(took)}`;
}

async function checkCredentials() {
  const got = await echo("echo");
  const ours = /wharf_session|wc1_|v2\/|api_token/i;
  const found = got.headers.filter(([name, value]) => name !== "x-request-id" && ours.test(`${name}: ${value}`));
  expect(found.length === 0, `the program saw ${found.map(([name]) => name).join(", ")}`);
  expect(!ours.test(location.href), "this page's address still has a credential in it");
  return `${got.headers.length} headers arrived, none of them a credential of yours`;
}

function checkStream() {
  const beats = document.querySelector("#check-stream .beats");
  beats.replaceChildren();
  return new Promise((resolve, reject) => {
    const source = new EventSource(`events?count=${TICKS + 10}`);
    const arrivals = [];
    source.onerror = () => {
      source.close();
      reject(new Error(`the stream broke off after ${arrivals.length} events`));
    };
    source.addEventListener("tick", () => {
      arrivals.push(performance.now());
      beats.append(document.createElement("i"));
      if (arrivals.length < TICKS) return;
      source.close();
      // Buffered events all come at the same moment; live ones keep the server's 200 ms beat.
      const spread = arrivals[TICKS - 1] - arrivals[0];
      if (spread < 500) reject(new Error(`${TICKS} events came at once: something buffers`));
      else resolve(`${TICKS} events over ${ms(spread)}, one every ${ms(spread / (TICKS - 1))}`);
    });
  });
}

function checkSocket() {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(socketUrl(), ["wharf-echo"]);
    const times = [];
    let sent = 0;
    socket.binaryType = "arraybuffer";
    const send = () => {
      sent = performance.now();
      const text = `round ${times.length}`;
      socket.send(times.length % 2 ? new TextEncoder().encode(text) : text);
    };
    socket.onopen = send;
    socket.onerror = () => reject(new Error("the WebSocket did not open"));
    socket.onclose = (event) => reject(new Error(`the WebSocket closed early (${event.code})`));
    socket.onmessage = ({ data }) => {
      const text = typeof data === "string" ? data : new TextDecoder().decode(data);
      const kindKept = (typeof data === "string") === (times.length % 2 === 0);
      if (text !== `round ${times.length}` || !kindKept) return reject(new Error("a message came back changed"));
      times.push(performance.now() - sent);
      if (times.length < ROUNDS) return send();
      socket.onclose = null;
      const protocol = socket.protocol;
      socket.close(1000);
      if (protocol !== "wharf-echo") return reject(new Error("the subprotocol was lost"));
      times.sort((a, b) => a - b);
      resolve(`${ROUNDS} messages, half of them ${ms(times[ROUNDS / 2])} or quicker`);
    };
  });
}

async function checkUpload() {
  const bytes = new Uint8Array(UPLOAD_BYTES);
  for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  const began = performance.now();
  const response = await fetch("upload", { method: "POST", body: bytes });
  expect(response.ok, `the answer was ${response.status}`);
  const got = await response.json();
  const took = performance.now() - began;
  expect(got.bytes === UPLOAD_BYTES, `${got.bytes} of ${UPLOAD_BYTES} bytes arrived`);
  // Hashing here needs a secure context; *.localhost and https are one, plain http elsewhere is not.
  const hash = crypto.subtle ? hexOf(await crypto.subtle.digest("SHA-256", bytes)) : null;
  expect(!hash || hash === got.sha256, "the bytes changed on the way");
  const rate = (UPLOAD_BYTES / 1048576 / (took / 1000)).toFixed(0);
  return `${got.bytes.toLocaleString("en")} bytes${hash ? ", same SHA-256," : ""} at ${rate} MiB/s`;
}

async function run(id, check) {
  const item = byId(id);
  const result = item.querySelector(".result");
  const show = (state, text) => {
    item.dataset.state = state;
    result.textContent = text;
  };
  show("running", "trying…");
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in 15 seconds")), DEADLINE_MS);
  });
  try {
    show("passed", await Promise.race([check(), late]));
    return true;
  } catch (error) {
    show("failed", error.message);
    return false;
  } finally {
    clearTimeout(timer);
  }
}

async function runAll() {
  const button = byId("again");
  const verdict = byId("verdict");
  button.disabled = true;
  verdict.dataset.state = "running";
  verdict.textContent = "Checking this address…";
  const checks = [
    ["check-http", checkHttp],
    ["check-credentials", checkCredentials],
    ["check-stream", checkStream],
    ["check-socket", checkSocket],
    ["check-upload", checkUpload],
  ];
  // One after the other, so that the times are those of one check and not of a crowd.
  let passed = 0;
  for (const [id, check] of checks) passed += await run(id, check);
  const all = passed === checks.length;
  verdict.dataset.state = all ? "passed" : "failed";
  verdict.textContent = all
    ? "All good: HTTP, streaming, WebSocket and upload work through this address."
    : `${passed} of ${checks.length} checks passed; the others say below what happened.`;
  button.disabled = false;
}

let talking = null;
function talk(event) {
  event.preventDefault();
  const input = byId("say");
  const text = input.value.trim() || "Ahoy";
  input.value = "";
  const send = () => {
    talking.pending.push([text, performance.now()]);
    talking.send(text);
  };
  if (talking && talking.readyState === WebSocket.OPEN) return send();
  talking = new WebSocket(socketUrl(), ["wharf-echo"]);
  talking.pending = [];
  talking.onopen = send;
  talking.onmessage = ({ data }) => {
    const [, sent] = talking.pending.shift() || ["", performance.now()];
    const item = document.createElement("li");
    const time = document.createElement("span");
    time.textContent = ` came back in ${ms(performance.now() - sent)}`;
    item.append(data, time);
    byId("said").prepend(item);
  };
}

byId("origin").textContent = location.host;
byId("again").addEventListener("click", runAll);
byId("talk").addEventListener("submit", talk);
runAll();
