// The page with a whole log; wharf.js comes before it.
"use strict";

// ---- A log that is followed: lines come as text and become text, many at once in one frame
const LINES_MAX = 5000;
const NOTE_MS = 300; // browsers allow a hundred changes of the address in half a minute
const LINES_PER_FRAME = 400; // a burst must not hold up who types
const LINE = /^(stdout|stderr|crunch-run) (\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)\S*) ?(.*)$/;
const TURNS = /[\u202a-\u202e\u2066-\u2069]/g; // they reorder the text that a person reads
const ESCAPES = /\u001b\[[0-9;?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f]/g;

function logLine(text) {
  const [, stream = "", time = "", clock = "", rest = text] = LINE.exec(text) || [];
  const line = document.createElement("span");
  line.className = "line";
  line.dataset.stream = stream;
  line.dataset.t = time;
  const part = (name, words) => {
    const span = document.createElement("span");
    span.className = name;
    span.textContent = words;
    line.append(span, " ");
  };
  if (clock) part("clock", clock);
  if (stream === "stderr") part("stream", "err");
  if (stream === "crunch-run") part("stream", "wharf");
  line.append(rest.replace(ESCAPES, "").replace(TURNS, "\ufffd"), "\n");
  return line;
}

function followLog(log) {
  const tools = document.querySelector(".log-tools");
  const find = tools.querySelector("[data-log-find]");
  const pause = tools.querySelector("[data-log-pause]");
  const wrap = tools.querySelector("[data-log-wrap]");
  const count = tools.querySelector("[data-log-count]");
  let waiting = [];
  let frame = 0;
  let paused = false;
  let sought = new URLSearchParams(location.search).get("t") || "";
  const fits = (line) => !find.value || line.textContent.toLowerCase().includes(find.value.toLowerCase());
  const say = () => {
    const n = log.querySelectorAll(".line:not([hidden])").length;
    count.textContent = paused ? `paused, ${waiting.length} waiting` : find.value ? `${n} found` : "";
  };
  const show = () => {
    frame = 0;
    if (paused) return say();
    const atEnd = isAtEnd();
    const some = document.createDocumentFragment();
    if (waiting.length > LINES_MAX) waiting.splice(0, waiting.length - LINES_MAX);
    for (const text of waiting.splice(0, LINES_PER_FRAME)) {
      const line = logLine(text);
      line.hidden = !fits(line);
      some.append(line);
    }
    log.append(some);
    while (log.childElementCount > LINES_MAX) log.firstElementChild.remove();
    if (sought) seek();
    else if (atEnd) log.scrollTop = log.scrollHeight;
    if (byId("log-empty")) byId("log-empty").hidden = log.childElementCount > 0;
    if (find.value) say();
    if (waiting.length) frame = requestAnimationFrame(show);
  };
  // To the line that stood at the top when the page was left: its time, and which of those with the same. Lines of several
  // streams come one after the other, so what is missing may still be on its way; where all is there, the next one serves.
  const seek = () => {
    const [time, nth = "0"] = sought.split("~");
    const alike = [...log.children].filter((line) => line.dataset.t === time);
    const line = alike[Math.min(Number(nth), alike.length - 1)] || (waiting.length ? null : [...log.children].find((line) => line.dataset.t >= time));
    if (!line) return;
    log.scrollTop = line.offsetTop - log.offsetTop;
    sought = "";
  };
  // The place in the log and what is looked for stand in the address: a reload, Back and a link to a colleague keep them.
  const isAtEnd = () => log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  const place = () => {
    const isTop = (line) => !line.hidden && line.offsetTop - log.offsetTop >= log.scrollTop - 2;
    const top = isAtEnd() ? null : [...log.children].find(isTop);
    if (!top || !top.dataset.t) return "";
    const nth = [...log.children].filter((line) => line.dataset.t === top.dataset.t).indexOf(top);
    return nth ? `${top.dataset.t}~${nth}` : top.dataset.t;
  };
  let noting = 0;
  const note = () => {
    clearTimeout(noting);
    noting = setTimeout(() => {
      if (sought) return;
      const words = new URLSearchParams(location.search);
      for (const [name, value] of [["t", place()], ["q", find.value]]) {
        if (value) words.set(name, value);
        else words.delete(name);
      }
      const query = words.size ? `?${words}` : location.pathname;
      if (query !== (location.search || location.pathname)) history.replaceState(history.state, "", query);
    }, NOTE_MS);
  };
  // The stream begins anew with what there is then.
  const anew = () => {
    sought = sought || place();
    waiting = [];
    log.replaceChildren();
  };
  const put = (text) => {
    waiting.push(text);
    if (waiting.length > 4 * LINES_MAX) waiting.splice(0, LINES_MAX);
    if (!frame) frame = requestAnimationFrame(show);
  };
  const hold = (held) => {
    paused = held;
    pause.setAttribute("aria-pressed", String(held));
    pause.textContent = held ? "Go on" : "Pause";
    show();
    say();
  };
  for (const tool of tools.querySelectorAll("[data-log-tool]")) tool.hidden = false;
  for (const plain of tools.querySelectorAll("[data-no-script]")) plain.hidden = true;
  tools.addEventListener("submit", (event) => event.preventDefault());
  pause.addEventListener("click", () => hold(!paused));
  wrap.addEventListener("change", () => log.classList.toggle("unwrapped", !wrap.checked));
  find.addEventListener("input", () => {
    for (const line of log.children) line.hidden = !fits(line);
    say();
    note();
  });
  log.addEventListener("scroll", note);
  log.scrollTop = log.scrollHeight;
  if (log.dataset.follow) return read(log, anew, put);
  pause.hidden = true;
  if (sought) seek();
}

// Reads the stream to its end; where it breaks, begins again with what there is then.
async function read(log, anew, put) {
  let failures = 0;
  for (;;) {
    try {
      const answer = await fetch(log.dataset.follow, { cache: "no-store", redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      anew();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) {
          if (rest) put(rest);
          return;
        }
        failures = 0;
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        lines.forEach(put);
      }
    } catch {
      failures += 1;
      await new Promise((resolve) => setTimeout(resolve, Math.min(POLL_MS, 250 * 2 ** failures)));
    }
  }
}

followLog(byId("log"));
