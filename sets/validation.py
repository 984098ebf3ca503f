"""Which photographs a model was validated on: its card knows them by their content, wherever they lie now.

    photographs = validation_of(everyone, folders, card)       for testing.py --split validation
"""

from card import shas_of
from running.command import Problem, complain, with_example
from running.files import sha256


def validation_of(everyone, folders, card):
    """Returns those of all photographs in `folders` on which the model of this Card was validated.

    Says how many were learned from as well, and how many are gone or changed. Raises Problem if none is left.
    """
    sums, parts = {photograph: sha256(photograph.path) for photograph in everyone}, card.parts_met()
    found, learned = ([own for own, digest in sums.items() if parts.get(digest) == part]
                      for part in ("validation", "both"))
    left_out = learned and with_example([own.path for own in learned], "validation photograph", "left out, "
                                        "from which this model or one that it started from has learned")
    if not found:
        raise Problem(f"{', '.join(map(str, folders))}: none of the model's validation photographs is here. "
                      "Give the data it was trained with." + (f" ({left_out})" if learned else ""))
    gone, count = gone_since(card.get("data", {}), set(sums.values()))
    if learned:
        complain(left_out)
    if gone:
        complain(with_example(gone, "validation photograph",
                              f"of {count} left out: gone or changed since the training"))
    return found


def gone_since(data, here):
    """Returns the validation photographs of a card's `data` whose sums are not among `here`, and of how many.

    They are of those of its sets of which at least one photograph is here.
    """
    known = {f"{name}/{photograph}": digest for name, parts in data.items()
             if shas_of(parts) & here
             for photograph, digest in parts.get("validation", {}).items()}
    return [name for name, digest in known.items() if digest not in here], len(known)
