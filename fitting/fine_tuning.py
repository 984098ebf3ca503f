"""Fine-tuning, --init: how far the weights go from the first ones, and what a card still knows of those.

A fit to a few photographs forgets others. The weights that are kept are therefore a mean of the first and the
fine-tuned ones, with the smallest share of the latter that is as good on the validation photographs as any
(WiSE-FT: Wortsman et al. 2022, arXiv 2109.01903; docs/fine-tuning.md has what it is worth).
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

import samples
from card import Card, Plan, pens_in, shas_of
from checkpoint import load_network
from fitting.best_pen import as_before
from fitting.threshold import as_used, examples_of, right_at_best, smallest_within, tune
from model import shape_of, unet
from photographs.reading import read_photograph
from prediction.pen import HABIT
from running.command import complain, with_example
from sets.licences import licences_of

PENS = ("pens", "habit")  # keys of a card that one without pens lacks
PREDICTS = ("side", "vessel width", "threshold", "threshold chosen", "calibration", "validation Dice by side",
            "tta")  # keys of a card that say how a photograph is predicted
SHARES = (0, 0.25, 0.5, 0.75, 1)
TOLERANCE = 0.002  # of what is right on the new photographs, given up where others could be forgotten


def card_of(init, shape, data):
    """Returns the Card of the model `init`, empty if there is none, as a run that broke off leaves it.

    Warns if that model has learned from photographs of the validation part of `data`, as a card has it.
    Raises Problem if the card cannot be used.
    """
    path = Path(init).with_suffix(".json")
    card = Card.read(path, *shape) if path.is_file() else Card()
    if learned := learned_before(card, data):
        complain(f"{init} has learned from {with_example(learned, 'photograph')} of those kept aside here: "
                 "their scores will be too good, and the card says so. To keep the same aside as there, give "
                 "augment.py the --seed and --validation that its pairs had; if photographs were added, "
                 "these draw others, so put those of then into val/.")
    known = card.get("data", {})
    for name in sorted(card.get("pens", {}).keys() & data.keys()):
        if not shas_of(known.get(name, {})) & shas_of(data[name]):
            complain(f"{init} has learned from other photographs of a set called {name}, and will draw them "
                     "with the pen of these. If they are of another camera, give its folder another name and "
                     "run augment.py again.")
    return card


def learned_before(card, data):
    """Returns the names of validation photographs of `data` that a card's model has learned from."""
    met = card.parts_met()
    return [name for parts in data.values() for name, sha in parts.get("validation", {}).items()
            if met.get(sha) in ("train", "both")]


def fine_tuned(init, first, last, card, predictor_of, validation, shared=()):
    """Returns the network to keep and its Card: a mean of both, or the first as it was if that is better.

    init: file of the first model. first: its Card. last, card: the fine-tuned network and what its Card says
    before anything is chosen. predictor_of: (network, Plan) -> Predictor. shared: see `cameras_of`.
    """
    start, learned = load_network(init), learned_before(first, card["data"])
    knew = renamed_as(first, card["data"])
    means = {share: (mean_of(start, last, share), cameras_of(knew, card, share, shared)) for share in SHARES}
    examples = list(examples_of(validation))  # read once for all shares
    right = {share: right_at_best(predictor_of(network, Plan(pens=pens_in(known))), examples)
             for share, (network, known) in means.items()}
    del examples  # some hundred MB, which `tune` will want
    forgets = knew.get("data", {}).keys() - card["data"].keys()
    share = smallest_within(right, TOLERANCE if forgets else 0)
    network, known = means[share]
    card = Card({key: value for key, value in card.items() if key not in PENS} | known
                | learned_from(first, card["data"]))
    if predicts_as_before(first, known, forgets):
        card = as_before(lambda plan: predictor_of(network, plan),
                         Card(card | {key: first[key] for key in PREDICTS if key in first}), validation)
    else:
        card |= tune(predictor_of(network, Plan(pens=pens_in(card))), validation)
    now = as_used(predictor_of(network, card.plan()), validation)
    before = as_used(predictor_of(start, first.plan()), validation) if first else None
    if first and is_worse(now, before):
        network, card, share = start, Card(first), 0
    by_share = {str(key): round(value, 4) for key, value in right.items()}
    card["fine-tuning"] = {"share": share, "right by share": by_share, **rounded(now, ""),
                           **rounded(before or (None, None), " before"),
                           "kept": in_words(init, share, now, before), "learned before": len(learned)}
    return network, card


def predicts_as_before(first, known, forgets):
    """Returns whether the first model's threshold stays: it knew other cameras, and pens are known of all."""
    return bool(forgets) and "pens" in known and {"pens", "tta"} <= first.keys()


def is_worse(now, before):
    """Returns whether fine-tuning made a model worse, of (right centrelines, Dice) each.

    By Dice on corrected masks the first one is better, since it drew their edges. Where it is not even that,
    whoever corrected them made vessels thinner or thicker, and the pen was learned.
    """
    return before[0] > now[0] and before[1] >= now[1]


def rounded(found, when):
    """Returns what a card says of (right centrelines, Dice), numbers or None."""
    return {f"{key}{when}": value and round(value, 4)
            for key, value in zip(("right", "dice"), found, strict=True)}


def in_words(init, share, now, before):
    """Returns what became of the first model, of (right centrelines, Dice) of each, as sentences."""
    (right, dice), (right_before, dice_before) = now, before or (None, None)
    if before and is_worse(now, before):
        return (f"On the photographs kept aside {right_before:.2%} of the centrelines are right with {init} "
                f"and {right:.2%} fine-tuned, Dice {dice_before:.4f} and {dice:.4f}, so that model is kept "
                "as it was.")
    weights = f"{share:.0%} of the way from the first weights to the fine-tuned ones are kept" if share else \
        "Fine-tuned weights are not better, so the first ones are kept, with a new pen or threshold"
    had = f", with {init} {right_before:.2%}" if before else ""
    said = f"{weights}. On the photographs kept aside {right:.2%} of the centrelines are right{had}."
    if before and dice > dice_before:
        said += f" Vessels are drawn more as in their masks: Dice {dice:.4f}, with {init} {dice_before:.4f}."
    return said


def mean_of(first, last, share):
    """Returns a network of the mean weights, `share` of `last`; moving statistics are averaged too."""
    network = unet(*shape_of(last))
    network.set_weights([(1 - share) * before + share * after for before, after
                         in zip(first.get_weights(), last.get_weights(), strict=True)])
    return network


def shared_sizes(photographs):
    """Returns the sizes, [width, height] in px, of pictures that several sets of these photographs have."""
    if len({own.set for own in photographs}) < 2:
        return []
    sets = defaultdict(set)
    for own in photographs:
        sets[read_photograph(own.path).shape[1::-1]].add(own.set)
    return [list(size) for size, names in sets.items() if len(names) > 1]


def cameras_of(first, seen, share, shared=()):
    """Returns what a card says of cameras: those of the `first` card and those `seen` by the fine-tuned one.

    A size of pictures that both have, or several new ones, the `shared`, no longer tells the first one's.
    A first model without pens has learned its observers' own, of which the mean keeps its part. Their cameras
    are drawn as it learned to.
    """
    found = {key: seen[key] for key in PENS if key in seen}
    if "pens" in first and found:
        found = {"pens": first["pens"] | seen["pens"],
                 "habit": (1 - share) * first.get("habit", HABIT) + share * seen["habit"]}
    elif first and found:
        less = (1 - share) * float(np.median([*seen["pens"].values()]))
        found = {"pens": dict.fromkeys(first.get("picture sizes", {}), 0.0)
                 | {name: share * pen for name, pen in seen["pens"].items()},
                 "habit": seen["habit"] - less} if share else {}
    known, new = first.get("picture sizes", {}), seen["picture sizes"]
    taken = [*shared, *(size for sizes in new.values() for size in sizes)]
    sizes = {name: [size for size in known.get(name, []) if size not in taken] + new.get(name, [])
             for name in {**known, **new}}
    least, sides = first.get("photographs", {}), first.get("fov sides") or seen["fov sides"]
    return found | {
        "fov sides": [min(sides[0], seen["fov sides"][0]), max(sides[1], seen["fov sides"][1])],
        "picture sizes": sizes,
        "photographs": {key: min(value, least.get(key, value)) for key, value in seen["photographs"].items()}}


def renamed_as(first, data):
    """Returns a first Card in which sets have the names that `data` gives them by now, as a card has it.

    Such a set is one all of whose photographs are in one of `data`, while neither knows the other's name.
    """
    known, names = first.get("data", {}), {}
    for old in sorted(known.keys() - data.keys()):
        met = shas_of(known[old])
        new = next((name for name in sorted(data.keys() - known.keys())
                    if met and met <= shas_of(data[name])), old)
        names[old] = old if new in names.values() else new
    return Card(first | {key: {names.get(name, name): value for name, value in first[key].items()}
                         for key in ("data", "pens", "picture sizes") if key in first})


def learned_from(first, data):
    """Returns `data` and `licence` of the card of a model that has learned from `data` after a first one."""
    licensed = {*first.get("data", {}), *data}  # a set that was renamed keeps its licence
    known = renamed_as(first, data).get("data", {})
    data = {name: {part: both(known.get(name, {}).get(part, {}), data.get(name, {}).get(part, {}))
                   for part in ("train", "validation")} for name in sorted({*known, *data})}
    drawn = shas_of(data.get("samples", {})) <= samples.sums()
    return {"data": data, "licence": licences_of(licensed, drawn)}


def both(known, new):
    """Returns {photograph: sha256} of two such; one of `known` whose name is another's now gets its sha."""
    return {f"{name} {sha[:8]}" if new.get(name, sha) != sha else name: sha
            for name, sha in known.items()} | new
