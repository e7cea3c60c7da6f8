// The frame of the page: views, the key, and small helpers that the views share.

const tabs = document.body.dataset.tabs.split(" ").filter(Boolean);
let explanations = {};

export const $ = (id) => document.getElementById(id);

// An element with properties and children; text is always text, never markup.
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") element.className = value;
    else if (key.startsWith("aria-") || key === "role" || key === "scope") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export const number = (value, digits = 0) =>
  value === null || value === undefined ? "–" : value.toLocaleString("en", { maximumFractionDigits: digits });

export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  return value >= 1000 ? `${number(value / 1000, 2)} s` : `${number(value, value < 10 ? 1 : 0)} ms`;
}

// -- The key, where the server asks for one ------------------------------------------------------------------------

export const key = () => sessionStorage.getItem("key") || "";
export const authorization = () => (key() ? { Authorization: `Bearer ${key()}` } : {});

const waiting = [];

// Resolves when a key has been entered: for whoever was refused for want of one.
export function askForKey() {
  $("key-form").hidden = false;
  $("key").focus();
  return new Promise((resolve) => waiting.push(resolve));
}

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", $("key").value.trim());
  $("key-form").hidden = true;
  for (const resolve of waiting.splice(0)) resolve();
});

// fetch with the key; asks for one once it is refused.
export async function ask(path, options = {}) {
  for (;;) {
    const headers = { Accept: "application/json", ...options.headers, ...authorization() };
    const response = await fetch(path, { ...options, headers });
    if (response.status !== 401) return response;
    await askForKey();
  }
}

export const explain = (code) => explanations[code] || "";

export async function copy(text, button) {
  await navigator.clipboard.writeText(text);
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = before), 1500);
}

// -- Views ---------------------------------------------------------------------------------------------------------

const views = {
  try: () => import("./try.js"),
  watch: () => import("./watch.js"),
  records: () => import("./records.js"),
};
let shown = null;

async function show() {
  const asked = location.hash.slice(1);
  const name = tabs.includes(asked) ? asked : tabs[0];
  for (const tab of Object.keys(views)) {
    $(`view-${tab}`).hidden = tab !== name;
    const link = document.querySelector(`[data-tab=${tab}]`);
    link.hidden = !tabs.includes(tab);
    if (tab === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const view = await views[name]();
  if (shown && shown !== view && shown.leave) shown.leave();
  shown = view;
  if (view.enter) view.enter();
}

async function describe() {
  const response = await fetch("/", { headers: { Accept: "application/json", ...authorization() } });
  if (!response.ok) return;
  const about = await response.json();
  const model = about.model ? `${about.model.name} ${about.model.version}, ` : "";
  $("model").textContent = `${model}answers within ${milliseconds(about.slo_ms)}`;
}

document.body.classList.add("js");
window.addEventListener("hashchange", show);
explanations = await (await fetch("/page/codes.json")).json();
show();
describe();
