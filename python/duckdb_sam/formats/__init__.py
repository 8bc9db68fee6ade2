"""Masks to and from the files of other tools.

Every ``to_...`` takes rows of any kind: a DuckDB relation, an Arrow table, batch, reader or dataset, a pandas or Polars
frame, an Ibis table, the path of Parquet files or a folder of them, a list of dicts; or masks by the name of their
image,
``{"a.jpg": masks}``; or ``Mask`` and ``Masks`` objects of images that were given by their path.

A row has the name of its image and a mask, or a list of masks: records of ``sam_annotate`` and ``sam_generate``, COCO's
run lengths, ``Mask`` objects, or JSON of them. NULL and an empty list mean an image without masks. Several rows may
have the same image. Columns that are not named are found: the name of the image as ``file_name``, ``filename``,
``name``,
``path``, or ``image`` where that has paths; masks as ``mask``, ``masks``, ``seg`` or ``segmentation``; ``category`` or
``categories``; ``score`` or ``scores``, else the ``predicted_iou`` of the record; ``width`` and ``height``; ``image``.
"""
