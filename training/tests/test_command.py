"""Whole runs of the command on made-up data."""

import json
from hashlib import sha256
from pathlib import Path

import onnx
import pytest
from xgboost import XGBClassifier

from keystroke_training import training
from keystroke_training.__main__ import main
from keystroke_training.features import FEATURE_ORDER
from keystroke_training.parity import ParityError, compare
from keystroke_training.runtime import open_session
from tests.typings import made_up_csv

USERS = {"users": ["ann", "007", "é"], "repetitions": [3, 2, 4], "keys": 4}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of one finished run, and its data file."""
    folder = tmp_path_factory.mktemp("run")
    data = folder / "data.csv"
    data.write_text(made_up_csv(**USERS), "utf-8")
    assert main([str(data), "--out", str(folder / "models")]) == 0
    return folder / "models", data


def test_two_runs_give_the_same_bytes(run, tmp_path):
    models, data = run
    assert main([str(data), "--out", str(tmp_path / "again")]) == 0
    assert contents(tmp_path / "again") == contents(models)


def test_the_manifest_describes_every_file(run):
    models, data = run
    files = contents(models)
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["files"] == {
        path: {"bytes": len(content), "sha256": sha256(content).hexdigest()}
        for path, content in files.items()
    }
    assert set(files) == {
        *("svm.onnx", "rf.onnx", "xgb.onnx", "golden.json", "README.md"),
        *("figures/cmc.svg", "figures/confusion.svg"),
    }
    assert manifest["format"] == 1
    assert manifest["keys"] == 4
    assert manifest["classes"] == ["007", "ann", "é"]
    assert manifest["features"]["order"] == list(FEATURE_ORDER)
    assert manifest["data"] == {
        "sha256": sha256(data.read_bytes()).hexdigest(),
        "rows": 9,
        "users": 3,
        "repetitions": {"min": 2, "max": 4},
    }


def test_the_manifest_declares_what_the_sessions_have(run):
    models, _ = run
    manifest = json.loads((models / "manifest.json").read_text("utf-8"))
    assert [entry["name"] for entry in manifest["models"]] == ["svm", "rf", "xgb"]
    for entry in manifest["models"]:
        content = (models / entry["file"]).read_bytes()
        assert sha256(content).hexdigest().startswith(entry["version"])
        assert len(entry["version"]) == 12
        assert set(entry["check"]) == {"row", "user", "score"}
        session = open_session(content)
        declared = [entry["input"], *entry["outputs"]]
        tensors = [*session.get_inputs(), *session.get_outputs()]
        for value, tensor in zip(declared, tensors, strict=True):
            kind = {"float32": "tensor(float)", "string": "tensor(string)"}[value["type"]]
            shape = ["batch" if size == -1 else size for size in value["shape"]]
            assert (value["name"], kind, shape) == (tensor.name, tensor.type, tensor.shape)


def test_the_files_use_standard_operators_only_and_no_external_data(run):
    for path in run[0].glob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        assert {opset.domain for opset in model.opset_import} == {"", "ai.onnx.ml"}
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx.ml"}
        assert not model.functions
        assert not any(tensor.external_data for tensor in model.graph.initializer)
        onnx.checker.check_model(model, full_check=True)


def test_the_card_and_figures_say_no_path_and_no_date(run):
    models, data = run
    for path, content in contents(models).items():
        assert str(data.parent).encode() not in content, path
    assert b"<dc:date>" not in (models / "figures" / "cmc.svg").read_bytes()


def test_the_card_says_how_the_models_fare(run):
    manifest = json.loads((run[0] / "manifest.json").read_text("utf-8"))
    card = (run[0] / "README.md").read_text("utf-8")
    for entry in manifest["models"]:
        figures = entry["evaluation"]
        assert f"{figures['rank1']:.1%} | {figures['rank1Interval'][0]:.1%} to" in card
        assert entry["scores"] in card
        assert entry["ties"] in card
    assert "3 users, 2 to 4 each" in card
    assert "GitHub" not in card, "provenance of data that this is not"


def test_refused_data_is_explained_and_changes_nothing(run, tmp_path, capsys):
    models, data = run
    before = contents(models)
    bad = tmp_path / "bad.csv"
    bad.write_text(data.read_text("utf-8") + "ann,x,1,2,3,4,5,6,7\n", "utf-8")
    assert main([str(bad), "--out", str(models)]) == 2
    assert (
        capsys.readouterr().err == f"{bad}: line 11 (row 10), column press-0: 'x' is not a number\n"
    )
    assert contents(models) == before
    assert {path.name for path in models.parent.iterdir()} == {"data.csv", "models"}


def test_twenty_problems_are_told_and_the_others_counted(tmp_path, capsys):
    bad = tmp_path / "bad.csv"
    bad.write_text("user,press-0,release-0,press-1,release-1\n" + "1,x,1,2,3\n" * 23, "utf-8")
    assert main([str(bad), "--out", str(tmp_path / "models")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == f"{bad}: and 3 more problems"
    assert not (tmp_path / "models").exists()


def test_an_export_that_differs_from_its_source_changes_nothing(run, monkeypatch, capsys):
    models, data = run
    before = contents(models)

    def differ(*_):
        raise ParityError("the exported model does not answer as its source")

    monkeypatch.setattr(training, "compare", differ)
    assert main([str(data), "--out", str(models)]) == 1
    assert "does not answer as its source" in capsys.readouterr().err
    assert contents(models) == before


@pytest.mark.parametrize(("labels_only", "status"), [(True, 0), (False, 1)])
def test_boosted_trees_whose_labels_alone_hang_on_rounding_are_exported_as_their_operator(
    run, tmp_path, monkeypatch, labels_only, status
):
    def differ(model, estimator, *rest):
        if isinstance(estimator, XGBClassifier) and b"TreeEnsembleRegressor" not in model:
            raise ParityError("a label hangs on rounding", labels_only=labels_only)
        return compare(model, estimator, *rest)

    monkeypatch.setattr(training, "compare", differ)
    models = tmp_path / "models"
    assert main([str(run[1]), "--out", str(models)]) == status
    if labels_only:
        assert b"TreeEnsembleRegressor" in (models / "xgb.onnx").read_bytes()


def test_the_least_data_there_may_be_is_trained_on(tmp_path):
    data = tmp_path / "data.csv"
    rows = ["a,0,50,100,150", "a,0,51,101,151", "b,0,80,200,290", "b,0,82,205,295"]
    data.write_text("\n".join(["user,press-0,release-0,press-1,release-1", *rows]), "utf-8")
    assert main([str(data), "--out", str(tmp_path / "models")]) == 0


def test_a_place_that_cannot_be_written_to_is_named_before_the_work(run, tmp_path, capsys):
    occupied = tmp_path / "models"
    occupied.write_text("a file")
    assert main([str(run[1]), "--out", str(occupied)]) == 2
    assert capsys.readouterr() == ("", f"{occupied}: File exists\n")


def test_a_seed_that_no_library_takes_is_refused(run, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([str(run[1]), "--seed", "-1"])
    assert "argument --seed" in capsys.readouterr().err


def test_progress_is_plain_lines_where_there_is_no_terminal(run, tmp_path, capsys):
    assert main([str(run[1]), "--out", str(tmp_path / "models")]) == 0
    assert "(12 of 12)" in capsys.readouterr().out


def test_a_disk_that_fills_up_leaves_the_folder_as_it_was(run, monkeypatch, capsys):
    models, data = run
    before = contents(models)
    write = Path.write_bytes

    def full(path, content):
        if path.name == "rf.onnx":
            raise OSError(28, "No space left on device", str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main([str(data), "--out", str(models)]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert contents(models) == before
