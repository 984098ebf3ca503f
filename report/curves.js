// The curves and the histogram, as SVG.

const BOX = { left: 50, right: 338, top: 34, bottom: 262 };

// A frame with axes from `x` and `y` = [first, last]; `put` draws an element in it, by the two scales.
function frame(heading, xName, yName, x = [0, 1], y = [0, 1]) {
  const toX = value => BOX.left + ((value - x[0]) / (x[1] - x[0])) * (BOX.right - BOX.left);
  const toY = value => BOX.bottom - ((value - y[0]) / (y[1] - y[0])) * (BOX.bottom - BOX.top);
  const picture = drawn("svg", { viewBox: "0 0 360 305", role: "img", "aria-label": heading });
  const put = (...element) => picture.append(drawn(...element));
  const write = (attributes, text) => put("text", { "text-anchor": "middle", ...attributes }, text);
  put("text", { x: BOX.left, y: 18, class: "heading" }, heading);
  const digits = range => (range[1] > 1.5 ? 0 : 2);
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const [xValue, yValue] = [x, y].map(range => range[0] + part * (range[1] - range[0]));
    const [y1, y2] = [toY(yValue), toY(yValue)];
    put("line", { x1: BOX.left, x2: BOX.right, y1, y2, stroke: colour(part ? "grid" : "axis") });
    write({ x: BOX.left - 6, y: y1 + 4, "text-anchor": "end" }, yValue.toFixed(digits(y)));
    write({ x: toX(xValue), y: BOX.bottom + 17 }, xValue.toFixed(digits(x)));
  }
  write({ x: (BOX.left + BOX.right) / 2, y: 298 }, xName);
  write({ transform: `translate(12 ${(BOX.top + BOX.bottom) / 2}) rotate(-90)` }, yName);
  return { picture, put, toX, toY };
}

function path({ put, toX, toY }, xs, ys, attributes = { stroke: colour("blue") }) {
  const points = xs
    .map((x, i) => (x === null || ys[i] === null ? "" : `${toX(x).toFixed(1)},${toY(ys[i]).toFixed(1)}`))
    .filter(Boolean)
    .join(" ");
  put("polyline", { points, fill: "none", "stroke-width": 2, "stroke-linejoin": "round", ...attributes });
}

const diagonal = axes =>
  path(axes, [0, 1], [0, 1], { stroke: colour("axis"), "stroke-dasharray": "4 4", "stroke-width": 1 });

const dot = ({ put }, cx, cy) =>
  put("circle", { cx, cy, r: 5, fill: colour("blue"), stroke: "#ffffff", "stroke-width": 1.5 });

const diamond = ({ put }, x, y) =>
  put("path", {
    d: `M${x} ${y - 7}L${x + 7} ${y}L${x} ${y + 7}L${x - 7} ${y}Z`,
    fill: "#ffffff",
    stroke: colour("vermilion"),
    "stroke-width": 2.5,
  });

// Marks where the threshold and the second observer are, at point(row): as a filled circle and as an open
// diamond, which differ without colour. Returns what the marks mean.
function operating(axes, point) {
  const marks = [
    [summary("pooled"), dot, "Circle: at the threshold. "],
    [human("pooled"), diamond, "Diamond: the second observer."],
  ].filter(([row]) => row && !point(row).includes(null));
  for (const [row, drawMark] of marks) {
    const [x, y] = point(row);
    drawMark(axes, axes.toX(x), axes.toY(y));
  }
  return marks.map(([, , meaning]) => meaning).join("");
}

const figure = ({ picture }, caption) =>
  byId("curves").append(make("figure", {}, picture, make("figcaption", {}, caption)));

function writeRoc({ x, y }) {
  const axes = frame("ROC", "false positive rate", "recall (true positive rate)");
  diagonal(axes);
  path(axes, x, y);
  const falsePositives = specificity => (specificity === null ? null : 1 - specificity);
  const point = row => [falsePositives(score(row, "specificity")), score(row, "recall")];
  figure(axes, operating(axes, point) + " Dashes: chance.");
}

function writePrecision({ x, y }) {
  const axes = frame("Precision and recall", "recall", "precision");
  path(axes, x, y);
  figure(axes, operating(axes, row => [score(row, "recall"), score(row, "precision")]));
}

function writeReliability({ probability, share, count }) {
  const axes = frame("Reliability", "predicted probability", "share that is vessel");
  const { put, toX, toY } = axes;
  const most = Math.log10(Math.max(...count) + 1) || 1;
  const width = ((BOX.right - BOX.left) / probability.length) * 0.7;
  const bins = probability.map((x, i) => ({ x, y: share[i], count: count[i] })).filter(({ x }) => x !== null);
  for (const { x, count } of bins) {
    const height = (50 * Math.log10(count + 1)) / most;
    put("rect", { x: toX(x) - width / 2, y: BOX.bottom - height, width, height, fill: colour("bars") });
  }
  diagonal(axes);
  path(axes, probability, share);
  for (const { x, y, count } of bins.filter(({ y }) => y !== null)) {
    const words = `${formatted(x)} predicted, ${formatted(y)} found, ${formatted(count)} pixels`;
    put("circle", { cx: toX(x), cy: toY(y), r: 3.5, fill: colour("blue") }, drawn("title", {}, words));
  }
  figure(axes, "Dashes: a probability that means what it says. Bars: pixels, on a logarithmic scale.");
}

function writeHistogram(dice) {
  if (dice.length === 0) return;
  const line = score(human("mean"), "dice");
  const mean = score(summary("mean"), "dice");
  const all = [...dice, line, mean].filter(value => value !== null);
  const step = Math.max(...all) - Math.min(...all) > 0.25 ? 0.05 : 0.01;
  const lowest = Math.floor(Math.min(...all) / step - 1e-9);
  // A multiple of four, so that every tick is the edge of a bar.
  const wide = 4 * Math.ceil((Math.floor(Math.max(...all) / step + 1e-9) + 1 - lowest) / 4);
  const first = Math.max(0, Math.min(lowest, Math.round(1 / step) - wide));
  const last = first + wide;
  const bins = new Array(last - first).fill(0);
  for (const value of dice) bins[Math.min(Math.floor(value / step + 1e-9) - first, bins.length - 1)] += 1;
  const highest = Math.ceil(Math.max(...bins) / 4) * 4;
  const range = [first * step, last * step];
  const axes = frame("Dice of the photographs", "Dice", "photographs", range, [0, highest]);
  const { put, toX, toY } = axes;
  bins.forEach((count, i) => {
    const [x, right] = [toX((first + i) * step) + 1, toX((first + i + 1) * step) - 1];
    const bar = { x, y: toY(count), width: Math.max(right - x, 1), height: BOX.bottom - toY(count) };
    if (count) put("rect", { ...bar, fill: colour("pale-blue") }, drawn("title", {}, String(count)));
  });
  const upright = (value, attributes) => {
    const [x1, x2, y1, y2] = [toX(value), toX(value), BOX.top, BOX.bottom];
    if (value !== null) put("line", { x1, x2, y1, y2, "stroke-width": 2, ...attributes });
  };
  upright(mean, { stroke: colour("ink") });
  upright(line, { stroke: colour("vermilion"), "stroke-dasharray": "6 4" });
  const dashes = line === null ? "" : "Dashes: the second observer's mean.";
  figure(axes, (mean === null ? "" : "Line: mean. ") + dashes);
}

function writeCurves() {
  const { roc, pr, reliability } = facts.curves;
  if (roc) writeRoc(roc);
  if (pr) writePrecision(pr);
  if (reliability) writeReliability(reliability);
  writeHistogram(facts.table.photographs.map(row => score(row, "dice")).filter(value => value !== null));
}

writeCurves();
