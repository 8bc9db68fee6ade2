"""The model folder: ``pull`` brings published weights into it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from urllib.parse import urlsplit

from duckdb_sam.weights.errors import PullError
from duckdb_sam.weights.registry import Model, find, model_folder, part_of

_MIRROR = "SAM_MODEL_MIRROR"
_OFFLINE = ("SAM_OFFLINE", "HF_HUB_OFFLINE")


def pull(name: str, force: bool = False, folder: str | Path | None = None) -> Path:
    """Download the model called ``name`` into the model folder, unless it is there, and return its file.

        duckdb_sam.pull("mobile_sam")
        con.sql("SELECT sam_annotate('mobile_sam', image, [0.5, 0.6]) FROM photos")

    The names are those of ``models()``. ``folder`` is the model folder: by default the environment variable
    ``SAM_MODEL_DIR``, else ``~/.duckdb/sam/models``, where the extension finds the model by its name. ``force``
    downloads again what is there.

    An interrupted download goes on where it was when ``pull`` is called again. The file gets its name only when it is
    whole and its SHA-256 is the published one; where none is known, the extension has to find the model in it
    (``Model.check`` says which). Progress is shown on a terminal or in a notebook.

    ``SAM_MODEL_MIRROR=https://host/path`` downloads ``https://host/path/FILE`` instead, and from nowhere else.
    ``SAM_OFFLINE=1`` and ``HF_HUB_OFFLINE=1`` allow no download. Proxies are those of the system and of
    ``HTTPS_PROXY``.

    Raises ValueError for a name that is not known, PullError for what cannot be downloaded, checked or written, and
    KeyboardInterrupt with the way to go on.
    """
    model = find(name)
    target = model_folder(folder) / model.saved_as
    if not force and _is_here(target, model):
        return target
    urls = _urls(model)
    _check_online(model, target, urls)
    from duckdb_sam.weights.download import cannot_write  # only now: urllib takes a while to import
    from duckdb_sam.weights.lock import locked
    from duckdb_sam.weights.progress import say

    lock = target.with_name(target.name + ".lock")
    new = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(lock, lambda: say(f"{target.name}: another process is downloading it; waiting")):
            if force or not _is_here(target, model):
                _download(model, target, urls)
    except OSError as error:
        raise cannot_write(target, error) from error
    except KeyboardInterrupt:
        part = part_of(target)
        have = f"{part.stat().st_size:,} bytes are in {part}" if part.is_file() else "nothing was downloaded yet"
        raise KeyboardInterrupt(f"interrupted: {have}; pull({name!r}) goes on from there") from None
    finally:
        with contextlib.suppress(OSError):  # nothing empty is left where nothing was downloaded
            for folder in new:
                folder.rmdir()
    return target


def _is_here(path: Path, model: Model) -> bool:
    """Whether the model is at ``path``. Another file there is refused: it may be somebody's own work."""
    if not path.is_file():
        return False
    size = path.stat().st_size
    if model.bytes is not None and size != model.bytes:
        what = f"it has {size:,} bytes, the published file {model.bytes:,}"
    elif model.sha256 and (digest := _sha256(path)) != model.sha256:
        what = f"its SHA-256 is {digest}, that of the published file {model.sha256}"
    else:
        return True
    raise PullError(
        f"{path} is another file than the published {model.file}: {what}; rename or remove it, or replace it with "
        f"pull({model.name!r}, force=True)"
    )


def _urls(model: Model) -> tuple[str, ...]:
    mirror = os.environ.get(_MIRROR)
    urls = (f"{mirror.rstrip('/')}/{model.file}",) if mirror else model.urls
    for url in urls:
        if not _is_address(url):
            raise PullError(
                f"{_MIRROR}={mirror} is no address such as https://host/path or http://host:8080/path; for a folder "
                "with models, set SAM_MODEL_DIR"
            )
    return urls


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # an IPv6 address without its end, or a port that is no number
        return False


def _check_online(model: Model, target: Path, urls: tuple[str, ...]) -> None:
    for variable in _OFFLINE:
        value = os.environ.get(variable, "")
        if value.upper() in {"1", "ON", "YES", "TRUE"}:  # as huggingface_hub reads its own
            raise PullError(
                f"{model.name} is not in {target.parent}, and the environment variable {variable}={value} allows no "
                f"download: unset it, or save {urls[0]} as {target} by other means"
            )


def _download(model: Model, target: Path, urls: tuple[str, ...]) -> None:
    from duckdb_sam.weights.download import Download, SourceError
    from duckdb_sam.weights.progress import say, shown

    part, failures = part_of(target), list[str]()
    with shown(target.name) as report:
        for url in urls:
            download = Download(url, part, model.bytes, model.sha256, report)
            try:
                resumed = download.here() > 0
                download.run()
                failure = _fault(part, model)
                if failure and resumed:  # its beginning may be the fault, of another version or damaged since
                    download.discard()
                    download.run()
                    failure = _fault(part, model)
                if failure is None:
                    break
                download.discard()
                failures.append(f"{url}: {failure}")
            except SourceError as error:
                failures.append(str(error))
        else:
            raise PullError(_unavailable(model, target, failures))
    os.replace(part, target)
    download.state.unlink(missing_ok=True)
    found = (
        "its SHA-256 is the published one" if model.sha256 else f"no SHA-256 is known; it loads as {model.architecture}"
    )
    say(f"{target}: {found}")


def _unavailable(model: Model, target: Path, failures: list[str]) -> str:
    lines = "".join(f"\n  {failure}" for failure in failures)
    part = part_of(target)
    have = part.stat().st_size if part.is_file() else 0
    if have:
        remedy = f"{have:,} bytes are in {part}: pull({model.name!r}) goes on from there."
    elif os.environ.get(_MIRROR):
        remedy = f"{_MIRROR} is set: put the file {model.file} there, or unset it."
    else:
        remedy = (
            f"Pull again later, name a mirror that has the file {model.file} with the environment variable {_MIRROR}, "
            f"or save it as {target} by other means. It is published at {model.home}."
        )
    return f"{model.name} could not be downloaded:{lines}\n{remedy}"


def _fault(path: Path, model: Model) -> str | None:
    """Return what is wrong with a whole download."""
    size = path.stat().st_size
    if model.bytes is not None and size != model.bytes:
        return f"{size:,} bytes came, and the published file has {model.bytes:,}"
    if model.sha256 is None:
        return _refusal(path, model)
    digest = _sha256(path)
    if digest == model.sha256:
        return None
    return (
        f"what came has the SHA-256 {digest}, and the published file {model.sha256}: it was damaged on the way or "
        "replaced, and was thrown away"
    )


def _refusal(path: Path, model: Model) -> str | None:
    """Return why the extension does not take the file for the model."""
    import duckdb

    from duckdb_sam import connect

    with connect() as con:
        try:
            row = con.execute("SELECT architecture FROM sam_load(?)", [str(path)]).fetchone()
            con.execute("CALL sam_unload(?)", [str(path)])
        except duckdb.Error as error:
            return f"what came is no model: {error}; it was thrown away"
    found = row[0] if row else None
    if found == model.architecture:
        return None
    return f"what came is a model of the kind {found}, not {model.architecture}; it was thrown away"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()
