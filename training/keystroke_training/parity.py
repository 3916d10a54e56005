"""Proves that an exported model answers as the estimator it was made from.

Both get the same rows, narrowed to float32 as the service narrows them: the data's own and
PERTURBED made from them. Labels must be equal and scores within TOLERANCE, on all rows but
the borderline ones, where rounding alone may decide; those are counted apart.
"""

from copy import copy
from dataclasses import asdict, dataclass

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC
from xgboost import XGBClassifier

from keystroke_training.models import Estimator, OfTimings, predict, score, svm_parts
from keystroke_training.runtime import Exported

PERTURBED = 20_000
TOLERANCE = 1e-5


class ParityError(Exception):
    """An exported model does not answer as its source.

    `labels_only` tells that all scores are near enough: rounding decided the labels.
    """

    def __init__(self, message: str, *, labels_only: bool = False) -> None:
        super().__init__(message)
        self.labels_only = labels_only


@dataclass(frozen=True)
class Parity:
    """Counts of a comparison.

    `ties` are rows whose best class is not alone in the source model. The label and score
    counts leave out the `borderline_…` rows. `unnarrowed_label_differences` compares the
    exported labels with the source's on the data's rows before narrowing; it is a finding,
    not a failure.
    """

    data_rows: int
    perturbed_rows: int
    ties: int
    label_differences: int
    score_differences: int
    max_score_difference: float
    borderline_rows: int
    borderline_label_differences: int
    borderline_score_differences: int
    unnarrowed_label_differences: int

    def to_json(self) -> dict:
        """The counts under camel-case names."""
        return {_camel_case(name): value for name, value in asdict(self).items()}


def perturbed_rows(rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Make `count` float32 rows [count, features] from feature rows [n, features].

    The first half are rows scaled by close jitter (5 % in every feature), a quarter rows
    moved widely (three standard deviations of each feature), the last quarter rows whose
    columns come from different rows.
    """
    random = np.random.default_rng(seed)
    made = rows[random.integers(len(rows), size=count)]
    close, wide = count // 2, 3 * count // 4
    made[:close] *= 1 + 0.05 * random.standard_normal(made[:close].shape)
    spread = 3 * rows.std(axis=0)
    made[close:wide] += spread * random.standard_normal(made[close:wide].shape)
    made[wide:] = random.permuted(made[wide:], axis=0)
    return made.astype(np.float32)


def compare(
    model: bytes | Exported, estimator: Estimator, classes: list, rows: np.ndarray, seed: int
) -> Parity:
    """Compare an ONNX file, or what is made of several, with its source on data rows
    [n, features] and perturbed ones.

    Raises ParityError when a label or score differs that is not borderline.
    """
    narrowed = rows.astype(np.float32)
    probes = np.concatenate([narrowed, perturbed_rows(rows, PERTURBED, seed)])
    exported = Exported([model]) if isinstance(model, bytes) else model
    labels, scores = exported.answer(probes)
    if exported.weights is not None:
        labels = np.array(classes)[labels]
    # What float32 holds, but as float64: the estimators must not narrow any further.
    inputs = probes.astype(np.float64)
    source_scores = score(estimator, inputs)
    names = np.array(classes, dtype=labels.dtype)
    differs = labels != names[predict(estimator, inputs)]
    distance = np.abs(scores - source_scores)
    too_far = (distance > _allowed(estimator, source_scores)).any(axis=1)
    distance = distance.max(axis=1)
    borderline = borderline_rows(estimator, inputs)
    clear = ~borderline
    unnarrowed = labels[: len(rows)] != names[predict(estimator, rows)]
    parity = Parity(
        data_rows=len(rows),
        perturbed_rows=PERTURBED,
        ties=int(_ties(estimator, source_scores).sum()),
        label_differences=int((differs & clear).sum()),
        score_differences=int((too_far & clear).sum()),
        max_score_difference=_two_digits(distance[clear].max(initial=0)),
        borderline_rows=int(borderline.sum()),
        borderline_label_differences=int((differs & borderline).sum()),
        borderline_score_differences=int((too_far & borderline).sum()),
        unnarrowed_label_differences=int(unnarrowed.sum()),
    )
    if parity.label_differences or parity.score_differences:
        raise ParityError(
            f"the exported {type(estimator).__name__} does not answer as its source: "
            f"{parity.label_differences} labels and {parity.score_differences} scores differ, "
            f"by {parity.max_score_difference:g} at most",
            labels_only=not parity.score_differences,
        )
    return parity


def borderline_rows(estimator: Estimator, rows: np.ndarray) -> np.ndarray:
    """Mask [n] of the rows whose answer may hang on rounding.

    - SVM: a pair's margin is so close to zero that storing the weights as float32 may turn
      its vote. A margin sums at most the vectors of two classes; each weight is at most C
      and is stored within a factor 1 ± 2⁻²⁴, each kernel value is at most 1.
    - XGBoost: the two best probabilities, softmaxes in float32, are within four units in the
      last place.
    - Forest: none, the arithmetic is the same.
    - The others, which compute in float32 or have their sums in another order: the two best are
      not the same, but nearer than what their scores may differ by.
    """
    if isinstance(estimator, SVC):
        bound = 2 * estimator.n_support_.max() * estimator.C * 2.0**-24
        return _smallest_margins(estimator, rows) <= bound
    if isinstance(estimator, XGBClassifier):
        second, best = np.sort(score(estimator, rows), axis=1)[:, -2:].T
        return best - second <= 4 * 2.0**-24 * best
    if isinstance(estimator, RandomForestClassifier):
        return np.zeros(len(rows), dtype=bool)
    scores = score(estimator, rows)
    second, best = np.sort(scores, axis=1)[:, -2:].T
    apart = best - second
    return (apart > 0) & (apart <= 2 * _allowed(estimator, scores).max(axis=1))


def _allowed(estimator: Estimator, scores: np.ndarray) -> np.ndarray:
    """How far exported scores [n, classes] may be off, to be broadcast: an SVM's grow with the
    users, and from 256 on a step of float32 is more than the tolerance; evidence is a sum of
    terms as large as the row's largest, which may cancel out.
    """
    if isinstance(estimator, OfTimings):
        return TOLERANCE * np.maximum(1, np.abs(scores).max(axis=1, keepdims=True))
    return np.maximum(TOLERANCE, np.spacing(np.abs(scores).astype(np.float32)))


def _smallest_margins(estimator: SVC, rows: np.ndarray) -> np.ndarray:
    """Size of the pairwise margin nearest to zero, [n]."""
    pairwise = copy(estimator).set_params(decision_function_shape="ovo")
    return np.concatenate(
        [
            np.abs(pairwise.decision_function(part)).reshape(len(part), -1).min(axis=1)
            for part in svm_parts(rows)
        ]
    )


def _ties(estimator: Estimator, scores: np.ndarray) -> np.ndarray:
    """Mask [n] of the rows with several best classes by the source's scores."""
    if isinstance(estimator, SVC) and len(estimator.classes_) > 2:
        scores = np.round(scores)  # the votes; a fraction below 1/3 is added to them
    second, best = np.sort(scores, axis=1)[:, -2:].T
    return second == best


def _two_digits(value: float) -> float:
    return float(f"{value:.1e}")


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
