"""TODO"""

import math
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto
from sklearn.svm import SVC

from keystroke_training.export.graph import INPUT, SCORES, Classes, GraphBuilder


def export_svm(estimator: SVC, classes: Classes) -> bytes:
    """Return the ONNX file of a fitted RBF `SVC` whose `gamma` is a number.

    `label` is scikit-learn's `predict`, `scores` its `decision_function` in one-vs-rest form
    (for two classes [-d, d], where d is its only column).
    """
    graph = GraphBuilder()
    layout = _Layout.of(len(classes))
    margins = _margins(graph, _kernel(graph, estimator, layout), estimator, layout)
    narrow = graph.cast(margins, TensorProto.FLOAT, "margins_float")
    higher_wins, lower_wins = _votes(graph, margins, narrow, layout)
    graph.answer_first_maximum(_by_row(graph, higher_wins, layout), classes)
    _answer_scores(graph, narrow, lower_wins, layout)
    return graph.finish("svm", classes)


@dataclass(frozen=True)
class _Layout:
    classes: int
    groups: int
    size: int

    @classmethod
    def of(cls, classes: int) -> "_Layout":
        def cost(size: int) -> tuple[float, int, int]:
            groups = max(3, math.ceil(classes / size) | 1)
            return groups * (groups // 2 + 1) * size * (size + 1), groups, size

        _, groups, size = min(cost(size) for size in range(1, classes + 1))
        return cls(classes, groups, size)

    @property
    def places(self) -> int:
        return self.groups * self.size

    @property
    def steps(self) -> int:
        return self.groups // 2 + 1

    @property
    def width(self) -> int:
        return self.steps * self.size

    def pairs(self):
        group, member, step, other = np.indices((self.groups, self.size, self.steps, self.size)).reshape(4, -1)
        own = group * self.size + member
        opponent = (group + step) % self.groups * self.size + other
        reply = opponent * self.width + step * self.size + member
        return own, opponent, reply


def _kernel(graph: GraphBuilder, estimator: SVC, layout) -> str:
    """exp(−γ‖x − s‖²) for every support vector s, and 1 as the last of each class, float64
    [places, m + 1, batch].
    """
    vectors = _by_class(estimator, estimator.support_vectors_)
    _, width, features = vectors.shape
    # ‖x‖² + ‖s‖² − 2x·s cancels badly far from the origin; near the centre it is exact enough.
    centre = estimator.support_vectors_.mean(axis=0)
    vectors = vectors - centre
    gamma = np.full((*vectors.shape[:2], 1), estimator.gamma)
    factors = np.concatenate([2 * gamma * vectors, -gamma], axis=2)
    offsets = -gamma * (vectors * vectors).sum(axis=2, keepdims=True)
    more = ((0, layout.places - layout.classes), (0, 1), (0, 0))

    double = graph.cast(INPUT, TensorProto.DOUBLE, "input_double")
    centred = graph.add("Sub", [double, graph.constant("centre", centre)], "centred")
    squares = graph.add(
        "ReduceSumSquare", [centred, graph.axis("feature_axis", 1)], "squares", keepdims=1
    )
    extended = graph.add("Concat", [centred, squares], "extended", axis=1)
    exponents = graph.add(
        "Gemm",
        [
            graph.constant("factors", np.pad(factors, more).reshape(-1, features + 1)),
            extended,
            graph.constant("offsets", np.pad(offsets, more).reshape(-1, 1)),
        ],
        "exponents",
        transB=1,
    )
    flat = graph.add("Exp", [exponents], "kernel_flat")
    shape = graph.constant("kernel_shape", np.array([layout.places, width + 1, -1]))
    return graph.add("Reshape", [flat, shape], "kernel")


def _margins(graph: GraphBuilder, kernel: str, estimator, layout) -> str:
    own, opponent, reply = layout.pairs()
    more = layout.places - layout.classes
    weights, intercepts = _dense_machines(estimator)
    weights = np.pad(weights.transpose(0, 2, 1), ((0, more), (0, more), (0, 0))).astype(np.float32)
    intercepts = np.pad(intercepts, (0, more))[own, opponent]
    absent = (np.maximum(own, opponent) >= layout.classes) | (own == opponent)
    intercepts[absent] = -1
    replies = np.empty((len(own), weights.shape[2]), np.float32)
    replies[reply] = weights[opponent, own]

    def said(name, weights, constants):
        shape = (layout.places, layout.width, -1)
        stored = graph.constant(f"{name}_weights", weights.reshape(shape))
        double = graph.cast(stored, TensorProto.DOUBLE, f"{name}_weights_double")
        last = graph.constant(f"{name}_constants", constants.reshape(shape))
        double = graph.add("Concat", [double, last], f"{name}_all_weights", axis=2)
        by_class = graph.add("MatMul", [double, kernel], f"{name}_by_class")
        flat = graph.constant(f"{name}_shape", np.array([len(own), -1]))
        return graph.add("Reshape", [by_class, flat], name)

    mine = said("said", weights[own, opponent], intercepts)
    theirs = said("replies", replies, np.zeros(len(own)))
    order = graph.constant("reply_order", reply.astype(np.int32))
    theirs = graph.add("Gather", [theirs, order], "replied")
    return graph.add("Sub", [mine, theirs], "margins")


def _sums(graph: GraphBuilder, values: str, layout) -> str:
    groups, size, steps = layout.groups, layout.size, layout.steps

    def shaped(value, name, *shape):
        return graph.add("Reshape", [value, graph.constant(f"{name}_shape", np.array(shape))], name)

    def summed(value, axis, name):
        return graph.add("ReduceSum", [value, graph.axis(f"{name}_axis", axis)], name, keepdims=0)

    own = summed(shaped(values, f"{values}_by_own", layout.places, layout.width, -1), 1, f"{values}_own")
    against = summed(shaped(values, f"{values}_by_member", groups, size, -1), 1, f"{values}_against")
    by_step = shaped(against, f"{values}_by_step", groups * steps, -1)
    group, step = np.indices((groups, steps))[:, :, 1:]
    met = graph.constant(f"{values}_met", (group - step) % groups * steps + step)
    met = graph.add("Gather", [by_step, met], f"{values}_met_by", axis=0)
    lost = shaped(summed(met, 1, f"{values}_lost_by_group"), f"{values}_lost", layout.places, -1)
    return graph.add("Sub", [own, lost], f"{values}_sums")


_CLIP = 2.0**-40


def _votes(graph, margins, narrow, layout):
    low, high = (graph.constant(n, np.float32(v)) for n, v in (("lost", -_CLIP), ("won", _CLIP)))
    clipped = graph.add("Clip", [narrow, low, high], "clipped")
    votes = _balance(graph, clipped, layout, _CLIP)
    flat = graph.add("Reshape", [clipped, graph.constant("flat_shape", np.array([layout.places, 1, -1]))], "clipped_flat")
    turned = graph.add("Transpose", [flat], "clipped_turned", perm=[0, 2, 1])
    squares = graph.add("MatMul", [flat, turned], "clipped_squares")
    least = graph.add("ReduceMin", [squares], "least_square", keepdims=0)
    count = graph.cast(graph.add("Shape", [INPUT], "batch", start=0, end=1), TensorProto.FLOAT, "batch_float")
    full = graph.add("Mul", [count, graph.constant("full_row", np.float32(layout.width * _CLIP**2))], "full")
    certain = graph.add("Squeeze", [graph.add("GreaterOrEqual", [least, full], "certain_1")], "certain")
    passed, ties = graph.branch(), graph.branch()
    same = [passed.add("Identity", [votes], name) for name in ("same_label", "same_score")]
    return graph.choose(
        certain, (passed, same), (ties, _with_ties(ties, margins, layout)), ["label_votes", "score_votes"]
    )


def _balance(graph, values, layout, unit):
    sums = _sums(graph, values, layout)
    halves = graph.add("Mul", [sums, graph.constant(f"{values}_unit", np.float32(0.5 / unit))], f"{values}_halves")
    return graph.add("Add", [halves, graph.constant(f"{values}_base", np.float32(layout.places / 2))], f"{values}_votes")


def _with_ties(graph, margins, layout):
    own, opponent, _ = layout.pairs()
    sign = graph.cast(graph.add("Sign", [margins], "signs_double"), TensorProto.FLOAT, "signs")
    to_higher = graph.constant("to_higher", np.sign(own - opponent)[:, None].astype(np.float32))
    tie = graph.cast(graph.add("Equal", [sign, graph.constant("zero", np.float32(0))], "tie"), TensorProto.FLOAT, "tie_float")
    tie = graph.add("Mul", [tie, to_higher], "tie_votes")
    results = []
    for name, operator in (("label", "Add"), ("score", "Sub")):
        decided = graph.add(operator, [sign, tie], f"{name}_signs")
        results.append(_balance(graph, decided, layout, 1))
    return results


def _by_row(graph, value, layout):
    if layout.places > layout.classes:
        end = graph.constant(f"{value}_end", np.array([layout.classes]))
        value = graph.add("Slice", [value, graph.axis(f"{value}_start", 0), end], f"{value}_real")
    return graph.add("Transpose", [value], f"{value}_by_row", perm=[1, 0])


def _answer_scores(graph, margins, votes, layout):
    sums = _by_row(graph, _sums(graph, margins, layout), layout)
    # absent opponents are margins of -1
    extra = graph.constant("absent", np.float32(layout.places - layout.classes + 1))
    if layout.classes == 2:
        graph.add("Add", [sums, extra], SCORES)
        return
    sums = graph.add("Add", [sums, extra], "margin_sums")
    soft = graph.add("Softsign", [sums], "soft")
    fraction = graph.add("Mul", [soft, graph.constant("third", np.float32(1 / 3))], "fraction")
    graph.add("Add", [_by_row(graph, votes, layout), fraction], SCORES)


def _dense_machines(estimator: SVC) -> tuple[np.ndarray, np.ndarray]:
    """Weights [classes, m, opponents] and antisymmetric intercepts [classes, classes].

    In `dual_coef_`, the row of a vector's weight against an opponent is the opponent's index
    among the classes other than the vector's own, and the sign favours the lower class.
    """
    classes = len(estimator.classes_)
    # scikit-learn publishes the machine of two classes with its sign flipped.
    sign = -1.0 if classes == 2 else 1.0
    coefficients = _by_class(estimator, sign * estimator.dual_coef_.T)
    weights = np.zeros((classes, coefficients.shape[1], classes))
    for own in range(classes):
        weights[own, :, :own] = -coefficients[own, :, :own]
        weights[own, :, own + 1 :] = coefficients[own, :, own:]
    intercepts = np.zeros((classes, classes))
    intercepts[np.triu_indices(classes, k=1)] = sign * estimator.intercept_
    return weights, intercepts - intercepts.T


def _by_class(estimator: SVC, values: np.ndarray) -> np.ndarray:
    """Split per-vector rows [vectors, n] by class and pad with zeros: [classes, m, n]."""
    sizes = estimator.n_support_
    groups = np.split(values, np.cumsum(sizes)[:-1])
    return np.stack([np.pad(group, ((0, sizes.max() - len(group)), (0, 0))) for group in groups])
