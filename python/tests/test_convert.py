"""Any weights as one safetensors file."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import duckdb
import pytest

import duckdb_sam

ROOT = Path(__file__).resolve().parents[2]
NANO = ROOT / "extension" / "model" / "assets" / "nano.safetensors"


def header(path: Path) -> dict[str, object]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length])


def without_metadata(path: Path) -> None:
    """Write nano's tensors as somebody else would, who says nothing about them."""
    data = NANO.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {name: value for name, value in header(NANO).items() if name != "__metadata__"}
    text = json.dumps(tensors).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def test_masks_stay_the_same(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = duckdb_sam.convert("nano", tmp_path / "copy.safetensors")
    query = "SELECT sam_annotate($1, content, [0.4, 0.5]) FROM read_blob($2)"
    photo = str(ROOT / "test" / "data" / "chelsea.jpg")
    assert con.execute(query, [str(path), photo]).fetchall() == con.execute(query, ["nano", photo]).fetchall()


def test_input_size_is_remembered(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    plain = tmp_path / "trained.safetensors"
    without_metadata(plain)
    written = duckdb_sam.convert(plain, tmp_path / "small.safetensors", dtype="f16", image_size=256)
    [(size, count)] = con.execute(
        "SELECT m.image_size, m.parameters FROM (SELECT sam_model_info($1) AS m)", [str(written)]
    ).fetchall()
    assert (size, count) == (256, con.execute("SELECT sam_model_info('nano').parameters").fetchone()[0])
    tensors = {name: value for name, value in header(written).items() if name != "__metadata__"}
    assert {value["dtype"] for value in tensors.values()} == {"F16"}
    assert "image_encoder.patch_embed.seq.0.c.weight" in tensors


def test_by_default_it_lies_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vit.pt").write_bytes((ROOT / "test" / "reference" / "vit_tiny" / "plain.pt").read_bytes())
    assert duckdb_sam.convert("vit.pt") == tmp_path / "vit.safetensors"
    with pytest.raises(ValueError, match=r"cannot write model file '.*vit.safetensors': it exists"):
        duckdb_sam.convert("vit.pt")
    duckdb_sam.convert("vit.pt", replace=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vit.pt", "vit.safetensors"]
    assert Path("vit.safetensors").stat().st_mode == Path("vit.pt").stat().st_mode


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a name, not a file: give path=, the file to write"):
        duckdb_sam.convert("nano")
    with pytest.raises(ValueError, match=r"unknown model 'it's\.pt'"):
        duckdb_sam.convert("it's.pt", tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="type 'int8' of weights is unknown"):
        duckdb_sam.convert("nano", tmp_path / "a.safetensors", dtype="int8")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="an image_size of 99 was asked for, but its weights are for 512"):
        duckdb_sam.convert("nano", tmp_path / "a.safetensors", image_size=99)
    assert list(tmp_path.iterdir()) == []
