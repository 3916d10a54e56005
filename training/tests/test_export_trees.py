"""The exported forest and boosted trees against scikit-learn's and XGBoost's."""

import math

import numpy as np
import onnx
import pytest
from sklearn.ensemble import RandomForestClassifier
from xgboost import DMatrix, XGBClassifier

from keystroke_training.export.boosting import export_boosted_trees
from keystroke_training.export.forest import export_forest
from keystroke_training.models import predict, score
from keystroke_training.runtime import answer, open_session
from tests.test_export_svm import clouds, probes

SIZES = [(6, 6), (9, 2), (6, 6, 6), (2, 7, 3), (4,) * 25]

# What makes any boosted trees threshold sums, and what makes them the operator.
THRESHOLD_SUMS, OPERATOR = math.inf, 0


def forest(rows, targets, trees=20):
    return RandomForestClassifier(trees, random_state=0).fit(rows, targets)


def boosting(rows, targets, base_score=0.5):
    estimator = XGBClassifier(n_estimators=15, tree_method="exact", base_score=base_score, n_jobs=1)
    return estimator.fit(rows, targets)


def assert_forest_agrees(estimator, inputs, classes):
    """Forests agree without any allowance: labels, ties and scores are the same numbers."""
    labels, scores = answer(open_session(export_forest(estimator, classes)), inputs)
    wide = inputs.astype(np.float64)
    assert [classes[target] for target in predict(estimator, wide)] == labels.tolist()
    assert np.array_equal(scores, score(estimator, wide).astype(np.float32))


def assert_boosting_agrees(estimator, inputs, classes):
    for most_tests in (THRESHOLD_SUMS, OPERATOR):
        model = export_boosted_trees(estimator, classes, most_tests)
        assert ("TreeEnsembleRegressor" in operators(model)) == (most_tests == OPERATOR)
        labels, scores = answer(open_session(model), inputs)
        assert [classes[target] for target in predict(estimator, inputs)] == labels.tolist()
        np.testing.assert_allclose(scores, score(estimator, inputs), rtol=0, atol=1e-6)


def operators(model):
    return {node.op_type for node in onnx.load_from_string(model).graph.node}


def graph_value(model, name, inputs):
    """What a value inside the graph is for the rows."""
    graph = onnx.load_from_string(model)
    if name not in {output.name for output in graph.graph.output}:
        graph.graph.output.append(onnx.ValueInfoProto(name=name))
    return open_session(graph.SerializeToString()).run([name], {"input": inputs})[0]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_forest_is_scikit_learns(sizes):
    rows, targets = clouds(sizes)
    assert_forest_agrees(forest(rows, targets), probes(rows), list(range(len(sizes))))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_boosted_trees_are_xgboosts(sizes):
    rows, targets = clouds(sizes)
    assert_boosting_agrees(boosting(rows, targets), probes(rows), list(range(len(sizes))))


@pytest.mark.parametrize(
    ("fit", "assert_agrees"),
    [(forest, assert_forest_agrees), (boosting, assert_boosting_agrees)],
)
def test_string_classes_are_answered_as_they_are(fit, assert_agrees):
    rows, targets = clouds((5, 5, 5))
    assert_agrees(fit(rows, targets), probes(rows), ["", "amélie", "007"])


def test_a_row_on_a_threshold_goes_scikit_learns_way():
    # Whole numbers apart by one have thresholds at .5; probes at and beside all of them.
    random = np.random.default_rng(2)
    rows, targets = random.integers(0, 6, (60, 8)).astype(float), np.arange(60) % 4
    on = random.integers(0, 12, (3000, 8)).astype(np.float32) / 2
    beside = np.nextafter(on, random.choice([-np.inf, np.inf], on.shape).astype(np.float32))
    inputs = np.concatenate([on, beside])
    assert_forest_agrees(forest(rows, targets), inputs, [0, 1, 2, 3])
    assert_boosting_agrees(boosting(rows, targets), inputs, [0, 1, 2, 3])


def test_a_row_on_a_threshold_of_zero_goes_xgboosts_way():
    # Odd numbers have thresholds at the even ones between, 0 among them.
    random = np.random.default_rng(2)
    rows, targets = random.choice([-3.0, -1, 1, 3], (60, 8)), np.arange(60) % 4
    tiny = np.finfo(np.float32).smallest_subnormal
    inputs = random.choice(np.array([-2, -tiny, -0.0, 0.0, tiny, 2], np.float32), (3000, 8))
    estimator = boosting(rows, targets)
    assert "<0]" in "".join(estimator.get_booster().get_dump())
    assert_boosting_agrees(estimator, inputs, [0, 1, 2, 3])


def test_thresholds_that_float32_cannot_hold_are_kept_apart():
    # One unit in the last place apart as float32: the threshold between lies only in float64.
    low = np.float32(100)
    high = np.nextafter(low, np.float32(np.inf))
    rows = np.repeat([[low], [high]], 8, axis=0).astype(float).repeat(8, axis=1)
    targets = np.repeat([0, 1], 8)
    inputs = np.array([[low] * 8, [high] * 8], np.float32)
    estimator = forest(rows, targets)
    assert predict(estimator, inputs).tolist() == [0, 1]
    assert_forest_agrees(estimator, inputs, [0, 1])


def test_leaves_shared_by_several_users_give_each_their_share():
    rows, targets = clouds((6, 6, 6, 6))
    rows[targets == 1] = rows[targets == 0]  # whoever types alike cannot be told apart
    rows[np.flatnonzero(targets == 2)[:3]] = rows[np.flatnonzero(targets == 0)[:3]]
    estimator = forest(rows, targets, trees=50)
    shared = [
        ((tree.tree_.value[tree.tree_.children_left < 0, 0] > 0).sum(axis=1)).max()
        for tree in estimator.estimators_
    ]
    assert max(shared) == 3
    inputs = np.concatenate([rows.astype(np.float32), probes(rows)])
    assert_forest_agrees(estimator, inputs, [1, 2, 3, 4])


def test_copies_for_shared_leaves_hold_only_the_branches_that_lead_there():
    rows, targets = clouds((4,) * 12)
    size = len(export_forest(forest(rows, targets), list(range(12))))
    rows[targets == 1] = rows[targets == 0]
    assert len(export_forest(forest(rows, targets), list(range(12)))) < 1.5 * size


def test_the_lowest_class_wins_a_tie_of_trees():
    rows, targets = clouds((4,) * 12, spread=15)
    estimator, inputs = forest(rows, targets, trees=10), probes(rows)
    best = np.sort(score(estimator, inputs.astype(np.float64)), axis=1)
    assert (best[:, -1] == best[:, -2]).sum() > 50
    assert_forest_agrees(estimator, inputs, list(range(12)))


def test_trees_of_a_single_leaf_answer():
    rows, targets = clouds((6, 6, 6))
    same = np.ones_like(rows)  # nothing to split on
    stumps = forest(same, targets)
    assert {tree.tree_.node_count for tree in stumps.estimators_} == {1}
    assert_forest_agrees(stumps, probes(rows, 50), [1, 2, 3])
    constant = boosting(same, targets)
    assert all(tree.startswith("0:leaf") for tree in constant.get_booster().get_dump())
    assert_boosting_agrees(constant, probes(rows, 50), [1, 2, 3])


@pytest.mark.parametrize("most_tests", [THRESHOLD_SUMS, OPERATOR])
def test_two_users_nobody_can_tell_apart_go_to_the_first(most_tests):
    rows, targets = np.ones((8, 8)), np.arange(8) % 2
    inputs = np.ones((3, 8), np.float32)
    assert_boosting_agrees(boosting(rows, targets), inputs, [7, 9])
    model = export_boosted_trees(boosting(rows, targets), [7, 9], most_tests)
    labels, scores = answer(open_session(model), inputs)
    assert labels.tolist() == [7, 7, 7]
    assert scores.tolist() == [[0.5, 0.5]] * 3


@pytest.mark.parametrize("sizes", [(9, 4), (6, 6, 6)], ids=str)
def test_the_operators_margins_are_the_same_bits(sizes):
    rows, targets = clouds(sizes)
    estimator, inputs = boosting(rows, targets), probes(rows)
    model = export_boosted_trees(estimator, list(range(len(sizes))), OPERATOR)
    source = estimator.get_booster().predict(DMatrix(inputs), output_margin=True)
    expected = source if len(sizes) > 2 else np.stack([np.zeros_like(source), source], axis=1)
    assert np.array_equal(graph_value(model, "margins", inputs), expected)


@pytest.mark.parametrize("base_score", [0.5, 0.2])
def test_the_base_score_counts_once_for_every_class(base_score):
    for sizes in ((9, 4), (6, 6, 6)):
        rows, targets = clouds(sizes)
        estimator = boosting(rows, targets, base_score)
        assert_boosting_agrees(estimator, probes(rows), list(range(len(sizes))))


def test_a_forest_is_the_one_that_the_stock_converter_writes():
    skl2onnx = pytest.importorskip("skl2onnx")
    rows, targets = clouds((6, 6, 6))
    estimator, inputs = forest(rows, targets), probes(rows)
    stock = skl2onnx.to_onnx(
        estimator, rows[:1].astype(np.float32), options={"zipmap": False}, target_opset=15
    )
    labels, scores = open_session(stock.SerializeToString()).run(None, {"X": inputs})
    mine, shares = answer(open_session(export_forest(estimator, [0, 1, 2])), inputs)
    tied = (np.sort(shares)[:, -1] - np.sort(shares)[:, -2]) < 1e-6  # its sums are rounded
    assert (labels == mine)[~tied].all()
    np.testing.assert_allclose(scores, shares, rtol=0, atol=1e-6)


def test_boosted_trees_are_those_that_the_stock_converter_writes():
    onnxmltools = pytest.importorskip("onnxmltools")
    from onnxmltools.convert.common.data_types import FloatTensorType

    rows, targets = clouds((6, 6, 6))
    estimator, inputs = boosting(rows, targets), probes(rows)
    stock = onnxmltools.convert_xgboost(
        estimator, initial_types=[("X", FloatTensorType([None, 8]))], target_opset=15
    )
    labels, scores = open_session(stock.SerializeToString()).run(None, {"X": inputs})
    mine, probabilities = answer(open_session(export_boosted_trees(estimator, [0, 1, 2])), inputs)
    assert np.array_equal(labels, mine)
    np.testing.assert_allclose(scores, probabilities, rtol=0, atol=1e-6)


def test_small_trees_become_threshold_sums_and_large_ones_the_operator():
    rows, targets = clouds((4,) * 25)
    assert "Less" in operators(export_boosted_trees(boosting(rows, targets), list(range(25))))
    rows, targets = clouds((600,) * 3, spread=1.0)
    large = export_boosted_trees(boosting(rows, targets), [0, 1, 2])
    assert "TreeEnsembleRegressor" in operators(large)
