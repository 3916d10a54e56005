"""Sums over thresholds against a walk through the trees they were made from."""

import json
import math

import numpy as np
import pytest
from xgboost import DMatrix

from keystroke_training.export.boosting import export_boosted_trees
from keystroke_training.export.graph import INPUT, SCORES, GraphBuilder
from keystroke_training.export.threshold_sums import (
    conditions_by_class,
    count_tests,
    threshold_sums,
)
from keystroke_training.export.tree import Tree
from tests.test_export_svm import clouds, probes
from tests.test_export_trees import THRESHOLD_SUMS, boosting, graph_value

LARGEST = np.finfo(np.float32).max
TINIEST = np.finfo(np.float32).smallest_subnormal
NORMAL = np.finfo(np.float32).smallest_normal
AWKWARD = np.array(
    [0, TINIEST, 2 * TINIEST, NORMAL - TINIEST, NORMAL, 0.1, 1, 100, 2.0**24, LARGEST], np.float32
)
AWKWARD = np.concatenate([-AWKWARD[::-1], AWKWARD])  # −0 and 0 are both in it


def leaf(weight, target=0):
    return Tree(*np.array([[0], [0], [-1], [-1], [target]]), weight=np.array([weight], np.float32))


def stump(feature, threshold, passed, failed, target=0):
    return Tree(
        feature=np.array([feature, 0, 0]),
        threshold=np.array([threshold, 0, 0], np.float32),
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        target=np.full(3, target),
        weight=np.array([0, passed, failed], np.float32),
    )


def random_tree(random, target, thresholds, inner=12, features=8):
    """A tree that has grown at random leaves, so paths meet features again and again."""
    size = 2 * inner + 1
    left, right = np.full(size, -1), np.full(size, -1)
    leaves = [0]
    for node in range(1, size, 2):
        split = leaves.pop(random.integers(len(leaves)))
        left[split], right[split] = node, node + 1
        leaves += [node, node + 1]
    return Tree(
        feature=random.integers(features, size=size),
        threshold=random.choice(thresholds, size),
        left=left,
        right=right,
        target=np.full(size, target),
        weight=random.normal(0, 0.3, size).astype(np.float32),
    )


def exact_sums(trees, classes, rows):
    """The leaves' weights added without any rounding but the last, float64 [n, classes]."""
    weights = [[[] for _ in range(classes)] for _ in rows]
    for row, of_class in zip(rows, weights, strict=True):
        for tree in trees:
            node = 0
            while tree.left[node] >= 0:
                passes = row[tree.feature[node]] < tree.threshold[node]
                node = tree.left[node] if passes else tree.right[node]
            of_class[tree.target[node]].append(tree.weight[node])
    return np.array([[math.fsum(leaves) for leaves in of_class] for of_class in weights])


def sums(trees, classes, rows, value=SCORES):
    """What the graph makes of the trees."""
    graph = GraphBuilder()
    names = list(range(classes))
    graph.add(
        "Identity", [threshold_sums(graph, INPUT, conditions_by_class(trees, classes))], SCORES
    )
    graph.answer_first_maximum(SCORES, names)
    return graph_value(graph.finish("sums", names), value, np.asarray(rows, np.float32))


def assert_rounded_once(found, exact):
    """`found` is the nearest float32, or one of two as near as 10⁻⁹, the leaves' rounding."""
    assert found.dtype == np.float32
    half = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64) / 2
    assert (np.abs(found - exact) <= half + 1e-9).all()


@pytest.mark.parametrize("features", [1, 2, 8])
@pytest.mark.parametrize("seed", range(4))
def test_rows_on_and_beside_every_threshold_go_the_trees_way(features, seed):
    random = np.random.default_rng(seed)
    trees = [random_tree(random, number % 3, AWKWARD[1:], 12, features) for number in range(30)]
    on = random.choice(AWKWARD[1:-1], (3000, 8))
    side = random.choice(np.array([-np.inf, np.inf], np.float32), on.shape)
    rows = np.where(random.integers(2, size=on.shape), on, np.nextafter(on, side))
    assert rows.dtype == np.float32
    assert_rounded_once(sums(trees, 3, rows), exact_sums(trees, 3, rows))


def test_the_greatest_numbers_are_numbers():
    rows = np.array([[LARGEST] * 8, [-LARGEST] * 8, [LARGEST, -LARGEST] * 4], np.float32)
    trees = [stump(feature, LARGEST, 1, 2, feature % 2) for feature in range(8)]
    assert sums(trees, 2, rows).tolist() == [[8, 8], [4, 4], [8, 4]]


def test_classes_may_have_no_tree_or_nothing_but_a_leaf():
    trees = [leaf(0.5, 3), stump(0, 0, 1, 2, 1), leaf(0.25, 3), leaf(-1, 4)]
    rows = [[-1] * 8, [0] * 8]
    assert sums(trees, 6, rows).tolist() == [[0, 1, 0, 0.75, -1, 0], [0, 2, 0, 0.75, -1, 0]]
    assert sums([leaf(0.0)], 1, rows).tolist() == [[0], [0]]


@pytest.mark.parametrize("conditions", [1, 2, 15, 16, 17, 100])
def test_a_class_may_have_any_number_of_conditions(conditions):
    trees = [stump(number % 8, number, number, 0, number % 2) for number in range(conditions)]
    trees += [random_tree(np.random.default_rng(1), 2, AWKWARD[1:])]
    rows = np.arange(-1, conditions + 1, dtype=np.float32)[:, np.newaxis].repeat(8, axis=1)
    assert_rounded_once(sums(trees, 3, rows), exact_sums(trees, 3, rows))


def test_conditions_are_merged_and_of_their_tests_the_tightest_kept():
    below_2, below_1 = stump(3, 2, 5, 1), stump(3, 1, 7, 1)
    assert conditions_by_class([below_2, below_2, below_1], 1) == [
        {(): 3.0, (((3, 1), 2.0),): 8.0, (((3, 1), 1.0),): 6.0}
    ]
    # x₃ < 2, then x₃ < 1, then x₃ < 0; where x₃ >= 2, x₃ < 4.
    nested = Tree(
        feature=np.full(9, 3),
        threshold=np.array([2, 1, 4, 0, 0, 0, 0, 0, 0], np.float32),
        left=np.array([1, 3, 5, 7, -1, -1, -1, -1, -1]),
        right=np.array([2, 4, 6, 8, -1, -1, -1, -1, -1]),
        target=np.zeros(9, int),
        weight=np.array([0, 0, 0, 0, 1, 2, 4, 8, 16], np.float32),
    )
    just_above_minus_2 = float(np.nextafter(np.float32(-2), np.float32(0)))
    (merged,) = conditions_by_class([nested], 1)
    assert merged == {
        (): 4.0,
        (((3, 1), 2.0),): -3.0,
        (((3, 1), 1.0),): 15.0,
        (((3, 1), 0.0),): -8.0,
        (((3, -1), just_above_minus_2), ((3, 1), 4.0)): -2.0,
    }
    assert count_tests([merged, merged]) == 10


def test_tests_are_the_same_in_any_order():
    first, second = (
        Tree(
            feature=np.array([outer, inner, 0, 0, 0]),
            threshold=np.array([outer, inner, 0, 0, 0], np.float32),
            left=np.array([1, 3, -1, -1, -1]),
            right=np.array([2, 4, -1, -1, -1]),
            target=np.zeros(5, int),
            weight=np.array([0, 0, 0, 1, 0], np.float32),
        )
        for outer, inner in [(4, 6), (6, 4)]
    )
    (merged,) = conditions_by_class([first, second], 1)
    assert merged[(((4, 1), 4.0), ((6, 1), 6.0))] == 2


def test_equal_leaves_are_equal_sums_whatever_the_trees():
    # The sum of such weights hangs on the order of additions, unless all of them are exact.
    random = np.random.default_rng(3)
    leaves = random.normal(size=(8, 2)) * 10.0 ** np.arange(-9, 7, 2)[:, np.newaxis]
    one = [stump(feature, 0, *leaves[feature]) for feature in range(8)]
    other = [stump(feature, 0, *leaves[feature], target=1) for feature in random.permutation(8)]
    weightless = random_tree(random, 1, AWKWARD[1:])
    weightless.weight[:] = 0
    rows = random.normal(size=(500, 8)).astype(np.float32)
    first, second = sums([*one, *other, weightless], 2, rows, "sums").T
    assert first.dtype == np.float64
    assert len(np.unique(first)) > 100
    assert np.array_equal(first, second)


@pytest.mark.parametrize("sizes", [(9, 4), (6, 6, 6), (4,) * 25], ids=str)
def test_margins_are_xgboosts_leaves_rounded_once(sizes):
    rows, targets = clouds(sizes)
    estimator, inputs = boosting(rows, targets), probes(rows)
    booster = estimator.get_booster()
    trees = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    reached = booster.predict(DMatrix(inputs), pred_leaf=True).astype(int)
    leaves = np.stack(
        [
            np.array(tree["split_conditions"], np.float32)[leaf]
            for tree, leaf in zip(trees, reached.T, strict=True)
        ],
        axis=1,
    ).reshape(len(inputs), 15, -1)
    if len(sizes) > 2:
        leaves[:, 0] += np.float32(0.5)  # the base score
    exact = [[math.fsum(leaves) for leaves in of_class] for of_class in leaves.transpose(0, 2, 1)]
    model = export_boosted_trees(estimator, list(range(len(sizes))), THRESHOLD_SUMS)
    found = graph_value(model, "margins", inputs)
    assert_rounded_once(found[:, -leaves.shape[2] :], np.array(exact))
