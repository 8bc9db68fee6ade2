"""Synthetic promptable-segmentation data: rendering (`render.py` is the command) and reading it for training.

An image is stored as a JPEG and a PNG of the same name with two label planes (the third is zero):

  plane 0  finest region under a pixel (decal, part, object), 0 = nothing
  plane 1  whole object under a pixel, 0 = nothing

Unless a doc comment says otherwise, colours are BGR float32 in 0..255 as OpenCV has them, alphas are 0..255 (uint8) or
0..1 (float32), lengths are pixels, and every random choice is drawn from the `rng` that is passed in: the order of the
draws is part of the data's definition.
"""

import cv2
import numpy as np

cv2.setNumThreads(1)  # rendering runs one process per core

Rng = np.random.Generator

CANVAS = 512
"""Side of every rendered image."""
