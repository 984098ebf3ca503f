"""The vessels of a made eye: paths that leave the disc, taper, branch and keep out of each other's way.

Lengths are in units of the FOV's radius in a 45 degree photograph; x runs from the disc to the fovea, y
downwards. The numbers were fitted to DRIVE's first observer: vessels are .13 of the FOV, their centre lines
are 31 units long.
"""

import heapq
import math
from dataclasses import dataclass

import cv2
import numpy as np

ARTERY, VEIN = 0, 1
STEP = 0.014  # between two points of a path: 4 pixels in a DRIVE photograph
THINNEST = 0.0022  # a radius: vessels of 1.2 pixels
GRID, REACH = 256, 2.6  # the map of what is taken: cells a side, units a side
CROWDED = 0.30  # no vessel starts towards where more than this share is taken


@dataclass
class Vessel:
    """One unbranched path: points (N, 2), radii (N,) in units; `strength` scales how much light it takes."""

    points: np.ndarray
    radii: np.ndarray
    kind: int
    strength: float
    forks: bool = False


class Ground:
    """Where vessels lie already: growing ones turn away from the crowd and never run into their own kind."""

    def __init__(self, centre):
        self.corner = np.asarray(centre) - REACH / 2
        self.taken = np.zeros((2, GRID, GRID), np.uint8)
        self.crowd = np.zeros((GRID // 2, GRID // 2), np.float32)
        self.slope = np.zeros((2, GRID // 2, GRID // 2), np.float32)

    def cell(self, x, y):
        """Returns the (row, column) of a point; the edge's for points beyond it."""
        column, row = (x - self.corner[0]) * GRID / REACH, (y - self.corner[1]) * GRID / REACH
        return min(max(int(row), 0), GRID - 1), min(max(int(column), 0), GRID - 1)

    def take(self, vessel):
        cells = np.int32((vessel.points - self.corner) * GRID / REACH)
        cv2.polylines(self.taken[vessel.kind], [cells], False, 1, 2)
        # Crowding needs no detail: an eighth of the map a side, a blur of about .1 units.
        taken = self.taken.sum(0).astype(np.float32)
        crowd = cv2.resize(taken, (GRID // 8, GRID // 8), interpolation=cv2.INTER_AREA)
        self.crowd = cv2.resize(cv2.GaussianBlur(crowd, (0, 0), 1.2), (GRID // 2, GRID // 2))
        self.slope = np.stack([cv2.Sobel(self.crowd, cv2.CV_32F, *way) for way in ((1, 0), (0, 1))])

    def crowded(self, x, y):
        row, column = self.cell(x, y)
        return self.crowd[row // 2, column // 2]


@dataclass
class Eye:
    """What decides an eye's vessels. `view`: (x, y, radius) of the circle seen; the disc is at (0, 0)."""

    rng: np.random.Generator
    view: tuple
    fovea: tuple
    disc_radius: float = 0.15
    tortuosity: float = 1.0
    density: float = 1.0
    calibre: float = 1.0


def grow(eye):
    """Returns the vessels of an eye: first those that leave the disc, then their branches, widest first."""
    ground = Ground(eye.view[:2])
    grown, waiting = [], []
    for trunk in trunks(eye):
        ground.take(trunk)
        grown.append(trunk)
        sprout(eye, trunk, waiting)
    length = STEP * sum(len(trunk.points) for trunk in grown)
    # Widest first, so what the end of the budget leaves out are the thinnest.
    while waiting and length < 34 * eye.density * eye.view[2] ** 2:
        _, _, (x, y, heading, radius, kind) = heapq.heappop(waiting)
        limit = CROWDED if radius > 2 * THINNEST else 1.4 * CROWDED
        if ground.crowded(x + 0.13 * math.cos(heading), y + 0.13 * math.sin(heading)) > limit:
            continue
        vessel = path(eye, ground, x, y, heading, radius, kind)
        if vessel is None:
            continue
        length += STEP * len(vessel.points)
        ground.take(vessel)
        grown.append(vessel)
        sprout(eye, vessel, waiting)
    return grown


def trunks(eye):
    """Returns what leaves the disc: two arcades of an artery and a vein, pairs to the nasal side, twigs."""
    rng, found = eye.rng, []
    for side in (-1, 1):
        height, length = rng.uniform(0.50, 0.72), rng.uniform(0.9, 1.15)
        apart = rng.choice([-1, 1])
        for kind in (ARTERY, VEIN):
            width = eye.calibre * rng.uniform(*((0.0105, 0.0130) if kind == ARTERY else (0.0135, 0.0170)))
            shift = apart * (kind - 0.5) * rng.uniform(0.08, 0.24)
            found.append(arcade(eye, side, height + shift, length, kind, width))
            for _ in range(rng.integers(1, 3)):
                heading = side * math.radians(rng.uniform(95, 185))
                found.append(from_disc(eye, heading, kind, eye.calibre * rng.uniform(0.0055, 0.0105)))
    for _ in range(rng.integers(4, 8)):
        heading = math.radians(rng.uniform(-65, 65))
        found.append(from_disc(eye, heading, int(rng.integers(2)), eye.calibre * rng.uniform(0.0028, 0.0045)))
    return [vessel for vessel in found if vessel is not None]


def arcade(eye, side, height, length, kind, width):
    """Returns a main vessel: a spline over (`side` -1) or under the fovea, `height` away from its level."""
    rng = eye.rng
    knots = np.array([[-0.03, 0.02], [rng.uniform(-0.09, 0.05), 0.22], [rng.uniform(0.08, 0.24), 0.62],
                      [0.42, 0.96], [0.80, 1.02], [1.15, 0.86], [1.50, 0.66], [1.90, 0.52], [2.30, 0.45]])
    knots[:, 0] *= length
    knots[:, 1] *= height * side
    knots += rng.normal(0, 1, knots.shape) * np.linspace(0.012, 0.05, len(knots))[:, None]
    points = wobble(eye, spline(knots), 0.012 if kind == VEIN else 0.015)
    inside = np.hypot(points[:, 0] - eye.view[0], points[:, 1] - eye.view[1]) < eye.view[2] * 1.05
    points = points[: len(inside) - int(np.argmax(inside[::-1]))]
    # Every branch takes its share, Murray's way; along a trunk that comes to about half of the radius.
    radii = width * np.linspace(1, 0.42, max(160, len(points)))[: len(points)]
    return Vessel(points, radii, kind, rng.uniform(0.9, 1.1))


def spline(knots):
    """Returns a smooth curve through (K, 2) knots, as points STEP apart."""
    from scipy.interpolate import CubicSpline  # here: it would make --help take half a second longer

    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(knots, axis=0).T))])
    curve = CubicSpline(along, knots)
    fine = curve(np.linspace(0, along[-1], 800))
    run = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(fine, axis=0).T))])
    at = np.arange(0, run[-1], STEP)
    return np.stack([np.interp(at, run, fine[:, 0]), np.interp(at, run, fine[:, 1])], 1)


def wobble(eye, points, size):
    """Returns a path that sways by smooth noise with wave lengths of .1 to .5 units, `size` units strong."""
    noise = np.zeros(len(points))
    for reach, share in ((3, 0.25), (7, 0.6), (14, 1.0)):
        raw = cv2.GaussianBlur(eye.rng.normal(0, 1, (1, len(points))), (0, 0), reach)[0]
        noise += share * raw / max(raw.std(), 1e-6)
    along = np.gradient(points, axis=0)
    along /= np.hypot(along[:, 0], along[:, 1])[:, None] + 1e-9
    start = np.minimum(np.arange(len(points)) / 20, 1)
    sideways = (noise * start * size * eye.tortuosity)[:, None]
    return points + sideways * np.stack([-along[:, 1], along[:, 0]], 1)


def from_disc(eye, heading, kind, radius):
    """Returns a smaller vessel that leaves the disc on its own way."""
    start = eye.rng.normal(0, 0.02, 2) + [-0.02, 0]
    return path(eye, Ground(eye.view[:2]), start[0], start[1], heading, radius, kind)


def path(eye, ground, x, y, heading, radius, kind):
    """Returns a walk with momentum from (x, y) on, until its length is spent or something ends it.

    None if that is at once.
    """
    rng = eye.rng
    length = min(85 * radius / eye.calibre, 0.95) * rng.uniform(0.6, 1.4)
    steps = max(int(length / STEP), 6)
    restless = (3.0 + 0.030 / (radius + 0.002)) * eye.tortuosity
    turns = rng.normal(0, restless, steps)
    first, bend, points = heading, 0.0, [(x, y)]
    for step in range(steps):
        bend = 0.6 * bend + turns[step]
        row, column = ground.cell(x, y)
        if step > 5 and ground.taken[kind, row, column]:
            points.pop()
            break
        heading += STEP * (bend + steer(eye, ground, x, y, heading, first))
        x, y = x + STEP * math.cos(heading), y + STEP * math.sin(heading)
        if math.hypot(x - eye.view[0], y - eye.view[1]) > eye.view[2] * 1.04:
            break
        if math.hypot(x - eye.fovea[0], y - eye.fovea[1]) < 0.09:
            break
        points.append((x, y))
    if len(points) < 6:
        return None
    # A tapering path loses radius to its branches; the thinnest it may become is what a camera still shows.
    forks = radius > 1.6 * THINNEST and len(points) > steps // 2 and rng.random() < 0.6
    end = rng.uniform(0.5, 0.7) if forks else 0.25
    radii = np.maximum(radius * np.linspace(1, end, len(points)), THINNEST * 0.8)
    return Vessel(np.array(points), radii, kind, rng.uniform(0.8, 1.25), forks)


def steer(eye, ground, x, y, heading, first):
    """Returns the turn per unit of length: away from crowd and fovea, and back to the first heading."""
    row, column = ground.cell(x, y)
    push_x, push_y = -ground.slope[:, row // 2, column // 2] * 60
    away = math.hypot(x - eye.fovea[0], y - eye.fovea[1])
    if away < 0.3:
        push_x += 2.5 * (x - eye.fovea[0]) / away * (0.3 - away) / 0.3
        push_y += 2.5 * (y - eye.fovea[1]) / away * (0.3 - away) / 0.3
    across = -math.sin(heading) * push_x + math.cos(heading) * push_y
    return max(-4.0, min(4.0, 1.6 * across)) + 3.0 * math.sin(first - heading)


def sprout(eye, vessel, waiting):
    """Puts a vessel's branches among those that wait, widest first; angles and radii as Murray (1926)."""
    rng, count = eye.rng, len(vessel.points)
    side, at = rng.choice([-1, 1]), rng.uniform(0.03, 0.12) / STEP
    if np.hypot(*vessel.points[0]) < 0.1:
        at = (eye.disc_radius + rng.uniform(0.05, 0.30)) / STEP
    while at < count - 3:
        index = int(at)
        radius = vessel.radii[index] * rng.uniform(0.22, 0.75)
        add(eye, waiting, vessel, index, side * math.radians(rng.uniform(35, 75)), radius)
        side = -side if rng.random() < 0.7 else side
        at += (0.04 + rng.exponential(0.08)) / STEP
    if vessel.forks:
        # An even fork: r^3 = 2 s^3, so s is .79 r.
        for turn in (-1, 1):
            angle = turn * math.radians(rng.uniform(15, 45))
            add(eye, waiting, vessel, count - 1, angle, 0.79 * vessel.radii[-1])


def add(eye, waiting, vessel, index, turn, radius):
    if radius < THINNEST:
        return
    (x, y), before = vessel.points[index], vessel.points[max(index - 2, 0)]
    if math.hypot(x - eye.view[0], y - eye.view[1]) > eye.view[2] * 1.02:
        return
    heading = math.atan2(y - before[1], x - before[0]) + turn
    heapq.heappush(waiting, (-radius, len(waiting) + eye.rng.random(), (x, y, heading, radius, vessel.kind)))
