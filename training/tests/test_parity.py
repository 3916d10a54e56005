"""The comparison that every export has to pass."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from keystroke_training import parity
from keystroke_training.models import REFERENCES
from keystroke_training.parity import (
    PERTURBED,
    TOLERANCE,
    ParityError,
    borderline_rows,
    compare,
    perturbed_rows,
)


@pytest.fixture(params=REFERENCES, ids=lambda reference: reference.name)
def reference(request):
    return request.param


def fit(reference, dataset):
    estimator = reference.fit(dataset.rows, dataset.targets, seed=1)
    return estimator, reference.export(estimator, dataset.classes)


@pytest.mark.parametrize(
    "options",
    [
        {"users": ["5", "3"], "repetitions": [4, 7]},
        {"users": ["ann", "bob", "007"], "repetitions": [2, 3, 9], "keys": 2},
    ],
    ids=["two users", "string ids and two keys"],
)
def test_an_export_agrees_with_its_source(make_dataset, reference, options):
    dataset = make_dataset(**options)
    estimator, model = fit(reference, dataset)
    counts = compare(model, estimator, dataset.classes, dataset.rows, seed=1).to_json()
    assert counts["dataRows"] == len(dataset.rows)
    assert counts["perturbedRows"] == PERTURBED
    assert counts["labelDifferences"] == counts["borderlineLabelDifferences"] == 0
    assert counts["scoreDifferences"] == counts["unnarrowedLabelDifferences"] == 0
    assert counts["borderlineRows"] < 50


def test_a_model_with_other_classes_is_not_let_through(make_dataset, reference):
    dataset = make_dataset()
    estimator = reference.fit(dataset.rows, dataset.targets, seed=1)
    with pytest.raises(ParityError, match=r": [1-9]\d* labels"):
        compare(reference.export(estimator, [1, 3, 2]), estimator, [1, 2, 3], dataset.rows, seed=1)


def test_a_model_with_slightly_other_scores_is_not_let_through(make_dataset):
    dataset = make_dataset()
    estimator, model = fit(REFERENCES[1], dataset)
    graph = onnx.load_from_string(model)
    trees = next(tensor for tensor in graph.graph.initializer if tensor.name == "trees")
    trees.CopyFrom(numpy_helper.from_array(np.array(100.01), "trees"))
    with pytest.raises(ParityError, match=r": 0 labels and [1-9]\d* scores"):
        compare(graph.SerializeToString(), estimator, dataset.classes, dataset.rows, seed=1)


def test_perturbed_rows_are_near_wide_and_shuffled(make_dataset):
    rows = make_dataset().rows
    made = perturbed_rows(rows, 400, seed=1)
    assert made.dtype == np.float32
    assert made.shape == (400, 8)
    nearest = np.abs(made[:200, np.newaxis] / rows - 1).max(axis=2).min(axis=1)
    assert (nearest < 0.3).all()
    assert (np.abs(made[200:300] - rows.mean(axis=0)) > 3 * rows.std(axis=0)).any()
    narrowed = rows.astype(np.float32)
    for column in range(8):
        assert np.isin(made[300:, column], narrowed[:, column]).all()
    assert not any((row == narrowed).all(axis=1).any() for row in made[300:])
    assert np.array_equal(made, perturbed_rows(rows, 400, seed=1))


def test_borderline_is_a_pair_of_the_svm_at_zero(make_dataset):
    dataset = make_dataset(users=["1", "2"], repetitions=[5, 5])
    estimator, _ = fit(REFERENCES[0], dataset)
    first, second = dataset.rows[dataset.targets == 0][0], dataset.rows[dataset.targets == 1][0]
    margins = estimator.decision_function(np.stack([first, second]))
    assert margins[0] < 0 < margins[1]
    for _ in range(60):  # bisect to where the margin changes its sign
        middle = (first + second) / 2
        negative = estimator.decision_function(middle[np.newaxis])[0] < 0
        first, second = (middle, second) if negative else (first, middle)
    assert borderline_rows(estimator, first[np.newaxis]).tolist() == [True]
    assert not borderline_rows(estimator, dataset.rows).any()


def test_borderline_is_two_equal_best_probabilities_of_boosted_trees(make_dataset):
    dataset = make_dataset(users=["1", "2"], repetitions=[5, 5], noise=1.0)
    rows = np.ones_like(dataset.rows)
    estimator = REFERENCES[2].fit(rows, dataset.targets, seed=1)
    assert borderline_rows(estimator, rows).all()
    estimator = REFERENCES[2].fit(dataset.rows, dataset.targets, seed=1)
    assert not borderline_rows(estimator, dataset.rows).any()


def test_scores_of_many_users_may_differ_by_the_step_of_float32(make_dataset, monkeypatch):
    monkeypatch.setattr(parity, "PERTURBED", 100)
    users = [str(number) for number in range(300)]
    dataset = make_dataset(users=users, repetitions=[2] * 300, keys=9)
    estimator, model = fit(REFERENCES[0], dataset)
    counts = compare(model, estimator, dataset.classes, dataset.rows, seed=1)
    assert counts.max_score_difference > TOLERANCE
    assert counts.score_differences == 0
