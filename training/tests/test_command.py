"""Whole runs of the command on made-up data."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
from xgboost import XGBClassifier

from keystroke_training import training
from keystroke_training.__main__ import REPOSITORY, main
from keystroke_training.data import read_dataset
from keystroke_training.models import MODELS
from keystroke_training.parity import ParityError, compare
from keystroke_training.runtime import Exported, open_session
from tests.typings import header, made_up_csv

NAMES = [model.name for model in MODELS]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write(folder: Path, text: str) -> Path:
    path = folder / "data.csv"
    path.write_text(text, "utf-8")
    return path


def read_strictly(path: Path) -> dict:
    """JSON as the service reads it: without NaN and Infinity."""

    def refuse(constant):
        raise ValueError(constant)

    return json.loads(path.read_text("utf-8"), parse_constant=refuse)


@pytest.fixture
def small(quick, tmp_path):  # noqa: ARG001 (makes the run quick)
    """The folder of a quick run of one model, and its data file."""
    data = write(tmp_path, made_up_csv(repetitions=[3, 2, 4], keys=4))
    assert main([str(data), "--out", str(tmp_path / "models"), "--models", "rf,xgb"]) == 0
    return tmp_path / "models", data


@pytest.mark.usefixtures("quick")
def test_two_runs_give_the_same_bytes(tmp_path):
    data = write(tmp_path, made_up_csv(repetitions=[3, 2, 4], keys=4))
    for folder in ("once", "again"):
        assert main([str(data), "--out", str(tmp_path / folder)]) == 0
    assert contents(tmp_path / "once") == contents(tmp_path / "again")


def test_the_manifest_describes_every_file(run):
    models, data = run
    files = contents(models)
    manifest = read_strictly(models / "manifest.json")
    del files["manifest.json"]
    assert manifest["files"] == {
        path: {"bytes": len(content), "sha256": sha256(content).hexdigest()}
        for path, content in files.items()
    }
    assert {path for path in files if not path.startswith("figures/")} == {
        *(f"{name}.onnx" for name in NAMES if name != "best"),
        *("golden.json", "README.md"),
    }
    assert manifest["format"] == 2
    assert manifest["keys"] == 5
    assert manifest["classes"] == ["007", "ann", "zoë"]
    assert manifest["data"] == {
        "sha256": sha256(data.read_bytes()).hexdigest(),
        "rows": 18,
        "users": 3,
        "repetitions": {"min": 5, "max": 7},
    }


def test_the_manifest_declares_what_the_sessions_have(run):
    models, _ = run
    manifest = read_strictly(models / "manifest.json")
    assert [entry["name"] for entry in manifest["models"]] == NAMES
    for entry in manifest["models"]:
        assert len(entry["version"]) == 12
        assert set(entry["check"]) == {"row", "user", "score"}
        if entry["name"] == "best":
            assert [member["model"] for member in entry["members"]] == ["templates", "trees"]
            continue
        session = open_session((models / entry["file"]).read_bytes())
        declared = [entry["input"], *entry["outputs"]]
        tensors = [*session.get_inputs(), *session.get_outputs()]
        for value, tensor in zip(declared, tensors, strict=True):
            kind = {"float32": "tensor(float)", "string": "tensor(string)"}[value["type"]]
            shape = ["batch" if size == -1 else size for size in value["shape"]]
            assert (value["name"], kind, shape) == (tensor.name, tensor.type, tensor.shape)


def test_the_files_answer_the_check_row_as_the_manifest_says(run):
    models, _ = run
    manifest = read_strictly(models / "manifest.json")
    entries = {entry["name"]: entry for entry in manifest["models"]}
    for entry in entries.values():
        members = entry.get("members", [{"model": entry["name"], "weight": 1.0}])
        files = [(models / entries[m["model"]]["file"]).read_bytes() for m in members]
        exported = Exported(files, [m["weight"] for m in members] if len(members) > 1 else None)
        row = np.array([entry["check"]["row"]], np.float32)
        labels, scores = exported.answer(row)
        user = manifest["classes"].index(entry["check"]["user"])
        assert labels[0] in (user, entry["check"]["user"])
        assert scores[0, user] == pytest.approx(entry["check"]["score"], rel=1e-5, abs=1e-5)


def test_models_of_raw_timings_publish_points_for_every_number_of_attempts(run):
    manifest = read_strictly(run[0] / "manifest.json")
    for entry in manifest["models"]:
        if entry["features"] == "summary":
            assert "decision" not in entry
            continue
        identification, verification = (
            entry["decision"][kind]["points"] for kind in ("identification", "verification")
        )
        # Three users are too few for strict rates; what holds by default is there all the same.
        for points, name, rates, default in (
            (identification, "fpir", [0.01, 0.05, 0.1], 0.05),
            (verification, "fmr", [0.001, 0.01, 0.05], 0.01),
        ):
            told = {(point["attempts"], point[name]) for point in points}
            assert len(told) == len(points)
            assert told >= {(attempts, default) for attempts in (1, 2, 3, 4)}
            assert {rate for _, rate in told} <= set(rates)
            for attempts in (1, 2, 3, 4):
                own = [p["threshold"] for p in points if p["attempts"] == attempts]
                assert own == sorted(own, reverse=True), "stricter rates, higher thresholds"


def test_the_files_use_standard_operators_only_and_no_external_data(run):
    files = [*run[0].glob("*.onnx")]
    assert len(files) == 6
    for path in files:
        model = onnx.load(path, load_external_data=False)
        assert {opset.domain for opset in model.opset_import} == {"", "ai.onnx.ml"}
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx.ml"}
        assert not model.functions
        assert not any(tensor.external_data for tensor in model.graph.initializer)
        onnx.checker.check_model(model, full_check=True)


def test_the_card_and_figures_say_no_path_and_no_date(run):
    models, _ = run
    for path, content in contents(models).items():
        assert str(models.parent).encode() not in content, path
        assert str(REPOSITORY).encode() not in content, path
        if path.endswith(".svg"):
            assert b"<dc:date>" not in content


def test_the_card_says_what_was_trained_on(run):
    card = (run[0] / "README.md").read_text("utf-8")
    manifest = read_strictly(run[0] / "manifest.json")
    for entry in manifest["models"]:
        assert entry["title"] in card
    assert "GitHub" not in card, "provenance of data that this is not"


def test_every_row_is_known_again_by_best(run):
    models, data = run
    dataset = read_dataset(data)
    golden = read_strictly(models / "golden.json")
    assert golden["training"]["labels"]["best"] == [dataset.classes[t] for t in dataset.targets]


LEAST = ["a,0,50,100,150", "a,0,51,101,151", "b,0,80,200,290", "b,0,82,205,295"]
TWO_KEYS = ",".join(header(2))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "text",
    [
        "\n".join([TWO_KEYS, *LEAST]),
        made_up_csv(users=["1", "2"], repetitions=[2, 2], keys=3),
        made_up_csv(repetitions=[2, 2, 2], keys=3),
        made_up_csv(users=["ann", "007", "é"], repetitions=[3, 2, 6], keys=4),
        made_up_csv(users=["a", "b", "c", "d", "e"], repetitions=[8, 2, 4, 3, 8], keys=2),
        "\n".join([TWO_KEYS, *[f"{user},0,50,100,150" for user in "aabb"]]),
        "\n".join([",".join(header(3)), *[f"{u},0,50,100,150,230,300" for u in "aabbbccccc"]]),
    ],
    ids=[
        *("two keys", "two users", "three users", "unequal counts", "unequal counts of two keys"),
        *("all the same", "all the same, unequal counts"),
    ],
)
def test_the_least_data_there_may_be_is_trained_on(tmp_path, text):
    data = write(tmp_path, text)
    assert main([str(data), "--out", str(tmp_path / "models")]) == 0
    manifest = read_strictly(tmp_path / "models" / "manifest.json")
    assert [entry["name"] for entry in manifest["models"]] == NAMES
    golden = read_strictly(tmp_path / "models" / "golden.json")
    assert min(len(golden[rows]) for rows in ("rows", "timingRows", "decisions")) > 0


@pytest.mark.usefixtures("quick")
def test_users_with_sessions_are_trained_on(tmp_path):
    data = tmp_path / "data.csv"
    sizes = ["--users", "10", "--repetitions", "4", "--keys", "3", "--sessions", "3"]
    assert main(["synthesise", str(data), *sizes]) == 0
    assert main([str(data), "--out", str(tmp_path / "models"), "--models", "templates"]) == 0
    (entry,) = read_strictly(tmp_path / "models" / "manifest.json")["models"]
    assert entry["evaluation"]["protocol"] == "leave one session out"
    assert entry["evaluation"]["folds"] == 3
    assert entry["evaluation"]["n"] == 120
    # Three users in ten splits and four ways, three typings of other sessions each.
    assert entry["evaluation"]["enrolment"]["attempts"][0]["genuine"] == 360


@pytest.mark.usefixtures("quick")
def test_what_users_enrol_by_is_pinned_and_the_same_every_time(tmp_path):
    users = [str(number) for number in range(10)]
    data = write(tmp_path, made_up_csv(users=users, repetitions=[5] * 10, keys=3))
    for folder in ("once", "again"):
        assert main([str(data), "--out", str(tmp_path / folder), "--models", "templates"]) == 0
    assert contents(tmp_path / "once") == contents(tmp_path / "again")
    manifest = read_strictly(tmp_path / "once" / "manifest.json")
    enrolment = read_strictly(tmp_path / "once" / "enrolment.json")
    assert manifest["enrolment"] == {
        "file": "enrolment.json",
        "graph": "gallery.onnx",
        "version": enrolment["version"],
    }
    assert {"enrolment.json", "gallery.onnx"} < manifest["files"].keys()
    card = (tmp_path / "once" / "README.md").read_text("utf-8")
    assert "## Users who enrol later" in card


def test_too_few_users_to_measure_it_have_nothing_to_enrol_by(run):
    models, _ = run
    assert "enrolment" not in read_strictly(models / "manifest.json")
    assert not (models / "enrolment.json").exists()


@pytest.mark.usefixtures("quick")
def test_models_that_one_is_made_of_come_with_it(tmp_path):
    data = write(tmp_path, made_up_csv(repetitions=[2, 2, 3], keys=2))
    out = tmp_path / "models"
    assert main([str(data), "--out", str(out), "--models", "best,rf", "--folds", "2"]) == 0
    entries = read_strictly(out / "manifest.json")["models"]
    assert [entry["name"] for entry in entries] == ["rf", "templates", "trees", "best"]
    assert [entry["evaluation"]["folds"] for entry in entries] == [2] * 4


def test_the_seed_is_in_the_manifest_and_in_the_forest(small, tmp_path):
    models, data = small
    out = tmp_path / "seeded"
    assert main(["train", str(data), "--out", str(out), "--models", "rf", "--seed", "7"]) == 0
    assert read_strictly(out / "manifest.json")["seed"] == 7
    assert (out / "rf.onnx").read_bytes() != (models / "rf.onnx").read_bytes()
    assert read_strictly(models / "manifest.json")["seed"] == 42


def test_refused_data_is_explained_and_changes_nothing(small, tmp_path, capsys):
    models, data = small
    before = contents(models)
    bad = tmp_path / "bad.csv"
    bad.write_text(data.read_text("utf-8") + "1,x,1,2,3,4,5,6,7\n", "utf-8")
    assert main([str(bad), "--out", str(models)]) == 2
    expected = f"{bad}: line 11 (row 10), column press-0: 'x' is not a number\n"
    assert capsys.readouterr().err == expected
    assert contents(models) == before
    assert {path.name for path in tmp_path.iterdir()} == {"data.csv", "bad.csv", "models"}


def test_twenty_problems_are_told_and_the_others_counted(tmp_path, capsys):
    bad = tmp_path / "bad.csv"
    bad.write_text("user,press-0,release-0,press-1,release-1\n" + "1,x,1,2,3\n" * 23, "utf-8")
    assert main([str(bad), "--out", str(tmp_path / "models")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == f"{bad}: and 3 more problems"
    assert not (tmp_path / "models").exists()


def test_more_folds_than_typings_are_refused_before_the_work(small, tmp_path, capsys):
    _, data = small
    capsys.readouterr()
    assert main([str(data), "--out", str(tmp_path / "others"), "--folds", "5"]) == 2
    out, err = capsys.readouterr()
    assert (out, "5 folds asked for" in err) == ("", True)


def test_an_export_that_differs_from_its_source_changes_nothing(small, monkeypatch, capsys):
    models, data = small
    before = contents(models)

    def differ(*_):
        raise ParityError("the exported model does not answer as its source")

    monkeypatch.setattr(training, "compare", differ)
    assert main([str(data), "--out", str(models)]) == 1
    assert "does not answer as its source" in capsys.readouterr().err
    assert contents(models) == before


@pytest.mark.parametrize(("labels_only", "status"), [(True, 0), (False, 1)])
def test_boosted_trees_whose_labels_alone_hang_on_rounding_are_exported_as_their_operator(
    small, tmp_path, monkeypatch, labels_only, status
):
    def differ(model, estimator, *rest):
        if isinstance(estimator, XGBClassifier) and b"TreeEnsembleRegressor" not in model:
            raise ParityError("a label hangs on rounding", labels_only=labels_only)
        return compare(model, estimator, *rest)

    monkeypatch.setattr(training, "compare", differ)
    models = tmp_path / "others"
    assert main([str(small[1]), "--out", str(models), "--models", "xgb"]) == status
    if labels_only:
        assert b"TreeEnsembleRegressor" in (models / "xgb.onnx").read_bytes()


def test_a_place_that_cannot_be_written_to_is_named_before_the_work(run, tmp_path, capsys):
    occupied = tmp_path / "models"
    occupied.write_text("a file")
    assert main([str(run[1]), "--out", str(occupied)]) == 2
    assert capsys.readouterr() == ("", f"{occupied}: File exists\n")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--seed", "-1"], "argument --seed"),
        (["--seed", str(2**32)], "argument --seed"),
        (["--folds", "few"], "argument --folds"),
        (["--models", "rf,knn"], "no model 'knn'; there are svm, rf, xgb"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(run, capsys, options, told):
    with pytest.raises(SystemExit, match="2"):
        main([str(run[1]), *options])
    assert told in capsys.readouterr().err


def test_a_disk_that_fills_up_leaves_the_folder_as_it_was(small, monkeypatch, capsys):
    models, data = small
    before = contents(models)
    write_bytes = Path.write_bytes

    def full(path, content):
        if path.name == "rf.onnx":
            raise OSError(28, "No space left on device", str(path))
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main([str(data), "--out", str(models), "--models", "rf"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert contents(models) == before


def test_typings_are_made_up_with_the_options_given(tmp_path, capsys):
    data = tmp_path / "data.csv"
    sizes = ["--users", "3", "--repetitions", "4", "--keys", "5", "--sessions", "2"]
    assert main(["synthesise", str(data), *sizes, "--layout", "cmu", "--seed", "9"]) == 0
    assert capsys.readouterr().out == f"wrote {data}\n"
    dataset = read_dataset(data)
    assert dataset.press.shape == (3 * 4 * 2, 5)
    assert dataset.has_sessions
    assert data.read_text("utf-8").startswith("subject,sessionIndex,rep,")
    first = data.read_bytes()
    other = tmp_path / "other.csv"
    assert main(["synthesise", str(other), *sizes, "--layout", "cmu", "--seed", "10"]) == 0
    assert other.read_bytes() != first


def test_typings_are_not_made_up_over_a_file_that_is_there(tmp_path, capsys):
    data = tmp_path / "mine.csv"
    data.write_text("real ones", "utf-8")
    assert main(["synthesise", str(data)]) == 2
    assert capsys.readouterr().err == f"{data}: File exists\n"
    assert data.read_text("utf-8") == "real ones"


def test_too_little_to_be_trained_on_is_not_made_up(tmp_path, capsys):
    data = tmp_path / "data.csv"
    assert main(["synthesise", str(data), "--users", "1"]) == 2
    assert capsys.readouterr().err == f"{data}: 1 users, at least 2 are needed\n"
    assert not data.exists()
    with pytest.raises(SystemExit, match="2"):
        main(["synthesise", str(data), "--users", "0"])


def test_a_benchmark_is_printed(tmp_path, capsys):
    data = write(tmp_path, made_up_csv(users=list("abcd"), repetitions=[6] * 4, keys=4))
    assert main(["benchmark", str(data)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("4 users, the first 3 typings of each for training")
    assert "scaled Manhattan (2009)" in out


def test_a_benchmark_of_too_little_data_says_what_is_missing(tmp_path, capsys):
    data = write(tmp_path, made_up_csv(repetitions=[6, 6, 3]))
    assert main(["benchmark", str(data)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"{data}: 3 users, the benchmark needs 4",
        f"{data}: 3 typings by 3, the benchmark needs 4",
    ]


def test_it_is_a_command(tmp_path):
    data = tmp_path / "data.csv"
    command = [sys.executable, "-m", "keystroke_training", "synthesise", str(data)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "training")}
    subprocess.run(command, env=environment, cwd=tmp_path, timeout=60, check=True)  # noqa: S603 (our own code)
    assert data.exists()
