"""What the doctor finds when it reads all files of a set: rows of its table, and what is wrong.

    rows, wrong, remarks = examine(found, pixels)     of a Set
    sentences = duplicates(pixels)                    photographs that are there under two names
"""

from hashlib import sha256

from photographs.fov import fov_of
from photographs.labelled import vessels_of
from photographs.quality import looked_over
from photographs.reading import read_photograph, summed_up
from running.command import Problem
from sets.leaks import in_several_parts, same_photograph


def examine(found, pixels):
    """Reads all files of a Set.

    pixels: {sum of the pixels: photographs} of all sets; those of this one are added. Returns a row of the
    table for each split, what is wrong, and what is to be known, as sentences.
    """
    rows, remarks = [], []
    wrong = [*found.problems, *in_several_parts(found.photographs)]
    for split, photographs in found.by_split().items():
        sizes = _read(photographs, wrong, remarks, pixels)
        shown = ", ".join(f"{width} x {height}" for width, height in sizes[:3])
        rows.append({"set": found.name, "split": split if split != "all" else "(none)",
                     "photographs": len(photographs),
                     "patients": len({photograph.patient for photograph in photographs}),
                     "masks": sum(photograph.mask is not None for photograph in photographs),
                     "second observer": sum(photograph.second is not None for photograph in photographs),
                     "FOVs": sum(photograph.fov is not None for photograph in photographs) or "found",
                     "width x height": shown + ", ..." * (len(sizes) > 3)})
    return rows, wrong, summed_up(remarks)


def _read(photographs, wrong, remarks, pixels):
    """Reads the photographs and their masks. Returns the sizes, [(width, height)]; adds to the others."""
    sizes = set()
    for photograph in photographs:
        try:
            rgb = read_photograph(photograph.path, remarks)
            sizes.add((rgb.shape[1], rgb.shape[0]))
            pixels[sha256(rgb).hexdigest()].append(photograph)
            fov, own = fov_of(photograph, rgb), None
            for mask in filter(None, (photograph.mask, photograph.second)):
                drawn = vessels_of(mask, photograph.path, rgb, fov, remarks)
                own = drawn if mask == photograph.mask else own
            remarks += [(photograph.path, f"is warned of: {warning}")
                        for warning in looked_over(rgb, fov, own)]
        except Problem as problem:
            wrong.append(str(problem))
    return sorted(sizes)


def duplicates(pixels):
    """Returns sentences on photographs of the same pixels: {sum of the pixels: photographs} of all sets."""
    return [same_photograph(photograph.path for photograph in alike)
            for alike in pixels.values() if len(alike) > 1]
