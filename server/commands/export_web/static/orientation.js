// The EXIF orientation of a WebP, which browsers do not follow as they do that of a JPEG.

const TAG = 0x0112;
const NAMES = {riff: 0x52494646, webp: 0x57454250, exif: 0x45584946, prefix: 0x45786966};

/** 1 to 8 for a WebP with an orientation, 1 for one without; undefined for any other file. */
export function webpOrientation(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < 16 || view.getUint32(0) !== NAMES.riff || view.getUint32(8) !== NAMES.webp) return undefined;
  let at = 12;
  while (at + 8 <= view.byteLength) {
    const length = view.getUint32(at + 4, true);
    if (view.getUint32(at) === NAMES.exif) return inExif(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length + (length % 2);
  }
  return 1;
}

/** Of a TIFF structure, which may have "Exif" before it; 1 if it is broken. */
function inExif(block) {
  try {
    const whole = new DataView(block.buffer, block.byteOffset, block.byteLength);
    const start = whole.getUint32(0) === NAMES.prefix ? 6 : 0;
    const view = new DataView(block.buffer, block.byteOffset + start, block.byteLength - start);
    const little = view.getUint16(0) === 0x4949;
    const list = view.getUint32(4, little);
    for (let entry = 0; entry < view.getUint16(list, little); entry++) {
      const at = list + 2 + 12 * entry;
      if (view.getUint16(at, little) === TAG) return known(view.getUint16(at + 8, little));
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return 1;
}

function known(value) {
  return value >= 1 && value <= 8 ? value : 1;
}

/** Set a canvas context so that a picture of this size, drawn at 0, 0, lies upright. */
export function turn(context, orientation, width, height) {
  const matrices = {
    2: [-1, 0, 0, 1, width, 0], 3: [-1, 0, 0, -1, width, height], 4: [1, 0, 0, -1, 0, height],
    5: [0, 1, 1, 0, 0, 0], 6: [0, 1, -1, 0, height, 0], 7: [0, -1, -1, 0, height, width], 8: [0, -1, 1, 0, 0, width],
  };
  if (matrices[orientation]) context.setTransform(...matrices[orientation]);
}
