// What the report shows of a photograph: its layers, its scores against the reference.

const NAMES = {
  dice: "Dice",
  iou: "IoU",
  mcc: "MCC",
  roc_auc: "ROC AUC",
  average_precision: "average precision",
  cldice: "clDice",
  ece: "calibration error",
};
const LESS_IS_BETTER = ["ece"];
const label = column => NAMES[column] ?? String(column).replaceAll("_", " ");

const REFERENCE = 2;
const KINDS = ["photograph", "probability", "prediction", "reference", "agreement"];
const DRAWINGS = KINDS.slice(2);
const STACKS = {};
const FIRST_LOOK = { left: "photograph", right: "agreement", wipe: true, mix: 50 };
const BOTH = colour("both");
const ONLY_PREDICTED = colour("orange");
const ONLY_REFERENCE = colour("sky");

const COLOURS = {
  probability: probabilityColour,
  prediction: predictionColour,
  reference: (level, flags) =>
    flags & FOV ? (flags & REFERENCE ? WHITE : BLACK) : flags & REFERENCE ? UNCOUNTED : OUTSIDE,
  agreement: (level, flags) => {
    if (!(flags & FOV)) return OUTSIDE;
    if (flags & REFERENCE) return level >= view.level ? BOTH : ONLY_REFERENCE;
    return level >= view.level ? ONLY_PREDICTED : BLACK;
  },
};
const followsThreshold = kind => kind === "prediction" || kind === "agreement";
const offered = (kind, photograph) => photograph.labelled || !["reference", "agreement"].includes(kind);

const marksOf = () => [];
const opened = (photograph, data) => data;

// Pixels inside the FOV: both (true positive), predicted (false positive), reference (false negative).
function compared() {
  const sum = { both: 0, predicted: 0, reference: 0 };
  for (let level = 0; level < 256; level++) {
    const [vessel, other] = [
      view.data.counts[((FOV | REFERENCE) << 8) | level],
      view.data.counts[(FOV << 8) | level],
    ];
    if (level >= view.level) {
      sum.both += vessel;
      sum.predicted += other;
    } else sum.reference += vessel;
  }
  return sum;
}

function figures() {
  const { both, predicted, reference } = compared();
  const { labelled, scores } = view.current;
  const part = (a, b) => (scores.dice !== null && b > 0 ? (a / b).toFixed(4) : "–");
  const legend = [
    [BOTH, "both", both],
    [ONLY_PREDICTED, "only predicted", predicted],
    [ONLY_REFERENCE, "only reference", reference],
  ];
  return {
    readings: {
      Dice: part(2 * both, 2 * both + predicted + reference),
      precision: part(both, both + predicted),
      recall: part(both, both + reference),
    },
    legend: labelled ? legend : [],
    remark: labelled
      ? ""
      : "There is no reference for this photograph: nothing to compare the prediction with, and no score.",
  };
}
