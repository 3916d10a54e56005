"""Tree ensembles as one operator of ai.onnx.ml each.

The stock converter writes a weight for every class into every leaf (57 MB for a forest of
110 users). Here a leaf holds one (class, weight).

- The forest is a `TreeEnsemble` in float64, scikit-learn's own precision. A leaf shared by
  several classes, which only rows with equal features of different users bring about, is
  spread over copies of its tree, one class each.
- Boosting makes a hundred trees for every class: a `TreeEnsembleRegressor`, because ONNX
  Runtime 1.30 takes ten times as long to open as many trees in a `TreeEnsemble`.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from onnx import TensorProto, helper
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from keystroke_training.export.graph import (
    INPUT,
    SCORES,
    TREE_ENSEMBLE_REGRESSOR_OPSET,
    Classes,
    GraphBuilder,
)

# Values of TreeEnsemble's attributes.
_LESS_OR_EQUAL = 0
_SUM = 1
_NO_TRANSFORM = 0


@dataclass(frozen=True)
class Tree:
    """A binary tree as arrays over its nodes, of which node 0 is the root.

    A row goes `left` when its value of `feature` passes the test against `threshold`. Leaves
    have −1 as `left` and `right`, and add `weight` to the class index `target`.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    target: np.ndarray
    weight: np.ndarray


def export_forest(estimator: RandomForestClassifier, classes: Classes) -> bytes:
    """Return the ONNX file of a fitted forest.

    `scores` are scikit-learn's `predict_proba`, `label` the first maximum of them. The
    operator works in float64 and adds the trees in the forest's order, as scikit-learn does,
    so that sums and therefore ties are the same bit by bit.
    """
    graph = GraphBuilder()
    rows = graph.cast(INPUT, TensorProto.DOUBLE, "input_double")
    trees = [tree for member in estimator.estimators_ for tree in _classification_trees(member)]
    sums = _tree_ensemble(graph, rows, trees, len(classes))
    count = graph.scalar("trees", len(estimator.estimators_))
    shares = graph.add("Div", [sums, count], "shares")
    graph.answer_first_maximum(shares, classes)
    graph.cast(shares, TensorProto.FLOAT, SCORES)
    return graph.finish("rf", classes)


def export_boosted_trees(estimator: XGBClassifier, classes: Classes) -> bytes:
    """Return the ONNX file of a fitted gradient-boosted classifier.

    `scores` are XGBoost's `predict_proba`, `label` the first maximum of them. Margins are
    added in float32 in XGBoost's order, so they are the same bit by bit. Two classes are one
    margin, that of the second; softmax([0, margin]) is the logistic function of it.
    """
    graph = GraphBuilder()
    trees = _boosting_trees(estimator, len(classes))
    margins = _tree_ensemble_regressor(graph, INPUT, trees, len(classes))
    graph.add("Softmax", [margins], SCORES, axis=1)
    graph.answer_first_maximum(SCORES, classes)
    return graph.finish("xgb", classes, TREE_ENSEMBLE_REGRESSOR_OPSET)


def _classification_trees(member: DecisionTreeClassifier) -> Iterator[Tree]:
    """The tree, then a copy for the second, third … class of its impure leaves."""
    tree = member.tree_
    shares = tree.value[:, 0, :]
    by_share = np.argsort(-shares, axis=1, kind="stable")
    is_leaf = tree.children_left < 0
    for rank in range(int((shares[is_leaf] > 0).sum(axis=1).max())):
        target = by_share[:, rank]
        weight = np.take_along_axis(shares, target[:, np.newaxis], axis=1)[:, 0]
        yield _without_weightless_branches(
            Tree(
                feature=tree.feature,
                threshold=tree.threshold,
                left=tree.children_left,
                right=tree.children_right,
                target=target,
                weight=np.where(is_leaf, weight, 0.0),
            )
        )


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


def _without_weightless_branches(tree: Tree) -> Tree:
    """The same sums from fewer nodes: a branch of zeros only becomes one leaf."""
    matters = tree.weight != 0
    for node in reversed(range(len(matters))):  # scikit-learn numbers parents before children
        if tree.left[node] >= 0:
            matters[node] = matters[tree.left[node]] or matters[tree.right[node]]
    return replace(
        tree,
        left=np.where(matters, tree.left, -1),
        right=np.where(matters, tree.right, -1),
    )


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
        "sums",
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


def _tree_ensemble(graph: GraphBuilder, rows: str, trees: list[Tree], classes: int) -> str:
    """Sums of the trees' weights by class, float64 [batch, classes], of float64 rows; rows
    with the threshold or less go left.
    """
    nodes = _Nodes()
    for tree in trees:
        nodes.append(tree)
    inner = len(nodes.splits)
    return graph.add(
        "TreeEnsemble",
        [rows],
        "sums",
        n_targets=classes,
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        tree_roots=nodes.roots,
        nodes_featureids=nodes.features,
        nodes_modes=_tensor("modes", TensorProto.UINT8, [_LESS_OR_EQUAL] * inner),
        nodes_splits=_tensor("splits", TensorProto.DOUBLE, nodes.splits),
        nodes_truenodeids=[index for index, _ in nodes.passed],
        nodes_trueleafs=[is_leaf for _, is_leaf in nodes.passed],
        nodes_falsenodeids=[index for index, _ in nodes.failed],
        nodes_falseleafs=[is_leaf for _, is_leaf in nodes.failed],
        leaf_targetids=nodes.targets,
        leaf_weights=_tensor("weights", TensorProto.DOUBLE, nodes.weights),
    )


def _tensor(name: str, data_type: int, values: list) -> TensorProto:
    return helper.make_tensor(name, data_type, [len(values)], values)


class _Nodes:
    """The tables of `TreeEnsemble`: inner nodes and leaves of all trees, numbered apart.

    `passed` and `failed` hold each inner node's children as (index, 1 for a leaf or else 0).
    """

    def __init__(self) -> None:
        self.roots: list[int] = []
        self.features: list[int] = []
        self.splits: list[float] = []
        self.passed: list[tuple[int, int]] = []
        self.failed: list[tuple[int, int]] = []
        self.targets: list[int] = []
        self.weights: list[float] = []

    def append(self, tree: Tree) -> None:
        """Add one tree, its inner nodes breadth first."""
        root = len(self.splits)
        self.roots.append(root)
        if tree.left[0] < 0:
            # The operator demands an inner node: one whose children are the same leaf.
            leaf = self._append_leaf(tree, 0)
            self._append_inner(0, 0.0, leaf, leaf)
            return
        inner = [0]

        def number(node: int) -> tuple[int, int]:
            if tree.left[node] < 0:
                return self._append_leaf(tree, node)
            inner.append(node)
            return root + len(inner) - 1, 0

        for node in inner:  # grows as children are numbered
            passed, failed = number(tree.left[node]), number(tree.right[node])
            self._append_inner(tree.feature[node], tree.threshold[node], passed, failed)

    def _append_inner(
        self, feature: int, split: float, passed: tuple[int, int], failed: tuple[int, int]
    ) -> None:
        self.features.append(int(feature))
        self.splits.append(float(split))
        self.passed.append(passed)
        self.failed.append(failed)

    def _append_leaf(self, tree: Tree, node: int) -> tuple[int, int]:
        self.targets.append(int(tree.target[node]))
        self.weights.append(float(tree.weight[node]))
        return len(self.targets) - 1, 1
