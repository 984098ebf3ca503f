"""A made photograph: an eye's vessels before its background, seen through a camera.

Colours and contrasts were fitted to DRIVE's training photographs: green falls to exp(-.06) in vessels 1 pixel
wide, exp(-.17) in 3 and exp(-.36) in 8; red by a third of that, blue by two thirds; the noise is 1.6 levels.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from samples.vessels import ARTERY, VEIN, Eye, grow

FINER = 4  # vessels are drawn at 4 times the frame's pixels, then averaged
SHADES = 360  # a layer's value for an absorbance of 1 (uint8: up to .7)
PROFILE = ((1.0, 0.40), (0.82, 0.75), (0.52, 1.0))  # a cylinder's shadow: shares of width and depth


@dataclass
class Camera:
    """The way from an eye's units to a frame's pixels, and the lit circle: centre (x, y) and radius, px."""

    height: int
    width: int
    centre: tuple
    radius: float
    scale: float  # pixels a unit
    turn: np.ndarray  # (2, 2): mirrored for left eyes, and a little rotated
    view: tuple  # (x, y, radius) in units: what is seen

    def pixels(self, points):
        """Returns points (N, 2) in units as (N, 2) x, y in pixels, whole numbers at the middle of a pixel."""
        return (np.asarray(points) - self.view[:2]) @ self.turn.T * self.scale + self.centre

    def units(self):
        """Returns every pixel's place in the eye: x and y, (H, W) float32 each."""
        x = np.arange(self.width, dtype=np.float32)[None] - self.centre[0]
        y = np.arange(self.height, dtype=np.float32)[:, None] - self.centre[1]
        back = np.linalg.inv(self.turn).astype(np.float32) / np.float32(self.scale)
        return back[0, 0] * x + back[0, 1] * y + self.view[0], back[1, 0] * x + back[1, 1] * y + self.view[1]

    def from_centre(self):
        """Returns (H, W) float32: 0 in the middle of the FOV, 1 at its edge."""
        x = np.arange(self.width, dtype=np.float32)[None] - self.centre[0]
        y = np.arange(self.height, dtype=np.float32)[:, None] - self.centre[1]
        return np.sqrt(x * x + y * y) / np.float32(self.radius)


def camera_for(rng, height, width):
    """Returns a Camera: three of four see the fovea at some 45 degrees, the others the disc at 30 to 40."""
    short = min(height, width)
    radius = short * rng.uniform(0.455, 0.492) if height == width else short * rng.uniform(0.46, 0.52)
    centre = tuple((length - 1) / 2 + rng.normal(0, 0.006) * length for length in (width, height))
    if rng.random() < 0.75:
        view = (rng.normal(0.70, 0.06), rng.normal(0, 0.05), rng.uniform(0.92, 1.08))
    else:
        view = (rng.uniform(0.0, 0.45), rng.normal(0, 0.05), rng.uniform(0.70, 0.90))
    angle, mirror = rng.normal(0, 0.07), rng.choice([-1.0, 1.0])
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([mirror, 1.0])
    return Camera(height, width, centre, radius, radius / view[2], turn, view)


def photographed(rng, height, width):
    """Returns a made photograph and what is true of it: rgb (H, W, 3) uint8, mask and FOV (H, W) bool."""
    camera = camera_for(rng, height, width)
    eye = Eye(rng, camera.view, fovea=(rng.normal(0.74, 0.03), rng.normal(0.05, 0.03)),
              disc_radius=rng.uniform(0.125, 0.165), tortuosity=rng.uniform(0.7, 1.3),
              density=rng.uniform(0.85, 1.15), calibre=rng.uniform(0.9, 1.1))
    layers, mask = rendered(camera, grow(eye), contrast=rng.uniform(0.8, 1.3), reflex=rng.uniform(0.5, 0.95))
    light = background(rng, camera, eye)
    for kind, red in ((ARTERY, rng.uniform(0.18, 0.30)), (VEIN, rng.uniform(0.32, 0.46))):
        light *= np.exp(-layers[kind][..., None] * np.float32([red, 1.0, rng.uniform(0.5, 0.7)]))
    lesions(rng, camera, light)
    fov = camera.from_centre() < 1
    return developed(rng, camera, light), mask & fov, fov


def rendered(camera, vessels, contrast, reflex):
    """Returns the absorbance of arteries and veins, (2, H, W) float32, and the mask of both, (H, W) bool.

    They come from the same drawing at FINER times the size; the mask is where half of a pixel is vessel.
    """
    fine = np.zeros((2, camera.height * FINER, camera.width * FINER), np.uint8)
    for vessel in sorted(vessels, key=lambda vessel: vessel.radii[0]):
        depth = contrast * vessel.strength * (0.85 if vessel.kind == ARTERY else 1.1)
        shine = reflex if vessel.kind == ARTERY else (1 + 2 * reflex) / 3
        stroke(camera, fine[vessel.kind], vessel, depth, shine)
    covered = ((fine[0] > 0) | (fine[1] > 0)).astype(np.uint8) * 255
    size = camera.width, camera.height
    *layers, covered = (cv2.resize(layer, size, interpolation=cv2.INTER_AREA) for layer in (*fine, covered))
    return np.stack(layers).astype(np.float32) / SHADES, covered >= 128


def stroke(camera, layer, vessel, depth, reflex):
    """Draws a vessel on a fine layer: nested lines, darker towards the axis, a reflex along the wide ones."""
    points = np.int32(np.round((camera.pixels(vessel.points) * FINER + (FINER - 1) / 2) * 16)).tolist()
    widths = 2 * vessel.radii * camera.scale
    # 9 pixels of a DRIVE photograph are .034 units. The depth at the axis saturates with the width.
    depths = depth * 0.53 * (1 - np.exp(-2 * vessel.radii / 0.022))
    profile = PROFILE + ((0.26, reflex),) if widths[0] > 4.5 else PROFILE
    for share, shade in profile:
        thick = np.maximum(np.round(widths * share * FINER), 5 if share == 1 else 1).astype(int).tolist()
        shades = np.clip(depths * shade * SHADES, 1, 255).tolist()
        for index in range(len(points) - 1):
            cv2.line(layer, points[index], points[index + 1], shades[index], thick[index], cv2.LINE_8, 4)


def noise(rng, height, width, size):
    """Returns (H, W) float32 of mean 0 and standard deviation 1, with a grain `size` pixels wide."""
    step = max(size / 2.0, 1.0)
    coarse = rng.standard_normal((int(height / step) + 4, int(width / step) + 4), dtype=np.float32)
    coarse = cv2.GaussianBlur(coarse, (0, 0), size / step)
    coarse /= coarse.std()
    return cv2.resize(coarse, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)[:height, :width]


def bump(x, y, place, size):
    """Returns a Gaussian hill of height 1 at `place`, `size` wide."""
    return np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * size * size))


def background(rng, camera, eye):
    """Returns the light of an eye without vessels or lesions: (H, W, 3) float32, 255 = white."""
    height, width, unit = camera.height, camera.width, camera.scale
    x, y = camera.units()
    red = rng.uniform(140, 235)
    green = red * rng.uniform(0.44, 0.64)
    base = np.float32([red, green, green * rng.uniform(0.48, 0.68)])
    light = base * lit(rng, camera)[..., None]
    choroid = rng.uniform(0.5, 1.4)
    for size, strength in ((0.008, 0.009), (0.016, 0.014), (0.03, 0.018), (0.07, 0.024), (0.3, 0.06)):
        grain = noise(rng, height, width, size * unit) * strength * choroid
        light *= 1 + grain[..., None] * np.float32([0.7, 1.0, 1.0])
    light *= 1 + noise(rng, height, width, 0.35 * unit)[..., None] * np.float32([-0.02, 0.04, 0.05])
    if rng.random() < 0.4:
        # Choroidal vessels show as broad pale bands that cross: not vessels for the mask.
        bands = np.exp(-np.abs(noise(rng, height, width, 0.06 * unit)) * 3) - 0.35
        light *= 1 + bands[..., None] * np.float32([0.08, 0.10, 0.06]) * rng.uniform(0.3, 1)
    fovea(rng, light, x, y, eye)
    fibres(rng, light, x, y, eye)
    disc(rng, light, x, y, eye)
    return light


def lit(rng, camera):
    """Returns uneven light, (H, W) float32 about 1: brighter to one side, darker towards the rim."""
    out = camera.from_centre()
    x = (np.arange(camera.width, dtype=np.float32)[None] - camera.centre[0]) / camera.radius
    y = (np.arange(camera.height, dtype=np.float32)[:, None] - camera.centre[1]) / camera.radius
    tilt, way = rng.uniform(0.0, 0.18), rng.uniform(0, 2 * math.pi)
    light = 1.1 - rng.uniform(0.15, 0.40) * out**2.2 + tilt * (x * math.cos(way) + y * math.sin(way))
    return light * (1 - rng.uniform(0.1, 0.3) * np.clip((out - 0.9) / 0.1, 0, 1) ** 2)


def fovea(rng, light, x, y, eye):
    """Adds the macula's broad pigment and the pit's dark spot."""
    broad = bump(x, y, eye.fovea, rng.uniform(0.11, 0.16)) * rng.uniform(0.08, 0.2)
    pit = bump(x, y, eye.fovea, rng.uniform(0.035, 0.055)) * rng.uniform(0.06, 0.2)
    light *= 1 - (broad + pit)[..., None] * np.float32([0.6, 1.0, 0.9])


def fibres(rng, light, x, y, eye):
    """Adds the nerve fibre layer: fine pale streaks that leave the disc along the arcades."""
    away = np.sqrt(x * x + y * y) + 1e-6
    around = np.arctan2(y, x) + 0.5 * np.sign(y) * np.clip(away - 0.15, 0, 1)
    rays = noise(rng, 48, 900, 1.6)
    turns = around / (2 * math.pi) + 0.5
    streaks = cv2.remap(rays, turns * 899, np.clip(away * 20, 0, 47), cv2.INTER_LINEAR)
    place = np.exp(-((away - 0.35) / 0.25) ** 2) * np.abs(np.sin(around)) ** 2
    paler = place * (0.02 * streaks + 0.06) * rng.uniform(0.2, 1.2)
    light *= 1 + paler[..., None] * np.float32([0.5, 1.0, 1.0])


def disc(rng, light, x, y, eye):
    """Adds the optic disc with its cup, a soft edge, and often a paler or darker ring around it."""
    tall, soft = rng.uniform(1.0, 1.12), rng.uniform(0.010, 0.022)
    wave = 1 + 0.03 * np.cos(2 * np.arctan2(y, x) + rng.uniform(0, 6)) + 0.015 * np.cos(3 * np.arctan2(y, x))
    away = np.sqrt(x * x + (y / tall) ** 2) / wave.astype(np.float32)
    ring = np.exp(-(((away - eye.disc_radius * 1.12) / (0.25 * eye.disc_radius)) ** 2))
    light *= 1 + (rng.normal(0.02, 0.06) * ring * (1 - 0.6 * x / (away + 0.05)))[..., None]
    inside = 1 / (1 + np.exp(np.clip((away - eye.disc_radius) / soft * 2, -30, 30)))
    tone = np.float32([1, rng.uniform(0.72, 0.85), rng.uniform(0.38, 0.52)])
    pale = min(light[..., 0].mean() * rng.uniform(1.3, 1.5), 250) * tone
    pale = np.maximum(pale, light.mean((0, 1)) * np.float32([1.05, 1.5, 1.4]))
    shade = 1 + 0.10 * np.clip(x / eye.disc_radius, -1, 1)
    share = (inside * rng.uniform(0.6, 0.85))[..., None]
    light[:] = light * (1 - share) + pale * shade[..., None] * share
    cup = eye.disc_radius * rng.uniform(0.3, 0.6)
    bright = bump(x, y, (rng.uniform(0.0, 0.04), rng.normal(0, 0.01)), cup * 0.6) * inside
    light += bright[..., None] * pale * np.float32([0.12, 0.28, 0.45]) * rng.uniform(0.5, 1.2)


def lesions(rng, camera, light):
    """Adds, now and then, dark dots (haemorrhages), yellow ones (exudates, drusen) and a blurred blotch."""
    kinds = ((0.35, 25, (1.0, 2.6), (0.25, 0.45, 0.35)), (0.30, 12, (1.2, 4.5), (-0.14, -0.38, -0.28)),
             (0.25, 4, (12, 30), (-0.06, -0.14, -0.12)))
    for chance, most, sizes, colour in kinds:
        if rng.random() > chance:
            continue
        middle = np.array(camera.centre) + rng.normal(0, 0.35, 2) * camera.radius
        for _ in range(rng.integers(2, most + 1)):
            place = middle + rng.normal(0, 0.28, 2) * camera.radius
            spot(light, place, rng.uniform(*sizes) * camera.radius / 256, rng.uniform(0.6, 1.5),
                 np.float32(colour) * rng.uniform(0.4, 1))


def spot(light, place, size, tall, colour):
    """Lightens or darkens a small round place, in pixels, by `colour` at its middle."""
    reach = int(size * 4) + 2
    left, top = max(int(place[0]) - reach, 0), max(int(place[1]) - reach, 0)
    part = light[top : max(int(place[1]) + reach, 0), left : max(int(place[0]) + reach, 0)]
    y, x = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]].astype(np.float32)
    hill = np.exp(-((((x - place[0]) ** 2 + ((y - place[1]) / tall) ** 2) / (2 * size * size)) ** 1.5))
    part *= 1 + hill[..., None] * colour


def developed(rng, camera, light):
    """Returns the light as the camera writes it, rgb: blurred, cut at the FOV, noisy and soft by JPEG."""
    picture = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.35, 0.75) * camera.radius / 256)
    # Bright red saturates slowly, as in every fundus camera.
    picture = np.where(picture > 200, 200 + 55 * np.tanh((picture - 200) / 55), picture)
    out = camera.from_centre() * camera.radius
    edge = [np.clip(camera.radius + fringe - out + 0.5, 0, 1) for fringe in (0.8, 0.0, -0.4)]
    dark = np.float32(rng.uniform(1, 9, 3))
    picture = dark + (picture - dark) * np.stack(edge, -1)
    grain = noise(rng, camera.height, camera.width * 3, 0.6).reshape(camera.height, camera.width, 3)
    grain *= rng.uniform(2.0, 4.5) * (0.35 + 0.65 * edge[1][..., None])
    picture = np.uint8(np.clip(picture + grain + 0.5, 0, 255))
    quality = int(rng.integers(82, 96))
    _, written = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(written, cv2.IMREAD_COLOR)[..., ::-1].copy()
