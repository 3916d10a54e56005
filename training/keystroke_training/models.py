"""The models: the reference ones of the original exercise, defaults made explicit, and ours.

Every estimator is fitted on class indices 0 … n-1 (positions in the sorted classes), as
XGBoost demands; scikit-learn's answers do not depend on it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC
from xgboost import XGBClassifier

from keystroke_training import templates, trees
from keystroke_training.export.boosting import export_boosted_trees
from keystroke_training.export.forest import export_forest
from keystroke_training.export.graph import Classes
from keystroke_training.export.summary import export_summary
from keystroke_training.export.svm import export_svm
from keystroke_training.export.templates import export_templates
from keystroke_training.export.trees import export_trees
from keystroke_training.fusion import Fusion
from keystroke_training.summary import Summary
from keystroke_training.templates import Templates
from keystroke_training.trees import Trees

_SVM_ROWS_AT_ONCE = 512  # 25 MB for 110 classes, 2 GB for 1,000

Estimator = SVC | RandomForestClassifier | XGBClassifier | Summary | Templates | Trees | Fusion
OfTimings = Templates | Trees | Fusion


@dataclass(frozen=True)
class Model:
    """A kind of model: how to fit it, ask it and export it, and what to say about it.

    `features` names the rows it takes: "summary" [n, 8] or "timings" [n, 6 × keys − 2].
    `make(rows, seed, keys)` gives an estimator to be fitted. `parameters` of a fitted one are
    what the manifest tells of it. `scores` is what a score means and `ties` what decides between
    equals. `exact_export` rounds as the estimator does, for the rare one whose labels hang on
    that; `export` need not. A model with `members` is made of theirs, in this order, and has no
    file of its own.
    """

    name: str
    title: str
    features: str
    make: Callable[[np.ndarray, int, int], Estimator] | None
    parameters: Callable[[Estimator], dict]
    scores: str
    ties: str = "The greatest score, the lowest class among equals."
    export: Callable[[Estimator, Classes], bytes] | None = None
    exact_export: Callable[[Estimator, Classes], bytes] | None = None
    members: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """Name of the exported file."""
        return f"{self.name}.onnx"

    def fit(self, rows: np.ndarray, targets: np.ndarray, seed: int, keys: int) -> Estimator:
        """Fit on rows [n, features] of a text of so many keys, and class indices [n]; every
        class must occur.
        """
        return self.make(rows, seed, keys).fit(rows, targets)


def fit_models(
    models: Iterable[Model],
    rows: Mapping[str, np.ndarray],
    targets: np.ndarray,
    seed: int,
    keys: int,
) -> dict[str, Estimator]:
    """Fit models on rows [n, features] by name of the features, and class indices [n], of which
    every one must occur. Members stand before the models that are made of them.
    """
    fitted: dict[str, Estimator] = {}
    for model in models:
        if model.members:
            fitted[model.name] = Fusion(*(fitted[name] for name in model.members)).fit(targets)
        else:
            fitted[model.name] = model.fit(rows[model.features], targets, seed, keys)
    return fitted


def predict(estimator: Estimator, rows: np.ndarray) -> np.ndarray:
    """Return the class indices [n] that the estimator itself answers for rows [n, features]."""
    if isinstance(estimator, OfTimings):
        return estimator.evidence(rows).argmax(axis=1)
    return estimator.predict(rows).astype(np.int64)


def score(estimator: Estimator, rows: np.ndarray) -> np.ndarray:
    """Return the estimator's own score of every class, float64 [n, classes].

    An SVM's is `decision_function` (for two classes, which have one signed margin d, [-d, d]),
    that of models of raw timings their evidence, the others' is `predict_proba`.
    """
    if isinstance(estimator, OfTimings):
        return estimator.evidence(rows)
    if not isinstance(estimator, SVC):
        return estimator.predict_proba(rows).astype(np.float64)
    decision = np.concatenate([estimator.decision_function(part) for part in svm_parts(rows)])
    return decision if decision.ndim == 2 else np.stack([-decision, decision], axis=1)


def svm_parts(rows: np.ndarray) -> list[np.ndarray]:
    """Split rows [n, 8] into parts small enough for scikit-learn's SVM, which holds the margin
    of every pair of classes for every row at once.
    """
    return np.array_split(rows, 1 + len(rows) // _SVM_ROWS_AT_ONCE)


def _library(estimator: type, parameters: Callable[[np.ndarray, int], dict]) -> dict:
    """How to fit a library's estimator with all that matters said, and what was said."""
    return {
        "features": "summary",
        "make": lambda rows, seed, _: estimator(**parameters(rows, seed)),
        "parameters": lambda fitted: {
            "estimator": estimator.__name__,
            **{name: fitted.get_params()[name] for name in parameters(np.zeros((1, 8)), 0)},
        },
    }


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


_EVIDENCE = (
    "Evidence: softmax of it over the users is the calibrated probability that the typing is the "
    "user's, if it is one of theirs. The candidates' scores are these probabilities."
)

REFERENCES = (
    Model(
        name="svm",
        title="Support vector machine (reference)",
        **_library(SVC, _svm_parameters),
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
    Model(
        name="rf",
        title="Random forest (reference)",
        **_library(RandomForestClassifier, _forest_parameters),
        export=export_forest,
        scores=(
            "Mean over the trees of the user's share in the leaf that was reached, so mostly "
            "the share of trees voting for the user. Sums to 1; not calibrated; far higher for "
            "typings that the forest was trained on."
        ),
    ),
    Model(
        name="xgb",
        title="Gradient-boosted trees (reference)",
        **_library(XGBClassifier, _boosting_parameters),
        export=export_boosted_trees,
        exact_export=partial(export_boosted_trees, most_tests=0),
        scores="Softmax of the boosted margins. Sums to 1 like a probability; not calibrated.",
    ),
)

MODELS = (
    *REFERENCES,
    Model(
        name="summary",
        title="Templates of the eight numbers, re-expressed",
        features="summary",
        make=lambda _rows, _seed, keys: Summary(keys),
        parameters=lambda _: {"estimator": "Summary"},
        export=export_summary,
        scores="The calibrated probability that the typing is the user's, if it is one of theirs.",
    ),
    Model(
        name="templates",
        title="Robust templates of raw timings",
        features="timings",
        make=lambda _rows, _seed, _keys: Templates(),
        parameters=lambda fitted: {
            "estimator": "Templates",
            "degrees": templates.DEGREES,
            "ridge": templates.RIDGE,
            "weights": int((fitted.weights > 0).sum()),
        },
        export=export_templates,
        scores=_EVIDENCE,
    ),
    Model(
        name="trees",
        title="Extremely randomised trees of raw timings",
        features="timings",
        make=lambda _rows, seed, _keys: Trees(seed),
        parameters=lambda fitted: {
            "estimator": "ExtraTreesClassifier",
            "n_estimators": trees.TREES,
            "floor": trees.FLOOR,
            "exponent": fitted.exponent,
        },
        export=export_trees,
        scores=_EVIDENCE,
    ),
    Model(
        name="best",
        title="Templates and trees together: the one to use for raw timings",
        features="timings",
        make=None,
        parameters=lambda fitted: {"estimator": "Fusion", "weights": fitted.weights.tolist()},
        scores=_EVIDENCE,
        members=("templates", "trees"),
    ),
)
