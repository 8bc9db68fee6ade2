"""The generated functions: their signatures, and how arguments find the form of SQL that they are meant for."""

from __future__ import annotations

import importlib.util
import inspect
import pydoc
import re
import subprocess
import sys
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import ibis
import numpy as np
import pytest
from ibis import _

import duckdb_sam.ibis as sam
from conftest import PHOTOS, ROOT
from duckdb_sam import Mask
from duckdb_sam.functions import FUNCTIONS
from duckdb_sam.ibis import expressions
from duckdb_sam.ibis.calls import choose
from duckdb_sam.signatures import read

MASK = "struct<size: array<int32>, counts: string>"

t = ibis.table(
    {
        "image": "binary",
        "whole": "int64",
        "number": "float64",
        "decimal": "decimal(3, 1)",
        "text": "string",
        "mask": MASK,
        "other": MASK,
        "masks": f"array<{MASK}>",
        "record": f"struct<id: int64, segmentation: {MASK}>",
        "json": "json",
        "bbox": "array<float32>",
        "options": "map<string, float64>",
        "prompts": "array<struct<box: array<decimal(2, 1)>, label: string>>",
    },
    name="t",
)


def sql(expression: Any) -> str:
    text = " ".join(str(ibis.to_sql(t.select(s=expression), dialect="duckdb")).split())
    text = text.removeprefix("SELECT ").split(' AS "s" FROM')[0]
    return text.replace('"t0".', "").replace("( ", "(").replace(" )", ")")


def functions() -> list[Any]:
    return [getattr(sam, name) for name in expressions.__all__]


def test_every_scalar_function_has_an_expression(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.execute("SELECT function_name FROM sam_functions() WHERE function_type = 'scalar'").fetchall()
    assert {name.removeprefix("sam_") for (name,) in rows} == set(expressions.__all__)
    assert set(expressions.__all__) | {"connect", "load"} <= set(sam.__all__) <= set(dir(sam))


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.__name__)
def test_signatures_are_real(function: Any) -> None:
    described = next(each for each in FUNCTIONS.values() if each.python_name == function.__name__)
    parameters = inspect.signature(function).parameters
    assert set(parameters) == {name for form in described.forms for name in form.names} | set(described.options)
    assert {each.kind for each in parameters.values()} <= {
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    }
    assert set(typing.get_type_hints(function)) == {*parameters, "return"}
    shown = pydoc.render_doc(function, renderer=pydoc.plaintext)
    assert all(re.search(rf"``{name}``: \w", shown) for name in parameters)
    assert all(form.returns in " ".join(shown.split()) for form in described.forms)


def test_help_of_the_module_lists_them() -> None:
    shown = pydoc.render_doc(sam, renderer=pydoc.plaintext)
    assert "generate(" in shown
    assert "points_per_side: 'Whole | Options | None' = None" in shown
    assert "struct<width" in sam.image_info.__doc__


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.__name__)
def test_examples_of_docstrings_run(function: Any) -> None:
    example = function.__doc__.rstrip().splitlines()[-1].strip()
    assert example.startswith(f"sam.{function.__name__}(")
    sql(eval(example, {"sam": sam, "_": _}))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (sam.generate("nano", _.image, points_per_side=8), "SAM_GENERATE('nano', \"image\", 8)"),
        (sam.generate("nano", _.image, np.int64(8)), "SAM_GENERATE('nano', \"image\", 8)"),
        (sam.generate("nano", image=_.image), "SAM_GENERATE('nano', \"image\")"),
        (sam.generate("nano", _.image, _.whole), 'SAM_GENERATE(\'nano\', "image", "whole")'),
        (sam.generate("nano", _.image, _.options), 'SAM_GENERATE(\'nano\', "image", "options")'),
        (
            sam.generate("nano", _.image, points_per_side=8, pred_iou_thresh=0.5),
            "SAM_GENERATE('nano', \"image\", MAP(['points_per_side', 'pred_iou_thresh'], [8.0, 0.5]))",
        ),
        (
            sam.generate("nano", _.image, {"points_per_side": 8}),
            "SAM_GENERATE('nano', \"image\", MAP(['points_per_side'], [8.0]))",
        ),
        (sam.generate("nano", _.image, crop_n_layers=1),
         "SAM_GENERATE('nano', \"image\", MAP(['crop_n_layers'], [1.0]))"),
        (sam.embed("nano", _.image), "SAM_EMBED('nano', \"image\")"),
        (sam.embed("nano", _.image, type="f16"), "SAM_EMBED('nano', \"image\", 'f16')"),
        (sam.mask_union(t.mask, t.other), 'MASK_UNION("mask", "other")'),
        (sam.mask_union(b=_.other, a=_.mask), 'MASK_UNION("mask", "other")'),
        (sam.mask_union(_.masks), 'MASK_UNION("masks")'),
        (sam.mask_union(masks=t.masks), 'MASK_UNION("masks")'),
        (sam.mask_area(_.record), 'MASK_AREA("record")'),
        (sam.mask_area(_.json), 'MASK_AREA("json")'),
        (sam.mask_area({"size": [2, 3], "counts": b"05"}),
         r"""MASK_AREA(CAST(ROW([2, 3], CAST('\x30\x35' AS BLOB)) AS STRUCT("size" BIGINT[], "counts" BLOB)))"""),
        (sam.mask_to_wkt(_.mask, tolerance=1), 'MASK_TO_WKT("mask", 1.0)'),
        (sam.mask_to_wkt(_.mask, _.whole), 'MASK_TO_WKT("mask", "whole")'),
        (sam.mask_to_wkt(_.mask, ibis.null("float64")), 'MASK_TO_WKT("mask", CAST(NULL AS DOUBLE))'),
        (sam.mask_to_rle(np.array([True, False]), 1, 2), "MASK_TO_RLE([TRUE, FALSE], 1, 2)"),
        (sam.mask_from_polygons([[1, 2, 3, 4, 5, 6]], 8, 9),
         "MASK_FROM_POLYGONS([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]], 8, 9)"),
        (sam.image_crop(_.image, np.array([1, 2, 3, 4])), 'IMAGE_CROP("image", [1.0, 2.0, 3.0, 4.0])'),
        (sam.image_overlay(_.image, _.masks), 'IMAGE_OVERLAY("image", "masks")'),
        (sam.image_convert(_.image, "png", range="full"), "IMAGE_CONVERT(\"image\", 'png', 'full')"),
        (sam.annotate_many("nano", _.image, _.prompts), 'SAM_ANNOTATE_MANY(\'nano\', "image", "prompts")'),
        (sam.segment(None, b"x", _.bbox), "SAM_SEGMENT(CAST(NULL AS TEXT), CAST('\\x78' AS BLOB), \"bbox\")"),
    ],
)  # fmt: skip
def test_the_form_is_chosen_by_names_and_types(expression: Any, expected: str) -> None:
    assert sql(expression) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sam.generate("nano", _.image, points_per_side=1.5),
         r"points_per_side must be a whole number \(int64\)"),
        (lambda: sam.generate("nano", _.image, 1.5), "points_per_side must be a whole number .*, not 1.5"),
        (lambda: sam.generate("nano", _.image, 8.0), "points_per_side must be a whole number .*, not 8.0"),
        (lambda: sam.generate("nano", _.image, points_per_side=True), "points_per_side must .*, not True"),
        (lambda: sam.generate("nano", _.image, points_per_side="8"), "points_per_side must .*, not str '8'"),
        (lambda: sam.generate("nano", _.image, t.number), "points_per_side must .*, not float64"),
        (lambda: sam.generate("nano", _.image, {"crop_n_layers": 0.5}), "crop_n_layers must .*, not 0.5"),
        (lambda: sam.generate("nano", _.image, {"points": 1}), "no option 'points'; the options are points_per_side, "),
        (lambda: sam.generate("nano", _.image, pred_iou_thresh="x"), "pred_iou_thresh must .*, not str 'x'"),
        (lambda: sam.generate("nano", _.image, points=8), "unexpected keyword argument 'points'"),
        (lambda: sam.generate("nano"), "missing 1 required positional argument: 'image'"),
        (lambda: sam.image_thumbnail(_.image, 1.5), "max_side must be int64, not 1.5"),
        (lambda: sam.image_thumbnail(_.image, t.decimal), r"max_side must be int64, not decimal\(3, 1\)"),
        (lambda: sam.image_thumbnail(_.image, 2**63), "max_side must be int64, not 9223372036854775808"),
        (lambda: sam.image_info(b"", b""), "takes 1 positional argument but 2 were given"),
        (lambda: sam.mask_area(3), "mask must be a mask: struct<size, counts>, .*, not 3"),
        (lambda: sam.mask_area({"sizes": [1, 1]}), r"mask must be a mask: .*, not {'sizes': \[1, 1\]}"),
        (lambda: sam.mask_area(t.image), "mask must be a mask: .*, not binary"),
        (lambda: sam.image_overlay(_.image, t.number), "mask must be a mask or a list of masks: .*, not float64"),
        (lambda: sam.mask_union(t.mask), "a must be a list of masks, not struct"),
        (lambda: sam.mask_union(), r"mask_union takes \(a, b\) or \(masks\), not \(\)"),
        (lambda: sam.embed("nano", _.image, 3), "type must be string, not 3"),
        (lambda: sam.annotate_many("nano", _.image, [[0, 0, 1, 1]]), r"prompts must be .*, not \[\[0, 0, 1, 1\]\]"),
        (lambda: sam.segment("nano", Path("a.jpg"), [0.5, 0.5]), "a.jpg'; a path is read by DuckDB's read_blob"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_one_clear_error(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message) as caught:
        call()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_arguments_that_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="give either options or points_per_side, not both"):
        sam.generate("nano", _.image, 8, options={"crop_n_layers": 1})
    with pytest.raises(ValueError, match="give either a or masks, not both"):
        sam.mask_union(t.mask, masks=t.masks)


def test_a_wrong_column_is_an_error_when_its_table_is_known() -> None:
    with pytest.raises(TypeError, match=r"points_per_side must be a whole number \(int64\), not float64"):
        t.select(s=sam.generate("nano", _.image, points_per_side=_.number))


def test_options_and_masks_reach_the_engine() -> None:
    con = sam.connect()
    con.raw_sql(f"CREATE TABLE photos AS SELECT content AS image, 8 AS side FROM read_blob('{PHOTOS}/coffee.jpg')")
    photos = con.table("photos")
    mask = Mask.from_record(photos.select(a=sam.annotate("nano", _.image, [0.5, 0.5])).to_pyarrow()["a"][0].as_py())
    row = photos.select(
        few=sam.generate("nano", _.image, points_per_side=8).length(),
        same=sam.generate("nano", _.image, points_per_side=_.side, pred_iou_thresh=None).length(),
        column=sam.generate("nano", _.image, points_per_side=_.side, crop_n_layers=0).length(),
        none=sam.generate("nano", _.image, points_per_side=8, pred_iou_thresh=1).length(),
        area=sam.mask_area(mask),
        both=sam.mask_area(sam.mask_union([mask, mask])),
        labelled=sam.annotate_many("nano", _.image, [{"box": [0, 0, 1, 1], "label": "cup"}, {"points": [[0.5, 0.5]]}]),
    ).to_pyarrow().to_pylist()[0]  # fmt: skip
    assert row["few"] == row["same"] == row["column"] > row["none"] == 0
    assert row["area"] == row["both"] == mask.area > 0
    assert [each["area"] > 0 for each in row["labelled"]] == [True, True]


def test_options_are_those_of_the_engine(con: duckdb.DuckDBPyConnection) -> None:
    options = FUNCTIONS["sam_generate"].options
    call = f"SELECT sam_generate('nano', content, MAP {{?: 0.5}}) FROM read_blob('{PHOTOS}/coffee.jpg')"
    with pytest.raises(duckdb.InvalidInputException) as caught:
        con.execute(call, ["no such option"])
    listed = re.sub(r"\s+", " ", str(caught.value)).partition("the options are ")[2]
    assert re.split(r", | and ", listed) == list(options)
    for name in (name for name, kind in options.items() if kind == "int64"):
        with pytest.raises(duckdb.InvalidInputException, match=f"{name} is 0.5; it must be a whole number"):
            con.execute(call, [name])


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("expressions", ROOT / "docs" / "expressions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def function(name: str, *forms: dict[str, str], **others: Any) -> dict[str, Any]:
    """Return a function as functions.json has it; the types are those of the reference, but one of Ibis each."""
    kinds = {"DOUBLE[]": "array<float64>", "IMAGE": "binary", "BIGINT": "int64", "GEOMETRY": "geometry"}
    listed = [
        {
            "arguments": [{"name": name, "types": [kinds[kind]], "sql": kind} for name, kind in form.items()],
            "returns": "array<float64>",
        }
        for form in forms
    ]
    return {"name": name, "description": "Does.", "example": f"{name}()", "options": {}, "forms": listed, **others}


def test_functions_that_do_not_exist_yet(generator: ModuleType, tmp_path: Path) -> None:
    """Whatever is added in Rust: forms that differ in the middle, names that Python keeps for itself, other types."""
    rows = [
        function(
            "sam_box", {"box": "DOUBLE[]", "image": "IMAGE"},
            {"box": "DOUBLE[]", "width": "BIGINT", "height": "BIGINT"},
        ),
        function("sam_cut", {"from": "BIGINT", "shape": "GEOMETRY"}, {"from": "BIGINT"}),
        function("sam_now", {}, example="SELECT \"a b\" FROM sam_now() WHERE '''' = '\"\"\"'"),
        function("sam_back", {}, {"image": "IMAGE"}, description='A \\ and """ in the text. More of it.'),
    ]  # fmt: skip
    path = tmp_path / "made.py"
    path.write_text(generator.module(read(rows)), encoding="utf-8")
    for command in (["check", "--isolated", "--select", "E,F,W"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "--line-length", "120", path], capture_output=True
        )
        assert done.returncode == 0, done.stdout
    spec = importlib.util.spec_from_file_location("made", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert str(inspect.signature(made.box)).startswith(
        "(box: 'ListOf[Number]', image: 'Image | Whole | None' = None, height: 'Whole | None' = None, *, width: 'Whole"
    )
    assert str(inspect.signature(made.cut)) == "(from_: 'Whole', shape: 'Any' = None) -> 'ir.ArrayValue'"
    assert made.__all__ == ["back", "box", "cut", "now"]
    assert made.back.__doc__.startswith("A \\ and ''' in the text.\n")
    for name in ("sam_connect", "sam_import"):
        with pytest.raises(SystemExit, match="cannot be names in"):
            generator.module(read([function(name, {})]))


def test_how_arguments_find_a_form_that_differs_in_the_middle() -> None:
    box = read([function("sam_box", {"box": "DOUBLE[]", "image": "IMAGE"},
                         {"box": "DOUBLE[]", "width": "BIGINT", "height": "BIGINT"})])["sam_box"]  # fmt: skip

    def names(**given: Any) -> tuple[str, ...]:
        return choose(box, given).form.names

    corners = [1, 2, 3, 4]
    assert names(box=corners, image=b"") == ("box", "image")
    assert names(box=corners, image=8, height=9) == ("box", "width", "height")  # three without a name
    assert names(box=corners, width=8, height=9) == ("box", "width", "height")
    with pytest.raises(TypeError, match=r"box takes \(box, image\) or \(box, width, height\), not \(box, height\)"):
        names(box=corners, height=9)
    with pytest.raises(ValueError, match="give either image or width, not both"):
        names(box=corners, image=b"", width=9)
    with pytest.raises(TypeError, match="image must be int64, not 3 bytes"):
        names(box=corners, image=b"jpg", height=9)
