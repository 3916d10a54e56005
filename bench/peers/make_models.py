"""Fits the three reference estimators as the trainer does, and pickles them.

python make_models.py FOLDER [DATA.csv]

Without data it makes some up, of the same shape: how fast an estimator answers hardly depends
on whose typings it has seen. Needs the trainer's folder on PYTHONPATH.
"""

import json
import pickle
import sys
from pathlib import Path

import joblib
import numpy as np
from keystroke_training.data import read_dataset
from keystroke_training.features import features
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC
from xgboost import XGBClassifier

SEED = 42  # of the models in models/
USERS, REPETITIONS, KEYS = 110, 8, 13


def made_up_typings() -> tuple[np.ndarray, np.ndarray]:
    """Return features and users of typings by people who each have a rhythm of their own."""
    random = np.random.default_rng(SEED)
    users = np.repeat(np.arange(1, USERS + 1), REPETITIONS)

    def times(typical: float) -> np.ndarray:
        paces = typical * random.lognormal(0, 0.4, USERS + 1)[users, np.newaxis]
        return paces * random.lognormal(0, 0.3, (len(users), KEYS))

    press = np.cumsum(times(200), axis=1)
    return features(press, press + times(90)), users


def read_typings(path: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Return features and users of a data set, and the SHA-256 of its file."""
    dataset = read_dataset(path)
    return dataset.rows, np.array(dataset.classes)[dataset.targets], dataset.sha256


def write_models(folder: Path, rows: np.ndarray, users: np.ndarray) -> None:
    """Fit on feature rows [n, 8] and users [n]; write SVM, forest and boosted trees."""
    # XGBoost takes only 0 … n-1 for classes: each model comes with what its answers stand for.
    names, targets = np.unique(users, return_inverse=True)
    estimators = {
        "svm": SVC(),
        "rf": RandomForestClassifier(n_estimators=100, random_state=SEED),
        "xgb": XGBClassifier(tree_method="exact", base_score=0.5, n_jobs=1, random_state=SEED),
    }
    for name, estimator in estimators.items():
        estimator.fit(rows, targets)
        (folder / f"{name}.pkl").write_bytes(pickle.dumps((estimator, names.tolist())))

    forest = RandomForestClassifier(n_estimators=100, random_state=SEED).fit(rows, users)
    joblib.dump(forest, folder / "forest.joblib")


def main(folder: Path, data: Path | None = None) -> None:
    """Make everything in the folder; last a file that says from which data."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, users, sha256 = read_typings(data) if data else (*made_up_typings(), None)
    write_models(folder, rows, users)
    (folder / "data.json").write_text(json.dumps({"sha256": sha256}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
