"""The exported SVM against scikit-learn's."""

import numpy as np
import pytest
from sklearn.svm import SVC

from keystroke_training.export.svm import export_svm
from keystroke_training.models import predict, score
from keystroke_training.runtime import answer, open_session


def clouds(sizes, seed=0, spread=60.0):
    """Feature rows [n, 8] of classes of the given sizes, and their class indices [n]."""
    random = np.random.default_rng(seed)
    centres = random.normal(100, spread, (len(sizes), 8))
    targets = np.repeat(np.arange(len(sizes)), sizes)
    return centres[targets] + random.normal(0, 30, (len(targets), 8)), targets


def fit(rows, targets):
    return SVC(gamma=1 / (8 * rows.var())).fit(rows, targets)


def probes(rows, count=2000, seed=5):
    random = np.random.default_rng(seed)
    near = rows[random.integers(len(rows), size=count)]
    return (near + random.normal(0, 60, near.shape)).astype(np.float32)


def assert_agrees(estimator, inputs, classes):
    labels, scores = answer(open_session(export_svm(estimator, classes)), inputs)
    wide = inputs.astype(np.float64)
    assert [classes[target] for target in predict(estimator, wide)] == labels.tolist()
    np.testing.assert_allclose(scores, score(estimator, wide), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "sizes",
    [(6, 6), (9, 2), (1, 1), (6, 6, 6), (1, 7, 3), (5, 1, 1, 8, 2), (4,) * 25],
    ids=str,
)
def test_labels_and_scores_are_scikit_learns(sizes):
    rows, targets = clouds(sizes)
    assert_agrees(fit(rows, targets), probes(rows), list(range(10, 10 + len(sizes))))


def test_string_classes_are_answered_as_they_are():
    rows, targets = clouds((5, 5, 5))
    assert_agrees(fit(rows, targets), probes(rows), ["", "amélie", "007"])


def test_rows_far_from_all_support_vectors_agree():
    rows, targets = clouds((5, 5, 5, 5))
    far = (rows * np.array([[1e3], [1e6], [1e12], [-1e30]] * 5)).astype(np.float32)
    assert_agrees(fit(rows, targets), far, [1, 2, 3, 4])


def test_a_distant_origin_does_not_cost_precision():
    rows, targets = clouds((5, 5, 5))
    rows = (rows + 1e6).astype(np.float32).astype(np.float64)
    assert_agrees(fit(rows, targets), rows.astype(np.float32), [1, 2, 3])


def test_the_lowest_class_wins_a_tie_of_votes():
    rows, targets = clouds((4,) * 12, spread=15)
    estimator, inputs = fit(rows, targets), probes(rows)
    votes = np.sort(np.round(score(estimator, inputs.astype(np.float64))), axis=1)
    assert (votes[:, -1] == votes[:, -2]).sum() > 50
    assert_agrees(estimator, inputs, list(range(12)))


def test_the_label_is_the_vote_not_the_greatest_score():
    rows, targets = clouds((4,) * 12, spread=15)
    labels, scores = answer(
        open_session(export_svm(fit(rows, targets), list(range(12)))), probes(rows)
    )
    assert (labels != scores.argmax(axis=1)).any()


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_a_margin_of_exactly_zero_is_decided_as_scikit_learn_does(classes):
    # One vector per class, all at the same distance from the centre.
    rows, targets = 8 * np.eye(classes, 8), np.arange(classes)
    estimator = SVC(gamma=2.0**-8, decision_function_shape="ovo").fit(rows, targets)
    assert not estimator.decision_function(np.zeros((1, 8))).any()
    estimator.set_params(decision_function_shape="ovr")
    assert predict(estimator, np.zeros((1, 8))) == [classes - 1]
    assert_agrees(estimator, np.zeros((1, 8), np.float32), list(range(classes)))


@pytest.mark.filterwarnings("ignore:Attribute `prob._` was deprecated:FutureWarning")
def test_it_is_the_machine_that_the_stock_converter_writes():
    skl2onnx = pytest.importorskip("skl2onnx")
    rows, targets = clouds((5, 3, 6, 4))
    estimator, inputs = fit(rows, targets), probes(rows)
    stock = skl2onnx.to_onnx(
        estimator, rows[:1].astype(np.float32), options={"zipmap": False}, target_opset=15
    )
    session = open_session(stock.SerializeToString())
    labels, _ = session.run(None, {"X": inputs})
    mine, _ = answer(open_session(export_svm(estimator, [0, 1, 2, 3])), inputs)
    # The stock converter computes in float32: it may tip where a margin is near zero.
    assert (labels == mine).mean() > 0.999
