// What the review shows of a photograph: its layers, and what a correction has changed. A correction lies on
// the prediction as two flags, so that the threshold can still move beneath it.

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

function marksOf({ work, level, fingerprint }) {
  if (!isWorkedOn(work, level)) return [];
  const what = work.done ? "corrected" : work.approved ? "looked over" : "threshold moved";
  return [` · ${what}`, work.fingerprint === fingerprint ? "" : ", predicted anew since"];
}

const isWorkedOn = (work, level) => Boolean(work && (work.done || work.approved || work.level !== level));

// Pixels inside the FOV: kept, added and erased by hand; predicted by eval.py, whose threshold may have been
// another, and of these the same in the mask; all.
function compared() {
  const sum = { kept: 0, added: 0, erased: 0, predicted: 0, same: 0, all: 0 };
  view.data.counts.forEach((count, code) => {
    const [level, flags] = [code & 255, code >> 8];
    if (!(flags & FOV)) return;
    sum.all += count;
    const vessel = isVessel(level, flags, view.level);
    const beneath = level >= view.level;
    if (vessel) sum[beneath ? "kept" : "added"] += count;
    else if (beneath) sum.erased += count;
    if (level < view.current.level) return;
    sum.predicted += count;
    if (vessel) sum.same += count;
  });
  return sum;
}

function figures() {
  const { kept, added, erased, predicted, same, all } = compared();
  const vessels = kept + added + predicted;
  const density = count => (all ? count / all : 0).toFixed(4);
  return {
    readings: {
      density: density(kept + added),
      predicted: density(predicted),
      "Dice with the prediction": vessels ? ((2 * same) / vessels).toFixed(4) : "–",
    },
    legend: [
      [KEPT_INK, "kept", kept],
      [ADDED_INK, "added by hand", added],
      [ERASED_INK, "erased by hand", erased],
    ],
    remark: view.data.remark ?? "",
  };
}
