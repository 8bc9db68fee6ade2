"""``to_coco`` and ``from_coco``, read by pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from conftest import PHOTOS
from duckdb_sam import Mask, Masks, Segmenter, from_coco, to_coco
from duckdb_sam.formats.files import write_json
from formats import PARTS, RING, blank, encoded, random_rows


def read(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def load(data: dict[str, Any], path: Path) -> COCO:
    path.write_text(json.dumps(data))
    return read(path)


@pytest.mark.parametrize("segmentation", ["rle", "polygon"])
def test_every_pixel_as_pycocotools_reads_it(tmp_path: Path, segmentation: str) -> None:
    rows, arrays = random_rows()
    coco = read(to_coco(rows, tmp_path / "coco.json", segmentation=segmentation))
    assert {each["name"] for each in coco.cats.values()} == {"cat", "dog"}
    assert len(coco.anns) == len(arrays)
    seen: dict[int, int] = {}
    for annotation in coco.anns.values():
        image = coco.imgs[annotation["image_id"]]
        place = seen[image["id"]] = seen.get(image["id"], -1) + 1
        pixels, kind = arrays[image["file_name"], place]
        assert pixels.shape == (image["height"], image["width"])
        assert np.array_equal(coco.annToMask(annotation), pixels)
        assert coco.cats[annotation["category_id"]]["name"] == kind
        rle = coco_mask.encode(np.asfortranarray(pixels, np.uint8))
        assert (annotation["area"], annotation["bbox"]) == (coco_mask.area(rle), coco_mask.toBbox(rle).tolist())
        assert annotation["iscrowd"] == 0


def test_ids_do_not_depend_on_the_order_of_images() -> None:
    rows, _ = random_rows()
    names = {row["name"] for row in rows}
    turned = sorted(rows, key=lambda row: row["name"], reverse=True)
    assert to_coco(rows) == to_coco(turned)
    ids = [each["id"] for each in to_coco(rows)["annotations"]]
    assert ids == list(range(1, len(ids) + 1))
    assert [each["id"] for each in to_coco(rows)["images"]] == list(range(1, len(names) + 1))


def test_simplified_polygons_say_their_own_area(tmp_path: Path) -> None:
    disc = (np.hypot(*np.mgrid[-30:30, -40:40]) < 25) & (np.hypot(*np.mgrid[-30:30, -40:40]) > 9)
    exact, rough = (
        to_coco({"a.png": encoded(disc)}, segmentation="polygon", tolerance=tolerance)["annotations"][0]
        for tolerance in (0, 2)
    )
    assert len(rough["segmentation"][0]) < len(exact["segmentation"][0]) / 3
    coco = load(to_coco({"a.png": encoded(disc)}, segmentation="polygon", tolerance=2), tmp_path / "a.json")
    pixels = coco.annToMask(coco.anns[1])
    assert pixels.sum() == rough["area"] == pytest.approx(disc.sum(), rel=0.1)
    assert not pixels[30, 40]


def test_results_are_loaded_and_evaluated(tmp_path: Path) -> None:
    rows = [
        {"name": "b.jpg", "number": 70, "mask": encoded(RING), "score": 0.9, "category": 18},
        {"name": "a.jpg", "number": 9, "mask": encoded(PARTS), "score": 0.4, "category": 3},
    ]
    truth = read(to_coco(rows, tmp_path / "truth.json", image_id="number"))
    assert set(truth.imgs) == {70, 9}
    assert {each["id"]: each["name"] for each in truth.cats.values()} == {3: "3", 18: "18"}
    path = to_coco(rows, tmp_path / "results.json", results=True, image_id="number")
    assert json.loads(path.read_text())[0].keys() == {"image_id", "category_id", "segmentation", "bbox", "score"}
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(str(path)), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)
    with pytest.raises(ValueError, match="results need scores"):
        to_coco({"a.jpg": encoded(RING)}, results=True)


def test_every_kind_of_rows(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    generated = "SELECT parse_filename(filename) AS name, content AS image, sam_generate('nano', content, 5) AS mask"
    con.execute(f"CREATE TABLE masks AS {generated} FROM read_blob($1)", [str(PHOTOS / "co*.jpg")])
    relation = con.sql("FROM masks")
    con.execute(f"COPY masks TO '{tmp_path}/masks.parquet'")
    table = relation.to_arrow_table()
    expected = to_coco(table)
    assert len(expected["annotations"]) > 3
    assert all(0 < each["score"] <= 1 for each in expected["annotations"])
    rows = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    seg = Segmenter()
    found = {name: seg.generate(PHOTOS / name, points_per_side=5) for name in ("coffee.jpg", "coins.jpg")}
    for given in (
        relation,
        con.cursor().execute("FROM masks"),
        table.to_batches()[0],
        table.to_reader(),
        pa.dataset.dataset(table),
        relation.df(),
        table.to_pandas(),
        pl.from_arrow(table.drop_columns("image")),
        rows,
        iter(rows),
        tmp_path / "masks.parquet",
        f"{tmp_path}/*.parquet",
        tmp_path,
        found,
        {name: masks[:] for name, masks in found.items()},
        con.sql("SELECT name, unnest(mask) AS seg FROM masks"),
        con.sql("SELECT name, unnest(seg) FROM (SELECT name, unnest(mask) AS seg FROM masks)"),
    ):
        assert to_coco(given) == expected, type(given)
    text = to_coco(con.sql("SELECT name, to_json(mask) AS mask FROM masks"))
    for one, other in zip(text["annotations"], expected["annotations"], strict=True):
        assert one == {**other, "score": pytest.approx(other["score"], abs=1e-6)}
    for given in (list(found.values()), [mask for masks in found.values() for mask in masks]):
        assert to_coco(given, root=PHOTOS) == expected
    assert to_coco(found["coffee.jpg"][0])["images"][0]["file_name"] == str(PHOTOS / "coffee.jpg")


def test_images_without_masks(con: duckdb.DuckDBPyConnection) -> None:
    data = (PHOTOS / "coffee.jpg").read_bytes()
    rows: list[dict[str, Any]] = [
        {"name": "a.jpg", "mask": None, "width": 8, "height": 5},
        {"name": "b.jpg", "mask": [], "image": data},
        {"name": "c.jpg", "mask": [None, encoded(blank(7, 6))]},
    ]
    data = to_coco(rows)
    assert [(each["width"], each["height"]) for each in data["images"]] == [(8, 5), (600, 400), (6, 7)]
    [annotation] = data["annotations"]
    assert (annotation["area"], annotation["bbox"], annotation["image_id"]) == (0, [0, 0, 0, 0], 3)
    assert data["categories"] == [{"id": 1, "name": "object"}]
    with pytest.raises(
        ValueError, match=r"size of image 'z.jpg' is not known, because it has no mask: give the columns"
    ):
        to_coco([{"name": "z.jpg", "mask": None}])
    assert to_coco([])["images"] == to_coco({})["annotations"] == []
    assert to_coco(con.sql("SELECT 'a' AS name, NULL AS mask WHERE false"))["images"] == []


def test_forms_of_masks() -> None:
    array = np.asfortranarray(RING, np.uint8)
    rle = coco_mask.encode(array)
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[2], array.ravel("F"), [2]])))).tolist()
    runs = runs if not array[0, 0] else [0, *runs]
    expected = to_coco({"a": encoded(RING)})
    for given in (rle, {"size": list(RING.shape), "counts": runs}, {"segmentation": rle}, Mask.from_record(rle),
                  [rle], (rle,), json.dumps(encoded(RING)), Masks([Mask.from_record(rle)]),
                  {"size": np.array(RING.shape), "counts": np.array(runs)}):  # fmt: skip
        assert to_coco({"a": given}) == expected, given


def test_categories() -> None:
    def rows(*values: Any) -> list[dict[str, Any]]:
        return [{"name": f"{place}", "mask": encoded(RING), "kind": value} for place, value in enumerate(values)]

    def ids(data: Any) -> list[int]:
        return [each["category_id"] for each in data["annotations"]]

    assert ids(to_coco(rows("b", "a", "b"), category="kind")) == [2, 1, 2]
    assert ids(to_coco(rows("b", "a"), category="kind", categories=["x", "b", "a"])) == [2, 3]
    assert ids(to_coco(rows("b", "a"), category="kind", categories={7: "a", 5: "b"})) == [5, 7]
    assert ids(to_coco(rows("b", 7.0), category="kind", categories={"a": 7, "b": 5})) == [5, 7]
    gaps = to_coco(rows(90, np.int64(3)), category="kind", categories={90: "z", 3: "y", 4: "unused"})
    assert ids(gaps) == [90, 3]
    assert [each["id"] for each in gaps["categories"]] == [3, 4, 90]
    assert to_coco(rows("a"), categories=["thing"])["categories"] == [{"id": 1, "name": "thing"}]
    for values, given, message in [
        (("a", None), None, "a mask has no category, and there are others that have one of a"),
        (("a", 1), None, "either names or numbers; these are both: 1, a"),
        (("a",), ["b"], "category 'a' is not among the categories given: b"),
        (("a",), [], "categories is empty"),
        (("a",), ["a", "a"], "'a' or its number 2 is given twice"),
    ]:
        with pytest.raises(ValueError, match=message):
            to_coco(rows(*values), category="kind", categories=given)
    with pytest.raises(TypeError, match=r"row 0 \(0\): a category is a name or a whole number, not 1.5"):
        to_coco(rows(1.5), category="kind")
    lists = [{"name": "a", "masks": [encoded(RING), encoded(RING)], "categories": ["u", "v"], "scores": [0.5, None]}]
    annotations = to_coco(lists)["annotations"]
    assert [(each["category_id"], each.get("score")) for each in annotations] == [(1, 0.5), (2, None)]
    with pytest.raises(ValueError, match=r"row 0 \(a\): category has 1 values for 2 masks"):
        to_coco([{**lists[0], "categories": ["u"]}])


def test_what_is_wrong() -> None:
    ring, other = encoded(RING), encoded(blank(3, 4))
    photo = (PHOTOS / "coffee.jpg").read_bytes()
    for rows, kind, message in [
        ([{"name": "a", "mask": ring}, {"name": "a", "mask": other}], ValueError, r"row 1 \(a\): the mask has 4 x 3 "),
        ([{"name": "a", "mask": ring, "width": 30, "height": 40}], ValueError, "40 x 30 pixels, but the image 30 x 40"),
        ([{"name": "a", "mask": ring, "image": photo}], ValueError, "the image 600 x 400"),
        ([{"name": "a", "mask": {"size": [2, 3], "counts": "13"}}], ValueError, r"row 0 \(a\): not a mask: "),
        ([{"name": "a", "mask": {"area": 3}}], ValueError, r"or size and counts; this has \['area'\]"),
        ([{"name": "a", "mask": 3}], TypeError, "a mask is a record of sam_annotate, .* not 3"),
        ([{"name": None, "mask": ring}], ValueError, "row 0 does not name its image, but has None"),
        ([{"photo": "a", "mask": ring}], ValueError, "images are called, .* give name=..., one of photo, mask"),
        ([{"name": "a", "m": ring}], ValueError, "no column has masks, .* give mask=..., one of name, m"),
        ([{"image": b"x", "mask": ring}], ValueError, "row 0 does not name its image, but has b'x': give name="),
        ([{"name": "a", "mask": None, "image": b"nonsense", "w": 1}], ValueError, "size of image 'a' is not known"),
        (ring, ValueError, "a single record does not say of what image it is"),
        ([Mask.from_record(ring)], ValueError, "row 0 does not say what image its masks are of"),
        (7, TypeError, "rows must be a DuckDB relation, .* not builtins.int"),
        ([1], TypeError, "row 0 is 1"),
        ("masks.csv", ValueError, "'masks.csv' is neither"),
        ("gone.parquet", FileNotFoundError, "gone.parquet"),
    ]:  # fmt: skip
        with pytest.raises(kind, match=message):
            to_coco(rows)
    with pytest.raises(ValueError, match="no column 'b', name='b': theirs are a"):
        to_coco([{"a": "x"}], name="b")
    with pytest.raises(ValueError, match="images 'a' and 'b' both have n 1"):
        to_coco([{"name": name, "mask": ring, "n": 1} for name in "ab"], image_id="n")
    with pytest.raises(ValueError, match="image_id is 2, and 1 in an earlier row of the same image"):
        to_coco([{"name": "a", "mask": ring, "n": n} for n in (1, 2)], image_id="n")


def test_a_file_is_written_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "coco.json"
    assert to_coco({"ü ä.b.jpg": encoded(RING)}, path) == path
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["coco.json"]
    assert json.loads(before)["images"][0]["file_name"] == "ü ä.b.jpg"
    with pytest.raises(IsADirectoryError):
        to_coco({"a.jpg": encoded(RING)}, tmp_path)


def test_there_and_back(tmp_path: Path) -> None:
    rows, _ = random_rows()
    path = to_coco(rows, tmp_path / "coco.json")
    table = from_coco(path, images=PHOTOS)
    assert table["image"][0].as_py() == str(PHOTOS / table["name"][0].as_py())
    assert to_coco(table.drop_columns("image")) == json.loads(path.read_text())
    polygons = to_coco(rows, segmentation="polygon")
    assert to_coco(from_coco(polygons)) == json.loads(path.read_text())


def test_boxes_are_prompts(tmp_path: Path) -> None:
    data = {
        "images": [{"id": 5, "file_name": "coffee.jpg", "width": 600, "height": 400},
                   {"id": 6, "file_name": "coins.jpg", "width": 384, "height": 303}],
        "annotations": [{"id": 1, "image_id": 5, "category_id": 9, "bbox": [60, 40, 480, 350], "iscrowd": 1,
                         "segmentation": {"size": [400, 600], "counts": [240000]}},
                        {"id": 2, "image_id": 5, "category_id": 9, "bbox": [120, 120, 240, 160],
                         "segmentation": [], "score": 0.5}],
        "categories": [{"id": 9, "name": "cup"}],
    }  # fmt: skip
    table = from_coco(data, images=PHOTOS)
    first, second = table.to_pylist()
    assert first["boxes"][0] == [0.1, 0.1, 0.9, 0.975]
    assert (first["categories"], first["crowd"], first["scores"]) == (["cup", "cup"], [True, False], [None, 0.5])
    assert first["masks"][1] is None
    assert second["boxes"] == []
    found = Segmenter().batch(table, boxes="boxes")
    masks = Segmenter().predict_many(
        PHOTOS / "coffee.jpg", boxes=[[60, 40, 540, 390], [120, 120, 360, 280]], unit="pixel"
    )
    assert found["mask"].to_pylist() == [[mask.to_dict() for mask in masks], []]
    again = to_coco(found, mask="mask", image_id="image_id")
    assert [each["area"] for each in again["annotations"]] == [mask.area for mask in masks]
    assert [each["image_id"] for each in again["annotations"]] == [5, 5]
    assert [each["iscrowd"] for each in again["annotations"]] == [1, 0]
    assert from_coco(data, masks=False)["masks"].to_pylist() == [[None, None], []]
    for change, message in [
        (
            {"annotations": [{"id": 3, "image_id": 1, "category_id": 9}]},
            "annotation 3 is of image 1, which is not listed",
        ),
        ({"categories": []}, "annotation 1 has category 9, which is not listed"),
        ({"images": data["images"] * 2}, "two images have the id 5"),
        ({"images": [{"id": 5, "file_name": "x"}]}, "image 5: there is no 'width', but id, file_name"),
    ]:
        with pytest.raises(ValueError, match=message):
            from_coco({**data, **change})
    broken = [{**data["annotations"][1], "segmentation": [[1, 2, 3]]}]
    with pytest.raises(ValueError, match=r"object 2 of image 'coffee.jpg': "):
        from_coco({**data, "annotations": broken})
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(ValueError, match=r"results.json: COCO's JSON is an object"):
        from_coco(tmp_path / "results.json")
