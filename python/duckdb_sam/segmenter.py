"""Segment images from Python, without SQL: ``Segmenter``."""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, NoReturn

from duckdb_sam.batches import Batches
from duckdb_sam.engine import Engine
from duckdb_sam.images import Embedding, Image, Picture, picture
from duckdb_sam.masks import Held, Mask, Masks, masks
from duckdb_sam.options import OPTIONS, batch_options, generate_options, short
from duckdb_sam.prompts import ANNOTATE, BoxFormat, Form, Unit, check_form, check_given, prompt, prompt_of

OnError = Literal["raise", "null"]

_AT_HAND = 8
"""Images given as bytes or pixels that are kept for showing masks, the latest ones."""
_AT_HAND_BYTES = 64_000_000
"""Longer ones are not kept."""
_FAILURES = 1000
"""The latest failures that ``errors`` returns."""

_ANNOTATE_MANY = "sam_annotate_many(?, ?::BLOB, ?::STRUCT(points DOUBLE[][], labels BIGINT[], box DOUBLE[])[])"
_GENERATE = "sam_generate(?, ?::BLOB, MAP(?::VARCHAR[], ?::DOUBLE[]))"


class Failure(NamedTuple):
    """An image or prompt that became None or NULL because of ``on_error="null"``."""

    image: str
    """Its path, or what it was given as."""
    message: str
    row: int | None = None
    """Of ``batch``: the row in the table, counted from 0."""


class Segmenter:
    """Segments images with one model.

        seg = duckdb_sam.Segmenter("nano")
        mask = seg.predict("coffee.jpg", [0.5, 0.6])
        masks = seg.generate("coffee.jpg", points_per_side=16)

    An image is a path, the bytes of a file (JPEG, PNG, WebP, GIF, BMP, TIFF), a Pillow image, a NumPy array (height,
    width) or (height, width, 1, 3 or 4), or what ``embed`` returns. EXIF orientation is applied: coordinates and masks
    are those of the upright image. Samples of other types than 8 bits unsigned, floats included, are stretched from
    the lowest value in the image to the highest; arrays of bool are black and white.

    The model is loaded by the first call; an unknown one is a ValueError then. A segmenter can be pickled, used by
    several threads at once, and used in forked children; each process opens its own. It works with the process's
    cache: several prompts on one image encode it once.

    ``model``: ``"nano"``, the name or the path of a model (docs/models.md).
    ``threads``: threads that images are spread over, for the whole process; None leaves it as it is, all cores.
    ``device``: None or ``"cpu"``; there is no other.
    ``on_error``: ``"raise"``, or ``"null"``: an image or prompt that fails gives None, and is listed in ``errors``.
    ``settings``: others of ``sam_configure`` (docs/settings.md), such as ``{"image_megapixels": 400}``.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "nano",
        threads: int | None = None,
        device: str | None = None,
        on_error: OnError = "raise",
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(model, (str, os.PathLike)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"model must be the name or path of a model, not {model!r}")
        if threads is not None and (not isinstance(threads, int) or isinstance(threads, bool)):  # pyright: ignore
            raise TypeError(f"threads must be a whole number or None, not {threads!r}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, not {short(threads)}")
        if device not in (None, "cpu"):
            raise ValueError(f"device {device!r} is not there: models run on the CPU; give device='cpu' or None")
        if on_error not in ("raise", "null"):
            raise ValueError(f"on_error must be 'raise' or 'null', not {on_error!r}")
        for name in settings or {}:
            if not name.isidentifier() or name in ("on_error", "threads"):
                raise ValueError(
                    f"{name!r} is not among the settings that can be given; give on_error and threads apart"
                )
        self.model = os.fspath(model)
        self.threads = threads
        self.device = device
        self.on_error: OnError = on_error
        self.settings = dict(settings or {})
        self._start()

    def _start(self) -> None:
        threads = {} if self.threads is None else {"threads": self.threads}
        self._engine = Engine({**threads, **self.settings, "on_error": "fail"})
        self._batches = Batches(self.model, Engine({**threads, **self.settings, "on_error": "null"}), self._engine)
        self._failures: deque[Failure] = deque(maxlen=_FAILURES)
        self._at_hand: deque[Held] = deque(maxlen=_AT_HAND)
        self._checked = -1  # the process in which the model is known to load

    def predict(
        self,
        image: Image,
        point: Sequence[float] | Any = None,
        *,
        points: Sequence[Sequence[float]] | Any = None,
        labels: Sequence[int] | Any = None,
        box: Sequence[float] | Any = None,
        unit: Unit = "fraction",
        box_format: BoxFormat = "xyxy",
    ) -> Mask:
        """Return the mask of the object at a prompt.

        The prompt is ``point`` [x, y], or ``points`` [[x, y], ...] with ``labels`` (1 in the object, 0 not; 1 if not
        given), a ``box``, or points and a box. ``unit`` says whether coordinates are fractions of width and height or
        pixels, ``box_format`` whether a box is [x0, y0, x1, y1] or [x, y, width, height]. A mask's own box is

            seg.predict(image, box=mask.bbox, unit="pixel", box_format="xywh")

        A box in pixels is cut off at the edges of the image; one in fractions may overshoot by 0.05, a point by 0.001.
        Raises ValueError for an image or prompt that is wrong (or, with ``on_error="null"``, returns None), TypeError
        for what is neither.
        """
        check_form(unit, box_format)
        check_given(point, points, labels, box)

        def work(given: Picture) -> Mask:
            found = prompt(point, points, labels, box, self._form(given, unit, box_format))
            record = self._engine.value(ANNOTATE, self.model, given.data, found.points, found.labels, found.box)
            return Mask.from_record(record, self._where(given))

        return self._try(image, work)

    def predict_many(
        self,
        image: Image,
        *,
        points: Sequence[Sequence[float]] | Any = None,
        boxes: Sequence[Sequence[float]] | Any = None,
        prompts: Sequence[Mapping[str, Any]] | None = None,
        unit: Unit = "fraction",
        box_format: BoxFormat = "xyxy",
    ) -> Masks:
        """Return one mask for each prompt on an image, such as the boxes of a detector; it is encoded once.

        Give one of ``points``, ``boxes``, and ``prompts``: dicts with ``points``, ``labels`` and ``box`` as ``predict``
        takes them.
        """
        check_form(unit, box_format)
        if sum(each is not None for each in (points, boxes, prompts)) != 1:
            raise TypeError("give one of points=[[x, y], ...], boxes=[[x0, y0, x1, y1], ...] and prompts=[{...}, ...]")

        def work(given: Picture) -> Masks:
            form = self._form(given, unit, box_format)
            if points is not None:
                found = [prompt(each, None, None, None, form) for each in points]
            elif boxes is not None:
                found = [prompt(None, None, None, each, form) for each in boxes]
            else:
                found = [prompt_of(number, each, form) for number, each in enumerate(prompts or [])]
            records = self._engine.value(_ANNOTATE_MANY, self.model, given.data, [each._asdict() for each in found])
            return masks(records, self._where(given))

        return self._try(image, work)

    def generate(
        self,
        image: Image,
        *,
        points_per_side: int | None = None,
        pred_iou_thresh: float | None = None,
        stability_score_thresh: float | None = None,
        stability_score_offset: float | None = None,
        box_nms_thresh: float | None = None,
        crop_n_layers: int | None = None,
        crop_nms_thresh: float | None = None,
        crop_overlap_ratio: float | None = None,
        crop_n_points_downscale_factor: int | None = None,
        min_mask_region_area: int | None = None,
        **unknown: NoReturn,
    ) -> Masks:
        """Return the masks of all objects in an image, the highest ``predicted_iou`` first.

        The options are those of SAM's automatic mask generator; ``points_per_side`` is 32 if not given, which makes
        1,024 prompts. Thresholds that are not given depend on the model (``sam_generate`` in docs/functions.md).
        """
        given_options = {name: value for name, value in locals().items() if name in OPTIONS and value is not None}
        options = generate_options({**given_options, **unknown})

        def work(given: Picture) -> Masks:
            names, values = list(options), list(options.values())
            records = self._engine.value(_GENERATE, self.model, given.data, names, values)
            return masks(records, self._where(given))

        return self._try(image, work)

    def embed(self, image: Image, type: Literal["f32", "f16"] = "f32") -> Embedding:
        """Return what the image encoder computes, as bytes: they stand for the image in every other method.

        ``f16`` takes half the space, and changes few pixels of the masks.
        """
        if type not in ("f32", "f16"):
            raise ValueError(f"type must be 'f32' or 'f16', not {type!r}")

        def work(given: Picture) -> Embedding:
            return Embedding(self._engine.value("sam_embed(?, ?::BLOB, ?)", self.model, given.data, type))

        return self._try(image, work)

    def batch(
        self,
        table: Any,
        image: str = "image",
        *,
        point: Any = None,
        points: Any = None,
        labels: Any = None,
        box: Any = None,
        boxes: Any = None,
        generate: bool | Mapping[str, float] = False,
        unit: Unit = "fraction",
        box_format: BoxFormat = "xyxy",
        into: str = "mask",
    ) -> Any:
        """Segment the images in the column ``image`` of an Arrow table, and return it with the column ``into``.

        Rows keep their number and order, columns their types. A prompt is a value for all rows or the name of a column;
        ``boxes`` gives a list of masks for each row, and so does ``generate=True`` or its options. A mask is the
        record of ``sam_annotate``, which ``Mask.from_record`` takes. A NULL image or prompt gives NULL.

        Images are binary in any of Arrow's forms, Hugging Face's struct<bytes, path>, paths (strings), tensors of one
        shape (height, width, channels), or Lance's and Daft's types (docs/python.md). ``table`` is a pyarrow Table or
        RecordBatch, of which the result is one too, or anything with ``__arrow_c_stream__``, such as a Polars frame,
        which becomes a Table.

        With ``on_error="null"`` rows that fail are NULL, and the column ``into`` + ``_error`` says why; else the first
        of them is raised as a ValueError, with its number. Constants and options that are wrong for every image are
        raised in either case.

            dataset.map_batches(seg.batch, batch_format="pyarrow", fn_kwargs={"box": "box", "unit": "pixel"})  # Ray
        """
        check_form(unit, box_format)
        options = batch_options(generate)
        self._check_model()
        prompts = {"point": point, "points": points, "labels": labels, "box": box, "boxes": boxes}
        result, failures = self._batches.run(
            table, image, prompts, options, unit, box_format, into, with_errors=self.on_error == "null"
        )
        if failures and self.on_error == "raise":
            row, message = next(iter(failures.items()))
            raise ValueError(f"row {row}: {message}")
        self._failures.extend(Failure(f"column {image}", message, row) for row, message in failures.items())
        return result

    def errors(self) -> list[Failure]:
        """Return the latest 1,000 images and prompts that failed under ``on_error="null"``, the oldest first."""
        return list(self._failures)

    def close(self) -> None:
        """Free what is open. The next call opens it again; loaded models stay with the process (``sam_unload``)."""
        self._engine.close()
        self._batches.close()
        self._at_hand.clear()

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("model", "threads", "device", "on_error", "settings")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def __repr__(self) -> str:
        given = [repr(self.model)]
        for name in ("threads", "device", "on_error", "settings"):
            if (value := getattr(self, name)) not in (None, "raise", {}):
                given.append(f"{name}={value!r}")
        return f"Segmenter({', '.join(given)})"

    def _try(self, image: Image, work: Any) -> Any:
        """Do ``work`` with an image; what fails because of the image or prompt is raised, or noted and None."""
        self._check_model()
        try:
            return work(picture(image))
        except (ValueError, OSError) as error:
            if self.on_error == "raise":
                raise
            named = isinstance(image, (str, os.PathLike))
            self._failures.append(Failure(os.fspath(image) if named else type(image).__name__, str(error)))
            return None

    def _check_model(self) -> None:
        """Load the model, so that what fails afterwards is an image or a prompt."""
        if self._checked != os.getpid():
            self._engine.value("sam_model_info(?)", self.model)
            self._checked = os.getpid()

    def _form(self, given: Picture, unit: Unit, box_format: BoxFormat) -> Form:
        def size() -> tuple[int, int] | None:
            if given.size is not None:
                return given.size
            info = self._engine.value("image_info(?::BLOB)", given.data)
            return None if info is None else (info["height"], info["width"])

        return Form(unit, box_format, size)

    def _where(self, given: Picture) -> str | weakref.ref[Held] | None:
        """Return what lets masks show their image: its path, or a reference to bytes that are kept for a while."""
        if given.path is not None:
            return given.path
        if isinstance(given.data, Embedding) or len(given.data) > _AT_HAND_BYTES:
            return None
        for held in tuple(self._at_hand):
            if held.data is given.data:
                return weakref.ref(held)
        held = Held(given.data)
        self._at_hand.append(held)
        return weakref.ref(held)
