// The terminal of a service's page: frames of model/shell.rs on a WebSocket, shown by xterm.js (vendor/xterm). Loaded by that page alone.

const root = document.querySelector("[data-terminal]");
const byId = (id) => document.getElementById(id);
const [screen, state, starts, ends, reads] = ["screen", "terminal-state", "terminal-start", "terminal-end", "terminal-reads"].map(byId);

const INPUT_WINDOW = 64 * 1024; // bytes on their way that the program has not taken, as the server has it
const PIECE = 16 * 1024;
const RETRY_MS_MAX = 5000;
const OPEN = 1, INPUT = 2, RESIZE = 4, TAKEN = 6, END = 8;
const OPENED = 64, OUTPUT = 65, ERROR_OUTPUT = 66, INPUT_TAKEN = 67, ENDED = 68, REFUSED = 69;
const KEPT = `terminal ${root.dataset.terminal}`;

// The policy of this page lets in only styles with its nonce, and the library makes its own.
const make = document.createElement.bind(document);
document.createElement = (name, options) => {
  const element = make(name, options);
  if (name === "style") element.nonce = root.nonce;
  return element;
};

const text = new TextEncoder();
const words = new TextDecoder();
function frame(kind, payload = new Uint8Array()) {
  const bytes = new Uint8Array(1 + payload.length);
  bytes[0] = kind;
  bytes.set(payload, 1);
  return bytes;
}
const number = (n) => new Uint8Array([n >>> 24, n >>> 16, n >>> 8, n]);
const numberIn = (bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);

let term = null;
let fit = null;
let socket = null;
let session = sessionStorage.getItem(KEPT);
let keepMs = 0;
let lostAt = 0;
let retryMs = 0;
let room = 0;
let typed = new Uint8Array();

function say(sentence, mood) {
  state.textContent = sentence;
  state.dataset.mood = mood;
}

function forget() {
  session = null;
  sessionStorage.removeItem(KEPT);
}

function over(sentence, mood) {
  forget();
  say(sentence, mood);
  starts.hidden = false;
  ends.hidden = true;
  if (screen.contains(document.activeElement)) starts.querySelector("button").focus();
}

const send = (...bytes) => socket && socket.readyState === WebSocket.OPEN && socket.send(frame(...bytes));

function flush() {
  while (typed.length && room) {
    const n = Math.min(typed.length, room, PIECE);
    send(INPUT, typed.subarray(0, n));
    typed = typed.slice(n);
    room -= n;
  }
}

function type(bytes) {
  if (typed.length + bytes.length > 4 * 1024 * 1024) return; // nobody pastes that by hand
  const all = new Uint8Array(typed.length + bytes.length);
  all.set(typed);
  all.set(bytes, typed.length);
  typed = all;
  flush();
}

async function prepare() {
  if (term) return;
  const [{ Terminal }, { FitAddon }] = await Promise.all([import(root.dataset.xterm), import(root.dataset.fit)]);
  term = new Terminal({
    cursorBlink: true,
    fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace",
    fontSize: 14,
    scrollback: 5000,
    screenReaderMode: reads.checked,
    theme: { background: "#10151b", foreground: "#e7ecf1" },
  });
  fit = new FitAddon();
  term.loadAddon(fit);
  screen.hidden = false;
  term.open(screen);
  fit.fit();
  term.onData((data) => type(text.encode(data)));
  term.onBinary((data) => type(Uint8Array.from(data, (c) => c.charCodeAt(0))));
  term.onResize(({ cols, rows }) => send(RESIZE, new Uint8Array([cols >> 8, cols, rows >> 8, rows])));
  term.attachCustomKeyEventHandler(keys);
  new ResizeObserver(() => fit.fit()).observe(screen);
}

// Every key is the program's but for these.
function keys(event) {
  if (event.type !== "keydown" || !event.ctrlKey) return true;
  if (event.altKey && event.key === "Escape") {
    (ends.hidden ? starts : ends).querySelector("button").focus();
    return false;
  }
  if (event.shiftKey && event.code === "KeyC" && term.hasSelection()) {
    navigator.clipboard?.writeText(term.getSelection());
    event.preventDefault();
    return false;
  }
  // The browser's own paste, which the terminal hears of.
  return !(event.shiftKey && event.code === "KeyV");
}

async function connect() {
  say("Connecting…", "waits");
  await prepare();
  const address = new URL(`${location.pathname.replace(/\/$/, "")}/socket`, location.href);
  const http = address.href;
  address.protocol = address.protocol.replace("http", "ws");
  let opened = false;
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    const shell = byId("terminal-shell").value;
    const request = {
      command: session || !shell ? [] : [shell],
      terminal: { columns: term.cols, rows: term.rows },
      term: "xterm-256color",
      session,
    };
    send(OPEN, text.encode(JSON.stringify(request)));
  };
  socket.onmessage = ({ data }) => {
    const bytes = new Uint8Array(data);
    const payload = bytes.subarray(1);
    if (bytes[0] === OUTPUT || bytes[0] === ERROR_OUTPUT) {
      const from = socket;
      term.write(payload, () => from === socket && send(TAKEN, number(payload.length)));
    } else if (bytes[0] === INPUT_TAKEN) {
      room += numberIn(payload);
      flush();
    } else if (bytes[0] === OPENED) {
      opened = true;
      begin(JSON.parse(words.decode(payload)));
    } else if (bytes[0] === ENDED) {
      const end = JSON.parse(words.decode(payload));
      over(end.code === undefined ? `Ended by signal ${end.signal}.` : `Ended with exit code ${end.code}.`, "over");
    } else if (bytes[0] === REFUSED) {
      const { reason, message } = JSON.parse(words.decode(payload));
      if (reason === "no_session" && lostAt === 0) {
        forget();
        say("Not connected.", "over");
        starts.hidden = false;
      } else {
        over(`${message[0].toUpperCase()}${message.slice(1)}.`, "wrong");
      }
    }
  };
  socket.onclose = async ({ code, reason }) => {
    socket = null;
    if (code === 1008) return over(`Ended: ${reason || "access was withdrawn"}.`, "wrong");
    if (!starts.hidden) return;
    if (!opened && !(await reachable(http))) return;
    again();
  };
}

// Why there is no socket; true where it is worth another try.
async function reachable(address) {
  try {
    const answer = await fetch(address, { cache: "no-store", redirect: "error" });
    if (answer.status >= 500) return true;
    const said = await answer.json();
    if (answer.status === 422 && /websocket/.test(said.errors[0])) return true;
    over(`${said.errors[0]}.`, "wrong");
    return false;
  } catch {
    return true;
  }
}

function begin({ session: name, resumed, keep_ms }) {
  session = name;
  keepMs = keep_ms;
  sessionStorage.setItem(KEPT, name);
  lostAt = retryMs = 0;
  room = INPUT_WINDOW;
  typed = new Uint8Array();
  if (resumed) term.reset();
  say("Connected.", "well");
  starts.hidden = true;
  ends.hidden = false;
  term.focus();
}

function again() {
  lostAt ||= Date.now();
  if (!session || Date.now() - lostAt > keepMs) return over("The connection was lost.", "wrong");
  say("The connection was lost; trying again…", "waits");
  retryMs = Math.min(RETRY_MS_MAX, retryMs ? 2 * retryMs : 250);
  setTimeout(connect, retryMs);
}

starts.hidden = false;
starts.addEventListener("submit", (event) => {
  event.preventDefault();
  starts.hidden = true;
  term?.reset();
  connect();
});
ends.querySelector("button").addEventListener("click", () => send(END));
reads.addEventListener("change", () => term && (term.options.screenReaderMode = reads.checked));
if (session) {
  starts.hidden = true;
  connect();
}
