// The report without its curves and photographs: headline, tables.

// ---- facts

function writeAbout() {
  const { title, protocol, ...others } = facts.about;
  document.title = byId("title").textContent = title;
  byId("protocol").textContent = protocol;
  for (const [name, value] of Object.entries(others)) {
    if (value === null || value.length === 0) continue;
    const words = [value].flat().map(word => make("dd", {}, String(word)));
    byId("about").append(make("div", {}, make("dt", {}, label(name)), ...words));
  }
}

// ---- the table

const columnAt = name => facts.table.columns.indexOf(name);
const summary = name => facts.table.summaries.find(row => row[0] === name);
const human = kind => summary(`second observer, ${kind}`);
const isHuman = row => row[0].toLowerCase().startsWith("second observer");
const score = (row, column) => row?.[columnAt(column)] ?? null;

function writeHeadline() {
  const mean = score(summary("mean"), "dice");
  const spread = score(summary("standard deviation"), "dice");
  const tiles = [
    ["Dice, all pixels pooled", score(summary("pooled"), "dice")],
    [
      "Dice, mean ± standard deviation of the photographs",
      mean === null ? null : formatted(mean) + (spread === null ? "" : " ± " + formatted(spread)),
    ],
    ["Dice of the second observer, pooled", score(human("pooled"), "dice")],
    ["ROC AUC, pooled", score(summary("pooled"), "roc_auc")],
    ["photographs", facts.about.photographs.toLocaleString("en")],
  ];
  byId("headline").append(
    ...tiles
      .filter(([, value]) => value !== null)
      .map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, formatted(value)))),
  );
}

// Columns in which no row has anything are left out: here they would only take room.
function columnsOf(rows) {
  const words = index => rows.some(row => typeof row[index] === "string");
  const kind = (name, index) => (name === "note" ? "words note" : words(index) ? "words" : "number");
  return facts.table.columns
    .map((name, index) => ({ name, index, class: kind(name, index) }))
    .filter(({ index }) => rows.some(row => row[index] !== null && row[index] !== ""));
}

function cell(row, column) {
  const value = row[column.index];
  const reason = value === null && row[columnAt("note")];
  return make(
    "td",
    { class: column.class, ...(reason ? { title: reason } : {}) },
    value === null && column.name === "note" ? "" : formatted(value),
  );
}

function line(row, columns, first = row[0]) {
  const cells = columns.slice(1).map(column => cell(row, column));
  return make("tr", isHuman(row) ? { class: "human" } : {}, make("th", { scope: "row" }, first), ...cells);
}

function head(columns, inner = column => label(column.name)) {
  const cells = columns.map(column => make("th", { scope: "col", class: column.class }, inner(column)));
  return make("thead", {}, make("tr", {}, ...cells));
}

function writeSummaries() {
  const rows = facts.table.summaries;
  const columns = columnsOf(rows);
  if (columns.length < 2)
    return byId("summaries").append(
      make("tbody", {}, make("tr", {}, make("th", {}, "There are no references: nothing could be scored."))),
    );
  columns[0].name = "over the photographs";
  byId("summaries").append(head(columns), make("tbody", {}, ...rows.map(row => line(row, columns))));
}

// Rows of photographs that failed open none in the viewer. Headings sort.
function writeEach() {
  const rows = facts.table.photographs;
  const columns = columnsOf(rows);
  const body = make("tbody");
  let sorted = null;
  let turn = 1;
  const lineOf = row => {
    const photograph = view.photographs.find(({ name }) => name === row[0]);
    if (!photograph) return line(row, columns);
    const button = make("button", { type: "button" }, row[0]);
    button.addEventListener("click", () => {
      show(photograph);
      byId("viewer").scrollIntoView();
    });
    return line(row, columns, button);
  };
  const fill = () => {
    const order = (a, b) => (sorted === null ? 0 : compare(a[sorted], b[sorted], turn));
    body.replaceChildren(...[...rows].sort(order).map(lineOf));
  };
  const heading = column => {
    const button = make("button", { type: "button" }, label(column.name));
    button.addEventListener("click", () => {
      [sorted, turn] = [column.index, sorted === column.index ? -turn : 1];
      for (const other of byId("each").querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      button.parentElement.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
      fill();
    });
    return button;
  };
  byId("each").append(head(columns, heading), body);
  fill();
}

const begun = writeEach; // once the viewer has read the photographs

writeAbout();
writeHeadline();
writeSummaries();
