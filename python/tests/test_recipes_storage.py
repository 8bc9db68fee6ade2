"""Object stores, batches and DuckLake as the recipes have them: with moto as the server of S3."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from conftest import PHOTOS
from pages import code
from recipes import Recipes, recipes  # noqa: F401

PAGE = "docs/recipes/storage.md"
NAMES = ["broken.jpg", "camera.jpg", "chelsea.jpg", "coffee.jpg", "coins.jpg"]
NEXT = "SET VARIABLE next"

SERVER = """
import pathlib, sys
import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
s3 = boto3.client("s3", endpoint_url=f"http://localhost:{port}", aws_access_key_id="key",
                  aws_secret_access_key="secret", region_name="us-east-1")
s3.create_bucket(Bucket="photos")
s3.create_bucket(Bucket="masks")
for path in map(pathlib.Path, sys.argv[1:]):
    s3.put_object(Bucket="photos", Key=path.name, Body=path.read_bytes())
print(port, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server(recipes: Recipes, tmp_path: Path) -> Iterator[int]:  # noqa: F811
    """A server with the bucket ``photos`` of five files, one of which is no image, and the bucket ``masks``."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    command = [recipes.python, "-c", SERVER, broken, *(PHOTOS / name for name in NAMES[1:])]
    with subprocess.Popen(
        list(map(os.fspath, command)),
        env=recipes.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = (line for line in process.stdout if line.strip().isdigit())
        yield int(next(lines))
        process.kill()


def test_storage(recipes: Recipes, server: int, con: duckdb.DuckDBPyConnection) -> None:  # noqa: F811
    sql = code(PAGE, "sql").replace("localhost:9000", f"localhost:{server}")
    shop, lake = sql.split("INSTALL ducklake")
    # The batch of the page, again and again: 5 files by 2.
    again = shop[shop.index(NEXT) :]
    states = "INSERT INTO batches SELECT count(*), count(seg) FROM masks;\n"
    failures = "CREATE TABLE failures AS SELECT function, message FROM sam_errors();\n"
    recipes.sql(
        shop
        + "CREATE TABLE batches (done BIGINT, masks BIGINT);\n"
        + states
        + (again + states) * 3
        + failures
        + "COPY (FROM 's3://masks/points.parquet') TO 'points.parquet';\nINSTALL ducklake"
        + lake
        + "CREATE TABLE snapshots AS FROM ducklake_snapshots('lake');\n"
        + "".join(f"CREATE TABLE version{n} AS FROM lake.masks AT (VERSION => {n});\n" for n in (1, 2, 3)),
        "storage.db",
    )
    own = {
        name: con.execute("SELECT sam_annotate('nano', ?, [0.5, 0.6])", [(PHOTOS / name).read_bytes()]).fetchone()[0]
        for name in os.listdir(PHOTOS)
        if name.endswith(".jpg")
    }
    in_shop = {f"s3://photos/{name}": own.get(name) for name in NAMES}
    points = con.execute(f"FROM '{recipes.folder / 'points.parquet'}'").fetchall()
    assert dict(points) == in_shop
    with duckdb.connect(str(recipes.folder / "storage.db"), read_only=True) as stored:
        assert stored.execute("FROM batches").fetchall() == [(2, 1), (4, 3), (5, 4), (5, 4)]
        assert dict(stored.execute("FROM masks").fetchall()) == in_shop
        failures = stored.execute("FROM failures").fetchall()
        assert {function for function, _ in failures} == {"sam_annotate"}
        assert all("not a picture that can be decoded: 8 bytes" in message for _, message in failures)
        versions = [dict(stored.execute(f"FROM version{n}").fetchall()) for n in (1, 2, 3)]
        assert len(stored.execute("FROM snapshots").fetchall()) == 5
    in_lake = {f"demo/photos/{name}": mask for name, mask in own.items()}
    assert versions[0] == {path: mask for path, mask in in_lake.items() if path.startswith("demo/photos/c")}
    assert len(versions[0]) == 4
    assert versions[1] == in_lake
    assert {path for path in in_lake if versions[2][path] != in_lake[path]} == {"demo/photos/coffee.jpg"}
    assert list((recipes.folder / "lake").rglob("*.parquet"))

    shown = recipes.run(code(PAGE, "python").replace("localhost:9000", f"localhost:{server}"))
    for name in NAMES:
        assert f"s3://photos/{name}" in shown
        assert f" {own[name]['area'] if name in own else 'NULL'} " in shown
