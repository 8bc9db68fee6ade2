"""Weights as one safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def convert(
    model: str | Path,
    path: str | Path | None = None,
    *,
    dtype: Literal["f32", "f16"] = "f32",
    image_size: int | None = None,
    replace: bool = False,
) -> Path:
    """Write ``model`` to a safetensors file with Meta's names and return the file.

        duckdb_sam.convert("checkpoints/last.ckpt", "parcels.safetensors", dtype="f16")

    ``model`` is what the functions take as a model: a name, or the path of a file or folder. ``path`` is by default the
    model's own with the ending ``.safetensors``. The file holds the weights that inference uses and no others, and
    the sizes of the network. So optimizers, losses and what stood in files beside it are gone.

    ``dtype`` is ``"f32"``, with which masks stay the same, bit for bit, or ``"f16"``, which takes half the space and
    changes few pixels. ``image_size`` is the side, in pixels, of what the encoder sees, where the weights do not tell:
    a network with MobileSAM's shapes that was trained with an input of 256, for example. An existing file is replaced
    only with ``replace``.

    Raises ValueError for a model that cannot be found or run, and for a file that cannot be written.
    """
    from duckdb_sam.engine import shared
    from duckdb_sam.quoting import literal

    if path is None:
        if not Path(model).suffix:
            raise ValueError(f"model {str(model)!r} is a name, not a file: give path=, the file to write")
        path = Path(model).with_suffix(".safetensors")
    target = Path(path).absolute()
    named = {"type": dtype, "image_size": image_size, "replace": "true" if replace else "false"}
    given = ", ".join(f"{name} := {literal(value)}" for name, value in named.items() if value is not None)
    with shared.query(f"CALL sam_convert({literal(model)}, {literal(target)}, {given})") as result:
        result.fetchall()
    return target
