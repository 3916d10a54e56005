"""How the files of a run get in place."""

import json

import pytest

from keystroke_training.artefacts import MANIFEST, publish


def listing(*paths: str) -> bytes:
    return json.dumps({"files": {path: {} for path in paths}}).encode()


def test_files_of_the_earlier_run_go_and_foreign_files_stay(tmp_path):
    out = tmp_path / "models"
    publish(
        {
            "old.onnx": b"1",
            "figures/old.svg": b"2",
            MANIFEST: listing("old.onnx", "figures/old.svg"),
        },
        out,
    )
    (out / "notes.txt").write_text("mine")
    publish({"new.onnx": b"3", MANIFEST: listing("new.onnx")}, out)
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert files == {"new.onnx", "notes.txt", MANIFEST}


@pytest.mark.parametrize("manifest", [b"{", b"[]", b'{"files": 3}', b'{"files": {"../kept": {}}}'])
def test_an_odd_manifest_costs_no_file(tmp_path, manifest):
    out = tmp_path / "models"
    out.mkdir()
    (tmp_path / "kept").write_text("")
    (out / MANIFEST).write_bytes(manifest)
    publish({MANIFEST: listing()}, out)
    assert (tmp_path / "kept").exists()


def test_nothing_changes_when_writing_fails(tmp_path):
    out = tmp_path / "models"
    publish({"a": b"1", MANIFEST: listing("a")}, out)
    with pytest.raises(OSError, match="too long"):
        publish({"a": b"2", "x" * 300: b"3", MANIFEST: listing("a")}, out)
    assert (out / "a").read_bytes() == b"1"
    assert [path.name for path in tmp_path.iterdir()] == ["models"]
