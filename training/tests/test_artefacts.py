"""What the manifest says of a run, and how its files get in place."""

import json
import re
from hashlib import sha256
from importlib.metadata import version

import numpy as np
import pytest

from keystroke_training.artefacts import MANIFEST, manifest_json, model_entry, publish
from keystroke_training.assessment import Assessment
from keystroke_training.features import FEATURE_ORDER, timing_names
from keystroke_training.models import MODELS
from keystroke_training.parity import Parity

MODEL = {model.name: model for model in MODELS}
NOTHING = np.zeros(0)


class Fitted:
    """Stands for fitted templates, or what is made of them; a library's says its parameters."""

    def __init__(self, weights):
        self.weights = weights

    def get_params(self):
        return dict.fromkeys(("C", "kernel", "gamma", "tol"))


def entry(dataset, name="templates", **changes):
    """The entry of a model; `changes` say what is other than usual."""
    assessment = Assessment(
        changes.get("evaluation", {"membershipAuc": 0.5}),
        changes.get("decision", {"correlation": 0.25}),
        *[NOTHING] * 3,
    )
    return model_entry(
        MODEL[name],
        Fitted(changes.get("weights", np.ones(3))),
        dataset,
        changes.get("content", b"file"),
        changes.get("members", []),
        assessment,
        Parity(*range(10)),
        {"row": [1.0], "user": 1, "score": 2.0},
    )


@pytest.fixture
def dataset(make_dataset):
    return make_dataset(keys=4)


def test_a_version_is_of_the_file_and_the_decision(dataset):
    usual = entry(dataset)
    assert re.fullmatch("[0-9a-f]{12}", usual["version"])
    assert entry(dataset)["version"] == usual["version"]
    other_decision = {"decision": {"correlation": 0.26}}
    for change in (other_decision, {"content": b"another file"}, {"decision": None}):
        assert entry(dataset, **change)["version"] != usual["version"]
    measured = {"evaluation": {"membershipAuc": 0.6}}
    assert entry(dataset, **measured)["version"] == usual["version"]


def test_the_version_of_what_is_made_of_others_is_of_theirs_weights_and_decision(dataset):
    members = [{"name": "templates", "version": "a"}, {"name": "trees", "version": "b"}]

    def best(**changes):
        usual = {"content": None, "members": members, "weights": np.array([0.75, 0.5])}
        return entry(dataset, "best", **{**usual, **changes})

    usual = best()
    assert usual["members"] == [
        {"model": "templates", "weight": 0.75},
        {"model": "trees", "weight": 0.5},
    ]
    assert not {"file", "input", "outputs"} & set(usual)
    assert best()["version"] == usual["version"]
    renewed = [members[0], {"name": "trees", "version": "c"}]
    for change in (
        {"members": renewed},
        {"weights": np.array([0.75, 0.25])},
        {"decision": {"correlation": 0.26}},
    ):
        assert best(**change)["version"] != usual["version"]


def test_an_entry_declares_the_tensors_of_its_kind(dataset):
    raw, summary = entry(dataset), entry(dataset, "svm", decision=None)
    assert raw["features"] == "timings"
    assert raw["input"] == {"name": "input", "type": "float32", "shape": [-1, 22]}
    assert summary["input"]["shape"] == [-1, 8]
    assert raw["outputs"] == [
        {"name": "label", "type": "int64", "shape": [-1]},
        {"name": "scores", "type": "float32", "shape": [-1, 3]},
    ]
    assert raw["decision"] == {"correlation": 0.25}
    assert "decision" not in summary


def test_scores_that_tell_who_was_trained_on_are_hidden_by_default(dataset):
    assert entry(dataset, evaluation={"membershipAuc": 0.95})["hideScores"] is True
    assert entry(dataset)["hideScores"] is False


def test_the_manifest_says_what_was_trained_on_and_with(dataset):
    files = {"b.onnx": b"12", "a.svg": b"345"}
    manifest = json.loads(manifest_json(dataset, 7, [{"name": "x"}], files))
    assert (manifest["format"], manifest["keys"], manifest["seed"]) == (2, 4, 7)
    assert manifest["classes"] == [1, 2, 3]
    assert manifest["features"] == {
        "unit": "ms",
        "std": "population",
        "summary": list(FEATURE_ORDER),
        "timings": timing_names(4),
    }
    hold, press = dataset.release - dataset.press, dataset.press
    assert manifest["ranges"] == {
        "HT": [hold.min(), hold.max()],
        "PPT": [np.diff(press).min(), np.diff(press).max()],
        "RRT": [np.diff(dataset.release).min(), np.diff(dataset.release).max()],
        "RPT": [
            (press[:, 1:] - dataset.release[:, :-1]).min(),
            (press[:, 1:] - dataset.release[:, :-1]).max(),
        ],
    }
    assert manifest["data"]["repetitions"] == {"min": 6, "max": 6}
    assert manifest["trainedWith"]["xgboost"] == version("xgboost-cpu")
    assert manifest["models"] == [{"name": "x"}]
    assert list(manifest["files"]) == ["a.svg", "b.onnx"]
    assert manifest["files"]["b.onnx"] == {"bytes": 2, "sha256": sha256(b"12").hexdigest()}


def test_plain_arrays_of_the_manifest_are_on_a_line_each(dataset):
    text = manifest_json(dataset, 7, [{"points": [{"fmr": 0.1}, {"fmr": 0.2}]}], {})
    assert '"classes": [1, 2, 3],' in text
    assert text.count('"fmr"') == 2


def test_a_number_that_json_cannot_hold_is_refused(dataset):
    with pytest.raises(ValueError, match="JSON"):
        manifest_json(dataset, 7, [{"threshold": -np.inf}], {})


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
