// Records: what is kept, by id, hash, label or time; the picture; and having it forgotten.

import { $, ask, el, explain } from "./app.js";

let last = null; // of the list: where the next page begins
let asked = null;
// What is not looked at is not asked for.
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries)
    if (isIntersecting) {
      seen.unobserve(target);
      target.load();
    }
});

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
$("more").addEventListener("click", () => page());

export function enter() {
  if (!$("found").children.length) search();
}

function search() {
  asked = new FormData($("search"));
  last = null;
  for (const item of [...$("found").children]) forget(item);
  page();
}

async function page() {
  const id = asked.get("id").trim();
  if (/^[0-9a-f]{8}-/.test(id)) return show([{ id }], false);
  const query = new URLSearchParams();
  if (id) query.set("hash", id);
  if (asked.get("label")) query.set("label", asked.get("label").trim());
  for (const name of ["since", "until"]) if (asked.get(name)) query.set(name, new Date(asked.get(name)).toISOString());
  if (last) query.set("before", last);
  const response = await ask(`/v1/images?${query}`);
  const found = await response.json();
  if (!response.ok) return say(`${found.title}. ${explain(found.code)}`);
  const images = found.images || found.ids.map((one) => ({ id: one }));
  show(images, Boolean(found.images) && images.length === found.most);
}

function show(images, more) {
  for (const one of images) $("found").append(card(one));
  last = images.length ? images[images.length - 1].id : last;
  $("more").hidden = !more;
  const count = $("found").children.length;
  say(count ? `${count} image${count === 1 ? "" : "s"}` : "Nothing found.");
}

const say = (text) => ($("records-state").textContent = text);

function card(one) {
  const when = one.time ? new Date(one.time).toLocaleString() : "";
  const body = el("div", {}, el("h3", {}, one.label || one.id), el("p", { class: "meta" }, when));
  const item = el("li", { class: "card" }, body);
  item.load = () => fill(item, body, one.id);
  seen.observe(item);
  return item;
}

async function fill(item, body, id) {
  const response = await ask(`/v1/images/${id}`);
  const record = await response.json();
  if (response.status !== 200) {
    const why = response.status === 202 ? "On its way to the store." : `${record.title || ""}. ${explain(record.code)}`;
    body.replaceChildren(el("h3", {}, id), el("p", {}, why));
    return;
  }
  const answer = record.answer;
  const best = answer.predictions?.[0];
  const said = best ? `${best.label} (${(best.score * 100).toFixed(1)} %)` : answer.label ?? answer.score ?? "";
  const remove = el("button", { type: "button", class: "quiet" }, "Delete");
  remove.addEventListener("click", () => erase(item, id, remove));
  body.replaceChildren(
    await picture(id, said),
    el("h3", {}, String(said)),
    answer.tip ? el("p", { class: "tip" }, answer.tip) : "",
    el("p", { class: "meta" }, `${new Date(record.time).toLocaleString()}, ${record.model} ${record.version}, ${record.bytes} bytes`),
    el("p", { class: "meta" }, `Id ${id}`, el("br"), `Hash ${record.hash}`),
    el("div", { class: "buttons" }, remove),
  );
}

// By fetch, since an img element cannot send a key.
async function picture(id, said) {
  const response = await ask(`/v1/images/${id}/original`, { headers: { Accept: "image/*" } });
  if (!response.ok) return el("p", { class: "meta" }, "The picture cannot be shown.");
  const url = URL.createObjectURL(await response.blob());
  const image = el("img", { src: url, alt: `Stored image: ${said}` });
  image.addEventListener("load", () => URL.revokeObjectURL(url));
  image.addEventListener("error", () => image.replaceWith(el("p", { class: "meta" }, "This browser cannot show this image.")));
  return image;
}

// The second press deletes: a dialogue would leave the keyboard behind.
async function erase(item, id, button) {
  if (button.textContent === "Delete") {
    button.textContent = "Delete for good?";
    setTimeout(() => (button.textContent = "Delete"), 4000);
    return;
  }
  const response = await ask(`/v1/images/${id}`, { method: "DELETE" });
  if (response.status === 204) {
    forget(item);
    say("Deleted.");
    return;
  }
  const problem = await response.json();
  say(`Not deleted: ${problem.title}. ${explain(problem.code)}`);
}

function forget(item) {
  item.remove();
}
