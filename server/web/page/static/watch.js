// Watch: what the server did in the last minutes, told by itself once per second (server-sent events).

import { $, ask, el, milliseconds, number, svg } from "./app.js";

const KEPT = 300; // seconds
const GROUPS = [
  ["Rollouts and experiments", /^tureen_(rollout|experiment|guard|arm)/],
  ["Drift", /^tureen_drift/],
  ["Cache", /^tureen_(cache|reused)/],
  ["Store and spool", /^tureen_(spool|store)/],
  ["Queue and sources", /^tureen_(source|consume|sqs)/],
  ["GPU", /^tureen_gpu/],
  ["Models", /^tureen_(model|version|lane|slowdown|decode_cost|one_at|batch_diff)/],
];

const REST = "Everything else";

let samples = [];
let latest = null;
let abort = null;

export function enter() {
  if (!abort) connect();
}

export function leave() {
  if (abort) abort.abort();
  abort = null;
}

// fetch rather than EventSource: that one cannot send a key.
async function connect() {
  const own = (abort = new AbortController());
  let pause = 500;
  while (!own.signal.aborted) {
    try {
      const response = await ask("/watch/events", { headers: { Accept: "text/event-stream" }, signal: own.signal });
      if (response.status === 403) return say("This key may not watch: it needs the scope metrics.");
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      say("Live.");
      pause = 500;
      await read(response.body.pipeThrough(new TextDecoderStream()).getReader());
    } catch (error) {
      if (own.signal.aborted) return;
    }
    say("Not connected; trying again.");
    await new Promise((resolve) => setTimeout(resolve, (pause = Math.min(8000, pause * 2))));
  }
}

async function read(reader) {
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const kind = /^event: (.*)$/m.exec(event)?.[1];
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (data) take(kind, JSON.parse(data));
    }
  }
}

function take(kind, data) {
  if (kind === "history") samples = data;
  else {
    samples.push(data.sample);
    latest = data;
  }
  samples = samples.slice(-KEPT);
  if (!document.hidden && samples.length) draw();
}

function say(text) {
  if ($("watch-state").textContent !== text) $("watch-state").textContent = text;
}

// -- Drawing -------------------------------------------------------------------------------------------------------

function draw() {
  const now = samples[samples.length - 1];
  const recent = samples.slice(-10);
  const sum = (pick) => recent.reduce((whole, one) => whole + pick(one), 0);
  const asked = sum((one) => one.answered + one.broken);
  const kept = asked ? sum((one) => one.answered) / asked : 1;
  $("tiles").replaceChildren(
    tile("Goodput", `${number(sum((one) => one.answered) / recent.length, 1)} /s`),
    tile("Promise kept", `${number(kept * 100, 2)} %`, kept >= 0.999 ? "good" : "bad"),
    tile("p99", milliseconds(now.p99_ms), now.p99_ms > now.slo_ms ? "bad" : ""),
    tile("Queue", number(now.waiting)),
    tile("With workers", number(now.running)),
    tile("Workers", `${now.ready} of ${now.workers}`, now.ready < now.workers ? "bad" : ""),
    tile("Loop lag", milliseconds(now.lag_ms)),
  );
  $("charts").replaceChildren(
    chart("Images per second", [["answered", "answered"], ["refused or failed", "broken"]], (value) => number(value)),
    chart("Latency of answers", [["p50", "p50_ms"], ["p99", "p99_ms"], ["p95", "p95_ms"]], milliseconds, now.slo_ms),
    chart("Images waiting and with workers", [["waiting", "waiting"], ["with workers", "running"]], (value) => number(value)),
    chart("Images per batch", [["mean", "batch"]], (value) => number(value, 1)),
  );
  $("tables").replaceChildren(...panels(recent));
}

function tile(name, value, kind = "") {
  return el("div", { class: `tile ${kind}` }, name, el("b", {}, value));
}

function chart(title, lines, format, limit) {
  const values = lines.map(([, key]) => samples.map((one) => one[key]));
  const top = Math.max(1e-9, ...values.flat().filter((value) => value !== null), ...(limit ? [limit] : [])) * 1.05;
  const points = (row) =>
    row.map((value, at) => (value === null ? "" : `${((at + KEPT - row.length) * 600) / KEPT},${100 - (value / top) * 100}`)).join(" ");
  const last = values.map((row) => row[row.length - 1]);
  const words = lines.map(([name], at) => `${name} ${format(last[at])}`).join(", ");
  return el("section", { class: "chart" }, el("h3", {}, title),
    svg("svg", { viewBox: "0 0 600 100", preserveAspectRatio: "none", role: "img", "aria-label": `${title}: ${words}` },
      ...(limit ? [svg("line", { class: "limit", x1: 0, x2: 600, y1: 100 - (limit / top) * 100, y2: 100 - (limit / top) * 100 })] : []),
      ...values.map((row, at) => svg("polyline", { class: `c${at}`, points: points(row) }))),
    el("ul", { class: "legend" },
      ...lines.map(([name], at) => el("li", {},
        svg("svg", { viewBox: "0 0 16 8", "aria-hidden": "true" }, svg("line", { class: `c${at}`, x1: 0, x2: 16, y1: 4, y2: 4, "stroke-width": 3 })),
        ` ${name} ${format(last[at])}`)),
      limit ? el("li", {}, `promise ${format(limit)}`) : null));
}

function panels(recent) {
  const reasons = {};
  for (const one of recent) for (const [code, count] of Object.entries(one.codes)) reasons[code] = (reasons[code] || 0) + count;
  delete reasons.ok;
  const found = [
    table("Refusals and failures, last 10 s", ["Code", "Images"], Object.entries(reasons).sort((a, b) => b[1] - a[1]).map(([code, count]) => [code, number(count)])),
  ];
  if (!latest) return found;
  found.push(table("Workers", ["Worker", "Process", "State", "Images", "For"], latest.workers.map((one) =>
    [one.name, String(one.pid), one.state, number(one.held), one.held ? milliseconds(one.quiet_s * 1000) : ""])));
  const left = new Map(GROUPS.map(([name]) => [name, []]));
  left.set(REST, []);
  for (const [name, labels, value] of latest.figures) {
    const group = GROUPS.find(([, pattern]) => pattern.test(name))?.[0] || REST;
    left.get(group).push([name.replace("tureen_", ""), labels, number(value, 3)]);
  }
  for (const [name, rows] of left) if (rows.length && name !== REST) found.push(table(name, ["Figure", "Of", "Value"], rows));
  found.push(table(REST, ["Figure", "Of", "Value"], left.get(REST)));
  return found;
}

function table(title, heads, rows) {
  const last = heads.length - 1;
  return el("section", { class: "panel", tabIndex: 0, role: "region", "aria-label": title }, el("h3", {}, title), rows.length
    ? el("table", {},
        el("thead", {}, el("tr", {}, ...heads.map((head, at) => el("th", { scope: "col", class: at === last ? "number" : "" }, head)))),
        el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell, at) => el("td", { class: at === last ? "number" : "" }, cell))))))
    : el("p", { class: "meta" }, "None."));
}
