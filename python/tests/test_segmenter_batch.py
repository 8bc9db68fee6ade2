"""``Segmenter.batch``: a column of an Arrow table in, a column of masks out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from conftest import PHOTOS, counters
from duckdb_sam import Mask, Segmenter

COFFEE, CHELSEA = (PHOTOS / name for name in ("coffee.jpg", "chelsea.jpg"))
DATA = [COFFEE.read_bytes(), None, CHELSEA.read_bytes(), COFFEE.read_bytes()]
STRUCTS = [None if each is None else {"bytes": each, "path": "x.jpg"} for each in DATA]
POINT = [0.5, 0.6]


@pytest.fixture(scope="module")
def seg() -> Segmenter:
    return Segmenter()


@pytest.fixture(scope="module")
def lenient() -> Segmenter:
    return Segmenter(on_error="null")


@pytest.fixture(scope="module")
def expected(seg: Segmenter) -> list[Any]:
    return [None if each is None else seg.predict(each, POINT).to_dict() for each in DATA]


def struct(data: pa.DataType, path: pa.DataType) -> pa.DataType:
    return pa.struct([("bytes", data), ("path", path)])


class Encoded(pa.ExtensionType):
    """As Lance's."""

    def __init__(self) -> None:
        super().__init__(pa.large_binary(), "test.encoded_image")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> Encoded:
        return cls()


FORMS = {
    "binary": pa.array(DATA, pa.binary()),
    "large": pa.array(DATA, pa.large_binary()),
    "view": pa.array(DATA, pa.binary_view()),
    "dictionary": pa.array(DATA, pa.binary()).dictionary_encode(),
    "run-end": pa.RunEndEncodedArray.from_arrays([1, 2, 3, 4], pa.array(DATA, pa.binary())),
    "struct": pa.array(STRUCTS, struct(pa.binary(), pa.string())),
    "large struct": pa.array(STRUCTS, struct(pa.large_binary(), pa.large_string())),
    "struct of views": pa.array(STRUCTS, struct(pa.binary_view(), pa.string_view())),
    "extension": pa.ExtensionArray.from_storage(Encoded(), pa.array(DATA, pa.large_binary())),
    "chunks": pa.chunked_array([pa.array(DATA[:1], pa.binary()), pa.array([], pa.binary()), DATA[1:]]),
    "slice": pa.array([b"x", *DATA, b"y"], pa.binary()).slice(1, 4),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_images(seg: Segmenter, expected: list[Any], form: str) -> None:
    table = pa.table({"id": [4, 3, 2, 1], "image": FORMS[form]})
    result = seg.batch(table, point=POINT)
    assert result.column_names == ["id", "image", "mask"]
    assert result.select(["id", "image"]).equals(table)
    assert result["mask"].to_pylist() == expected
    assert Mask.from_record(result["mask"][0].as_py()) == seg.predict(COFFEE, POINT)


def test_paths(seg: Segmenter, lenient: Segmenter, expected: list[Any], tmp_path: Path) -> None:
    paths = [str(COFFEE), None, str(CHELSEA), str(COFFEE)]
    structs = [None if each is None else {"bytes": None, "path": each} for each in paths]
    structs[3]["bytes"] = DATA[3]
    for column in (pa.array(paths), pa.array(paths).dictionary_encode(), pa.array(paths, pa.large_string()),
                   pa.array(structs, struct(pa.binary(), pa.string()))):  # fmt: skip
        assert seg.batch(pa.table({"photo": column}), "photo", point=POINT)["mask"].to_pylist() == expected
    gone = pa.table({"image": [str(tmp_path / "gone.jpg"), str(COFFEE)]})
    with pytest.raises(ValueError, match=r"^row 0: .*gone\.jpg"):
        seg.batch(gone, point=POINT)
    result = lenient.batch(gone, point=POINT)
    assert result["mask"].to_pylist() == [None, expected[0]]
    assert "gone.jpg" in result["mask_error"][0].as_py()
    nothing = pa.array([{"bytes": None, "path": None}], struct(pa.binary(), pa.string()))
    assert seg.batch(pa.table({"image": nothing}), point=POINT)["mask"].to_pylist() == [None]


def test_tensors(seg: Segmenter) -> None:
    random = np.random.default_rng(3)
    pixels = random.integers(0, 256, (3, 40, 60, 3), np.uint8)
    column = pa.FixedShapeTensorArray.from_numpy_ndarray(pixels)
    result = seg.batch(pa.table({"image": column}), box=[0.1, 0.1, 0.9, 0.9])
    assert result["mask"].to_pylist() == [seg.predict(each, box=[0.1, 0.1, 0.9, 0.9]).to_dict() for each in pixels]


def test_kinds_of_tables(seg: Segmenter, expected: list[Any]) -> None:
    table = pa.table({"image": FORMS["binary"]}, metadata={"a": "b"})
    result = seg.batch(table, point=POINT)
    assert result.schema.metadata == {b"a": b"b"}
    batch = seg.batch(table.to_batches()[0], point=POINT)
    assert isinstance(batch, pa.RecordBatch)
    assert batch.schema == result.schema
    frame = seg.batch(pl.DataFrame({"image": DATA}), point=POINT)
    assert isinstance(frame, pa.Table)
    assert frame["mask"].to_pylist() == expected
    with pytest.raises(TypeError, match=r"batch takes an Arrow table, not builtins\.list"):
        seg.batch([1], point=POINT)


@pytest.mark.parametrize(
    ("arguments", "list_of"),
    [({"point": POINT}, False), ({"boxes": [[0, 0, 1, 1]]}, True), ({"generate": True}, True)],
)
def test_types_do_not_depend_on_the_rows(lenient: Segmenter, arguments: dict[str, Any], list_of: bool) -> None:
    full = lenient.batch(
        pa.table({"image": DATA}),
        **{**arguments, **({"generate": {"points_per_side": 4}} if "generate" in arguments else {})},
    )  # noqa: E501
    kind = full.schema.field("mask").type
    assert pa.types.is_list(kind) == list_of
    for column in (pa.array([], pa.binary()), pa.array([], pa.null()), pa.nulls(3), pa.array([None], pa.binary())):
        for table in (pa.table({"image": column}), pa.record_batch({"image": column})):
            result = lenient.batch(table, **arguments)
            assert type(result) is type(table)
            assert result.schema.field("mask").type == kind
            assert result.schema.field("mask_error").type == pa.string()
            assert result.num_rows == len(column)
            assert result.column("mask").null_count == len(column)


PROMPTS = pa.table(
    {
        "image": [DATA[0], DATA[0], DATA[2], DATA[0]],
        "point": [[300, 100], [30, 40], None, [300, 100]],
        "points": [[[300, 160], [300, 320]], None, [[20, 30]], [[0, 0]]],
        "labels": [[1, 0], None, None, [1]],
        "box": [[60, 40, 300, 200], None, [0, 0, 90, 90], [0, 0, 600, 400]],
        "boxes": [[[60, 40, 300, 200], [0, 0, 50, 50]], [], None, [[0, 0, 600, 400]]],
        "pair": pa.array([[300, 100]] * 4, pa.list_(pa.int16(), 2)),
    }
)


@pytest.mark.parametrize(
    "names",
    [{"point": "point"}, {"points": "points", "labels": "labels"}, {"box": "box"}, {"point": "pair", "box": "box"},
     {"points": "points", "labels": "labels", "box": "box"}],
)  # fmt: skip
@pytest.mark.parametrize("box_format", ["xyxy", "xywh"])
def test_columns_of_prompts(seg: Segmenter, names: dict[str, str], box_format: str) -> None:
    result = seg.batch(PROMPTS, **names, unit="pixel", box_format=box_format, into="seg")
    for row, got in zip(PROMPTS.to_pylist(), result["seg"].to_pylist(), strict=True):
        given = {name: row[column] for name, column in names.items()}
        if not any(given.get(name) for name in ("point", "points", "box")):
            assert got is None
        else:
            assert got == seg.predict(row["image"], **given, unit="pixel", box_format=box_format).to_dict()


def test_boxes(seg: Segmenter) -> None:
    result = seg.batch(PROMPTS, boxes="boxes", unit="pixel")
    for row, got in zip(PROMPTS.to_pylist(), result["mask"].to_pylist(), strict=True):
        if row["boxes"] is None:
            assert got is None
        else:
            masks = seg.predict_many(row["image"], boxes=row["boxes"], unit="pixel")
            assert got == [mask.to_dict() for mask in masks]


def test_generate(seg: Segmenter) -> None:
    result = seg.batch(pa.table({"image": DATA[:3]}), generate={"points_per_side": 5})
    for data, got in zip(DATA, result["mask"].to_pylist(), strict=False):
        assert got == (None if data is None else [m.to_dict() for m in seg.generate(data, points_per_side=5)])


def test_embeddings(con, seg: Segmenter, expected: list[Any]) -> None:
    column = [bytes(seg.embed(COFFEE)), None, DATA[2], bytes(seg.embed(COFFEE))]
    before = counters(con)["encodes"]
    result = seg.batch(pa.table({"image": column}), point=[300, 240], unit="pixel")
    assert counters(con)["encodes"] <= before + 1
    assert [result["mask"][row].as_py() for row in (0, 3)] == [expected[0]] * 2
    assert result["mask"][2].as_py() == seg.predict(CHELSEA, [300, 240], unit="pixel").to_dict()


BAD = pa.table(
    {
        "image": [DATA[0], b"nonsense", DATA[0], None, DATA[0], DATA[0][:3000]],
        "point": [[300, 240], [1, 1], [700, 1], [1, 1], None, [2, 2]],
    }
)
REASONS = [
    None,
    "not a picture that can be decoded: 8 bytes",
    "point [700.0, 1.0] lies outside the image, which has 600 x 400 pixels",
    None,
    None,
    "",
]


def test_rows_that_fail_are_null(lenient: Segmenter, expected: list[Any]) -> None:
    result = lenient.batch(BAD, point="point", unit="pixel")
    assert result["mask"].to_pylist() == [expected[0], None, None, None, None, None]
    reasons = result["mask_error"].to_pylist()
    assert [reason is None for reason in reasons] == [True, False, False, True, True, False]
    for reason, expected_ in zip(reasons, REASONS, strict=True):
        assert expected_ is None or expected_ in reason
    failures = lenient.errors()[-3:]
    assert [failure.row for failure in failures] == [1, 2, 5]
    assert [failure.message for failure in failures] == [reason for reason in reasons if reason]


def test_the_first_row_that_fails_is_raised(seg: Segmenter) -> None:
    with pytest.raises(ValueError, match=r"^row 1: not a picture that can be decoded"):
        seg.batch(BAD, point="point", unit="pixel")
    with pytest.raises(ValueError, match=r"^row 2: point \[700.0, 1.0\] lies outside"):
        seg.batch(BAD.slice(0, 3).set_column(0, "image", pa.array([DATA[0]] * 3)), point="point", unit="pixel")
    assert seg.errors() == []


def test_wrong_calls(seg: Segmenter) -> None:
    table = pa.table({"image": DATA, "mask": [1, 2, 3, 4], "number": [1, 2, 3, 4]})
    for arguments, kind, message in [
        ({}, TypeError, "give a prompt"),
        ({"point": POINT, "boxes": [[0, 0, 1, 1]]}, TypeError, "either boxes or point"),
        ({"point": POINT, "generate": True}, TypeError, "either generate or a prompt"),
        ({"generate": {"points": 3}}, TypeError, "no option 'points'; the options are points_per_side"),
        ({"point": "clicks", "into": "m"}, ValueError, "no column 'clicks'; its columns are image, mask, number"),
        ({"image": "photo", "point": POINT, "into": "m"}, ValueError, "no column 'photo'; its columns are image"),
        ({"image": "number", "point": POINT, "into": "m"}, ValueError, "column 'number' holds no images but int64"),
        ({"point": POINT}, ValueError, "has a column 'mask' already"),
        ({"point": POINT, "unit": "px", "into": "m"}, ValueError, "unit must be"),
        (
            {"point": "number", "into": "m"},
            TypeError,
            "point: the column 'number' holds int64; it must hold lists of two",
        ),
        ({"point": [2, 2], "into": "m"}, ValueError, r"^point \[2.0, 2.0\] lies outside the image"),
    ]:
        with pytest.raises(kind, match=message):
            seg.batch(table, **arguments)
    with pytest.raises(ValueError, match="unknown model 'nanoo'"):
        Segmenter("nanoo", on_error="null").batch(table, point=POINT, into="m")


def test_many_rows_keep_their_order(seg: Segmenter) -> None:
    """More than a vector of DuckDB, in small chunks."""
    disc = (PHOTOS.parents[1] / "test" / "data" / "disc.png").read_bytes()
    random = np.random.default_rng(5)
    points = random.choice(9, (5000, 2)) / 10 + 0.1
    column = pa.chunked_array([[disc] * 500] * 10, pa.binary())
    table = pa.table({"id": random.permutation(5000), "image": column, "point": points.tolist()})
    result = seg.batch(table, point="point")
    assert result.select(table.column_names).equals(table)
    masks = {tuple(point): seg.predict(disc, point).to_dict() for point in {tuple(each) for each in points.tolist()}}
    assert result["mask"].to_pylist() == [masks[tuple(point)] for point in points.tolist()]
