// Work that is kept in this browser (IndexedDB) and found again after closing. Of each photograph one record
// of `work`, {key, fingerprint, level, done, approved}, and one of `steps` for each step, {key, number, to,
// runs}: writing a stroke takes as long as the stroke is large, not the photograph.

let store = null; // a promise of the database; null inside if this browser keeps nothing
let worksFound = null; // a promise that the work of all photographs has been read

function openStore() {
  store ??= new Promise(resolve => {
    const asked = indexedDB.open("vessel corrections", 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("work", { keyPath: "key" });
      asked.result.createObjectStore("steps", { keyPath: ["key", "number"] });
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => resolve(null);
  }).catch(() => null);
  return store;
}

// Calls `act(work, steps)` with the stores in one transaction; resolves to what the request it returns gives.
async function within(mode, act) {
  const database = await openStore();
  if (!database) throw new Error("this browser keeps nothing");
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(["work", "steps"], mode);
    const request = act(transaction.objectStore("work"), transaction.objectStore("steps"));
    transaction.oncomplete = () => resolve(request?.result);
    const refused = () => reject(transaction.error ?? new Error("it was refused"));
    transaction.onerror = transaction.onabort = refused;
  });
}

const stepsOf = (key, from = 0) => IDBKeyRange.bound([key, from], [key, Infinity]);

async function kept(act) {
  try {
    await within("readwrite", act);
    byId("unkept").hidden = true;
  } catch (error) {
    byId("unkept").hidden = false;
    byId("unkept").textContent =
      `This browser could not keep your last change (${error.message}): ` +
      "save the masks before you close the page.";
  }
}

const keepWork = work => kept(works => works.put({ ...work }));

function keepStep(work, step) {
  const number = work.done - 1;
  const record = { key: work.key, number, to: step.to, runs: runsOf(step.at) };
  return kept((works, steps) => {
    works.put({ ...work });
    steps.delete(stepsOf(work.key, number));
    steps.put(record);
  });
}

const findWorks = () => within("readonly", works => works.getAll()).catch(() => []);
const findSteps = key => within("readonly", (_, steps) => steps.getAll(stepsOf(key))).catch(() => []);

// Sorted pixels as [first, how many, first, how many ...], and back.
function runsOf(at) {
  const runs = [];
  for (const place of at)
    if (runs.length && runs.at(-2) + runs.at(-1) === place) runs[runs.length - 1]++;
    else runs.push(place, 1);
  return Uint32Array.from(runs);
}

function fromRuns(runs) {
  const at = [];
  for (let k = 0; k < runs.length; k += 2) for (let i = 0; i < runs[k + 1]; i++) at.push(runs[k] + i);
  return Uint32Array.from(at);
}

// ---- a photograph with its work

const fresh = ({ key, fingerprint, level }) => ({ key, fingerprint, level, done: 0, approved: false });

async function findAllWork() {
  const found = new Map((await findWorks()).map(work => [work.key, work]));
  for (const photograph of view.photographs) photograph.work = found.get(photograph.key) ?? fresh(photograph);
}

// Called when a photograph has been unpacked: puts what was done to it before on the prediction.
async function opened(photograph, data) {
  await worksFound;
  const { work } = photograph;
  const steps = (photograph.steps ??= (await findSteps(photograph.key)).map(({ to, runs }) => {
    const at = fromRuns(runs);
    return { to, at, from: new Uint8Array(at.length) };
  }));
  work.done = Math.min(work.done, steps.length);
  for (const step of steps.slice(0, work.done)) take(data, step);
  const beneath = work.fingerprint !== photograph.fingerprint;
  const remark =
    beneath && isWorkedOn(work, photograph.level)
      ? "The prediction under your work has changed since: your strokes lie on the new one. " +
        "Look it over, or start over."
      : null;
  if (beneath && !work.done && !work.approved) work.level = photograph.level;
  return Object.assign(data, { work, steps, level: work.level, remark });
}
