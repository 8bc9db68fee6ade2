"""Folders in COCO's format: pictures, and a JSON file with `images`, `annotations` and `categories`."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask


def decode_segmentation(segmentation: list | dict, height: int, width: int) -> np.ndarray:
    """A mask, bool (H, W), of polygons, run lengths or compressed run lengths."""
    if isinstance(segmentation, list):
        rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        rle = coco_mask.frPyObjects(segmentation, height, width)
    else:
        rle = segmentation
    return coco_mask.decode(rle).astype(bool)


def read_coco(folder: Path, instances: Path, limit: int | None = None) -> Iterator[tuple[str, np.ndarray, list]]:
    """Name, RGB (H, W, 3), and (mask (H, W), class) of the objects of every picture that has some; no crowds.

    A picture that cannot be read, or has another size than the file says, is a ValueError.
    """
    content = json.loads(Path(instances).read_text())
    names = {c["id"]: c["name"] for c in content.get("categories", [])}
    of_image = defaultdict(list)
    for annotation in content["annotations"]:
        if not annotation.get("iscrowd") and annotation.get("segmentation"):
            of_image[annotation["image_id"]].append(annotation)
    for image in [i for i in content["images"] if of_image[i["id"]]][:limit]:
        path = folder / image["file_name"]
        # orientation tags are ignored: the annotations are in the stored pixels
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if bgr is None:
            raise ValueError(f"{path} cannot be read as a picture")
        if bgr.shape[:2] != (image["height"], image["width"]):
            size = f"{image['width']} x {image['height']}"
            raise ValueError(f"{path} is {bgr.shape[1]} x {bgr.shape[0]} pixels, but {instances} says {size}")
        objects = [
            (decode_segmentation(a["segmentation"], *bgr.shape[:2]), names.get(a.get("category_id"), "unknown"))
            for a in of_image[image["id"]]
        ]
        yield image["file_name"], np.ascontiguousarray(bgr[..., ::-1]), objects
