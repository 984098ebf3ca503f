// The layers of a photograph. Only the photograph that is looked at is unpacked. A pixel's code is 256 x
// its flags + level of its probability, so that a layer is a table of 2048 colours and every score a sum
// over 2048 counts. Flag 1 says that the pixel is inside the FOV; 2 and 4 are the page's own.

const FOV = 1;
const CODES = 2048;
const OUTSIDE = colour("outside");
const UNCOUNTED = colour("uncounted");
const [BLACK, WHITE] = ["#000000", "#ffffff"];
const scratch = document.createElement("canvas");

// ---- unpacking

function bytes(id) {
  const binary = atob(byId(id).textContent);
  const array = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) array[i] = binary.charCodeAt(i);
  return array;
}

function unpacked(photograph) {
  return read(photograph).catch(({ message }) => {
    throw new Error(`it could not be unpacked (${message}): where memory is short, close other pages`);
  });
}

async function read({ number, width, height }) {
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
  const counts = new Uint32Array(CODES);
  for (let i = 0, level = 0; i < size; i++) {
    level = (level + packed[i]) & 255;
    counts[(codes[i] = (packed[size + i] << 8) | level)]++;
  }
  return { width, height, codes, counts, layers: { photograph: { picture } } };
}

// The probability at which this level begins; as edges() in photographs.py.
function probabilityOf(level, { threshold, level: own } = view.current) {
  return level <= own
    ? (threshold * level) / own
    : threshold + ((1 - threshold) * (level - own)) / (256 - own);
}

// ---- layers

function probabilityColour(level, flags) {
  if (!(flags & FOV)) return OUTSIDE;
  const byte = Math.round(255 * Math.min(probabilityOf(level + (level > 0) * 0.5), 1));
  return "#" + byte.toString(16).padStart(2, "0").repeat(3);
}

function predictionColour(level, flags) {
  return !(flags & FOV) ? OUTSIDE : level >= view.level ? WHITE : BLACK;
}

const cut = kind => (followsThreshold(kind) ? view.level : 0);

// A layer's colours by code. A `bare` layer has nothing but vessels, so that it can lie on a photograph
// without making it dark.
function tableOf(kind, bare) {
  return new Uint32Array(CODES).map((_, code) => {
    const name = COLOURS[kind](code & 255, code >> 8);
    const rgb = parseInt(name.slice(1), 16);
    if (bare && [OUTSIDE, BLACK].includes(name)) return 0;
    return 0xff000000 | ((rgb & 255) << 16) | (rgb & 0xff00) | (rgb >> 16); // red is the first byte in memory
  });
}

// What is known of a layer: its canvas, its colours by code, and which part of the canvas is `old`.
function known(kind, bare) {
  const { width, height, layers } = view.data;
  const canvas = () => Object.assign(document.createElement("canvas"), { width, height });
  const own = (layers[bare ? `bare ${kind}` : kind] ??= { picture: canvas() });
  if (own.cut !== cut(kind))
    Object.assign(own, { table: tableOf(kind, bare), cut: cut(kind), old: { x: 0, y: 0, width, height } });
  return own;
}

// The layer as something to draw. It is coloured when it is looked at, where it is old.
function layer(kind, bare = false) {
  if (kind === "photograph") return view.data.layers.photograph.picture;
  const own = known(kind, bare);
  const { picture, table, old } = own;
  if (old) picture.getContext("2d").putImageData(coloured(table, old), old.x, old.y);
  own.old = null;
  return picture;
}

function coloured(table, { x, y, width, height }) {
  const { codes, width: across } = view.data;
  const pixels = new ImageData(width, height);
  const words = new Uint32Array(pixels.data.buffer);
  for (let row = 0, i = 0; row < height; row++) {
    const from = (y + row) * across + x;
    for (let at = from; at < from + width; at++) words[i++] = table[codes[at]];
  }
  return pixels;
}

// A part of a layer whose codes have just changed, without the layer, which would be slow to change: a
// canvas that has been drawn is copied whole when it is next written to.
function partOf(kind, bare, part) {
  const pixels = coloured(known(kind, bare).table, part);
  Object.assign(scratch, { width: part.width, height: part.height });
  scratch.getContext("2d").putImageData(pixels, 0, 0);
  return scratch;
}

// Makes a part of all layers old.
function outdate(part) {
  for (const own of Object.values(view.data.layers))
    if (own.table) own.old = own.old ? around(own.old, part) : part;
}

// ---- what is said of the photograph

function writeReadings() {
  const { readings, legend, remark } = figures();
  byId("readings").replaceChildren(
    ...Object.entries(readings).map(([name, value]) =>
      make("div", {}, make("dt", {}, name), make("dd", { id: `reading-${name.toLowerCase()}` }, value)),
    ),
  );
  const square = { width: 16, height: 16 };
  const filledSquare = fill => drawn("rect", { ...square, rx: 3, fill, stroke: UNCOUNTED });
  const swatch = fill => drawn("svg", { ...square, "aria-hidden": "true" }, filledSquare(fill));
  byId("legend").replaceChildren(
    ...legend.map(([fill, name, count]) =>
      make("li", {}, swatch(fill), `${name}: ${counted(count, "pixel")}`),
    ),
  );
  byId("remark").hidden = !remark;
  byId("remark").textContent = remark;
  const value = probabilityOf(view.level).toFixed(3);
  byId("threshold-value").textContent = value;
  byId("threshold").setAttribute("aria-valuetext", value);
  byId("reset").disabled = view.level === view.current.level;
}
