"""The typed expressions: what SQL they make, what they refuse, and what the engine does with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest
from ibis import _
from ibis.backends.duckdb import Backend
from ibis.backends.sql.datatypes import DuckDBType

import duckdb_sam
import duckdb_sam.ibis as sam
from conftest import PHOTOS, counters
from duckdb_sam.functions import FUNCTIONS
from duckdb_sam.ibis.calls import call

NAMES = ["astronaut", "chelsea", "coffee", "coins", "rocket"]
SEGMENT = "struct<mask: array<float32>, iou_score: float32>"

unbound = ibis.table(
    {
        "id": "int64",
        "image": "binary",
        "file": "struct<bytes: binary, path: string>",
        "x": "float64",
        "point": "array<float32>",
        "text": "string",
    },
    name="t",
)


def sql(expression: Any) -> str:
    text = " ".join(str(ibis.to_sql(unbound.select(s=expression), dialect="duckdb")).split())
    text = text.removeprefix("SELECT ").split(' AS "s" FROM')[0]
    return text.replace('"t0".', "").replace("( ", "(").replace(" )", ")")


@pytest.fixture
def con() -> Backend:
    return sam.connect()


@pytest.fixture
def photos(con: Backend) -> Any:
    table = pa.table(
        {
            "id": range(len(NAMES)),
            "sensitivity": [0.9, 0.1, 0.7, 0.8, 0.6],
            "image": [(PHOTOS / f"{name}.jpg").read_bytes() for name in NAMES],
            "point": pa.array([[0.45, 0.25], [0.5, 0.5], [0.5, 0.5], [0.55, 0.63], [0.5, 0.6]], pa.list_(pa.float32())),
        }
    )
    return con.create_table("photos", table)


def test_the_whole_query_segments_only_what_it_must(con: Any, photos: Any) -> None:
    con.raw_sql("CALL sam_unload('nano')")  # and with it what other tests have left in the cache
    before = counters(con.con)
    t = photos
    expression = (
        t.select(["id", "sensitivity", sam.segment("nano", t.image, [0.5, 0.6]).name("segmented")])
        .filter([t.sensitivity >= 0.5])
        .limit(3)
        .cache()
        .filter([_.segmented.iou_score > 0.5])
        .select([_.id, _.sensitivity, _.segmented.iou_score, _.segmented.mask])
    )
    result = expression.to_pyarrow()
    after = counters(con.con)
    assert {name: after[name] - before[name] for name in ("images_decoded", "encodes", "decodes")} == {
        "images_decoded": 3,
        "encodes": 3,
        "decodes": 3,
    }
    assert result.column_names == ["id", "sensitivity", "iou_score", "mask"]
    assert result.schema.field("iou_score").type == pa.float32()
    assert result.schema.field("mask").type == pa.list_(pa.float32())
    scores = photos.mutate(s=sam.segment("nano", _.image, [0.5, 0.6])).s.iou_score.to_pyarrow().to_pylist()
    chosen = [i for i, sensitivity in enumerate(photos.sensitivity.to_pyarrow().to_pylist()) if sensitivity >= 0.5][:3]
    assert result["id"].to_pylist() == [i for i in chosen if scores[i] > 0.5]


def test_a_mask_has_the_pixels_of_its_picture(photos: Any) -> None:
    expression = photos.select(header=sam.image_info(_.image), s=sam.segment("nano", _.image, _.point))
    rows = expression.select(pixels=_.header.width * _.header.height, mask=_.s.mask, score=_.s.iou_score).to_pyarrow()
    for row in rows.to_pylist():
        mask = np.array(row["mask"])
        assert mask.shape == (row["pixels"],)
        assert mask.min() >= 0
        assert mask.max() <= 1
        assert 0 <= row["score"] <= 1.5


def test_types_are_those_of_the_engine(con: Any, photos: Any) -> None:
    """What Ibis is told must be what DuckDB returns, or every mask would be cast."""
    for function in FUNCTIONS.values():
        for form in function.forms:
            nulls = {argument.name: ibis.null(argument.types[0]) for argument in form.arguments}
            expression = call(function.name, **nulls).name("s")
            described = con.raw_sql(f"DESCRIBE {ibis.to_sql(expression, dialect='duckdb')}").fetchall()
            assert DuckDBType.from_string(described[0][1]) == ibis.dtype(form.returns), (function.name, form.names)


def test_annotate_agrees_with_segment(photos: Any) -> None:
    expression = photos.select(s=sam.segment("nano", _.image, _.point), a=sam.annotate("nano", _.image, _.point))
    for row in expression.to_pyarrow().to_pylist():
        assert row["a"]["area"] == (np.array(row["s"]["mask"], np.float32) > 0.5).sum()
        assert row["a"]["predicted_iou"] == row["s"]["iou_score"]


def test_boxes_and_several_points(photos: Any) -> None:
    coffee = photos.filter(_.id == 2)
    whole, inside = (
        coffee.select(a=sam.annotate("nano", _.image, box=box)).a.area.to_pyarrow()[0].as_py()
        for box in ([0.0, 0.0, 1.0, 1.0], [0.3, 0.05, 0.65, 0.6])
    )
    assert 0 < inside < whole
    points = sam.annotate("nano", _.image, points=[[0.5, 0.3], [0.1, 0.9]], labels=[1, 0], box=[0.2, 0, 0.8, 0.9])
    assert coffee.select(a=points).a.area.to_pyarrow()[0].as_py() > 0


def test_struct_of_bytes_and_path(con: Any, photos: Any) -> None:
    file = ibis.struct({"bytes": photos.image, "path": ibis.literal("x.jpg")})
    both = photos.select(a=sam.annotate("nano", file, [0.5, 0.5]), b=sam.annotate("nano", photos.image, [0.5, 0.5]))
    result = both.to_pyarrow()
    assert result["a"].to_pylist() == result["b"].to_pylist()


def test_model_info_and_version(con: Any) -> None:
    info = con.execute(sam.model_info("nano"))
    assert info["name"] == "nano"
    assert info["architecture"] == "tiny_vit"
    assert len(info["sha256"]) == 64
    assert con.execute(sam.version()) == duckdb_sam.__version__


def test_load_on_an_ibis_backend() -> None:
    con = ibis.duckdb.connect(allow_unsigned_extensions=True)
    sam.load(con)
    assert con.execute(sam.version()) == duckdb_sam.__version__


def test_load_errors() -> None:
    with pytest.raises(duckdb_sam.LoadError, match=r"ibis\.duckdb\.connect"):
        sam.load(ibis.duckdb.connect())
    with pytest.raises(TypeError, match=r"use duckdb_sam\.load"):
        sam.load(duckdb_sam.connect())
    with pytest.raises(TypeError, match=r"use duckdb_sam\.ibis\.load"):
        duckdb_sam.load(ibis.duckdb.connect())


def test_connect_opens_a_file(tmp_path: Path) -> None:
    con = sam.connect(tmp_path / "a.db", threads=1)
    con.create_table("t", {"a": [1]})
    assert (tmp_path / "a.db").exists()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (sam.segment("nano", unbound.image, [0.5, 0.6]), "SAM_SEGMENT('nano', \"image\", [0.5, 0.6])"),
        (sam.segment("nano", _.image, (0, 1)), "SAM_SEGMENT('nano', \"image\", [0.0, 1.0])"),
        (sam.segment("nano", _.image, np.array([0.5, 1])), "SAM_SEGMENT('nano', \"image\", [0.5, 1.0])"),
        (sam.segment(_.text, unbound.file, _.point), 'SAM_SEGMENT("text", "file", "point")'),
        (sam.segment(Path("m.pt"), _.file, _.point), 'SAM_SEGMENT(\'m.pt\', "file", "point")'),
        (
            sam.segment("nano", _.image, [_.x, 0.5]),
            'SAM_SEGMENT(\'nano\', "image", CAST(["x", 0.5] AS DOUBLE[]))',
        ),
        (
            sam.annotate("nano", _.image, points=[[0.5, 0.6], [0.1, 0.1]], labels=[1, 0]),
            "SAM_ANNOTATE('nano', \"image\", [[0.5, 0.6], [0.1, 0.1]], [1, 0], CAST(NULL AS DOUBLE[]))",
        ),
        (
            sam.annotate("nano", _.image, box=[0, 0, 1, 1]),
            "SAM_ANNOTATE('nano', \"image\", CAST(NULL AS DOUBLE[][]), CAST(NULL AS BIGINT[]), [0.0, 0.0, 1.0, 1.0])",
        ),
        (
            sam.annotate_many("nano", _.image, [{"box": [0, 0, 1, 1]}]),
            'SAM_ANNOTATE_MANY(\'nano\', "image", [CAST(ROW([0.0, 0.0, 1.0, 1.0]) AS STRUCT("box" DOUBLE[]))])',
        ),
        (sam.image_info(_.file), 'IMAGE_INFO("file")'),
    ],
)
def test_sql_that_is_made(expression: Any, expected: str) -> None:
    assert sql(expression) == expected


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, r"give point=\[x, y\]"),
        ({"point": [0.5, 0.5], "points": [[0.5, 0.5]]}, ValueError, "either point or points, not both"),
        ({"point": [0.5, 0.5], "box": [0, 0, 1, 1]}, ValueError, "either point or box, not both"),
        ({"point": [0.5, 0.5], "labels": [1]}, ValueError, "either point or labels, not both"),
        ({"labels": [1], "box": [0, 0, 1, 1]}, ValueError, "labels belong to points"),
        ({"points": [[0.5, 0.5]], "labels": [1, 0]}, ValueError, "2 labels for 1 points"),
        ({"point": [0.5]}, ValueError, "point has 1 numbers, not 2"),
        ({"box": [0, 0, 1]}, ValueError, "box has 3 numbers, not 4"),
        ({"points": [[0.5, 0.5], [0.1]]}, ValueError, r"points\[1\] has 1 numbers, not 2"),
        ({"points": [0.5, 0.5]}, TypeError, r"points\[0\] must be a list of 2 numbers"),
        ({"point": 0.5}, TypeError, "point must be a list of 2 numbers"),
        ({"point": ["a", "b"]}, TypeError, "point must hold 2 numbers"),
        ({"point": unbound.text}, TypeError, "point must be array<float64>, not string"),
        ({"points": [[0.5, 0.5]], "labels": ["a"]}, TypeError, "labels must be array<int64>"),
        ({"point": [0.5, 0.5], "image": unbound.text}, TypeError, "not string; a path is read by DuckDB's read_blob"),
        ({"point": [0.5, 0.5], "image": unbound.point}, TypeError, "not array<float32>"),
        ({"point": [0.5, 0.5], "image": "a.jpg"}, TypeError, "not str"),
        ({"point": [0.5, 0.5], "model": 3}, TypeError, "model must be the name or path"),
    ],
)
def test_misuse(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"model": "nano", "image": unbound.image, **arguments}
    with pytest.raises(error, match=message):
        sam.segment(**arguments)


def test_many_prompts_from_a_column() -> None:
    con = sam.connect()
    con.raw_sql(f"""CREATE TABLE photos AS
        SELECT content AS image, [{{'box': [0.1, 0.1, 0.5, 0.5]}}, {{'box': [0.2, 0.2, 0.9, 0.8]}}] AS prompts
        FROM read_blob('{PHOTOS}/coins.jpg')""")
    t = con.table("photos")
    assert t.prompts.type().value_type["box"].value_type.is_decimal()
    many = sam.annotate_many("nano", t.image, t.prompts)
    one = sam.annotate("nano", t.image, box=[0.2, 0.2, 0.9, 0.8])
    (row,) = t.select(count=many.length(), same=many[1].area == one.area).to_pyarrow().to_pylist()
    assert row == {"count": 2, "same": True}


def test_prompts_after_point_are_keywords() -> None:
    with pytest.raises(TypeError, match="positional"):
        sam.segment("nano", unbound.image, [0.5, 0.5], [[0.5, 0.5]])
