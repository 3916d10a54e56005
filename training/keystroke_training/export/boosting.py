"""Gradient-boosted trees: small ones as threshold sums, large ones as `TreeEnsembleRegressor`.

For a row, the operator takes about 20 ns a tree, threshold sums take 1 ns a test. To open
11,000 small trees, the operator takes 35 ms and 17 MB, threshold sums 3 ms and 0.3 MB. (ONNX
Runtime 1.30 takes ten times as long again with `TreeEnsemble`, the operator's successor.)
"""

import json
import math
from dataclasses import fields

import numpy as np
from xgboost import XGBClassifier

from keystroke_training.export.graph import (
    INPUT,
    SCORES,
    TREE_ENSEMBLE_OPSET,
    TREE_ENSEMBLE_REGRESSOR_OPSET,
    Classes,
    GraphBuilder,
)
from keystroke_training.export.threshold_sums import (
    conditions_by_class,
    count_tests,
    threshold_sums,
)
from keystroke_training.export.tree import Tree

# Per tree, on average. With more, the operator is faster: they meet between 18 and 35.
MOST_TESTS = 20


def export_boosted_trees(
    estimator: XGBClassifier, classes: Classes, most_tests: float = MOST_TESTS
) -> bytes:
    """Return the ONNX file of a fitted gradient-boosted classifier.

    `scores` are XGBoost's `predict_proba`, `label` the first maximum of them. Two classes are
    one margin, that of the second; softmax([0, margin]) is the logistic function of it.

    Trees with less than `most_tests` tests each, on average, become threshold sums, whose
    margins lack the rounding of XGBoost's float32 additions. The operator makes the same
    additions in the same order: its margins are XGBoost's bit by bit.
    """
    graph = GraphBuilder()
    trees = _boosting_trees(estimator, len(classes))
    conditions = conditions_by_class(trees, len(classes))
    if count_tests(conditions) < most_tests * len(trees):
        margins = threshold_sums(graph, INPUT, conditions)
        opset = TREE_ENSEMBLE_OPSET
    else:
        margins = _tree_ensemble_regressor(graph, INPUT, trees, len(classes))
        opset = TREE_ENSEMBLE_REGRESSOR_OPSET
    graph.add("Softmax", [margins], SCORES, axis=1)
    graph.answer_first_maximum(SCORES, classes)
    return graph.finish("xgb", classes, opset)


def _boosting_trees(estimator: XGBClassifier, classes: int) -> list[Tree]:
    """The booster's trees, from XGBoost's documented JSON format."""
    learner = json.loads(estimator.get_booster().save_raw("json"))["learner"]
    model = learner["gradient_booster"]["model"]
    # XGBoost starts a sum with the base margin: adding it to the class's first tree, in
    # float32, is the same first addition.
    base = dict.fromkeys(range(classes), _base_margin(learner))
    trees = []
    for dumped, group in zip(model["trees"], model["tree_info"], strict=True):
        target = 1 if classes == 2 else group
        # A leaf's value stands where an inner node has its threshold.
        values = np.array(dumped["split_conditions"], np.float32)
        trees.append(
            Tree(
                feature=np.array(dumped["split_indices"]),
                threshold=values,
                left=np.array(dumped["left_children"]),
                right=np.array(dumped["right_children"]),
                target=np.full(len(values), target),
                weight=values + base.pop(target, np.float32(0)),
            )
        )
    return trees


def _base_margin(learner: dict) -> np.float32:
    """The margin that every sum starts with, from the pinned scalar `base_score`."""
    base_score = float(learner["learner_model_param"]["base_score"].strip("[]").split(",")[0])
    if learner["objective"]["name"] == "binary:logistic":
        return np.float32(math.log(base_score / (1 - base_score)))
    return np.float32(base_score)


def _tree_ensemble_regressor(
    graph: GraphBuilder, rows: str, trees: list[Tree], classes: int
) -> str:
    """Sums of the trees' weights by class, float32 [batch, classes]; rows with less than the
    threshold go left.
    """
    sizes = [len(tree.left) for tree in trees]
    tree_ids = np.repeat(np.arange(len(trees)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    nodes = {
        field.name: np.concatenate([getattr(tree, field.name) for tree in trees])
        for field in fields(Tree)
    }
    is_leaf = nodes["left"] < 0

    def of_inner(values: np.ndarray) -> list:
        return np.where(is_leaf, 0, values).tolist()

    return graph.add(
        "TreeEnsembleRegressor",
        [rows],
        "margins",
        n_targets=classes,
        aggregate_function="SUM",
        post_transform="NONE",
        nodes_treeids=tree_ids.tolist(),
        nodes_nodeids=node_ids.tolist(),
        nodes_featureids=of_inner(nodes["feature"]),
        nodes_modes=np.where(is_leaf, "LEAF", "BRANCH_LT").tolist(),
        nodes_values=of_inner(nodes["threshold"]),
        nodes_truenodeids=of_inner(nodes["left"]),
        nodes_falsenodeids=of_inner(nodes["right"]),
        target_treeids=tree_ids[is_leaf].tolist(),
        target_nodeids=node_ids[is_leaf].tolist(),
        target_ids=nodes["target"][is_leaf].tolist(),
        target_weights=nodes["weight"][is_leaf].tolist(),
    )
