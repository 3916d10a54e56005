"""The models in the repository, against models freshly trained on the real data.

Their measured figures are taken as they are: to measure again takes many times as long.
"""

import json
import time

import numpy as np
import pytest

from keystroke_training.__main__ import OVER_THE_API, REPOSITORY
from keystroke_training.artefacts import MANIFEST, manifest_json, model_entry
from keystroke_training.assessment import Assessment
from keystroke_training.card import measured_over_the_api
from keystroke_training.enrolment import Findings, enrolment_json
from keystroke_training.export.gallery import export_gallery
from keystroke_training.general import General, fit_general
from keystroke_training.golden import check_row, golden_json, known_answers
from keystroke_training.models import MODELS, fit_models, predict
from keystroke_training.runtime import Exported, answer, open_session
from keystroke_training.training import _proved
from tests.conftest import TYPISTS
from tests.test_command import contents

FOLDER = REPOSITORY / "models"
MAX_BYTES = {
    "svm": 700_000,
    "rf": 3_500_000,
    "xgb": 1_000_000,
    "summary": 300_000,
    "templates": 300_000,
    "trees": 8_500_000,
}
SAMPLE = [48.43, 23.34, 120.43, 37.41, 124.43, 45.34, 132.56, 47.12]


@pytest.fixture(scope="module")
def manifest():
    return json.loads((FOLDER / MANIFEST).read_text("utf-8"))


@pytest.fixture(scope="module")
def fitted(real_dataset, manifest):
    return fit_models(
        MODELS, real_dataset.features, real_dataset.targets, manifest["seed"], manifest["keys"]
    )


@pytest.fixture(scope="module")
def proved(real_dataset, manifest, fitted):
    """Freshly exported files by name of the model (`best` has none), and their comparisons."""
    files, parities = {}, {}
    for model in MODELS:
        content, parity = _proved(model, fitted, files, real_dataset, manifest["seed"])
        parities[model.name] = parity
        if content is not None:
            files[model.name] = content
    return files, parities


def committed(name):
    return (FOLDER / f"{name}.onnx").read_bytes()


def test_all_models_are_there(manifest):
    assert manifest["format"] == 2
    assert [entry["name"] for entry in manifest["models"]] == [model.name for model in MODELS]
    # What compares users of one's own is no model: it is tested with enrolment.json below.
    assert {path.stem for path in FOLDER.glob("*.onnx")} == {*MAX_BYTES, "gallery"}


@pytest.mark.parametrize("name", MAX_BYTES)
def test_a_model_is_small_and_opens_fast(name, record_property):
    content = committed(name)
    assert len(content) <= MAX_BYTES[name]
    start = time.perf_counter()
    open_session(content)
    record_property("open_ms", 1000 * (time.perf_counter() - start))


@pytest.mark.parametrize("name", ["svm", "rf", "xgb"])
def test_the_sample_request_is_user_84(name, real_dataset, fitted):
    sample = np.array([SAMPLE], np.float32)
    labels, _ = answer(open_session(committed(name)), sample)
    assert labels.tolist() == [84]
    assert real_dataset.classes[predict(fitted[name], np.array([SAMPLE]))[0]] == 84


@pytest.mark.parametrize("name", MAX_BYTES)
def test_a_model_is_what_training_gives(name, proved):
    assert proved[0][name] == committed(name)


@pytest.mark.parametrize("name", [model.name for model in MODELS])
def test_a_model_answers_as_its_source_on_all_rows(name, proved):
    parity = proved[1][name]
    assert parity.data_rows == 880
    assert parity.perturbed_rows == 20_000
    assert parity.label_differences == parity.score_differences == 0
    assert parity.unnarrowed_label_differences == 0
    if name in ("svm", "rf", "xgb"):
        assert parity.borderline_label_differences == parity.borderline_score_differences == 0


def test_the_golden_answers_and_the_manifest_are_what_training_gives(
    real_dataset, manifest, fitted, proved
):
    files, parities = proved
    entries = {entry["name"]: entry for entry in manifest["models"]}
    decisions = {name: entry["decision"] for name, entry in entries.items() if "decision" in entry}
    answers = known_answers(real_dataset, list(MODELS), fitted, decisions, manifest["seed"])
    assert golden_json(answers).encode() == (FOLDER / "golden.json").read_bytes()
    fresh = {}
    for model in MODELS:
        known = entries[model.name]
        nothing = [np.zeros(0)] * 3
        fresh[model.name] = model_entry(
            model,
            fitted[model.name],
            real_dataset,
            files.get(model.name),
            [fresh[member] for member in model.members],
            Assessment(known["evaluation"], known.get("decision"), *nothing),
            parities[model.name],
            check_row(answers, model, real_dataset.classes),
        )
    listed = {path: (FOLDER / path).read_bytes() for path in manifest["files"]}
    text = manifest_json(real_dataset, manifest["seed"], [*fresh.values()], listed)
    assert with_its_python(json.loads(text), manifest) == manifest


def test_what_users_enrol_by_is_what_training_gives(real_dataset, manifest, fitted):
    content = (FOLDER / "enrolment.json").read_bytes()
    known = json.loads(content)
    measured = {name: known[name] for name in ("decision", "measured", "members", "identification")}
    expected = General.__dataclass_fields__
    general = {name: part for name, part in known["general"].items() if name not in expected}
    found = Findings(evaluation={}, general=general, **measured)
    fresh = fit_general(real_dataset.press, real_dataset.release, real_dataset.targets)
    templates, seed = fitted["templates"], manifest["seed"]
    assert enrolment_json(templates, fresh, found, real_dataset, seed) == content
    assert manifest["enrolment"] == {
        "file": "enrolment.json",
        "graph": "gallery.onnx",
        "version": known["version"],
    }
    assert (FOLDER / "gallery.onnx").read_bytes() == export_gallery()
    assert len(content) < 300_000


def test_users_who_enrol_are_recognised_as_well_as_was_asked_for():
    known = json.loads((FOLDER / "enrolment.json").read_text("utf-8"))
    rates = {(of["samples"], of["attempts"]): of for of in known["measured"]}
    assert rates[5, 1]["eer"] <= 0.04
    assert rates[5, 2]["eer"] <= 0.03
    assert rates[5, 1]["rank1"] >= 0.9
    for members in known["members"]:
        others = rates[members["samples"], 1]
        assert members["fnmr"] <= others["fnmrInterval"][1]
    for of in known["general"]["measured"]:
        for point in of["points"]:
            if point["fmr"] >= 0.01 and of["attempts"] == 1:
                assert point["realisedFmr"] <= 1.5 * point["fmr"]


def test_no_row_of_the_data_is_in_what_users_enrol_by(real_dataset):
    known = json.loads((FOLDER / "enrolment.json").read_text("utf-8"))
    rows = {row.tobytes() for row in real_dataset.features["timings"].astype(np.float32)}
    made = np.float32([*known["check"]["rows"], known["check"]["row"]])
    assert not any(row.tobytes() in rows for row in made)


def test_best_knows_the_rows_it_was_trained_on(real_dataset, manifest):
    (best,) = [entry for entry in manifest["models"] if entry["name"] == "best"]
    weights = [member["weight"] for member in best["members"]]
    exported = Exported([committed(member["model"]) for member in best["members"]], weights)
    rows = real_dataset.features["timings"].astype(np.float32)
    right = exported.answer(rows)[0] == real_dataset.targets
    assert right.mean() == pytest.approx(best["evaluation"]["training"]["rank1"], abs=1e-4)


def test_no_row_of_the_data_is_in_the_golden_file(real_dataset):
    golden = json.loads((FOLDER / "golden.json").read_text("utf-8"))
    for kind, rows in (("summary", "rows"), ("timings", "timingRows")):
        known = {row.tobytes() for row in real_dataset.features[kind].astype(np.float32)}
        made = np.array(golden[rows], np.float32)
        assert not any(row.tobytes() in known for row in made)
    for name in ("rf", "best"):
        assert len({*golden["models"][name]["labels"]}) > 30
    typed = {tuple(row) for row in real_dataset.press - real_dataset.press[:, :1]}
    for typing in golden["keystrokes"]:
        presses = [stroke["press"] for stroke in typing["keystrokes"]]
        assert tuple(press - presses[0] for press in presses) not in typed


def test_the_models_of_the_service_tests_are_what_training_gives(run):
    models = TYPISTS / "models"
    manifest = json.loads((models / MANIFEST).read_text("utf-8"))
    fresh = contents(run[0])
    trained = json.loads(fresh.pop(MANIFEST))
    assert with_its_python(trained, manifest) == manifest
    assert fresh == {path: (models / path).read_bytes() for path in fresh}
    assert {*fresh, MANIFEST} == set(contents(models))


def with_its_python(trained, manifest):
    """Another Python trains the same models; only the record of it differs."""
    trained["trainedWith"]["python"] = manifest["trainedWith"]["python"]
    return trained


def test_the_card_has_what_was_measured_over_the_api(real_dataset):
    found = json.loads(OVER_THE_API.read_bytes())
    section = "\n\n".join(measured_over_the_api(real_dataset, found))
    assert section in (FOLDER / "README.md").read_text("utf-8")
    assert measured_over_the_api(real_dataset, {**found, "data": "another"}) == []
    assert measured_over_the_api(real_dataset, None) == []
