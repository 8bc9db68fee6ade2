"""A forked child works as its parent does, whatever the parent's threads were doing: pools of processes, data loaders
and servers that load first and fork then. Nothing here may hang."""

from __future__ import annotations

import sys

import pytest

from conftest import PHOTOS, ROOT
from processes import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")

# macOS forks as well, but its own libraries do not all survive it; Python's default there is to spawn.

COMMON = f"""
import multiprocessing, os, random, sys, threading, time
import duckdb, duckdb_sam

ROUNDS = int(os.environ.get("SAM_TORTURE_ROUNDS", "10"))
DISC = open("{ROOT}/test/data/disc.png", "rb").read()
PHOTO = open("{PHOTOS}/coffee.jpg", "rb").read()
AREA = "SELECT sam_annotate('nano', $1, [0.5, 0.5]).area"

def area(con, image=DISC):
    return con.execute(AREA, [image]).fetchone()[0]

def fresh(image=DISC):
    with duckdb_sam.connect(threads=1) as con:
        return area(con, image)

def ends(child, seconds=60):
    "Wait for a forked child and check its status; kill it if it hangs."
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            assert status == 0, f"the child ended with status {{status}}"
            return
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")

def fork(work, seconds=60):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    ends(child, seconds)

def equal(left, right):
    assert left == right, (left, right)
"""


def script(body: str, *arguments: object, **environment: str) -> str:
    return run(COMMON + body, *arguments, **environment)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pool_after_inference(method: str, tmp_path) -> None:
    # What a spawned child imports must be a file.
    module = tmp_path / "main.py"
    module.write_text(
        COMMON
        + """
def work(index):
    return fresh(), os.getpid()

if __name__ == "__main__":
    with duckdb_sam.connect() as con:
        expected = area(con)
        with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            areas, processes = zip(*pool.map(work, range(6), chunksize=1))
        equal(set(areas), {expected})
        assert os.getpid() not in processes
        equal(area(con), expected)
"""
    )
    run(f"import runpy, sys; runpy.run_path({str(module)!r}, run_name='__main__')", method, PYTHONPATH=str(tmp_path))


def test_every_order_of_load_configure_fork_and_inference() -> None:
    script("""
expected = int(sys.argv[1]) if len(sys.argv) > 1 else None
steps = {
    "load": lambda con: duckdb_sam.load(con),
    "configure": lambda con: con.execute("CALL sam_configure(threads := 3)").fetchall(),
    "infer": lambda con: area(con),
}

def plain():
    return duckdb.connect(config={"allow_unsigned_extensions": "true", "threads": 1})

def child():
    con = plain()
    for name in ["load", "infer", "configure", "infer"]:
        steps[name](con)
    grandchild = lambda: equal(area(con, PHOTO), fresh(PHOTO))
    fork(grandchild)
    equal(area(con), fresh())

fork(child)  # nothing is loaded
con = plain()
for name in ["load", "configure", "infer", "configure", "infer"]:
    steps[name](con)
    fork(child)
""")


def test_a_child_has_the_settings_and_models_of_its_parent() -> None:
    script(f"""
model = "{ROOT}/test/reference/vit_tiny/plain.pt"
con = duckdb_sam.connect(threads=1)
con.execute("CALL sam_configure(threads := 3, on_error := 'null', cache_mb := 77)").fetchall()
con.execute("SELECT sam_annotate(?, ?, [0.5, 0.5])", [model, DISC]).fetchall()
expected = area(con)
SETTINGS = "SELECT setting, value FROM sam_configure()"
settings = con.execute(SETTINGS).fetchall()

def stat(con, counter):
    return con.execute("SELECT value FROM sam_stats() WHERE counter = ?", [counter]).fetchone()[0]

def child():
    equal(con.execute(SETTINGS).fetchall(), settings)
    equal(con.execute("SELECT count(*) FROM sam_models() WHERE loaded").fetchone()[0], 2)
    con.execute("SELECT sam_annotate(?, ?, [0.5, 0.5])", [model, DISC]).fetchall()
    equal(area(con), expected)
    equal(stat(con, "models_loaded"), 0)  # both are the parent's
    equal(stat(con, "encodes"), 2)        # what it computes it counts itself
    con.execute("CALL sam_configure(on_error := 'fail', threads := 2)").fetchall()
    con.execute("CALL sam_unload('nano')").fetchall()
    equal(area(con), expected)
    equal(stat(con, "models_loaded"), 1)
    fork(lambda: equal(con.execute("SELECT value FROM sam_configure() WHERE setting = 'threads'").fetchone(), ("2",)))

fork(child)
equal(con.execute(SETTINGS).fetchall(), settings)
""")


@pytest.mark.parametrize("what", ["infer", "load", "configure"])
def test_fork_at_random_moments(what: str) -> None:
    script(
        """
con = duckdb_sam.connect(threads=2)
expected = area(con)
over = threading.Event()

def busy():
    mine, index = con.cursor(), 0
    while not over.is_set():
        index += 1
        if sys.argv[1] == "infer":  # never the same picture, so that there is always something to do
            area(mine, DISC + bytes([index % 256, index // 256]))
        elif sys.argv[1] == "load":
            mine.execute("CALL sam_unload('nano')").fetchall()
            mine.execute("CALL sam_load('nano')").fetchall()
        else:
            mine.execute(f"CALL sam_configure(threads := {1 + index % 3}, cache_mb := {index % 50})").fetchall()
            mine.execute("FROM sam_stats()").fetchall()

threads = [threading.Thread(target=busy, daemon=True) for _ in range(2)]
for thread in threads:
    thread.start()
choose = random.Random(1)
for _ in range(ROUNDS):
    time.sleep(choose.uniform(0, 0.02))
    fork(lambda: equal(fresh(), expected))
over.set()
for thread in threads:
    thread.join()
equal(area(con), expected)
""",
        what,
    )


def test_fork_while_the_extension_is_loaded() -> None:
    script("""
duckdb.connect().close()  # what DuckDB itself sets up at its first use, and a child would wait for without end

def loading():
    duckdb_sam.connect(threads=1).close()

choose = random.Random(2)
for _ in range(ROUNDS):
    def parent():
        thread = threading.Thread(target=loading)
        thread.start()
        time.sleep(choose.uniform(0, 0.01))
        fork(fresh)
        thread.join()
    fork(parent)
""")


def test_a_loader_that_forks_anew_in_every_epoch() -> None:
    script("""
context = multiprocessing.get_context("fork")
con = duckdb_sam.connect(threads=1)
expected = area(con)

def worker(tasks, results):
    own = duckdb_sam.connect(threads=1)
    for _ in iter(tasks.get, None):
        results.put(area(own))

for _ in range(3):
    tasks, results = context.SimpleQueue(), context.SimpleQueue()
    workers = [context.Process(target=worker, args=(tasks, results), daemon=True) for _ in range(2)]
    for process in workers:
        process.start()
    for task in [*range(6), None, None]:
        tasks.put(task)
    equal([results.get() for _ in range(6)], [expected] * 6)
    equal(area(con), expected)  # the parent goes on as well
    for process in workers:
        process.join(60)
        equal(process.exitcode, 0)
""")


def test_a_server_that_loads_before_it_forks() -> None:
    # As gunicorn --preload: the connection is made in the master, cursors of it are used in the workers.
    script("""
master = duckdb_sam.connect(threads=1)
master.execute("CREATE TABLE t AS SELECT ?::BLOB AS image FROM range(10)", [DISC])
expected = area(master)

def worker():
    with master.cursor() as con:
        query = "SELECT DISTINCT sam_annotate('nano', image, [0.5, 0.5]).area FROM t"
        equal(con.execute(query).fetchall(), [(expected,)])

children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        try:
            worker()
            os._exit(0)
        finally:
            os._exit(1)
    children.append(child)
for child in children:
    ends(child)
worker()
""")


def test_without_threads_the_work_is_done_all_the_same() -> None:
    # A stack of this size cannot be had, so that no thread can be started.
    expected = script("print(fresh(PHOTO))")
    inline = script("print(fresh(PHOTO)); fork(fresh)", RUST_MIN_STACK=str(1 << 46))
    assert inline == expected
