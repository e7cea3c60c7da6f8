// The page: files are chosen or dropped, and answered below.

import {open} from "./tureen.js";

const [state, file, results, main] = ["state", "file", "results", "main"].map((id) => document.getElementById(id));

let model;
try {
  model = await open();
  const {name, version} = model.description;
  document.title = name;
  document.querySelector("h1").textContent = name;
  state.textContent = `Version ${version} is ready. Your images stay in this browser.`;
  file.disabled = false;
} catch (error) {
  state.textContent = `The model cannot run here: ${error.message}`;
}

file.addEventListener("change", () => answerAll(file.files));
main.addEventListener("dragover", (event) => event.preventDefault());
main.addEventListener("drop", (event) => {
  event.preventDefault();
  answerAll(event.dataTransfer.files);
});

async function answerAll(files) {
  if (!model) return;
  for (const each of files) {
    const item = document.createElement("li");
    results.prepend(item);
    item.append(element("strong", each.name));
    try {
      const {timing, ...members} = await model.answer(each);
      item.append(picture(each), ...lines(members));
      item.append(element("small", `${timing.decode.toFixed(0)} ms to decode, ${timing.infer.toFixed(0)} ms to run`));
    } catch {
      item.append(element("p", "This browser cannot read it as an image."));
    }
  }
}

function* lines({predictions, score, label, tip, outputs}) {
  for (const each of predictions ?? []) {
    const line = element("p", `${each.label}: ${(100 * each.score).toFixed(1)} %`);
    const meter = document.createElement("meter");
    meter.value = each.score;
    meter.ariaLabel = each.label;
    line.append(meter);
    yield line;
  }
  if (score !== undefined) yield element("p", `Score ${score}${label ? `: ${label}` : ""}`);
  if (tip) yield element("p", tip);
  if (outputs) yield element("pre", JSON.stringify(outputs).slice(0, 2000));
}

function picture(blob) {
  const image = new Image();
  image.alt = "";
  image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  image.src = URL.createObjectURL(blob);
  return image;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
