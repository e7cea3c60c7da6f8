// A model that answers images in this browser. Import it into a page of your own:
//   const model = await open(new URL("site/", location.href));
//   const {predictions} = await model.answer(file);

import * as ort from "./ort/ort.wasm.min.mjs";
import {answer} from "./answer.js";
import {decoded, pixels, tensor} from "./recipe.js";

/** Load the model that was exported to the folder `base`. Rejects if a file is missing or the model cannot run. */
export async function open(base = new URL("./", import.meta.url)) {
  ort.env.wasm.wasmPaths = new URL("ort/", base).href;
  ort.env.wasm.numThreads = 1; // more needs a page that is isolated from other origins
  const described = await (await fetched(new URL("model.json", base))).json();
  const externalData = described.external.map((path) => ({path, data: new URL(path, base).href}));
  const bytes = new Uint8Array(await (await fetched(new URL("model.onnx", base))).arrayBuffer());
  const session = await ort.InferenceSession.create(bytes, {executionProviders: ["wasm"], externalData});
  return new Model(described, session);
}

async function fetched(url) {
  const reply = await fetch(url);
  if (!reply.ok) throw new Error(`${url} is missing (${reply.status})`);
  return reply;
}

/** `description` is what model.json says. */
class Model {
  #session;
  #constants;
  #running = Promise.resolve();

  constructor(description, session) {
    this.description = description;
    this.#session = session;
    this.#constants = Object.entries(description.constants).map(([name, {dtype, shape, data}]) => [
      name, new ort.Tensor(dtype, decoded(data, dtype), shape),
    ]);
  }

  /** The members of an answer, and `timing` in milliseconds. Rejects what the browser cannot decode. */
  async answer(blob) {
    const begun = performance.now();
    const {input, output} = this.description;
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const image = tensor(await pixels(bytes), input, bytes[0] === 0xff && bytes[1] === 0xd8);
    const prepared = performance.now();
    const values = new image.constructor(input.shape.reduce((one, other) => one * other, 1));
    values.set(image); // a batch that is fixed to more is filled up with zeros
    const given = new ort.Tensor(input.dtype, values, input.shape);
    const feeds = Object.fromEntries([[input.name, given], ...this.#constants]);
    const run = this.#running.then(() => this.#session.run(feeds, output.names)); // one at a time
    this.#running = run.catch(() => undefined);
    const results = await run;
    const timing = {decode: prepared - begun, infer: performance.now() - prepared};
    return {...answer(output, results), timing};
  }
}
