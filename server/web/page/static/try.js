// Try: images by file, drop, paste or camera; each with its picture, its answer and where the time went.

import { $, askForKey, authorization, copy, el, explain, key, milliseconds, number, svg } from "./app.js";

const AT_ONCE = 4;
const MOST_CARDS = 200;
const STAGES = ["upload", "queue", "decode", "infer"];

const queue = [];
let running = 0, done = 0, failed = 0, total = 0;

$("file").multiple = true;
$("send").hidden = true; // with scripts, choosing is sending

$("upload").addEventListener("submit", (event) => {
  event.preventDefault();
  take($("file").files);
});
$("file").addEventListener("change", () => take($("file").files, $("file")));
$("camera").addEventListener("change", () => take($("camera").files, $("camera")));

for (const name of ["dragenter", "dragover"])
  document.addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) take(event.clipboardData.files);
});
$("clear").addEventListener("click", () => {
  queue.length = 0;
  for (const card of [...$("results").children]) remove(card);
  done = failed = 0;
  total = running;
  count();
});

function take(files, input) {
  for (const file of [...files]) {
    total += 1;
    queue.push(file);
  }
  if (input) input.value = "";
  count();
  work();
}

function work() {
  while (running < AT_ONCE && queue.length) {
    running += 1;
    send(queue.shift()).finally(() => {
      running -= 1;
      done += 1;
      count();
      work();
    });
  }
}

function count() {
  $("batch").hidden = total === 0;
  $("progress").max = Math.max(1, total);
  $("progress").value = done;
  $("progress-text").textContent = `${done} of ${total} done${failed ? `, ${failed} refused` : ""}`;
}

async function send(file, card = newCard(file)) {
  const started = performance.now();
  for (;;) {
    const [status, body] = await post(file, card);
    if (status === 401) {
      await askForKey();
      continue;
    }
    if (status === 200) answer(card, file, body, performance.now() - started);
    else refuse(card, file, status, body);
    return;
  }
}

// XMLHttpRequest, since fetch tells nothing of an upload's progress.
function post(file, card) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/images");
    request.setRequestHeader("Accept", "application/json");
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) card.bar.value = event.loaded / event.total;
    };
    request.onload = () => resolve([request.status, parsed(request.responseText)]);
    request.onerror = () => resolve([0, { code: "unreachable", title: "The server did not answer" }]);
    request.send(file);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { code: "internal_error", title: "The answer cannot be read" };
  }
}

function newCard(file) {
  const url = URL.createObjectURL(file);
  const picture = el("img", { src: url, alt: `The image ${file.name || "that was pasted"}` });
  picture.addEventListener("error", () => picture.replaceWith(el("p", { class: "meta" }, "This browser cannot show this image.")));
  const bar = el("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name || "image"}` });
  const body = el("div", {}, bar);
  const item = el("li", { class: "card" }, picture, el("h3", {}, file.name || "Pasted image"), body);
  item.url = url;
  $("results").prepend(item);
  while ($("results").children.length > MOST_CARDS) remove($("results").lastChild);
  return { item, body, bar };
}

function remove(item) {
  URL.revokeObjectURL(item.url);
  item.remove();
}

function answer({ item, body }, file, said, roundTrip) {
  item.classList.remove("failed");
  const notes = [
    said.cached ? "kept from an earlier upload" : said.coalesced ? "shared with another upload" : `in a batch of ${said.batch}`,
    said.duplicate_of ? `same as ${said.duplicate_of}` : null,
    said.stored === true ? "stored" : said.stored === "pending" ? "on its way to the store" : null,
  ].filter(Boolean);
  body.replaceChildren(
    ...headline(said),
    waterfall(said.timing, roundTrip),
    el("p", { class: "meta" }, `${said.model.name} ${said.model.version}, ${notes.join(", ")}. Id ${said.id}`),
    buttons(file),
  );
}

function headline(said) {
  const parts = [];
  if (said.predictions)
    parts.push(
      el("ol", { class: "classes", "aria-label": "Classes, best first" },
        ...said.predictions.map((one) =>
          el("li", {}, el("span", {}, one.label), el("span", {}, `${number(one.score * 100, 1)} %`),
            el("meter", { min: 0, max: 1, value: one.score, "aria-label": one.label })))),
    );
  if (said.score !== undefined)
    parts.push(el("p", {}, el("strong", {}, `Score ${number(said.score, 3)}`), said.label ? ` (${said.label})` : ""));
  if (said.tip) parts.push(el("p", { class: "tip" }, said.tip));
  if (said.outputs) {
    const text = JSON.stringify(said.outputs);
    parts.push(el("pre", {}, text.length > 600 ? `${text.slice(0, 600)} …` : text));
  }
  return parts;
}

// Each stage where it lies in the whole, as the server measured it; what is left is the way there and back.
function waterfall(timing, roundTrip) {
  const whole = Math.max(timing.total, 0.001);
  const rows = [];
  let at = 0;
  for (const stage of STAGES) {
    rows.push(row(stage, at / whole, timing[stage] / whole, timing[stage]));
    at += timing[stage];
  }
  rows.push(row("rest", at / whole, Math.max(0, timing.total - at) / whole, Math.max(0, timing.total - at)));
  return el("dl", { class: "waterfall" }, ...rows.flat(),
    el("dt", {}, "total"), el("dd", {}, ""), el("dd", {}, `${milliseconds(timing.total)}, here ${milliseconds(roundTrip)}`));
}

function row(stage, from, share, ms) {
  const bar = svg("svg", { viewBox: "0 0 100 7", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: `s-${stage}`, x: Math.min(99.5, from * 100), width: Math.max(0.5, share * 100), height: 7 }));
  return [el("dt", {}, stage), el("dd", { class: "track" }, bar), el("dd", {}, milliseconds(ms))];
}

function refuse(card, file, status, problem) {
  failed += 1;
  card.item.classList.add("failed");
  const wait = problem.retry_after_ms ? ` Come back in ${milliseconds(problem.retry_after_ms)}.` : "";
  const ids = [problem.request_id && `request ${problem.request_id}`, problem.trace_id && `trace ${problem.trace_id}`];
  const again = el("button", { type: "button", class: "quiet" }, "Try again");
  again.addEventListener("click", () => {
    failed -= 1;
    done -= 1;
    card.body.replaceChildren((card.bar = el("progress", { max: 1, value: 0, "aria-label": "Upload" })));
    send(file, card).finally(() => { done += 1; count(); });
  });
  card.body.replaceChildren(
    el("p", { class: "code" }, `${status || ""} ${problem.code}`.trim()),
    el("p", {}, `${problem.title}. ${explain(problem.code)}${wait}`),
    el("p", { class: "meta" }, ids.filter(Boolean).join(", ")),
    buttons(file, again),
  );
}

function buttons(file, ...others) {
  const curl = el("button", { type: "button", class: "quiet" }, "Copy as curl");
  curl.addEventListener("click", () => copy(asCurl(file), curl));
  return el("div", { class: "buttons" }, curl, ...others);
}

function asCurl(file) {
  const name = (file.name || "photo.png").replaceAll("'", "'\\''");
  const credentials = key() ? " -H 'Authorization: Bearer YOUR-KEY'" : ""; // the key itself is for no clipboard
  return `curl --data-binary @'${name}'${credentials} ${location.origin}/v1/images`;
}
