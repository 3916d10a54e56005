"""ONNX Runtime as the trainer runs it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from keystroke_training.export.forest import export_forest
from keystroke_training.runtime import Exported


def test_it_reports_to_nobody_and_leaves_nothing_in_the_home_of_its_user(tmp_path):
    # Its makers have it silent where tests run, which it tells by variables such as CI.
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    code = "from keystroke_training.runtime import onnxruntime as o; print(o.get_device())"
    subprocess.run([sys.executable, "-c", code], env=environment, timeout=60, check=True)  # noqa: S603 (our own code)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def file():
    rows = np.array([[50.0, 9, 99, 9, 99, 9, 49, 9], [70.0, 9, 130, 9, 130, 9, 60, 9]])
    rows = np.concatenate([rows, rows + 1])
    forest = RandomForestClassifier(7, random_state=0).fit(rows, [0, 1, 0, 1])
    return export_forest(forest, ["ann", "bob"]), rows.astype(np.float32)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_answers_do_not_depend_on_the_batch(file, batch):
    model, rows = file
    labels, scores = Exported([model]).answer(rows, batch)
    assert labels.tolist() == ["ann", "bob", "ann", "bob"]
    assert np.array_equal(scores, Exported([model]).answer(rows)[1])
    assert scores.dtype == np.float32


def test_what_is_made_of_several_is_their_weighted_sum_in_float64(file):
    model, rows = file
    _, single = Exported([model]).answer(rows)
    labels, scores = Exported([model, model], [0.1, -0.7]).answer(rows)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, -0.6 * single.astype(np.float64), rtol=1e-12)
    assert labels.tolist() == [1, 0, 1, 0]


def test_the_lowest_class_of_a_sum_wins_a_tie(file):
    model, rows = file
    assert Exported([model], [0.0]).answer(rows)[0].tolist() == [0, 0, 0, 0]
