// Pixels to the model's tensor by the recipe, in the steps and the integer arithmetic of the server (docs/images.md).

import {turn, webpOrientation} from "./orientation.js";

const FRACTION = 2 ** 22; // coefficients are whole numbers of this size
const FILTERS = {
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, cubic],
  lanczos: [3, (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0)],
};
const ARRAYS = {
  float32: Float32Array, float64: Float64Array, uint8: Uint8Array, int32: Int32Array, int64: BigInt64Array,
  float16: Uint16Array, bool: Uint8Array, int8: Int8Array, int16: Int16Array, uint16: Uint16Array,
};

/** The typed array behind base64 text, in the element type of the name. */
export function decoded(text, dtype) {
  return new ARRAYS[dtype](Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
}

/** The pixels of an image's bytes, upright, in sRGB, over white: {width, height, data}, four bytes each. Rejects damage. */
export async function pixels(bytes) {
  const orientation = webpOrientation(bytes);
  const imageOrientation = orientation === undefined ? "from-image" : "none";
  const bitmap = await createImageBitmap(new Blob([bytes]), {imageOrientation});
  const {width, height} = bitmap;
  const sideways = orientation >= 5;
  const canvas = new OffscreenCanvas(sideways ? height : width, sideways ? width : height);
  const context = canvas.getContext("2d", {willReadFrequently: true, colorSpace: "srgb"});
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = false;
  turn(context, orientation, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** The tensor's values for a picture of `pixels`, for an `input` of model.json; one image, without the batch. */
export function tensor(picture, input, isJpeg) {
  const target = [input.width, input.height];
  let planes = split(picture);
  let extent = [picture.width, picture.height];
  if (input.resample !== "nearest") {
    if (isJpeg) [planes, extent] = reduced(planes, extent, draftFactor(planes, target));
    const factor = Math.min(Math.floor(planes.width / (2 * target[0])), Math.floor(planes.height / (2 * target[1])));
    [planes, extent] = reduced(planes, extent, factor);
  }
  let size = target;
  let box = [0, 0, ...extent];
  if (input.fit === "cover") box = centred(extent, target);
  if (input.fit === "contain") size = inside(extent, target);
  box = box.map(Math.fround); // as Pillow keeps it
  const fitted = planes.channels.map((plane) => resized(plane, planes, size, box, input.resample));
  return written(coloured(fitted, input.colour), size, input);
}

function split({width, height, data}) {
  const channels = [0, 1, 2].map(() => new Uint8Array(width * height));
  for (let at = 0; at < width * height; at++) {
    for (let channel = 0; channel < 3; channel++) channels[channel][at] = data[4 * at + channel];
  }
  return {width, height, channels};
}

/** By how much the server's JPEG decoder makes a picture smaller: 1, 2, 4 or 8. */
function draftFactor({width, height}, target) {
  const most = Math.min(Math.floor(width / target[0]), Math.floor(height / target[1]));
  return [8, 4, 2].find((factor) => factor <= most) ?? 1;
}

/** The mean of each square of `factor` pixels; at the right and at the bottom squares may be cut. */
function reduced(planes, extent, factor) {
  if (factor < 2) return [planes, extent];
  const width = Math.ceil(planes.width / factor);
  const height = Math.ceil(planes.height / factor);
  const channels = planes.channels.map((plane) => {
    const made = new Uint8Array(width * height);
    for (let row = 0; row < height; row++) {
      const bottom = Math.min(planes.height, (row + 1) * factor);
      for (let column = 0; column < width; column++) {
        const right = Math.min(planes.width, (column + 1) * factor);
        let sum = 0;
        for (let y = row * factor; y < bottom; y++) {
          for (let x = column * factor; x < right; x++) sum += plane[y * planes.width + x];
        }
        const count = (bottom - row * factor) * (right - column * factor);
        made[row * width + column] = Math.floor((sum + count / 2) / count);
      }
    }
    return made;
  });
  return [{width, height, channels}, extent.map((side) => side / factor)];
}

function centred(extent, target) {
  const scale = Math.min(extent[0] / target[0], extent[1] / target[1]);
  const size = target.map((side, axis) => Math.min(side * scale, extent[axis]));
  const start = size.map((side, axis) => (extent[axis] - side) / 2);
  return [...start, ...start.map((side, axis) => Math.min(side + size[axis], extent[axis]))];
}

function inside(extent, target) {
  const scale = Math.min(target[0] / extent[0], target[1] / extent[1]);
  return extent.map((side) => Math.max(1, roundedToEven(side * scale)));
}

function roundedToEven(value) {
  const whole = Math.floor(value);
  if (value - whole !== 0.5) return Math.round(value);
  return whole % 2 ? whole + 1 : whole;
}

/** One channel in another size: across, then down, each pass rounded to bytes. `box`: left, top, right, bottom. */
function resized(plane, {width, height}, size, box, resample) {
  if (resample === "nearest") return sampled(plane, width, size, box);
  const across = weights(width, size[0], box[0], box[2], resample);
  const down = weights(height, size[1], box[1], box[3], resample);
  const first = down[0].start;
  const last = down[size[1] - 1].start + down[size[1] - 1].factors.length;
  const middle = new Uint8Array(size[0] * (last - first));
  for (let row = first; row < last; row++) {
    for (let column = 0; column < size[0]; column++) {
      const {start, factors} = across[column];
      let sum = FRACTION / 2;
      for (let at = 0; at < factors.length; at++) sum += plane[row * width + start + at] * factors[at];
      middle[(row - first) * size[0] + column] = clipped(sum);
    }
  }
  const made = new Uint8Array(size[0] * size[1]);
  for (let row = 0; row < size[1]; row++) {
    const {start, factors} = down[row];
    for (let column = 0; column < size[0]; column++) {
      let sum = FRACTION / 2;
      for (let at = 0; at < factors.length; at++) sum += middle[(start - first + at) * size[0] + column] * factors[at];
      made[row * size[0] + column] = clipped(sum);
    }
  }
  return made;
}

function sampled(plane, width, size, box) {
  const made = new Uint8Array(size[0] * size[1]);
  const step = [(box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]];
  for (let row = 0; row < size[1]; row++) {
    const y = Math.floor(box[1] + (row + 0.5) * step[1]);
    for (let column = 0; column < size[0]; column++) {
      made[row * size[0] + column] = plane[y * width + Math.floor(box[0] + (column + 0.5) * step[0])];
    }
  }
  return made;
}

/** For each place of a line of `count`, where in a line of `length` it begins to look, and the weight of each pixel. */
function weights(length, count, from, to, resample) {
  const [reach, filter] = FILTERS[resample];
  const scale = Math.fround(to - from) / count;
  const wide = Math.max(scale, 1);
  return Array.from({length: count}, (_, place) => {
    const centre = from + (place + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach * wide + 0.5));
    const end = Math.min(length, Math.trunc(centre + reach * wide + 0.5));
    const found = Array.from({length: end - start}, (_, at) => filter((start + at - centre + 0.5) / wide));
    const sum = found.reduce((one, other) => one + other, 0);
    return {start, factors: found.map((one) => Math.trunc((one / sum) * FRACTION + (one < 0 ? -0.5 : 0.5)))};
  });
}

function clipped(sum) {
  return Math.min(255, Math.max(0, Math.floor(sum / FRACTION)));
}

function cubic(x) {
  const a = -0.5;
  const at = Math.abs(x);
  if (at < 1) return ((a + 2) * at - (a + 3)) * at * at + 1;
  return at < 2 ? (((at - 5) * at + 8) * at - 4) * a : 0;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function coloured(planes, colour) {
  if (colour === "RGB") return planes;
  if (colour === "BGR") return planes.toReversed();
  const [red, green, blue] = planes;
  return [red.map((_, at) => (red[at] * 19595 + green[at] * 38470 + blue[at] * 7471 + 32768) >> 16)];
}

function written(planes, size, input) {
  const tables = input.tables.map((table) => decoded(table, input.dtype));
  const area = input.width * input.height;
  const values = new ARRAYS[input.dtype](area * planes.length);
  const step = input.layout === "NCHW" ? 1 : planes.length;
  const left = Math.floor((input.width - size[0]) / 2);
  const top = Math.floor((input.height - size[1]) / 2);
  planes.forEach((plane, channel) => {
    const begin = input.layout === "NCHW" ? channel * area : channel;
    const table = tables[channel];
    for (let at = 0; at < area; at++) values[begin + at * step] = table[input.pad[channel]];
    for (let at = 0; at < plane.length; at++) {
      const place = (top + Math.floor(at / size[0])) * input.width + left + (at % size[0]);
      values[begin + place * step] = table[plane[at]];
    }
  });
  return values;
}
