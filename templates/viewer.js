// The viewer: two layers of one photograph, wiped or blended, zoomed and moved together. Only the photograph that is
// looked at is unpacked. A pixel's code is 256 x (inside the FOV + 2 x reference) + level of its probability, so that
// a layer is a table of 1024 colours and every score a sum over 1024 counts. What hands do is in controls.js.

const FOV = 1;
const REFERENCE = 2;
const KINDS = ["photograph", "probability", "prediction", "reference", "agreement"];
const DRAWINGS = KINDS.slice(2);
const BOTH = "#f2f2f2";
const ONLY_PREDICTED = "#e69f00"; // this orange and this blue: Okabe and Ito
const ONLY_REFERENCE = "#56b4e9";
const OUTSIDE = "#2b3138";
const UNCOUNTED = "#6b747e";
const canvas = at("canvas");
const brush = canvas.getContext("2d", { alpha: false });
const view = {
  photographs: [],
  list: [],
  current: null,
  data: null,
  left: "photograph",
  right: "agreement",
  mix: 50,
  wipe: true,
  level: null,
  zoom: 1,
  x: 0,
  y: 0,
};

// ---- unpacking

function bytes(id) {
  const binary = atob(at(id).textContent);
  const array = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) array[i] = binary.charCodeAt(i);
  return array;
}

async function unpacked({ number, width, height }) {
  const stream = new Blob([bytes(`numbers-${number}`)]).stream().pipeThrough(new DecompressionStream("deflate"));
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

// The probability from which on a pixel has this level; as edges() in report.py.
function probabilityOf(level, { threshold, level: own } = view.current) {
  return level <= own ? (threshold * level) / own : threshold + ((1 - threshold) * (level - own)) / (256 - own);
}

// ---- layers and scores

const COLOURS = {
  probability: (level, flags) => (flags & FOV ? grey(probabilityOf(level + (level > 0) * 0.5)) : OUTSIDE),
  prediction: (level, flags) => (!(flags & FOV) ? OUTSIDE : level >= view.level ? "#ffffff" : "#000000"),
  reference: (level, flags) =>
    flags & FOV ? (flags & REFERENCE ? "#ffffff" : "#000000") : flags & REFERENCE ? UNCOUNTED : OUTSIDE,
  agreement: (level, flags) => {
    if (!(flags & FOV)) return OUTSIDE;
    if (flags & REFERENCE) return level >= view.level ? BOTH : ONLY_REFERENCE;
    return level >= view.level ? ONLY_PREDICTED : "#000000";
  },
};

function grey(share) {
  const byte = Math.round(255 * Math.min(share, 1));
  return "#" + byte.toString(16).padStart(2, "0").repeat(3);
}

const cut = kind => (kind === "prediction" || kind === "agreement" ? view.level : 0);

// The layer as something to draw; made when first asked for, and again when the threshold has moved. Of `bare` layers
// only the vessels are there, so that they can lie on a photograph without making it dark.
function layer(kind, bare = false) {
  const { codes, layers } = view.data;
  const { width, height } = view.current;
  const key = bare ? `bare ${kind}` : kind;
  const known = layers[key];
  if (kind === "photograph" || known?.cut === cut(kind)) return known.picture;
  const table = new Uint32Array(1024).map((_, code) => {
    const name = COLOURS[kind](code & 255, code >> 8);
    const colour = parseInt(name.slice(1), 16);
    if (bare && [OUTSIDE, "#000000"].includes(name)) return 0;
    return 0xff000000 | ((colour & 255) << 16) | (colour & 0xff00) | (colour >> 16); // red is the first byte in memory
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
    const [vessel, other] = [view.data.counts[((FOV | REFERENCE) << 8) | level], view.data.counts[(FOV << 8) | level]];
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
  at("readings").replaceChildren(
    ...Object.entries(readings).map(([name, value]) =>
      make("div", {}, make("dt", {}, name), make("dd", { id: `reading-${name.toLowerCase()}` }, value)),
    ),
  );
  const swatch = colour =>
    drawn(
      "svg",
      { width: 16, height: 16, "aria-hidden": "true" },
      drawn("rect", { width: 16, height: 16, rx: 3, fill: colour, stroke: "#6b747e" }),
    );
  const entries = [
    [BOTH, "both", both],
    [ONLY_PREDICTED, "only predicted", predicted],
    [ONLY_REFERENCE, "only reference", reference],
  ];
  at("legend").replaceChildren(
    ...(labelled ? entries : []).map(([colour, name, count]) =>
      make("li", {}, swatch(colour), `${name}: ${count.toLocaleString("en")} pixels`),
    ),
  );
  at("unlabelled").hidden = labelled;
  const value = probabilityOf(view.level).toFixed(3);
  at("threshold-value").textContent = value;
  at("threshold").setAttribute("aria-valuetext", value);
  at("reset").disabled = view.level === view.current.level;
}

// ---- drawing

const dense = () => canvas.width / canvas.clientWidth;
const scale = () => view.zoom * Math.min(canvas.width / view.current.width, canvas.height / view.current.height);
let asked = false;

function repaint() {
  if (!asked)
    requestAnimationFrame(() => {
      asked = false;
      paint();
    });
  asked = true;
}

function held(centre, side, seen) {
  return seen >= side ? side / 2 : Math.min(Math.max(centre, seen / 2), side - seen / 2);
}

function paint() {
  if (!view.data) return;
  const { width, height } = view.current;
  const size = scale();
  const share = view.mix / 100;
  const edge = share * canvas.width;
  view.x = held(view.x, width, canvas.width / size);
  view.y = held(view.y, height, canvas.height / size);
  const place = (kind, bare, opacity = 1) => {
    brush.globalAlpha = opacity;
    brush.imageSmoothingEnabled = size < 3; // above, one wants to see the pixels
    brush.imageSmoothingQuality = "high";
    brush.drawImage(
      layer(kind, bare),
      canvas.width / 2 - view.x * size,
      canvas.height / 2 - view.y * size,
      width * size,
      height * size,
    );
  };
  brush.fillStyle = "#1c2127";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  if (view.wipe) wipe(place, edge);
  else blend(place, share);
  brush.globalAlpha = 1;
  if (view.wipe) paintDivider(edge, dense());
  writeStage(share);
}

function wipe(place, edge) {
  place(view.left);
  brush.save();
  brush.beginPath();
  brush.rect(edge, 0, canvas.width, canvas.height);
  brush.clip();
  brush.fillRect(edge, 0, canvas.width, canvas.height);
  place(view.right);
  brush.restore();
}

// Drawings come in two steps: up to the middle their vessels, which have their full colours there, then their black.
// Plainly mixed, sky blue on an orange retina would be grey, and agreement could not be read.
function blend(place, share) {
  const above = DRAWINGS.includes(view.right) || !DRAWINGS.includes(view.left);
  const [under, over, part] = above ? [view.left, view.right, share] : [view.right, view.left, 1 - share];
  place(under);
  if (!DRAWINGS.includes(over)) return place(over, false, part);
  place(over, true, Math.min(2 * part, 1));
  place(over, false, Math.max(2 * part - 1, 0));
}

function paintDivider(edge, unit) {
  const middle = canvas.height / 2;
  brush.fillStyle = "#fff";
  brush.fillRect(edge - unit, 0, 2 * unit, canvas.height);
  brush.beginPath();
  brush.arc(edge, middle, 13 * unit, 0, 7);
  brush.fill();
  brush.fillStyle = "#1a1f26";
  for (const side of [-1, 1]) {
    brush.beginPath();
    brush.moveTo(edge + side * 9 * unit, middle);
    brush.lineTo(edge + side * 3 * unit, middle - 5 * unit);
    brush.lineTo(edge + side * 3 * unit, middle + 5 * unit);
    brush.fill();
  }
}

function writeStage(share) {
  const percent = part => (view.wipe ? "" : ` ${Math.round(100 * part)} %`);
  at("left-tag").textContent = view.left + percent(1 - share);
  at("right-tag").textContent = view.right + percent(share);
  at("mix-label").textContent = view.wipe ? "Divider" : "Blend";
  at("mix-value").textContent = `${Math.round(view.mix)} %`;
  at("zoom").textContent = `${view.zoom.toFixed(1)}×`;
  canvas.classList.toggle("zoomed", view.zoom > 1);
  canvas.setAttribute(
    "aria-label",
    `${view.current.name}: ${view.left} and ${view.right}, ${view.wipe ? "wiped" : "blended"}`,
  );
}
