"""What vessels are segmented for: measures of one mask inside its field of view (FOV).

    measures(mask, fov) -> {key: number}      ABOUT[key] -> what the number is, and who defined it

Lengths come in pixels (`_px`) and as a share of the FOV's diameter (`_share`), so that cameras compare.
What is not defined is NaN: everything in an empty FOV; widths, dimension and tortuosity where there is no vessel.
"""

from collections import defaultdict
from itertools import product
from operator import itemgetter

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

COARSEST_BOXES, FINEST_BOXES = 8, 128  # a side: below D / 128 a box lies inside a wide vessel and counts its area
# of the FOV's diameter: arc over chord of a few pixels is about the pixels, not the vessel; separate pieces so short a
# network draws by the dozen, the observers of DRIVE and CHASE_DB1 none
SHORTEST_SHARE = 0.02
# of the FOV's diameter, and px: the pixels' stairs would add up to 8 % to a straight arc, smoothed under 0.5 %
SMOOTHING_SHARE, LEAST_SMOOTHING = 0.004, 2.0

_WIDTH = ("vessel width over the skeleton's pixels, each the distance between the vessel's two edges across it "
          "(distance transform on the medial axis, Blum 1967), pixels nearer to a free end than that left out")
_SHARE = "as a share of the FOV's diameter"
ABOUT = {
    "fov_diameter_px": "Larger side of the FOV's bounding box, which stays the diameter where top and bottom are cut "
                       "off (this project's choice; the side of the network's square).",
    "vessel_density": "Vessel pixels in the FOV over pixels of the FOV (Zhou et al. 2022, AutoMorph).",
    "skeleton_length_px": "Length of the thinned mask (Lee, Kashyap and Chu 1994), without spurs that are no longer than "
                          "the vessel is wide and separate pieces of up to 2 % of the FOV's diameter, which count in "
                          "no measure of the skeleton; a straight step counts 1, a diagonal one sqrt 2 (Freeman "
                          "1970): exact at 0 and 45 degrees, up to 8 % too long between.",
    "skeleton_length_share": f"skeleton_length_px {_SHARE}.",
    "width_mean_px": f"Mean {_WIDTH}.",
    "width_q1_px": f"First quartile of the {_WIDTH}.",
    "width_median_px": f"Median {_WIDTH}.",
    "width_q3_px": f"Third quartile of the {_WIDTH}.",
    "width_mean_share": f"width_mean_px {_SHARE}.",
    "width_q1_share": f"width_q1_px {_SHARE}.",
    "width_median_share": f"width_median_px {_SHARE}.",
    "width_q3_share": f"width_q3_px {_SHARE}.",
    "fractal_dimension": "Box-counting dimension of the mask: slope of log(boxes with vessel) on log(1 / side), sides "
                         "of 1/8, 1/16, 1/32, 1/64 and 1/128 of the FOV's diameter, at least a pixel (Mainster 1990).",
    "tortuosity": "Arc over chord (Lotmar et al. 1979; Hart et al. 1999), mean over the skeleton's segments between "
                  "branch or end points that are longer than 2 % of the FOV's diameter, loops left out; the "
                  "centrelines are smoothed by 0.4 % of the diameter, at least 2 px.",
    "branch_points": "Skeleton points where three or more segments meet (Martinez-Perez et al. 2002); those joined by "
                     "a segment no longer than the vessel is wide count once, so a steep crossing is one.",
    "end_points": "Skeleton points with one neighbour (Martinez-Perez et al. 2002), also where the FOV's edge cuts "
                  "a vessel.",
}


def measures(mask, fov):
    """Every measure of ABOUT, in its order, as floats.

    mask: (H, W) bool, vessels; what lies outside the FOV is ignored. fov: (H, W) bool, at least one size with `mask`.
    Raises ValueError if the two differ in shape. No vessel gives density, lengths and counts of 0, the rest NaN;
    a mask of nothing but short pieces has neither width nor tortuosity.
    """
    if mask.shape != fov.shape:
        raise ValueError(f"mask {mask.shape} and FOV {fov.shape} must have one shape.")
    found = dict.fromkeys(ABOUT, float("nan"))
    if not fov.any():
        return found
    corner, diameter = fov_box(fov)
    mask = mask & fov
    found.update(fov_diameter_px=diameter, vessel_density=mask.sum() / fov.sum(),
                 skeleton_length_px=0, branch_points=0, end_points=0)
    if mask.any():
        skeleton = Skeleton(mask, SHORTEST_SHARE * diameter)
        found.update(of_skeleton(skeleton, diameter), fractal_dimension=fractal_dimension(mask, corner, diameter))
    for key in found:
        if key.endswith("_share"):
            found[key] = found[key.replace("_share", "_px")] / diameter
    return {key: float(value) for key, value in found.items()}


def fov_box(fov):
    """((top, left), diameter) of a FOV (H, W) bool with at least one pixel: the larger side of its bounding box, px."""
    rows, columns = (np.flatnonzero(fov.any(axis=axis)) for axis in (1, 0))
    return (rows[0], columns[0]), max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1


def of_skeleton(skeleton, diameter):
    """The measures that are taken on a Skeleton; `diameter` of the FOV in px."""
    widths = skeleton.widths[~skeleton.near_free_ends()]
    smoothing = max(LEAST_SMOOTHING, SMOOTHING_SHARE * diameter)
    junctions = skeleton.junctions()
    long = [segment for segment, steps in zip(skeleton.segments, skeleton.steps, strict=True)
            if steps.sum() > SHORTEST_SHARE * diameter]
    opened = [segment for segment in long if junctions[segment[0]] != junctions[segment[-1]]]  # a loop has no chord
    bends = [np.divide(*skeleton.arc_and_chord(segment, smoothing)) for segment in opened]
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
    """Slope of log(boxes with vessel) on log(boxes a side), NaN with fewer than three sizes of box (FOV under 32 px).

    The square of `diameter` px from `corner` (top, left) is cut into n x n boxes, n = 8, 16, ... 128, never under 1 px.
    """
    side = min(FINEST_BOXES, 2 ** int(np.log2(diameter)))
    if side < 4 * COARSEST_BOXES:
        return float("nan")
    boxes = np.zeros((side, side), bool)
    spans = [(pixels - start, pixels - start + 1) for pixels, start in zip(np.nonzero(mask), corner, strict=True)]
    rows, columns = ((first * side // diameter, (end * side - 1) // diameter) for first, end in spans)
    for touched in product(rows, columns):  # every box that a pixel touches, so that enlarging a mask changes no count
        boxes[touched] = True
    sides, counts = [], []
    while side >= COARSEST_BOXES:
        sides.append(side)
        counts.append(boxes.sum())
        side //= 2
        boxes = boxes.reshape(side, 2, side, 2).any(axis=(1, 3))
    return np.polyfit(np.log(sides), np.log(counts), 1)[0]


def widths_at(points, mask):
    """Vessel width in px at skeleton points (N, 2) int of `mask` (H, W) bool with a margin of at least one empty pixel.

    Twice the distance to the nearest pixel outside is a pixel too much where the width is odd, and right where it is
    even, as the skeleton then lies beside the middle. So both sides are measured: to the nearest pixel outside and,
    from one pixel further across the vessel, to the nearest on the other side. The vessel's edges lie half a pixel step
    before these two. Upright bars: exact. Slanting bars of 2 to 20 px: 0.2 px off on average (too narrow), at most 0.6.
    """
    outside = cKDTree(np.argwhere((cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~mask))
    distance, nearest = outside.query(points)
    across = (points - outside.data[nearest]) / distance[:, None]
    opposite, _ = outside.query(points + across)
    return distance + 1 + opposite - np.abs(across).max(axis=1)


class Skeleton:
    """The centrelines of a mask as a graph of pixels, without the spurs that thinning leaves and without short pieces.

    points (N, 2) int: row and column; widths (N,): vessel width there, px; links (E, 2) int: neighbouring points;
    lengths (E,): 1 or sqrt 2; degrees (N,): neighbours a point has; segments: arrays of point numbers, each from one
    end or branch point to the next; steps: for each segment the lengths of the steps to its points, 0 to the first. Rings
    without a branch have links but no segment.
    """

    def __init__(self, mask, shortest=0):
        """mask: (H, W) bool with at least one vessel pixel. shortest: pieces of at most this length, px, are left out."""
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        mask = np.pad(mask[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1], 1)
        # not the default, Zhang's: of some diagonal bars of even width it leaves a single pixel
        self.points = np.argwhere(skeletonize(mask, method="lee"))
        self.widths = widths_at(self.points, mask)
        self._number = np.full(mask.shape, -1, np.int32)
        self._connect()
        while (spurs := self._spurs()).any():
            self._leave_out(spurs)
        self._leave_out(self._piece_lengths() <= shortest)

    def _leave_out(self, points):
        """points: (N,) bool."""
        self._number[tuple(self.points[points].T)] = -1
        self.points, self.widths = self.points[~points], self.widths[~points]
        self._connect()

    def _joined_by(self, links):
        """(N,) int: a number for each point, one number for those that `links` (E, 2) join."""
        graph = coo_array((np.ones(len(links)), links.T), shape=2 * (len(self.points),))
        return connected_components(graph, directed=False)[1]

    def _piece_lengths(self):
        """(N,) float: the length of the connected piece that a point belongs to, px."""
        pieces = self._joined_by(self.links)
        return np.bincount(pieces[self.links[:, 0]], self.lengths, minlength=len(self.points))[pieces]

    def _connect(self):
        """Link neighbours; diagonally only where no two straight steps lead the same way, or corners were triangles."""
        rows, columns = self.points.T
        number = self._number
        number[rows, columns] = np.arange(len(rows))
        links, lengths = [], []
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
            there = number[rows + down, columns + right] >= 0
            if down and right:
                there &= (number[rows + down, columns] < 0) & (number[rows, columns + right] < 0)
            links.append(np.stack([np.flatnonzero(there), number[rows + down, columns + right][there]], axis=1))
            lengths.append(np.full(there.sum(), np.hypot(down, right)))
        self.links, self.lengths = np.concatenate(links), np.concatenate(lengths)
        self.degrees = np.bincount(self.links.ravel(), minlength=len(rows))
        self.segments = self._trace()
        points = self.points[np.concatenate([np.empty(0, int), *self.segments])]
        steps = np.hypot(*np.diff(points, axis=0, prepend=0).T)
        starts = np.cumsum([0, *map(len, self.segments)])
        steps[starts[:-1]] = 0
        self.steps = np.split(steps, starts[1:])[:-1]

    def _trace(self):
        pairs = np.concatenate([self.links, self.links[:, ::-1]])
        to = pairs[np.argsort(pairs[:, 0], kind="stable"), 1].tolist()
        first = np.concatenate([[0], np.cumsum(self.degrees)]).tolist()
        inner = (self.degrees == 2).tolist()
        segments, met = [], set()
        for start in np.flatnonzero(self.degrees != 2).tolist():
            for here in to[first[start]:first[start + 1]]:
                if (start, here) in met:
                    continue
                path = [start, here]
                while inner[here]:
                    one, other = to[first[here]:first[here] + 2]
                    here = other if one == path[-2] else one
                    path.append(here)
                met.add((here, path[-2]))  # from its other end it is not walked again
                segments.append(np.array(path))
        return segments

    def _from_free_ends(self):
        """(segment, distance of its points from the free end) for each free end; a segment has none, one or two."""
        for segment, steps in zip(self.segments, self.steps, strict=True):
            if self.degrees[segment[0]] == 1:
                yield segment, np.cumsum(steps)
            if self.degrees[segment[-1]] == 1:
                yield segment[::-1], np.cumsum(np.roll(steps[::-1], 1))

    def _spurs(self):
        """(N,) bool: points of segments with a free end that are no longer than the vessel is wide.

        The shortest go first and two segments stay at a branch: a rough, wide vessel loses its spurs, not its own end.
        """
        found = defaultdict(list)
        for segment, distance in self._from_free_ends():
            if distance[-1] <= self.widths[segment].max():
                found[segment[-1]].append((distance[-1], segment[:-1]))
        spurs = np.zeros(len(self.points), bool)
        for root, short in found.items():
            short.sort(key=itemgetter(0))
            for _, points in short[:max(1, self.degrees[root] - 2)]:
                spurs[points] = True
        return spurs

    def near_free_ends(self):
        """(N,) bool: points nearer to a free end than the vessel is wide; there the skeleton runs into a corner."""
        near = np.zeros(len(self.points), bool)
        for segment, distance in self._from_free_ends():
            near[segment[distance < self.widths[segment]]] = True
        return near

    def arc_and_chord(self, segment, smoothing):
        """Length along the centreline, smoothed by a Gaussian of `smoothing` px, and between its two ends, px."""
        window = 2 * round(4 * smoothing) + 1
        line = cv2.GaussianBlur(self.points[segment].astype(float), (1, window), smoothing, borderType=cv2.BORDER_REPLICATE)
        return np.hypot(*np.diff(line, axis=0).T).sum(), np.hypot(*(line[-1] - line[0]))

    def junctions(self):
        """(N,) int: a number for each point, one number for branch points that are one.

        Those are one that a segment joins which is no longer than the vessel is wide at one of its ends.
        """
        branches = self.degrees > 2
        ends = np.array([segment[[0, -1]] for segment in self.segments], int).reshape(-1, 2)
        short = np.array([steps.sum() for steps in self.steps]) <= self.widths[ends].max(axis=1)
        joined = ends[branches[ends].all(axis=1) & short]
        return self._joined_by(joined)
