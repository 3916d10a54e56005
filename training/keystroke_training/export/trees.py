"""Extremely randomised trees as one `TreeEnsemble` in float32."""

import numpy as np
from onnx import TensorProto

from keystroke_training.export.graph import INPUT, SCORES, Classes, GraphBuilder
from keystroke_training.export.tree_ensemble import classification_trees, tree_ensemble
from keystroke_training.trees import FLOOR, Trees


def export_trees(estimator: Trees, classes: Classes) -> bytes:
    """Return the ONNX file of fitted trees: `scores` are the evidence, `label` the first
    maximum of it.

    scikit-learn narrows rows to float32 itself, and votes are counted, so float32 loses
    nothing but the last bits of a leaf that rows of different users share.
    """
    graph = GraphBuilder()
    members = estimator.forest.estimators_
    trees = [tree for member in members for tree in classification_trees(member)]
    votes = tree_ensemble(graph, INPUT, trees, len(classes), TensorProto.FLOAT)
    count = graph.constant("trees", np.array(len(members), np.float32))
    shares = graph.add("Div", [votes, count], "shares")
    floor = graph.constant("floor", np.array(FLOOR, np.float32))
    raised = graph.add("Max", [shares, floor], "raised_shares")
    exponent = graph.constant("exponent", np.array(estimator.exponent, np.float32))
    graph.add("Mul", [graph.add("Log", [raised], "logarithms"), exponent], SCORES)
    graph.answer_first_maximum(SCORES, classes)
    return graph.finish("trees", classes, width=estimator.forest.n_features_in_)
