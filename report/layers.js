// The layers of a photograph. Only the photograph that is looked at is unpacked. A pixel's code is 256 x
// (inside the FOV + 2 x reference) + level of its probability, so that a layer is a table of 1024 colours and
// every score a sum over 1024 counts.

const FOV = 1;
const REFERENCE = 2;
const KINDS = ["photograph", "probability", "prediction", "reference", "agreement"];
const BOTH = colour("both");
const ONLY_PREDICTED = colour("orange");
const ONLY_REFERENCE = colour("sky");
const OUTSIDE = colour("outside");
const UNCOUNTED = colour("uncounted");
const [BLACK, WHITE] = ["#000000", "#ffffff"];

// ---- unpacking

function bytes(id) {
  const binary = atob(byId(id).textContent);
  const array = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) array[i] = binary.charCodeAt(i);
  return array;
}

async function unpacked({ number, width, height }) {
  const stream = new Blob([bytes(`numbers-${number}`)])
    .stream()
    .pipeThrough(new DecompressionStream("deflate"));
  const [numbers, picture] = await Promise.all([
    new Response(stream).arrayBuffer(),
    createImageBitmap(new Blob([bytes(`jpeg-${number}`)], { type: "image/jpeg" })),
  ]);
  const size = width * height;
  const packed = new Uint8Array(numbers);
  const codes = new Uint16Array(size);
  const counts = new Uint32Array(1024);
  for (let i = 0, level = 0; i < size; i++) {
    level = (level + packed[i]) & 255;
    counts[(codes[i] = (packed[size + i] << 8) | level)]++;
  }
  return { codes, counts, layers: { photograph: { picture } } };
}

// The probability at which this level begins; as edges() in page.py.
function probabilityOf(level, { threshold, level: own } = view.current) {
  return level <= own
    ? (threshold * level) / own
    : threshold + ((1 - threshold) * (level - own)) / (256 - own);
}

// ---- layers and scores

const COLOURS = {
  probability: (level, flags) => (flags & FOV ? grey(probabilityOf(level + (level > 0) * 0.5)) : OUTSIDE),
  prediction: (level, flags) => (!(flags & FOV) ? OUTSIDE : level >= view.level ? WHITE : BLACK),
  reference: (level, flags) =>
    flags & FOV ? (flags & REFERENCE ? WHITE : BLACK) : flags & REFERENCE ? UNCOUNTED : OUTSIDE,
  agreement: (level, flags) => {
    if (!(flags & FOV)) return OUTSIDE;
    if (flags & REFERENCE) return level >= view.level ? BOTH : ONLY_REFERENCE;
    return level >= view.level ? ONLY_PREDICTED : BLACK;
  },
};

function grey(share) {
  const byte = Math.round(255 * Math.min(share, 1));
  return "#" + byte.toString(16).padStart(2, "0").repeat(3);
}

const cut = kind => (kind === "prediction" || kind === "agreement" ? view.level : 0);

// The layer as something to draw, made when it is first wanted, and again when the threshold has moved. A
// `bare` layer has nothing but vessels, so that it can lie on a photograph without making it dark.
function layer(kind, bare = false) {
  const { codes, layers } = view.data;
  const { width, height } = view.current;
  const key = bare ? `bare ${kind}` : kind;
  const known = layers[key];
  if (kind === "photograph" || known?.cut === cut(kind)) return known.picture;
  const table = new Uint32Array(1024).map((_, code) => {
    const name = COLOURS[kind](code & 255, code >> 8);
    const rgb = parseInt(name.slice(1), 16);
    if (bare && [OUTSIDE, BLACK].includes(name)) return 0;
    return 0xff000000 | ((rgb & 255) << 16) | (rgb & 0xff00) | (rgb >> 16); // red is the first byte in memory
  });
  const picture = known?.picture ?? Object.assign(document.createElement("canvas"), { width, height });
  const pixels = new ImageData(width, height);
  const words = new Uint32Array(pixels.data.buffer);
  for (let i = 0; i < words.length; i++) words[i] = table[codes[i]];
  picture.getContext("2d").putImageData(pixels, 0, 0);
  layers[key] = { picture, cut: cut(kind) };
  return picture;
}

// Pixels inside the FOV: both (true positive), predicted (false positive), reference (false negative).
function compared() {
  const sum = { both: 0, predicted: 0, reference: 0 };
  for (let level = 0; level < 256; level++) {
    const [vessel, other] = [
      view.data.counts[((FOV | REFERENCE) << 8) | level],
      view.data.counts[(FOV << 8) | level],
    ];
    if (level >= view.level) {
      sum.both += vessel;
      sum.predicted += other;
    } else sum.reference += vessel;
  }
  return sum;
}

function writeReadings() {
  const { both, predicted, reference } = compared();
  const labelled = view.current.labelled;
  const scored = labelled && view.current.dice !== null;
  const part = (a, b) => (scored && b > 0 ? (a / b).toFixed(4) : "–");
  const readings = {
    Dice: part(2 * both, 2 * both + predicted + reference),
    precision: part(both, both + predicted),
    recall: part(both, both + reference),
  };
  byId("readings").replaceChildren(
    ...Object.entries(readings).map(([name, value]) =>
      make("div", {}, make("dt", {}, name), make("dd", { id: `reading-${name.toLowerCase()}` }, value)),
    ),
  );
  const swatch = fill =>
    drawn(
      "svg",
      { width: 16, height: 16, "aria-hidden": "true" },
      drawn("rect", { width: 16, height: 16, rx: 3, fill, stroke: UNCOUNTED }),
    );
  const entries = [
    [BOTH, "both", both],
    [ONLY_PREDICTED, "only predicted", predicted],
    [ONLY_REFERENCE, "only reference", reference],
  ];
  byId("legend").replaceChildren(
    ...(labelled ? entries : []).map(([fill, name, count]) =>
      make("li", {}, swatch(fill), `${name}: ${count.toLocaleString("en")} pixels`),
    ),
  );
  byId("unlabelled").hidden = labelled;
  const value = probabilityOf(view.level).toFixed(3);
  byId("threshold-value").textContent = value;
  byId("threshold").setAttribute("aria-valuetext", value);
  byId("reset").disabled = view.level === view.current.level;
}
