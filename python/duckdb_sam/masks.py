"""Masks as Python objects: what ``sam_annotate`` and ``sam_generate`` return, with methods."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, TypedDict, overload

from duckdb_sam.engine import shared
from duckdb_sam.images import Image, picture
from duckdb_sam.notebook import figure
from duckdb_sam.optional import needed
from duckdb_sam.wkb import Ring, polygons

if TYPE_CHECKING:
    import numpy

_MASK = "{'size': ?::INTEGER[], 'counts': ?::VARCHAR}"
_MASKS = "?::STRUCT(size INTEGER[], counts VARCHAR)[]"
_SHOWN = 640
"""Longer side in pixels of what a notebook shows."""


class RLE(TypedDict):
    """COCO's compressed run-length encoding; ``size`` is height and width."""

    size: list[int]
    counts: str


class Held:
    """The bytes of an image that masks refer to without keeping them."""

    def __init__(self, data: bytes) -> None:
        self.data = data


@dataclass(frozen=True, repr=False)
class Mask:
    """The mask of one object. Masks are equal if all their values are, can be hashed, and can be pickled.

    ``Segmenter`` returns them; ``Mask.from_record`` makes one of a row that SQL returned:

        mask = Segmenter().predict("coffee.jpg", [0.5, 0.6])
        mask.to_numpy().sum() == mask.area
        Path("coffee_mask.jpg").write_bytes(mask.overlay())
    """

    size: tuple[int, int]
    """Height and width of the image in pixels."""
    counts: str
    """The run lengths as COCO compresses them; ``rle`` has them with the size."""
    bbox: tuple[float, float, float, float]
    """x, y, width and height in pixels, as COCO has it; all 0 for a mask without pixels."""
    area: int
    """Pixels in the mask."""
    predicted_iou: float | None = None
    """The model's estimate of the mask's quality, 0 to 1."""
    stability_score: float | None = None
    """How little the mask changes when the threshold moves, 0 to 1."""
    point: tuple[float, float] | None = None
    """Of ``generate``: the point that found the object, x and y in pixels."""
    crop_box: tuple[float, float, float, float] | None = None
    """Of ``generate``: the part of the image it was found in, x, y, width and height in pixels."""
    image: str | weakref.ref[Held] | None = field(default=None, compare=False)
    """Where the image is, if it is known: its path, or a weak reference to its bytes."""

    @classmethod
    def from_record(cls, record: Mapping[str, Any], image: str | weakref.ref[Held] | None = None) -> Mask:
        """Make a mask of a record of SQL: of ``sam_annotate``, ``sam_generate``, or of COCO's {"size", "counts"} alone.

        What the record lacks of ``bbox`` and ``area`` is computed. ``counts`` may be bytes, as of pycocotools.
        """
        rle: Mapping[str, Any] = record.get("segmentation") or record
        if "size" not in rle or "counts" not in rle:
            raise ValueError(f"a record of a mask has segmentation, or size and counts; this one has {list(record)}")
        counts = rle["counts"]
        if not isinstance(counts, (str, bytes)):
            raise TypeError(
                "counts must be COCO's compressed run lengths, a str or bytes, not a list: see mask_from_coco"
            )
        counts = counts.decode("ascii") if isinstance(counts, bytes) else counts
        size = [int(side) for side in rle["size"]]
        bbox, area = record.get("bbox"), record.get("area")
        if bbox is None or area is None:
            if wrong := shared.value(f"mask_error({_MASK})", size, counts):
                raise ValueError(f"not a mask: {wrong}")
            bbox = shared.value(f"mask_bbox({_MASK})", size, counts)
            area = shared.value(f"mask_area({_MASK})", size, counts)
        points, crop = record.get("point_coords"), record.get("crop_box")
        return cls(
            (size[0], size[1]),
            counts,
            _box(bbox),
            int(area),
            record.get("predicted_iou"),
            record.get("stability_score"),
            (float(points[0][0]), float(points[0][1])) if points else None,
            _box(crop) if crop else None,
            image,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the record as SQL has it: ``segmentation``, ``bbox``, ``area`` and so on."""
        record: dict[str, Any] = {
            "segmentation": self.rle,
            "bbox": list(self.bbox),
            "area": self.area,
            "predicted_iou": self.predicted_iou,
            "stability_score": self.stability_score,
        }
        if self.point is not None:
            record["point_coords"] = [list(self.point)]
        if self.crop_box is not None:
            record["crop_box"] = list(self.crop_box)
        return record

    @property
    def rle(self) -> RLE:
        """COCO's compressed run-length encoding: what the functions of ``pycocotools.mask`` take, and JSON."""
        return {"size": list(self.size), "counts": self.counts}

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The corners x0, y0, x1, y1 of ``bbox`` in pixels."""
        x, y, width, height = self.bbox
        return x, y, x + width, y + height

    def to_numpy(self) -> numpy.ndarray[tuple[int, int], numpy.dtype[numpy.bool_]]:
        """Return the mask as an array of bool, (height, width)."""
        return to_array(self.size, self.counts)

    def polygon(self, tolerance: float = 0) -> list[list[Ring]]:
        """Return the outline along the edges of pixels: of each island its rings, the outer first, then its holes.

        A ring is a list of (x, y) in pixels, y down, whose last is its first; these are GeoJSON's coordinates of a
        MultiPolygon. With a ``tolerance`` above 0, corners are left out that lie within so many pixels of the new
        outline. ``shapely.geometry.shape(mask)`` works too.
        """
        return polygons(shared.value(f"mask_to_wkb({_MASK}, ?)", *self._rle(), float(tolerance)))

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        return {"type": "MultiPolygon", "coordinates": self.polygon()}

    def wkt(self, tolerance: float = 0) -> str:
        """Return the outline of ``polygon`` as well-known text."""
        return shared.value(f"mask_to_wkt({_MASK}, ?)", *self._rle(), float(tolerance))

    def png(self) -> bytes:
        """Return the mask as a PNG with one channel: 255 in the mask, 0 outside."""
        return shared.value(f"mask_to_png({_MASK})", *self._rle())

    def overlay(self, image: Image | None = None) -> bytes:
        """Return the image with the mask drawn on it, as a file of the image's format.

        ``image`` is needed where it is not at hand: it is for images given by their path, and for the last few others
        of a segmenter. Anything that ``predict`` takes will do, but an embedding.
        """
        return Masks([self]).overlay(image)

    def _rle(self) -> tuple[list[int], str]:
        return list(self.size), self.counts

    def _repr_png_(self) -> bytes:
        return Masks([self])._repr_png_()  # pyright: ignore[reportPrivateUsage]

    def _repr_html_(self) -> str:
        return figure(self._repr_png_(), repr(self))

    def __repr__(self) -> str:
        height, width = self.size
        values = [f"{width} x {height}", f"area={self.area}", f"bbox=[{', '.join(f'{side:g}' for side in self.bbox)}]"]
        for name in ("predicted_iou", "stability_score"):
            if (value := getattr(self, name)) is not None:
                values.append(f"{name}={value:.2f}")
        if self.point is not None:
            values.append(f"point=[{self.point[0]:g}, {self.point[1]:g}]")
        return f"Mask({', '.join(values)})"

    def __reduce__(self) -> tuple[type[Mask], tuple[Any, ...]]:
        image = self.image if isinstance(self.image, str) else None
        fields = (self.size, self.counts, self.bbox, self.area, self.predicted_iou, self.stability_score)
        return Mask, (*fields, self.point, self.crop_box, image)


class Masks(list[Mask]):
    """A list of masks of one image, which shows them together. Slices are such lists too."""

    image: str | weakref.ref[Held] | None
    """Where the image is, if it is known, as a mask has it: a list without masks knows it too."""

    def __init__(self, masks: Iterable[Mask] = (), image: str | weakref.ref[Held] | None = None) -> None:
        super().__init__(masks)
        self.image = image if image is not None or not self else self[0].image

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Mask: ...
    @overload
    def __getitem__(self, index: slice, /) -> Masks: ...
    def __getitem__(self, index: SupportsIndex | slice, /) -> Mask | Masks:
        return Masks(super().__getitem__(index), self.image) if isinstance(index, slice) else super().__getitem__(index)

    def __reduce__(self) -> tuple[type[Masks], tuple[Any, ...]]:
        return Masks, (list(self), self.image if isinstance(self.image, str) else None)

    def overlay(self, image: Image | None = None) -> bytes:
        """Return the image with all masks drawn on it, each in its own colour; see ``Mask.overlay``."""
        data = self._image() if image is None else picture(image).data
        if data is None:
            raise ValueError("the image of these masks is not at hand: give it, overlay(image)")
        drawn = shared.value(f"image_overlay(?::BLOB, {_MASKS})", data, [mask.rle for mask in self])
        if drawn is None:
            raise ValueError(f"not an image to draw on: {shared.value('image_error(?::BLOB)', data)}")
        return drawn

    def _image(self) -> bytes | None:
        """Return the bytes of the image if they are at hand."""
        where = self[0].image if self else self.image
        if isinstance(where, str):
            path = Path(where)
            return path.read_bytes() if path.is_file() else None
        return held(where)

    def _repr_png_(self) -> bytes:
        try:
            drawn = self.overlay()
        except ValueError:  # no image, or another one by now
            drawn = shared.value(f"mask_to_png(mask_union({_MASKS}))", [mask.rle for mask in self])
        return shared.value("image_convert(image_thumbnail(?::BLOB, ?), 'png')", drawn, _SHOWN)

    def _repr_html_(self) -> str:
        count = f"{len(self)} mask{'' if len(self) == 1 else 's'}"
        return figure(self._repr_png_() if self else None, count)


def masks(records: Iterable[Mapping[str, Any]], image: str | weakref.ref[Held] | None) -> Masks:
    """Make masks of the records of one image."""
    return Masks((Mask.from_record(record, image) for record in records), image)


def held(image: str | weakref.ref[Held] | None) -> bytes | None:
    """Return the bytes of an image that masks refer to, if it is not known by its path and is still there."""
    found = image() if isinstance(image, weakref.ref) else None
    return found.data if found is not None else None


def to_array(size: tuple[int, int], counts: str) -> numpy.ndarray[tuple[int, int], numpy.dtype[numpy.bool_]]:
    """Return compressed run lengths as an array of bool; ``size`` is height and width."""
    np = needed("numpy", "numpy", "to_numpy")
    height, width = size
    runs = _runs(counts)
    inside = np.arange(len(runs)) % 2 == 1
    return np.ascontiguousarray(np.repeat(inside, runs).reshape(width, height).T)


def _box(values: Iterable[float]) -> tuple[float, float, float, float]:
    x, y, width, height = map(float, values)
    return x, y, width, height


def _runs(counts: str) -> list[int]:
    """Return the run lengths, down the columns, the first of background, from COCO's compressed text.

    Each is a number of 5-bit groups, the lowest first, whose sixth bit tells that more follow; from the fourth on it is
    the difference to the last but one. (cocoapi, common/maskApi.c, rleFrString)
    """
    runs: list[int] = []
    value = shift = 0
    for code in counts.encode("ascii"):
        code -= 48
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs
