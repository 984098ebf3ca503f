// Choosing a photograph, sliders, zoom, and keys.

// ---- the list

// Scores of a photograph are its row of the table, found by name; of two with one name, in the order of the table.
function readPhotographs() {
  const rows = facts.table.photographs.map((row, place) => ({ row, place, name: String(row[0]), free: true }));
  view.photographs = [...document.getElementsByClassName("photograph")].map(sheet => {
    const photograph = JSON.parse(sheet.textContent);
    const found = rows.find(row => row.free && row.name === photograph.name);
    if (found) found.free = false;
    photograph.place = found?.place;
    photograph.scores = Object.fromEntries(SCORES.map(name => [name, found ? score(found.row, name) : null]));
    photograph.scores.dice ??= photograph.dice;
    return photograph;
  });
}

function entry(photograph) {
  const picture = make("img", { src: "data:image/jpeg;base64," + photograph.thumbnail, alt: "", loading: "lazy" });
  const value = photograph.scores[at("score").value];
  const button = make(
    "button",
    { type: "button" },
    picture,
    make("span", { class: "caption" }, make("b", {}, shown(value)), photograph.name),
  );
  button.title = photograph.name;
  button.addEventListener("click", () => show(photograph));
  photograph.button = button;
  return make("li", {}, button);
}

function fillList() {
  const name = at("score").value;
  const words = at("text").value.toLowerCase();
  const [from, to] = [at("from"), at("to")].map(input => (input.value === "" ? null : Number(input.value)));
  const worst = LESS_IS_BETTER.includes(name) ? -1 : 1;
  const order = at("order").value;
  const fits = ({ name: called, scores }) =>
    called.toLowerCase().includes(words) &&
    (from === null || (scores[name] !== null && scores[name] >= from)) &&
    (to === null || (scores[name] !== null && scores[name] <= to));
  const byName = (a, b) => compare(a.name, b.name, 1);
  const byScore = (a, b) => compare(a.scores[name], b.scores[name], order === "worst" ? worst : -worst) || byName(a, b);
  view.list = view.photographs.filter(fits).sort(order === "name" ? byName : byScore);
  at("list").replaceChildren(...view.list.map(entry));
  at("count").textContent = view.list.length
    ? `${view.list.length} of ${view.photographs.length} photographs`
    : "No photograph fits.";
  markCurrent();
}

function markCurrent() {
  for (const photograph of view.list) photograph.button.setAttribute("aria-current", photograph === view.current);
  const place = view.list.indexOf(view.current);
  const button = view.list[place]?.button;
  const list = at("list");
  at("previous").disabled = place === 0 || !view.list.length;
  at("next").disabled = place === view.list.length - 1;
  if (!button) return;
  // scrollIntoView() would move the page too.
  const [outer, inner] = [list.getBoundingClientRect(), button.getBoundingClientRect()];
  list.scrollTop += Math.min(0, inner.top - outer.top - 4) + Math.max(0, inner.bottom - outer.bottom + 4);
  list.scrollLeft += Math.min(0, inner.left - outer.left - 4) + Math.max(0, inner.right - outer.right + 4);
}

function step(by) {
  const place = view.list.indexOf(view.current);
  const next = view.list[place < 0 ? 0 : place + by];
  if (next) show(next);
}

async function show(photograph) {
  const before = view.current;
  Object.assign(view, { current: photograph, data: null, zoom: 1 });
  at("name").textContent = photograph.name;
  canvas.classList.add("reading");
  delete at("viewer").dataset.shown;
  markCurrent();
  const data = await unpacked(photograph);
  if (view.current !== photograph) return; // one has gone on meanwhile
  view.data = data;
  canvas.classList.remove("reading");
  if (before?.threshold !== photograph.threshold) view.level = photograph.level;
  at("threshold").value = view.level;
  fillLayers(photograph.labelled);
  writeReadings();
  paint();
  at("viewer").dataset.shown = photograph.number;
}

function fillLayers(labelled) {
  for (const side of ["left", "right"]) {
    const options = KINDS.map((kind, number) => make("option", { value: kind }, `${number + 1}  ${kind}`));
    for (const option of options) option.disabled = !labelled && ["reference", "agreement"].includes(option.value);
    at(side).replaceChildren(...options);
    if (options.find(option => option.value === view[side]).disabled) view[side] = "prediction";
    at(side).value = view[side];
  }
}

// ---- sliders and selects

function choose(side, kind) {
  const option = [...at(side).options].find(one => one.value === kind);
  if (!option || option.disabled) return;
  at(side).value = view[side] = kind;
  repaint();
}

function setMix(value) {
  at("mix").value = view.mix = Math.min(Math.max(value, 0), 100);
  repaint();
}

function setLevel(level) {
  at("threshold").value = view.level = level;
  writeReadings();
  repaint();
}

function setWipe(wipe) {
  view.wipe = wipe;
  document.querySelector(`input[name=mode][value=${wipe ? "wipe" : "blend"}]`).checked = true;
  repaint();
}

function listenToControls() {
  for (const side of ["left", "right"]) at(side).addEventListener("change", event => choose(side, event.target.value));
  for (const radio of document.querySelectorAll("input[name=mode]"))
    radio.addEventListener("change", () => setWipe(radio.value === "wipe"));
  for (const id of ["text", "score", "order", "from", "to"]) at(id).addEventListener("input", fillList);
  const listen = (id, kind, act) => at(id).addEventListener(kind, act);
  listen("mix", "input", event => setMix(Number(event.target.value)));
  listen("threshold", "input", event => view.data && setLevel(Number(event.target.value)));
  listen("reset", "click", () => setLevel(view.current.level));
  listen("previous", "click", () => step(-1));
  listen("next", "click", () => step(1));
  listen("closer", "click", () => zoomBy(1.5));
  listen("farther", "click", () => zoomBy(1 / 1.5));
  listen("whole", "click", () => zoomBy(0));
  listen("filters", "submit", event => event.preventDefault());
}

// ---- zoom and movement

// Zoom so that what is at (x, y), in the canvas's own pixels, stays there; from 1 to 32 screen pixels for one.
function zoomBy(factor, x = canvas.width / 2, y = canvas.height / 2) {
  if (!view.data) return;
  const before = scale();
  const most = Math.max((32 * view.zoom) / before, 1);
  view.zoom = Math.min(Math.max(view.zoom * factor, 1), most);
  moveBy((x - canvas.width / 2) * (scale() / before - 1), (y - canvas.height / 2) * (scale() / before - 1));
}

// Move what is seen by so many pixels of the canvas.
function moveBy(x, y) {
  if (!view.data) return;
  view.x = held(view.x + x / scale(), view.current.width, canvas.width / scale());
  view.y = held(view.y + y / scale(), view.current.height, canvas.height / scale());
  repaint();
}

function inCanvas(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * dense(), (event.clientY - box.top) * dense()];
}

function listenToHands() {
  const fingers = new Map();
  let dividing = false;
  const onDivider = x => view.wipe && Math.abs(x - (view.mix / 100) * canvas.width) < 14 * dense();
  canvas.addEventListener("pointerdown", event => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, inCanvas(event));
    dividing = fingers.size === 1 && onDivider(inCanvas(event)[0]);
  });
  canvas.addEventListener("pointermove", event => {
    const here = inCanvas(event);
    const before = fingers.get(event.pointerId);
    canvas.classList.toggle("divider", dividing || (!before && onDivider(here[0])));
    canvas.classList.toggle("moving", Boolean(before) && !dividing);
    if (!before) return;
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    fingers.set(event.pointerId, here);
    if (dividing) return setMix((100 * here[0]) / canvas.width);
    const part = other ? 0.5 : 1; // of two fingers each moves the middle by half
    moveBy(part * (before[0] - here[0]), part * (before[1] - here[1]));
    if (other)
      zoomBy(
        apart(here, other) / Math.max(apart(before, other), 1),
        (here[0] + other[0]) / 2,
        (here[1] + other[1]) / 2,
      );
  });
  for (const kind of ["pointerup", "pointercancel"])
    canvas.addEventListener(kind, event => {
      fingers.delete(event.pointerId);
      dividing = false;
      canvas.classList.remove("moving");
    });
  canvas.addEventListener("dblclick", event => zoomBy(event.shiftKey ? 0.5 : 2, ...inCanvas(event)));
  canvas.addEventListener(
    "wheel",
    event => {
      if (event.deltaY > 0 && view.zoom === 1) return; // nothing left to zoom out of: the page scrolls on
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), ...inCanvas(event));
    },
    { passive: false },
  );
}

const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

// ---- keys

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function listenToKeys() {
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || !view.data) return;
    if (event.key === "Escape") return document.activeElement.blur();
    const own = event.target.closest("input, select, .scroll"); // has arrows, some have letters, of its own
    if (own && (event.key in ARROWS || own.matches("select, [type=search], [type=number]"))) return;
    if (act(event)) event.preventDefault();
  });
}

// Whether the key meant something.
function act({ key, code, shiftKey }) {
  const digit = /^Digit([1-5])$/.exec(code)?.[1] ?? /^[1-5]$/.exec(key)?.[0];
  const arrow = ARROWS[key];
  if (digit) choose(shiftKey ? "left" : "right", KINDS[digit - 1]);
  else if (arrow && shiftKey) moveBy((arrow[0] * canvas.width) / 10, (arrow[1] * canvas.height) / 10);
  else if (arrow && arrow[0]) step(arrow[0]);
  else if (key === "+" || key === "=") zoomBy(1.5);
  else if (key === "-") zoomBy(1 / 1.5);
  else if (key === "0") zoomBy(0);
  else if (key === "w") setWipe(!view.wipe);
  else if (key === "t") at("threshold").focus();
  else return false;
  return true;
}

// ---- the beginning, when the whole page has been read

function fit() {
  const dense = window.devicePixelRatio || 1;
  Object.assign(canvas, {
    width: Math.max(Math.round(canvas.clientWidth * dense), 1),
    height: Math.max(Math.round(canvas.clientHeight * dense), 1),
  });
  paint();
}

function start() {
  readPhotographs();
  at("waiting").hidden = view.photographs.length > 0;
  at("waiting").textContent = "There are no photographs here.";
  const scored = SCORES.filter(name => view.photographs.some(({ scores }) => scores[name] !== null));
  at("score").append(...(scored.length ? scored : ["dice"]).map(name => make("option", { value: name }, label(name))));
  const places = view.photographs.map(photograph => photograph.place);
  writeEach(places, place => {
    show(view.photographs[places.indexOf(place)]);
    at("viewer").scrollIntoView();
  });
  if (!view.photographs.length) return;
  if (!("DecompressionStream" in window)) {
    at("waiting").hidden = false;
    at("waiting").textContent = "This browser cannot unpack the photographs: open the page in one of 2023 or later.";
    return;
  }
  at("viewer").hidden = false;
  fillList();
  listenToControls();
  listenToHands();
  listenToKeys();
  new ResizeObserver(fit).observe(canvas);
  show(view.list[0]);
}

document.addEventListener("DOMContentLoaded", start);
