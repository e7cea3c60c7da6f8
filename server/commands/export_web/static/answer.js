// The model's outputs to the members of an answer, as the server renders them.

const ACTIVATIONS = {
  none: (values) => values,
  softmax: (values) => {
    const most = values.reduce((one, other) => Math.max(one, other), -Infinity);
    const powers = values.map((value) => Math.exp(value - most));
    const sum = powers.reduce((one, other) => one + other, 0);
    return powers.map((power) => power / sum);
  },
  sigmoid: (values) => values.map((value) => 0.5 + 0.5 * Math.tanh(value / 2)),
};

/** The members for the first image of a run. `output`: of model.json; `results`: tensors by name. */
export function answer(output, results) {
  const rows = output.names.map((name) => row(results[name], output));
  if (output.kind === "raw") {
    return {outputs: Object.fromEntries(output.names.map((name, at) => [name, nested(rows[at].values, rows[at].shape)]))};
  }
  const values = ACTIVATIONS[output.activation](rows[0].values);
  return output.kind === "score" ? score(values[0], output) : classes(values, output);
}

function row(tensor, output) {
  const values = Array.from(tensor.type === "float16" ? halves(tensor.data) : tensor.data, Number);
  if (output.whole) return {values, shape: tensor.dims};
  return {values: values.slice(0, values.length / output.batch), shape: tensor.dims.slice(1)};
}

/** Numbers of float16 data, which a browser gives as bits if it has no Float16Array. */
function halves(data) {
  if (!(data instanceof Uint16Array)) return data;
  return Array.from(data, (bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  });
}

function classes(values, output) {
  const ranked = values.map((_, at) => at).sort((one, other) => values[other] - values[one] || one - other);
  const best = ranked[0];
  return {
    predictions: ranked.slice(0, output.top_k).map((at) => ({
      label: output.labels ? output.labels[at] : String(at),
      score: Number(values[at].toFixed(6)),
    })),
    ...(output.scores && {score: output.scores[best]}),
    ...(output.tips && {tip: output.tips[best]}),
  };
}

function score(value, output) {
  const level = (output.thresholds ?? []).filter((threshold) => threshold <= value).length;
  return {
    score: Number(value.toPrecision(7)),
    ...(output.labels && {label: output.labels[level]}),
    ...(output.tips && {tip: output.tips[level]}),
  };
}

function nested(values, shape) {
  if (shape.length === 0) return values[0];
  const size = values.length / shape[0];
  return Array.from({length: shape[0]}, (_, at) => nested(values.slice(at * size, (at + 1) * size), shape.slice(1)));
}
