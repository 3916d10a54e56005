"""A random forest as one `TreeEnsemble` in float64, scikit-learn's own precision."""

from onnx import TensorProto
from sklearn.ensemble import RandomForestClassifier

from keystroke_training.export.graph import INPUT, SCORES, Classes, GraphBuilder
from keystroke_training.export.tree_ensemble import classification_trees, tree_ensemble


def export_forest(estimator: RandomForestClassifier, classes: Classes) -> bytes:
    """Return the ONNX file of a fitted forest.

    `scores` are scikit-learn's `predict_proba`, `label` the first maximum of them. The
    operator works in float64 and adds the trees in the forest's order, as scikit-learn does,
    so that sums and therefore ties are the same bit by bit.
    """
    graph = GraphBuilder()
    rows = graph.cast(INPUT, TensorProto.DOUBLE, "input_double")
    trees = [tree for member in estimator.estimators_ for tree in classification_trees(member)]
    sums = tree_ensemble(graph, rows, trees, len(classes), TensorProto.DOUBLE)
    count = graph.scalar("trees", len(estimator.estimators_))
    shares = graph.add("Div", [sums, count], "shares")
    graph.answer_first_maximum(shares, classes)
    graph.cast(shares, TensorProto.FLOAT, SCORES)
    return graph.finish("rf", classes)
