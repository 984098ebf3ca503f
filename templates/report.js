"use strict";
// The page but for the photographs: facts, headline, tables and curves. Names are only ever put in as text.

const at = id => document.getElementById(id);
const facts = JSON.parse(at("facts").textContent);
const NAMES = { dice: "Dice", iou: "IoU", mcc: "MCC", roc_auc: "ROC AUC", average_precision: "average precision", cldice: "clDice", ece: "calibration error" };
const SCORES = ["dice", "iou", "precision", "recall", "specificity", "accuracy", "mcc", "roc_auc", "average_precision", "cldice", "ece"];
const LESS_IS_BETTER = ["ece"];
const INK = "#1a1f26", BLUE = "#0072b2", ORANGE = "#d55e00", GREY = "#8a949e";

function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const label = column => NAMES[column] ?? String(column).replaceAll("_", " ");
const shown = (value, digits = 3) => value === null || value === undefined ? "–"
  : typeof value !== "number" ? String(value) : Number.isInteger(value) && Math.abs(value) > 1 ? value.toLocaleString("en") : value.toFixed(digits);

// ---- facts

function writeAbout() {
  const about = facts.about;
  document.title = at("title").textContent = about.title ?? "Test report";
  at("protocol").textContent = about.protocol ?? "";
  const warnings = [about.warnings ?? []].flat();
  at("warnings").hidden = warnings.length === 0;
  at("warnings").append(...warnings.map(warning => make("li", {}, warning)));
  for (const [name, value] of Object.entries(about)) {
    if (["title", "protocol", "warnings"].includes(name) || value === null || value === "") continue;
    const words = [value].flat().map(one => make("dd", {}, name === "command" ? make("code", {}, String(one)) : String(one)));
    at("about").append(make("div", {}, make("dt", {}, label(name)), ...words));
  }
}

// ---- the table

const columnAt = name => facts.table.columns.indexOf(name);
const summary = name => facts.table.summaries.find(row => String(row[0]) === name);
const human = () => facts.table.summaries.find(row => isHuman(row) && String(row[0]).includes("pooled")) ?? facts.table.summaries.find(isHuman);
const isHuman = row => String(row[0]).toLowerCase().startsWith("second observer");
const score = (row, column) => row && columnAt(column) >= 0 ? row[columnAt(column)] : null;

function writeHeadline() {
  const mean = score(summary("mean"), "dice"), spread = score(summary("standard deviation"), "dice");
  const tiles = [["Dice, all pixels pooled", score(summary("pooled"), "dice")],
    ["Dice, mean ± standard deviation of the photographs", mean === null ? null : shown(mean) + (spread === null ? "" : " ± " + shown(spread))],
    ["Dice of the second observer", score(human(), "dice")],
    ["ROC AUC, pooled", score(summary("pooled"), "roc_auc")],
    ["photographs", facts.table.photographs.length]];
  at("headline").append(...tiles.filter(([, value]) => value !== null)
    .map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, shown(value)))));
}

// Columns in which no row has anything are left out: here they would only take room.
function columnsOf(rows) {
  const words = index => rows.some(row => typeof row[index] === "string");
  return facts.table.columns.map((name, index) => ({ name, index, class: name === "note" ? "words note" : words(index) ? "words" : "number" })).filter(({ index }) => rows.some(row => row[index] !== null && row[index] !== ""));
}

function cell(row, column) {
  const value = row[column.index], reason = value === null && row[columnAt("note")];
  return make("td", { class: column.class, ...(reason ? { title: reason } : {}) }, value === null && column.name === "note" ? "" : shown(value));
}

function line(row, columns, first = String(row[0])) {
  return make("tr", isHuman(row) ? { class: "human" } : {}, make("th", { scope: "row" }, first), ...columns.slice(1).map(column => cell(row, column)));
}

function head(columns, inner = column => label(column.name)) {
  return make("thead", {}, make("tr", {}, ...columns.map(column => make("th", { scope: "col", class: column.class }, inner(column)))));
}

function writeSummaries() {
  const rows = facts.table.summaries, columns = columnsOf(rows);
  if (columns.length < 2) return at("summaries").append(make("tbody", {}, make("tr", {}, make("th", {}, "There are no references: nothing could be scored."))));
  columns[0].name = "over the photographs";
  at("summaries").append(head(columns), make("tbody", {}, ...rows.map(row => line(row, columns))));
}

// `open(name)` shows a photograph in the viewer; a click on a heading sorts by it.
function writeEach(open) {
  const rows = facts.table.photographs, columns = columnsOf(rows), body = make("tbody");
  let sorted = null, turn = 1;
  const fill = () => body.replaceChildren(...rows.map((row, place) => {
    const button = make("button", { type: "button" }, String(row[0]));
    button.addEventListener("click", () => open(place));
    return { row, line: line(row, columns, button) };
  }).sort((a, b) => sorted === null ? 0 : compare(a.row[sorted], b.row[sorted], turn)).map(entry => entry.line));
  const heading = column => {
    const button = make("button", { type: "button" }, label(column.name));
    button.addEventListener("click", () => {
      [sorted, turn] = [column.index, sorted === column.index ? -turn : 1];
      for (const other of at("each").querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      button.parentElement.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
      fill();
    });
    return button;
  };
  at("each").append(head(columns, heading), body);
  fill();
}

// Ascending for turn 1, descending for -1; what is not there comes last either way.
function compare(a, b, turn) {
  if (a === null || b === null) return (a === null) - (b === null);
  return turn * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
}

// ---- curves

const BOX = { left: 50, right: 338, top: 34, bottom: 262 };

// A frame with axes from `x` and `y` = [first, last]; returns the picture and the two scales.
function frame(heading, xName, yName, x = [0, 1], y = [0, 1]) {
  const toX = value => BOX.left + (value - x[0]) / (x[1] - x[0]) * (BOX.right - BOX.left);
  const toY = value => BOX.bottom - (value - y[0]) / (y[1] - y[0]) * (BOX.bottom - BOX.top);
  const picture = drawn("svg", { viewBox: "0 0 360 305", role: "img", "aria-label": heading });
  picture.append(drawn("text", { x: BOX.left, y: 18, class: "heading" }, heading));
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const [xValue, yValue] = [x[0] + part * (x[1] - x[0]), y[0] + part * (y[1] - y[0])];
    const digits = range => range[1] > 1.5 ? 0 : 2;
    picture.append(
      drawn("line", { x1: BOX.left, x2: BOX.right, y1: toY(yValue), y2: toY(yValue), stroke: part ? "#e4e8ec" : GREY }),
      drawn("text", { x: BOX.left - 6, y: toY(yValue) + 4, "text-anchor": "end" }, yValue.toFixed(digits(y))),
      drawn("text", { x: toX(xValue), y: BOX.bottom + 17, "text-anchor": "middle" }, xValue.toFixed(digits(x))));
  }
  picture.append(drawn("text", { x: (BOX.left + BOX.right) / 2, y: 298, "text-anchor": "middle" }, xName),
    drawn("text", { transform: `translate(12 ${(BOX.top + BOX.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, yName));
  return { picture, toX, toY };
}

function path({ toX, toY }, xs, ys, attributes) {
  const points = xs.map((x, i) => x === null || ys[i] === null ? "" : `${toX(x).toFixed(1)},${toY(ys[i]).toFixed(1)}`).filter(Boolean);
  return drawn("polyline", { points: points.join(" "), fill: "none", "stroke-width": 2, "stroke-linejoin": "round", ...attributes });
}

// The threshold as a filled circle, the second observer as an open diamond: told apart without colour.
function mark({ toX, toY }, x, y, person) {
  const [cx, cy] = [toX(x), toY(y)];
  return person ? drawn("path", { d: `M${cx} ${cy - 7}L${cx + 7} ${cy}L${cx} ${cy + 7}L${cx - 7} ${cy}Z`, fill: "#fff", stroke: ORANGE, "stroke-width": 2.5 })
    : drawn("circle", { cx, cy, r: 5, fill: BLUE, stroke: "#fff", "stroke-width": 1.5 });
}

function operating(axes, point) {
  const marks = [[summary("pooled"), false], [human(), true]].filter(([row]) => row && point(row).every(value => value !== null));
  axes.picture.append(...marks.map(([row, person]) => mark(axes, ...point(row), person)));
  return (marks.some(([, person]) => !person) ? "Circle: at the card's threshold. " : "") + (marks.some(([, person]) => person) ? "Diamond: the second observer." : "");
}

const figure = (axes, caption) => at("curves").append(make("figure", {}, axes.picture, make("figcaption", {}, caption)));

function writeCurves() {
  const { roc, pr, reliability } = facts.curves;
  if (roc) {
    const axes = frame("ROC", "false positive rate", "recall (true positive rate)");
    axes.picture.append(path(axes, [0, 1], [0, 1], { stroke: GREY, "stroke-dasharray": "4 4", "stroke-width": 1 }), path(axes, roc.x, roc.y, { stroke: BLUE }));
    const specificity = row => score(row, "specificity");
    figure(axes, operating(axes, row => [specificity(row) === null ? null : 1 - specificity(row), score(row, "recall")]) + " Dashes: chance.");
  }
  if (pr) {
    const axes = frame("Precision and recall", "recall", "precision");
    axes.picture.append(path(axes, pr.x, pr.y, { stroke: BLUE }));
    figure(axes, operating(axes, row => [score(row, "recall"), score(row, "precision")]));
  }
  if (reliability) writeReliability(reliability);
  writeHistogram(facts.table.photographs.map(row => score(row, "dice")).filter(value => value !== null));
}

function writeReliability({ probability, share, count }) {
  const axes = frame("Reliability", "predicted probability", "share that is vessel"), most = Math.log10(Math.max(...count) + 1) || 1;
  const width = (BOX.right - BOX.left) / probability.length * 0.7;
  probability.forEach((x, i) => {
    const height = 50 * Math.log10(count[i] + 1) / most;
    if (x !== null) axes.picture.append(drawn("rect", { x: axes.toX(x) - width / 2, y: BOX.bottom - height, width, height, fill: "#dfe5ea" }));
  });
  axes.picture.append(path(axes, [0, 1], [0, 1], { stroke: GREY, "stroke-dasharray": "4 4", "stroke-width": 1 }), path(axes, probability, share, { stroke: BLUE }));
  probability.forEach((x, i) => {
    if (x !== null && share[i] !== null) axes.picture.append(drawn("circle", { cx: axes.toX(x), cy: axes.toY(share[i]), r: 3.5, fill: BLUE }, drawn("title", {}, `${shown(x)} predicted, ${shown(share[i])} found, ${shown(count[i])} pixels`)));
  });
  figure(axes, "Dashes: a probability that means what it says. Bars: pixels, on a logarithmic scale.");
}

function writeHistogram(dice) {
  if (dice.length === 0) return;
  const line = score(human(), "dice"), mean = score(summary("mean"), "dice"), all = [...dice, line, mean].filter(value => value !== null);
  const step = Math.max(...all) - Math.min(...all) > 0.25 ? 0.05 : 0.01, first = Math.floor(Math.min(...all) / step - 1e-9);
  const last = first + 4 * Math.ceil((Math.floor(Math.max(...all) / step + 1e-9) + 1 - first) / 4);  // so that every tick is an edge
  const bins = new Array(last - first).fill(0);
  for (const value of dice) bins[Math.min(Math.floor(value / step + 1e-9) - first, bins.length - 1)] += 1;
  const axes = frame("Dice of the photographs", "Dice", "photographs", [first * step, last * step], [0, Math.ceil(Math.max(...bins) / 4) * 4]);
  bins.forEach((height, i) => {
    const [left, right] = [axes.toX((first + i) * step) + 1, axes.toX((first + i + 1) * step) - 1];
    if (height) axes.picture.append(drawn("rect", { x: left, y: axes.toY(height), width: Math.max(right - left, 1), height: BOX.bottom - axes.toY(height), fill: "#7fb2d5" }, drawn("title", {}, String(height))));
  });
  const upright = (value, attributes) => drawn("line", { x1: axes.toX(value), x2: axes.toX(value), y1: BOX.top, y2: BOX.bottom, "stroke-width": 2, ...attributes });
  if (mean !== null) axes.picture.append(upright(mean, { stroke: INK }));
  if (line !== null) axes.picture.append(upright(line, { stroke: ORANGE, "stroke-dasharray": "6 4" }));
  figure(axes, (mean === null ? "" : "Line: mean. ") + (line === null ? "" : "Dashes: the second observer."));
}

writeAbout();
writeHeadline();
writeSummaries();
writeCurves();
