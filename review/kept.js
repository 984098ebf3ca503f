// Work that is kept in this browser (IndexedDB) and found again after closing. Of each photograph one record
// of `work`, {key, fingerprint, level, done, approved, written}, and one of `steps` for each step, {key,
// number, to, runs}: writing a stroke takes as long as the stroke is large, not the photograph. A level that
// nobody has moved is kept as null, so that another threshold of the card counts. `written` says by which
// page and at which of its writes, so that two tabs do not undo each other's work.

const PAGE = String(Math.random()).slice(2);
let writes = 0;
const unkept = new Map(); // why the work on a photograph could not be kept, by its key

let store = null; // a promise of the database; null inside if this browser keeps nothing
let worksFound = null; // a promise that the work of all photographs has been read

function openStore() {
  store ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open("vessel corrections", 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("work", { keyPath: "key" });
      asked.result.createObjectStore("steps", { keyPath: ["key", "number"] });
    };
    asked.onsuccess = () => {
      asked.result.onclose = lost;
      resolve(asked.result);
    };
    asked.onerror = reject;
  }).catch(() => (store = null)); // and is asked for again with the next change
  return store;
}

// After the browser has closed the database, and perhaps thrown away what was in it.
function lost() {
  store = null;
  for (const photograph of view.photographs) {
    photograph.stored = 0;
    if (photograph.steps && isWorkedOn(photograph.work, photograph.level)) keep(photograph);
  }
}

const ask = event => event.preventDefault(); // whoever leaves the page

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
  const level = work.level === photograph.level ? null : work.level;
  const record = { ...work, level, written: `${PAGE} ${++writes}` };
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
  (why ? addEventListener : removeEventListener)("beforeunload", ask);
  byId("unkept").hidden = !why;
  byId("unkept").textContent =
    `This browser could not keep all of your work (${why}): save the masks before you close the page.`;
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

// The work on a photograph, from its record if there is one.
function workFrom(record, { key, fingerprint, level }) {
  const fresh = { key, fingerprint, done: 0, approved: false };
  return { ...fresh, ...record, level: record?.level ?? level };
}

async function findAllWork() {
  const found = new Map((await findWorks()).map(work => [work.key, work]));
  for (const photograph of view.photographs) {
    const { key } = photograph;
    const former = key.slice(0, key.lastIndexOf(" ")); // of 1.1.0, without the content's checksum
    photograph.work = workFrom(found.get(key) ?? found.get(former), photograph);
  }
  tellOfOthers([...found.values()]);
}

// Says how many photographs of this folder have been worked on and are not in the page.
function tellOfOthers(works) {
  const here = view.photographs.map(({ work }) => work.key);
  const isBelow = key => key.startsWith(facts.folder) && "/\\".includes(key[facts.folder.length]);
  const others = works.filter(
    ({ key, done, approved }) => (done || approved) && isBelow(key) && !here.includes(key),
  );
  if (!others.length) return;
  const sentence =
    `Not here, and not saved with the others: ${counted(others.length, "photograph")} that you have worked ` +
    "on before. A larger --review brings back what was left out, but not what another of its name replaced.";
  byId("about").append(make("p", { id: "others" }, sentence));
}

// Called when a photograph has been unpacked: puts what was done to it before on the prediction.
async function opened(photograph, data) {
  await worksFound;
  const { work } = photograph;
  if (!photograph.steps) {
    const [now, found] = await findWork(work.key);
    if (photograph.steps) return opened(photograph, data); // another call has read them meanwhile
    if (now) Object.assign(work, workFrom(now, photograph));
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
      ? "The prediction under your work has changed since: your strokes lie on the new one, and a threshold " +
        "that you have moved is where you left it. Look it over, or start over."
      : null;
  return Object.assign(data, { work, steps, level: work.level, remark });
}

// Takes over what another tab or window has done, when one comes back to this one.
async function lookAgain() {
  for (const there of await findWorks()) {
    const photograph = view.photographs.find(({ work }) => work.key === there.key);
    const isShown = photograph === view.current;
    if (!photograph || isOwn(there, photograph.work)) continue;
    if (unkept.has(there.key)) continue;
    const broken = isShown && stroke;
    if (broken) cancelStroke(); // it has just been begun, by the click that came back to this window
    Object.assign(photograph.work, workFrom(there, photograph));
    photograph.steps = null;
    fillList();
    writeSaving();
    const again = "Another window has changed this photograph. Draw your stroke again.";
    if (isShown) show(photograph).then(() => broken && tell(again));
  }
}
