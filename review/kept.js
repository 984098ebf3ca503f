// Work that is kept in this browser (IndexedDB) and found again after closing. Of each photograph one record
// of `work`, {key, fingerprint, level, done, approved, written}, and one of `steps` for each step, {key,
// number, to, runs}: writing a stroke takes as long as the stroke is large, not the photograph. `written`
// says by which page and at which of its writes, so that two tabs do not undo each other's work.

const PAGE = String(Math.random()).slice(2);
let writes = 0;
const unkept = new Map(); // why the work on a photograph could not be kept, by its key

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
    const refused = () => reject(transaction.reason ?? transaction.error ?? new Error("it was refused"));
    transaction.onerror = transaction.onabort = refused;
  });
}

const stepsOf = (key, from = 0) => IDBKeyRange.bound([key, from], [key, Infinity]);

// Writes the work on a photograph with those of its steps that have not been written yet.
async function keep(photograph) {
  const { work, steps, stored } = photograph;
  const record = { ...work, written: `${PAGE} ${++writes}` };
  const records = steps
    .slice(stored)
    .map(({ to, at }, k) => ({ key: work.key, number: stored + k, to, runs: runsOf(at) }));
  try {
    await within("readwrite", (works, ofSteps) => {
      putUnlessNewer(works, work, record);
      if (records.length) ofSteps.delete(stepsOf(work.key, stored));
      for (const step of records) ofSteps.put(step);
    });
    photograph.stored = stored + records.length;
    unkept.delete(work.key);
  } catch (error) {
    photograph.stored = Math.min(photograph.stored, stored);
    unkept.set(work.key, error.message);
  }
  const [why] = unkept.values();
  byId("unkept").hidden = !why;
  byId("unkept").textContent =
    `This browser could not keep your last change (${why}): save the masks before you close the page.`;
}

// Whether a record is the one that was read here, or was written here.
const isOwn = ({ written }, work) => written === work.written || Boolean(written?.startsWith(PAGE));

function putUnlessNewer(works, work, record) {
  const asked = works.get(work.key);
  asked.onsuccess = () => {
    if (!asked.result || isOwn(asked.result, work)) return works.put(record);
    works.transaction.reason = new Error(
      "another tab or window has changed this photograph since; opened again, the page shows what that did",
    );
    works.transaction.abort();
  };
}

const findWorks = () => within("readonly", works => works.getAll()).catch(() => []);

// The record of a photograph and its steps, as they are at one moment.
const findWork = key =>
  within("readonly", (works, steps) => {
    const both = [works.get(key), steps.getAll(stepsOf(key))];
    return { get result() { return both.map(({ result }) => result); } };
  }).catch(() => [null, []]);

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
  if (!photograph.steps) {
    const [now, found] = await findWork(photograph.key);
    Object.assign(work, now);
    photograph.stored = found.length;
    photograph.steps = found.map(({ to, runs }) => {
      const at = fromRuns(runs);
      return { to, at, from: new Uint8Array(at.length) };
    });
  }
  const { steps } = photograph;
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

// Takes over what another tab or window has done, when one comes back to this one.
async function lookAgain() {
  for (const there of await findWorks()) {
    const photograph = view.photographs.find(({ key }) => key === there.key);
    const isShown = photograph === view.current;
    if (!photograph || isOwn(there, photograph.work)) continue;
    if (unkept.has(there.key) || (isShown && stroke)) continue;
    Object.assign(photograph.work, there);
    photograph.steps = null;
    fillList();
    writeSaving();
    if (isShown) show(photograph);
  }
}
