// Strokes: which pixels are added or erased, undo and redo. A step is {to, at, from}: it gave the pixels `at`
// the mark `to`, and they had the marks `from` before. The first `done` steps of a photograph hold.

let stroke = null; // the one under the pen

function put(data, at, flags) {
  const code = data.codes[at];
  data.counts[code]--;
  data.counts[(data.codes[at] = (code & ~(MARKS << 8)) | (flags << 8))]++;
}

const marksAt = (data, at) => (data.codes[at] >> 8) & MARKS;

function take(data, step) {
  step.at.forEach((at, k) => {
    step.from[k] = marksAt(data, at);
    put(data, at, step.to);
  });
}

const takeBack = (data, { at, from }) => at.forEach((place, k) => put(data, place, from[k]));

const inOrder = at => Uint32Array.from(at).sort();

// The smallest part of the photograph with all of these pixels; `at` is sorted.
function partWith(at, across) {
  let [left, right] = [across, 0];
  for (const place of at) {
    left = Math.min(left, place % across);
    right = Math.max(right, place % across);
  }
  const [top, bottom] = [Math.floor(at[0] / across), Math.floor(at.at(-1) / across)];
  return { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

// ---- one stroke

function beginStroke(to) {
  endStroke(); // of which nobody has said that the pen went up
  stroke = { to, at: [], from: [] };
}

function mark(at) {
  const { codes } = view.data;
  const before = marksAt(view.data, at);
  if (!((codes[at] >> 8) & FOV) || before === stroke.to) return;
  stroke.at.push(at);
  stroke.from.push(before);
  put(view.data, at, stroke.to);
}

const point = ([x, y]) => ({ x, y, width: 0, height: 0 });

// Marks what lies within `radius` of the line from a to b, each [x, y] in pixels of the photograph, where the
// probability is at least that of level `floor`. Returns the part that may have changed.
function sweep(a, b, radius, floor) {
  const { width: across, codes } = view.data;
  const part = widened(around(point(a), point(b)), radius);
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const length = dx * dx + dy * dy || 1;
  for (let y = part.y; y < part.y + part.height; y++)
    for (let x = part.x; x < part.x + part.width; x++) {
      const at = y * across + x;
      if ((codes[at] & 255) < floor) continue;
      const [px, py] = [x + 0.5 - a[0], y + 0.5 - a[1]];
      const along = Math.min(Math.max((px * dx + py * dy) / length, 0), 1);
      const [ox, oy] = [px - along * dx, py - along * dy];
      if (ox * ox + oy * oy <= radius * radius) mark(at);
    }
  return part;
}

// Returns the part that has changed, which a brush has painted already as it went; null if nothing has.
function endStroke() {
  if (!stroke) return null;
  const { data } = view;
  const { to, at, from } = stroke;
  stroke = null;
  if (!at.length) return null;
  takeBack(data, { at, from }); // and is taken again in the order of the pixels, in which steps are kept
  return addStep({ to, at: inOrder(at), from: new Uint8Array(at.length) });
}

function cancelStroke() {
  if (!stroke) return;
  takeBack(view.data, stroke);
  if (stroke.at.length) outdate(partWith(inOrder(stroke.at), view.data.width));
  stroke = null;
  repaint();
}

// ---- steps

function addStep(step) {
  const { data } = view;
  data.steps.length = data.work.done;
  view.current.stored = Math.min(view.current.stored, data.work.done);
  data.steps.push(step);
  take(data, step);
  data.work.done++;
  data.work.fingerprint = view.current.fingerprint;
  keep(view.current);
  return changed(step);
}

function undo() {
  const { data } = view;
  if (!data?.work.done || stroke) return;
  const step = data.steps[--data.work.done];
  takeBack(data, step);
  keep(view.current);
  repaint(changed(step));
}

function redo() {
  const { data } = view;
  const step = data?.steps[data.work.done];
  if (!step || stroke) return;
  take(data, step);
  data.work.done++;
  keep(view.current);
  repaint(changed(step));
}

// Takes all marks away, as a step that can be undone.
function startOver() {
  if (!view.data) return;
  const at = [];
  view.data.codes.forEach((code, place) => (code >> 8) & MARKS && at.push(place));
  if (at.length) repaint(addStep({ to: 0, at: Uint32Array.from(at), from: new Uint8Array(at.length) }));
}

// Says what a step has changed and returns that part, which is still to be painted.
function changed(step) {
  const part = partWith(step.at, view.data.width);
  outdate(part);
  writeReadings();
  writeState();
  return part;
}

// The vessel pixel, [x, y], that is nearest to a place, at most `reach` pixels away.
function nearestVessel(x, y, reach) {
  const { width, codes } = view.data;
  const part = widened(point([x, y]), reach);
  let [nearest, least] = [null, reach * reach];
  for (let row = part.y; row < part.y + part.height; row++)
    for (let column = part.x; column < part.x + part.width; column++) {
      const code = codes[row * width + column];
      const away = (column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2;
      if (away > least || !isVessel(code & 255, code >> 8, view.level)) continue;
      [nearest, least] = [[column, row], away];
    }
  return nearest;
}

// Erases the vessel at a pixel with all that hangs together with it, and returns how many pixels that is. As
// every stroke it is still to be ended: a second finger may come, which zooms.
function erasePiece(x, y) {
  const { width, height, codes } = view.data;
  const vessel = at => isVessel(codes[at] & 255, codes[at] >> 8, view.level);
  const open = [];
  beginStroke(ERASED);
  const visit = (x, y) => {
    const at = y * width + x;
    if (x < 0 || y < 0 || x >= width || y >= height || !vessel(at)) return;
    mark(at);
    open.push(at);
  };
  visit(x, y);
  while (open.length) {
    const at = open.pop();
    const [x, y] = [at % width, Math.floor(at / width)];
    for (const down of [-1, 0, 1]) for (const right of [-1, 0, 1]) visit(x + right, y + down);
  }
  const part = partWith(inOrder(stroke.at), width);
  outdate(part);
  repaint(part);
  return stroke.at.length;
}

// ---- the mask

// 0 and 255 for each pixel of a photograph that has been opened.
function maskOf({ codes }, threshold) {
  const mask = new Uint8Array(codes.length);
  for (let i = 0; i < codes.length; i++)
    if (isVessel(codes[i] & 255, codes[i] >> 8, threshold)) mask[i] = 255;
  return mask;
}
