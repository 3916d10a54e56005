"""Robust templates as plain operators in float32, over [batch, features, users].

The users are innermost: the sum over features is then a row times a matrix, which takes a tenth
of the time that a matrix times a column does.
"""

import numpy as np

from keystroke_training.export.graph import INPUT, SCORES, Classes, GraphBuilder
from keystroke_training.templates import DEGREES, TOGETHER, Templates, alike, expansion


def export_templates(estimator: Templates, classes: Classes) -> bytes:
    """Return the ONNX file of fitted templates.

    `scores` are the evidence, `label` the first maximum of it. With d = distance from the
    centre / (spread × sqrt(degrees)), a user's evidence is a constant, −sum of weight ×
    ln spread, plus the sum of −(degrees + 1) / 2 × weight × ln(1 + d²). Features of one weight
    share a logarithm, that of the product of their 1 + d²; those without one are left out.
    """
    graph = GraphBuilder()
    # Where nothing tells users apart there is no weight; but operators want something to add.
    groups = alike(estimator.weights) or [np.array([0])]
    weights = np.array([estimator.weights[group[0]] for group in groups])
    width = (len(estimator.weights) + 7) // 9 * 6 - 2
    matrix = expansion(width).astype(np.float32)
    product = None
    for place in range(TOGETHER):
        # The last group may have no such feature: then one that is nowhere far.
        members = [group[place] if place < len(group) else None for group in groups]
        factor = _factor(graph, estimator, matrix, members, place)
        name = f"product_{place}"
        product = factor if product is None else graph.add("Mul", [product, factor], name)
    logarithms = graph.add("Log", [product], "logarithms")
    factors = -(DEGREES + 1) / 2 * weights[np.newaxis]
    stored_weights = graph.constant("weights", factors.astype(np.float32))
    sums = graph.add("MatMul", [stored_weights, logarithms], "sums_by_feature")
    sums = graph.add("Squeeze", [sums, graph.axis("feature_axis", 1)], "sums")
    constants = -(np.log(estimator.spreads) @ estimator.weights)
    stored_constants = graph.constant("constants", constants.astype(np.float32))
    graph.add("Add", [sums, stored_constants], SCORES)
    graph.answer_first_maximum(SCORES, classes)
    return graph.finish("templates", classes, width=width)


def _factor(
    graph: GraphBuilder,
    estimator: Templates,
    matrix: np.ndarray,
    members: list[int | None],
    place: int,
) -> str:
    """1 + d² of the features at one place of their groups, [batch, groups, users]."""
    kept = np.array([member for member in members if member is not None], np.int64)
    missing = len(members) - len(kept)
    picked = np.pad(matrix[:, kept], ((0, 0), (0, missing)))
    centres = np.pad(estimator.centres[:, kept], ((0, 0), (0, missing))).T
    scale = np.pad(1 / (estimator.spreads[:, kept] * np.sqrt(DEGREES)), ((0, 0), (0, missing))).T

    def store(name: str, values: np.ndarray) -> str:
        return graph.constant(f"{name}_{place}", values.astype(np.float32))

    def add(operator: str, inputs: list[str], name: str) -> str:
        return graph.add(operator, inputs, f"{name}_{place}")

    values = add("MatMul", [INPUT, store("expansion", picked)], "values")
    axis = graph.axis(f"user_axis_{place}", 2)
    values = add("Unsqueeze", [values, axis], "values_by_user")
    distance = add("Sub", [values, store("centres", centres)], "distance")
    scaled = add("Mul", [distance, store("scale", scale)], "scaled_distance")
    squares = add("Mul", [scaled, scaled], "squares")
    return add("Add", [squares, store("one", np.array(1.0))], "factor")
