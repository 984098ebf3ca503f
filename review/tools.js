// The tools: which one is held, how large it is, what hands do with it; keys.

const TOOLS = { h: "move", b: "add", f: "follow", e: "erase", x: "piece" }; // by their keys
const pen = { held: "move", size: 7, floor: 0, last: null, seen: null }; // seen: the last event over it
const ring = make("span", { id: "ring", hidden: "" });

// ---- over the photograph

function inPhotograph(event) {
  const [x, y] = inCanvas(event);
  return [
    (x - canvas.width / 2) / scale() + view.x,
    (y - canvas.height / 2) / scale() + view.y,
  ];
}

function drawTo(event) {
  const here = inPhotograph(event);
  const floor = pen.held === "follow" ? pen.floor : 0;
  const part = sweep(pen.last ?? here, here, Math.max(pen.size / 2, 0.75), floor);
  pen.last = here;
  if (!part.width || !part.height) return; // all of it lies beside the photograph
  outdate(part);
  repaint(part);
}

const tool = {
  down(event) {
    if (pen.held === "piece") {
      const reach = Math.max((8 * dense()) / scale(), 1.5);
      const vessel = nearestVessel(...inPhotograph(event), reach);
      if (!vessel) return tell("There is no vessel here.");
      return tell(`Erased a piece of ${counted(erasePiece(...vessel), "pixel")}.`);
    }
    pen.last = null;
    beginStroke(pen.held === "erase" ? ERASED : ADDED);
    drawTo(event);
  },
  move(event) {
    if (!stroke || pen.held === "piece") return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) drawTo(each);
  },
  up: endStroke,
  cancel() {
    if (stroke) tell("");
    cancelStroke();
  },
  over(event) {
    pen.seen = event;
    const box = canvas.getBoundingClientRect();
    const across = Math.max((pen.size * scale()) / dense(), 3);
    ring.hidden = event.pointerType === "touch" || pen.held === "piece" || !view.data;
    Object.assign(ring.style, {
      width: `${across}px`,
      height: `${across}px`,
      left: `${event.clientX - box.left - across / 2}px`,
      top: `${event.clientY - box.top - across / 2}px`,
    });
  },
  painted() {
    if (!ring.hidden) tool.over(pen.seen);
  },
  wheel(event) {
    if (!event.shiftKey && !event.altKey) return false;
    setSize(pen.size * ((event.deltaY || event.deltaX) < 0 ? 1.2 : 1 / 1.2));
    return true;
  },
};

// ---- choosing

function hold(name) {
  endStroke();
  pen.held = name;
  view.tool = name === "move" ? null : tool;
  canvas.classList.toggle("painting", name !== "move");
  ring.hidden = true;
  for (const button of document.querySelectorAll("[data-tool]"))
    button.setAttribute("aria-pressed", button.dataset.tool === name);
  byId("size-row").hidden = ["move", "piece"].includes(name);
  byId("floor-row").hidden = name !== "follow";
  repaint();
}

function setSize(size) {
  const rounded = size > pen.size ? Math.ceil(size) : Math.floor(size);
  pen.size = Math.min(Math.max(rounded, 1), 99);
  byId("size").value = pen.size;
  byId("size-value").textContent = `${pen.size} px`;
  tool.painted();
}

function setFloor(level) {
  pen.floor = Number(level);
  byId("floor").value = pen.floor;
  byId("floor-value").textContent = view.data ? probabilityOf(pen.floor).toFixed(3) : "";
}

function setApproved(approved) {
  if (!view.data) return tell("The photograph is still being opened.");
  keepSetting({ approved });
}

// What is set of a photograph besides its strokes, its threshold too, is part of the work.
function keepSetting(setting) {
  if (!view.data) return;
  Object.assign(view.data.work, { ...setting, fingerprint: view.current.fingerprint });
  keep(view.current);
  writeState();
}

// Before another photograph is opened.
function leave() {
  endStroke();
  Object.assign(byId("approved"), { checked: false, disabled: true }); // until that one's work is known
}

// ---- what is said of the work

const tell = sentence => (byId("status").textContent = sentence);

function writeState() {
  const { work, steps } = view.data;
  byId("undo").disabled = !work.done;
  byId("redo").disabled = work.done === steps.length;
  byId("over").disabled = !work.done;
  Object.assign(byId("approved"), { checked: work.approved, disabled: false });
  const photograph = view.current;
  photograph.button?.querySelector("b").replaceChildren(
    formatted(photograph.scores.certainty),
    ...marksOf(photograph),
  );
  writeSaving();
}

// ---- hands and keys

function listenToTools() {
  Object.assign(view, { leave, shown });
  byId("stage").append(ring);
  canvas.addEventListener("pointerleave", () => (ring.hidden = true));
  for (const button of document.querySelectorAll("[data-tool]"))
    button.addEventListener("click", () => hold(button.dataset.tool));
  listen("size", "input", event => setSize(Number(event.target.value)));
  listen("floor", "input", event => setFloor(event.target.value));
  listen("undo", "click", undo);
  listen("redo", "click", redo);
  listen("over", "click", startOver);
  listen("approved", "change", event => setApproved(event.target.checked));
  listen("threshold", "change", () => keepSetting({ level: view.level }));
  document.addEventListener("keydown", event => {
    const typing = event.target.matches("select, [type=search], [type=number]");
    if (!typing && pressedTool(event)) event.preventDefault();
  });
}

// Does what the key means to the tools; returns whether it means something.
function pressedTool({ key, altKey, ctrlKey, metaKey, shiftKey }) {
  const letter = key.toLowerCase();
  if (key === "[") setSize(pen.size / 1.2); // on many keyboards with Alt or AltGr
  else if (key === "]") setSize(pen.size * 1.2);
  else if (altKey) return false;
  else if (letter === "z") (shiftKey ? redo : undo)();
  else if (letter === "y") redo();
  else if (ctrlKey || metaKey) return false;
  else if (TOOLS[letter]) hold(TOOLS[letter]);
  else if (letter === "d") setApproved(!view.data?.work.approved);
  else if (letter === "s") saveThis();
  else return false;
  return true;
}
