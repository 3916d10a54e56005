"""The model of the eight numbers as plain operators, in float64 throughout.

A variance is a small difference of large squares, so float32 would not do. The file is small
even so: what is stored grows with users² and little else.
"""

import numpy as np
from onnx import TensorProto

from keystroke_training.export.graph import INPUT, SCORES, Classes, GraphBuilder
from keystroke_training.summary import (
    CLOCK_VARIANCE,
    DEGREES_OF_FREEDOM,
    EXPRESSED,
    FIRST_HOLD_UNIT,
    HOLD_MEAN_FLOOR,
    HOLD_VARIANCE_FLOOR,
    LAST_HOLD_UNIT,
    LONGEST_HOLD,
    LONGEST_TIME,
    MOST_CORRELATION,
    PPT_MEAN_FLOOR,
    PPT_STD_FLOOR,
    REACH,
    REAL_HOLD,
    RECIPROCAL_FLOOR,
    RECIPROCAL_UNIT,
    STRAIGHT,
    Correction,
    Densities,
    Summary,
    linear_forms,
    square_forms,
)


def export_summary(estimator: Summary, classes: Classes) -> bytes:
    """Return the ONNX file of a fitted `Summary`.

    `scores` are the posterior probabilities, `label` the first maximum of the evidence.
    """
    graph = GraphBuilder()
    expressed = _express(graph, estimator.keys)
    total = _templates(graph, expressed, estimator.templates)
    if estimator.correction is not None:
        correction = _correction(graph, expressed, estimator.correction)
        total = graph.add("Add", [total, correction], "corrected_scores")
    evidence = graph.add("Mul", [total, graph.scalar("factor", estimator.factor)], "evidence")
    graph.answer_first_maximum(evidence, classes)
    posterior = graph.add("Softmax", [evidence], "posterior", axis=1)
    graph.cast(posterior, TensorProto.FLOAT, SCORES)
    return graph.finish("summary", classes)


def _express(graph: GraphBuilder, keys: int) -> str:
    """`express` of the input, float64 [batch, 10]; every step stands there with its reasons."""
    double = graph.cast(INPUT, TensorProto.DOUBLE, "input_double")
    rows = _clip(graph, double, -LONGEST_TIME, LONGEST_TIME, "rows")
    forms = graph.constant("linear_forms", linear_forms(keys))
    linear = graph.add("MatMul", [rows, forms], "linear")
    values = graph.add("Concat", [rows, linear], "values", axis=1)
    products = graph.add("Mul", [values, values], "products")
    forms = graph.constant("square_forms", square_forms(keys))
    squares = graph.add("MatMul", [products, forms], "squares")
    _columns(graph, rows, ["_h", "_hs", "ppt_mean", "ppt_std", "_r", "_rs", "_g", "_gs"])
    _columns(graph, linear, ["first_raw", "last_raw", "_leading", "_trailing", "inner_mean"])
    variances = ["leading", "press", "gap", "trailing", "inner"]
    _columns(graph, squares, [*variances, "before", "after"])

    log_mean = _log_at_least(graph, "ppt_mean", PPT_MEAN_FLOOR)
    log_std = _log_at_least(graph, "ppt_std", PPT_STD_FLOOR)
    first = _clip(graph, "first_raw", 0, LONGEST_HOLD, "first")
    last = _clip(graph, "last_raw", 0, LONGEST_HOLD, "last")
    bounded_std = _at_least(graph, "ppt_std", RECIPROCAL_FLOOR, "bounded_ppt_std")
    reciprocal = graph.scalar("reciprocal_unit", RECIPROCAL_UNIT)
    share = _scaled(graph, first, 1 / REAL_HOLD, "first_share")
    features = [
        log_mean,
        graph.add("Sub", [log_std, log_mean], "relative_spread"),
        _log_at_least(graph, "inner_mean", HOLD_MEAN_FLOOR),
        _scaled(graph, _log_at_least(graph, "inner", HOLD_VARIANCE_FLOOR), 0.5, "inner_spread"),
        _scaled(graph, first, 1 / FIRST_HOLD_UNIT, "first_hold"),
        _scaled(graph, last, 1 / LAST_HOLD_UNIT, "last_hold"),
        _fisher(graph, "before", "press", "leading"),
        _fisher(graph, "after", "gap", "trailing"),
        graph.add("Div", [reciprocal, bounded_std], "reciprocal_spread"),
        graph.add("Min", [share, graph.scalar("whole", 1)], "real_first_hold"),
    ]
    assert len(features) == len(EXPRESSED)
    return graph.add("Concat", features, "expressed", axis=1)


def _templates(graph: GraphBuilder, expressed: str, templates: Densities) -> str:
    """`Densities.score`, float64 [batch, users]."""
    users, features, _ = templates.projections.shape
    # All users' projections side by side are one matrix product.
    projections = templates.projections.transpose(1, 0, 2).reshape(features, -1)
    matrix = graph.constant("projections", projections)
    centred = graph.add("Sub", [expressed, graph.constant("origin", templates.origin)], "centred")
    projected = graph.add("MatMul", [centred, matrix], "projected")
    centres = graph.constant("template_centres", templates.centres.ravel())
    apart = graph.add("Sub", [projected, centres], "apart")
    shape = graph.constant("apart_shape", np.array([-1, users, features], np.int64))
    by_user = graph.add("Reshape", [apart, shape], "apart_by_user")
    axis = graph.axis("template_axis", 2)
    distances = graph.add("ReduceSumSquare", [by_user, axis], "template_distances", keepdims=0)
    shares = _scaled(graph, distances, 1 / DEGREES_OF_FREEDOM, "distance_shares")
    beyond = graph.add("Add", [shares, graph.scalar("one", 1)], "beyond")
    logs = graph.add("Log", [beyond], "logs")
    power = -(DEGREES_OF_FREEDOM + features) / 2 * templates.factor
    tails = _scaled(graph, logs, power, "tails")
    offsets = graph.constant("offsets", templates.factor * templates.offsets)
    return graph.add("Add", [tails, offsets], "template_scores")


def _correction(graph: GraphBuilder, expressed: str, correction: Correction) -> str:
    """`Correction.score`, float64 [batch, users]."""
    bounds = [
        graph.constant(f"straight_{name}", np.array([bound], np.int64))
        for name, bound in (("start", 0), ("end", STRAIGHT), ("axis", 1))
    ]
    straight = graph.add("Slice", [expressed, *bounds], "straight")
    axis = graph.axis("user_axis", 1)
    rows = graph.add("Unsqueeze", [straight, axis], "straight_by_user")
    # Distances to the centres are measured in units of deviation × reach × features.
    units = correction.deviations * (REACH * STRAIGHT)
    scaled = graph.add("Div", [rows, graph.constant("kernel_units", units)], "scaled")
    centres = graph.constant("kernel_centres", correction.centres / (REACH * STRAIGHT))
    apart = graph.add("Sub", [scaled, centres], "kernel_apart")
    feature_axis = graph.axis("feature_axis", 2)
    distances = graph.add("ReduceL1", [apart, feature_axis], "kernel_distances", keepdims=0)
    kernel = graph.add("Exp", [graph.add("Neg", [distances], "exponents")], "kernel")
    return graph.add("MatMul", [kernel, graph.constant("weights", correction.weights)], "added")


def _fisher(graph: GraphBuilder, covariance: str, one: str, other: str) -> str:
    product = graph.add("Mul", [_variance(graph, one), _variance(graph, other)], f"{one}_product")
    root = graph.add("Sqrt", [product], f"{one}_root")
    ratio = graph.add("Div", [covariance, root], f"{covariance}_ratio")
    name = f"{covariance}_correlation"
    bounded = _clip(graph, ratio, -MOST_CORRELATION, MOST_CORRELATION, name)
    one_more = graph.scalar(f"{covariance}_one", 1)
    above = graph.add("Add", [one_more, bounded], f"{covariance}_above")
    below = graph.add("Sub", [one_more, bounded], f"{covariance}_below")
    odds = graph.add("Div", [above, below], f"{covariance}_odds")
    return _scaled(graph, graph.add("Log", [odds], f"log_{odds}"), 0.5, f"{covariance}_fisher")


def _variance(graph: GraphBuilder, value: str) -> str:
    bounded = _at_least(graph, value, 0, f"{value}_bounded")
    clock = graph.scalar(f"{value}_clock", CLOCK_VARIANCE)
    return graph.add("Add", [bounded, clock], f"{value}_variance")


def _log_at_least(graph: GraphBuilder, value: str, floor: float) -> str:
    return graph.add("Log", [_at_least(graph, value, floor, f"{value}_floored")], f"log_{value}")


def _at_least(graph: GraphBuilder, value: str, floor: float, output: str) -> str:
    return graph.add("Max", [value, graph.scalar(f"{output}_floor", floor)], output)


def _scaled(graph: GraphBuilder, value: str, scale: float, output: str) -> str:
    return graph.add("Mul", [value, graph.scalar(f"{output}_scale", scale)], output)


def _clip(graph: GraphBuilder, value: str, least: float, most: float, output: str) -> str:
    bounds = [graph.scalar(f"{output}_least", least), graph.scalar(f"{output}_most", most)]
    return graph.add("Clip", [value, *bounds], output)


def _columns(graph: GraphBuilder, value: str, names: list[str]) -> None:
    """Name every column of a value, each [batch, 1]."""
    graph.split(value, dict.fromkeys(names, 1), axis=1)
