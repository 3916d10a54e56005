"""A one-vs-one RBF support vector machine as a few dense operators.

The stock converter writes one machine per pair of classes (5,995 for 110 users), which takes
seconds to load. Here all pairs are one batched matrix product:

- Support vectors are grouped by class, each group padded with weightless vectors to the size
  `m` of the largest; the kernel row of an input is K [class, m].
- Q[c, o] = Σ weight × K over the vectors of class c is what class c says about the pair
  (c, o), positive in its own favour.
- A = Q − Qᵀ + B, antisymmetric, with B the intercepts, holds the margins of all pairs:
  A[c, o] > 0 is a vote for c against o. The file compares Q − Qᵀ with −B, which is the same.

The arithmetic is float64: in float32 one row in two hundred has a pair so close to zero that
a vote tips over. Only the weights are stored as float32, to halve the file.
"""

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
    weights, intercepts = _dense_machines(estimator)
    margins = _pair_differences(graph, _kernel(graph, estimator), weights)
    # libsvm's `predict` gives the vote of an exactly zero margin to the higher class,
    # scikit-learn's `decision_function` to the lower one.
    higher_wins = _votes(graph, margins, intercepts, np.tri(len(classes), k=-1), "predict")
    lower_wins = _votes(graph, margins, intercepts, np.tri(len(classes), k=-1).T, "decision")
    graph.answer_first_maximum(higher_wins, classes)
    _answer_scores(graph, margins, intercepts, lower_wins)
    return graph.finish("svm", classes)


def _kernel(graph: GraphBuilder, estimator: SVC) -> str:
    """exp(−γ‖x − s‖²) for every support vector s, float64 [classes, batch, m]."""
    vectors = _by_class(estimator, estimator.support_vectors_)
    classes, width, features = vectors.shape
    # ‖x‖² + ‖s‖² − 2x·s cancels badly far from the origin; near the centre it is exact enough.
    centre = estimator.support_vectors_.mean(axis=0)
    vectors = vectors.reshape(-1, features) - centre

    double = graph.cast(INPUT, TensorProto.DOUBLE, "input_double")
    centred = graph.add("Sub", [double, graph.constant("centre", centre)], "centred")
    squares = graph.add(
        "ReduceSumSquare", [centred, graph.axis("feature_axis", 1)], "squares", keepdims=1
    )
    products = graph.add("MatMul", [centred, graph.constant("vectors", -2 * vectors.T)], "products")
    vector_squares = graph.constant("vector_squares", (vectors * vectors).sum(axis=1))
    partial = graph.add("Add", [products, squares], "partial_distances")
    distances = graph.add("Add", [partial, vector_squares], "distances")
    exponents = graph.add(
        "Mul", [distances, graph.scalar("minus_gamma", -estimator.gamma)], "exponents"
    )
    flat = graph.add("Exp", [exponents], "kernel_flat")
    shape = graph.constant("kernel_shape", np.array([-1, classes, width], np.int64))
    kernel = graph.add("Reshape", [flat, shape], "kernel")
    return graph.add("Transpose", [kernel], "kernel_by_class", perm=[1, 0, 2])


def _pair_differences(graph: GraphBuilder, kernel: str, weights: np.ndarray) -> str:
    """Q − Qᵀ, float64 [batch, classes, classes]."""
    stored = graph.constant("weights", weights.astype(np.float32))
    double = graph.cast(stored, TensorProto.DOUBLE, "weights_double")  # folded at load
    pairs = graph.add("MatMul", [kernel, double], "pairs")
    own = graph.add("Transpose", [pairs], "own", perm=[1, 0, 2])
    opponent = graph.add("Transpose", [pairs], "opponent", perm=[1, 2, 0])
    return graph.add("Sub", [own, opponent], "differences")


def _votes(
    graph: GraphBuilder, differences: str, intercepts: np.ndarray, takes_ties: np.ndarray, name: str
) -> str:
    """Votes of every class, float32 [batch, classes]; `takes_ties` [classes, classes] is 1
    where the row's class gets the vote of an exactly zero margin.
    """
    # x >= t is x > the next number below t, so one comparison serves both kinds of pairs.
    thresholds = np.where(takes_ties, np.nextafter(-intercepts, -np.inf), -intercepts)
    bound = graph.constant(f"{name}_thresholds", thresholds)
    won = graph.add("Greater", [differences, bound], f"{name}_won")
    counted = graph.cast(won, TensorProto.FLOAT, f"{name}_won_float")
    axis = graph.axis(f"{name}_opponents", 2)
    return graph.add("ReduceSum", [counted, axis], f"{name}_votes", keepdims=0)


def _answer_scores(
    graph: GraphBuilder, differences: str, intercepts: np.ndarray, votes: str
) -> None:
    """scikit-learn's `_ovr_decision_function`: votes + s / (3 (|s| + 1)), where s is the sum
    of the class's margins; for two classes s itself.
    """
    axis = graph.axis("opponents", 2)
    pairs = graph.add("ReduceSum", [differences, axis], "difference_sums", keepdims=0)
    offsets = graph.constant("intercept_sums", intercepts.sum(axis=1))
    sums = graph.add("Add", [pairs, offsets], "margin_sums")
    if len(intercepts) == 2:
        graph.cast(sums, TensorProto.FLOAT, SCORES)
        return
    size = graph.add("Abs", [sums], "margin_sizes")
    larger = graph.add("Add", [size, graph.scalar("one", 1)], "margin_sizes_plus_one")
    scale = graph.add("Mul", [larger, graph.scalar("three", 3)], "scales")
    fractions = graph.add("Div", [sums, scale], "fractions")
    votes_double = graph.cast(votes, TensorProto.DOUBLE, "decision_votes_double")
    scores = graph.add("Add", [votes_double, fractions], "scores_double")
    graph.cast(scores, TensorProto.FLOAT, SCORES)


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
