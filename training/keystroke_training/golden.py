"""Known answers for the service's tests, `golden.json`, and for its check at start.

The inputs are made up: typings from a generator of plausible timings, feature rows drawn
from the population's mean and covariance. No row of the data is in the file.
"""

import json

import numpy as np

from keystroke_training.data import Dataset
from keystroke_training.features import features
from keystroke_training.models import Estimator, predict, score
from keystroke_training.parity import borderline_rows

TYPINGS = 50
MAX_ROWS = 200
MAX_SCORES = 22_000  # per model: keeps the file small when there are many classes
MAX_TRAINING_LABELS = 2_000
EPOCH_MS = 1_700_000_000_000.0


def known_answers(dataset: Dataset, estimators: dict[str, Estimator], seed: int) -> dict:
    """Return the content of golden.json.

    - `keystrokes`: typings with their features, float64, to be met bit by bit;
    - `rows` and `models`: float32 feature rows with the label and scores that scikit-learn
      or XGBoost (not the exported file) gives them;
    - `training`: the labels of the data's own rows in file order, for whoever has the data.
    """
    random = np.random.default_rng(seed)
    rows = made_up_rows(dataset.rows, len(dataset.classes), random)
    wide = rows.astype(np.float64)
    # An answer that rounding alone may turn is no known answer.
    unsure = [borderline_rows(estimator, wide) for estimator in estimators.values()]
    sure = ~np.any(unsure, axis=0)
    # Models of very little data may be unsure of everything.
    sure |= ~sure.any()
    rows, wide = rows[sure], wide[sure]
    training = dataset.rows[:MAX_TRAINING_LABELS].astype(np.float32).astype(np.float64)

    def labels(estimator: Estimator, inputs: np.ndarray) -> list:
        return [dataset.classes[target] for target in predict(estimator, inputs)]

    return {
        "keystrokes": [
            _typing(dataset.press.shape[1], number, random) for number in range(TYPINGS)
        ],
        "rows": wide.tolist(),
        "models": {
            name: {
                "labels": labels(estimator, wide),
                "scores": _shortest(score(estimator, wide).astype(np.float32)),
            }
            for name, estimator in estimators.items()
        },
        "training": {
            "sha256": dataset.sha256,
            "rows": len(training),
            "labels": {name: labels(estimator, training) for name, estimator in estimators.items()},
        },
    }


def golden_json(answers: dict) -> str:
    """Return the text of golden.json, which `known_answers` is the content of."""
    return json.dumps(answers, separators=(",", ":")) + "\n"


def check_row(answers: dict, name: str, classes: list) -> dict:
    """Return the one known answer of a model that the service asks for before it starts."""
    row, known = answers["rows"][0], answers["models"][name]
    user = known["labels"][0]
    return {"row": row, "user": user, "score": known["scores"][0][classes.index(user)]}


def made_up_rows(rows: np.ndarray, classes: int, random: np.random.Generator) -> np.ndarray:
    """Draw float32 feature rows [n, 8] from the mean and covariance of `rows`.

    One in four is drawn with twice the spread. Standard deviations and the mean hold time are
    made positive, as the service demands of a summary. Values are whole 64ths, so that the last
    bits of the matrix product, which the CPU decides, do not show. A row that happens to
    equal one of `rows` is left out.
    """
    count = max(1, min(MAX_ROWS, MAX_SCORES // classes))
    centre = rows.mean(axis=0)
    # Normal weights on all centred rows have just their covariance, even a singular one.
    deviations = random.standard_normal((count, len(rows))) @ (rows - centre)
    deviations[::4] *= 2
    made = centre + deviations / np.sqrt(len(rows) - 1)
    never_negative = [0, 1, 3, 5, 7]
    made[:, never_negative] = np.abs(made[:, never_negative])
    made = (np.round(made * 64) / 64).astype(np.float32)
    known = {row.tobytes() for row in rows.astype(np.float32)}
    return made[[row.tobytes() not in known for row in made]]


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
    }


def _shortest(values: np.ndarray) -> list:
    """float32 values [n, m] as the shortest decimals that read back as the same float32."""
    return [[float(str(value)) for value in row] for row in values]
