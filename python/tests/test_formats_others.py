"""The readers of the other tools themselves. They bring some 300 MB each, so that ``make test`` is without them.

    pip install supervision geopandas labelme pyyaml

labelme opens no window here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import PHOTOS
from duckdb_sam import Mask, Masks, Segmenter, to_coco, to_geoparquet, to_labelme, to_supervision, to_yolo
from formats import PARTS, RING, encoded, random_rows

pytestmark = pytest.mark.filterwarnings("default")  # theirs


@pytest.fixture(scope="module")
def masks() -> dict[str, Masks]:
    seg = Segmenter()
    return {str(PHOTOS / name): seg.generate(PHOTOS / name, points_per_side=8) for name in ("coffee.jpg", "coins.jpg")}


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def test_supervision_reads_coco(masks: dict[str, Masks], tmp_path: Path) -> None:
    sv = pytest.importorskip("supervision")
    for segmentation in ("rle", "polygon"):
        path = to_coco(masks, tmp_path / "coco.json", segmentation=segmentation)
        data = sv.DetectionDataset.from_coco(str(PHOTOS), str(path), force_masks=True)
        assert data.classes == ["object"]
        assert len(data) == 2
        for name, _, detections in data:
            expected = masks[str(Path(name).resolve())]
            assert len(detections) == len(expected)
            for got, mask in zip(detections.mask, expected, strict=True):
                assert iou(got, mask.to_numpy()) > (0.999999 if segmentation == "rle" else 0.9)


@pytest.mark.parametrize("task", ["segment", "detect"])
def test_supervision_reads_yolo(masks: dict[str, Masks], tmp_path: Path, task: Any) -> None:
    sv = pytest.importorskip("supervision")
    folder = to_yolo(masks, tmp_path / "set", images="copy", task=task, categories=["thing"])
    data = sv.DetectionDataset.from_yolo(
        str(folder / "images"), str(folder / "labels"), str(folder / "data.yaml"), force_masks=task == "segment"
    )
    assert data.classes == ["thing"]
    for name, _, detections in data:
        expected = masks[str(PHOTOS / Path(name).name)]
        assert len(detections) == len(expected)
        assert np.allclose(detections.xyxy, [mask.box for mask in expected], atol=1.01)
        if task == "segment":
            for got, mask in zip(detections.mask, expected, strict=True):
                edge = sum(len(ring) for island in mask.polygon() for ring in island)
                assert (got ^ mask.to_numpy()).sum() < 0.06 * mask.area + 4 * edge


def test_detections(masks: dict[str, Masks]) -> None:
    sv = pytest.importorskip("supervision")
    some = next(iter(masks.values()))
    for given in (some, list(some), [mask.to_dict() for mask in some]):
        detections = to_supervision(given)
        assert isinstance(detections, sv.Detections)
        assert np.array_equal(detections.mask, [mask.to_numpy() for mask in some])
        assert detections.mask.dtype == bool
        assert np.array_equal(detections.xyxy, np.array([mask.box for mask in some], np.float32))
        assert np.allclose(detections.confidence, [mask.predicted_iou for mask in some])
        assert detections.class_id.tolist() == [0] * len(some)
        assert set(detections.data["class_name"]) == {"object"}
    for one in (some[0], some[0].to_dict(), some[0].rle):
        assert len(to_supervision(one)) == 1
    assert len(to_supervision(Masks())) == 0
    rows = [
        {"name": "a", "mask": encoded(RING), "category": "b"},
        {"name": "a", "mask": encoded(PARTS), "category": "a"},
        {"name": "z", "mask": None, "category": None},
    ]
    found = to_supervision(rows)
    assert list(found) == ["a", "z"]
    assert (found["a"].class_id.tolist(), found["a"].data["class_name"].tolist()) == ([1, 0], ["b", "a"])
    assert found["a"].confidence is None
    assert len(found["z"]) == 0


def test_geopandas(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    rows, arrays = random_rows()
    frame = geopandas.read_parquet(to_geoparquet(rows, tmp_path / "a.parquet"))
    assert frame.crs is None
    assert frame.geometry.area.tolist() == [int(pixels.sum()) for pixels, _ in arrays.values()]
    path = to_geoparquet(
        {"a": encoded(RING), "b": encoded(PARTS)},
        tmp_path / "b.parquet",
        transform=(1, 0, 5e5, 0, -1, 5e6),
        crs="EPSG:32633",
    )
    frame = geopandas.read_parquet(path)
    assert frame.crs.to_epsg() == 32633
    assert frame.is_valid.all()
    assert frame.to_crs(4326).total_bounds[0] == pytest.approx(15, abs=0.1)
    assert len(geopandas.read_parquet(path, bbox=(5e5 + 35, 4999990, 5e5 + 40, 4999980))) == 1


def test_labelme(masks: dict[str, Masks], tmp_path: Path) -> None:
    pytest.importorskip("labelme")
    from labelme._label_file import read_label_file

    for shape in ("mask", "polygon"):
        folder = to_labelme(masks, tmp_path / shape, shape=shape)
        for path, expected in masks.items():
            record = read_label_file(str(folder / f"{Path(path).stem}.json"))
            assert record.image_data == Path(path).read_bytes()
            if shape == "polygon":
                assert len(record.shapes) >= len(expected)
                continue
            for got, mask in zip(record.shapes, expected, strict=True):
                (x0, y0), (x1, y1) = np.array(got["points"]).astype(int)
                whole = np.zeros(mask.size, bool)
                whole[y0 : y1 + 1, x0 : x1 + 1] = got["mask"]
                assert np.array_equal(whole, mask.to_numpy())


def test_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mask = Mask.from_record(encoded(RING))
    for module, extra, call in [
        ("supervision", "supervision", lambda: to_supervision(mask)),
        ("pyarrow", "formats", lambda: to_geoparquet({"a": mask}, tmp_path / "a.parquet")),
    ]:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(ImportError, match=rf"pip install 'duckdb-sam\[{extra}\]'"):
                call()
