"""``Segmenter``: the same masks as SQL, prompts in every form, errors, pickling, processes and threads."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cloudpickle
import duckdb
import numpy as np
import pytest

from conftest import PHOTOS, ROOT
from duckdb_sam import Mask, Masks, Segmenter
from processes import run

COFFEE = PHOTOS / "coffee.jpg"  # 600 x 400
DISC = ROOT / "test" / "data" / "disc.png"


@pytest.fixture(scope="module")
def seg() -> Segmenter:
    return Segmenter()


def annotate(con: duckdb.DuckDBPyConnection, prompt: str, image: Path = COFFEE) -> dict:
    return con.execute(f"SELECT sam_annotate('nano', ?, {prompt})", [image.read_bytes()]).fetchone()[0]


CALLS = [
    ({"point": [0.5, 0.6]}, "[0.5, 0.6]"),
    ({"point": (np.float32(0.5), 0.25)}, "[0.5, 0.25]"),
    ({"point": np.array([0.5, 0.25])}, "[0.5, 0.25]"),
    ({"point": [300, 100], "unit": "pixel"}, "[0.5, 0.25]"),
    ({"points": [[0.5, 0.4], [0.5, 0.8]]}, "[[0.5, 0.4], [0.5, 0.8]], NULL, NULL"),
    ({"points": [[0.5, 0.4], [0.5, 0.8]], "labels": [1, 0]}, "[[0.5, 0.4], [0.5, 0.8]], [1, 0], NULL"),
    ({"points": [[300, 160], [300, 320]], "labels": [True, False], "unit": "pixel"},
     "[[0.5, 0.4], [0.5, 0.8]], [1, 0], NULL"),
    ({"box": [0.1, 0, 0.9, 1]}, "NULL, NULL, [0.1, 0.0, 0.9, 1.0]"),
    ({"box": [150, 100, 450, 300], "unit": "pixel"}, "NULL, NULL, [0.25, 0.25, 0.75, 0.75]"),
    ({"box": np.array([150, 100, 300, 200]), "unit": "pixel", "box_format": "xywh"},
     "NULL, NULL, [0.25, 0.25, 0.75, 0.75]"),
    ({"box": [0.25, 0.25, 0.5, 0.5], "box_format": "xywh"}, "NULL, NULL, [0.25, 0.25, 0.75, 0.75]"),
    ({"point": [0.5, 0.5], "box": [0.25, 0.25, 0.75, 0.75]}, "[[0.5, 0.5]], [1], [0.25, 0.25, 0.75, 0.75]"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "sql"), CALLS)
def test_predict_is_what_sql_returns(con, seg: Segmenter, arguments: dict, sql: str) -> None:
    assert seg.predict(COFFEE, **arguments).to_dict() == annotate(con, sql)


def test_a_box_of_a_mask_is_a_prompt(con, seg: Segmenter) -> None:
    mask = seg.predict(COFFEE, [0.5, 0.6])
    by_bbox = seg.predict(COFFEE, box=mask.bbox, unit="pixel", box_format="xywh")
    assert by_bbox == seg.predict(COFFEE, box=mask.box, unit="pixel")
    x0, y0, x1, y1 = mask.box
    assert by_bbox.to_dict() == annotate(con, f"NULL, NULL, [{x0 / 600}, {y0 / 400}, {x1 / 600}, {y1 / 400}]")


def test_pixels_are_those_of_the_upright_image(con, seg: Segmenter) -> None:
    turned = ROOT / "test" / "data" / "disc_orientation6.jpg"
    (info,) = con.execute("SELECT image_info(?)", [turned.read_bytes()]).fetchone()
    mask = seg.predict(turned, [info["width"] * 0.25, info["height"] * 0.75], unit="pixel")
    assert mask.size == (info["height"], info["width"])
    assert mask.to_dict() == annotate(con, "[0.25, 0.75]", turned)


def test_predict_many(con, seg: Segmenter) -> None:
    boxes = [[0.1, 0.0, 0.9, 1.0], [0.2, 0.3, 0.6, 0.7]]
    masks = seg.predict_many(COFFEE, boxes=boxes)
    assert isinstance(masks, Masks)
    assert masks == [seg.predict(COFFEE, box=box) for box in boxes]
    points = seg.predict_many(COFFEE, points=np.array([[300, 200], [30, 40]]), unit="pixel")
    assert points == [seg.predict(COFFEE, [0.5, 0.5]), seg.predict(COFFEE, [0.05, 0.1])]
    given = [{"box": boxes[0], "score": 0.5}, {"points": [[0.5, 0.4], [0.5, 0.8]], "labels": [1, 0]}]
    assert seg.predict_many(COFFEE, prompts=given) == [
        seg.predict(COFFEE, box=boxes[0]),
        seg.predict(COFFEE, points=[[0.5, 0.4], [0.5, 0.8]], labels=[1, 0]),
    ]
    assert seg.predict_many(COFFEE, boxes=[]) == []


def test_generate(con, seg: Segmenter) -> None:
    options = "MAP {'points_per_side': 6, 'pred_iou_thresh': 0.4, 'min_mask_region_area': 50}"
    expected = con.execute(f"SELECT sam_generate('nano', ?, {options})", [COFFEE.read_bytes()]).fetchone()[0]
    masks = seg.generate(COFFEE, points_per_side=np.int64(6), pred_iou_thresh=0.4, min_mask_region_area=50)
    assert [mask.to_dict() for mask in masks] == expected
    assert len(masks) > 2
    assert masks[0].point == tuple(expected[0]["point_coords"][0])
    assert masks[0].crop_box == (0, 0, 600, 400)


def test_an_embedding_stands_for_its_image(seg: Segmenter) -> None:
    embedding = seg.embed(COFFEE)
    assert (embedding.size, repr(embedding), str(embedding)) == ((400, 600), *[repr(embedding)] * 2)
    for stored in (embedding, bytes(embedding), memoryview(embedding), pickle.loads(pickle.dumps(embedding))):
        assert seg.predict(stored, [300, 240], unit="pixel") == seg.predict(COFFEE, [0.5, 0.6])
    assert len(seg.embed(COFFEE, "f16")) < len(embedding)
    with pytest.raises(ValueError, match="type must be 'f32' or 'f16', not 'f8'"):
        seg.embed(COFFEE, "f8")


WRONG = [
    ({}, TypeError, r"give a prompt: point="),
    ({"point": [0.5, 0.5], "points": [[0.5, 0.5]]}, TypeError, "either point or points"),
    ({"point": [0.5, 0.5], "labels": [1]}, TypeError, "labels belong to points"),
    ({"point": "center"}, TypeError, "point must be a list, not 'center'"),
    ({"point": 0.5}, TypeError, "point must be a list, not 0.5"),
    ({"point": ["a", 0.5]}, TypeError, r"point must hold 2 numbers, not \['a', 0.5\]"),
    ({"point": [True, 0.5]}, TypeError, "point must hold 2 numbers"),
    ({"point": [0.5, 0.5, 0.5]}, ValueError, "point has 3 numbers, not 2"),
    ({"point": [float("nan"), 0.5]}, ValueError, "finite"),
    ({"point": [[0.5, 0.5]]}, TypeError, "several are points="),
    ({"points": [0.5, 0.5]}, TypeError, r"points\[0\] must be a list, not 0.5"),
    ({"points": []}, ValueError, "points is empty"),
    ({"points": [[0.5, 0.5]], "labels": [1, 0]}, ValueError, "2 labels for 1 points"),
    ({"points": [[0.5, 0.5]], "labels": [2]}, ValueError, r"labels\[0\] must be 1 .* not 2"),
    ({"points": [[0.5, 0.5]], "labels": ["in"]}, TypeError, r"labels\[0\] must be 1 .* not 'in'"),
    ({"point": [320, 240]}, ValueError, r"\[320.0, 240.0\] lies outside the image.*for pixels give unit='pixel'"),
    ({"point": [1.1, 0.5]}, ValueError, r"\[1.1, 0.5\] lies outside the image: .* 0 to 1$"),
    ({"point": [620, 10], "unit": "pixel"}, ValueError, r"\[620.0, 10.0\] lies outside the image, which has 600 x 400"),
    ({"points": [[1, 1], [1, -9]], "unit": "pixel"}, ValueError, r"points\[1\] \[1.0, -9.0\] lies outside"),
    ({"box": [0.5, 0.5, 0.2, 0.2]}, ValueError, r"no area: it is read as \[x0, y0, x1, y1\]; .*box_format='xywh'"),
    ({"box": [0.5, 0.5, 0, 0], "box_format": "xywh"}, ValueError, r"no area: it is read as \[x, y, width, height\]"),
    ({"box": [600, 10, 700, 300], "unit": "pixel"}, ValueError, r"lies outside the image, which has 600 x 400"),
    ({"box": [0.1, 0.2, 0.3]}, ValueError, "box has 3 numbers, not 4"),
    ({"point": [0.5, 0.5], "unit": "px"}, ValueError, "unit must be 'fraction' or 'pixel', not 'px'"),
    ({"box": [0, 0, 1, 1], "box_format": "cxcywh"}, ValueError, "box_format must be 'xyxy' or 'xywh', not 'cxcywh'"),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), WRONG)
def test_wrong_prompts(seg: Segmenter, arguments: dict, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        seg.predict(COFFEE, **arguments)


def test_a_prompt_may_overshoot_a_little(con, seg: Segmenter) -> None:
    assert seg.predict(COFFEE, [600.5, 100], unit="pixel").to_dict() == annotate(con, "[1.0, 0.25]")
    box = seg.predict(COFFEE, box=[-20, 100, 300, 410], unit="pixel")
    assert box.to_dict() == annotate(con, "NULL, NULL, [0.0, 0.25, 0.5, 1.0]")


def test_wrong_arguments() -> None:
    for arguments, kind, message in [
        ({"model": 3}, TypeError, "model must be the name or path of a model, not 3"),
        ({"threads": "2"}, TypeError, "threads must be a whole number or None, not '2'"),
        ({"threads": 0}, ValueError, "threads must be at least 1, not 0"),
        ({"device": "cuda"}, ValueError, "device 'cuda' is not there: .*CPU"),
        ({"on_error": "ignore"}, ValueError, "on_error must be 'raise' or 'null', not 'ignore'"),
        ({"settings": {"threads": 2}}, ValueError, "'threads' is not among"),
    ]:
        with pytest.raises(kind, match=message):
            Segmenter(**arguments)
    with Segmenter(settings={"cache_gb": 1}) as seg, pytest.raises(ValueError, match="cache_gb"):
        seg.predict(COFFEE, [0.5, 0.5])


def test_wrong_options_of_generate(seg: Segmenter) -> None:
    for options, message in [
        ({"points": 8}, "generate has no option 'points'; the options are points_per_side, .*min_mask_region_area"),
        ({"points_per_side": 8.5}, "points_per_side must be a whole number, not 8.5"),
        ({"points_per_side": True}, "points_per_side must be a whole number, not True"),
        ({"pred_iou_thresh": "high"}, "pred_iou_thresh must be a number, not 'high'"),
    ]:
        with pytest.raises(TypeError, match=message):
            seg.generate(COFFEE, **options)
    with pytest.raises(ValueError, match="points_per_side is 0; it must lie between 1 and 256"):
        seg.generate(COFFEE, points_per_side=0)


@pytest.mark.parametrize("on_error", ["raise", "null"])
def test_an_unknown_model_is_an_error_always(on_error: str) -> None:
    with Segmenter("nanoo", on_error=on_error) as seg, pytest.raises(ValueError, match=r"^unknown model 'nanoo': "):
        seg.predict(COFFEE, [0.5, 0.5])


def test_what_fails_is_raised(seg: Segmenter, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg"):
        seg.predict(tmp_path / "gone.jpg", [0.5, 0.5])
    for work in (lambda: seg.predict(b"nonsense", [5, 5], unit="pixel"), lambda: seg.embed(b"nonsense")):
        with pytest.raises(ValueError, match=r"^not a picture that can be decoded: 8 bytes"):
            work()
    assert seg.errors() == []


def test_what_fails_is_none(tmp_path: Path) -> None:
    with Segmenter(on_error="null") as seg:
        assert seg.predict(COFFEE, [0.5, 0.6]) == Segmenter().predict(COFFEE, [0.5, 0.6])
        assert seg.predict(tmp_path / "gone.jpg", [0.5, 0.5]) is None
        assert seg.generate(b"nonsense") is None
        assert seg.predict(COFFEE, [700, 10], unit="pixel") is None
        with pytest.raises(TypeError):
            seg.predict(COFFEE, "center")
        with pytest.raises(TypeError):
            seg.predict(12, [0.5, 0.5])
        failures = seg.errors()
    assert [failure.image for failure in failures] == [str(tmp_path / "gone.jpg"), "bytes", str(COFFEE)]
    assert "No such file" in failures[0].message
    assert "not a picture" in failures[1].message
    assert "[700.0, 10.0] lies outside the image, which has 600 x 400 pixels" in failures[2].message


def test_the_environment_does_not_turn_errors_into_none() -> None:
    run(
        """
from duckdb_sam import Segmenter
try:
    Segmenter().predict(b"nonsense", [0.5, 0.5])
except ValueError as error:
    assert "not a picture" in str(error)
else:
    raise AssertionError
""",
        SAM_ON_ERROR="null",
    )


def test_threads_of_the_process_and_repr() -> None:
    run(f"""
import duckdb_sam
from duckdb_sam import Segmenter
with duckdb_sam.connect() as con:
    threads = lambda: con.execute("SELECT value FROM sam_configure() WHERE setting = 'threads'").fetchone()[0]
    with Segmenter(threads=3, settings={{"mask_limit_mb": 77}}) as seg:
        seg.predict({str(DISC)!r}, [0.5, 0.5])
        assert threads() == "3"
        assert seg._engine.value("(SELECT value FROM sam_configure() WHERE setting = 'mask_limit_mb')") == "77"
assert repr(seg) == "Segmenter('nano', threads=3, settings={{'mask_limit_mb': 77}})"
assert repr(Segmenter(on_error="null")) == "Segmenter('nano', on_error='null')"
""")


def test_close_and_open_again() -> None:
    with Segmenter() as seg:
        mask = seg.predict(DISC, [0.5, 0.5])
    assert seg.predict(DISC, [0.5, 0.5]) == mask
    seg.close()
    seg.close()


def test_pickled(seg: Segmenter) -> None:
    mask = seg.predict(COFFEE, [0.5, 0.6])
    given = Segmenter("nano", threads=2, on_error="null", settings={"cache_mb": 300})
    for each in (pickle.loads(pickle.dumps(given)), cloudpickle.loads(cloudpickle.dumps(given)), copy.deepcopy(given)):
        assert repr(each) == repr(given)
    assert pickle.loads(pickle.dumps(seg)).predict(COFFEE, [0.5, 0.6]) == mask  # one that is open
    assert cloudpickle.loads(cloudpickle.dumps(seg.predict))(COFFEE, [0.5, 0.6]) == mask


def test_threads() -> None:
    points = [[x / 20, y / 10] for x in range(1, 20) for y in range(1, 10)]
    with Segmenter() as seg, ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda point: seg.predict(COFFEE, point), points))
        assert together == [seg.predict(COFFEE, point) for point in points]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_pools(method: str, tmp_path: Path) -> None:
    if method == "fork" and sys.platform != "linux":
        pytest.skip("other systems do not fork by default")
    module = tmp_path / "main.py"
    module.write_text(f"""
import multiprocessing, os, sys
from duckdb_sam import Segmenter

SEG = Segmenter()  # of the module: a forked child has the parent's, which is open

def shared(point):
    return os.getpid(), SEG.predict({str(COFFEE)!r}, point)

if __name__ == "__main__":
    points = [[x / 10, 0.5] for x in range(1, 9)]
    expected = [SEG.predict({str(COFFEE)!r}, point) for point in points]
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        pids, masks = zip(*pool.map(shared, points, chunksize=1))
        assert os.getpid() not in pids
        assert list(masks) == expected
        calls = [({str(COFFEE)!r}, point) for point in points]
        assert pool.starmap(SEG.predict, calls, chunksize=1) == expected  # pickled
    assert shared(points[0])[1] == expected[0]
""")
    run(f"import runpy; runpy.run_path({str(module)!r}, run_name='__main__')", PYTHONPATH=f"{tmp_path}:{path()}")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_forked_while_others_work_and_ended_in_the_usual_way() -> None:
    run(f"""
import os, threading
from duckdb_sam import Segmenter
seg = Segmenter()
expected = seg.predict({str(DISC)!r}, [0.5, 0.5])
over = threading.Event()
def busy():
    while not over.is_set():
        if {duckdb.__version__ >= "1.5"}:  # 1.3 imports modules whenever it runs a query, which no fork survives
            with Segmenter() as own:
                own.predict({str(DISC)!r}, [0.4, 0.5])
        seg.predict({str(DISC)!r}, [0.4, 0.5])
threads = [threading.Thread(target=busy, daemon=True) for _ in range(2)]
for thread in threads: thread.start()
for _ in range(4):
    child = os.fork()
    if child == 0:
        over.set()
        assert seg.predict({str(DISC)!r}, [0.5, 0.5]) == expected
        assert expected.overlay() and expected.wkt()
        raise SystemExit(0)  # the interpreter is taken down, with what was inherited
    assert os.waitpid(child, 0)[1] == 0
over.set()
for thread in threads: thread.join()
assert seg.predict({str(DISC)!r}, [0.5, 0.5]) == expected
""")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to processes of POSIX")
@pytest.mark.parametrize("work", ["seg.generate(IMAGE, points_per_side=64)", "seg.batch(TABLE, generate=True)"])
@pytest.mark.parametrize("on_error", ["raise", "null"])
def test_ctrl_c_stops_and_loses_nothing(work: str, on_error: str) -> None:
    run(f"""
import os, signal, threading, time
import pyarrow as pa
from duckdb_sam import Segmenter
IMAGE = {str(COFFEE)!r}
TABLE = pa.table({{"image": [open(IMAGE, "rb").read() + bytes([i]) for i in range(200)]}})
seg = Segmenter(on_error={on_error!r})
mask = seg.predict(IMAGE, [0.5, 0.5])
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
started = time.monotonic()
try:
    {work}
except KeyboardInterrupt:
    assert time.monotonic() - started < 30
else:
    raise AssertionError("not stopped")
assert seg.errors() == []
assert seg.predict(IMAGE, [0.5, 0.5]) == mask
""")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to processes of POSIX")
@pytest.mark.parametrize("seconds", [0.03, 0.06, 0.09])
def test_ctrl_c_at_the_beginning_of_a_batch(seconds: float) -> None:
    # While DuckDB is opened, and while it imports what may know the table.
    run(f"""
import os, signal, threading
import pyarrow as pa
from duckdb_sam import Segmenter
TABLE = pa.table({{"image": [open({str(COFFEE)!r}, "rb").read() + bytes([i]) for i in range(20)]}})
seg = Segmenter()
threading.Timer({seconds}, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    seg.batch(TABLE, generate=True)
except KeyboardInterrupt:
    pass
else:
    raise AssertionError("not stopped")
""")


def path() -> str:
    import duckdb_sam

    return str(Path(duckdb_sam.__file__).parents[1])


def test_import_is_lazy() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, duckdb_sam; print([name for name in sys.modules if 'segmenter' in name"
         " or name in ('numpy', 'pyarrow', 'PIL')], 'Segmenter' in dir(duckdb_sam))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert loaded.stdout == "[] True\n"
    assert Mask.__module__ == "duckdb_sam.masks"
    import duckdb_sam

    with pytest.raises(AttributeError, match="module 'duckdb_sam' has no attribute 'Segmentor'"):
        duckdb_sam.Segmentor  # noqa: B018


def test_with_duckdb_alone() -> None:
    """Without NumPy, Pillow and pyarrow, all works that needs none; the rest names what to install."""
    run(f"""
import sys
for name in ("numpy", "pyarrow", "PIL", "pandas"):
    sys.modules[name] = None
from duckdb_sam import Segmenter
with Segmenter() as seg:
    mask = seg.predict({str(COFFEE)!r}, box=[100, 100, 400, 300], unit="pixel")
    mask.overlay(), mask.polygon(1), mask.png(), mask._repr_html_(), seg.generate({str(DISC)!r}, points_per_side=4)
    for work, extra in ((mask.to_numpy, "numpy"), (lambda: seg.batch(None, point=[0.5, 0.5]), "arrow")):
        try:
            work()
        except ImportError as error:
            assert f"pip install 'duckdb-sam[{{extra}}]'" in str(error), error
        else:
            raise AssertionError(extra)
""")
