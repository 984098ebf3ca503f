"""The card: the JSON file beside a model that says all that is needed to use the model and to train it again.

    card = Card.read("checkpoints/model.json", width, depth)    checked; Problem if anything in it is unusable
    plan = card.plan(tta=True)                                  how a photograph is predicted with this model

docs/scoring.md documents every key.
"""

from dataclasses import dataclass
from pathlib import Path

from prediction.pen import Pens
from running.command import Problem
from running.files import read_json, write_json

WEIGHTS = "weights sha256"
SIDE_WITHOUT_CARD = 512


@dataclass(frozen=True)
class Plan:
    """How a photograph is predicted.

    side: of the square, px; with a `vessel_width`, px, it is chosen for each photograph instead, so that the
    vessels are about that wide. tta: whether eight views are averaged (test-time augmentation). temperature,
    bias: of the calibration. threshold: in [0, 1]. pens: how wide vessels are drawn.
    """

    side: int = SIDE_WITHOUT_CARD
    vessel_width: float | None = None
    tta: bool = False
    temperature: float = 1.0
    bias: float = 0.0
    threshold: float = 0.5
    pens: Pens = Pens()


class Card(dict):
    """A card as the dictionary that stands in its file."""

    @classmethod
    def read(cls, path, width, depth):
        """Returns the card in the file `path`; raises Problem unless it is the sound card of such a U-Net."""
        path = Path(path)
        if not path.is_file():
            raise Problem(f"{path}: the model's card is missing, which training.py writes when it ends. "
                          "Go on with its --resume, put the card beside the model again, "
                          "or give another --model.")
        card = read_json(path)
        shape = card.get("network") if isinstance(card, dict) else None
        if not isinstance(shape, dict) or (shape.get("width"), shape.get("depth")) != (width, depth):
            raise Problem(f"{path}: this card is of another model (network {str(shape)[:60]}; "
                          f"the file beside it has width {width} and depth {depth}). "
                          "Put the card and the model of the same training side by side.")
        wrong = next((key for key, sound in _checks(card) if not sound), None)
        if wrong:
            raise Problem(f"{path}: its {wrong} cannot be used. Restore the card that training.py wrote.")
        return cls(card)

    def write(self, path):
        write_json(path, self)

    def parts_met(self):
        """Returns {sha256 of a photograph that the model has met: 'train', 'validation' or 'both'}.

        In both is what was kept aside after a model to start from had learned from it.
        """
        shas = {part: {sha for parts in self.get("data", {}).values() for sha in parts.get(part, {}).values()}
                for part in ("train", "validation")}
        return {sha: "both" if all(sha in own for own in shas.values()) else part
                for part, own in shas.items() for sha in own}

    def plan(self, tta=False, threshold=None, pen=None):
        """Returns the Plan with one view or, with `tta`, with eight; `threshold` replaces the card's own.

        pen: as Pens.chosen. Raises Problem if the card does not know it.
        """
        part = self.get("tta", self) if tta else self
        calibration = part.get("calibration") or {}
        return Plan(_side(part), self.get("vessel width"), tta, calibration.get("temperature", 1.0),
                    calibration.get("bias", 0.0), part["threshold"] if threshold is None else threshold,
                    pens_in(self, pen))


def shas_of(parts):
    """Returns the SHA-256 of all photographs of a set, given its `parts` as a card has them."""
    return {sha for part in parts.values() for sha in part.values()}


def pens_in(card, chosen=None):
    """Returns the Pens of a card, or of so much of it as is known, of which one was `chosen`."""
    return Pens(card.get("pens"), card.get("habit", 0.0), card.get("picture sizes", {}),
                tuple(card.get("fov sides") or ()) or None, chosen)


def _side(part):
    """Returns the side in a card or in its `tta`; earlier cards hold it in a list, `sides`."""
    if "side" in part or not part.get("sides"):
        return part.get("side", SIDE_WITHOUT_CARD)
    return part["sides"][len(part["sides"]) // 2]


def _number(value, low, high):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def _checks(card):
    """Yields (name of something in a card, whether it is usable) for all that prediction and testing take."""
    for part, of in ((card, ""), (card.get("tta", card), " for --tta")):
        sound = isinstance(part, dict)
        yield f"threshold{of}", sound and _number(part.get("threshold"), 0, 1)
        yield f"side of the square{of}", isinstance(part.get("sides", []), list) and \
            isinstance(_side(part), int) and _number(_side(part), 1, 4096)
        calibration = part.get("calibration") or {}
        yield f"calibration{of}", isinstance(calibration, dict) and \
            _number(calibration.get("temperature", 1), 1e-3, 1e3) and \
            _number(calibration.get("bias", 0), -1e3, 1e3)
    width, sides = card.get("vessel width"), card.get("fov sides", [1, 1])
    yield "vessel width", width is None or _number(width, 0.1, 100)
    yield "range of FOV sides", isinstance(sides, list) and len(sides) == 2 and \
        all(_number(side, 1, 1e5) for side in sides)
    pens, sizes = card.get("pens", {}), card.get("picture sizes", {})
    yield "pens", isinstance(pens, dict) and _number(card.get("habit", 0), -0.01, 0.01) and \
        all(_number(pen, -0.01, 0.01) for pen in pens.values())
    yield "sizes of pictures", isinstance(sizes, dict) and all(
        isinstance(own, list) and all(isinstance(size, list) and len(size) == 2 for size in own)
        for own in sizes.values())
    sets, least = card.get("data", {}), card.get("photographs", {})
    yield "list of photographs", isinstance(sets, dict) and all(
        isinstance(parts, dict) and all(
            isinstance(part, dict) and all(isinstance(sha, str) for sha in part.values())
            for part in parts.values())
        for parts in sets.values())
    yield "limits for photographs", isinstance(least, dict) and \
        all(_number(value, 0, 1e9) for value in least.values())
