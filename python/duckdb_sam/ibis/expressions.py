"""The scalar functions of the extension as typed Ibis expressions.

Written by `make docs` from what the extension says about itself; do not edit.
"""

from __future__ import annotations

from typing import overload

import ibis.expr.types as ir

from duckdb_sam.ibis.calls import call
from duckdb_sam.ibis.types import (
    Bytes,
    Flag,
    Image,
    ListOf,
    MaskLike,
    Model,
    Number,
    Options,
    Record,
    Text,
    Whole,
)

__all__ = [
    "annotate",
    "annotate_many",
    "box_from_cxcywh",
    "box_from_mask",
    "box_from_pixels",
    "box_from_xywh",
    "embed",
    "embedding_vector",
    "generate",
    "image_convert",
    "image_crop",
    "image_cutout",
    "image_error",
    "image_from_pixels",
    "image_geo",
    "image_hash",
    "image_info",
    "image_overlay",
    "image_page",
    "image_pages",
    "image_pixels",
    "image_resize",
    "image_thumbnail",
    "image_tile",
    "mask_area",
    "mask_bbox",
    "mask_clean",
    "mask_difference",
    "mask_error",
    "mask_from_coco",
    "mask_from_polygons",
    "mask_from_rle",
    "mask_intersect",
    "mask_iou",
    "mask_iou_matrix",
    "mask_labels",
    "mask_nms",
    "mask_place",
    "mask_shape",
    "mask_stats",
    "mask_to_png",
    "mask_to_rle",
    "mask_to_wkb",
    "mask_to_wkt",
    "mask_union",
    "masks_from_labels",
    "model_info",
    "point_from_pixels",
    "points_from_pixels",
    "segment",
    "version",
]


@overload
def segment(
    model: Model,
    image: Image,
    point: ListOf[Number],
) -> ir.StructValue: ...
@overload
def segment(
    model: Model,
    image: Image,
    *,
    points: ListOf[ListOf[Number]],
    labels: ListOf[Whole] | None = None,
    box: ListOf[Number] | None = None,
) -> ir.StructValue: ...
@overload
def segment(
    model: Model,
    image: Image,
    *,
    box: ListOf[Number],
) -> ir.StructValue: ...
def segment(
    model: Model,
    image: Image,
    point: ListOf[Number] | None = None,
    *,
    points: ListOf[ListOf[Number]] | None = None,
    labels: ListOf[Whole] | None = None,
    box: ListOf[Number] | None = None,
) -> ir.StructValue:
    """Segments the object at a prompt and returns the probability of every pixel.

    The prompt is a `point` `[x, y]`, or several `points` `[[x, y], ...]` with `labels` (1 in the object, 0 not) and a
    `box` `[x0, y0, x1, y1]`. Any of the last three may be NULL. Coordinates are fractions of the width and height of
    the upright image. A box may overshoot the image by 0.05 and a point by 0.001; both are clamped to its edge. `mask`
    holds, row by row, the probability of each pixel to belong to the object. For a single point SAM computes three
    candidates, of which the one with the highest predicted IoU is returned. `iou_score` is the predicted IoU of the
    mask. A mask takes four bytes per pixel; to store masks in tables, use `sam_annotate`. A NULL model, image or prompt
    gives NULL.

        segment(model, image, point)
        segment(model, image, points=, labels=, box=)

    ``model``: VARCHAR, the name or path of a model.
    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``point``: DOUBLE[], [x, y] in fractions of width and height.
    ``points``: DOUBLE[][], [[x, y], ...] in fractions of width and height.
    ``labels``: BIGINT[], 1 in the object or 0 not, one for each of the points; 1 if not given.
    ``box``: DOUBLE[], [x0, y0, x1, y1], two corners in fractions of width and height.

    Returns struct<mask: array<float32>, iou_score: float32>.

        sam.segment("nano", _.image, [0.5, 0.6])
    """
    return call(
        "sam_segment",
        model=model,
        image=image,
        point=point,
        points=points,
        labels=labels,
        box=box,
    )


@overload
def annotate(
    model: Model,
    image: Image,
    point: ListOf[Number],
) -> ir.StructValue: ...
@overload
def annotate(
    model: Model,
    image: Image,
    *,
    points: ListOf[ListOf[Number]],
    labels: ListOf[Whole] | None = None,
    box: ListOf[Number] | None = None,
) -> ir.StructValue: ...
@overload
def annotate(
    model: Model,
    image: Image,
    *,
    box: ListOf[Number],
) -> ir.StructValue: ...
def annotate(
    model: Model,
    image: Image,
    point: ListOf[Number] | None = None,
    *,
    points: ListOf[ListOf[Number]] | None = None,
    labels: ListOf[Whole] | None = None,
    box: ListOf[Number] | None = None,
) -> ir.StructValue:
    """Segments the object at a prompt and returns its mask as a compact record.

    Prompt and mask are those of `sam_segment`; the fields are named as in SAM's own mask generator. `segmentation` is
    COCO's compressed run-length encoding, as pycocotools reads it. `bbox` is x, y, width and height in pixels; `area`
    is the number of pixels. `stability_score` tells how little the mask changes when the threshold moves.

        annotate(model, image, point)
        annotate(model, image, points=, labels=, box=)

    ``model``: VARCHAR, the name or path of a model.
    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``point``: DOUBLE[], [x, y] in fractions of width and height.
    ``points``: DOUBLE[][], [[x, y], ...] in fractions of width and height.
    ``labels``: BIGINT[], 1 in the object or 0 not, one for each of the points; 1 if not given.
    ``box``: DOUBLE[], [x0, y0, x1, y1], two corners in fractions of width and height.

    Returns struct<segmentation: struct<size: array<int32>, counts: string>, bbox: array<float32>, area: int64,
    predicted_iou: float32, stability_score: float32>.

        sam.annotate("nano", _.image, points=[[0.5, 0.4], [0.5, 0.8]], labels=[1, 0], box=[0.1, 0.0, 0.9, 1.0])
    """
    return call(
        "sam_annotate",
        model=model,
        image=image,
        point=point,
        points=points,
        labels=labels,
        box=box,
    )


def annotate_many(
    model: Model,
    image: Image,
    prompts: ListOf[Record],
) -> ir.ArrayValue:
    """Returns the records of `sam_annotate` for several prompts on one image, which is encoded once.

    Each prompt is `{'points': [[x, y], ...], 'labels': [...], 'box': [x0, y0, x1, y1]}`, in fractions of width and
    height; any of these fields may be NULL or left out. What detectors give is taken as it is, in pixels, and what lies
    outside of the image is cut off: `bbox` is `[x, y, width, height]`, as COCO and the records of masks have it, `xyxy`
    is `[x0, y0, x1, y1]`, and a `box` that is a struct has the fields `xmin`, `ymin`, `xmax`, `ymax` or `x1`, `y1`,
    `x2`, `y2`. A prompt with several boxes is an error. Other fields, such as a label and a score, are allowed and
    ignored. A prompt that is NULL, or has neither points nor a box, gives a NULL element.

    ``model``: VARCHAR, the name or path of a model.
    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``prompts``: STRUCT(points DOUBLE[][], labels BIGINT[], box DOUBLE[])[]; or STRUCT(points DOUBLE[][], labels
        BIGINT[])[]; or STRUCT(points DOUBLE[][])[]; or STRUCT(box DOUBLE[])[]; or STRUCT(bbox DOUBLE[])[]; or
        STRUCT(xyxy DOUBLE[])[]; or STRUCT(box STRUCT(xmin DOUBLE, ymin DOUBLE, xmax DOUBLE, ymax DOUBLE))[].

    Returns array<struct<segmentation: struct<size: array<int32>, counts: string>, bbox: array<float32>, area: int64,
    predicted_iou: float32, stability_score: float32>>.

        sam.annotate_many("nano", _.image, [{"box": [0.1, 0.0, 0.9, 1.0]}, {"box": [0.2, 0.3, 0.6, 0.7]}])
    """
    return call(
        "sam_annotate_many",
        model=model,
        image=image,
        prompts=prompts,
    )


@overload
def generate(
    model: Model,
    image: Image,
) -> ir.ArrayValue: ...
@overload
def generate(
    model: Model,
    image: Image,
    points_per_side: Whole,
) -> ir.ArrayValue: ...
@overload
def generate(
    model: Model,
    image: Image,
    options: Options,
    /,
) -> ir.ArrayValue: ...
@overload
def generate(
    model: Model,
    image: Image,
    *,
    options: Options,
) -> ir.ArrayValue: ...
@overload
def generate(
    model: Model,
    image: Image,
    *,
    points_per_side: Whole | None = None,
    pred_iou_thresh: Number | None = None,
    stability_score_thresh: Number | None = None,
    stability_score_offset: Number | None = None,
    box_nms_thresh: Number | None = None,
    crop_n_layers: Whole | None = None,
    crop_nms_thresh: Number | None = None,
    crop_overlap_ratio: Number | None = None,
    crop_n_points_downscale_factor: Whole | None = None,
    min_mask_region_area: Whole | None = None,
) -> ir.ArrayValue: ...
def generate(
    model: Model,
    image: Image,
    points_per_side: Whole | Options | None = None,
    *,
    options: Options | None = None,
    pred_iou_thresh: Number | None = None,
    stability_score_thresh: Number | None = None,
    stability_score_offset: Number | None = None,
    box_nms_thresh: Number | None = None,
    crop_n_layers: Whole | None = None,
    crop_nms_thresh: Number | None = None,
    crop_overlap_ratio: Number | None = None,
    crop_n_points_downscale_factor: Whole | None = None,
    min_mask_region_area: Whole | None = None,
) -> ir.ArrayValue:
    """Returns the masks of all objects in an image, as SAM's automatic mask generator finds them.

    Every point of a grid is a prompt. A mask is kept if the model trusts it and no better mask covers it. The masks are
    records of `sam_annotate` with `point_coords`, the prompt, and `crop_box` in addition, both in pixels. They come
    with the highest `predicted_iou` first. With crops, those from smaller crops come first; masks that
    `min_mask_region_area` has changed come last. `points_per_side` is 32 if not given, which makes 1,024 prompts. The
    options are those of `SamAutomaticMaskGenerator`: `points_per_side`, `pred_iou_thresh`, `stability_score_thresh`,
    `stability_score_offset`, `box_nms_thresh`, `crop_n_layers`, `crop_nms_thresh`, `crop_overlap_ratio`,
    `crop_n_points_downscale_factor` and `min_mask_region_area`. The defaults of `pred_iou_thresh`,
    `stability_score_thresh` and `box_nms_thresh` depend on the model; all others are SAM's. NULL stands for the
    defaults. DuckDB 1 ignores the name of an argument (`name := value`), so give options in the MAP.

        generate(model, image)
        generate(model, image, points_per_side)
        generate(model, image, options=)

    ``model``: VARCHAR, the name or path of a model.
    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``points_per_side``: BIGINT.
    ``options``: MAP(VARCHAR, DOUBLE).
    ``pred_iou_thresh``: a number, an option.
    ``stability_score_thresh``: a number, an option.
    ``stability_score_offset``: a number, an option.
    ``box_nms_thresh``: a number, an option.
    ``crop_n_layers``: a whole number, an option.
    ``crop_nms_thresh``: a number, an option.
    ``crop_overlap_ratio``: a number, an option.
    ``crop_n_points_downscale_factor``: a whole number, an option.
    ``min_mask_region_area``: a whole number, an option.

    Returns array<struct<segmentation: struct<size: array<int32>, counts: string>, bbox: array<float32>, area: int64,
    predicted_iou: float32, stability_score: float32, point_coords: array<array<float32>>, crop_box: array<float32>>>.

        sam.generate("nano", _.image, points_per_side=16, min_mask_region_area=100)
    """
    return call(
        "sam_generate",
        model=model,
        image=image,
        points_per_side=points_per_side,
        options=options,
        pred_iou_thresh=pred_iou_thresh,
        stability_score_thresh=stability_score_thresh,
        stability_score_offset=stability_score_offset,
        box_nms_thresh=box_nms_thresh,
        crop_n_layers=crop_n_layers,
        crop_nms_thresh=crop_nms_thresh,
        crop_overlap_ratio=crop_overlap_ratio,
        crop_n_points_downscale_factor=crop_n_points_downscale_factor,
        min_mask_region_area=min_mask_region_area,
    )


def embed(
    model: Model,
    image: Image,
    type: Text | None = None,
) -> ir.BinaryValue:
    """Returns the embedding that the model's image encoder computes, as bytes.

    Functions that take a model accept it in place of the image, with the same model, and then run the mask decoder
    only. With `type` `f32`, the default, the masks are the same, bit for bit; `f16` takes half the space and changes
    few pixels. With `nano`, whose masks are refined by the image, the bytes also hold a copy of it of at most 256 x 256
    pixels. The header names the model; another model refuses the bytes. NULL gives NULL.

        embed(model, image)
        embed(model, image, type)

    ``model``: VARCHAR, the name or path of a model.
    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``type``: VARCHAR.

    Returns binary.

        sam.embed("nano", _.image, "f16")
    """
    return call(
        "sam_embed",
        model=model,
        image=image,
        type=type,
    )


def embedding_vector(
    embedding: Bytes,
    mask: MaskLike | None = None,
) -> ir.ArrayValue:
    """Returns what `sam_embed` has computed as one number for each channel: the mean over the image, or over the pixels
    of a `mask` of it.

    It takes no model, and decodes no image. Cast it to `FLOAT[256]`, or as many channels as the model has, for
    `array_cosine_similarity` and the indexes of `vss`. The encoders of Segment Anything are made for outlines and not
    for meaning: such vectors tell regions of one image apart better than images. Those of `nano` are no good for
    similarity: the nearest photograph had the same main colour in 33 % of cases, where 20 % are chance. A mask of
    another size is an error. An invalid mask, or one without pixels, gives NULL.

        embedding_vector(embedding)
        embedding_vector(embedding, mask)

    ``embedding``: BLOB.
    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.

    Returns array<float32>.

        sam.embedding_vector(sam.embed("nano", _.image), _.mask)
    """
    return call(
        "embedding_vector",
        embedding=embedding,
        mask=mask,
    )


@overload
def box_from_pixels(
    box: ListOf[Number],
    image: Image,
) -> ir.ArrayValue: ...
@overload
def box_from_pixels(
    box: ListOf[Number],
    width: Whole,
    height: Whole,
    /,
) -> ir.ArrayValue: ...
@overload
def box_from_pixels(
    box: ListOf[Number],
    *,
    width: Whole,
    height: Whole,
) -> ir.ArrayValue: ...
def box_from_pixels(
    box: ListOf[Number],
    image: Image | Whole | None = None,
    height: Whole | None = None,
    *,
    width: Whole | None = None,
) -> ir.ArrayValue:
    """Converts a box `[x0, y0, x1, y1]` in pixels into a prompt: the same corners as fractions of width and height.

    These are those of the upright `image`, of which only the header is read; it may be an embedding. Or they are given.
    What lies outside of the image is cut off; a box that lies outside altogether, or has no area, is an error. NULL,
    and bytes that are not an image, give NULL.

        box_from_pixels(box, image)
        box_from_pixels(box, width=, height)

    ``box``: DOUBLE[].
    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``width``: BIGINT.
    ``height``: BIGINT.

    Returns array<float64>.

        sam.box_from_pixels([85, 30, 540, 390], _.image)
    """
    return call(
        "box_from_pixels",
        box=box,
        image=image,
        height=height,
        width=width,
    )


@overload
def box_from_xywh(
    box: ListOf[Number],
) -> ir.ArrayValue: ...
@overload
def box_from_xywh(
    box: ListOf[Number],
    image: Image,
) -> ir.ArrayValue: ...
@overload
def box_from_xywh(
    box: ListOf[Number],
    width: Whole,
    height: Whole,
    /,
) -> ir.ArrayValue: ...
@overload
def box_from_xywh(
    box: ListOf[Number],
    *,
    width: Whole,
    height: Whole,
) -> ir.ArrayValue: ...
def box_from_xywh(
    box: ListOf[Number],
    image: Image | Whole | None = None,
    height: Whole | None = None,
    *,
    width: Whole | None = None,
) -> ir.ArrayValue:
    """Converts a box `[x, y, width, height]`, as COCO and the `bbox` of masks have it, into the corners of a prompt.

    With an image, or its width and height, the box is in pixels, and what lies outside of the image is cut off, as
    `box_from_pixels` does. Without, it is in fractions.

        box_from_xywh(box)
        box_from_xywh(box, image)
        box_from_xywh(box, width=, height)

    ``box``: DOUBLE[].
    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``width``: BIGINT.
    ``height``: BIGINT.

    Returns array<float64>.

        sam.box_from_xywh([85, 30, 455, 360], _.image)
    """
    return call(
        "box_from_xywh",
        box=box,
        image=image,
        height=height,
        width=width,
    )


@overload
def box_from_cxcywh(
    box: ListOf[Number],
) -> ir.ArrayValue: ...
@overload
def box_from_cxcywh(
    box: ListOf[Number],
    image: Image,
) -> ir.ArrayValue: ...
@overload
def box_from_cxcywh(
    box: ListOf[Number],
    width: Whole,
    height: Whole,
    /,
) -> ir.ArrayValue: ...
@overload
def box_from_cxcywh(
    box: ListOf[Number],
    *,
    width: Whole,
    height: Whole,
) -> ir.ArrayValue: ...
def box_from_cxcywh(
    box: ListOf[Number],
    image: Image | Whole | None = None,
    height: Whole | None = None,
    *,
    width: Whole | None = None,
) -> ir.ArrayValue:
    """Converts a box `[x, y, width, height]` whose `x` and `y` are its centre into the corners of a prompt.

    YOLO's files have such boxes in fractions; YOLO's detectors have them in pixels, which need the image or its width
    and height, and are cut off at its edges as `box_from_pixels` does.

        box_from_cxcywh(box)
        box_from_cxcywh(box, image)
        box_from_cxcywh(box, width=, height)

    ``box``: DOUBLE[].
    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``width``: BIGINT.
    ``height``: BIGINT.

    Returns array<float64>.

        sam.box_from_cxcywh([0.5, 0.5, 0.25, 0.5])
    """
    return call(
        "box_from_cxcywh",
        box=box,
        image=image,
        height=height,
        width=width,
    )


def box_from_mask(
    mask: MaskLike,
) -> ir.ArrayValue:
    """Returns the smallest box around a mask as a prompt: its corners `[x0, y0, x1, y1]` as fractions of width and
    height.

    So the mask of one model, or of a record, becomes the prompt of another. An invalid mask, or one without pixels,
    gives NULL.

    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.

    Returns array<float64>.

        sam.box_from_mask(_.mask)
    """
    return call(
        "box_from_mask",
        mask=mask,
    )


@overload
def point_from_pixels(
    point: ListOf[Number],
    image: Image,
) -> ir.ArrayValue: ...
@overload
def point_from_pixels(
    point: ListOf[Number],
    width: Whole,
    height: Whole,
    /,
) -> ir.ArrayValue: ...
@overload
def point_from_pixels(
    point: ListOf[Number],
    *,
    width: Whole,
    height: Whole,
) -> ir.ArrayValue: ...
def point_from_pixels(
    point: ListOf[Number],
    image: Image | Whole | None = None,
    height: Whole | None = None,
    *,
    width: Whole | None = None,
) -> ir.ArrayValue:
    """Converts a point `[x, y]` in pixels into a prompt: fractions of width and height.

    These are those of the upright `image`, of which only the header is read; it may be an embedding. Or they are given.
    A point outside of the image is an error. NULL, and bytes that are not an image, give NULL.

        point_from_pixels(point, image)
        point_from_pixels(point, width=, height)

    ``point``: DOUBLE[].
    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``width``: BIGINT.
    ``height``: BIGINT.

    Returns array<float64>.

        sam.point_from_pixels([300, 240], _.image)
    """
    return call(
        "point_from_pixels",
        point=point,
        image=image,
        height=height,
        width=width,
    )


@overload
def points_from_pixels(
    points: ListOf[ListOf[Number]],
    image: Image,
) -> ir.ArrayValue: ...
@overload
def points_from_pixels(
    points: ListOf[ListOf[Number]],
    width: Whole,
    height: Whole,
    /,
) -> ir.ArrayValue: ...
@overload
def points_from_pixels(
    points: ListOf[ListOf[Number]],
    *,
    width: Whole,
    height: Whole,
) -> ir.ArrayValue: ...
def points_from_pixels(
    points: ListOf[ListOf[Number]],
    image: Image | Whole | None = None,
    height: Whole | None = None,
    *,
    width: Whole | None = None,
) -> ir.ArrayValue:
    """The same as `point_from_pixels` for a list of points.

        points_from_pixels(points, image)
        points_from_pixels(points, width=, height)

    ``points``: DOUBLE[][].
    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``width``: BIGINT.
    ``height``: BIGINT.

    Returns array<array<float64>>.

        sam.points_from_pixels([[300, 240], [20, 10]], _.image)
    """
    return call(
        "points_from_pixels",
        points=points,
        image=image,
        height=height,
        width=width,
    )


def mask_to_rle(
    mask: ListOf[Number] | ListOf[Whole] | ListOf[Flag],
    height: Whole,
    width: Whole,
) -> ir.StructValue:
    """Converts a dense mask into its compact form.

    The dense mask has one value per pixel, row by row, of an image with `height` rows and `width` columns. A pixel is
    in the mask where its value is above 0.5. This suits the probabilities of `sam_segment`, 0 and 1, 0 and 255, and
    false and true. Masks of bytes (`UTINYINT[]`, `BOOLEAN[]`) take a quarter of the memory, and less time.

    ``mask``: FLOAT[]; or DOUBLE[]; or UTINYINT[]; or BOOLEAN[].
    ``height``: BIGINT.
    ``width``: BIGINT.

    Returns struct<size: array<int32>, counts: string>.

        sam.mask_to_rle([0, 1, 0.5, 0.7, 0.2, 0.9], 2, 3)
    """
    return call(
        "mask_to_rle",
        mask=mask,
        height=height,
        width=width,
    )


def mask_from_rle(
    mask: MaskLike,
) -> ir.ArrayValue:
    """Converts a mask into its dense form, one value per pixel, row by row: 1 in the mask, 0 outside.

    It takes four bytes per pixel. An invalid mask gives NULL.

    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.

    Returns array<float32>.

        sam.mask_from_rle(_.mask)
    """
    return call(
        "mask_from_rle",
        mask=mask,
    )


def mask_from_polygons(
    polygons: ListOf[ListOf[Number]] | ListOf[Number] | ListOf[ListOf[ListOf[Number]]] | Text,
    height: Whole,
    width: Whole,
) -> ir.StructValue:
    """Returns the mask of an object with these outlines, bit for bit as pycocotools makes it.

    The mask has `height` x `width` pixels. COCO's polygons are lists `[x, y, x, y, ...]` in pixels, one for each part
    of an object. A single one, a list of points `[x, y]`, lists of those, and JSON of any of them are accepted too. The
    mask has the pixels that are in any of the parts. What is outside the image is cut off. An empty list gives a mask
    without pixels, NULL gives NULL. A part with fewer than 3 corners, an odd count of numbers, NULL, NaN or a
    coordinate farther than 400,000,000 pixels away is an error.

    ``polygons``: DOUBLE[][]; or DOUBLE[]; or DOUBLE[][][]; or VARCHAR.
    ``height``: BIGINT.
    ``width``: BIGINT.

    Returns struct<size: array<int32>, counts: string>.

        sam.mask_from_polygons([[10, 10, 30, 10, 30, 25, 10, 25]], 60, 80)
    """
    return call(
        "mask_from_polygons",
        polygons=polygons,
        height=height,
        width=width,
    )


def mask_from_coco(
    segmentation: Text | ListOf[ListOf[Number]] | MaskLike,
    height: Whole,
    width: Whole,
) -> ir.StructValue:
    """Returns the mask of COCO's `segmentation` in any of its forms.

    These are polygons, as `mask_from_polygons` takes them, run lengths, and compressed run lengths. They may be a
    struct, a list, or JSON, as which DuckDB reads a column that has several forms. `height` and `width` are those of
    the image. Run lengths of another size are an error, and so is a value that is not a segmentation. NULL gives NULL.

    ``segmentation``: VARCHAR; or DOUBLE[][]; or MASK, COCO's run lengths, a record with them as its segmentation, a
        Mask, or JSON.
    ``height``: BIGINT.
    ``width``: BIGINT.

    Returns struct<size: array<int32>, counts: string>.

        sam.mask_from_coco('{"size": [60, 80], "counts": [100, 30, 4670]}', 60, 80)
    """
    return call(
        "mask_from_coco",
        segmentation=segmentation,
        height=height,
        width=width,
    )


def mask_to_png(
    mask: MaskLike,
) -> ir.BinaryValue:
    """Converts a mask into a PNG with one channel: 255 in the mask, 0 outside.

    An invalid mask, or one without rows or columns, gives NULL.

    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.

    Returns binary.

        sam.mask_to_png(_.mask)
    """
    return call(
        "mask_to_png",
        mask=mask,
    )


def mask_to_wkb(
    mask: MaskLike,
    tolerance: Number | None = None,
    transform: ListOf[Number] | None = None,
) -> ir.BinaryValue:
    """Returns the outline of a mask as `mask_to_wkt` does, in well-known binary.

    This is what GeoParquet holds, and what `ST_GeomFromWKB` reads.

        mask_to_wkb(mask)
        mask_to_wkb(mask, tolerance)
        mask_to_wkb(mask, tolerance, transform)

    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.
    ``tolerance``: DOUBLE.
    ``transform``: DOUBLE[].

    Returns binary.

        sam.mask_to_wkb(_.mask)
    """
    return call(
        "mask_to_wkb",
        mask=mask,
        tolerance=tolerance,
        transform=transform,
    )


def mask_to_wkt(
    mask: MaskLike,
    tolerance: Number | None = None,
    transform: ListOf[Number] | None = None,
) -> ir.StringValue:
    """Returns the outline of a mask, along the edges of its pixels, as well-known text.

    x points to the right and y **down**, from the upper left corner of the image. The outline is a `POLYGON`, with
    holes, or a `MULTIPOLYGON` where there are several islands. Pixels that share only a corner are not one island. A
    mask without pixels gives `POLYGON EMPTY`. The outline is valid by the rules of OGC, and its area is that of the
    mask. With a `tolerance` above 0, in pixels, corners are left out. Each of them lies within this distance of the new
    outline, which stays valid. A `transform` `[a, b, c, d, e, f]` puts the outline on a map: x becomes `a x + b y + c`
    and y becomes `d x + e y + f`, as rasterio has it. `image_geo` reads it from a GeoTIFF. One that cannot be inverted
    is an error. An invalid mask gives NULL.

        mask_to_wkt(mask)
        mask_to_wkt(mask, tolerance)
        mask_to_wkt(mask, tolerance, transform)

    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.
    ``tolerance``: DOUBLE.
    ``transform``: DOUBLE[].

    Returns string.

        sam.mask_to_wkt(_.mask, 1.0)
    """
    return call(
        "mask_to_wkt",
        mask=mask,
        tolerance=tolerance,
        transform=transform,
    )


def mask_area(
    mask: MaskLike,
) -> ir.IntegerValue:
    """Returns the number of pixels in a mask.

    An invalid mask gives NULL.

    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.

    Returns int64.

        sam.mask_area({"size": [2, 3], "counts": "132"})
    """
    return call(
        "mask_area",
        mask=mask,
    )


def mask_bbox(
    mask: MaskLike,
) -> ir.ArrayValue:
    """Returns the smallest box around a mask, `[x, y, width, height]` in pixels as COCO has it; all 0 for a mask
    without pixels.

    An invalid mask gives NULL.

    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.

    Returns array<float32>.

        sam.mask_bbox(_.mask)
    """
    return call(
        "mask_bbox",
        mask=mask,
    )


def mask_shape(
    mask: MaskLike,
) -> ir.StructValue:
    """Measures the shape of a mask, in pixels.

    The measures are those of scikit-image's `regionprops`. `area_convex` is the area of the convex hull, and `solidity`
    the area by it. `centroid` is `[x, y]`; the centre of the first pixel is `[0, 0]`. `axis_major_length`,
    `axis_minor_length`, `eccentricity` and `orientation` are of the ellipse with the same second moments. `orientation`
    is the angle of its long axis to the vertical, in radians, from -pi/2 to pi/2, counter-clockwise.
    `equivalent_diameter_area` is the diameter of a circle with the same area. `extent` is the area by that of the box.
    `perimeter` is the length of the border through the centres of its pixels. A mask of several parts is measured as a
    whole. A mask without pixels gives NULL. An invalid mask gives NULL.

    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.

    Returns struct<area: int64, area_convex: int64, centroid: array<float64>, axis_major_length: float64,
    axis_minor_length: float64, eccentricity: float64, equivalent_diameter_area: float64, extent: float64, orientation:
    float64, perimeter: float64, solidity: float64>.

        sam.mask_shape(_.mask).solidity
    """
    return call(
        "mask_shape",
        mask=mask,
    )


def mask_stats(
    image: Image,
    mask: MaskLike | ListOf[MaskLike],
) -> ir.ArrayValue:
    """Measures the values of an image in a mask, or in each mask of a list.

    The list has an entry for each mask and each channel. `mask` is the place of the mask in the list and `channel` the
    number of the channel, both counted from 1. Values are those of the file, whatever its type, nothing is stretched.
    All bands of a TIFF are measured, alpha as well; palettes and CMYK become RGB; fewer than 8 bits become 8. `std` is
    the standard deviation of all values (NumPy's). NaN is left out, and so is the value that stands for "no data"
    (`image_info(image).nodata`), in each channel by itself, as rasterio masks it; `count` says how many values there
    are. Where there are none the other numbers are NULL. The image is decoded once for all masks of a row, and is
    upright, as it is for masks. A mask of another size than the image is an error. NULLs in the list are skipped. Bytes
    that are not an image, or are a damaged one, give NULL. An invalid mask gives NULL.

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON; or MASK[], several
        masks.

    Returns array<struct<mask: int32, channel: int32, count: int64, mean: float64, std: float64, min: float64, max:
    float64, median: float64, sum: float64>>.

        sam.mask_stats(_.image, _.mask)
    """
    return call(
        "mask_stats",
        image=image,
        mask=mask,
    )


def mask_iou(
    a: MaskLike,
    b: MaskLike,
) -> ir.FloatingValue:
    """Returns the intersection over union of two masks, 0 to 1; 0 where both have no pixels.

    Masks of different sizes are an error. A mask does not tell which image or tile it is of: put masks of different
    tiles in the whole image by `mask_place` first. An invalid mask gives NULL.

    ``a``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.
    ``b``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.

    Returns float64.

        sam.mask_iou(_.mask, _.other)
    """
    return call(
        "mask_iou",
        a=a,
        b=b,
    )


def mask_iou_matrix(
    masks: ListOf[MaskLike],
    others: ListOf[MaskLike],
    crowds: ListOf[Flag] | None = None,
) -> ir.ArrayValue:
    """Returns the intersection over union of each of `masks` with each of `others`: a list for each of `masks`, with a
    number for each of `others`.

    These are the numbers of `pycocotools.mask.iou`. `crowds` says which of `others` are crowds (COCO's `iscrowd`). For
    them it is the part of the mask that lies in the crowd. A NULL in `masks` gives NULL in place of its list, a NULL in
    `others` in place of its numbers. Masks of different sizes are an error. An invalid mask gives NULL.

        mask_iou_matrix(masks, others)
        mask_iou_matrix(masks, others, crowds)

    ``masks``: MASK[], several masks.
    ``others``: MASK[], several masks.
    ``crowds``: BOOLEAN[].

    Returns array<array<float64>>.

        sam.mask_iou_matrix(_.masks, [_.mask, _.other])
    """
    return call(
        "mask_iou_matrix",
        masks=masks,
        others=others,
        crowds=crowds,
    )


def mask_nms(
    masks: ListOf[MaskLike],
    scores: ListOf[Number],
    threshold: Number,
    by: Text | None = None,
) -> ir.ArrayValue:
    """Drops duplicates among masks (greedy non-maximum suppression, as torchvision's `nms` and SAM's mask generator).

    It keeps the mask with the best score, and drops all that overlap it by an IoU of more than `threshold`. Then it
    goes on with the best of the rest. It returns the places in the list of the masks that are kept, the best first,
    counted from 1. `by` says what the IoU is of: `mask`, the default, or `box`. There is one score for each mask; of
    equal ones the first is the best. NULLs in `masks` are never kept. Masks of different sizes are an error. An invalid
    mask gives NULL.

        mask_nms(masks, scores, threshold)
        mask_nms(masks, scores, threshold, by)

    ``masks``: MASK[], several masks.
    ``scores``: DOUBLE[].
    ``threshold``: DOUBLE.
    ``by``: VARCHAR.

    Returns array<int64>.

        sam.mask_nms([_.mask, _.other], [0.9, 0.8], 0.7)
    """
    return call(
        "mask_nms",
        masks=masks,
        scores=scores,
        threshold=threshold,
        by=by,
    )


@overload
def mask_union(
    a: MaskLike,
    b: MaskLike,
) -> ir.StructValue: ...
@overload
def mask_union(
    masks: ListOf[MaskLike],
    /,
) -> ir.StructValue: ...
@overload
def mask_union(
    *,
    masks: ListOf[MaskLike],
) -> ir.StructValue: ...
def mask_union(
    a: MaskLike | ListOf[MaskLike] | None = None,
    b: MaskLike | None = None,
    *,
    masks: ListOf[MaskLike] | None = None,
) -> ir.StructValue:
    """Returns the union of two masks, or of all masks in a list.

    `list(mask)` gathers such a list from a group. NULLs in the list are skipped; an empty list gives NULL. Masks of
    different sizes are an error. An invalid mask gives NULL.

        mask_union(a, b)
        mask_union(masks=)

    ``a``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.
    ``b``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.
    ``masks``: MASK[], several masks.

    Returns struct<size: array<int32>, counts: string>.

        sam.mask_union(_.mask, _.other)
    """
    return call(
        "mask_union",
        a=a,
        b=b,
        masks=masks,
    )


@overload
def mask_intersect(
    a: MaskLike,
    b: MaskLike,
) -> ir.StructValue: ...
@overload
def mask_intersect(
    masks: ListOf[MaskLike],
    /,
) -> ir.StructValue: ...
@overload
def mask_intersect(
    *,
    masks: ListOf[MaskLike],
) -> ir.StructValue: ...
def mask_intersect(
    a: MaskLike | ListOf[MaskLike] | None = None,
    b: MaskLike | None = None,
    *,
    masks: ListOf[MaskLike] | None = None,
) -> ir.StructValue:
    """Returns the intersection of two masks, or of all masks in a list.

    NULLs, empty lists, different sizes and invalid masks are treated as by `mask_union`.

        mask_intersect(a, b)
        mask_intersect(masks=)

    ``a``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.
    ``b``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.
    ``masks``: MASK[], several masks.

    Returns struct<size: array<int32>, counts: string>.

        sam.mask_intersect(_.mask, _.other)
    """
    return call(
        "mask_intersect",
        a=a,
        b=b,
        masks=masks,
    )


def mask_difference(
    a: MaskLike,
    b: MaskLike,
) -> ir.StructValue:
    """Returns the pixels of mask `a` that are not in mask `b`.

    Masks of different sizes are an error. An invalid mask gives NULL.

    ``a``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.
    ``b``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.

    Returns struct<size: array<int32>, counts: string>.

        sam.mask_difference(_.mask, _.other)
    """
    return call(
        "mask_difference",
        a=a,
        b=b,
    )


def mask_clean(
    mask: MaskLike,
    min_area: Whole,
) -> ir.StructValue:
    """Removes small holes and islands from a mask.

    Holes of fewer than `min_area` pixels are filled, then islands of fewer are removed, as by SAM's
    `remove_small_regions`. If all islands are smaller, the largest stays. Pixels that share an edge or a corner are
    connected. Background that touches the border counts as a hole too. An invalid mask gives NULL.

    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.
    ``min_area``: BIGINT.

    Returns struct<size: array<int32>, counts: string>.

        sam.mask_clean(_.mask, 100)
    """
    return call(
        "mask_clean",
        mask=mask,
        min_area=min_area,
    )


def mask_place(
    mask: MaskLike,
    x: Whole,
    y: Whole,
    height: Whole,
    width: Whole,
) -> ir.StructValue:
    """Places the mask of a part of an image in the whole image, which has `height` rows and `width` columns.

    `x` and `y` are the upper left corner of the part in the whole, in pixels, as `image_tile` gives them. What lies
    outside of the whole is cut off. So masks of different tiles can be compared and united. With negative `x` and `y`
    it cuts a part out of a mask. An invalid mask gives NULL.

    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.
    ``x``: BIGINT.
    ``y``: BIGINT.
    ``height``: BIGINT.
    ``width``: BIGINT.

    Returns struct<size: array<int32>, counts: string>.

        sam.mask_place(_.mask, 512, 0, 3000, 4000)
    """
    return call(
        "mask_place",
        mask=mask,
        x=x,
        y=y,
        height=height,
        width=width,
    )


def mask_labels(
    masks: ListOf[MaskLike],
    format: Text | None = None,
) -> ir.BinaryValue:
    """Writes masks as one label image of 16 bits: 1 where the first mask is, 2 where the second is, and so on, 0 where
    there is none.

    Cellpose, StarDist, scikit-image, ImageJ and others read such images. Where masks overlap, the first of them counts.
    `format` is `png`, the default, or `tiff`. NULLs in the list leave their number unused. A list without any mask
    gives NULL, and so do masks without rows or columns. More than 65535 masks, and masks of different sizes, are an
    error. An invalid mask gives NULL.

        mask_labels(masks)
        mask_labels(masks, format)

    ``masks``: MASK[], several masks.
    ``format``: VARCHAR.

    Returns binary.

        sam.mask_labels(_.masks, "tiff")
    """
    return call(
        "mask_labels",
        masks=masks,
        format=format,
    )


def masks_from_labels(
    image: Image,
) -> ir.ArrayValue:
    """Returns the masks of a label image, whose values are the numbers of objects, 0 where there is none.

    `label` is the number; the list is in its order. Of an image with a palette (PNG, TIFF, GIF) the numbers of the
    colours count, as in the instance masks of Pascal VOC. Whole numbers of any type are read, those of 1, 2 and 4 bits
    as they are. An image with colours, with fractions or with more than a million values is an error, and so is a JPEG,
    or a TIFF of JPEGs, whose compression changes the numbers. Bytes that are not an image, or are a damaged one, give
    NULL.

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.

    Returns array<struct<label: int64, segmentation: struct<size: array<int32>, counts: string>, bbox: array<float32>,
    area: int64>>.

        sam.masks_from_labels(_.image)
    """
    return call(
        "masks_from_labels",
        image=image,
    )


def mask_error(
    mask: MaskLike,
) -> ir.StringValue:
    """Returns what is wrong with an invalid mask, for which the other functions return NULL; NULL for a valid mask.

    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.

    Returns string.

        sam.mask_error({"size": [2, 3], "counts": "13"})
    """
    return call(
        "mask_error",
        mask=mask,
    )


def image_info(
    image: Image,
) -> ir.StructValue:
    """Reads the header of an image, in microseconds and whatever its size.

    `width` and `height` are those of the image as displayed, with the EXIF `orientation` (1 to 8) applied. `channels`
    are those of the file. `format` is `jpeg`, `png`, `webp`, `gif`, `bmp` or `tiff`. `sample` is the type of the
    samples: `uint8`, `uint16`, `int16`, `float32` and others. All functions stretch samples other than `uint8` when
    they read an image. The lowest value in the image, over all colours, becomes 0 and the highest 255. Alpha, further
    bands, NaN, infinities and `nodata` are left out; an image of one value becomes black. `pages` is the number of
    pages of a TIFF, or of frames of an animation; the first is read (see `image_page`). Overviews, thumbnails and masks
    in a TIFF are no pages. `nodata` is the value that stands for "no data" in a TIFF of GDAL; NULL where the file names
    none, which is never guessed. Bytes that are not an image, or are a damaged one, give NULL. An image in a format
    that is not decoded, such as HEIC, is an error.

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.

    Returns struct<width: int32, height: int32, channels: int32, format: string, orientation: int32, sample: string,
    pages: int32, nodata: float64>.

        sam.image_info(_.image).width
    """
    return call(
        "image_info",
        image=image,
    )


def image_geo(
    image: Image,
) -> ir.StructValue:
    """Reads where a GeoTIFF lies on the earth, from its header and whatever its size.

    `transform` has the six numbers `[a, b, c, d, e, f]` that bring pixels to coordinates, for `mask_to_wkb` and
    `mask_to_wkt`; they are those of rasterio, for the upright image. NULL stands for tie points alone. `epsg` is the
    code of the reference system; NULL for one that the file describes itself. `citation` is what the file calls it. An
    image that does not tell where it lies gives NULL; so do the results of `image_crop`, `image_tile` and others, which
    keep no such metadata. Bytes that are not an image, or are a damaged one, give NULL.

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.

    Returns struct<transform: array<float64>, epsg: int32, citation: string>.

        sam.image_geo(_.image).epsg
    """
    return call(
        "image_geo",
        image=image,
    )


def image_thumbnail(
    image: Image,
    max_side: Whole,
) -> ir.BinaryValue:
    """Scales an image down so that its longer side has at most `max_side` pixels.

    The aspect ratio is kept, and an image that is small enough keeps its size. The format is that of the image (PNG for
    a GIF); JPEGs are written with quality 90 and WebP without loss. The result is upright, and of the metadata only the
    colour profile is kept. The same holds for all functions that return an image. Bytes that are not an image, or are a
    damaged one, give NULL.

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``max_side``: BIGINT.

    Returns binary.

        sam.image_thumbnail(_.image, 128)
    """
    return call(
        "image_thumbnail",
        image=image,
        max_side=max_side,
    )


def image_resize(
    image: Image,
    width: Whole,
    height: Whole,
) -> ir.BinaryValue:
    """Resizes an image to `width` x `height` pixels, whatever its aspect ratio.

    The result is that of Pillow's `resize` with `BILINEAR`. Format and metadata are as for `image_thumbnail`. Bytes
    that are not an image, or are a damaged one, give NULL.

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``width``: BIGINT.
    ``height``: BIGINT.

    Returns binary.

        sam.image_resize(_.image, 320, 240)
    """
    return call(
        "image_resize",
        image=image,
        width=width,
        height=height,
    )


def image_crop(
    image: Image,
    bbox: ListOf[Number],
) -> ir.BinaryValue:
    """Returns the part of an image in a box, such as the `bbox` of `sam_annotate`.

    The box is `[x, y, width, height]` in pixels of the upright image. Pixels that it covers in part are taken whole;
    what lies outside the image is left out. A box that holds no pixel of the image gives NULL. The part has the values
    of the image: of a TIFF or PNG with other samples than `uint8` their type, of a TIFF all bands, and what stands for
    "no data". So a part is stretched by its own range when it is looked at. Otherwise format and metadata are as for
    `image_thumbnail`. Bytes that are not an image, or are a damaged one, give NULL.

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``bbox``: DOUBLE[].

    Returns binary.

        sam.image_crop(_.image, [10, 20, 300, 200])
    """
    return call(
        "image_crop",
        image=image,
        bbox=bbox,
    )


@overload
def image_convert(
    image: Image,
    format: Text,
) -> ir.BinaryValue: ...
@overload
def image_convert(
    image: Image,
    format: Text,
    range: Text,
) -> ir.BinaryValue: ...
@overload
def image_convert(
    image: Image,
    format: Text,
    quality: Whole,
    /,
) -> ir.BinaryValue: ...
@overload
def image_convert(
    image: Image,
    format: Text,
    *,
    quality: Whole,
) -> ir.BinaryValue: ...
def image_convert(
    image: Image,
    format: Text,
    range: Text | Whole | None = None,
    *,
    quality: Whole | None = None,
) -> ir.BinaryValue:
    """Converts an image to `jpeg`, `png`, `webp`, `bmp` or `tiff`, of 8 bits.

    Transparent parts become white in `jpeg` and `bmp`. `range` says how samples of more bits are brought to 8. `own`,
    the default, stretches from the lowest value in the image to the highest, as all functions do (see `image_info`).
    `full` takes the high byte of integers, and the range 0 to 1 of floats. `quality`, 1 to 100, is that of a `jpeg` or
    of a `webp` with loss, whose transparency is kept; 80 is usual for the web. For other formats it is an error.
    Without it, quality is as for `image_thumbnail`, and so are metadata. Bytes that are not an image, or are a damaged
    one, give NULL.

        image_convert(image, format)
        image_convert(image, format, range)
        image_convert(image, format, quality=)

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``format``: VARCHAR.
    ``range``: VARCHAR.
    ``quality``: BIGINT.

    Returns binary.

        sam.image_convert(_.image, "png")
    """
    return call(
        "image_convert",
        image=image,
        format=format,
        range=range,
        quality=quality,
    )


def image_overlay(
    image: Image,
    mask: MaskLike | ListOf[MaskLike],
) -> ir.BinaryValue:
    """Draws a mask, or every mask in a list, on an image, tinted and with a contour.

    Masks in a list have different colours; those of the first ones are the farthest apart. NULLs in the list are
    skipped. A mask of another size than the image is an error. Format and metadata are as for `image_thumbnail`. Bytes
    that are not an image, or are a damaged one, give NULL. An invalid mask gives NULL.

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON; or MASK[], several
        masks.

    Returns binary.

        sam.image_overlay(_.image, _.mask)
    """
    return call(
        "image_overlay",
        image=image,
        mask=mask,
    )


@overload
def image_cutout(
    image: Image,
    mask: MaskLike,
) -> ir.BinaryValue: ...
@overload
def image_cutout(
    image: Image,
    probabilities: ListOf[Number],
    /,
) -> ir.BinaryValue: ...
@overload
def image_cutout(
    image: Image,
    *,
    probabilities: ListOf[Number],
) -> ir.BinaryValue: ...
def image_cutout(
    image: Image,
    mask: MaskLike | ListOf[Number] | None = None,
    *,
    probabilities: ListOf[Number] | None = None,
) -> ir.BinaryValue:
    """Returns what a mask covers in an image, as a PNG that is transparent elsewhere.

    The PNG has the size of the mask's box. A mask of another size than the image is an error. A mask without pixels
    gives NULL. `probabilities`, one for each pixel as `sam_segment` returns them, give soft edges instead: a pixel is
    opaque from 0.75 on, transparent up to 0.25, and in proportion between. The PNG has the size of the box of what is
    not transparent. Bytes that are not an image, or are a damaged one, give NULL. An invalid mask gives NULL.

        image_cutout(image, mask)
        image_cutout(image, probabilities=)

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``mask``: MASK, COCO's run lengths, a record with them as its segmentation, a Mask, or JSON.
    ``probabilities``: FLOAT[]; or DOUBLE[].

    Returns binary.

        sam.image_cutout(_.image, _.mask)
    """
    return call(
        "image_cutout",
        image=image,
        mask=mask,
        probabilities=probabilities,
    )


def image_tile(
    image: Image,
    size: Whole,
    overlap: Whole,
) -> ir.ArrayValue:
    """Cuts an image into tiles of `size` x `size` pixels that share at least `overlap` pixels with their neighbours.

    The tiles are listed row by row; `x` and `y` are the upper left corner of a tile in the image. All have the full
    size, because the last ones are moved back; only an image that is smaller itself gives smaller ones. `mask_place`
    puts masks of a tile back in the image; masks of different tiles can be compared only there. Values, format and
    metadata are as for `image_crop`. Bytes that are not an image, or are a damaged one, give NULL.

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``size``: BIGINT.
    ``overlap``: BIGINT.

    Returns array<struct<x: int32, y: int32, image: binary>>.

        sam.image_tile(_.image, 1024, 128)
    """
    return call(
        "image_tile",
        image=image,
        size=size,
        overlap=overlap,
    )


def image_page(
    image: Image,
    number: Whole,
) -> ir.BinaryValue:
    """Returns page `number` of a TIFF, or frame `number` of a GIF, as a PNG, or as a TIFF where a PNG cannot hold its
    values.

    Pages are counted from 1 to `image_info(image).pages`. All other functions read the first. The result is upright and
    has the values of the page. `uint8`, and grey and colours of `uint16`, are a PNG; signed numbers, more bits, floats,
    further bands and a page with "no data" are a TIFF with all of them. Only palettes and CMYK become RGB, and fewer
    than 8 bits become 8. A number that the image does not have is an error. Bytes that are not an image, or are a
    damaged one, give NULL.

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``number``: BIGINT.

    Returns binary.

        sam.image_page(_.image, 2)
    """
    return call(
        "image_page",
        image=image,
        number=number,
    )


def image_pages(
    image: Image,
) -> ir.ArrayValue:
    """Returns all pages of a TIFF, or all frames of a GIF, in their order, each as `image_page` gives it: a stack of a
    microscope as images of its own depth.

    An image with one page gives a list with one image. Bytes that are not an image, or are a damaged one, give NULL.

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.

    Returns array<binary>.

        sam.image_pages(_.image)
    """
    return call(
        "image_pages",
        image=image,
    )


def image_pixels(
    image: Image,
    channel: Whole | None = None,
) -> ir.StructValue:
    """Returns the values of an image, row by row, and of each pixel all `channels` one after the other; or only those
    of one `channel`, counted from 1.

    Values are those of the file, whatever its type, as for `mask_stats`; whole numbers of more than 24 bits are
    rounded. The image is upright. Pixel `(x, y)` from 0 on has its channel `c` at `pixels[(y * width + x) * channels +
    c]`, where `c` is counted from 1. It takes four bytes per value. Bytes that are not an image, or are a damaged one,
    give NULL.

        image_pixels(image)
        image_pixels(image, channel)

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``channel``: BIGINT.

    Returns struct<height: int32, width: int32, channels: int32, pixels: array<float32>>.

        sam.image_pixels(_.image, 1).pixels
    """
    return call(
        "image_pixels",
        image=image,
        channel=channel,
    )


def image_from_pixels(
    pixels: ListOf[Number] | ListOf[Whole],
    height: Whole,
    width: Whole,
    channels: Whole,
    sample: Text | None = None,
) -> ir.BinaryValue:
    """Writes values as a PNG: row by row, and of each pixel all `channels` one after the other, as `image_pixels` gives
    them.

    There are 1 channel (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha). `sample` is the type of the values in the
    file: `uint8` (0 to 255), the default, or `uint16` (0 to 65535). Values are rounded. One beyond the range is an
    error; so are fractions from 0 to 1, which are to be multiplied first.

        image_from_pixels(pixels, height, width, channels)
        image_from_pixels(pixels, height, width, channels, sample)

    ``pixels``: FLOAT[]; or DOUBLE[]; or UTINYINT[].
    ``height``: BIGINT.
    ``width``: BIGINT.
    ``channels``: BIGINT.
    ``sample``: VARCHAR.

    Returns binary.

        sam.image_from_pixels([0, 128, 255, 64], 2, 2, 1)
    """
    return call(
        "image_from_pixels",
        pixels=pixels,
        height=height,
        width=width,
        channels=channels,
        sample=sample,
    )


def image_hash(
    image: Image,
    algorithm: Text | None = None,
) -> ir.IntegerValue:
    """Returns a perceptual hash of an image, 64 bits.

    Images that look alike differ in few bits, whatever their size, format and compression. The number of bits that
    differ is `bit_count(xor(a, b))`. `algorithm` is `phash`, the default, or `dhash`. pHash compares the low
    frequencies of the image with their median. It stands compression, scaling and changes of brightness and contrast:
    up to about 10 bits are the same image. Symmetric objects on a plain background are its weakness: many of their
    frequencies are near 0, and a re-encoded image may differ in 16. dHash, that of imagehash, tells where the image
    becomes lighter from left to right, in 9 x 8 pixels. Such objects differ in up to 2 bits after re-encoding. But a
    change of contrast may turn 12 on a plain background, and different images come nearer to each other. Neither stands
    cropping, mirroring or rotation. Bytes that are not an image, or are a damaged one, give NULL.

        image_hash(image)
        image_hash(image, algorithm)

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.
    ``algorithm``: VARCHAR.

    Returns uint64.

        sam.image_hash(_.image)
    """
    return call(
        "image_hash",
        image=image,
        algorithm=algorithm,
    )


def image_error(
    image: Image,
) -> ir.StringValue:
    """Returns why bytes cannot be read as an image; NULL for an image that can.

    Bytes that are not an image, or are a damaged one, give NULL in the other `image_` functions. An image that is too
    large fails there, and so does an intact one that is not decoded (HEIC, camera raw, ...). The text names the setting
    that lifts the limit, or says what to do with such a format. Only `image_info` reads the header of an image of any
    size. The whole image is decoded, so that truncated ones are found.

    ``image``: IMAGE, bytes of an image file, or a struct of bytes and path.

    Returns string.

        sam.image_error(_.image)
    """
    return call(
        "image_error",
        image=image,
    )


def model_info(
    model: Model,
) -> ir.StructValue:
    """Returns what a model says about itself, and loads it if necessary.

    `image_size` is the side in pixels of what its encoder sees. `sha256` is the digest of its file: include it in the
    key when you cache results. For a model in several files (weights, an index, what is stated beside them) it is the
    digest of the list of their digests, as `sha256sum` prints it.

    ``model``: VARCHAR, the name or path of a model.

    Returns struct<name: string, path: string, architecture: string, image_size: int32, mask_size: int32, parameters:
    int64, bytes: int64, license: string, sha256: string>.

        sam.model_info("nano").sha256
    """
    return call(
        "sam_model_info",
        model=model,
    )


def version() -> ir.StringValue:
    """Returns the version of the extension.

    Returns string.

        sam.version()
    """
    return call("sam_version")
