// The report without its curves and photographs: headline, tables.

// ---- facts

function writeAbout() {
  const about = facts.about;
  document.title = byId("title").textContent = about.title ?? "Test report";
  byId("protocol").textContent = about.protocol ?? "";
  const warnings = [about.warnings ?? []].flat();
  byId("warnings").hidden = warnings.length === 0;
  byId("warnings").append(...warnings.map(warning => make("li", {}, warning)));
  for (const [name, value] of Object.entries(about)) {
    if (["title", "protocol", "warnings"].includes(name) || value === null || value.length === 0) continue;
    const words = [value].flat().map(word => make("dd", {}, String(word)));
    byId("about").append(make("div", {}, make("dt", {}, label(name)), ...words));
  }
}

// ---- the table

const columnAt = name => facts.table.columns.indexOf(name);
const summary = name => facts.table.summaries.find(row => String(row[0]) === name);
const human = kind => facts.table.summaries.find(row => isHuman(row) && String(row[0]).endsWith(kind));
const isHuman = row => String(row[0]).toLowerCase().startsWith("second observer");
const score = (row, column) => (row && columnAt(column) >= 0 ? row[columnAt(column)] : null);

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
  return facts.table.columns
    .map((name, index) => ({
      name,
      index,
      class: name === "note" ? "words note" : words(index) ? "words" : "number",
    }))
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

function line(row, columns, first = String(row[0])) {
  return make(
    "tr",
    isHuman(row) ? { class: "human" } : {},
    make("th", { scope: "row" }, first),
    ...columns.slice(1).map(column => cell(row, column)),
  );
}

function head(columns, inner = column => label(column.name)) {
  return make(
    "thead",
    {},
    make(
      "tr",
      {},
      ...columns.map(column => make("th", { scope: "col", class: column.class }, inner(column))),
    ),
  );
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

// `open(place)` shows the photograph of that row in the viewer; rows of those that failed have none. Headings
// sort.
function writeEach(places, open) {
  const rows = facts.table.photographs;
  const columns = columnsOf(rows);
  const body = make("tbody");
  let sorted = null;
  let turn = 1;
  const fill = () =>
    body.replaceChildren(
      ...rows
        .map((row, place) => {
          if (!places.includes(place)) return { row, line: line(row, columns) };
          const button = make("button", { type: "button" }, String(row[0]));
          button.addEventListener("click", () => open(place));
          return { row, line: line(row, columns, button) };
        })
        .sort((a, b) => (sorted === null ? 0 : compare(a.row[sorted], b.row[sorted], turn)))
        .map(entry => entry.line),
    );
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

writeAbout();
writeHeadline();
writeSummaries();
