// What hands do: sliders and selects, zoom and movement, keys; and the beginning.

// ---- sliders and selects

function choose(side, kind) {
  const option = [...byId(side).options].find(option => option.value === kind);
  if (!option || option.disabled) return;
  byId(side).value = view[side] = kind;
  repaint();
}

function setMix(value) {
  byId("mix").value = view.mix = Math.min(Math.max(value, 0), 100);
  repaint();
}

function setLevel(level) {
  if (!view.data) return;
  byId("threshold").value = view.level = level;
  writeReadings();
  repaint();
}

function setWipe(wipe) {
  view.wipe = wipe;
  document.querySelector(`input[name=mode][value=${wipe ? "wipe" : "blend"}]`).checked = true;
  repaint();
}

function listenToControls() {
  for (const side of ["left", "right"])
    byId(side).addEventListener("change", event => choose(side, event.target.value));
  for (const radio of document.querySelectorAll("input[name=mode]"))
    radio.addEventListener("change", () => setWipe(radio.value === "wipe"));
  for (const id of ["text", "score", "order", "from", "to"]) byId(id).addEventListener("input", fillList);
  listen("mix", "input", event => setMix(Number(event.target.value)));
  listen("threshold", "input", event => setLevel(Number(event.target.value)));
  listen("reset", "click", () => {
    setLevel(view.current.level);
    byId("threshold").dispatchEvent(new Event("change")); // as after a hand has moved it
  });
  listen("previous", "click", () => step(-1));
  listen("next", "click", () => step(1));
  listen("closer", "click", () => zoomBy(1.5));
  listen("farther", "click", () => zoomBy(1 / 1.5));
  listen("whole", "click", () => zoomBy(0));
  listen("filters", "submit", event => event.preventDefault());
}

// ---- zoom and movement

// Zooms so that what is at (x, y), in pixels of the canvas, stays there; up to 32 of these for one of the
// photograph.
function zoomBy(factor, x = canvas.width / 2, y = canvas.height / 2) {
  if (!view.data) return;
  const before = scale();
  const most = Math.max((32 * view.zoom) / before, 1);
  view.zoom = Math.min(Math.max(view.zoom * factor, 1), most);
  moveBy((x - canvas.width / 2) * (scale() / before - 1), (y - canvas.height / 2) * (scale() / before - 1));
}

// Moves what is seen by so many pixels of the canvas.
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
  let kind = null; // of what is down: mouse, pen or touch
  let dividing = false;
  const onDivider = x => view.wipe && Math.abs(x - (view.mix / 100) * canvas.width) < 14 * dense();
  let working = false; // with the tool
  canvas.addEventListener("pointerdown", event => {
    if (fingers.size && event.pointerType !== kind) {
      if (kind === "pen") return; // of the hand that holds it
      if (working) view.tool?.cancel();
      fingers.clear();
    }
    kind = event.pointerType;
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, inCanvas(event));
    if (working && fingers.size > 1) view.tool?.cancel(); // two fingers zoom
    dividing = fingers.size === 1 && onDivider(inCanvas(event)[0]);
    working = fingers.size === 1 && !dividing && event.button === 0 && Boolean(view.tool && view.data);
    if (working) view.tool.down(event);
  });
  const lifted = event => {
    if (!fingers.delete(event.pointerId)) return;
    if (working) view.tool?.up(event);
    dividing = working = false;
    canvas.classList.remove("moving");
  };
  for (const each of ["pointerup", "pointercancel"]) canvas.addEventListener(each, lifted);
  canvas.addEventListener("pointermove", event => {
    if (!event.buttons) lifted(event); // where the page was not told
    const here = inCanvas(event);
    const before = fingers.get(event.pointerId);
    canvas.classList.toggle("divider", dividing || (!before && onDivider(here[0])));
    canvas.classList.toggle("moving", Boolean(before) && !dividing && !working);
    view.tool?.over(event);
    if (!before) return;
    if (working) {
      fingers.set(event.pointerId, here);
      return view.tool?.move(event);
    }
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    fingers.set(event.pointerId, here);
    if (dividing) return setMix((100 * here[0]) / canvas.width);
    const part = other ? 0.5 : 1; // of two fingers each moves the middle by half
    moveBy(part * (before[0] - here[0]), part * (before[1] - here[1]));
    if (other)
      zoomBy(
        distance(here, other) / Math.max(distance(before, other), 1),
        (here[0] + other[0]) / 2,
        (here[1] + other[1]) / 2,
      );
  });
  canvas.addEventListener("mousedown", event => {
    if (event.button === 1) event.preventDefault(); // on Windows the page would begin to scroll
  });
  canvas.addEventListener("dblclick", event => {
    if (!view.tool) zoomBy(event.shiftKey ? 0.5 : 2, ...inCanvas(event));
  });
  canvas.addEventListener(
    "wheel",
    event => {
      if (view.tool?.wheel(event)) return event.preventDefault();
      if (event.deltaY > 0 && view.zoom === 1) return; // all is seen: the page scrolls
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), ...inCanvas(event));
    },
    { passive: false },
  );
}

const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

// ---- keys

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function listenToKeys() {
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || !view.data) return;
    if (event.key === "Escape") return document.activeElement.blur();
    const uses = "input:not([type=checkbox]), select, .scroll"; // arrows, and some of them letters
    const control = event.target.closest(uses);
    if (control && (event.key in ARROWS || control.matches("select, [type=search], [type=number]"))) return;
    if (pressed(event)) event.preventDefault();
  });
}

// Does what the key means; returns whether it means something.
function pressed({ key, code, shiftKey }) {
  const meant = "-[]".includes(key) ? key : code; // which lie on digits in some countries
  const digit = /^Digit([1-9])$/.exec(meant)?.[1] ?? /^[1-9]$/.exec(key)?.[0];
  const arrow = ARROWS[key];
  if (digit) choose(shiftKey ? "left" : "right", KINDS[digit - 1]);
  else if (arrow && shiftKey) moveBy((arrow[0] * canvas.width) / 10, (arrow[1] * canvas.height) / 10);
  else if (arrow && arrow[0]) step(arrow[0]);
  else if (key === "+" || key === "=") zoomBy(1.5);
  else if (key === "-") zoomBy(1 / 1.5);
  else if (key === "0") zoomBy(0);
  else if (key === "w") setWipe(!view.wipe);
  else if (key === "t") byId("threshold").focus();
  else return false;
  return true;
}

// ---- the beginning, when the whole page has been loaded

function fit() {
  const dense = window.devicePixelRatio || 1;
  Object.assign(canvas, {
    width: Math.max(Math.round(canvas.clientWidth * dense), 1),
    height: Math.max(Math.round(canvas.clientHeight * dense), 1),
  });
  paint();
}

const say = sentence => (byId("waiting").textContent = sentence);

function start() {
  const sheets = [...document.getElementsByClassName("photograph")];
  view.photographs = sheets.map(sheet => JSON.parse(sheet.textContent));
  const names = Object.keys(view.photographs[0]?.scores ?? {});
  const scored = names.filter(name => view.photographs.some(({ scores }) => scores[name] !== null));
  const choices = scored.length ? scored : names.slice(0, 1);
  byId("score").append(...choices.map(name => make("option", { value: name }, label(name))));
  byId("last-layer").textContent = KINDS.length;
  begun();
  if (!view.photographs.length) return say("There are no photographs here.");
  if (!("DecompressionStream" in window))
    return say("This browser cannot unpack the photographs: open the page in one from 2023 or later.");
  byId("waiting").hidden = true;
  byId("viewer").hidden = false;
  setWipe(view.wipe);
  setMix(view.mix);
  fillList();
  listenToControls();
  listenToHands();
  listenToKeys();
  new ResizeObserver(fit).observe(canvas);
  show(view.list[0]);
}

document.addEventListener("DOMContentLoaded", start);
