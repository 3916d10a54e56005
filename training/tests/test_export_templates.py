"""The exported templates against the fitted ones."""

import numpy as np
import onnx
import pytest

from keystroke_training.export.templates import export_templates
from keystroke_training.parity import perturbed_rows
from keystroke_training.runtime import answer, open_session
from keystroke_training.templates import Templates
from tests.test_export_trees import operators

MANY = [str(user) for user in range(30)]


def fit(dataset):
    return Templates().fit(dataset.features["timings"], dataset.targets)


def assert_agrees(estimator, inputs, classes):
    labels, scores = answer(open_session(export_templates(estimator, classes)), inputs)
    evidence = estimator.evidence(inputs.astype(np.float64))
    # Of the row's largest: evidence is a sum of terms as large, which may cancel out.
    allowed = 1e-5 * np.maximum(1, np.abs(evidence).max(axis=1, keepdims=True))
    assert (np.abs(scores - evidence) <= allowed).all()
    assert [classes[best] for best in scores.argmax(axis=1)] == labels.tolist()
    second, best = np.sort(evidence, axis=1)[:, -2:].T
    clear = best - second > 2 * allowed[:, 0]
    named = np.array(classes)[evidence.argmax(axis=1)]
    assert (labels == named)[clear].all()
    return clear


@pytest.mark.parametrize(
    ("repetitions", "keys"),
    [((2, 2), 2), ((2, 9), 3), ((6, 6, 6), 13), ((2, 3, 4, 12), 5), ((5,) * 30, 8)],
    ids=str,
)
def test_the_file_gives_the_evidence_of_the_templates(make_dataset, repetitions, keys):
    users = MANY[: len(repetitions)]
    dataset = make_dataset(users=users, repetitions=repetitions, keys=keys)
    rows = dataset.features["timings"]
    inputs = np.concatenate([rows.astype(np.float32), perturbed_rows(rows, 5000, seed=3)])
    clear = assert_agrees(fit(dataset), inputs, dataset.classes)
    assert clear.mean() > 0.99


def test_string_classes_are_answered_as_they_are(make_dataset):
    dataset = make_dataset(users=["a", "amélie", "007x"])
    rows = dataset.features["timings"].astype(np.float32)
    assert_agrees(fit(dataset), rows, dataset.classes)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7])
def test_any_number_of_features_may_have_a_weight(make_dataset, count):
    dataset = make_dataset(repetitions=[6, 5, 40])
    estimator = fit(dataset)
    estimator.weights = np.zeros_like(estimator.weights)
    weighty = np.random.default_rng(1).permutation(len(estimator.weights))[:count]
    # Features after each other in weight share one, by threes.
    estimator.weights[weighty] = 0.3 - 0.1 * (np.arange(count) // 3)
    rows = dataset.features["timings"]
    assert_agrees(estimator, perturbed_rows(rows, 2000, seed=3), dataset.classes)


def test_the_lowest_class_wins_where_nothing_tells_users_apart(make_dataset):
    rows = np.tile(make_dataset().features["timings"][:1], (9, 1))
    estimator = Templates().fit(rows, np.repeat([0, 1, 2], 3))
    inputs = perturbed_rows(rows, 500, seed=1)
    labels, scores = answer(open_session(export_templates(estimator, [3, 5, 8])), inputs)
    assert set(labels.tolist()) == {3}
    assert np.array_equal(scores, scores[:, :1].repeat(3, axis=1))


def test_rows_far_from_everybody_have_finite_evidence(make_dataset):
    dataset = make_dataset()
    rows = dataset.features["timings"]
    # The logarithm of a year, the hyperbolic one of three: nothing is further away.
    far = np.concatenate([np.full((1, 28), 25.0), np.full((1, 28), -25.0), 0 * rows[:1]])
    assert_agrees(fit(dataset), far.astype(np.float32), dataset.classes)


def test_a_logarithm_serves_three_features(make_dataset):
    dataset = make_dataset(users=MANY, repetitions=[5] * 30, keys=13)
    estimator = fit(dataset)
    model = export_templates(estimator, dataset.classes)
    assert operators(model) == {
        "Add",
        "ArgMax",
        "Gather",
        "Log",
        "MatMul",
        "Mul",
        *("Squeeze", "Sub"),
        "Unsqueeze",
    }
    stored = {tensor.name: tensor.dims for tensor in onnx.load_from_string(model).graph.initializer}
    weighty = (estimator.weights > 0).sum()
    assert list(stored["weights"]) == [1, -(-weighty // 3)]
