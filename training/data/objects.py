"""One foreground object: a sprite as it is, or a silhouette filled with a photo, a texture or a shaded solid."""

import math

import cv2
import numpy as np

from training.data import Rng
from training.data.assets import Assets
from training.data.textures import jitter, noise_field, texture


def outline(rng: Rng, kind: int, side: float) -> np.ndarray:
    """Corner points (n, 2) of a random closed shape in a square of `side`: kinds 0 to 5."""
    c = side / 2
    turn = np.linspace(0, 2 * math.pi, 180, endpoint=False)
    if kind == 0:  # ellipse
        axes = rng.uniform(0.25, 1, 2) * 0.48 * side
        return np.stack([c + axes[0] * np.cos(turn), c + axes[1] * np.sin(turn)], -1)
    if kind == 1:  # random polygon
        n = rng.integers(3, 9)
        t = np.sort(rng.uniform(0, 2 * math.pi, n))
        r = rng.uniform(0.35, 1, n) * 0.49 * side
        return np.stack([c + r * np.cos(t), c + r * np.sin(t)], -1)
    if kind == 2:  # super-ellipse, rounded rectangle to diamond
        e = rng.uniform(0.15, 1.4)
        axes = rng.uniform(0.3, 1, 2) * 0.48 * side

        def power(q):
            return np.sign(q) * np.abs(q) ** e

        return np.stack([c + axes[0] * power(np.cos(turn)), c + axes[1] * power(np.sin(turn))], -1)
    if kind in (3, 4):  # smooth blob
        r = np.ones_like(turn)
        for k in range(2, int(rng.integers(4, 11))):
            r += rng.normal(0, 0.5 / k) * np.cos(k * turn + rng.uniform(0, 6.3))
        r = np.clip(r, 0.15, None)
        r = r / r.max() * 0.48 * side
        return np.stack([c + r * np.cos(turn), c + r * np.sin(turn) * rng.uniform(0.4, 1)], -1)
    # star or gear
    n = int(rng.integers(3, 12))
    t = np.arange(2 * n) * math.pi / n
    r = np.where(np.arange(2 * n) % 2 == 0, 1, rng.uniform(0.3, 0.85)) * 0.48 * side
    return np.stack([c + r * np.cos(t), c + r * np.sin(t)], -1)


def shape_alpha(rng: Rng, size: int) -> np.ndarray:
    """Anti-aliased random silhouette, uint8 (size, size)."""
    side = size * 2  # drawn at twice the size
    mask = np.zeros((side, side), np.uint8)
    c, kind = side / 2, rng.integers(7)
    if kind == 6:  # thick Bezier curve
        p = rng.uniform(0.15, 0.85, (4, 2)) * side
        t = np.linspace(0, 1, 40)[:, None]
        q = (1 - t) ** 3 * p[0] + 3 * t * (1 - t) ** 2 * p[1] + 3 * t * t * (1 - t) * p[2] + t**3 * p[3]
        cv2.polylines(mask, [np.int32(q)], False, 255, int(side * rng.uniform(0.06, 0.25)), cv2.LINE_AA)
    else:
        cv2.fillPoly(mask, [np.int32(outline(rng, kind, side))], 255, cv2.LINE_AA)
        if rng.random() < 0.08:  # a hole
            cv2.circle(mask, (int(c), int(c)), int(side * rng.uniform(0.08, 0.2)), 0, -1, cv2.LINE_AA)
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA)


def inflate_normals(rng: Rng, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The x and y normals, each (h, w) in -1..1, of the silhouette puffed up to a solid."""
    mask = (alpha > 127).astype(np.uint8)
    mask = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 3)[1:-1, 1:-1]
    radius = max(2.0, float(distance.max()) * rng.uniform(0.25, 1.0))
    t = np.clip(distance / radius, 0, 1)
    height = radius * np.sqrt(np.clip(1 - (1 - t) ** 2, 0, 1))
    height = cv2.GaussianBlur(height, (0, 0), max(0.8, radius * 0.06))
    if rng.random() < 0.4:
        height = height + noise_field(rng, *alpha.shape, octaves=3) * radius * rng.uniform(0.05, 0.4)
    gx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3) / 8
    gy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3) / 8
    n = np.sqrt(gx * gx + gy * gy + 1)
    return -gx / n, -gy / n


def fill(rng: Rng, assets: Assets, alpha: np.ndarray) -> np.ndarray:
    """Colour (h, w, 3) for a silhouette: photo texture, procedural texture or shaded solid."""
    h, w = alpha.shape
    photo = rng.random() < 0.45
    color = assets.photo_crop(rng, h, w, 0.04, 0.6).astype(np.float32) if photo else texture(rng, h, w)
    if rng.random() < 0.55:  # shade as a solid
        nx, ny = inflate_normals(rng, alpha)
        if rng.random() < 0.6:
            matcap = assets.matcaps[rng.integers(len(assets.matcaps))]  # 128 x 128
            map_x, map_y = (nx * 0.47 + 0.5) * 127, (ny * 0.47 + 0.5) * 127
            lit = cv2.remap(matcap, map_x, map_y, cv2.INTER_LINEAR).astype(np.float32)
            color = lit if rng.random() < 0.45 else color * (0.3 + lit.mean(-1, keepdims=True) / 140)
        else:
            angle = rng.uniform(0, 2 * math.pi)
            k = rng.uniform(0.3, 0.9)
            nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0, 1))
            light = nx * math.cos(angle) * k + ny * math.sin(angle) * k + nz * (1 - k * 0.5)
            color = color * (0.25 + 0.9 * np.clip(light, 0, 1.4))[..., None]
    return np.clip(color, 0, 255)


def fit(image: np.ndarray, longest: int, enlarge: int = cv2.INTER_CUBIC) -> np.ndarray:
    """The image resized so that its longest side is `longest`."""
    f = longest / max(image.shape[:2])
    return cv2.resize(image, None, fx=f, fy=f, interpolation=cv2.INTER_AREA if f < 1 else enlarge)


def recolor(rng: Rng, assets: Assets, sprite: np.ndarray) -> np.ndarray:
    """The colours (h, w, 3) of a BGRA sprite, at times shaded, jittered or turned to another hue."""
    color = sprite[..., :3].astype(np.float32)
    if rng.random() < 0.25:  # flat art gets a bit of shading or texture
        t = assets.photo_crop(rng, *sprite.shape[:2], 0.04, 0.5).astype(np.float32).mean(-1, keepdims=True)
        color = color * (0.4 + t / max(40.0, float(t.mean()) * 1.7))
    color = jitter(rng, np.clip(color, 0, 255))
    if rng.random() < 0.25:  # hue rotation
        hsv = cv2.cvtColor(color.astype(np.uint8), cv2.COLOR_BGR2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + rng.integers(180)) % 180
        color = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR).astype(np.float32)
    return color


def make_object(rng: Rng, assets: Assets) -> tuple[np.ndarray, np.ndarray]:
    """One object of 48 to 470 pixels: premultiplied colour (h, w, 3) and alpha (h, w) in 0..1."""
    size = int(math.exp(rng.uniform(math.log(48), math.log(470))))
    if rng.random() < 0.5:
        sprite = fit(assets.sprite(rng), size)
        alpha = sprite[..., 3]
        color = recolor(rng, assets, sprite)
    else:
        alpha = fit(assets.sprite(rng)[..., 3], size) if rng.random() < 0.5 else shape_alpha(rng, size)
        color = fill(rng, assets, alpha)
    if rng.random() < 0.5:  # uneven light
        color = color * (0.6 + 0.8 * noise_field(rng, *alpha.shape, base=2, octaves=1))[..., None]
    alpha = alpha.astype(np.float32) / 255
    return np.clip(color, 0, 255) * alpha[..., None], alpha
