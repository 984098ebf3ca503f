// The page: what it says of itself, opening a photograph, saving.

function begun() {
  document.title = byId("title").textContent = facts.title;
  byId("about").append(...facts.about.map(sentence => make("p", {}, sentence)));
  byId("place").textContent = facts.place;
  byId("next-command").textContent = facts.command;
  const [worst, best] = byId("order").options;
  [worst.text, best.text] = ["least certain", "most certain"];
  listenToTools();
  listen("save", "click", saveThis);
  listen("save-all", "click", () => (saving ??= saveAll().finally(() => (saving = null))));
  listen("copy", "click", () => navigator.clipboard?.writeText(facts.command));
  byId("copy").hidden = !navigator.clipboard;
  worksFound = findAllWork().then(() => {
    fillList();
    writeSaving();
    for (const back of ["focus", "visibilitychange"]) window.addEventListener(back, lookAgain);
  });
}

// After a photograph has been opened.
function shown() {
  byId("floor").max = Math.max(view.current.level - 1, 1);
  setFloor(Math.min(pen.floor || Math.ceil(view.current.level / 3), byId("floor").max));
  setSize(pen.size);
  hold(pen.held);
  tell("");
  writeState();
}

// ---- saving

const workedOn = () => view.photographs.filter(({ work, level }) => isWorkedOn(work, level));

function writeSaving() {
  const count = workedOn().length;
  byId("save-all").disabled = !count;
  byId("save-all").textContent = `Save all ${count ? `${count} ` : ""}that you have worked on …`;
}

async function pngOfPhotograph(photograph) {
  const data =
    photograph === view.current && view.data
      ? view.data
      : await opened(photograph, await unpacked(photograph));
  return pngOf(maskOf(data, data.work.level), data.width, data.height);
}

async function saveThis() {
  if (!view.data) return;
  const photograph = view.current;
  const [name, ...above] = photograph.file.split("/").reverse();
  download(name, await pngOfPhotograph(photograph), "image/png");
  const place = [...above, "the folder below"].join(" in ");
  tell(`${name} is being downloaded. Put it into ${place}.`);
}

let saving = null; // a promise, while masks are being saved
const tellSaved = sentence => (byId("saved").textContent = sentence);

async function saveAll() {
  const photographs = workedOn();
  const total = photographs.length;
  let [done, folder] = [0, null];
  try {
    if (window.showDirectoryPicker)
      folder = await window.showDirectoryPicker({ id: "masks", mode: "readwrite" });
  } catch (error) {
    if (error.name === "AbortError") return tellSaved("No folder was chosen, so nothing was saved.");
    // this browser lets no page write into folders, so it becomes an archive
  }
  const files = [];
  try {
    for (const photograph of photographs) {
      tellSaved(`Saving ${done + 1} of ${total} …`);
      const content = await pngOfPhotograph(photograph);
      if (folder) await writeInto(folder, photograph.file, content);
      else files.push({ path: `corrected/${photograph.file}`, content });
      done++;
    }
    if (!folder) download("masks.zip", zipOf(files), "application/zip");
  } catch (error) {
    const file = photographs[done]?.file ?? "masks.zip";
    const kept = unkept.size ? "not all of your work is kept" : "all of your work is kept";
    return tellSaved(
      `${file} could not be saved (${error.message}). ${folder ? done : 0} of ${total} are saved, and ` +
        `${kept} in this browser: make room or choose another folder, and save again.`,
    );
  }
  const masks = counted(total, "mask");
  tellSaved(
    folder
      ? `${masks} saved in the folder ${folder.name}. What to type next stands below.`
      : `${masks} being downloaded as masks.zip. Unpack it, and move its folder "corrected" to the place ` +
          "below.",
  );
}
