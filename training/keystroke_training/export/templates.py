"""Robust templates as plain operators in float32, over [batch, features, users].

The users are innermost: the sum over features is then a row times a matrix, which takes a tenth
of the time that a matrix times a column does.
"""

import numpy as np

from keystroke_training.export.graph import INPUT, SCORES, Classes, GraphBuilder
from keystroke_training.templates import DEGREES, Templates, expansion


def export_templates(estimator: Templates, classes: Classes) -> bytes:
    """Return the ONNX file of fitted templates.

    `scores` are the evidence, `label` the first maximum of it. With d = distance from the
    centre / (spread × sqrt(degrees)), a user's evidence is a constant, −sum of weight ×
    ln spread, plus the sum of −(degrees + 1) / 2 × weight × ln(1 + d²). Features without a
    weight are left out.
    """
    graph = GraphBuilder()
    kept = estimator.weights > 0
    weights = estimator.weights[kept]
    centres, spreads = estimator.centres[:, kept].T, estimator.spreads[:, kept].T
    width = (len(estimator.weights) + 7) // 9 * 6 - 2
    matrix = graph.constant("expansion", expansion(width)[:, kept].astype(np.float32))
    values = graph.add("MatMul", [INPUT, matrix], "values")
    user_axis = graph.axis("user_axis", 2)
    values = graph.add("Unsqueeze", [values, user_axis], "values_by_user")
    stored_centres = graph.constant("centres", centres.astype(np.float32))
    distance = graph.add("Sub", [values, stored_centres], "distance")
    scale = graph.constant("scale", (1 / (spreads * np.sqrt(DEGREES))).astype(np.float32))
    scaled = graph.add("Mul", [distance, scale], "scaled_distance")
    squares = graph.add("Mul", [scaled, scaled], "squares")
    one = graph.constant("one", np.array(1, np.float32))
    logarithms = graph.add("Log", [graph.add("Add", [squares, one], "beyond")], "logarithms")
    factors = -(DEGREES + 1) / 2 * weights[np.newaxis]
    stored_weights = graph.constant("weights", factors.astype(np.float32))
    sums = graph.add("MatMul", [stored_weights, logarithms], "sums_by_feature")
    sums = graph.add("Squeeze", [sums, graph.axis("feature_axis", 1)], "sums")
    constants = -(weights @ np.log(spreads))
    stored_constants = graph.constant("constants", constants.astype(np.float32))
    graph.add("Add", [sums, stored_constants], SCORES)
    graph.answer_first_maximum(SCORES, classes)
    return graph.finish("templates", classes, width=width)
