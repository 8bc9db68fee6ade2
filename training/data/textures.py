"""Procedural colours: noise, ramps, stripes, checks, and the jitter of an image's colours."""

import math

import cv2
import numpy as np

from training.data import Rng


def noise_field(rng: Rng, h: int, w: int, base: int | None = None, octaves: int = 4) -> np.ndarray:
    """Fractal value noise (h, w) in 0..1; `base` is the number of grid cells of the coarsest octave."""
    out = np.zeros((h, w), np.float32)
    cells = base or int(rng.integers(2, 9))
    amplitude = 1.0
    for _ in range(octaves):
        grid = rng.random((min(cells, h), min(cells, w)), np.float32)
        out += amplitude * cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC)
        amplitude *= rng.uniform(0.35, 0.7)
        cells *= 2
    out -= out.min()
    return out / (out.max() + 1e-6)


def random_color(rng: Rng) -> np.ndarray:
    """One colour (3,)."""
    hsv = np.uint8([[[rng.integers(180), min(255, int(255 * rng.beta(1.3, 1.3))), int(255 * rng.beta(2, 1.3))]]])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)


def ramp(t: np.ndarray, colors: list[np.ndarray]) -> np.ndarray:
    """Values (h, w) in 0..1 mapped through evenly spaced colours: (h, w, 3)."""
    n = len(colors) - 1
    stacked = np.stack(colors)
    at = np.linspace(0, n, 256)
    table = np.stack([np.interp(at, np.arange(n + 1), stacked[:, c]) for c in range(3)], -1)
    return table[(t * 255).astype(np.uint8)].astype(np.float32)


def texture(rng: Rng, h: int, w: int) -> np.ndarray:
    """Plain, gradient, radial, noise, stripes or checks, with optional grain and light: (h, w, 3)."""
    kind = rng.integers(7)
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    u = (xx - w / 2) * math.cos(angle) + (yy - h / 2) * math.sin(angle)
    v = -(xx - w / 2) * math.sin(angle) + (yy - h / 2) * math.cos(angle)
    diagonal = math.hypot(h, w)
    colors = [random_color(rng) for _ in range(rng.integers(2, 5))]
    if rng.random() < 0.4:  # low-contrast version
        colors = [colors[0] + (c - colors[0]) * rng.uniform(0.1, 0.4) for c in colors]
    if kind == 0:
        t = np.full((h, w), 0.5, np.float32)
    elif kind == 1:
        t = u / diagonal + 0.5
    elif kind == 2:
        cx, cy = rng.uniform(0, w), rng.uniform(0, h)
        t = np.hypot(xx - cx, yy - cy) / diagonal
    elif kind in (3, 4):
        t = noise_field(rng, h, w, octaves=int(rng.integers(1, 7)))
    else:
        period = rng.uniform(6, max(8, diagonal / 5))
        wobble = (noise_field(rng, h, w, octaves=2) - 0.5) * rng.choice([0, period, 4 * period])
        t = np.sin(2 * math.pi * (u + wobble) / period)
        if kind == 6:
            t = t * np.sin(2 * math.pi * (v + wobble) / (period * rng.uniform(0.5, 2)))
        t = (np.tanh(t * rng.choice([1, 3, 20])) + 1) / 2
    image = ramp(np.clip(t, 0, 1), colors)
    if rng.random() < 0.4:
        image = image + rng.normal(0, rng.uniform(2, 14), (h, w, 1)).astype(np.float32)
    if rng.random() < 0.3:
        image = image * (0.7 + 0.6 * noise_field(rng, h, w, octaves=3))[..., None]
    return np.clip(image, 0, 255)


def jitter(rng: Rng, image: np.ndarray, amount: float = 1.0) -> np.ndarray:
    """Brightness, contrast, saturation and colour cast of a float image (h, w, 3); a new image, clipped."""
    gain = 1 + rng.normal(0, 0.12 * amount, 3)
    image = image * (gain * (1 + rng.normal(0, 0.18 * amount))).astype(np.float32)
    middle = 128.0
    image = (image - middle) * float(np.exp(rng.normal(0, 0.2 * amount))) + middle
    if rng.random() < 0.5:
        gray = image.mean(-1, keepdims=True)
        image = gray + (image - gray) * rng.uniform(0.3, 1.4)
    return np.clip(image, 0, 255)
