"""Composites: objects with decals and shadows on a photo or a texture, and their label planes."""

import math

import cv2
import numpy as np

from training.data import CANVAS, Rng
from training.data.assets import Assets
from training.data.objects import fill, fit, make_object, shape_alpha
from training.data.textures import jitter, noise_field, texture


def random_affine(rng: Rng, w: int, h: int, cx: float, cy: float) -> np.ndarray:
    """A turned, scaled, sheared and perhaps mirrored placement (2, 3) of a w x h patch with its centre at (cx, cy)."""
    degrees = rng.uniform(-180, 180) if rng.random() < 0.3 else rng.normal(0, 18)
    a = math.radians(degrees)
    sx, sy = np.exp(rng.normal(0, 0.12, 2))
    shear = rng.normal(0, 0.12)
    flip = -1 if rng.random() < 0.5 else 1
    turn = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    m = turn @ np.array([[sx * flip, shear], [0, sy]])
    t = np.array([cx, cy]) - m @ np.array([w / 2, h / 2])
    return np.float32(np.concatenate([m, t[:, None]], 1))


def background(rng: Rng, assets: Assets) -> np.ndarray:
    """A photo, at times out of focus, or a texture: (CANVAS, CANVAS, 3)."""
    if rng.random() < 0.68:
        image = assets.photo_crop(rng, CANVAS, CANVAS, 0.2, 1.0).astype(np.float32)
        if rng.random() < 0.3:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(1, 7))
    else:
        image = texture(rng, CANVAS, CANVAS)
    return jitter(rng, image)


def cast_shadow(rng: Rng, image: np.ndarray, alpha: np.ndarray) -> None:
    """Darken `image`, in place, by a blurred and shifted copy of the object's alpha."""
    n = CANVAS
    blur = rng.uniform(2, 18)
    dx, dy = rng.normal(0, 12, 2)
    shadow = cv2.warpAffine(alpha, np.float32([[1, 0, dx], [0, 1, dy]]), (n, n))
    # blurred at a quarter of the size, which is faster
    shadow = cv2.resize(cv2.GaussianBlur(cv2.resize(shadow, (n // 4, n // 4)), (0, 0), blur / 4 + 0.3), (n, n))
    image *= (1 - rng.uniform(0.2, 0.75) * shadow)[..., None]


def make_decal(rng: Rng, assets: Assets, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A part to put on an object: colour (h, w, 3), not premultiplied, and alpha (h, w) in 0..1."""
    if rng.random() < 0.35:
        sprite = fit(assets.sprite(rng), size, enlarge=cv2.INTER_AREA)
        alpha, color = sprite[..., 3], sprite[..., :3].astype(np.float32)
    else:
        alpha = shape_alpha(rng, size)
        color = fill(rng, assets, alpha)
    return color, alpha.astype(np.float32) / 255


def compose(rng: Rng, assets: Assets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image, uint8 (CANVAS, CANVAS, 3), and its planes of finest regions and whole objects, uint8."""
    n = CANVAS
    image = background(rng, assets)
    leaf = np.zeros((n, n), np.uint8)
    whole = np.zeros((n, n), np.uint8)
    last_id = 0
    for _ in range(int(rng.choice([1, 2, 3, 4, 5, 6, 8], p=[0.12, 0.18, 0.2, 0.18, 0.14, 0.1, 0.08]))):
        color, alpha = make_object(rng, assets)
        h, w = alpha.shape
        place = random_affine(rng, w, h, rng.uniform(0.12, 0.88) * n, rng.uniform(0.12, 0.88) * n)
        color = cv2.warpAffine(color, place, (n, n))
        alpha = cv2.warpAffine(alpha, place, (n, n))
        if rng.random() < 0.35:  # soft edge / defocus
            s = rng.uniform(0.5, 1.6)
            alpha, color = cv2.GaussianBlur(alpha, (0, 0), s), cv2.GaussianBlur(color, (0, 0), s)
        if rng.random() < 0.4:
            cast_shadow(rng, image, alpha)
        image = image * (1 - alpha[..., None]) + color
        mask = alpha > 0.5
        last_id += 1
        leaf[mask] = last_id
        whole[mask] = last_id
        if rng.random() < 0.3:  # decals: parts that belong to this object
            ys, xs = np.nonzero(mask)
            if len(ys) <= 3000:
                continue
            extent = math.sqrt(len(ys))
            for _ in range(int(rng.integers(1, 4))):
                i = rng.integers(len(ys))
                size = max(16, int(extent * rng.uniform(0.15, 0.6)))
                decal, decal_alpha = make_decal(rng, assets, size)
                place = random_affine(rng, decal_alpha.shape[1], decal_alpha.shape[0], xs[i], ys[i])
                decal = cv2.warpAffine(decal * decal_alpha[..., None], place, (n, n)) * alpha[..., None]
                decal_alpha = cv2.warpAffine(decal_alpha, place, (n, n)) * alpha
                image = image * (1 - decal_alpha[..., None]) + decal
                last_id += 1
                leaf[(decal_alpha > 0.5) & mask] = last_id
    return finish(rng, image), leaf, whole


def finish(rng: Rng, image: np.ndarray) -> np.ndarray:
    """Camera-like post-processing: uneven light, blur, noise. uint8."""
    n = image.shape[0]
    if rng.random() < 0.3:
        image = image * (0.65 + 0.6 * noise_field(rng, n, n, base=2, octaves=1))[..., None]
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.5))
    if rng.random() < 0.4:
        image = image + rng.normal(0, rng.uniform(1, 9), (*image.shape[:2], rng.choice([1, 3]))).astype(np.float32)
    return np.clip(image, 0, 255).astype(np.uint8)
