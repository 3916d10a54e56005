"""The reference models: the estimators of the original exercise, defaults made explicit.

Every estimator is fitted on class indices 0 … n-1 (positions in the sorted classes), as
XGBoost demands; scikit-learn's answers do not depend on it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC
from xgboost import XGBClassifier

from keystroke_training.export.boosting import export_boosted_trees
from keystroke_training.export.forest import export_forest
from keystroke_training.export.graph import Classes
from keystroke_training.export.svm import export_svm

_SVM_ROWS_AT_ONCE = 512  # 25 MB for 110 classes, 2 GB for 1,000

Estimator = SVC | RandomForestClassifier | XGBClassifier


@dataclass(frozen=True)
class Reference:
    """A kind of model: how to fit it, ask it and export it, and what to say about it.

    `parameters(rows, seed)` gives the estimator's arguments for the feature rows [n, 8].
    `scores` is what a score means and `ties` what decides between equals. `exact_export` rounds
    as the estimator does, for the rare one whose labels hang on that; `export` need not.
    """

    name: str
    title: str
    estimator: type[Estimator]
    parameters: Callable[[np.ndarray, int], dict]
    export: Callable[[Estimator, Classes], bytes]
    scores: str
    ties: str
    exact_export: Callable[[Estimator, Classes], bytes] | None = None

    @property
    def file(self) -> str:
        """Name of the exported file."""
        return f"{self.name}.onnx"

    def fit(self, rows: np.ndarray, targets: np.ndarray, seed: int) -> Estimator:
        """Fit on feature rows [n, 8] and class indices [n]; every class must occur."""
        return self.estimator(**self.parameters(rows, seed)).fit(rows, targets)


def predict(estimator: Estimator, rows: np.ndarray) -> np.ndarray:
    """Return the class indices [n] that the estimator itself answers for rows [n, 8]."""
    return estimator.predict(rows).astype(np.int64)


def score(estimator: Estimator, rows: np.ndarray) -> np.ndarray:
    """Return the estimator's own score of every class, float64 [n, classes].

    An SVM's is `decision_function` (for two classes, which have one signed margin d,
    [-d, d]); the others' is `predict_proba`.
    """
    if not isinstance(estimator, SVC):
        return estimator.predict_proba(rows).astype(np.float64)
    decision = np.concatenate([estimator.decision_function(part) for part in svm_parts(rows)])
    return decision if decision.ndim == 2 else np.stack([-decision, decision], axis=1)


def svm_parts(rows: np.ndarray) -> list[np.ndarray]:
    """Split rows [n, 8] into parts small enough for scikit-learn's SVM, which holds the margin
    of every pair of classes for every row at once.
    """
    return np.array_split(rows, 1 + len(rows) // _SVM_ROWS_AT_ONCE)


def _svm_parameters(rows: np.ndarray, seed: int) -> dict:  # noqa: ARG001 (nothing random)
    # scikit-learn's gamma="scale", worked out here because the export needs the number.
    variance = rows.var()
    gamma = 1.0 / (rows.shape[1] * variance) if variance else 1.0
    return {"C": 1.0, "kernel": "rbf", "gamma": float(gamma), "tol": 1e-3}


def _forest_parameters(rows: np.ndarray, seed: int) -> dict:  # noqa: ARG001
    return {
        "n_estimators": 100,
        "criterion": "gini",
        "max_depth": None,
        "min_samples_split": 2,
        "min_samples_leaf": 1,
        "max_features": "sqrt",
        "bootstrap": True,
        "random_state": seed,
    }


def _boosting_parameters(rows: np.ndarray, seed: int) -> dict:  # noqa: ARG001
    return {
        "n_estimators": 100,
        "max_depth": 6,
        "learning_rate": 0.3,
        "tree_method": "exact",
        "base_score": 0.5,
        "n_jobs": 1,
        "random_state": seed,
    }


REFERENCES = (
    Reference(
        name="svm",
        title="Support vector machine (reference)",
        estimator=SVC,
        parameters=_svm_parameters,
        export=export_svm,
        scores=(
            "Number of the one-vs-one votes for the user, plus a fraction below 1/3 in size "
            "that grows with the summed margins. With two users: the signed margin. "
            "Neither a probability nor calibrated; comparable within one answer only."
        ),
        ties=(
            "The user with most votes, the lowest class among equals; a pair whose margin is "
            "exactly 0 votes for its higher class. The fraction in the score decides nothing."
        ),
    ),
    Reference(
        name="rf",
        title="Random forest (reference)",
        estimator=RandomForestClassifier,
        parameters=_forest_parameters,
        export=export_forest,
        scores=(
            "Mean over the trees of the user's share in the leaf that was reached, so mostly "
            "the share of trees voting for the user. Sums to 1; not calibrated; far higher for "
            "typings that the forest was trained on."
        ),
        ties="The greatest score, the lowest class among equals.",
    ),
    Reference(
        name="xgb",
        title="Gradient-boosted trees (reference)",
        estimator=XGBClassifier,
        parameters=_boosting_parameters,
        export=export_boosted_trees,
        exact_export=partial(export_boosted_trees, most_tests=0),
        scores="Softmax of the boosted margins. Sums to 1 like a probability; not calibrated.",
        ties="The greatest score, the lowest class among equals.",
    ),
)
