"""What vessels are segmented for: measures of one mask inside its field of view (FOV).

    measures(mask, fov) -> {key: number}      ABOUT[key] -> what the number is, and who defined it

Lengths are given in pixels (`_px`) and as a share of the FOV's diameter (`_share`), so that cameras can be
compared. What is not defined is NaN: everything in an empty FOV; widths, dimension and tortuosity where there
is no vessel.
"""

import numpy as np

from photographs.skeleton import Skeleton
from photographs.square import box_of

# A side of the FOV. Boxes of a 256th of its diameter would lie inside wide vessels and count their area.
COARSEST_BOXES, FINEST_BOXES = 8, 128
# Of the FOV's diameter. In a shorter segment arc over chord is about pixels, not about the vessel. A network
# draws separate pieces this short by the dozen, the observers of DRIVE and CHASE_DB1 draw none.
SHORTEST_SHARE = 0.02
# Of the FOV's diameter, and px. The pixels' stairs add up to 8 % to a straight arc; smoothed, under 0.5 %.
SMOOTHING_SHARE, LEAST_SMOOTHING = 0.004, 2.0

_WIDTH = ("vessel width over the skeleton's pixels, each the distance between the vessel's two edges across "
          "it (distance transform on the medial axis, Blum 1967), pixels nearer to a free end than that left "
          "out")
_SHARE = "as a share of the FOV's diameter"
ABOUT = {
    "fov_diameter_px": "Larger side of the FOV's bounding box, which stays the diameter where top and bottom"
                       " are cut off (this project's choice; the side of the network's square).",
    "vessel_density": "Vessel pixels in the FOV over pixels of the FOV (Zhou et al. 2022, AutoMorph).",
    "skeleton_length_px": "Length of the thinned mask (Lee, Kashyap and Chu 1994), without spurs that are no"
                          " longer than the vessel is wide and separate pieces of up to 2 % of the FOV's "
                          "diameter, which count in no measure of the skeleton; a straight step counts 1, a "
                          "diagonal one sqrt 2 (Freeman 1970): exact at 0 and 45 degrees, up to 8 % too long"
                          " between.",
    "skeleton_length_share": f"skeleton_length_px {_SHARE}.",
    "width_mean_px": f"Mean {_WIDTH}.",
    "width_q1_px": f"First quartile of the {_WIDTH}.",
    "width_median_px": f"Median {_WIDTH}.",
    "width_q3_px": f"Third quartile of the {_WIDTH}.",
    "width_mean_share": f"width_mean_px {_SHARE}.",
    "width_q1_share": f"width_q1_px {_SHARE}.",
    "width_median_share": f"width_median_px {_SHARE}.",
    "width_q3_share": f"width_q3_px {_SHARE}.",
    "fractal_dimension": "Box-counting dimension of the mask: slope of log(boxes with vessel) on log(1 / "
                         "side), sides of 1/8, 1/16, 1/32, 1/64 and 1/128 of the FOV's diameter, at least a "
                         "pixel (Mainster 1990).",
    "tortuosity": "Arc over chord (Lotmar et al. 1979; Hart et al. 1999), mean over the skeleton's segments "
                  "between branch or end points that are longer than 2 % of the FOV's diameter, loops left "
                  "out; the centrelines are smoothed by 0.4 % of the diameter, at least 2 px.",
    "branch_points": "Skeleton points where three or more segments meet (Martinez-Perez et al. 2002); those "
                     "joined by a segment no longer than the vessel is wide count once, so a steep crossing "
                     "is one.",
    "end_points": "Skeleton points with one neighbour (Martinez-Perez et al. 2002), also where the FOV's "
                  "edge cuts a vessel.",
}


def measures(mask, fov):
    """Returns every measure of ABOUT, in its order, as floats.

    mask: (H, W) bool, vessels; those outside the FOV are ignored. fov: (H, W) bool. Raises ValueError if the
    two differ in shape. Without any vessel density, lengths and counts are 0 and the rest is NaN; a mask of
    nothing but short pieces has neither width nor tortuosity.
    """
    if mask.shape != fov.shape:
        raise ValueError(f"mask {mask.shape} and FOV {fov.shape} must have one shape.")
    found = dict.fromkeys(ABOUT, float("nan"))
    if not fov.any():
        return found
    rows, columns = box_of(fov)
    diameter = max(rows.stop - rows.start, columns.stop - columns.start)
    mask = mask & fov
    found.update(fov_diameter_px=diameter, vessel_density=mask.sum() / fov.sum(),
                 skeleton_length_px=0, branch_points=0, end_points=0)
    if mask.any():
        skeleton = Skeleton(mask, SHORTEST_SHARE * diameter)
        found.update(of_skeleton(skeleton, diameter),
                     fractal_dimension=fractal_dimension(mask, (rows.start, columns.start), diameter))
    for key in found:
        if key.endswith("_share"):
            found[key] = found[key.replace("_share", "_px")] / diameter
    return {key: float(value) for key, value in found.items()}


def of_skeleton(skeleton, diameter):
    """Returns the measures that are taken of a Skeleton; `diameter` of the FOV in px."""
    widths = skeleton.widths[~skeleton.near_free_ends()]
    smoothing = max(LEAST_SMOOTHING, SMOOTHING_SHARE * diameter)
    junctions = skeleton.junctions()
    long = [segment for segment, steps in zip(skeleton.segments, skeleton.steps, strict=True)
            if steps.sum() > SHORTEST_SHARE * diameter]
    # A loop has no chord.
    no_loops = [segment for segment in long if junctions[segment[0]] != junctions[segment[-1]]]
    bends = [np.divide(*skeleton.arc_and_chord(segment, smoothing)) for segment in no_loops]
    quartiles = "width_q1_px", "width_median_px", "width_q3_px"
    found = {"skeleton_length_px": skeleton.lengths.sum(), "end_points": (skeleton.degrees == 1).sum(),
             "branch_points": len(np.unique(junctions[skeleton.degrees > 2]))}
    if bends:
        found["tortuosity"] = np.mean(bends)
    if widths.size:
        found["width_mean_px"] = widths.mean()
        found.update(zip(quartiles, np.percentile(widths, (25, 50, 75)), strict=True))
    return found


def fractal_dimension(mask, corner, diameter):
    """Returns the slope of log(boxes with vessel) on log(boxes a side); NaN in an FOV of under 32 px.

    The square of `diameter` px from `corner` (top, left) is cut into n x n boxes, n = 8, 16, ... 128, of at
    least a pixel each. At least three numbers of boxes make a slope.
    """
    side = min(FINEST_BOXES, 2 ** int(np.log2(diameter)))
    if side < 4 * COARSEST_BOXES:
        return float("nan")
    (top, left), number = corner, np.arange(side)
    boxes = mask[top:top + diameter, left:left + diameter].view(np.uint8)
    # All that a pixel touches, also where two boxes share it: enlarging a mask changes no count.
    first, beyond = number * diameter // side, -((number + 1) * diameter // -side)
    parts = np.stack([first, beyond], axis=1).ravel()[:-1]
    for _ in range(2):
        boxes = np.pad(boxes, ((0, diameter - len(boxes)), (0, 0)))  # beyond the photograph
        boxes = np.bitwise_or.reduceat(boxes, parts)[::2].T
    sides, counts = [], []
    while side >= COARSEST_BOXES:
        sides.append(side)
        counts.append(np.count_nonzero(boxes))
        side //= 2
        boxes = boxes.reshape(side, 2, side, 2).any(axis=(1, 3))
    return np.polyfit(np.log(sides), np.log(counts), 1)[0]
