// The viewer: two layers of one photograph, wiped or blended, zoomed and moved together.

const [STAGE, INK] = [colour("stage"), colour("ink")];
const canvas = byId("canvas");
const brush = canvas.getContext("2d", { alpha: false });
const view = {
  photographs: [],
  list: [],
  current: null,
  data: null,
  ...FIRST_LOOK,
  level: null,
  zoom: 1,
  x: 0,
  y: 0,
  tool: null, // of what hands hold over the canvas; without one they move the photograph
  leave: null, // called before another photograph is opened
  shown: null, // called after that
};

const dense = () => canvas.width / canvas.clientWidth;
const scale = () =>
  view.zoom * Math.min(canvas.width / view.current.width, canvas.height / view.current.height);

let waiting; // what is to be painted before the next frame: that part, null for all, undefined for nothing

// Paints before the next frame, all or that part of the photograph, {x, y, width, height}, which has changed.
function repaint(part = null) {
  if (waiting === undefined)
    requestAnimationFrame(() => {
      const now = waiting;
      waiting = undefined;
      paint(now);
    });
  waiting = waiting === undefined ? part : waiting && part && around(waiting, part);
}

function around(a, b) {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  const width = Math.max(a.x + a.width, b.x + b.width) - x;
  return { x, y, width, height: Math.max(a.y + a.height, b.y + b.height) - y };
}

function held(centre, side, seen) {
  return seen >= side ? side / 2 : Math.min(Math.max(centre, seen / 2), side - seen / 2);
}

function paint(part = null) {
  if (!view.data) return;
  const { width, height } = view.current;
  const size = scale();
  const share = view.mix / 100;
  const edge = share * canvas.width;
  view.x = held(view.x, width, canvas.width / size);
  view.y = held(view.y, height, canvas.height / size);
  brush.save();
  if (part) clipTo(part);
  brush.fillStyle = STAGE;
  brush.fillRect(0, 0, canvas.width, canvas.height);
  const place = (kind, bare, opacity = 1) => {
    for (const [single, alone, share] of STACKS[kind] ?? [[kind, bare, 1]])
      draw(single, alone, opacity * share, part);
  };
  if (view.wipe) wipe(place, edge);
  else blend(place, share);
  brush.globalAlpha = 1;
  if (view.wipe) paintDivider(edge, dense());
  brush.restore();
  if (part) return;
  writeStage(share);
  view.tool?.painted();
}

// Where a place in the photograph lies on the canvas.
const onCanvas = (x, y) => [
  canvas.width / 2 + (x - view.x) * scale(),
  canvas.height / 2 + (y - view.y) * scale(),
];

function clipTo({ x, y, width, height }) {
  const [left, top] = onCanvas(x - 1, y - 1).map(Math.floor);
  const [right, bottom] = onCanvas(x + width + 1, y + height + 1).map(Math.ceil);
  brush.beginPath();
  brush.rect(left, top, right - left, bottom - top);
  brush.clip();
}

// The part and what lies up to `by` pixels around it: smoothing mixes neighbours, and must find them.
function widened(part, by) {
  const { width, height } = view.current;
  if (by === Infinity) return { x: 0, y: 0, width, height };
  const [x, y] = [part.x, part.y].map(low => Math.max(Math.floor(low - by), 0));
  const right = Math.min(Math.ceil(part.x + part.width + by), width);
  const bottom = Math.min(Math.ceil(part.y + part.height + by), height);
  return { x, y, width: Math.max(right - x, 0), height: Math.max(bottom - y, 0) };
}

function draw(kind, bare, opacity, part) {
  const size = scale();
  const single = part && kind !== "photograph";
  const { x, y, width, height } = widened(part, single ? 2 + 2 / size : Infinity);
  brush.globalAlpha = opacity;
  brush.imageSmoothingEnabled = size < 3; // magnified more, its pixels are to be seen
  brush.imageSmoothingQuality = "high";
  const picture = single ? partOf(kind, bare, { x, y, width, height }) : layer(kind, bare);
  brush.drawImage(picture, ...onCanvas(x, y), width * size, height * size);
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

// Drawings come in two steps: up to the middle their vessels, which have their full colours there, then their
// black. Plainly mixed, sky blue on an orange retina would be grey, and agreement could not be read.
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
  brush.fillStyle = WHITE;
  brush.fillRect(edge - unit, 0, 2 * unit, canvas.height);
  brush.beginPath();
  brush.arc(edge, middle, 13 * unit, 0, 7);
  brush.fill();
  brush.fillStyle = INK;
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
  byId("left-tag").textContent = view.left + percent(1 - share);
  byId("right-tag").textContent = view.right + percent(share);
  byId("mix-label").textContent = view.wipe ? "Divider" : "Blend";
  byId("mix-value").textContent = `${Math.round(view.mix)} %`;
  byId("zoom").textContent = `${view.zoom.toFixed(1)}×`;
  canvas.classList.toggle("zoomed", view.zoom > 1);
  canvas.setAttribute(
    "aria-label",
    `${view.current.name}: ${view.left} and ${view.right}, ${view.wipe ? "wiped" : "blended"}`,
  );
}
