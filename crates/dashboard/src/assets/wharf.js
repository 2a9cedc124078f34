// Keeps an open page right: on each change event it asks for the page again and carries over what
// differs. Everything works without it. No HTML text is ever turned into elements here: the browser
// parses the answer as a document (XMLHttpRequest), in which nothing runs.
"use strict";

const SETTLE_MS = 150; // several events in a row make one look
const POLL_MS = 5000; // while the event stream is down
const SLOW_MS = 3000; // an answer that takes longer is told of
const ASK_DEADLINE_MS = 15000;

const byId = (id) => document.getElementById(id);

// ---- Times that tick; the same words as the server's (view/time.rs)
function length(seconds) {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (seconds < 60) return `${seconds} s`;
  if (minutes < 60) return `${minutes} min`;
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours < 48 ? "1 day" : `${Math.floor(hours / 24)} days`;
}

// The server's clock counts, not this machine's: it stands in the page, and is read off each answer.
let clockAhead = document.body.dataset.now ? Date.parse(document.body.dataset.now) - Date.now() : 0;
function tick() {
  for (const element of document.querySelectorAll("time[data-ago], time[data-for], time[data-until]")) {
    const passed = Math.floor((Date.now() + clockAhead - Date.parse(element.dateTime)) / 1000);
    const seconds = Math.max(element.dataset.until === undefined ? passed : -passed, 0);
    const ago = seconds < 10 ? "just now" : `${length(seconds)} ago`;
    const text = element.dataset.ago === undefined ? length(seconds) : ago;
    if (element.textContent !== text) element.textContent = text;
  }
}

// ---- Carrying over: elements stay where they are, so focus, selection and scrolling do too
const keyOf = (node) => (node.nodeType === 1 ? node.id || node.dataset.key || "" : "");
const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

function carryOver(from, to) {
  if (from.nodeType !== 1) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  if (from.dataset.readout !== undefined) return; // what is read out is ours, and is not to be said twice
  if (from.matches("time[data-ago], time[data-for], time[data-until]") && from.dateTime === to.dateTime) return;
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  for (const { name } of [...from.attributes]) if (!to.hasAttribute(name) && !(name === "open" && from.localName === "details")) from.removeAttribute(name);
  const atEnd = from.matches(".log") && from.scrollTop + from.clientHeight >= from.scrollHeight - 4;
  let old = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    let match = old;
    while (match && !alike(match, wanted)) match = match.nextSibling;
    if (!match) {
      from.insertBefore(document.importNode(wanted, true), old);
    } else if (keyOf(wanted) || match === old) {
      if (match !== old) from.insertBefore(match, old);
      else old = old.nextSibling;
      carryOver(match, wanted);
    } else {
      from.insertBefore(document.importNode(wanted, true), old);
    }
  }
  while (old) {
    const next = old.nextSibling;
    old.remove();
    old = next;
  }
  if (atEnd) from.scrollTop = from.scrollHeight;
}

// ---- Saying aloud what changed its state
function spoken() {
  return new Map([...document.querySelectorAll("[data-say]")].map((e) => [e.dataset.key, e.dataset.say]));
}

function announce(text) {
  byId("announcer").textContent = text;
}

// ---- Asking
let lastAnswer = Date.now();
let trouble = "";

// What is wrong, how old the page therefore is, and a way to try at once. What is shown stays, in grey.
function say(words) {
  trouble = words;
  const banner = byId("connection");
  banner.hidden = !trouble;
  document.body.toggleAttribute("data-stale", trouble !== "");
  const [told] = banner.children;
  if (told.textContent !== trouble) told.textContent = trouble;
  sayAge();
}

// Beside what is read aloud, which would be said again with each second.
function sayAge() {
  if (!trouble) return;
  const seconds = Math.round((Date.now() - lastAnswer) / 1000);
  byId("connection").children[1].textContent = `What you see is ${length(seconds)} old.`;
}

let asking = null; // the request that is under way
let askAgain = false;

function ask() {
  if (asking) {
    askAgain = true;
    return;
  }
  const request = new XMLHttpRequest();
  asking = request;
  request.open("GET", location.pathname + location.search);
  request.responseType = "document";
  request.timeout = ASK_DEADLINE_MS;
  const slow = setTimeout(() => say("Wharf is slow to answer."), SLOW_MS);
  request.onloadend = () => {
    clearTimeout(slow);
    asking = null;
    const page = request.response;
    if (page && request.status === 200) {
      if (new URL(request.responseURL).pathname !== location.pathname) return location.reload();
      take(page, request.getResponseHeader("date"));
    } else if (request.status === 404) {
      say("This is not there any more.");
    } else if (request.status) {
      say(`Wharf cannot show it now (${request.status}); trying again.`);
    } else {
      say("Wharf does not answer; trying again.");
    }
    if (askAgain) {
      askAgain = false;
      soon();
    }
  };
  request.send();
}

function take(page, date) {
  lastAnswer = Date.now();
  if (date) clockAhead = Date.parse(date) - Date.now();
  say("");
  const before = spoken();
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (fresh) carryOver(part, fresh);
  }
  prepare(document);
  readOut();
  tick();
  const news = [...spoken()].filter(([key, text]) => before.get(key) !== text).map(([, text]) => text);
  if (news.length) announce(news.join(". "));
}

byId("connection").querySelector("button").addEventListener("click", () => {
  if (asking) asking.abort();
  askAgain = false;
  ask();
});

let waiting = 0;
function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(ask, SETTLE_MS);
}

// ---- Hearing of changes
function follow(address, beatSeconds) {
  let source = null;
  let timer = 0;
  let pace = 0;
  // Each failed try to reconnect comes here again: the same pace must not start anew.
  const every = (ms) => {
    if (ms === pace) return;
    clearInterval(timer);
    timer = ms ? setInterval(ask, ms) : 0;
    pace = ms;
  };
  const beat = beatSeconds ? beatSeconds * 1000 : 0;
  const open = () => {
    source = new EventSource(address);
    // Whatever happened before the stream was open is in this first look.
    source.addEventListener("hello", () => {
      every(beat);
      soon();
    });
    source.addEventListener("change", soon);
    source.onerror = () => {
      if (pace !== POLL_MS) soon(); // say at once whether the server is gone
      every(POLL_MS);
      // A refusal closes it for good; try a new one as long as the page is looked at.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => source && open(), POLL_MS);
    };
  };
  const shut = () => {
    if (source) source.close();
    source = null;
    every(0);
  };
  // A page nobody looks at holds no connection: browsers allow few of them per host.
  const look = () => {
    if (document.hidden) shut();
    else if (!source) open();
  };
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", shut);
  addEventListener("pageshow", look);
  look();
}

// ---- Small comforts
async function copy(button) {
  const words = button.dataset.words || button.textContent;
  button.dataset.words = words;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
    announce("Copied");
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => (button.textContent = words), 2000);
}

function prepare(root) {
  if (navigator.clipboard) for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
}

// Asks for another page in the background; `then` gets its document, or null.
function askFor(address, then) {
  const request = new XMLHttpRequest();
  request.open("GET", address);
  request.responseType = "document";
  request.timeout = ASK_DEADLINE_MS;
  request.onloadend = () => then(request.status === 200 ? request.response : null);
  request.send();
}

// ---- Launching: the preview follows what is typed; a further row of ports appears when the last one is used
function preview(form) {
  let waiting = 0;
  const show = () => {
    const words = new URLSearchParams(new FormData(form));
    words.delete("form_token");
    askFor(`${form.dataset.preview}?${words}`, (page) => {
      const fresh = page && page.getElementById("preview");
      if (fresh) carryOver(byId("preview"), fresh);
      prepare(form);
    });
  };
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, SETTLE_MS);
    const rows = form.querySelectorAll(".port-row");
    const last = rows[rows.length - 1];
    if (rows.length < 20 && [...last.querySelectorAll("input")].some((input) => input.value)) {
      const row = last.cloneNode(true);
      row.setAttribute("aria-label", `Port ${rows.length + 1}`);
      for (const input of row.querySelectorAll("input")) input.value = "";
      for (const wrong of row.querySelectorAll(".wrong")) wrong.remove();
      last.after(row);
    }
  });
}

// ---- Reading a plot out, with the pointer or the arrow keys: its numbers are those of its table
let reading = null; // the plot and the slot that is read

function readOut() {
  const { plot, slot } = reading || {};
  for (const canvas of document.querySelectorAll("[data-plot]")) {
    const id = canvas.dataset.plot;
    const row = id === plot && document.querySelector(`[data-rows="${id}"] [data-slot="${slot}"]`);
    const names = document.querySelectorAll(`[data-rows="${id}"] thead th`);
    const words = row ? [...row.cells].map((cell, at) => (at ? `${names[at].textContent} ${cell.textContent}` : cell.textContent)) : [];
    canvas.querySelector(".cursor").setAttribute("d", id === plot ? `M${slot}.5 0v200` : "");
    const text = id !== plot ? "" : words.join(" · ") || "not measured";
    const out = document.querySelector(`[data-readout="${id}"]`);
    if (out.textContent !== text) out.textContent = text;
  }
}

function readAt(canvas, slot) {
  const n = canvas.querySelector("svg").viewBox.baseVal.width;
  reading = { plot: canvas.dataset.plot, slot: Math.max(0, Math.min(n - 1, slot)) };
  readOut();
}

document.addEventListener("pointermove", (event) => {
  const canvas = event.target.closest && event.target.closest("[data-plot]");
  if (canvas) {
    const { left, width } = canvas.getBoundingClientRect();
    readAt(canvas, Math.floor(((event.clientX - left) / width) * canvas.querySelector("svg").viewBox.baseVal.width));
  } else if (reading && !document.activeElement.closest("[data-plot]")) {
    reading = null;
    readOut();
  }
});
document.addEventListener("keydown", (event) => {
  const canvas = event.target.closest("[data-plot]");
  const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity }[event.key];
  if (!canvas || !step || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const n = canvas.querySelector("svg").viewBox.baseVal.width;
  const at = reading && reading.plot === canvas.dataset.plot ? reading.slot + step : step === -1 || step === Infinity ? n - 1 : 0;
  readAt(canvas, at);
});

// ---- Uploading files, one after the other
async function upload(form) {
  const state = form.querySelector("[data-upload-state]");
  const files = [...form.querySelector("input[type=file]").files];
  const dir = form.dataset.dir ? `${form.dataset.dir}/` : "";
  for (const [index, file] of files.entries()) {
    state.textContent = `Sending ${file.name} (${index + 1} of ${files.length})…`;
    const path = (dir + file.name).split("/").map(encodeURIComponent).join("/");
    const headers = { "X-Form-Token": form.dataset.token };
    const sent = await fetch(form.dataset.upload + path, { method: "PUT", body: file, headers }).catch(() => null);
    if (!sent || !sent.ok) {
      state.textContent = `${file.name} was not taken${sent ? ` (${sent.status})` : ""}; what came before it was.`;
      return;
    }
  }
  if (files.length) location.reload();
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-copy], [data-dialog], dialog [data-close]");
  if (!target || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (target.dataset.copy !== undefined) {
    copy(target);
  } else if (target.dataset.dialog !== undefined) {
    const dialog = byId(target.dataset.dialog);
    if (!dialog || !dialog.showModal) return; // the link's own page asks instead
    event.preventDefault();
    dialog.showModal();
  } else {
    event.preventDefault();
    target.closest("dialog").close(); // the browser gives the focus back
  }
});

prepare(document);
tick();
setInterval(tick, 5000);
setInterval(sayAge, 1000);
const { events, beat } = document.body.dataset;
if (events) follow(events, Number(beat));
const log = document.querySelector(".log");
if (log) log.scrollTop = log.scrollHeight;
const launch = document.querySelector("[data-preview]");
if (launch) {
  preview(launch);
  for (const plain of launch.querySelectorAll("[data-no-script]")) plain.hidden = true;
}
for (const form of document.querySelectorAll("[data-upload]")) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    upload(form);
  });
}
