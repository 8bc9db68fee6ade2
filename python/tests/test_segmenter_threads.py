"""A segmenter that is closed, or whose process forks, while other threads use it."""

from __future__ import annotations

import sys
import threading

import pytest

from conftest import PHOTOS, ROOT
from duckdb_sam import Segmenter
from processes import run

COFFEE = PHOTOS / "coffee.jpg"


def test_close_while_others_predict() -> None:
    segmenter = Segmenter()
    image = segmenter.embed(COFFEE, "f16")
    expected = segmenter.predict(image, [0.5, 0.6]).area
    found: list[int | BaseException] = []

    def work() -> None:
        for _ in range(15):
            try:
                found.append(segmenter.predict(image, [0.5, 0.6]).area)
            except BaseException as error:
                found.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        segmenter.close()
    assert found == [expected] * 60


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_fork_while_others_predict() -> None:
    # The children end as a process does; DuckDB would join threads then that they do not have.
    script = f"""
        import os, random, signal, sys, threading, time
        from duckdb_sam import Segmenter

        image = Segmenter().embed("{COFFEE}", "f16")
        photo = open("{ROOT}/test/data/disc.png", "rb").read()
        segmenter = Segmenter()
        expected = segmenter.predict(image, [0.5, 0.6]).area
        over = threading.Event()

        def work(number):
            while not over.is_set():
                assert segmenter.predict(image if number else photo, [0.5, 0.6]).area

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        for _ in range(5):
            time.sleep(random.random() / 20)
            child = os.fork()
            if child == 0:
                signal.alarm(50)
                assert segmenter.predict(image, [0.5, 0.6]).area == expected
                assert Segmenter().predict(image, [0.5, 0.6]).area == expected
                others = [threading.Thread(target=segmenter.predict, args=(photo, [0.5, 0.5])) for _ in range(3)]
                for other in others:
                    other.start()
                segmenter.close()
                for other in others:
                    other.join()
                sys.exit(0)
            assert os.waitpid(child, 0)[1] == 0
        over.set()
        for thread in threads:
            thread.join()
    """
    run(script)
