"""Boosted trees as weighted sums of threshold tests, in dense operators.

A tree gives the weight of the leaf that a row reaches, which is

    V(root) + Σ tₙ × (V(passed child of n) − V(failed child of n)) over the inner nodes n,

where V(x) is the weight of the leaf that failing all tests from x on leads to, and tₙ is 1 if
the row reaches n and passes its test, otherwise 0. Each tₙ is a *condition*, a few tests that
must all be passed: those on the way to n, as the way goes, and n's own. Of several tests of a
feature in the same direction the tightest is enough. Trees of a class often have the same
conditions, whose weights are added: 27,014 inner nodes of 11,000 trees for 110 users come
down to 12,341 conditions.

- A test is `operand < threshold`, where an operand is a feature or its negative: failing
  x < t is passing −x < −p, with p the next float32 below t.
- Conditions stand in *columns*, eight pairs of one class each. The two of a pair are tested
  on the same operands, so that half as many have to be picked.
- Columns with more tests stand first, so each test is made in the first so many columns. A
  test that a condition has no use for is one that every number passes.
- A product with a matrix of 0, 1 and −1 picks the operands (exactly, for all other terms are
  zero), one comparison makes all tests, and `And` joins them, one test after the other.
- Weights are whole multiples of a power of two, small enough not to matter and large enough
  for all their float64 sums to be exact. A margin is therefore the sum of the leaves, rounded
  once, whatever the order of additions, and classes with equal leaves have equal margins.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from onnx import TensorProto

from keystroke_training.export.graph import GraphBuilder
from keystroke_training.export.tree import Tree
from keystroke_training.features import FEATURE_ORDER

_PAIRS = 8  # in a column

Operand = tuple[int, int]  # index of the feature, and 1 or −1
Condition = tuple[tuple[Operand, float], ...]  # tests, each of another operand


def conditions_by_class(trees: list[Tree], classes: int) -> list[dict[Condition, float]]:
    """Return the conditions of each class with their weights.

    Every tree is of the class that its leaves add to; rows with less than the threshold go
    left. What a row gets in any case is the weight of the condition without tests.
    """
    unit = _unit(trees)
    merged: list[dict[Condition, float]] = [{} for _ in range(classes)]
    for tree in trees:
        weights = merged[tree.target[0]]
        for condition, weight in _conditions(tree, unit):
            weights[condition] = weights.get(condition, 0.0) + weight
    return merged


def count_tests(conditions: list[dict[Condition, float]]) -> int:
    """Return how many tests all conditions have together."""
    return sum(len(condition) for weights in conditions for condition in weights)


def threshold_sums(graph: GraphBuilder, rows: str, conditions: list[dict[Condition, float]]) -> str:
    """Sums by class of the weights of the conditions that rows meet, float32
    [batch, classes], of float32 rows.
    """
    columns = [
        column for target, weights in enumerate(conditions) for column in _columns(target, weights)
    ]
    columns.sort(key=lambda column: -column.tests)
    columns.append(_Column(target=-1, pairs=[]))  # of no class, and empty
    # How many columns have a first test, a second one, …
    counts = [sum(column.tests > test for column in columns) for test in range(columns[0].tests)]
    met = _met(graph, _passed(graph, rows, columns, counts), counts)
    return _sums(graph, met, columns, len(conditions))


@dataclass(frozen=True)
class _Pair:
    """One or two conditions, as thresholds by operand, and their weights."""

    operands: list[Operand]
    conditions: list[dict[Operand, float]]
    weights: list[float]


@dataclass(frozen=True)
class _Column:
    """Up to _PAIRS pairs of the class `target`."""

    target: int
    pairs: list[_Pair]

    @property
    def tests(self) -> int:
        """As many as its pairs need, but at least one."""
        return max([1, *(len(pair.operands) for pair in self.pairs)])


def _unit(trees: list[Tree]) -> float:
    """The power of two that weights are multiples of: all together, with any signs, they are
    less than 2⁵³ of it.
    """
    nodes = sum(len(tree.weight) for tree in trees)
    largest = max(float(np.abs(tree.weight[tree.left < 0]).max()) for tree in trees)
    _, exponent = math.frexp(2 * nodes * largest)  # a weight is at most two leaves
    return 2.0 ** (exponent - 53)


def _conditions(tree: Tree, unit: float) -> Iterator[tuple[Condition, float]]:
    """The conditions of one tree."""
    rounded = np.round(tree.weight.astype(np.float64) / unit) * unit

    def value(node: int) -> float:
        while tree.left[node] >= 0:
            node = tree.right[node]
        return float(rounded[node])

    yield (), value(0)
    reached: list[tuple[int, dict[Operand, float]]] = [(0, {})]
    for node, path in reached:  # grows as children are reached
        left, right = tree.left[node], tree.right[node]
        if left < 0:
            continue
        feature, threshold = int(tree.feature[node]), np.float32(tree.threshold[node])
        passed = _and(path, (feature, 1), threshold)
        failed = _and(path, (feature, -1), np.nextafter(-threshold, np.float32(np.inf)))
        yield tuple(sorted(passed.items())), value(left) - value(right)
        reached += [(left, passed), (right, failed)]


def _and(
    path: dict[Operand, float], operand: Operand, threshold: np.float32
) -> dict[Operand, float]:
    return {**path, operand: min(float(threshold), path.get(operand, np.inf))}


def _columns(target: int, weights: dict[Condition, float]) -> Iterator[_Column]:
    pairs = sorted(_pairs(weights), key=lambda pair: -len(pair.operands))
    for start in range(0, len(pairs), _PAIRS):
        yield _Column(target, pairs[start : start + _PAIRS])


def _pairs(weights: dict[Condition, float]) -> Iterator[_Pair]:
    """Pair conditions, those of most tests first, each with the one that adds the fewest
    operands.
    """
    left = [(dict(condition), weight) for condition, weight in weights.items()]
    left.sort(key=lambda item: -len(item[0]))
    while left:
        members = [left.pop(0)]
        operands = members[0][0].keys()
        if left:
            added = [len(condition.keys() - operands) for condition, _ in left]
            members.append(left.pop(added.index(min(added))))
            operands |= members[1][0].keys()
        conditions, values = zip(*members, strict=True)
        yield _Pair(sorted(operands), list(conditions), list(values))


def _passed(graph: GraphBuilder, rows: str, columns: list[_Column], counts: list[int]) -> str:
    """Which tests rows pass, bool [batch, 2 × _PAIRS, tests]: the first tests of the columns,
    then the second tests of those that have one, and so on.
    """
    *starts, tests = accumulate(counts, initial=0)
    picks = np.zeros((len(FEATURE_ORDER), _PAIRS, tests), np.float32)
    thresholds = np.full((2, _PAIRS, tests), np.inf, np.float32)
    for index, column in enumerate(columns):
        for place, pair in enumerate(column.pairs):
            for start, operand in zip(starts, pair.operands, strict=False):
                feature, sign = operand
                picks[feature, place, start + index] = sign
                for member, condition in enumerate(pair.conditions):
                    bound = condition.get(operand, np.inf)
                    thresholds[member, place, start + index] = bound

    # [batch, 1, …] against [2, …] tests both conditions of a pair on its operands.
    features = graph.add("Unsqueeze", [rows, graph.axis("pair_axis", 1)], "features")
    matrix = graph.constant("picks", picks.reshape(len(FEATURE_ORDER), -1))
    operands = graph.add("MatMul", [features, matrix], "operands")
    bounds = graph.constant("thresholds", thresholds.reshape(2, -1))
    passed = graph.add("Less", [operands, bounds], "passed")
    shape = graph.constant("column_shape", np.array([-1, 2 * _PAIRS, tests], np.int64))
    return graph.add("Reshape", [passed, shape], "passed_by_column")


def _met(graph: GraphBuilder, passed: str, counts: list[int]) -> str:
    """Which conditions rows meet, bool [batch, 2 × _PAIRS, columns]."""
    sizes = {}
    for test, (count, longer) in enumerate(pairwise(counts)):
        sizes[f"test_{test}"] = longer
        sizes[f"last_test_{test}"] = count - longer
    met = f"last_test_{len(counts) - 1}"
    sizes[met] = counts[-1]
    graph.split(passed, sizes, axis=2)
    for test in reversed(range(len(counts) - 1)):
        longer = graph.add("And", [f"test_{test}", met], f"longer_met_from_{test}")
        met = graph.add("Concat", [longer, f"last_test_{test}"], f"met_from_{test}", axis=2)
    return met


def _sums(graph: GraphBuilder, met: str, columns: list[_Column], classes: int) -> str:
    """The weights of the conditions that rows meet, added by class, float32 [batch, classes]."""
    *filled, _ = columns
    weights = np.zeros((2, _PAIRS, len(columns)))
    by_class: list[list[int]] = [[] for _ in range(classes)]
    for index, column in enumerate(filled):
        by_class[column.target].append(index)
        for place, pair in enumerate(column.pairs):
            weights[: len(pair.weights), place, index] = pair.weights
    # Where a class has fewer columns than others, the empty one stands for the rest.
    of_class = np.full((classes, max(map(len, by_class))), len(filled), np.int64)
    for target, own in enumerate(by_class):
        of_class[target, : len(own)] = own

    numbers = graph.cast(met, TensorProto.DOUBLE, "met")
    stored = graph.constant("weights", weights.reshape(2 * _PAIRS, -1))
    weighted = graph.add("Mul", [numbers, stored], "weighted")
    places = graph.axis("place_axis", 1)
    sums = graph.add("ReduceSum", [weighted, places], "column_sums", keepdims=0)
    indices = graph.constant("columns_of_class", of_class)
    grouped = graph.add("Gather", [sums, indices], "column_sums_by_class", axis=1)
    margins = graph.add("ReduceSum", [grouped, graph.axis("column_axis", 2)], "sums", keepdims=0)
    return graph.cast(margins, TensorProto.FLOAT, "margins")
