// The viewer: two layers of one photograph, wiped or blended, zoomed and moved together.

const DRAWINGS = KINDS.slice(2);
const [STAGE, INK] = [colour("stage"), colour("ink")];
const canvas = byId("canvas");
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

const dense = () => canvas.width / canvas.clientWidth;
const scale = () =>
  view.zoom * Math.min(canvas.width / view.current.width, canvas.height / view.current.height);
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
    brush.imageSmoothingEnabled = size < 3; // magnified more, its pixels are to be seen
    brush.imageSmoothingQuality = "high";
    brush.drawImage(
      layer(kind, bare),
      canvas.width / 2 - view.x * size,
      canvas.height / 2 - view.y * size,
      width * size,
      height * size,
    );
  };
  brush.fillStyle = STAGE;
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
