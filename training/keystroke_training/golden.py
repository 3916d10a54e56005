"""Known answers for the service's tests, `golden.json`, and for its check at start.

The inputs are made up: typings from a generator of plausible timings, feature rows drawn
from the population's mean and covariance. No row of the data is in the file.
"""

import json

import numpy as np

from keystroke_training.data import Dataset
from keystroke_training.decisions import Statistic, confidence, fuse
from keystroke_training.features import features, narrowed, timing_features
from keystroke_training.models import Estimator, Model, predict, score
from keystroke_training.parity import borderline_rows

TYPINGS = 50
MAX_ROWS = 200
DECISIONS = 6  # of each number of attempts
MAX_SCORES = 22_000  # per model: keeps the file small when there are many classes
MAX_TRAINING_LABELS = 2_000
EPOCH_MS = 1_700_000_000_000.0


def known_answers(
    dataset: Dataset,
    models: list[Model],
    estimators: dict[str, Estimator],
    decisions: dict[str, dict],
    seed: int,
) -> dict:
    """Return the content of golden.json.

    - `keystrokes`: typings with their features, float64; the eight numbers are to be met bit by
      bit, the others but for the last bit of a logarithm;
    - `rows`, `timingRows` and `models`: float32 feature rows of either kind with the label and
      scores that the estimators (not the exported files) give them;
    - `decisions`: one or several timing rows with what is decided of them;
    - `training`: the labels of the data's own rows in file order, for whoever has the data.
    """
    random = np.random.default_rng(seed)
    rows = {
        kind: _sure_rows(
            made_up_rows(dataset.features[kind], len(dataset.classes), random, kind),
            [estimators[model.name] for model in models if model.features == kind],
        )
        for kind in ("summary", "timings")
    }
    training = {
        kind: narrowed(values[:MAX_TRAINING_LABELS]) for kind, values in dataset.features.items()
    }

    def labels(estimator: Estimator, inputs: np.ndarray) -> list:
        return [dataset.classes[target] for target in predict(estimator, inputs)]

    return {
        "keystrokes": [
            _typing(dataset.press.shape[1], number, random) for number in range(TYPINGS)
        ],
        "rows": rows["summary"].tolist(),
        "timingRows": rows["timings"].tolist(),
        "models": {
            model.name: {
                "labels": labels(estimators[model.name], rows[model.features]),
                "scores": _shortest(
                    score(estimators[model.name], rows[model.features]).astype(np.float32)
                ),
            }
            for model in models
        },
        "decisions": [
            {"model": name, **_decision(dataset, estimators[name], decision, attempts)}
            for name, decision in decisions.items()
            for attempts in _attempts(rows["timings"], decision)
        ],
        "training": {
            "sha256": dataset.sha256,
            "rows": len(training["summary"]),
            "labels": {
                model.name: labels(estimators[model.name], training[model.features])
                for model in models
            },
        },
    }


def _sure_rows(rows: np.ndarray, estimators: list[Estimator]) -> np.ndarray:
    """The rows, as float64, without those whose answer rounding alone may turn: that is no known
    answer. Models of very little data may be unsure of everything; then all rows stay.
    """
    wide = rows.astype(np.float64)
    unsure = [borderline_rows(estimator, wide) for estimator in estimators]
    sure = ~np.any(unsure, axis=0) if unsure else np.ones(len(rows), bool)
    return wide[sure | ~sure.any()]


def _attempts(rows: np.ndarray, decision: dict) -> list[np.ndarray]:
    """Rows in groups of every size that the model takes, a few of each."""
    most = max(point["attempts"] for point in decision["verification"]["points"])
    groups, start = [], 0
    for size in range(1, most + 1):
        for _ in range(DECISIONS):
            if start + size > len(rows):
                start = 0
            groups.append(rows[start : start + size])
            start += size
    return [group for group in groups if len(group) > 0]


def _decision(dataset: Dataset, estimator: Estimator, decision: dict, rows: np.ndarray) -> dict:
    evidence = estimator.evidence(rows)
    fused = fuse(evidence[np.newaxis], decision["correlation"])
    best = int(fused[0].argmax())
    claimed = len(rows) % len(dataset.classes)

    def statistic(kind: str, user: int) -> float:
        weights = {name: decision[kind][name] for name in ("own", "cohort", "temperature")}
        return float(Statistic(**weights).of_all(fused)[0, user])

    return {
        "attempts": rows.tolist(),
        "user": dataset.classes[best],
        "confidence": float(confidence(fused)[0]),
        "statistic": statistic("identification", best),
        "claim": {
            "user": dataset.classes[claimed],
            "statistic": statistic("verification", claimed),
        },
    }


def golden_json(answers: dict) -> str:
    """Return the text of golden.json, which `known_answers` is the content of."""
    return json.dumps(answers, separators=(",", ":"), allow_nan=False) + "\n"


def check_row(answers: dict, model: Model, classes: list) -> dict:
    """Return the one known answer of a model that the service asks for before it starts."""
    rows = answers["rows" if model.features == "summary" else "timingRows"]
    row, known = rows[0], answers["models"][model.name]
    user = known["labels"][0]
    return {"row": row, "user": user, "score": known["scores"][0][classes.index(user)]}


def made_up_rows(
    rows: np.ndarray, classes: int, random: np.random.Generator, kind: str = "summary"
) -> np.ndarray:
    """Draw float32 feature rows [n, features] from the mean and covariance of `rows`.

    One in four is drawn with twice the spread. In a summary, standard deviations and the mean
    hold time are made positive, as the service demands. Values are whole 64ths, so that the last
    bits of the matrix product, which the CPU decides, do not show. A row that happens to
    equal one of `rows` is left out.
    """
    count = max(1, min(MAX_ROWS, MAX_SCORES // classes))
    centre = rows.mean(axis=0)
    # Normal weights on all centred rows have just their covariance, even a singular one.
    deviations = random.standard_normal((count, len(rows))) @ (rows - centre)
    deviations[::4] *= 2
    made = centre + deviations / np.sqrt(len(rows) - 1)
    if kind == "summary":
        never_negative = [0, 1, 3, 5, 7]
        made[:, never_negative] = np.abs(made[:, never_negative])
    made = (np.round(made * 64) / 64).astype(np.float32)
    known = {row.tobytes() for row in rows.astype(np.float32)}
    made = made[[row.tobytes() not in known for row in made]]
    # Rows without any spread leave nothing: then one that is beside them.
    return made if len(made) > 0 else rows.max(axis=0, keepdims=True).astype(np.float32) + 1


def _typing(keys: int, number: int, random: np.random.Generator) -> dict:
    """One made-up typing; its kind goes round with `number`."""
    rollover, fractional, epoch, zero_hold = (number % step == 0 for step in (2, 3, 4, 5))
    press = np.cumsum(random.gamma(4.0, 40.0, keys))
    hold = random.gamma(9.0, 10.0, keys) * (2.5 if rollover else 1.0)
    if zero_hold:
        hold[random.integers(keys)] = 0.0
    press -= press[0]
    if not fractional:
        press, hold = press.round(), hold.round()
    origin = EPOCH_MS + random.integers(10**9) if epoch else random.integers(3) * 0.125
    press += origin
    release = press + hold
    return {
        "keystrokes": [
            {"press": down, "release": up}
            for down, up in zip(press.tolist(), release.tolist(), strict=True)
        ],
        "features": features(press[np.newaxis], release[np.newaxis])[0].tolist(),
        "timings": timing_features(press[np.newaxis], release[np.newaxis])[0].tolist(),
    }


def _shortest(values: np.ndarray) -> list:
    """float32 values [n, m] as the shortest decimals that read back as the same float32."""
    return [[float(str(value)) for value in row] for row in values]
