// What the review shows of a photograph: its layers, and what a correction has changed. A correction lies on
// the prediction as two flags, so that the threshold can still move beneath it.

const SCORES = ["certainty"];
const LESS_IS_BETTER = [];
const label = name => name;

const [ADDED, ERASED] = [2, 4];
const MARKS = ADDED | ERASED;
const KINDS = ["photograph", "overlay", "probability", "prediction", "correction", "changes"];
const DRAWINGS = ["prediction", "correction", "changes"];
const STACKS = { overlay: [["photograph", false, 1], ["vessels", true, 0.8]] }; // [layer, bare, opacity]
const FIRST_LOOK = { left: "photograph", right: "overlay", wipe: false, mix: 100 };
const [KEPT_INK, ADDED_INK, ERASED_INK] = [colour("sky"), colour("added"), colour("vermilion")];

// Whether a pixel is vessel in the mask that is saved.
const isVessel = (level, flags, threshold) =>
  (flags & FOV) > 0 && ((flags & ADDED) > 0 || (level >= threshold && !(flags & ERASED)));

const COLOURS = {
  probability: probabilityColour,
  prediction: predictionColour,
  correction: (level, flags) =>
    !(flags & FOV) ? OUTSIDE : isVessel(level, flags, view.level) ? WHITE : BLACK,
  changes: (level, flags) => {
    if (!(flags & FOV)) return OUTSIDE;
    if (isVessel(level, flags, view.level)) return level >= view.level ? KEPT_INK : ADDED_INK;
    return level >= view.level ? ERASED_INK : BLACK;
  },
  vessels: (level, flags) =>
    !isVessel(level, flags, view.level) ? BLACK : level >= view.level ? KEPT_INK : ADDED_INK,
};
const followsThreshold = kind => kind !== "probability";
const offered = () => true;

const addScores = () => {}; // each photograph has its own with it

function marksOf({ work, level }) {
  if (!isWorkedOn(work, level)) return [];
  return [work.done ? " · corrected" : work.approved ? " · looked over" : " · threshold moved"];
}

const isWorkedOn = (work, level) => Boolean(work && (work.done || work.approved || work.level !== level));

// Pixels inside the FOV: kept, added and erased by hand, and all.
function compared() {
  const sum = { kept: 0, added: 0, erased: 0, all: 0 };
  view.data.counts.forEach((count, code) => {
    const [level, flags] = [code & 255, code >> 8];
    if (!(flags & FOV)) return;
    sum.all += count;
    const predicted = level >= view.level;
    if (isVessel(level, flags, view.level)) sum[predicted ? "kept" : "added"] += count;
    else if (predicted) sum.erased += count;
  });
  return sum;
}

function figures() {
  const { kept, added, erased, all } = compared();
  const vessels = 2 * kept + added + erased;
  const density = count => (all ? count / all : 0).toFixed(4);
  return {
    readings: {
      density: density(kept + added),
      predicted: density(kept + erased),
      "Dice with the prediction": vessels ? ((2 * kept) / vessels).toFixed(4) : "–",
    },
    legend: [
      [KEPT_INK, "kept", kept],
      [ADDED_INK, "added", added],
      [ERASED_INK, "erased", erased],
    ],
    remark: view.data.remark ?? "",
  };
}
