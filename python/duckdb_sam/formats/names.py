"""Names of images, and the names of files made of them."""

from __future__ import annotations

import os
from pathlib import Path, PurePath, PurePosixPath

from duckdb_sam.formats.files import AnyPath

_ENDINGS = "avif bmp dib dng gif heic heif jfif jp2 jpe jpeg jpg jxl mpo pfm pgm png pnm ppm tif tiff webp"
_IMAGES = frozenset(_ENDINGS.split())


def plain(name: str) -> str:
    """Leave out what changes nothing: ``./a.jpg`` and ``a.jpg`` are one image. ``..`` stays, as it may pass a link."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return ("/" if name.startswith("/") else "") + "/".join(parts) or name


def below(name: str, root: AnyPath | None) -> str:
    """Return ``name`` relative to the folder ``root``, with forward slashes; as it is without one."""
    if root is None:
        return name
    folder, path = Path(root).expanduser(), Path(name)
    if folder.is_absolute() != path.is_absolute():
        folder, path = folder.absolute(), path.absolute()
    inner = PurePath(os.path.relpath(path, folder))
    if ".." in inner.parts or inner.is_absolute():
        raise ValueError(f"image {name!r} is not in the folder root={os.fspath(root)!r}")
    return inner.as_posix()


def short(name: str, root: AnyPath | None) -> PurePosixPath:
    """Return the name of an image in a data set: relative to ``root``, or that of the file alone without one."""
    path = PurePosixPath(below(name, root) if root is not None else PurePath(name).name)
    unicode = not any("\ud800" <= sign <= "\udfff" for sign in name)
    if path.name in ("", "..") or not unicode or "\0" in name or "\n" in name or "\r" in name:
        raise ValueError(f"image {name!r} has a name that no file of a data set can have")
    return path


def beside(image: PurePosixPath, ending: str) -> PurePosixPath:
    """Return the name with another ending; what follows the last dot stays where it is no ending of images."""
    stem = image.stem if is_image(image.name) and image.suffix else image.name
    return image.with_name(stem + ending)


def is_image(name: str) -> bool:
    """Tell whether a name ends as that of an image."""
    return name.rpartition(".")[2].lower() in _IMAGES


def unique(names: dict[PurePosixPath, str], file: PurePosixPath, image: str) -> None:
    """Note that ``file`` is that of ``image``. Two images with one file are a ValueError that says so."""
    other = names.setdefault(file, image)
    if other != image:
        raise ValueError(
            f"images {other!r} and {image!r} would both have the file {str(file)!r}: "
            "give root=..., the folder below which their folders are kept, or other names"
        )
