// The curves and the histogram, as SVG.

const BOX = { left: 50, right: 338, top: 34, bottom: 262 };

const horizontal = (y, stroke) => drawn("line", { x1: BOX.left, x2: BOX.right, y1: y, y2: y, stroke });

// A frame with axes from `x` and `y` = [first, last]; returns the picture and the two scales.
function frame(heading, xName, yName, x = [0, 1], y = [0, 1]) {
  const toX = value => BOX.left + ((value - x[0]) / (x[1] - x[0])) * (BOX.right - BOX.left);
  const toY = value => BOX.bottom - ((value - y[0]) / (y[1] - y[0])) * (BOX.bottom - BOX.top);
  const picture = drawn("svg", { viewBox: "0 0 360 305", role: "img", "aria-label": heading });
  picture.append(drawn("text", { x: BOX.left, y: 18, class: "heading" }, heading));
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const [xValue, yValue] = [x[0] + part * (x[1] - x[0]), y[0] + part * (y[1] - y[0])];
    const digits = range => (range[1] > 1.5 ? 0 : 2);
    picture.append(
      horizontal(toY(yValue), colour(part ? "grid" : "axis")),
      drawn("text", { x: BOX.left - 6, y: toY(yValue) + 4, "text-anchor": "end" }, yValue.toFixed(digits(y))),
      drawn(
        "text",
        { x: toX(xValue), y: BOX.bottom + 17, "text-anchor": "middle" },
        xValue.toFixed(digits(x)),
      ),
    );
  }
  picture.append(
    drawn("text", { x: (BOX.left + BOX.right) / 2, y: 298, "text-anchor": "middle" }, xName),
    drawn(
      "text",
      { transform: `translate(12 ${(BOX.top + BOX.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" },
      yName,
    ),
  );
  return { picture, toX, toY };
}

function path({ toX, toY }, xs, ys, attributes) {
  const points = xs
    .map((x, i) => (x === null || ys[i] === null ? "" : `${toX(x).toFixed(1)},${toY(ys[i]).toFixed(1)}`))
    .filter(Boolean);
  return drawn("polyline", {
    points: points.join(" "),
    fill: "none",
    "stroke-width": 2,
    "stroke-linejoin": "round",
    ...attributes,
  });
}

// The threshold as a filled circle, the second observer as an open diamond: which differ without colour.
function mark({ toX, toY }, x, y, person) {
  const [cx, cy] = [toX(x), toY(y)];
  return person
    ? drawn("path", {
        d: `M${cx} ${cy - 7}L${cx + 7} ${cy}L${cx} ${cy + 7}L${cx - 7} ${cy}Z`,
        fill: "#ffffff",
        stroke: colour("vermilion"),
        "stroke-width": 2.5,
      })
    : drawn("circle", { cx, cy, r: 5, fill: colour("blue"), stroke: "#ffffff", "stroke-width": 1.5 });
}

function operating(axes, point) {
  const marks = [
    [summary("pooled"), false],
    [human("pooled"), true],
  ].filter(([row]) => row && point(row).every(value => value !== null));
  axes.picture.append(...marks.map(([row, person]) => mark(axes, ...point(row), person)));
  return (
    (marks.some(([, person]) => !person) ? "Circle: at the threshold. " : "") +
    (marks.some(([, person]) => person) ? "Diamond: the second observer." : "")
  );
}

const figure = (axes, caption) =>
  byId("curves").append(make("figure", {}, axes.picture, make("figcaption", {}, caption)));

function writeCurves() {
  const { roc, pr, reliability } = facts.curves;
  if (roc) {
    const axes = frame("ROC", "false positive rate", "recall (true positive rate)");
    axes.picture.append(
      path(axes, [0, 1], [0, 1], { stroke: colour("axis"), "stroke-dasharray": "4 4", "stroke-width": 1 }),
      path(axes, roc.x, roc.y, { stroke: colour("blue") }),
    );
    const specificity = row => score(row, "specificity");
    figure(
      axes,
      operating(axes, row => [
        specificity(row) === null ? null : 1 - specificity(row),
        score(row, "recall"),
      ]) + " Dashes: chance.",
    );
  }
  if (pr) {
    const axes = frame("Precision and recall", "recall", "precision");
    axes.picture.append(path(axes, pr.x, pr.y, { stroke: colour("blue") }));
    figure(
      axes,
      operating(axes, row => [score(row, "recall"), score(row, "precision")]),
    );
  }
  if (reliability) writeReliability(reliability);
  writeHistogram(facts.table.photographs.map(row => score(row, "dice")).filter(value => value !== null));
}

function writeReliability({ probability, share, count }) {
  const axes = frame("Reliability", "predicted probability", "share that is vessel");
  const most = Math.log10(Math.max(...count) + 1) || 1;
  const width = ((BOX.right - BOX.left) / probability.length) * 0.7;
  probability.forEach((x, i) => {
    const height = (50 * Math.log10(count[i] + 1)) / most;
    if (x !== null)
      axes.picture.append(
        drawn("rect", {
          x: axes.toX(x) - width / 2,
          y: BOX.bottom - height,
          width,
          height,
          fill: colour("bars"),
        }),
      );
  });
  axes.picture.append(
    path(axes, [0, 1], [0, 1], { stroke: colour("axis"), "stroke-dasharray": "4 4", "stroke-width": 1 }),
    path(axes, probability, share, { stroke: colour("blue") }),
  );
  probability.forEach((x, i) => {
    if (x !== null && share[i] !== null)
      axes.picture.append(
        drawn(
          "circle",
          { cx: axes.toX(x), cy: axes.toY(share[i]), r: 3.5, fill: colour("blue") },
          drawn(
            "title",
            {},
            `${formatted(x)} predicted, ${formatted(share[i])} found, ${formatted(count[i])} pixels`,
          ),
        ),
      );
  });
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
  const axes = frame(
    "Dice of the photographs",
    "Dice",
    "photographs",
    [first * step, last * step],
    [0, Math.ceil(Math.max(...bins) / 4) * 4],
  );
  bins.forEach((height, i) => {
    const [left, right] = [axes.toX((first + i) * step) + 1, axes.toX((first + i + 1) * step) - 1];
    if (height)
      axes.picture.append(
        drawn(
          "rect",
          {
            x: left,
            y: axes.toY(height),
            width: Math.max(right - left, 1),
            height: BOX.bottom - axes.toY(height),
            fill: colour("pale-blue"),
          },
          drawn("title", {}, String(height)),
        ),
      );
  });
  const upright = (value, attributes) =>
    drawn("line", {
      x1: axes.toX(value),
      x2: axes.toX(value),
      y1: BOX.top,
      y2: BOX.bottom,
      "stroke-width": 2,
      ...attributes,
    });
  if (mean !== null) axes.picture.append(upright(mean, { stroke: colour("ink") }));
  if (line !== null)
    axes.picture.append(upright(line, { stroke: colour("vermilion"), "stroke-dasharray": "6 4" }));
  const dashes = line === null ? "" : "Dashes: the second observer's mean.";
  figure(axes, (mean === null ? "" : "Line: mean. ") + dashes);
}

writeCurves();
