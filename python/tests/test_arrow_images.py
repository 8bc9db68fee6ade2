"""Arrow's and other libraries' types for images, in and out, without those libraries."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from conftest import PHOTOS
from duckdb_sam import Segmenter, lance_images

BOX = [0.1, 0.1, 0.9, 0.9]
RANDOM = np.random.default_rng(3)
COLOUR = RANDOM.integers(0, 256, (3, 40, 60, 3), np.uint8)
GREY = COLOUR[..., 0]


@pytest.fixture(scope="module")
def seg() -> Segmenter:
    return Segmenter()


def extension(name: str, storage: pa.DataType, metadata: str = "") -> pa.ExtensionType:
    class Type(pa.ExtensionType):
        def __init__(self) -> None:
            super().__init__(storage, name)

        def __arrow_ext_serialize__(self) -> bytes:
            return metadata.encode()

        @classmethod
        def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> pa.ExtensionType:
            return cls()

    return Type()


def forms(name: str, storage: pa.Array, metadata: str = "") -> dict[str, pa.Table]:
    """A column of an extension type as its library gives it, and as it arrives where that is not imported."""
    kind = extension(name, storage.type, metadata)
    known = {"ARROW:extension:name": name, "ARROW:extension:metadata": metadata}
    return {
        "registered": pa.table({"image": pa.ExtensionArray.from_storage(kind, storage)}),
        "unknown": pa.table([storage], pa.schema([pa.field("image", storage.type, metadata=known)])),
    }


def masks(seg: Segmenter, table: pa.Table) -> list[Any]:
    result = seg.batch(table, box=BOX)
    assert result.schema.field("image").equals(table.schema.field("image"), check_metadata=True)
    return result["mask"].to_pylist()


def tensors(pixels: np.ndarray, valid: list[bool] | None = None) -> pa.Array:
    values = pa.array(pixels.ravel())
    size = pixels[0].size
    mask = None if valid is None else pa.array([not each for each in valid])
    return pa.FixedSizeListArray.from_arrays(values, size, mask=mask)


@pytest.mark.parametrize("form", ["registered", "unknown"])
def test_lance(seg: Segmenter, form: str) -> None:
    paths = [PHOTOS / "coffee.jpg", PHOTOS / "chelsea.jpg"]
    data = [paths[0].read_bytes(), None, paths[1].read_bytes()]
    expected = [each and seg.predict(each, box=BOX).to_dict() for each in data]
    for kind in (pa.binary(), pa.large_binary()):
        assert masks(seg, forms("lance.arrow.encoded_image", pa.array(data, kind))[form]) == expected
    for uris in ([str(paths[0]), None, str(paths[1])], [paths[0].as_uri(), None, paths[1].as_uri()]):
        assert masks(seg, forms("lance.arrow.image_uri", pa.array(uris))[form]) == expected
    pixels = [seg.predict(each, box=BOX).to_dict() for each in COLOUR]
    shape = json.dumps({"shape": [40, 60, 3]})
    name = "lance.arrow.fixed_shape_image_tensor"
    assert masks(seg, forms(name, tensors(COLOUR), shape)[form]) == pixels
    some = forms(name, tensors(COLOUR, [True, False, True]), shape)[form]
    assert masks(seg, some) == [pixels[0], None, pixels[2]]
    assert masks(seg, some.slice(1, 2)) == [None, pixels[2]]


def test_tensors_of_arrow(seg: Segmenter) -> None:
    expected = [seg.predict(each, box=BOX).to_dict() for each in COLOUR]
    grey = [seg.predict(each, box=BOX).to_dict() for each in GREY]
    channels_first = np.ascontiguousarray(COLOUR.transpose(0, 3, 1, 2))
    for pixels, arguments, wanted in [
        (COLOUR, {}, expected),
        (COLOUR, {"dim_names": ["H", "W", "C"]}, expected),
        (channels_first, {"dim_names": ["C", "H", "W"]}, expected),
        (channels_first, {"permutation": [1, 2, 0]}, expected),
        (channels_first, {"permutation": [1, 2, 0], "dim_names": ["channel", "height", "width"]}, expected),
        (GREY, {}, grey),
    ]:
        kind = pa.fixed_shape_tensor(pa.uint8(), pixels.shape[1:], **arguments)
        column = pa.ExtensionArray.from_storage(kind, tensors(pixels))
        assert masks(seg, pa.table({"image": column})) == wanted, arguments
        assert masks(seg, pa.table({"image": column}).slice(1)) == wanted[1:]
        some = pa.ExtensionArray.from_storage(kind, tensors(pixels, [False, True, True]))
        assert masks(seg, pa.table({"image": some})) == [None, *wanted[1:]]
    kind = pa.fixed_shape_tensor(pa.uint8(), channels_first.shape[1:])
    with pytest.raises(ValueError, match=r"row 0: .* its channels come first"):
        seg.batch(pa.table({"image": pa.ExtensionArray.from_storage(kind, tensors(channels_first))}), box=BOX)


def test_pixels_in_structs(seg: Segmenter) -> None:
    """As Daft has them: fields data, channel, height, width, mode."""
    rows = [{"data": each.ravel().tolist(), "channel": 3, "height": 40, "width": 60, "mode": 3} for each in COLOUR]
    kind = pa.struct([("data", pa.large_list(pa.uint8())), ("channel", pa.uint16()), ("height", pa.uint32()),
                      ("width", pa.uint32()), ("mode", pa.uint8())])  # fmt: skip
    column = pa.array([rows[0], None, rows[2]], kind)
    expected = [seg.predict(COLOUR[0], box=BOX).to_dict(), None, seg.predict(COLOUR[2], box=BOX).to_dict()]
    assert masks(seg, pa.table({"image": column})) == expected
    for table in forms("daft.super_extension", column, "{}").values():
        assert masks(seg, table) == expected
    lenient = Segmenter(on_error="null").batch(pa.table({"image": pa.array([{**rows[0], "width": 61}], kind)}), box=BOX)
    assert "cannot reshape" in lenient["mask_error"][0].as_py()


def test_nested_lists(seg: Segmenter) -> None:
    """As Hugging Face's Array2D and Array3D are stored."""
    colour = [seg.predict(each, box=BOX).to_dict() for each in COLOUR]
    grey = [seg.predict(each, box=BOX).to_dict() for each in GREY]
    deep = pa.list_(pa.list_(pa.list_(pa.uint8())))
    name = "datasets.features.features.Array3DExtensionType"
    for table in forms(name, pa.array(COLOUR.tolist(), deep)).values():
        assert masks(seg, table) == colour
    fixed = pa.array(COLOUR.tolist(), pa.list_(pa.list_(pa.list_(pa.uint8(), 3), 60)))
    assert masks(seg, pa.table({"image": fixed})) == colour
    flat = pa.array([GREY[0].tolist(), None, GREY[2].tolist()], pa.large_list(pa.list_(pa.uint8())))
    assert masks(seg, pa.table({"image": flat})) == [grey[0], None, grey[2]]
    ragged = pa.table({"image": pa.array([[[1, 2], [3]]], pa.list_(pa.list_(pa.uint8())))})
    with pytest.raises(ValueError, match=r"row 0: .*shape"):
        seg.batch(ragged, box=BOX)
    with pytest.raises(ValueError, match="column 'image' holds no images but list<item: uint8>"):
        seg.batch(pa.table({"image": pa.array([[1, 2]], pa.list_(pa.uint8()))}), box=BOX)


def test_urls_are_not_files(seg: Segmenter) -> None:
    with pytest.raises(ValueError, match=r"'s3://bucket/a.jpg' is not a file of this machine: read it first"):
        seg.batch(pa.table({"image": ["s3://bucket/a.jpg"]}), box=BOX)
    with pytest.raises(ValueError, match=r"'https://a/b.jpg' is not a file of this machine"):
        seg.predict("https://a/b.jpg", box=BOX)
    assert seg.predict((PHOTOS / "coffee.jpg").as_uri(), box=BOX) == seg.predict(PHOTOS / "coffee.jpg", box=BOX)


def test_bytes_are_not_copied(seg: Segmenter) -> None:
    """Neither binary columns nor tensors without their header take memory of Arrow."""
    data = (PHOTOS / "coffee.jpg").read_bytes()
    table = pa.table({"image": pa.array([data] * 50, pa.binary())})
    seg.batch(table.slice(0, 1), box=BOX)
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    result = seg.batch(table, box=BOX)
    assert pool.bytes_allocated() - before < table.nbytes / 20
    assert result["image"].chunk(0).buffers()[2].address == table["image"].chunk(0).buffers()[2].address


def test_results_with_types(con) -> None:
    con.execute(
        "CREATE TABLE photos AS SELECT filename AS path, content AS image FROM read_blob(?)", [str(PHOTOS / "co*")]
    )
    table = con.sql("SELECT path, image_overlay(image, sam_annotate('nano', image, [0.5, 0.6])) AS overlay FROM photos")
    table = table.to_arrow_table().replace_schema_metadata({"a": "b"})
    tagged = lance_images(table, "overlay", "path")
    assert tagged.schema.metadata == {b"a": b"b"}
    assert tagged.schema.field("overlay").metadata[b"ARROW:extension:name"] == b"lance.arrow.encoded_image"
    assert tagged.schema.field("path").metadata[b"ARROW:extension:name"] == b"lance.arrow.image_uri"
    assert tagged["overlay"].chunk(0).buffers()[2].address == table["overlay"].chunk(0).buffers()[2].address
    kind = extension("lance.arrow.encoded_image", pa.binary())
    pa.register_extension_type(kind)
    try:  # as with Lance imported: the type is there when the table arrives
        arrived = pa.table(pa.RecordBatchReader.from_stream(tagged).read_all())
        with pa.ipc.open_stream(_stream(tagged)) as reader:
            arrived = reader.read_all()
        assert arrived.schema.field("overlay").type == kind
    finally:
        pa.unregister_extension_type("lance.arrow.encoded_image")
    views = lance_images(pa.table({"x": pa.array([b"1"], pa.binary_view())}), "x")
    assert views.schema.field("x").type == pa.large_binary()
    with pytest.raises(ValueError, match="no column 'y'; its columns are path, overlay"):
        lance_images(table, "y")
    with pytest.raises(ValueError, match="column 'n' holds int64, neither images"):
        lance_images(pa.table({"n": [1]}), "n")


def _stream(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
