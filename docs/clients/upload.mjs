// node upload.mjs http://127.0.0.1:8080 photo.jpg: an upload by fetch (Node 18 or later).
import { readFile } from "node:fs/promises";

const [url, photo] = process.argv.slice(2);
const headers = { "X-Request-Timeout-Ms": "2000" };
if (process.env.TUREEN_KEY) headers.Authorization = `Bearer ${process.env.TUREEN_KEY}`;
const body = await readFile(photo);

let reply;
for (let attempt = 0; attempt < 4; attempt++) {
  reply = await fetch(`${url}/v1/images`, { method: "POST", headers, body, signal: AbortSignal.timeout(10_000) });
  if (![429, 503].includes(reply.status)) break;
  await new Promise((wake) => setTimeout(wake, 1000 * Number(reply.headers.get("Retry-After") ?? 1)));
}
const answer = await reply.json();
if (!reply.ok) throw new Error(`${reply.status} ${answer.code}: ${answer.title}`);
console.log(JSON.stringify(answer));
