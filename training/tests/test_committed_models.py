"""The models in the repository, against models freshly trained on the real data."""

import json
import time

import numpy as np
import pytest

from keystroke_training.__main__ import REPOSITORY, main
from keystroke_training.models import REFERENCES, predict
from keystroke_training.parity import compare
from keystroke_training.runtime import answer, open_session
from tests.test_command import contents

MODELS = REPOSITORY / "models"
TYPISTS = REPOSITORY / "test" / "fixtures" / "typists"
MAX_BYTES = {"svm": 700_000, "rf": 3_500_000, "xgb": 1_000_000}
SAMPLE = [48.43, 23.34, 120.43, 37.41, 124.43, 45.34, 132.56, 47.12]


@pytest.fixture(scope="module")
def manifest():
    return json.loads((MODELS / "manifest.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def fitted(real_dataset, manifest):
    return {
        reference.name: reference.fit(real_dataset.rows, real_dataset.targets, manifest["seed"])
        for reference in REFERENCES
    }


@pytest.mark.parametrize("name", MAX_BYTES)
def test_a_model_is_small_and_opens_fast(name, record_property):
    content = (MODELS / f"{name}.onnx").read_bytes()
    assert len(content) <= MAX_BYTES[name]
    start = time.perf_counter()
    open_session(content)
    record_property("open_ms", 1000 * (time.perf_counter() - start))


@pytest.mark.parametrize("name", MAX_BYTES)
def test_the_sample_request_is_user_84(name, real_dataset, fitted):
    sample = np.array([SAMPLE], np.float32)
    labels, _ = answer(open_session((MODELS / f"{name}.onnx").read_bytes()), sample)
    assert labels.tolist() == [84]
    assert real_dataset.classes[predict(fitted[name], np.array([SAMPLE]))[0]] == 84


@pytest.mark.parametrize("name", MAX_BYTES)
def test_a_model_answers_as_its_source_on_all_rows(name, real_dataset, fitted, manifest):
    content = (MODELS / f"{name}.onnx").read_bytes()
    parity = compare(
        content, fitted[name], real_dataset.classes, real_dataset.rows, manifest["seed"]
    )
    assert parity.data_rows == 880
    assert parity.perturbed_rows == 20_000
    assert parity.label_differences == parity.borderline_label_differences == 0
    assert parity.score_differences == parity.borderline_score_differences == 0
    assert parity.unnarrowed_label_differences == 0


def test_the_svm_is_what_scikit_learns_defaults_train(real_dataset, fitted):
    from sklearn.svm import SVC

    defaults = SVC().fit(real_dataset.rows, real_dataset.targets)
    assert np.array_equal(defaults.dual_coef_, fitted["svm"].dual_coef_)
    assert np.array_equal(defaults.intercept_, fitted["svm"].intercept_)


def test_no_row_of_the_data_is_in_the_golden_file(real_dataset):
    golden = json.loads((MODELS / "golden.json").read_text("utf-8"))
    known = {row.tobytes() for row in real_dataset.rows.astype(np.float32)}
    made = np.array(golden["rows"], np.float32)
    assert not any(row.tobytes() in known for row in made)
    assert len({*golden["models"]["rf"]["labels"]}) > 30
    typed = {tuple(row) for row in real_dataset.press - real_dataset.press[:, :1]}
    for typing in golden["keystrokes"]:
        presses = [stroke["press"] for stroke in typing["keystrokes"]]
        assert tuple(press - presses[0] for press in presses) not in typed


def test_the_committed_models_are_what_training_gives(real_data_path, tmp_path):
    assert_current(MODELS, real_data_path, tmp_path / "models")


def test_the_models_of_the_service_tests_are_what_training_gives(tmp_path):
    assert_current(TYPISTS / "models", TYPISTS / "keystrokes.csv", tmp_path / "models")


def assert_current(models, data, out):
    """Training on `data` into `out` gives, byte for byte, what is committed in `models`."""
    manifest = json.loads((models / "manifest.json").read_text("utf-8"))
    assert main([str(data), "--out", str(out), "--seed", str(manifest["seed"])]) == 0
    fresh = contents(out)
    # Another Python trains the same models; only the record of it differs.
    trained = json.loads(fresh.pop("manifest.json"))
    trained["trainedWith"]["python"] = manifest["trainedWith"]["python"]
    assert trained == manifest
    assert fresh == {path: (models / path).read_bytes() for path in fresh}
