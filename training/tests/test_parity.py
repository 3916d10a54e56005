"""The comparison that every export has to pass."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from keystroke_training import parity, trees
from keystroke_training.fusion import Fusion
from keystroke_training.models import MODELS, REFERENCES, fit_models
from keystroke_training.parity import (
    PERTURBED,
    TOLERANCE,
    ParityError,
    borderline_rows,
    compare,
    perturbed_rows,
)
from keystroke_training.runtime import Exported
from tests.test_fusion import Member

WITH_FILES = [model for model in MODELS if not model.members]


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr(trees, "TREES", 20)


@pytest.fixture(params=WITH_FILES, ids=lambda model: model.name)
def model(request):
    return request.param


def fit(model, dataset):
    keys = dataset.press.shape[1]
    estimator = model.fit(dataset.features[model.features], dataset.targets, 1, keys)
    return estimator, model.export(estimator, dataset.classes)


@pytest.mark.parametrize(
    "options",
    [
        {"users": ["5", "3"], "repetitions": [4, 7]},
        {"users": ["ann", "bob", "007"], "repetitions": [2, 3, 9], "keys": 2},
        {"repetitions": [6, 6, 6], "keys": 13},
    ],
    ids=["two users", "string ids and two keys", "thirteen keys"],
)
def test_an_export_agrees_with_its_source(make_dataset, model, options):
    dataset = make_dataset(**options)
    estimator, exported = fit(model, dataset)
    rows = dataset.features[model.features]
    counts = compare(exported, estimator, dataset.classes, rows, seed=1).to_json()
    assert counts["dataRows"] == len(dataset.rows)
    assert counts["perturbedRows"] == PERTURBED
    assert counts["labelDifferences"] == counts["borderlineLabelDifferences"] == 0
    assert counts["scoreDifferences"] == counts["unnarrowedLabelDifferences"] == 0
    assert counts["borderlineRows"] < 50


@pytest.mark.parametrize("users", [["5", "3", "7"], ["ann", "bob", "007"]], ids=str)
def test_what_is_made_of_several_agrees_with_their_sum(make_dataset, monkeypatch, users):
    monkeypatch.setattr(parity, "PERTURBED", 2000)
    dataset = make_dataset(users=users, keys=4)
    rows = dataset.features["timings"]
    fitted = fit_models(MODELS[4:], dataset.features, dataset.targets, 1, 4)
    files = [MODELS[4].export(fitted["templates"], dataset.classes)]
    files.append(MODELS[5].export(fitted["trees"], dataset.classes))
    best, weights = fitted["best"], fitted["best"].weights.tolist()
    counts = compare(Exported(files, weights), best, dataset.classes, rows, seed=1)
    assert counts.label_differences == counts.score_differences == 0
    turned = Exported(files, weights[::-1])
    weights[0] += 0.25
    for exported in (Exported(files, weights), turned):
        with pytest.raises(ParityError, match=r"[1-9]\d* scores"):
            compare(exported, best, dataset.classes, rows, seed=1)


def test_a_model_with_other_classes_is_not_let_through(make_dataset, model):
    dataset = make_dataset()
    estimator, _ = fit(model, dataset)
    exported, rows = model.export(estimator, [1, 3, 2]), dataset.features[model.features]
    with pytest.raises(ParityError, match=r": [1-9]\d* labels") as caught:
        compare(exported, estimator, [1, 2, 3], rows, seed=1)
    assert caught.value.labels_only


def test_a_model_with_slightly_other_scores_is_not_let_through(make_dataset):
    dataset = make_dataset()
    estimator, model = fit(REFERENCES[1], dataset)
    graph = onnx.load_from_string(model)
    trees = next(tensor for tensor in graph.graph.initializer if tensor.name == "trees")
    trees.CopyFrom(numpy_helper.from_array(np.array(100.01), "trees"))
    with pytest.raises(ParityError, match=r": 0 labels and [1-9]\d* scores") as caught:
        compare(graph.SerializeToString(), estimator, dataset.classes, dataset.rows, seed=1)
    assert not caught.value.labels_only


@pytest.mark.parametrize("kind", ["summary", "timings"])
def test_perturbed_rows_are_near_wide_and_shuffled(make_dataset, kind):
    rows = make_dataset().features[kind]
    made = perturbed_rows(rows, 400, seed=1)
    assert made.dtype == np.float32
    assert made.shape == (400, rows.shape[1])
    distance = np.abs(made[:200, np.newaxis] - rows) / np.maximum(np.abs(rows), 1e-6)
    assert (distance.max(axis=2).min(axis=1) < 0.35).all()
    assert (np.abs(made[200:300] - rows.mean(axis=0)) > 3 * rows.std(axis=0)).any()
    narrowed = rows.astype(np.float32)
    for column in range(rows.shape[1]):
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
    estimator = REFERENCES[2].fit(rows, dataset.targets, 1, 5)
    assert borderline_rows(estimator, rows).all()
    estimator = REFERENCES[2].fit(dataset.rows, dataset.targets, 1, 5)
    assert not borderline_rows(estimator, dataset.rows).any()


class Evidence(Fusion):
    """A fusion of one member of weight 1: it answers made-up evidence."""

    def __init__(self, evidence):
        self.members, self.weights = (Member(np.array(evidence), [], None),), np.ones(1)


@pytest.mark.parametrize(
    ("evidence", "borderline"),
    [
        ([2.0, 1.0, 0.0], False),
        ([2.0, 2.0, 0.0], False),  # a tie is decided by order, not by rounding
        ([2.0, 2.00001, 0.0], True),
        ([2.0, 2.0001, 0.0], False),
        ([2.0, 2.0001, -1000.0], True),  # its terms may have been as large
    ],
)
def test_borderline_is_evidence_nearer_than_it_may_be_off(evidence, borderline):
    assert borderline_rows(Evidence([evidence]), np.array([0])).tolist() == [borderline]


def test_a_probability_is_borderline_by_the_tolerance(make_dataset):
    dataset = make_dataset()
    estimator, _ = fit(MODELS[3], dataset)
    assert not borderline_rows(estimator, dataset.rows).any()
    estimator.factor = 1e-9
    near = borderline_rows(estimator, dataset.rows)
    assert near.all()


def test_scores_of_many_users_may_differ_by_the_step_of_float32(make_dataset, monkeypatch):
    monkeypatch.setattr(parity, "PERTURBED", 100)
    users = [str(number) for number in range(300)]
    dataset = make_dataset(users=users, repetitions=[2] * 300, keys=9)
    estimator, model = fit(REFERENCES[0], dataset)
    counts = compare(model, estimator, dataset.classes, dataset.rows, seed=1)
    assert counts.max_score_difference > TOLERANCE
    assert counts.score_differences == 0
