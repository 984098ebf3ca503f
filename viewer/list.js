// The list of photographs: sorted, filtered, and the one that is shown.

function entry(photograph) {
  const { name, thumbnail, scores } = photograph;
  const picture = make("img", { src: `data:image/jpeg;base64,${thumbnail}`, alt: "", loading: "lazy" });
  const value = make("b", {}, formatted(scores[byId("score").value]), ...marksOf(photograph));
  const caption = make("span", { class: "caption" }, value, name);
  const button = make("button", { type: "button", title: name }, picture, caption);
  button.addEventListener("click", () => show(photograph));
  photograph.button = button;
  return make("li", {}, button);
}

function fillList() {
  const name = byId("score").value;
  const text = byId("text").value.toLowerCase();
  const [from, to] = ["from", "to"].map(id => byId(id).valueAsNumber); // NaN where nothing is given
  const worst = LESS_IS_BETTER.includes(name) ? -1 : 1;
  const order = byId("order").value;
  const within = score => (isNaN(from) || score >= from) && (isNaN(to) || score <= to);
  const fits = photograph =>
    photograph.name.toLowerCase().includes(text) && within(photograph.scores[name] ?? NaN);
  const byName = (a, b) => compare(a.name, b.name, 1);
  const byScore = (a, b) =>
    compare(a.scores[name], b.scores[name], order === "worst" ? worst : -worst) || byName(a, b);
  view.list = view.photographs.filter(fits).sort(order === "name" ? byName : byScore);
  byId("list").replaceChildren(...view.list.map(entry));
  byId("count").textContent = view.list.length
    ? `${view.list.length} of ${counted(view.photographs.length, "photograph")}`
    : "No photograph fits.";
  markCurrent();
}

function markCurrent() {
  for (const photograph of view.list)
    photograph.button.setAttribute("aria-current", photograph === view.current);
  const place = view.list.indexOf(view.current);
  const button = view.list[place]?.button;
  const list = byId("list");
  byId("previous").disabled = place === 0 || !view.list.length;
  byId("next").disabled = place === view.list.length - 1;
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

let openings = 0;
let unpacking = null; // one at a time: who clicks on faster than that passes those in between

async function show(photograph) {
  const before = view.current;
  view.leave?.();
  Object.assign(view, { current: photograph, data: null, zoom: 1 });
  byId("name").textContent = photograph.name;
  canvas.classList.add("reading");
  delete byId("viewer").dataset.shown;
  markCurrent();
  const own = ++openings;
  const passed = () => own !== openings; // another one was chosen meanwhile
  await unpacking?.catch(() => {});
  if (passed()) return;
  let data = null;
  try {
    data = await opened(photograph, await (unpacking = unpacked(photograph)));
  } catch ({ message }) {
    if (!passed()) byId("name").textContent = `${photograph.name}: ${message}`;
    return;
  }
  if (passed()) return;
  view.data = data;
  canvas.classList.remove("reading");
  if (data.level) view.level = data.level;
  else if (before?.threshold !== photograph.threshold) view.level = photograph.level;
  byId("threshold").value = view.level;
  fillLayers(photograph);
  writeReadings();
  paint();
  view.shown?.();
  byId("viewer").dataset.shown = photograph.number;
}

function fillLayers(photograph) {
  for (const side of ["left", "right"]) {
    const options = KINDS.map((kind, number) => make("option", { value: kind }, `${number + 1}  ${kind}`));
    for (const option of options) option.disabled = !offered(option.value, photograph);
    byId(side).replaceChildren(...options);
    if (options.find(option => option.value === view[side]).disabled) view[side] = "prediction";
    byId(side).value = view[side];
  }
}
