"""Extremely randomised trees as one `TreeEnsembleRegressor` in float32.

`TreeEnsemble`, the operator's successor, allows a leaf one user only; a leaf of two would need
a second copy of its tree. It takes ten times as long to open, too.
"""

import numpy as np

from keystroke_training.export.graph import (
    INPUT,
    SCORES,
    TREE_ENSEMBLE_REGRESSOR_OPSET,
    Classes,
    GraphBuilder,
)
from keystroke_training.trees import FLOOR, Trees


def export_trees(estimator: Trees, classes: Classes) -> bytes:
    """Return the ONNX file of fitted trees: `scores` are the evidence, `label` the first
    maximum of it.

    scikit-learn compares float32 features with float64 thresholds: the greatest float32 that
    is not above a threshold decides the same.
    """
    graph = GraphBuilder()
    members = [member.tree_ for member in estimator.forest.estimators_]
    votes = _votes(graph, members, len(classes))
    count = graph.constant("trees", np.array(len(members), np.float32))
    shares = graph.add("Div", [votes, count], "shares")
    floor = graph.constant("floor", np.array(FLOOR, np.float32))
    raised = graph.add("Max", [shares, floor], "raised_shares")
    exponent = graph.constant("exponent", np.array(estimator.exponent, np.float32))
    graph.add("Mul", [graph.add("Log", [raised], "logarithms"), exponent], SCORES)
    graph.answer_first_maximum(SCORES, classes)
    width = estimator.forest.n_features_in_
    return graph.finish("trees", classes, TREE_ENSEMBLE_REGRESSOR_OPSET, width)


def _votes(graph: GraphBuilder, members: list, classes: int) -> str:
    """Sums over trees of users' shares in the leaves that rows reach, float32 [batch, classes]."""
    sizes = [tree.node_count for tree in members]
    tree_ids = np.repeat(np.arange(len(members)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    left, right, feature, threshold = (
        np.concatenate([getattr(tree, name) for tree in members])
        for name in ("children_left", "children_right", "feature", "threshold")
    )
    is_leaf = left < 0
    shares = np.concatenate([tree.value[:, 0, :] for tree in members])
    node, target = np.nonzero(np.where(is_leaf[:, np.newaxis], shares, 0))

    def of_inner(values: np.ndarray) -> list:
        return np.where(is_leaf, 0, values).tolist()

    return graph.add(
        "TreeEnsembleRegressor",
        [INPUT],
        "votes",
        n_targets=classes,
        aggregate_function="SUM",
        post_transform="NONE",
        nodes_treeids=tree_ids.tolist(),
        nodes_nodeids=node_ids.tolist(),
        nodes_featureids=of_inner(feature),
        nodes_modes=np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_values=of_inner(_not_above(threshold)),
        nodes_truenodeids=of_inner(left),
        nodes_falsenodeids=of_inner(right),
        target_treeids=tree_ids[node].tolist(),
        target_nodeids=node_ids[node].tolist(),
        target_ids=target.tolist(),
        target_weights=shares[node, target].astype(np.float32).tolist(),
    )


def _not_above(values: np.ndarray) -> np.ndarray:
    """The greatest float32 not above each float64 value."""
    nearest = values.astype(np.float32)
    return np.where(nearest > values, np.nextafter(nearest, np.float32(-np.inf)), nearest)
